#include "report/document.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/counted.h"
#include "base/text.h"
#include "report/checklist.h"
#include "report/files.h"
#include "report/headline.h"
#include "report/json_text.h"
#include "report/page.h"
#include "report/status.h"

namespace whimbrel {

namespace {

using nlohmann::json;

// Plans and undo texts may hold row values: the trail says that they are there, not what.
json entry_of(const Stamped& stamped, bool redact) {
  json body = json::parse(to_json(stamped.record), nullptr, false);
  for (const char* hidden : {"plan", "tables", "undo", "result", "through"}) body.erase(hidden);
  if (redact && std::holds_alternative<Failed>(stamped.record)) body["message"] = "left out";
  return {{"number", stamped.number},
          {"at", to_iso8601(stamped.at)},
          {"record", name_of(stamped.record)},
          {"body", std::move(body)}};
}

std::string text_of_table(const json& table) {
  std::string text = fmt::format("{} → {}\n", table.value("from", ""), table.value("to", ""));
  if (table.contains("copied")) {
    const json& copied = table["copied"];
    text +=
        fmt::format("  rows: {} read, {} written, {} there already, {} set aside\n",
                    copied["read"].get<std::int64_t>(), copied["written"].get<std::int64_t>(),
                    copied["skipped"].get<std::int64_t>(), copied["rejected"].get<std::int64_t>());
  }
  if (table.contains("compared")) {
    const json& compared = table["compared"];
    // The checksum counts the rows that have an image: what was set aside is not compared.
    const std::string expected = compared.value("expected", "");
    const std::int64_t rows = expected.empty() ? compared["rows"].get<std::int64_t>()
                                               : std::strtoll(expected.c_str(), nullptr, 10);
    text += fmt::format("  compared: {}, {} {}\n  checksum source: {}\n  checksum target: {}\n",
                        rows_text(rows), compared["differing"].get<std::int64_t>(),
                        compared["differing"] == 1 ? "differs" : "differ", expected,
                        compared.value("found", ""));
  }
  return text;
}

}  // namespace

json report_head(const Journal& journal, const ReportFacts& facts) {
  json report = status_document(journal, facts.wanted.now);
  json plan = json::parse(facts.state.plan, nullptr, false);
  report["plan"] = plan.is_object() ? std::move(plan) : json::object();
  report["made_at"] = to_iso8601(facts.wanted.now);
  report["phases"] = json::object();
  for (const auto& [phase, at] : facts.state.phase_times) report["phases"][phase] = to_iso8601(at);
  const Headline line = headline(facts);
  report["headline"] = line.sentences;
  report["headline"].insert(report["headline"].begin(), line.title);
  report["rehearsed"] = json::array();
  for (const Rehearsed& one : facts.story.rehearsed) {
    report["rehearsed"].push_back({{"as_written", one.as_written},
                                   {"switched_at", to_iso8601(one.switched)},
                                   {"rolled_back_at", to_iso8601(one.rolled_back)}});
  }
  report["checklist"] = to_json(checklist(facts));
  if (!facts.started()) {
    report["migration"] = facts.plan.migration;
    report["since"] = report["made_at"];
  }
  if (facts.wanted.redact && facts.state.last_failure) report["last_error"]["message"] = "left out";
  return report;
}

Status write_report_json(const Journal& journal, const ReportFacts& facts, bool one_line,
                         const Sink& sink) {
  std::string head = report_head(journal, facts)
                         .dump(one_line ? -1 : 2, ' ', false, json::error_handler_t::replace);
  head.pop_back();  // the brace: the trail is one more member
  if (!one_line) head.pop_back();
  TRY(sink(head + (one_line ? ",\"trail\":[" : ",\n  \"trail\": [")));
  std::string before = one_line ? "" : "\n    ";
  const std::string next = one_line ? "," : ",\n    ";
  TRY(journal.hear([&](const Stamped& stamped) -> Status {
    TRY(sink(before + dumped(entry_of(stamped, facts.wanted.redact))));
    before = next;
    return {};
  }));
  return sink(one_line ? "]}\n" : "\n  ]\n}\n");
}

Status write_report_text(const Journal& journal, const ReportFacts& facts, const Sink& sink) {
  const json head = report_head(journal, facts);
  std::string text = fmt::format("{}: {}\n{}\n", head.value("migration", ""),
                                 head.value("phase", ""), head.value("who", ""));
  for (const json& table : head["tables"]) text += text_of_table(table);
  for (const json& line : head["checklist"]) {
    const std::string tick = line.value("tick", "");
    const char* mark = tick == "met" ? "[x]" : tick == "not_met" ? "[!]" : "[ ]";
    text += fmt::format("{} {}: {}\n", mark, line.value("what", ""), line.value("value", ""));
  }
  TRY(sink(text));
  return journal.hear([&](const Stamped& stamped) -> Status {
    const std::string record = name_of(stamped.record);
    if (record == "ChunkCopied" || record == "ChangesApplied") return {};
    const json entry = entry_of(stamped, facts.wanted.redact);
    return sink(fmt::format("{}  {:<16} {}\n", to_iso8601(stamped.at), record,
                            printable(dumped(entry["body"]), 120)));
  });
}

Result<std::string> write_report_files(const Journal& journal, const ReportFacts& facts) {
  const std::string& folder = facts.wanted.folder;
  const TimePoint now = facts.wanted.now;
  ASSIGN_OR_RETURN(const auto file, StampedFile::create(folder, "report", "json", now));
  TRY(write_report_json(journal, facts, false,
                        [&](std::string_view text) { return file->write(text); }));
  TRY(file->finish());
  const Result<std::string> page = write_stamped(folder, "report", "html", report_page(facts), now);
  if (!page.ok()) return page.error();
  return file->name();
}

}  // namespace whimbrel
