#include "report/facts.h"

#include <algorithm>
#include <cstdlib>

#include "report/files.h"

namespace whimbrel {

namespace {

using nlohmann::json;

// An analysis counts for the plan it was made of; before the first run nobody knows the digest.
json analysis_of(const std::string& folder, const State& state, const std::string& migration) {
  json document = folder.empty() ? json() : last_analysis(folder);
  const auto says = [&](const char* key, const std::string& value) {
    return document.contains(key) && document[key] == value;
  };
  const bool fits = state.started ? says("digest", state.digest) : says("migration", migration);
  return fits ? document : json();
}

std::int64_t whole(const json& object, const char* key, std::int64_t unsaid) {
  const auto it = object.find(key);
  return it != object.end() && it->is_number_integer() ? it->get<std::int64_t>() : unsaid;
}

std::vector<TableFacts> tables_of(const ReportFacts& facts) {
  std::vector<TableFacts> all;
  const std::vector<std::int64_t> analyzed = rows_analyzed(facts.analysis);
  for (std::size_t i = 0; i < facts.plan.tables.size(); ++i) {
    TableFacts one;
    one.table = facts.plan.tables[i];
    const int index = static_cast<int>(i);
    if (const auto it = facts.state.copies.find(index); it != facts.state.copies.end()) {
      one.copy = it->second;
    }
    if (const auto it = facts.state.verifies.find(index); it != facts.state.verifies.end()) {
      one.compared = it->second;
    }
    if (i < analyzed.size()) one.expected_rows = analyzed[i];
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace

json last_analysis(const std::string& folder) {
  const Result<std::string> content = read_file(analysis_file(folder));
  json document = content.ok() ? json::parse(content.value(), nullptr, false) : json();
  return document.is_object() ? document : json();
}

std::vector<std::int64_t> rows_analyzed(const json& analysis) {
  std::vector<std::int64_t> rows;
  if (!analysis.is_object() || !analysis.contains("tables")) return rows;
  for (const json& table : analysis["tables"]) {
    rows.push_back(table.is_object() ? whole(table, "rows", -1) : -1);
  }
  return rows;
}

bool ReportFacts::is_switched() const {
  const EffectTimes* switched = story.effect("switched");
  return switched != nullptr && switched->confirmed && state.phase != Phase::rolled_back;
}

std::int64_t ReportFacts::rows_read() const {
  std::int64_t rows = 0;
  for (const TableFacts& one : tables) rows += one.copy ? one.copy->read : 0;
  return rows;
}

std::int64_t ReportFacts::rows_written() const {
  std::int64_t rows = 0;
  for (const TableFacts& one : tables) rows += one.copy ? one.copy->written : 0;
  return rows;
}

std::int64_t ReportFacts::rows_rejected() const {
  std::int64_t rows = 0;
  for (const TableFacts& one : tables) rows += one.copy ? one.copy->rejected : 0;
  return rows;
}

std::int64_t ReportFacts::rows_moved() const {
  std::int64_t rows = 0;
  for (const TableFacts& one : tables) rows += one.copy ? one.copy->read - one.copy->rejected : 0;
  return rows;
}

// A comparison counts the rows of the source; its fingerprint those that have an image.
std::int64_t ReportFacts::rows_compared(const Comparison& comparison) const {
  if (state.rejected == 0) return comparison.what.rows;
  std::int64_t looked_at = 0;
  std::int64_t with_image = 0;
  for (const TableFacts& one : tables) {
    if (!one.compared) continue;
    looked_at += one.compared->rows;
    with_image += std::strtoll(one.compared->expected.c_str(), nullptr, 10);
  }
  const bool is_of_this_one = looked_at == comparison.what.rows && with_image > 0;
  return is_of_this_one ? with_image
                        : std::max<std::int64_t>(0, comparison.what.rows - state.rejected);
}

std::int64_t ReportFacts::rows_expected() const {
  std::int64_t rows = 0;
  for (const TableFacts& one : tables) {
    if (one.expected_rows < 0) return -1;
    rows += one.expected_rows;
  }
  return tables.empty() ? -1 : rows;
}

std::int64_t ReportFacts::bytes_read() const {
  std::int64_t bytes = 0;
  for (const auto& [move, one] : story.bytes) bytes += one;
  return bytes;
}

std::string ReportFacts::command(const std::string& verb, const std::string& more) const {
  std::string text = "whimbrel " + verb;
  if (!wanted.plan.empty()) text += " " + shell_word(wanted.plan);
  if (!wanted.state_option.empty()) text += " --state " + shell_word(wanted.state_option);
  return more.empty() ? text : text + " " + more;
}

std::string ReportFacts::message_of(const Failed& failed) const {
  return wanted.redact ? "left out: " + failed.code : failed.message;
}

Result<ReportFacts> gather(const Journal& journal, ReportWanted wanted) {
  ReportFacts facts;
  facts.wanted = std::move(wanted);
  facts.state = journal.state();
  facts.journal_id = journal.id();
  StoryTeller story;
  TrailTeller trail(facts.wanted.redact);
  TRY(journal.hear([&](const Stamped& stamped) {
    story.hear(stamped);
    trail.hear(stamped);
    return Status();
  }));
  facts.story = std::move(story).end();
  facts.trail = std::move(trail).end();
  facts.plan = planned(facts.state, facts.wanted.plan_file);
  facts.measurement =
      only_of(facts.story, facts.plan.migration, read_measurement(facts.wanted.folder));
  facts.analysis = analysis_of(facts.wanted.folder, facts.state, facts.plan.migration);
  ASSIGN_OR_RETURN(const std::vector<KeptRow> kept, journal.kept());
  facts.kept_rows = std::ssize(kept);
  facts.tables = tables_of(facts);
  return facts;
}

}  // namespace whimbrel
