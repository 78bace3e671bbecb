// Comparisons of a view's text as they were written before the server spelled them out.
#pragma once

#include <string>
#include <vector>

namespace whimbrel::postgresql {

// The server compares a varchar as text and says so in what it gives back of a view:
// `((k.owner)::text = (p.id)::text)`. Where both columns have become a uuid, this takes the casts
// away again, so that their indexes serve: `(k.owner = p.id)`; also where a query stands on the
// right, for which a uuid and a text have no operator. `columns` are the names of those that have
// become one, not quoted. Only comparisons for equality are touched. A name may be meant of another
// column: then the statement is refused, or compares values that are no uuid, which the caller has
// to look at. A literal keeps its cast: without it, it would be one of the new type for ever, and
// the statement would not be taken on the way back.
struct Uncast {
  std::string sql;
  int comparisons = 0;  // without their casts
};
Uncast uncast_comparisons(const std::string& sql, const std::vector<std::string>& columns);

}  // namespace whimbrel::postgresql
