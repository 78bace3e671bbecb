#include "measure/health.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/counted.h"
#include "base/text.h"
#include "measure/wellness.h"

namespace whimbrel {

namespace {

using nlohmann::json;

constexpr std::int64_t rows_read_through_max = 5'000'000;
constexpr std::int64_t groups_max = 20;
constexpr std::int64_t waiting_counted_max = 10'000;

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

// How much a column looks like the time of a row's last change; 0: not at all.
int likeness_to_time(const ColumnSchema& column) {
  const std::string name = ascii_lower(column.name);
  const std::string type = ascii_lower(column.declared);
  const bool is_time = contains(type, "time") || contains(type, "date") || name.ends_with("_at") ||
                       name.ends_with("time") || name.ends_with("date");
  if (!is_time) return 0;
  if (contains(name, "updated") || contains(name, "modified") || contains(name, "changed"))
    return 3;
  return contains(name, "created") || contains(name, "inserted") ? 2 : 1;
}

int likeness_to_group(const ColumnSchema& column) {
  const std::string name = ascii_lower(column.name);
  if (name == "status" || name == "state") return 3;
  if (name.ends_with("status") || name.ends_with("state")) return 2;
  for (const char* word : {"type", "kind", "category", "priority"}) {
    if (name == word) return 1;
  }
  return 0;
}

const ColumnSchema* most_like(const TableSchema& table, int (*likeness)(const ColumnSchema&)) {
  const ColumnSchema* best = nullptr;
  for (const ColumnSchema& column : table.columns) {
    if (likeness(column) > (best == nullptr ? 0 : likeness(*best))) best = &column;
  }
  return best;
}

Result<std::vector<Row>> rows_of(Store& store, const std::string& sql, std::int64_t rows_max) {
  ASSIGN_OR_RETURN(const auto runner, store.open_queries({{sql, {}}}, Milliseconds(5000)));
  return runner->rows(0, {}, rows_max);
}

class SideHealth {
 public:
  SideHealth(const Move& move, Side side, TimePoint now, bool redact)
      : move_(move),
        side_(side),
        now_(now),
        store_(side == Side::old_side ? *move.source : *move.target),
        table_(side == Side::old_side ? move.mapping.source : move.mapping.target),
        redact_(redact) {}

  Result<json> look() {
    json side = {{"table", table_.name}, {"there", true}};
    const Result<TableSchema> there = store_.catalog().describe(table_.name);
    if (!there.ok()) {
      const bool gone = there.error().code == ErrorCode::not_found;
      if (!gone && there.error().code != ErrorCode::refused) return there.error();
      return json{{"table", table_.name}, {"there", false}};
    }
    ASSIGN_OR_RETURN(const auto reader, store_.open_reader(there.value()));
    ASSIGN_OR_RETURN(const std::int64_t rows, reader->count());
    side["rows"] = rows;
    TRY(as_the_plan_says(rows, side));
    if (!store_.capabilities().queries || store_.dialect() == nullptr) return side;
    ASSIGN_OR_RETURN(const RoomTaken room, store_.room_taken(there.value()));
    side["room"] = {{"table_bytes", room.table_bytes},
                    {"index_bytes", room.index_bytes},
                    {"indexes", room.indexes},
                    {"exact", room.exact}};
    side["read_through"] = rows <= rows_read_through_max;
    if (rows == 0 || rows > rows_read_through_max) return side;
    if (!side.contains("newest")) {
      ASSIGN_OR_RETURN(side["newest"], newest(there.value()));
    }
    if (!side.contains("groups")) {
      ASSIGN_OR_RETURN(side["groups"], groups(there.value()));
    }
    return side;
  }

 private:
  Status as_the_plan_says(std::int64_t rows, json& side) {
    if (!move_.health || rows == 0) return {};
    side["read_through"] = rows <= rows_read_through_max;
    if (rows > rows_read_through_max) return {};
    ASSIGN_OR_RETURN(const json seen, look_through(move_, side_, now_, redact_));
    side.update(seen);
    return {};
  }

