// One line of a plan for many tables: `names:` with patterns, put where `{name}` stands.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plan/plan_file.h"

namespace whimbrel {

bool is_pattern(std::string_view name);
// `*` stands for any text, also for none; everything else for itself.
bool matches(std::string_view pattern, std::string_view name);

// The plan's tables with one entry for each table that a line with `{name}` stands for, in the
// order of the plan. What came after the migration had begun is none of it. Names that are not
// there go to `diagnostics`; tables that could stand for `{name}`, and that the plan neither takes
// nor leaves out by a word, to `not_taken`, as alias/table. Errors are those of stores.
Result<std::vector<TableEntry>> tables_by_name(
    const PlanFile& plan, const std::map<std::string, std::shared_ptr<Store>>& stores,
    const std::optional<KnownTables>& begun_with, Diagnostics& diagnostics,
    std::vector<std::string>& not_taken);

}  // namespace whimbrel
