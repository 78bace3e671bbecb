// What there is to move and where it goes: each source with its rows, each target as it is found.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "plan/migration.h"

namespace whimbrel {

struct Inventory {
  nlohmann::json sources;  // [{"table", "rows", "exact"}]
  nlohmann::json targets;  // [{"table", "is_there"}]
  std::string text;        // a line each, for a person
};

// Rows are counted by reading them, for two seconds a table at most: what is not counted by then is
// told as "more than". Errors: a source that cannot be read. Changes nothing.
Result<Inventory> take_inventory(const Migration& migration, Clock& clock);

}  // namespace whimbrel
