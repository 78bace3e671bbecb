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
  what_happened(out, facts);
  return std::move(out).end();
}

}  // namespace whimbrel
