// Comparisons of a view's text as they were written before the server spelled them out.
#pragma once

#include <string>
#include <vector>

namespace whimbrel::postgresql {

// The server compares a varchar as text and says so in what it gives back of a view:
// `((k.owner)::text = (p.id)::text)`. Where both columns have become a uuid, this takes the casts
// away again, so that their indexes serve: `(k.owner = p.id)`. `columns` are the names of those
// that have become one, not quoted; that none of the tables that the view reads has another kind of
// column of this name is for the caller to see. Nothing else is touched, and no view with a query
// within it: a literal without its cast would be
// one of the new type for ever, and the view would not be taken on the way back.
std::string uncast_comparisons(const std::string& sql, const std::vector<std::string>& columns);

}  // namespace whimbrel::postgresql
