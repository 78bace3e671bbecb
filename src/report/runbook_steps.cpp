// The steps of a runbook; how they are written is in runbook.cpp.
#include <fmt/format.h>

#include <algorithm>

#include "base/counted.h"
#include "base/text.h"
#include "report/headline.h"
#include "report/runbook.h"

namespace whimbrel {

namespace {

constexpr std::ptrdiff_t lines_max = 5;  // of what happened again and again
constexpr const char* not_measured = "not yet measured: run `analyze`";
constexpr const char* nothing_changes = "nobody: it changes nothing";

std::string confirms(const ReportFacts& facts) {
  return fmt::format("who starts it: on a terminal by typing `{}`; without one with `--yes`",
                     facts.plan.migration);
}

std::string rollback_by(const ReportFacts& facts, const std::string& what) {
  return fmt::format("`{}` {}", facts.command("rollback"), what);
}

Milliseconds analyzed(const ReportFacts& facts, const char* key) {
  std::int64_t all = 0;
  if (!facts.analysis.is_object()) return Milliseconds(-1);
  const auto tables = facts.analysis.find("tables");
  if (tables == facts.analysis.end() || !tables->is_array()) return Milliseconds(-1);
  for (const auto& table : *tables) {
    const auto it = table.is_object() ? table.find(key) : table.end();
    if (!table.is_object() || it == table.end() || !it->is_number_integer())
      return Milliseconds(-1);
    all += it->get<std::int64_t>();
  }
  return Milliseconds(all);
}

std::string estimate(const ReportFacts& facts, const char* key, const char* of) {
  const Milliseconds time = analyzed(facts, key);
  if (time.count() < 0) return not_measured;
  return fmt::format("about {}{}, as the analysis estimates", to_duration_text(time), of);
}

std::string took(TimePoint from, TimePoint to) {
  return fmt::format("{}, took {}", to_day_text(from), to_duration_text(to - from));
}

// What became of an effect of the latest attempt.
std::vector<std::string> happened(const ReportFacts& facts, const std::string& id) {
  const EffectTimes* times = facts.story.effect(id);
  if (times == nullptr) return {};
  if (!times->confirmed) {
    return {"begun on " + to_day_text(times->intended) + ", and not ended"};
  }
  std::vector<std::string> all = {took(times->intended, *times->confirmed)};
  if (times->undone) all.push_back("taken back on " + to_day_text(*times->undone));
  return all;
}

// What a check asks may hold values.
std::string told_check(const ReportFacts& facts, const PlannedCheck& check) {
  return facts.wanted.redact ? "a check of the plan" : printable(check.what, 400);
}

RunbookStep look_first(const ReportFacts& facts) {
  RunbookStep step;
  step.title = "See what will happen";
  step.commands = {facts.command("check"), facts.command("analyze"), facts.command("test")};
  step.time = estimate(facts, "read_ms", " for `analyze`");
  step.confirms =
      "nobody for `check` and `analyze`, which change nothing; `test` moves one row, "
      "takes it away again, and asks " +
      confirms(facts);
  step.look =
      "`analyze` has to say that `run` would go ahead; read its warnings, and what could not "
      "be undone";
  step.safe = "nothing has changed";
  step.back = "nothing to undo";
  if (facts.analysis.is_object() && facts.analysis.contains("made_at") &&
      facts.analysis["made_at"].is_string()) {
    const std::int64_t rows = facts.rows_expected();
    step.happened = {fmt::format("analysed at {}{}", facts.analysis["made_at"].get<std::string>(),
                                 rows < 0 ? "" : ": " + rows_text(rows))};
  }
  return step;
}

RunbookStep back_up(const ReportFacts& facts) {
  RunbookStep step;
  step.title = "Back up";
  step.commands = {facts.command("run", "--until backup")};
  step.confirms = confirms(facts);
  step.safe = "the databases are untouched";
  step.back = "nothing to undo; backups stay";
  if (!facts.plan.backs_up) {
    step.time = "moments: the plan asks for no backup";
    step.look = "take a backup of your own, or add `backup:` to the plan, before you go on";
    return step;
  }
  const EffectTimes* backup = facts.story.effect("backup");
  step.time = backup != nullptr && backup->confirmed
                  ? to_duration_text(*backup->confirmed - backup->intended) + ", as it took"
                  : estimate(facts, "read_ms", ", for every value is read once and read back");
  step.look = fmt::format("the backup lies in `{}`, an attempt a folder, and was verified",
                          facts.plan.backup_to);
  step.happened = happened(facts, "backup");
  return step;
}

RunbookStep prepare(const ReportFacts& facts) {
  RunbookStep step;
  step.title = "Prepare";
  step.commands = {facts.command("run", "--until prepare")};
  step.time = "seconds";
  step.confirms = confirms(facts);
  step.look =
      facts.dual() ? "the new tables exist and are empty; triggers keep both sides equal from "
                     "now on; one row was tried on each and taken away"
      : facts.plan.sync == "none"
          ? "the new tables exist and are empty; nothing notes changes before the window"
          : "the new tables exist and are empty; the keys of changed rows are noted from now on";
  step.safe = "the application works as before, on the old side";
  step.back = rollback_by(facts, "takes all of it away again");
  step.happened = happened(facts, "prepared");
  return step;
}

RunbookStep copy(const ReportFacts& facts) {
  RunbookStep step;
  step.title = "Copy";
  step.commands = {facts.command("run", "--until copy"), facts.command("status", "--watch")};
  const Milliseconds measured = copying_time(facts);
  const bool ended = std::ranges::all_of(
      facts.tables, [](const TableFacts& one) { return one.copy && one.copy->at_end; });
  step.time = measured.count() > 0 && ended
                  ? to_duration_text(measured) + ", as it took"
                  : estimate(facts, "estimate_ms", " together with the comparison");
  step.confirms = confirms(facts);
  step.look = fmt::format(
      "`status` in a second terminal: rows, rows a second, errors. Too much load: `{}`, or `pause` "
      "and `resume`",
      facts.command("limits", "rows_per_s=N"));
  step.safe = "Ctrl-C, a crash or a power cut lose at most one chunk; the same command goes on";
  step.back = rollback_by(
      facts,
      "removes the new tables, and empties those that were there before; the application never "
      "noticed them");
  if (const auto from = facts.story.first_in(Phase::copying)) {
    step.happened.push_back(
        fmt::format("since {}: {} read, {} written in {}, {} at work{}", to_day_text(*from),
                    rows_text(facts.rows_read()), with_thousands(facts.rows_written()),
                    counted(std::ssize(facts.story.chunks), "chunk"), to_duration_text(measured),
                    ended ? "" : "; not ended yet"));
  }
  if (const std::int64_t rejected = facts.rows_rejected(); rejected > 0) {
    std::string told = rows_text(rejected) + " set aside in rejected.jsonl";
    if (facts.state.rejected != rejected) {
      told += fmt::format("; by now {}", with_thousands(facts.state.rejected));
    }
    step.happened.push_back(std::move(told));
  }
  return step;
}

std::string comparison_text(const ReportFacts& facts, const Comparison& one) {
  return fmt::format("{}: {}{} compared in {}, {} differing", to_day_text(one.at),
                     one.what.full ? "" : "a sample, ", rows_text(facts.rows_compared(one)),
                     to_duration_text(Milliseconds(one.what.ms)),
                     with_thousands(one.what.differing));
}

bool is_after_switch(Phase phase) {
  return phase == Phase::watching || phase == Phase::finishing || phase == Phase::finished;
}

// The latest of a long row of comparisons.
std::vector<std::string> comparisons(const ReportFacts& facts, bool after_switch) {
  std::vector<std::string> all;
  for (const Comparison& one : facts.story.comparisons) {
    const bool now = one.attempt == facts.story.attempt();
    if (now && is_after_switch(one.phase) == after_switch)
      all.push_back(comparison_text(facts, one));
  }
  if (std::ssize(all) > lines_max) all.erase(all.begin(), all.end() - lines_max);
  return all;
}

RunbookStep compare(const ReportFacts& facts) {
  RunbookStep step;
  step.title = "Compare";
  step.commands = {facts.command("run", "--until verify")};
  const Comparison* last = facts.story.comparison();
  step.time = last != nullptr
                  ? to_duration_text(Milliseconds(last->what.ms)) + ", as it took the last time"
                  : "part of the time above";
  step.confirms = confirms(facts);
  step.look = "0 rows may differ. When some do: find what else writes to the new side, then `" +
              facts.command("verify", "--repair") + "`";
  step.safe =
      "nothing is switched; the application uses the old side, the new side is kept up to date";
  step.back = rollback_by(facts, "undoes everything so far");
  step.happened = comparisons(facts, false);
  return step;
}

std::string hold_text(const ReportFacts& facts) {
  if (facts.dual()) return "no writer waits";
  if (!facts.plan.hold_max) return "writers are held for as long as the plan allows, at most";
  return fmt::format("writers are held for {} at most; when that is not enough nothing is switched",
                     to_duration_text(*facts.plan.hold_max));
}

std::vector<std::string> switch_happened(const ReportFacts& facts) {
  std::vector<std::string> all;
  for (const auto& [id, times] : facts.story.effects) {
    if (!id.starts_with("switch:")) continue;
    std::string text = "switch " + printable(id.substr(7), 80) + ": ";
    text +=
        times.confirmed ? "flipped on " + to_day_text(*times.confirmed) : "begun, outcome unknown";
    if (times.undone) text += ", put back on " + to_day_text(*times.undone);
    all.push_back(std::move(text));
  }
  std::vector<HoldSpan> holds = facts.story.holds_of(facts.story.attempt());
  std::erase_if(holds, [](const HoldSpan& hold) { return hold.on_the_way_back; });
  if (std::ssize(holds) > lines_max) {
    all.push_back(fmt::format("{} earlier holds, which the report has",
                              with_thousands(std::ssize(holds) - lines_max)));
    holds.erase(holds.begin(), holds.end() - lines_max);
  }
  for (const HoldSpan& hold : holds) {
    all.push_back(
        fmt::format("writers held on {} for {}{}; {} changes carried over meanwhile",
                    to_day_text(hold.from), to_duration_text(hold.length(facts.wanted.now)),
                    hold.released ? "" : " (not released by whimbrel: the hold ends by itself)",
                    with_thousands(hold.carried)));
  }
  if (const EffectTimes* done = facts.story.effect("switched");
      done != nullptr && done->confirmed) {
    all.push_back("switched over on " + to_day_text(*done->confirmed));
  }
  if (facts.state.phase == Phase::stuck) {
    all.emplace_back(
        "stuck: nobody can tell whether the switch has flipped; look at it, then decide");
  }
  return all;
}

RunbookStep switch_over(const ReportFacts& facts) {
  RunbookStep step;
  step.title = facts.plan.sync == "none" ? "Switch over, in the window" : "Switch over";
  step.commands = {facts.command("cutover")};
  step.time = facts.plan.sync == "none"
                  ? "the window: everything is compared again in it; " + hold_text(facts)
                  : "moments, after what has changed was compared again; " + hold_text(facts);
  step.confirms = confirms(facts);
  std::vector<std::string> switches;
  for (const PlannedSwitch& one : facts.plan.switches) {
    switches.push_back(facts.wanted.redact ? std::string("a switch of the plan") : one.what);
  }
  step.look = switches.empty()
                  ? "the plan has no switch: lead the application over yourself, right after"
                  : "what it switches: " + join(switches, "; ");
  for (const PlannedCheck& check : facts.plan.checks) {
    if (check.at == "held" || check.at == "after") {
      step.look += fmt::format(". Check {}: {}", check.at == "held" ? "before it" : "after it",
                               told_check(facts, check));
    }
  }
  step.safe =
      "before the flip the application uses the old side, after it the new one; if nobody can "
      "tell, it says so (`cutover --decide`)";
  step.back = rollback_by(facts, "leads the application back and keeps what it wrote");
  step.happened = switch_happened(facts);
  return step;
}

RunbookStep watch(const ReportFacts& facts) {
  RunbookStep step;
  step.title = "Watch";
  step.commands = {facts.command("status"), facts.command("verify")};
  if (!facts.dual()) step.commands.insert(step.commands.begin(), facts.command("run", "--stay"));
  if (facts.plan.clean_checks > 0) step.commands.push_back(facts.command("watch", "--every 1d"));
  step.time = facts.plan.finish_after.count() > 0
                  ? to_duration_text(facts.plan.finish_after) + ", as the plan says"
                  : "as long as you like: the plan sets no time";
  step.confirms =
      facts.dual()
          ? std::string(nothing_changes)
          : "nobody for `status` and `verify`, which change nothing; for `run`, " + confirms(facts);
  step.look = facts.dual()
                  ? "0 rows may differ; errors and times of the application"
                  : "a runner has to live, or changes wait; 0 rows may differ; errors and times "
                    "of the application";
  if (facts.plan.clean_checks > 0) {
    step.look += fmt::format("; `finish` waits for {} in a row of `watch`",
                             counted(facts.plan.clean_checks, "clean check"));
  }
  step.safe = "the application uses the new side; the old one is kept current";
  step.back = rollback_by(facts, "goes back without losing a write");
  step.happened = comparisons(facts, true);
  std::int64_t changes = 0;
  for (const CarriedPoint& one : facts.story.carried) changes += one.backward ? one.changes : 0;
  if (changes > 0) {
    step.happened.push_back(with_thousands(changes) + " changes carried back to the old side");
  }
  return step;
}

RunbookStep finish(const ReportFacts& facts) {
  const Planned& plan = facts.plan;
  RunbookStep step;
  step.title = "Finish and clean up";
  step.commands = {facts.command("finish")};
  step.time = "seconds, and longer where old tables are archived first";
  step.confirms = confirms(facts) + ". This gives the way back up: agree on it before";
  step.look = "what whimbrel made in the databases is removed";
  step.look += !plan.rename_source_to.empty()
                   ? fmt::format("; the old table becomes `{}`", plan.rename_source_to)
               : plan.keeps_source ? "; the old tables stay as they are"
                                   : "; the old tables are archived and dropped";
  if (plan.view) step.look += ", and a view takes its name";
  if (facts.is_switched() && facts.state.phase == Phase::watching &&
      plan.finish_after.count() > 0) {
    step.look +=
        "; the plan allows it from " + to_day_text(facts.state.phase_since + plan.finish_after);
  }
  step.safe = "the application uses the new side";
  step.back = rollback_by(facts,
                          "still brings the old tables back, from the archive or a backup, with "
                          "what was written since");
  if (const auto at = facts.story.first_in(Phase::finishing)) {
    step.happened.push_back("the way back was given up on " + to_day_text(*at));
  }
  if (const auto at = facts.story.first_in(Phase::finished)) {
    step.happened.push_back("finished on " + to_day_text(*at));
  }
  return step;
}

RunbookStep drop_archive(const ReportFacts& facts) {
  RunbookStep step;
  step.title = "Remove the archive";
  step.commands = {facts.command("finish")};
  step.time = fmt::format("seconds, from {} after the step before",
                          to_duration_text(*facts.plan.drop_after));
  step.confirms = confirms(facts);
  step.look = fmt::format("`{}` is archived into a file and dropped", facts.plan.rename_source_to);
  step.safe = "the application uses the new side";
  step.back = rollback_by(facts, "takes the old rows from the archive's file");
  step.happened = happened(facts, "archive_dropped");
  return step;
}

}  // namespace

std::vector<RunbookStep> runbook_steps(const ReportFacts& facts) {
  std::vector<RunbookStep> steps = {look_first(facts), back_up(facts), prepare(facts),
                                    copy(facts),       compare(facts), switch_over(facts),
                                    watch(facts),      finish(facts)};
  if (facts.plan.drop_after && !facts.plan.rename_source_to.empty()) {
    steps.push_back(drop_archive(facts));
  }
  return steps;
}

}  // namespace whimbrel
