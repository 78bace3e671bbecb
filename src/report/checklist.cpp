#include "report/checklist.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "report/clean_checks.h"
#include "report/headline.h"

namespace whimbrel {

namespace {

constexpr const char* by_journal = "journal";

Tick tick(bool met) { return met ? Tick::met : Tick::not_met; }

CheckLine rows_were_read(const ReportFacts& facts) {
  CheckLine line{"rows_read",        "Every row was judged before anything was changed",
                 Tick::not_measured, "no analysis of this plan is in the state folder",
                 "analysis",         false};
  if (!facts.analysis.is_object()) return line;
  const auto refused = facts.analysis.find("refused");
  const bool good =
      refused != facts.analysis.end() && refused->is_boolean() && !refused->get<bool>();
  line.tick = tick(good);
  const std::int64_t rows = facts.rows_expected();
  line.value = rows < 0 ? "" : rows_text(rows) + " judged, ";
  line.value += good ? "`run` may go ahead" : "`run` would refuse";
  return line;
}

CheckLine backup_was_verified(const ReportFacts& facts) {
  CheckLine line{"backup",           "A backup was taken and read back",
                 Tick::not_measured, "the plan asks for none",
                 by_journal,         false};
  if (!facts.plan.backs_up) return line;
  line.value = "not yet";
  const EffectTimes* backup = facts.story.effect("backup");
  if (backup == nullptr || !backup->confirmed) return line;
  const auto result = nlohmann::json::parse(backup->result, nullptr, false);
  const bool taken =
      result.is_object() && result.contains("folder") && result["folder"].is_string();
  line.tick = taken ? Tick::met : Tick::not_measured;
  line.value = taken ? fmt::format("in {}, {}", printable(result["folder"].get<std::string>(), 120),
                                   to_day_text(*backup->confirmed))
                     : "the journal names no folder";
  return line;
}

CheckLine rows_were_copied(const ReportFacts& facts) {
  CheckLine line{"rows_copied",      "Every table was copied to its end",
                 Tick::not_measured, "not begun",
                 by_journal,         false};
  if (facts.state.copies.empty()) return line;
  const auto ended = std::ranges::count_if(
      facts.tables, [](const TableFacts& one) { return one.copy && one.copy->at_end; });
  const bool all = ended == std::ssize(facts.tables);
  const bool still_may = facts.state.phase == Phase::copying && !facts.state.last_failure;
  line.tick = all ? Tick::met : still_may ? Tick::not_measured : Tick::not_met;
  line.value = fmt::format("{} of {} tables, {} read, {} written", ended, facts.tables.size(),
                           rows_text(facts.rows_read()), with_thousands(facts.rows_written()));
  const std::int64_t rejected = facts.rows_rejected();
  if (rejected > 0) line.value += fmt::format(", {} set aside", with_thousands(rejected));
  return line;
}

CheckLine no_row_was_set_aside(const ReportFacts& facts) {
  CheckLine line{
      "rows_set_aside", "No row was set aside", Tick::not_measured, "not begun", by_journal, false};
  if (facts.state.copies.empty()) return line;
  line.tick = tick(facts.state.rejected == 0);
  line.value = facts.state.rejected == 0
                   ? "0 rows"
                   : rows_text(facts.state.rejected) + " in rejected.jsonl, each with its reason";
  return line;
}

CheckLine rows_are_equal(const ReportFacts& facts) {
  CheckLine line{"rows_compared",    "Every row was compared, and none differs",
                 Tick::not_measured, "not compared yet",
                 by_journal,         false};
  const Comparison* last = facts.story.comparison();
  if (last == nullptr) return line;
  line.value = fmt::format("{} {}compared, {} differing, {}", rows_text(facts.rows_compared(*last)),
                           last->what.full ? "" : "of a sample ",
                           with_thousands(last->what.differing), to_day_text(last->at));
  if (last->what.full || last->what.differing > 0) line.tick = tick(last->what.differing == 0);
  return line;
}

CheckLine switch_was_made(const ReportFacts& facts) {
  CheckLine line{"switched", "The switch was made", Tick::not_measured, "not yet", by_journal,
                 false};
  if (facts.by_hand()) {
    line.value = "the plan names none: it is you who leads the application over";
    if (facts.is_switched()) {
      line.value += "; the new side is ready since " +
                    to_day_text(*facts.story.effect("switched")->confirmed);
    }
  }
  std::vector<std::string> flipped;
  for (const auto& [id, times] : facts.story.effects) {
    if (!id.starts_with("switch:") || !times.confirmed || times.undone) continue;
    flipped.push_back(printable(id.substr(7), 60));
  }
  const EffectTimes* switched = facts.story.effect("switched");
  if (switched != nullptr && switched->confirmed && !facts.by_hand()) {
    line.tick = tick(facts.is_switched());
    line.value = facts.is_switched()
                     ? fmt::format("{}{}", flipped.empty() ? "" : join(flipped, ", ") + ", ",
                                   to_day_text(*switched->confirmed))
                     : "made, and taken back by the rollback";
  } else if (!flipped.empty()) {
    line.value = "so far " + join(flipped, ", ");
  }
  if (facts.state.phase == Phase::stuck) {
    line.tick = Tick::not_met;
    line.value = "nobody can tell whether it flipped";
  }
  return line;
}

CheckLine hold_was_short(const ReportFacts& facts) {
  CheckLine line{"writers_held",     "Writers were held no longer than the plan allows",
                 Tick::not_measured, "no writer was held yet",
                 by_journal,         false};
  if (facts.dual()) {
    line.tick = facts.is_switched() ? Tick::met : Tick::not_measured;
    line.value = "0 ms: both sides are written in one transaction, so nobody has to wait";
    return line;
  }
  const std::vector<HoldSpan> holds = facts.story.holds_of(facts.story.attempt());
  if (holds.empty()) return line;
  const TimePoint now = facts.wanted.now;
  Milliseconds longest{0};
  Milliseconds allowed{0};
  for (const HoldSpan& hold : holds) {
    longest = std::max(longest, hold.length(now));
    allowed = std::max(allowed, Milliseconds(hold.until - hold.from));
  }
  // A hold carries its deadline itself; that it was released before is what there is to prove.
  const bool in_time = std::ranges::all_of(
      holds, [](const HoldSpan& hold) { return hold.released && *hold.released <= hold.until; });
  line.tick = tick(in_time);
  line.value =
      fmt::format("{} at most, in {} {}; allowed {}", to_duration_text(longest), holds.size(),
                  holds.size() == 1 ? "hold" : "holds", to_duration_text(allowed));
  return line;
}

CheckLine way_back_is_kept(const ReportFacts& facts) {
  CheckLine line{"way_back",         "The way back was kept",
                 Tick::not_measured, "not switched yet",
                 by_journal,         false};
  const bool was_switched = facts.story.effect("switched") != nullptr &&
                            facts.story.effect("switched")->confirmed.has_value();
  if (facts.state.phase == Phase::rolled_back) {
    line.tick = Tick::met;
    line.value = "taken: every change of the migration is undone";
    return line;
  }
  if (!was_switched) return line;
  const EffectTimes* links = facts.story.effect("links");
  bool carries = links != nullptr && links->confirmed && !links->undone;
  std::int64_t changes = 0;
  for (const auto& [id, times] : facts.story.effects) {
    carries = carries || (id.starts_with("feed:backward") && times.confirmed && !times.undone);
  }
  for (const CarriedPoint& one : facts.story.carried) changes += one.backward ? one.changes : 0;
  line.tick = tick(carries);
  line.value = facts.dual() ? "triggers carry each write to the old side in its own transaction"
                            : fmt::format("{} carried back to the old side so far",
                                          changes == 1 ? std::string("1 change")
                                                       : with_thousands(changes) + " changes");
  const Phase phase = facts.state.phase;
  if (phase == Phase::finishing || phase == Phase::finished) {
    line.value += "; given up on purpose by `finish`";
  }
  return line;
}

CheckLine checks_were_clean(const ReportFacts& facts) {
  const std::int64_t wanted = facts.plan.clean_checks;
  CheckLine line{"clean_checks",     "Checks after the switch were clean",
                 Tick::not_measured, "none was made yet",
                 by_journal,         false};
  const State& state = facts.state;
  if (!state.checked) return line;
  line.value = printable(clean_checks_text(state, wanted), 400);
  if (!state.checked->clean) {
    line.tick = Tick::not_met;
  } else if (state.clean_checks >= wanted) {
    line.tick = Tick::met;
  }
  return line;
}

CheckLine no_error_is_open(const ReportFacts& facts) {
  const auto errors = std::ssize(facts.story.incidents);
  CheckLine line{"no_open_error", "No error is open", tick(!facts.state.last_failure),
                 "none ever",     by_journal,         false};
  if (!facts.started())
    return {line.id, line.what, Tick::not_measured, "not begun", by_journal, false};
  const std::string all = fmt::format("{} {}", errors, errors == 1 ? "error" : "errors");
  if (errors > 0) line.value = all + " in all attempts, and the work went on after each";
  if (facts.state.last_failure) line.value = all + " in all attempts; the last is still open";
  return line;
}

std::string criterion_text(const std::string& name, const std::string& wanted) {
  return printable(fmt::format("The plan's criterion {}: {}", name, wanted), 160);
}

// What the journal itself can say of a criterion.
std::optional<CheckLine> by_comparison(const ReportFacts& facts, const PlannedCriterion& wanted) {
  const Comparison* last = facts.story.comparison();
  if (wanted.name != "lost" || last == nullptr || !last->what.full) return std::nullopt;
  const std::int64_t lost = last->what.differing + facts.state.left_behind;
  return CheckLine{wanted.name,
                   criterion_text(wanted.name, wanted.wanted),
                   tick(fmt::format("{}", lost) == wanted.wanted || lost == 0),
                   fmt::format("{} differing or set aside", rows_text(lost)),
                   by_journal,
                   wanted.advisory};
}

std::vector<CheckLine> criteria(const ReportFacts& facts) {
  std::vector<CheckLine> lines;
  std::vector<std::string> told;
  const std::string when =
      facts.measurement.made_at.empty() ? "" : ", " + printable(facts.measurement.made_at, 30);
  for (const Measured& one : facts.measurement.criteria) {
    told.push_back(one.name);
    lines.push_back({one.name, criterion_text(one.name, one.wanted),
                     one.met ? tick(*one.met) : Tick::not_measured, printable(one.measured, 120),
                     "measurement" + when, one.advisory});
  }
  for (const PlannedCriterion& wanted : facts.plan.criteria) {
    if (std::ranges::count(told, wanted.name) > 0) continue;
    const std::string& left_out = facts.measurement.left_out;
    lines.push_back(
        by_comparison(facts, wanted)
            .value_or(CheckLine{
                wanted.name, criterion_text(wanted.name, wanted.wanted), Tick::not_measured,
                left_out.empty() ? "no comparison is in the state folder" : left_out, "plan",
                wanted.advisory}));
  }
  return lines;
}

}  // namespace

const char* name_of(Tick tick) {
  switch (tick) {
    case Tick::met:
      return "met";
    case Tick::not_met:
      return "not_met";
    case Tick::not_measured:
      return "not_measured";
  }
  return "not_measured";
}

std::vector<CheckLine> checklist(const ReportFacts& facts) {
  std::vector<CheckLine> lines = {
      rows_were_read(facts), backup_was_verified(facts),  rows_were_copied(facts),
      rows_are_equal(facts), no_row_was_set_aside(facts), switch_was_made(facts),
      hold_was_short(facts), way_back_is_kept(facts),     no_error_is_open(facts)};
  if (facts.state.checked || facts.plan.clean_checks > 0) lines.push_back(checks_were_clean(facts));
  for (CheckLine& line : criteria(facts)) lines.push_back(std::move(line));
  return lines;
}

nlohmann::json to_json(const std::vector<CheckLine>& lines) {
  nlohmann::json all = nlohmann::json::array();
  for (const CheckLine& line : lines) {
    all.push_back({{"id", line.id},
                   {"what", line.what},
                   {"tick", name_of(line.tick)},
                   {"value", line.value},
                   {"source", line.source},
                   {"advisory", line.advisory}});
  }
  return all;
}

}  // namespace whimbrel
