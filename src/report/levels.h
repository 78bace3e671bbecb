// Which tables of a plan refer to which, and the levels that follow from it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "plan/migration.h"

namespace whimbrel {

// By move, the moves whose rows its own refer to: by what the store declares, and by what the plan
// says. A table may refer to itself.
std::vector<std::set<std::size_t>> parents_of(const Migration& migration);

// A table's level is one more than the highest that it refers to. Those that refer to each other in
// a circle have one level, and say so; what refers to a circle is below it. For a person, and into
// the document as `levels` and `circles`.
std::string levels_of(const Migration& migration, nlohmann::json& document);

}  // namespace whimbrel
