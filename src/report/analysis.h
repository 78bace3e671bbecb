// The dry run over all data: what would move, what it would become, what would be refused, and
// what could not be undone. Changes nothing in any store.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/events.h"
#include "base/executor.h"
#include "plan/migration.h"

namespace whimbrel {

struct Analysis {
  nlohmann::json document;  // what goes into the file
  bool refused = false;     // `run` would refuse
  std::string text;         // what a person reads
};

// A column that looks like a reference, of which nothing is said.
struct UnsaidReference {
  int move = 0;
  std::string column;
  std::string parent;      // as the plan calls the table
  std::int64_t found = 0;  // of the sampled values
  std::int64_t of = 0;
};

// Where the migration stands: once it has begun, the rows in its targets are its own.
struct Standing {
  bool begun = false;
  std::string journal;          // the id of the journal; "" when there is none
  bool will_not_begin = false;  // `run` would refuse, whatever the rows are
};

// Reads every row of every source table. `redact`: neither keys nor values in what comes out.
// `cancelled` when asked to stop.
Result<Analysis> analyze(const Migration& migration, const Standing& standing, Clock& clock,
                         Events& events, const StopFlag& stop, bool redact,
                         std::span<const UnsaidReference> unsaid);
// The quick part alone: schemas, rights, settings, how many rows there are.
Result<Analysis> check(const Migration& migration, const Standing& standing, Clock& clock);

}  // namespace whimbrel
