// The health of both sides in one look: rows, newest ones, groups, room; what is stuck, what waits,
// what differs. Writes nothing.
//
// A table that is too large to be read through is told by its number of rows alone. What only
// other parts know (whether capture is whole, what a sampled comparison found) is handed in.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/clock.h"
#include "journal/journal.h"
#include "plan/migration.h"

namespace whimbrel {

struct Drift {
  std::int64_t compared = 0;
  std::int64_t differing = 0;
  std::int64_t on_new_side = 0;
  std::int64_t lagging = 0;
  bool both_ways = false;  // rows that only the new side has were looked for, too
};

struct HealthParts {
  const Migration& migration;
  const Journal* journal = nullptr;      // null when nothing was started
  std::optional<bool> capture_is_whole;  // unset when nothing captures
  std::optional<Drift> drift;
  std::string why_no_drift;
  bool redact = false;  // neither keys nor values
};

Result<nlohmann::json> health(const HealthParts& parts, TimePoint now);
// The first line is the verdict.
std::string health_text(const nlohmann::json& health);

}  // namespace whimbrel
