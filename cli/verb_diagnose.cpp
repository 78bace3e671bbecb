// `diagnose summary`: what somebody looks at first when something smells.
#include <fmt/format.h>

#include <algorithm>

#include "base/counted.h"
#include "measure/health.h"
#include "verbs.h"

namespace whimbrel::cli {

namespace {

using nlohmann::json;

constexpr std::int64_t sample_rows = 1000;

// Whether a sample of so many rows would be all of them, on both sides.
bool is_all(const Migration& migration, std::int64_t sample) {
  const auto is_small = [sample](Store& store, const TableSchema& table) {
    const auto reader = store.open_reader(table);
    if (!reader.ok()) return false;
    const Result<std::int64_t> rows = reader.value()->count();
    return rows.ok() && rows.value() <= sample;
  };
  return std::ranges::all_of(migration.moves, [&](const Move& move) {
    return is_small(*move.source, move.mapping.source) &&
           is_small(*move.target, move.mapping.target);
  });
}

// What the engine can tell without writing anything, the journal included.
void ask_the_engine(Context& context, std::int64_t sample, HealthParts& parts) {
  Engine engine = context.make_engine();
  const Result<bool> whole = engine.capture_is_whole();
  if (whole.ok()) parts.capture_is_whole = whole.value();
  // A comparison of a sample goes one way; of every row, both ways.
  const bool both_ways = is_all(context.migration(), sample);
  const Result<VerifyOutcome> compared = engine.verify(both_ways ? 0 : sample, false);
  if (!compared.ok()) {
    parts.why_no_drift = compared.error().message;
    return;
  }
  const VerifyOutcome& outcome = compared.value();
  parts.drift =
      Drift{outcome.rows, outcome.differing, outcome.on_new_side, outcome.lagging, both_ways};
}

// What was measured last, from the state folder: how fast the application's queries are answered.
json last_measurement(Context& context) {
  const Result<std::string> folder = context.state_folder(false);
  if (!folder.ok()) return {};
  const Result<std::string> text = read_file(folder.value() + "/migration-measurement-latest.json");
  const json document = text.ok() ? json::parse(text.value(), nullptr, false) : json();
  if (!document.is_object() || !document.contains("sides")) return {};
  json sides = json::array();
  for (const json& side : document["sides"]) {
    double slowest = 0;
    for (const json& query : side.value("queries", json::array())) {
      slowest = std::max(slowest, query.value("p95_ms", 0.0));
    }
    sides.push_back({{"side", side.value("side", "")},
                     {"answered_per_s", side.value("answered_per_s", 0.0)},
                     {"errors_per_cent", side.value("errors_per_cent", 0.0)},
                     {"slowest_p95_ms", slowest}});
  }
  return {{"made_at", document.value("made_at", "")}, {"sides", sides}};
}

Result<json> summary(Context& context, const Options& options) {
  ASSIGN_OR_RETURN(const bool begun, context.has_journal());
  if (begun) TRY(context.open_journal(false));
  const bool finished =
      begun && context.journal().state().started && context.journal().phase() == Phase::finished;
  TRY(finished ? context.load_finished() : context.load());
  HealthParts parts{context.migration(),       nullptr,       {}, {},
                    "nothing was started yet", options.redact};
  if (begun) {
    parts.journal = &context.journal();
    if (finished) {
      parts.why_no_drift = "the migration is finished";
    } else if (context.standing().begun) {
      ask_the_engine(context, options.sample > 0 ? options.sample : sample_rows, parts);
    }
  }
  const TimePoint now = context.clock().now();
  ASSIGN_OR_RETURN(json document, health(parts, now));
  if (begun) {
    const json status = status_document(context.journal(), now);
    for (const char* key : {"who", "way_back"}) document[key] = status.value(key, "");
  }
  if (json measured = last_measurement(context); measured.is_object()) {
    document["measured"] = std::move(measured);
  }
  return document;
}

}  // namespace

int diagnose(const Options& options) {
  Context context(options);
  const Result<json> document = summary(context, options);
  if (!document.ok()) return context.fail(document.error());
  if (options.json) {
    std::printf("%s\n",
                document.value().dump(-1, ' ', false, json::error_handler_t::replace).c_str());
  }
  context.say(health_text(document.value()));
  const bool healthy = document.value()["healthy"].get<bool>();
  return context.finish(healthy ? done : failed, healthy ? "healthy" : "needs attention",
                        counted(std::ssize(document.value()["problems"]), "problem"));
}

}  // namespace whimbrel::cli
