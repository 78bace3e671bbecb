#include "report/status.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/text.h"
#include "report/files.h"

namespace whimbrel {

namespace {

using nlohmann::json;

json tables_of(const State& state) {
  json about = json::parse(state.tables, nullptr, false);
  return about.is_object() ? about : json::object();
}

// A hold ends by itself; until then the application's writes are refused.
std::string held_until(const State& state) {
  const Effect* hold = state.effect("hold");
  if (hold == nullptr) return "";
  const json undo = json::parse(hold->undo, nullptr, false);
  if (!undo.is_object() || !undo.contains("until_ms")) return "";
  const TimePoint until(Milliseconds(undo["until_ms"].get<std::int64_t>()));
  return " Writers are held until " + to_iso8601(until) +
         " at the latest; `whimbrel run` or `whimbrel rollback` lets them go.";
}

std::string first_line(const State& state, const json& about) {
  const bool dual = about.value("sync", "") == "dual";
  const bool window = about.value("sync", "") == "none";
  switch (state.phase) {
    case Phase::watching:
      return dual ? "The new side is read and written; the old side is kept equal by triggers."
                  : "The new side is read and written; the old side follows it while a runner "
                    "lives.";
    case Phase::finished:
      return "The new side is read and written; the migration is finished.";
    case Phase::finishing:
      return "The new side is read and written; `finish` is under way.";
    case Phase::stuck:
      return "UNKNOWN who reads and writes where: a switch may or may not have flipped.";
    case Phase::rolled_back:
      return "The old side is read and written; everything is as it was before.";
    case Phase::rolling_back:
      return "A rollback is under way; run `whimbrel rollback` to end it.";
    case Phase::fenced:
      return "The switch is under way." + held_until(state);
    default:
      return dual && (state.confirmed("links"))
                 ? "The old side is read and written; the new side is kept equal by triggers."
             : window ? "The old side is read and written; the new side is brought up to date in "
                        "the window."
                      : "The old side is read and written.";
  }
}

std::string way_back(const State& state, const json& about, TimePoint now, bool somebody_runs) {
  if (state.phase == Phase::finished || state.phase == Phase::finishing)
    return state.phase == Phase::finished
               ? "way back: the old tables can be brought back from the archive or a backup"
               : "way back: closed while `finish` is under way";
  if (state.phase == Phase::rolled_back) return "way back: taken";
  if (state.phase != Phase::watching) return "way back: open";
  const Milliseconds after(about.value("finish_after_ms", std::int64_t{0}));
  const TimePoint due = state.phase_since + after;
  std::string text = "way back: open until `finish`";
  if (after.count() > 0 && due > now)
    text += ", which the plan allows from " + to_iso8601(due).substr(0, 16);
  if (about.value("sync", "") != "dual" && !somebody_runs) {
    text += "; changes wait in the database until a runner starts";
  }
  return text;
}

json table_progress(const State& state, const json& about) {
  json tables = json::array();
  int index = 0;
  for (const auto& table : about.value("tables", json::array())) {
    json one = table;
    for (const char* not_progress : {"from_columns", "to_columns", "from_ddl", "to_ddl"}) {
      one.erase(not_progress);
    }
    if (const auto it = state.copies.find(index); it != state.copies.end()) {
      const CopyProgress& copy = it->second;
      one["copied"] = {{"chunks", copy.chunks},
                       {"read", copy.read},
                       {"written", copy.written},
                       {"skipped", copy.skipped},
                       {"rejected", copy.rejected},
                       {"done", copy.at_end},
                       {"rows_per_s", copy.ms > 0 ? copy.read * 1000 / copy.ms : 0}};
    }
    if (const auto it = state.verifies.find(index); it != state.verifies.end()) {
      one["compared"] = {{"rows", it->second.rows},
                         {"differing", it->second.differing},
                         {"expected", it->second.expected},
                         {"found", it->second.found}};
    }
    tables.push_back(std::move(one));
    ++index;
  }
  return tables;
}

}  // namespace

json status_document(const Journal& journal, TimePoint now) {
  const State state = journal.state();
  const json about = tables_of(state);
  json document = {{"migration", state.migration},
                   {"attempt", state.attempt},
                   {"phase", state.started ? name_of(state.phase) : "not started"},
                   {"why", state.why},
                   {"who", first_line(state, about)},
                   {"runner", journal.somebody_runs()},
                   {"tables", table_progress(state, about)},
                   {"rejected", state.rejected}};
  document["way_back"] = way_back(state, about, now, journal.somebody_runs());
  document["since"] = to_iso8601(state.phase_since);
  const Result<std::vector<KeptRow>> kept = journal.kept();
  document["kept_rows"] = kept.ok() ? std::ssize(kept.value()) : 0;
  if (state.last_failure) {
    document["last_error"] = {{"code", state.last_failure->code},
                              {"message", state.last_failure->message}};
  }
  if (state.verified) {
    document["verified"] = {{"rows", state.verified->rows},
                            {"differing", state.verified->differing},
                            {"full", state.verified->full},
                            {"at", to_iso8601(state.verified_at)}};
  }
  return document;
}

std::string status_text(const Journal& journal, TimePoint now) {
  const State state = journal.state();
  if (!state.started) return "Nothing was started yet. `whimbrel run` begins.\n";
  const json document = status_document(journal, now);
  std::string text =
      document["who"].get<std::string>() + "\n" + document["way_back"].get<std::string>() + "\n";
  text += fmt::format("{}, attempt {}: {} since {} ({})\n", state.migration, state.attempt,
                      name_of(state.phase), to_iso8601(state.phase_since).substr(0, 19), state.why);
  for (const auto& table : document["tables"]) {
    text += fmt::format("  {}\n", table.value("name", ""));
    if (table.contains("copied")) {
      const auto& copied = table["copied"];
      text += fmt::format("    copied   {} rows in {} chunks, {} rows/s{}\n",
                          with_thousands(copied["read"].get<std::int64_t>()),
                          copied["chunks"].get<std::int64_t>(),
                          with_thousands(copied["rows_per_s"].get<std::int64_t>()),
                          copied["done"].get<bool>() ? "" : " so far");
    }
    if (table.contains("compared")) {
      text += fmt::format("    compared {} rows, {} differ\n",
                          with_thousands(table["compared"]["rows"].get<std::int64_t>()),
                          with_thousands(table["compared"]["differing"].get<std::int64_t>()));
    }
  }
  if (state.rejected > 0)
    text += fmt::format("{} rows are set aside in rejected.jsonl\n", state.rejected);
  if (document["kept_rows"].get<std::int64_t>() > 0) {
    text += fmt::format("{} rows hold values that the old shape cannot hold\n",
                        document["kept_rows"].get<std::int64_t>());
  }
  if (state.last_failure) text += "last error: " + state.last_failure->message + "\n";
  text += journal.somebody_runs() ? "a runner is at work\n" : "no runner is at work\n";
  return text;
}

std::vector<NextStep> next_steps(const State& state, const std::string& plan) {
  const auto step = [&](const char* verb, const char* why) {
    return NextStep{fmt::format("whimbrel {} {}", verb, plan), why};
  };
  if (!state.started) return {step("analyze", "see what would happen"), step("run", "begin")};
  switch (state.phase) {
    case Phase::planned:
    case Phase::prepared:
    case Phase::copying:
    case Phase::following:
    case Phase::fenced:
      return {step("run", "go on from here"), step("rollback", "undo everything so far")};
    case Phase::verified:
      return {step("cutover", "switch over"), step("rollback", "undo everything so far")};
    case Phase::watching:
      return {step("verify", "compare both sides again"),
              step("rollback", "go back without losing a write"),
              step("finish", "give up the way back and clean up")};
    case Phase::rolling_back:
      return {step("rollback", "end the rollback")};
    case Phase::rolled_back:
      return {step("run", "begin the next attempt")};
    case Phase::finishing:
      return {step("finish", "end it")};
    case Phase::stuck:
      return {step("cutover --decide switched", "if the switch did flip"),
              step("cutover --decide not-switched", "if it did not"), step("rollback", "go back")};
    case Phase::finished:
      return {step("report", "the audit trail"),
              step("rollback", "bring the old tables back, with what was written since")};
  }
  return {};
}

Result<json> checkpoint_document(const Journal& journal, const std::string& folder, TimePoint now) {
  const State state = journal.state();
  json document = {{"migration", state.migration},  {"attempt", state.attempt},
                   {"phase", name_of(state.phase)}, {"plan_digest", state.digest},
                   {"journal", journal.id()},       {"made_at", to_iso8601(now)},
                   {"files", json::object()}};
  for (const char* name : {"rejected.jsonl", "kept-by-rollback.jsonl.zst"}) {
    const std::filesystem::path path = std::filesystem::path(folder) / name;
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) continue;
    ASSIGN_OR_RETURN(const std::string content, read_file(path.string()));
    document["files"][name] = digest_hex(content);
  }
  return document;
}

}  // namespace whimbrel