  std::string quoted(const std::string& name) const { return store_.dialect()->quote(name); }

  Result<json> newest(const TableSchema& table) {
    const ColumnSchema* column = most_like(table, likeness_to_time);
    const std::string name = column != nullptr       ? column->name
                             : table.key.size() == 1 ? table.key.front()
                                                     : "";
    if (name.empty()) return json();
    // Not every type has a greatest one, but all have an order.
    ASSIGN_OR_RETURN(
        const auto rows,
        rows_of(store_,
                fmt::format("SELECT {0} FROM {1} WHERE {0} IS NOT NULL ORDER BY {0} DESC LIMIT 1",
                            quoted(name), store_.sql_name(table.name)),
                1));
    json one = {{"column", name}};
    if (rows.empty()) return json();
    if (!redact_) one["value"] = show(rows[0][0]);
    return one;
  }

  Result<json> groups(const TableSchema& table) {
    const ColumnSchema* column = most_like(table, likeness_to_group);
    if (column == nullptr) return json();
    ASSIGN_OR_RETURN(
        const auto rows,
        rows_of(store_,
                fmt::format("SELECT {0}, count(*) FROM {1} GROUP BY {0} ORDER BY 2 DESC, 1",
                            quoted(column->name), store_.sql_name(table.name)),
                groups_max + 1));
    if (std::ssize(rows) > groups_max) return json();
    json all = json::array();
    for (const Row& row : rows) {
      json one = {{"rows", row[1].get<std::int64_t>()}};
      if (!redact_) one["value"] = show(row[0]);
      all.push_back(std::move(one));
    }
    return json{{"column", column->name}, {"groups", all}};
  }

