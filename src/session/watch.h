// `watch`: a check after the switch, from opening to telling whom it alarms.
//
// Beside a living runner, which carries what the application writes, a check only looks, and asks
// the runner to journal what came of it.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "session/session.h"

namespace whimbrel {

struct Watched {
  CheckOutcome outcome;
  nlohmann::json comparison;         // by the plan's criteria; null where nothing was measured
  std::vector<std::string> reasons;  // why it is not clean, without keys and values of rows
  std::int64_t clean_checks = 0;     // in a row, with this one
  bool counts = false;               // this one is among them
  std::int64_t clean_checks_wanted = 0;
  TimePoint finish_from;

  bool clean() const { return reasons.empty(); }
  nlohmann::json to_json() const;
};

// Once. `refused` when the migration is not one that is watched.
Result<Watched> watch_migration(Session& session);
// Again and again, and what the application writes is carried back in between. Ends with
// `cancelled` after a stop; without an error when somebody asked this runner to roll back.
Status keep_watching(Session& session, Milliseconds every,
                     const std::function<void(const Watched&)>& tell);

}  // namespace whimbrel
