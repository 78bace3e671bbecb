#include "report/runbook.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "report/headline.h"
#include "report/markdown.h"

namespace whimbrel {

namespace {

void overview(Markdown& out, const ReportFacts& facts, const std::vector<std::string>& variables) {
  constexpr std::size_t tables_max = 50;
  const Planned& plan = facts.plan;
  out.paragraph(fmt::format("Made on {}{}.", to_day_text(facts.wanted.now),
                            facts.started() ? "" : ", before anything has begun"));
  const Headline line = headline(facts);
  out.paragraph(line.title + ". " + join(line.sentences, " "));
  std::vector<std::vector<std::string>> rows;
  for (const TableFacts& one : facts.tables) {
    if (rows.size() == tables_max) break;
    const std::int64_t count = one.copy && one.copy->at_end ? one.copy->read : one.expected_rows;
    rows.push_back(
        {one.table.from, one.table.to, count < 0 ? "not counted yet" : with_thousands(count)});
  }
  if (!rows.empty()) out.table({"from", "to", "rows"}, rows);
  if (facts.tables.size() > tables_max) {
    out.paragraph(fmt::format("And {} more tables.", facts.tables.size() - tables_max));
  }
  out.heading(2, "Before you start");
  out.item("Confirmation",
           "each step that changes data shows both sides and asks for the migration's "
           "name; in a script it needs `--yes`");
  out.item("Stopping", "Ctrl-C ends the chunk at hand; the same command goes on later");
  if (!variables.empty()) {
    out.item("Variables",
             "set in the environment, or said with `--var NAME=VALUE`: " + join(variables, ", "));
  }
  if (plan.production) out.item("Production", "the plan is protected: `--force` is never allowed");
  out.item("On failure", plan.rolls_back_on_failure
                             ? "a run that fails rolls back by itself"
                             : "a run that fails stops and leaves everything "
                               "resumable; nothing is undone by itself");
  for (const PlannedCheck& check : plan.checks) {
    if (check.at == "before")
      out.item("Check", (facts.wanted.redact ? "a check of the plan" : printable(check.what, 400)) +
                            ", or nothing begins");
  }
  if (plan.starts_manually) {
    out.item("The switch", "`run` never begins it by itself: it needs `cutover`");
  } else {
    out.item("In one go",
             fmt::format("`{}` does the steps up to the switch, and the switch, without a stop",
                         facts.command("run")));
  }
}

void short_table(Markdown& out, const std::vector<RunbookStep>& steps) {
  std::vector<std::vector<std::string>> rows;
  int number = 0;
  for (const RunbookStep& step : steps) {
    rows.push_back({fmt::format("{}", ++number), step.title, "`" + step.commands.front() + "`",
                    step.time, step.happened.empty() ? "–" : step.happened.back()});
  }
  out.heading(2, "The steps at a glance");
  out.table({"", "step", "command", "time", "what happened"}, rows);
}

void write_step(Markdown& out, int number, const RunbookStep& step, bool started) {
  out.heading(2, fmt::format("{}. {}", number, step.title));
  out.command(step.commands);
  out.item("Time", step.time);
  out.item("Who confirms", step.confirms);
  out.item("Look at", step.look);
  out.item("If you stop here", step.safe);
  out.item("Way back", step.back);
  for (const std::string& text : step.happened) out.item("What happened", text);
  if (step.happened.empty() && started) out.item("What happened", "nothing yet");
}

void if_something_is_wrong(Markdown& out, const ReportFacts& facts) {
  out.heading(2, "If something goes wrong");
  out.command(
      {facts.command("status"), facts.command("rollback", "--dry-run"), facts.command("rollback")});
  out.item("Look", "`status` says who reads and writes where, the last error, and what to do next");
  out.item("Go back",
           "`rollback` undoes everything, newest first, at any time before `finish`; what the "
           "application wrote in between is kept, and what the old shape cannot hold waits in "
           "kept-by-rollback.jsonl.zst");
  out.item(
      "Nobody can tell whether a switch has flipped",
      fmt::format("look at it, then `{}` or `{}`", facts.command("cutover", "--decide switched"),
                  facts.command("cutover", "--decide not-switched")));
  out.item("The machine is lost",
           "copy the state folder to another one; the same commands go on there");
}

// What can go wrong in a migration of this kind, how somebody notices, and what is done then.
void risks(Markdown& out, const ReportFacts& facts) {
  const Planned& plan = facts.plan;
  std::vector<std::vector<std::string>> rows;
  rows.push_back({"rows get lost or are changed on the way",
                  "every row is compared before the switch, and again by `verify`",
                  "nothing is switched while a row differs; `verify --repair` puts it right"});
  rows.push_back({"the new side serves badly",
                  plan.criteria.empty()
                      ? "errors and times of the application; `measure` before and after"
                      : "`measure` before and after, judged by the plan's criteria",
                  "`" + facts.command("rollback") + "`: what was written in between is kept"});
  if (plan.sync == "none") {
    rows.push_back(
        {"the window is too short",
         "it is forecast before anybody is held, and told by when the switch must be made",
         "nothing is switched and writers are let go; a wider window, or a quieter hour"});
  } else if (!facts.dual()) {
    rows.push_back({"writers wait too long at the switch", "the longest hold is in the report",
                    "the hold ends by itself, nothing is switched, and it is tried again"});
  }
  if (!facts.dual()) {
    rows.push_back({"somebody writes to the old side after the switch",
                    "`watch` and `verify` name such rows",
                    "bring them over, or let `verify --repair` decide; `finish` waits for it"});
  }
  rows.push_back({"whimbrel or its machine dies", "`status` says that no runner is at work",
                  "the same command goes on, also elsewhere with the state folder; a hold ends by "
                  "itself"});
  rows.push_back(
      {"both sides are damaged by somebody else", "`verify`, and the application",
       plan.backs_up ? "`whimbrel restore` brings tables back from the backup, beside what is there"
                     : "the plan takes no backup: `whimbrel backup` takes one before"});
  out.heading(2, "Risks, and what is done about them");
  out.table({"risk", "how it is noticed", "what is done"}, rows);
}

// Whom it concerns at which moment; who that is, only the team knows.
void who_is_told(Markdown& out, const ReportFacts& facts) {
  const bool holds = facts.plan.hold_max.has_value() && !facts.dual();
  std::vector<std::vector<std::string>> rows;
  rows.push_back({"the day before", "everybody whose application reads or writes these tables",
                  "the hour, this runbook, and that nobody alters the tables (their columns, keys "
                  "or triggers) from the first step on"});
  rows.push_back({"before the switch", "the same, and whoever answers for it",
                  holds ? fmt::format("writes are refused or wait for {} at most",
                                      to_duration_text(*facts.plan.hold_max))
                        : "nobody has to wait"});
  rows.push_back(
      {"after the switch", "the same",
       "the new side serves; `status` has the sentence, and until when one can go back"});
  rows.push_back({"when it goes back", "the same",
                  "the old side serves again; `rollback` says which rows did not come back"});
  rows.push_back({"before `finish`", "whoever answers for the data",
                  "the way back is given up: the report, and a yes"});
  rows.push_back({"at the end", "everybody, and whoever keeps the records",
                  "`" + facts.command("report", "--html report.html") + "`"});
  out.heading(2, "Who is told, and when");
  out.table({"when", "who", "what"}, rows);
}

void what_happened(Markdown& out, const ReportFacts& facts) {
  constexpr std::size_t most = 30;
  if (!facts.started()) return;
  out.heading(2, "What really happened");
  std::vector<std::vector<std::string>> rows;
  for (const AttemptSpan& one : facts.story.attempts) {
    const bool open = one.outcome.empty() || !one.to;
    rows.push_back({fmt::format("{}", one.number), to_day_text(one.from),
                    open ? "open" : to_day_text(*one.to),
                    open                           ? name_of(facts.state.phase)
                    : one.outcome == "rolled_back" ? "rolled back"
                                                   : one.outcome});
  }
  out.table({"attempt", "began", "ended", "outcome"}, rows);
  for (const HoldSpan& hold : facts.story.holds) {
    if (!hold.on_the_way_back) continue;
    out.item("Held on the way back", fmt::format("{}, for {}", to_day_text(hold.from),
                                                 to_duration_text(hold.length(facts.wanted.now))));
  }
  std::vector<std::pair<TimePoint, std::string>> told;
  for (const Incident& one : facts.story.incidents) {
    told.emplace_back(one.at, fmt::format("error while {}: {}", name_of(one.phase),
                                          printable(facts.message_of(one.what), 300)));
  }
  for (const Decided& one : facts.story.decisions) {
    told.emplace_back(one.at, fmt::format("a person asked for {} {}", one.what.what,
                                          printable(one.what.value, 100)));
  }
  std::ranges::stable_sort(told, {}, &std::pair<TimePoint, std::string>::first);
  const std::size_t first = told.size() > most ? told.size() - most : 0;
  if (first > 0) out.item("", fmt::format("{} older errors and requests are in the report", first));
  for (std::size_t i = first; i < told.size(); ++i)
    out.item(to_day_text(told[i].first), told[i].second);
}

}  // namespace

std::string runbook(const ReportFacts& facts, const std::vector<std::string>& variables) {
  const std::vector<RunbookStep> steps = runbook_steps(facts);
  Markdown out;
  out.heading(1, "Runbook: " + facts.plan.migration);
  overview(out, facts, variables);
  short_table(out, steps);
  int number = 0;
  for (const RunbookStep& step : steps) write_step(out, ++number, step, facts.started());
  if_something_is_wrong(out, facts);
  risks(out, facts);
  who_is_told(out, facts);
  what_happened(out, facts);
  return std::move(out).end();
}

}  // namespace whimbrel
