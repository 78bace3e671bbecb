// What a plan wants to know of a table (`health:`): its newest and oldest row, how many rows have
// each value of a column, and which have been in a passing state for too long. Reads every row
// once, in any store. Threads: one. Errors: those of the store.
#pragma once

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "measure/load.h"
#include "plan/migration.h"

namespace whimbrel {

// When a value says something happened: a time of its own type, a text of ISO 8601 (UTC where it
// names no zone), or the seconds or milliseconds since 1970. Unset for anything else.
std::optional<TimePoint> moment_of(const Value& value);

// {"newest": {"column", "value"}, "oldest": …, "groups": {"column", "groups": [{"value", "rows"}]},
// "stuck": {"rows", "for_ms", "example"}}, as far as the plan asks and the side has the columns.
// `redact`: neither keys nor values.
Result<nlohmann::json> look_through(const Move& move, Side side, TimePoint now, bool redact);

}  // namespace whimbrel
