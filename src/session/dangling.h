// What refers to no row any more, in tables that the application or others use.
#pragma once

#include <set>
#include <string>

#include "session/session.h"

namespace whimbrel {

// In the tables that are written to; what a store does not tell is not in it.
std::set<Dangling> dangling_in_targets(Session& session);
std::set<Dangling> dangling_in_sources(Session& session);
// Warns of each that was not there before, by these or by the same number of other rows.
void tell_new_dangling(Session& session, const std::set<Dangling>& before, const std::string& hint);

}  // namespace whimbrel