  const Move& move_;
  Side side_;
  TimePoint now_;
  Store& store_;
  const TableSchema& table_;
  bool redact_;
};

json problem(const std::string& what, const std::string& hint) {
  return {{"what", what}, {"hint", hint}};
}

void unended(const State& state, bool runner, TimePoint now, json& problems) {
  if (state.phase == Phase::stuck) {
    problems.push_back(problem("nobody knows whether the switch has flipped",
                               "`whimbrel cutover PLAN --decide switched` or `not-switched`"));
  }
  if (runner) return;  // what is under way is the runner's business
  if (state.phase == Phase::copying) {
    problems.push_back(problem("the copy is interrupted: no runner is at work",
                               "`whimbrel run PLAN` goes on where it was"));
  }
  for (const Effect& effect : state.effects) {
    if (effect.id == "hold") {
      const json undo = json::parse(effect.undo, nullptr, false);
      const bool known = undo.is_object() && undo.contains("until_ms");
      const TimePoint until(Milliseconds(known ? undo["until_ms"].get<std::int64_t>() : 0));
      problems.push_back(problem(
          until > now ? "writers are held until " + to_iso8601(until) + ", and no runner is at work"
                      : "a hold was never released; it ended by itself",
          "`whimbrel run PLAN` or `whimbrel rollback PLAN`"));
    } else if (!effect.confirmed) {
      problems.push_back(problem(fmt::format("`{}` was begun and never confirmed", effect.id),
                                 "`whimbrel run PLAN` goes on, `whimbrel rollback PLAN` undoes"));
    }
  }
}

// Of the side that serves.
void stuck_rows(const json& table, bool new_serves, json& problems) {
  const json& side = table[new_serves ? "new" : "old"];
  if (!side.contains("stuck") || side["stuck"]["rows"] == 0) return;
  const std::int64_t rows = side["stuck"]["rows"].get<std::int64_t>();
  const Milliseconds wanted(side["stuck"]["for_ms"].get<std::int64_t>());
  problems.push_back(problem(
      fmt::format("{} of {} {} been stuck for more than {}{}", rows_text(rows),
                  side["table"].get<std::string>(), rows == 1 ? "has" : "have",
                  to_duration_text(wanted),
                  side["stuck"].contains("example")
                      ? ", like " + side["stuck"]["example"].get<std::string>()
                      : ""),
      "look at what works on them; the plan says under `health: {stuck: …}` which are meant"));
}

Result<std::int64_t> rows_in(Store& store, const TableSchema& table) {
  ASSIGN_OR_RETURN(const auto reader, store.open_reader(table));
  return reader->count();
}

// Both sides counted while the old one stood still; unset where it never did.
Result<std::optional<std::pair<std::int64_t, std::int64_t>>> counted_at_once(const Move& move) {
  constexpr int tries_max = 5;
  for (int tries = 0; tries < tries_max; ++tries) {
    ASSIGN_OR_RETURN(const std::int64_t before, rows_in(*move.source, move.mapping.source));
    ASSIGN_OR_RETURN(const std::int64_t target, rows_in(*move.target, move.mapping.target));
    ASSIGN_OR_RETURN(const std::int64_t after, rows_in(*move.source, move.mapping.source));
    if (before == after) return std::optional(std::pair(after, target));
  }
  return std::optional<std::pair<std::int64_t, std::int64_t>>();
}

// Once everything has moved and nothing waits, both sides have as many rows.
Status unequal_counts(const Migration& migration, const State& state, const json& lag,
                      json& problems) {
  const bool all_moved = state.phase == Phase::following || state.phase == Phase::verified ||
                         state.phase == Phase::watching;
  const bool waits = std::ranges::any_of(
      lag, [](const json& feed) { return feed["changes"] != 0 || feed["at_least"] == true; });
  if (!all_moved || waits || state.rejected > 0) return {};
  for (const Move& move : migration.moves) {
    ASSIGN_OR_RETURN(const auto rows, counted_at_once(move));
    if (!rows || rows->first == rows->second) continue;
    problems.push_back(
        problem(fmt::format("{} has {} on the old side and {} on the new one", move.name,
                            rows_text(rows->first), with_thousands(rows->second)),
                "`whimbrel verify PLAN` says which; `--repair` puts them right"));
  }
  return {};
}

// Noted by capture and not carried over yet, by feed.
Result<json> waiting(const Migration& migration, const State& state) {
  json feeds = json::array();
  for (const auto& [feed, position] : state.positions) {
    if (!state.confirmed("feed:" + feed)) continue;
    for (const auto& [alias, store] : migration.stores) {
      const Result<ChangeBatch> batch = store->capture().read(feed, position, waiting_counted_max);
      if (!batch.ok() && batch.error().code == ErrorCode::position_lost) continue;
      if (!batch.ok()) return batch.error();
      const auto changes = std::ranges::count_if(
          batch.value().changes, [](const KeyChange& change) { return !change.own; });
      feeds.push_back({{"feed", feed}, {"changes", changes}, {"at_least", !batch.value().at_end}});
    }
  }
  return feeds;
}

json drift_document(const HealthParts& parts) {
  if (!parts.drift) return {{"compared", 0}, {"why", parts.why_no_drift}};
  return {{"compared", parts.drift->compared},
          {"differing", parts.drift->differing},
          {"on_new_side", parts.drift->on_new_side},
          {"lagging", parts.drift->lagging},
          {"both_ways", parts.drift->both_ways}};
}

std::string verdict_of(const json& health) {
  const auto problems = std::ssize(health["problems"]);
  if (problems == 1) {
    return "needs attention: " + health["problems"][0]["what"].get<std::string>();
  }
  if (problems > 1) return fmt::format("needs attention: {} problems", problems);
  const auto compared = health["drift"]["compared"].get<std::int64_t>();
  return compared == 0 ? "healthy: nothing is stuck"
                       : fmt::format("healthy: nothing is stuck, and of {} compared none differs",
                                     rows_text(compared));
}

void side_lines(const char* label, const json& side, std::string& text) {
  if (!side["there"].get<bool>()) {
    text += fmt::format("  {}  {}: not there\n", label, side["table"].get<std::string>());
    return;
  }
  text += fmt::format("  {}  {}: {}", label, side["table"].get<std::string>(),
                      rows_text(side["rows"].get<std::int64_t>()));
  if (side.contains("room")) {
    const json& room = side["room"];
    text += fmt::format(
        ", {} bytes and {} in {}{}", with_thousands(room["table_bytes"].get<std::int64_t>()),
        with_thousands(room["index_bytes"].get<std::int64_t>()),
        room["indexes"] == 1 ? "1 index"
                             : fmt::format("{} indexes", room["indexes"].get<std::int64_t>()),
        room["exact"].get<bool>() ? "" : ", estimated");
  }
  text += "\n";
  if (side.contains("newest") && side["newest"].is_object()) {
    text += fmt::format("       newest by {}: {}\n", side["newest"]["column"].get<std::string>(),
                        side["newest"].value("value", "(redacted)"));
  }
  if (side.contains("oldest")) {
    text += fmt::format("       oldest by {}: {}\n", side["oldest"]["column"].get<std::string>(),
                        side["oldest"].value("value", "(redacted)"));
  }
  if (side.contains("stuck")) {
    text += fmt::format("       stuck for more than {}: {}\n",
                        to_duration_text(Milliseconds(side["stuck"]["for_ms"].get<std::int64_t>())),
                        rows_text(side["stuck"]["rows"].get<std::int64_t>()));
  }
  if (side.contains("groups") && side["groups"].is_object()) {
    text += fmt::format("       by {}:", side["groups"]["column"].get<std::string>());
    for (const json& group : side["groups"]["groups"]) {
      text += fmt::format(" {} {}", group.value("value", "(redacted)"),
                          with_thousands(group["rows"].get<std::int64_t>()));
    }
    text += "\n";
  }
  if (!side.value("read_through", true)) text += "       too large to be read through\n";
}

std::string facts_text(const json& health) {
  std::string text;
  for (const json& feed : health["lag"]) {
    text += fmt::format("lag: {}{} {} in {}\n", feed["at_least"].get<bool>() ? "more than " : "",
                        counted(feed["changes"].get<std::int64_t>(), "change"),
                        feed["changes"] == 1 ? "waits" : "wait", feed["feed"].get<std::string>());
  }
  const json& drift = health["drift"];
  if (drift.contains("why")) {
    text += "drift: not compared: " + drift["why"].get<std::string>() + "\n";
  } else {
    text += fmt::format("drift: {} of {} compared {}, {} only lag\n",
                        with_thousands(drift["differing"].get<std::int64_t>()),
                        rows_text(drift["compared"].get<std::int64_t>()),
                        drift["differing"] == 1 ? "differs" : "differ",
                        with_thousands(drift["lagging"].get<std::int64_t>()));
    text += drift["both_ways"].get<bool>()
                ? "       every row of both sides was looked at\n"
                : "       rows that only the new side has were counted, not looked for: `whimbrel "
                  "verify` finds them\n";
  }
  if (health["rejected_rows"].get<std::int64_t>() > 0) {
    text += fmt::format("set aside: {}, in rejected.jsonl\n",
                        rows_text(health["rejected_rows"].get<std::int64_t>()));
  }
  if (health["kept_rows"].get<std::int64_t>() > 0) {
    text += fmt::format("kept: {} with values that the old shape cannot hold\n",
                        rows_text(health["kept_rows"].get<std::int64_t>()));
  }
  if (health.contains("measured")) {
    for (const json& side : health["measured"]["sides"]) {
      text += fmt::format(
          "measured {}: {} side, {:.1f} answers a second, p95 up to {:.3f} ms, {:.4g} % failed\n",
          health["measured"]["made_at"].get<std::string>().substr(0, 16),
          side["side"].get<std::string>(), side["answered_per_s"].get<double>(),
          side["slowest_p95_ms"].get<double>(), side["errors_per_cent"].get<double>());
    }
  }
  if (health.contains("last_error")) {
    text += "last error: " + health["last_error"].get<std::string>() + "\n";
  }
  return text;
}

}  // namespace

Result<json> health(const HealthParts& parts, TimePoint now) {
  json document = {
      {"format", 1},
      {"migration", parts.migration.name},
      {"made_at", to_iso8601(now)},
      {"phase", "not started"},
      {"runner", false},
      {"capture_is_whole", parts.capture_is_whole ? json(*parts.capture_is_whole) : json()},
      {"tables", json::array()},
      {"problems", json::array()},
      {"lag", json::array()},
      {"drift", drift_document(parts)},
      {"rejected_rows", 0},
      {"kept_rows", 0}};
  for (const Move& move : parts.migration.moves) {
    json one = {{"name", move.name}};
    ASSIGN_OR_RETURN(one["old"], SideHealth(move, Side::old_side, now, parts.redact).look());
    ASSIGN_OR_RETURN(one["new"], SideHealth(move, Side::new_side, now, parts.redact).look());
    document["tables"].push_back(std::move(one));
  }
  json& problems = document["problems"];
  if (parts.journal != nullptr) {
    const State state = parts.journal->state();
    const bool runner = parts.journal->somebody_runs();
    if (state.started) document["phase"] = name_of(state.phase);
    document["runner"] = runner;
    document["rejected_rows"] = state.rejected;
    ASSIGN_OR_RETURN(const std::vector<KeptRow> kept, parts.journal->kept());
    document["kept_rows"] = std::ssize(kept);
    if (state.last_failure) document["last_error"] = state.last_failure->message;
    unended(state, runner, now, problems);
    ASSIGN_OR_RETURN(document["lag"], waiting(parts.migration, state));
    const bool waits = std::ranges::any_of(
        document["lag"], [](const json& feed) { return feed["changes"].get<std::int64_t>() > 0; });
    if (state.last_failure && waits && !runner) {
      problems.push_back(
          problem("the last command failed, and changes wait: " + state.last_failure->message,
                  "`whimbrel run PLAN` tries it again"));
    }
    const bool comparable = parts.drift && !parts.drift->both_ways;
    if (comparable) {
      TRY(unequal_counts(parts.migration, state, document["lag"], problems));
    }
  }
  if (parts.capture_is_whole && !*parts.capture_is_whole) {
    problems.push_back(problem("triggers or logs of whimbrel are missing: writes go unnoticed",
                               "`whimbrel run PLAN` makes them again and compares every row"));
  }
  if (parts.drift && parts.drift->differing > 0) {
    problems.push_back(
        problem(fmt::format("{} of {} compared {}", with_thousands(parts.drift->differing),
                            rows_text(parts.drift->compared),
                            parts.drift->differing == 1 ? "differs" : "differ"),
                "`whimbrel verify PLAN` says which; `--repair` puts them right"));
  }
  const bool new_serves = document["phase"] == name_of(Phase::watching) ||
                          document["phase"] == name_of(Phase::finished);
  for (const json& table : document["tables"]) stuck_rows(table, new_serves, problems);
  document["verdict"] = verdict_of(document);
  document["healthy"] = problems.empty();
  return document;
}

std::string health_text(const json& health) {
  std::string text = health["verdict"].get<std::string>() + "\n";
  if (health.contains("who")) text += health["who"].get<std::string>() + "\n";
  if (health.contains("way_back")) text += health["way_back"].get<std::string>() + "\n";
  text +=
      fmt::format("{}, {}\n", health["phase"].get<std::string>(),
                  health["runner"].get<bool>() ? "a runner is at work" : "no runner is at work");
  for (const json& one : health["problems"]) {
    text += fmt::format("problem: {}\n  hint: {}\n", one["what"].get<std::string>(),
                        one["hint"].get<std::string>());
  }
  for (const json& table : health["tables"]) {
    text += table["name"].get<std::string>() + "\n";
    side_lines("old", table["old"], text);
    side_lines("new", table["new"], text);
  }
  return text + facts_text(health);
}

}  // namespace whimbrel
