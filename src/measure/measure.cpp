#include "measure/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "measure/answers.h"
#include "measure/rounded.h"
#include "measure/value_called.h"
#include "phase/phase.h"

namespace whimbrel {

namespace {

using nlohmann::json;

double ms_of(std::chrono::nanoseconds took) {
  return rounded(static_cast<double>(took.count()) / 1e6);
}
double per_cent(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0 : rounded(100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

json latency(const Histogram& took) {
  return {{"p50_ms", ms_of(took.percentile(0.5))},
          {"p95_ms", ms_of(took.percentile(0.95))},
          {"p99_ms", ms_of(took.percentile(0.99))},
          {"max_ms", ms_of(took.highest())}};
}

// Every query goes to one store a side.
Result<Store*> store_of(const Migration& migration, Side side) {
  Store* found = nullptr;
  for (const Move& move : migration.moves) {
    Store* store = side == Side::old_side ? move.source.get() : move.target.get();
    if (found != nullptr && store != found) {
      return Error{
          ErrorCode::refused,
          fmt::format("the {} side is several stores, and a query cannot say which", name_of(side)),
          "measure with a plan whose tables have one store on each side", "nothing was changed"};
    }
    found = store;
  }
  if (found == nullptr) return Error{ErrorCode::refused, "the plan moves no tables"};
  return found;
}

std::vector<TableSchema> tables_of(const Migration& migration, Side side) {
  std::vector<TableSchema> tables;
  std::set<std::string> known;
  for (const Move& move : migration.moves) {
    const bool old_side = side == Side::old_side;
    const TableSchema& table = old_side ? move.mapping.source : move.mapping.target;
    // Several shapes may be kept in one table.
    const std::string stored = old_side ? move.stored_source() : move.stored_target();
    if (!known.insert(stored).second) continue;
    tables.push_back(table);
  }
  return tables;
}

// Null where nothing is there (any more).
Result<json> storage(Store& store, const std::vector<TableSchema>& tables) {
  json all = json::array();
  std::int64_t bytes = 0;
  bool exact = true;
  for (const TableSchema& table : tables) {
    const Result<RoomTaken> room = store.room_taken(table);
    if (!room.ok() && room.error().code == ErrorCode::not_found) continue;
    if (!room.ok()) return room.error();
    all.push_back({{"table", store.stored_as(table.name)},
                   {"table_bytes", room.value().table_bytes},
                   {"index_bytes", room.value().index_bytes},
                   {"indexes", room.value().indexes}});
    bytes += room.value().table_bytes + room.value().index_bytes;
    exact = exact && room.value().exact;
  }
  if (all.empty()) return json();
  return json{{"bytes", bytes}, {"exact", exact}, {"tables", all}};
}

json query_document(const QueryOutcome& query, const MeasuredQuery& asked, Side side) {
  json one = latency(query.took);
  one["name"] = query.name;
  one["sql_digest"] = digest_hex(side == Side::old_side ? asked.old_sql : asked.new_sql);
  one["count"] = query.took.count();
  one["rows"] = query.rows;
  one["failed"] = query.failed();
  one["errors"] = query.errors;
  one["scans"] = query.scans;
  if (query.read_units > 0) one["read_units"] = rounded(query.read_units);
  return one;
}

json answers_document(const std::vector<ComparedAnswers>& all) {
  json answers = json::array();
  for (const ComparedAnswers& one : all) {
    answers.push_back({{"name", one.name},
                       {"asked", one.asked},
                       {"same", one.same},
                       {"counted", one.counted},
                       {"moving", one.moving},
                       {"first", one.first}});
  }
  return answers;
}

json probe_document(const ProbeOutcome& probe) {
  const std::int64_t probes = probe.took.count() + probe.failed();
  json one = latency(probe.took);
  one["probes"] = probes;
  one["failed"] = probe.failed();
  one["errors"] = probe.errors;
  one["limit_ms"] = write_limit.count();
  one["uptime_per_cent"] = probes == 0 ? 100.0 : per_cent(probe.took.count(), probes);
  return one;
}

json side_document(Side side, const LoadOutcome& outcome,
                   const std::vector<MeasuredQuery>& queries) {
  json all = json::array();
  std::int64_t answered = 0;
  std::int64_t failed = 0;
  for (std::size_t i = 0; i < outcome.queries.size(); ++i) {
    all.push_back(query_document(outcome.queries[i], queries[i], side));
    answered += outcome.queries[i].took.count();
    failed += outcome.queries[i].failed();
  }
  const auto elapsed_ms = std::max<std::int64_t>(outcome.elapsed.count(), 1);
  json one = {{"side", name_of(side)},
              {"elapsed_ms", elapsed_ms},
              {"queries", all},
              {"answered", answered},
              {"failed", failed},
              {"unserved", outcome.unserved},
              {"errors_per_cent",
               per_cent(failed + outcome.unserved, answered + failed + outcome.unserved)},
              {"answered_per_s",
               rounded(static_cast<double>(answered) * 1000.0 / static_cast<double>(elapsed_ms))}};
  if (outcome.probe) one["probe"] = probe_document(*outcome.probe);
  return one;
}

json journal_document(const std::optional<JournalFacts>& journal) {
  if (!journal) return json();
  json one = {{"phase", journal->phase},
              {"attempt", journal->attempt},
              {"writers",
               {{"holds", journal->writers.holds},
                {"held_ms", journal->writers.held.count()},
                {"longest_hold_ms", journal->writers.longest.count()},
                {"migration_ms", journal->writers.migration.count()},
                {"uptime_per_cent", rounded(journal->writers.uptime_per_cent())}}}};
  if (journal->verified) {
    one["set_aside"] = journal->set_aside;
    one["verified"] = {{"rows", journal->verified->rows},
                       {"differing", journal->verified->differing},
                       {"at", to_iso8601(journal->verified->at)}};
  }
  return one;
}

json criteria_document(const std::vector<Criterion>& criteria) {
  json all = json::object();
  for (const Criterion& one : criteria) all[one.kind->name] = one.written;
  return all;
}

// Nobody asks for nothing: nulls are left out.
Result<std::vector<Value>> first_values(Store& store, const TableSchema& table,
                                        const std::string& column) {
  constexpr std::int64_t rows_max = 1000;
  ASSIGN_OR_RETURN(const auto reader, store.open_reader(table));
  ASSIGN_OR_RETURN(const ChunkOfRows chunk, reader->read_after(std::nullopt, {rows_max}));
  std::vector<Value> values;
  for (const Row& row : chunk.rows) {
    const Value* value = value_called(row, table, column);
    if (value != nullptr && !value->is_null()) values.push_back(*value);
  }
  return values;
}

// What the values of a parameter are where the plan takes them from a table: those of its first
// rows, on the side that is asked, or on the old side where that has no such column.
Status sample(const Migration& migration, Side side, std::vector<MeasuredQuery>& queries) {
  for (MeasuredQuery& query : queries) {
    for (const SampledParameter& one : query.samples) {
      const auto move = std::ranges::find(migration.moves, one.table, &Move::name);
      if (move == migration.moves.end()) {
        return Error{
            ErrorCode::invalid_plan,
            fmt::format("no table of the plan is called `{}`", printable(one.table)),
            fmt::format("`:{}` of the query `{}` is to come from it", one.parameter, query.name)};
      }
      const auto has = [&](const TableSchema& table) {
        return table.column_index(table.own_spelling(one.column)) >= 0;
      };
      const bool old_side = side == Side::old_side || !has(move->mapping.target);
      const TableSchema& table = old_side ? move->mapping.source : move->mapping.target;
      if (!has(table) && table.rest_column.empty()) {
        return Error{ErrorCode::invalid_plan,
                     fmt::format("{} has no column `{}`", table.name, printable(one.column)),
                     did_you_mean(one.column, table.column_names())};
      }
      ASSIGN_OR_RETURN(std::vector<Value> values,
                       first_values(old_side ? *move->source : *move->target, table, one.column));
      // Where items have any attributes, one may have no item any more.
      if (values.empty() && !old_side && has(move->mapping.source)) {
        ASSIGN_OR_RETURN(values, first_values(*move->source, move->mapping.source, one.column));
      }
      if (values.empty()) values.emplace_back();
      for (auto& [name, all] : query.with) {
        if (name == one.parameter) all = values;
      }
    }
  }
  return {};
}

}  // namespace

std::optional<Side> serving_side(const std::optional<JournalFacts>& journal) {
  if (!journal) return Side::old_side;
  const std::optional<Phase> phase = phase_from(journal->phase);
  if (!phase || *phase == Phase::stuck || *phase == Phase::fenced ||
      *phase == Phase::rolling_back) {
    return std::nullopt;
  }
  const bool switched =
      *phase == Phase::watching || *phase == Phase::finishing || *phase == Phase::finished;
  return switched ? Side::new_side : Side::old_side;
}

std::vector<ScanningQuery> scanning_queries(const Migration& migration, const MeasuresPlan& plan) {
  std::vector<ScanningQuery> scanning;
  const Result<Store*> store = store_of(migration, Side::new_side);
  if (!store.ok()) return scanning;
  for (const MeasuredQuery& query : plan.queries) {
    const auto runner = open_runner(*store.value(), {query}, Side::new_side, Milliseconds(5000));
    if (!runner.ok()) continue;  // wrong_queries() tells why
    const Result<std::vector<std::string>> scans = runner.value()->scans(0);
    if (scans.ok() && !scans.value().empty()) scanning.push_back({query.name, scans.value()});
  }
  return scanning;
}

std::vector<Error> wrong_queries(const Migration& migration, const MeasuresPlan& plan) {
  std::vector<Error> wrong;
  for (const Side side : {Side::old_side, Side::new_side}) {
    const Result<Store*> store = store_of(migration, side);
    if (!store.ok()) {
      if (!plan.queries.empty()) wrong.push_back(store.error());
      continue;
    }
    // Before `prepare` the new side is not there, and nothing can be said about its queries.
    const std::vector<TableSchema> tables = tables_of(migration, side);
    const bool there = std::ranges::all_of(tables, [&](const TableSchema& table) {
      return store.value()->catalog().describe(table.name).ok();
    });
    for (const MeasuredQuery& query : plan.queries) {
      const Status taken = there ? takes(*store.value(), side, query) : Status();
      if (!taken.ok()) wrong.push_back(taken.error());
    }
  }
  return wrong;
}

Result<json> measure(const MeasureParts& parts, const std::vector<Side>& sides,
                     const LoadSettings& settings, double times) {
  if (parts.plan.queries.empty()) {
    return Error{ErrorCode::invalid_plan, "the plan names no queries to measure",
                 "add `queries: {name: {old: \"SELECT …\", new: \"SELECT …\"}}`",
                 "nothing was changed"};
  }
  json measured = json::array();
  std::vector<MeasuredQuery> old_queries;  // with their samples
  for (const Side side : sides) {
    ASSIGN_OR_RETURN(Store* const store, store_of(parts.migration, side));
    const std::vector<TableSchema> tables = tables_of(parts.migration, side);
    ThreadExecutor executor(settings.connections + (settings.writes ? 1 : 0));
    std::vector<MeasuredQuery> queries = parts.plan.queries;
    TRY(sample(parts.migration, side, queries));
    ASSIGN_OR_RETURN(const LoadOutcome outcome, put_load(*store, side, queries, tables, settings,
                                                         parts.clock, executor, parts.stop));
    json one = side_document(side, outcome, queries);
    ASSIGN_OR_RETURN(one["storage"], storage(*store, tables));
    parts.events.emit({"side_measured",
                       {{"side", std::string(name_of(side))},
                        {"answered", one["answered"].get<std::int64_t>()},
                        {"failed", one["failed"].get<std::int64_t>()}}});
    measured.push_back(std::move(one));
    if (side == Side::old_side) old_queries = std::move(queries);
  }
  json answers;
  if (sides.size() == 2) {
    ASSIGN_OR_RETURN(Store* const old_side, store_of(parts.migration, Side::old_side));
    ASSIGN_OR_RETURN(Store* const new_side, store_of(parts.migration, Side::new_side));
    ASSIGN_OR_RETURN(const auto compared,
                     compare_answers(*old_side, *new_side, old_queries, settings, parts.clock,
                                     parts.stop, parts.catch_up));
    answers = answers_document(compared);
  }
  json load = {{"connections", settings.connections}, {"times", times}};
  load["rate_per_s"] = settings.rate_per_s ? json(rounded(*settings.rate_per_s)) : json();
  return json{{"format", 1},
              {"migration", parts.migration.name},
              {"digest", parts.migration.digest},
              {"made_at", to_iso8601(parts.clock.now())},
              {"duration_ms", settings.duration.count()},
              {"load", load},
              {"seed", settings.seed},
              {"sides", measured},
              {"answers", answers},
              {"journal", journal_document(parts.journal)},
              {"criteria", criteria_document(parts.plan.criteria)},
              {"advisory", criteria_document(parts.plan.advisory)}};
}

namespace {

std::string query_notes(const json& query) {
  std::string text;
  for (const auto& [message, count] : query["errors"].items()) {
    text += fmt::format("    {} × {}\n", count.get<std::int64_t>(), message);
  }
  for (const json& table : query["scans"]) {
    text += fmt::format("    reads all of {}: no key and no index serves it\n",
                        printable(table.get<std::string>()));
  }
  if (query.contains("read_units") && query["count"] > 0) {
    text += fmt::format("    {:.4g} read units an answer\n",
                        query["read_units"].get<double>() / query["count"].get<double>());
  }
  return text;
}

std::string answers_text(const json& query) {
  const auto asked = query["asked"].get<std::int64_t>();
  const auto same = query["same"].get<std::int64_t>();
  const auto counted = query["counted"].get<std::int64_t>();
  const auto moving = query["moving"].get<std::int64_t>();
  std::string text = fmt::format("  {:<24} {} of {} the same", query["name"].get<std::string>(),
                                 with_thousands(same), with_thousands(asked));
  if (counted > 0) {
    text += fmt::format("; of {} only the number of rows, for the columns differ",
                        with_thousands(counted));
  }
  if (moving > 0) {
    text += fmt::format("; {} more changed while they were put, and say nothing",
                        with_thousands(moving));
  }
  if (same < asked) text += "; first difference: " + query["first"].get<std::string>();
  return text + "\n";
}

}  // namespace

std::string measurement_text(const json& measurement) {
  std::string text;
  for (const json& side : measurement["sides"]) {
    text += fmt::format(
        "{} side: {} answered, {:.1f} a second, {} failed, {} not served\n",
        side["side"].get<std::string>(), with_thousands(side["answered"].get<std::int64_t>()),
        side["answered_per_s"].get<double>(), with_thousands(side["failed"].get<std::int64_t>()),
        with_thousands(side["unserved"].get<std::int64_t>()));
    text += fmt::format("  {:<24} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "query", "answered", "p50 ms",
                        "p95 ms", "p99 ms", "max ms");
    for (const json& query : side["queries"]) {
      text += fmt::format("  {:<24} {:>9} {:>9.3f} {:>9.3f} {:>9.3f} {:>9.3f}\n",
                          query["name"].get<std::string>(), query["count"].get<std::int64_t>(),
                          query["p50_ms"].get<double>(), query["p95_ms"].get<double>(),
                          query["p99_ms"].get<double>(), query["max_ms"].get<double>());
      text += query_notes(query);
    }
    if (side.contains("probe")) {
      text += fmt::format("  writes: {} tried and taken back, {} failed, {:.3f} ms at most\n",
                          side["probe"]["probes"].get<std::int64_t>(),
                          side["probe"]["failed"].get<std::int64_t>(),
                          side["probe"]["max_ms"].get<double>());
    }
    if (!side["storage"].is_null()) {
      text += fmt::format("  storage: {} bytes{}\n",
                          with_thousands(side["storage"]["bytes"].get<std::int64_t>()),
                          side["storage"]["exact"].get<bool>() ? "" : ", estimated");
    }
  }
  if (measurement["answers"].is_null()) return text;
  text += "answers of both sides:\n";
  for (const json& query : measurement["answers"]) text += answers_text(query);
  return text;
}

bool answers_differ(const json& measurement) {
  return std::ranges::any_of(measurement["answers"],
                             [](const json& one) { return one["same"] != one["asked"]; });
}

}  // namespace whimbrel
