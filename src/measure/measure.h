// One measurement as a document: what one side or both answered, how fast, and the room they take.
//
// The document carries the plan's criteria and what the journal knows, so that two of them can be
// compared anywhere, without plan, stores or journal. It holds no values of rows, no SQL and no
// place of this machine. docs/schemas/measurement.schema.json is its shape.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/events.h"
#include "base/executor.h"
#include "measure/facts.h"
#include "measure/load.h"
#include "plan/measures.h"
#include "plan/migration.h"

namespace whimbrel {

struct MeasureParts {
  const Migration& migration;
  const MeasuresPlan& plan;
  std::optional<JournalFacts> journal;
  Clock& clock;
  Events& events;
  const StopFlag& stop;
  // Carries over what one side has got meanwhile; null where somebody else does, or nobody can.
  std::function<Status()> catch_up = nullptr;
};

// Which side the application uses in this phase; unset where nobody knows.
std::optional<Side> serving_side(const std::optional<JournalFacts>& journal);

// A query that reads tables or indexes from end to end, as their store calls them.
struct ScanningQuery {
  std::string name;
  std::vector<std::string> tables;
};
// Of the queries that the new side takes, once it is there. Runs none of them.
std::vector<ScanningQuery> scanning_queries(const Migration& migration, const MeasuresPlan& plan);
// Queries that a side which is there does not take, as a person reads it. Runs none of them.
std::vector<Error> wrong_queries(const Migration& migration, const MeasuresPlan& plan);

// `times`: how many times the present traffic this is; only noted. Makes its own threads. With both
// sides their answers are compared as well.
Result<nlohmann::json> measure(const MeasureParts& parts, const std::vector<Side>& sides,
                               const LoadSettings& settings, double times);
// What a person reads.
std::string measurement_text(const nlohmann::json& measurement);
// Whether it found answers that are not the same on both sides.
bool answers_differ(const nlohmann::json& measurement);

}  // namespace whimbrel
