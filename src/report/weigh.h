// What a store says of one table, seen with all tables of the plan.
#pragma once

#include <vector>

#include "plan/migration.h"

namespace whimbrel {

// A foreign key of a table that moves as well is left behind with it: a note. A trigger that works
// with a table that moves as well would do its work on the old side once more: a warning.
// `begun`: the migration is under way, and what keeps one from beginning keeps nobody from going
// on.
void weigh_by_plan(const Migration& migration, const Move& move, bool begun,
                   std::vector<Finding>& findings);

}  // namespace whimbrel
