#include "phase/phase.h"

namespace whimbrel {

namespace {
constexpr std::array<const char*, phase_count> phase_names = {
    "planned",  "prepared",  "copying",  "following",    "verified",    "fenced",
    "watching", "finishing", "finished", "rolling_back", "rolled_back", "stuck"};
constexpr std::array<const char*, 6> goal_names = {"backup", "prepare", "copy",
                                                   "follow", "verify",  "watch"};

Decision enter(Phase to, std::string why) { return {Act::enter, to, std::move(why)}; }
Decision act(Act what, Phase phase, std::string why) { return {what, phase, std::move(why)}; }
}  // namespace

const char* name_of(Phase phase) { return phase_names[static_cast<std::size_t>(phase)]; }

std::optional<Phase> phase_from(std::string_view name) {
  for (std::size_t i = 0; i < phase_names.size(); ++i) {
    if (name == phase_names[i]) return static_cast<Phase>(i);
  }
  return std::nullopt;
}

const char* name_of(Goal goal) { return goal_names[static_cast<std::size_t>(goal)]; }

std::optional<Goal> goal_from(std::string_view name) {
  for (std::size_t i = 0; i < goal_names.size(); ++i) {
    if (name == goal_names[i]) return static_cast<Goal>(i);
  }
  return std::nullopt;
}

Decision decide(Phase phase, Goal goal, const Facts& facts) {
  if (facts.rollback_asked && is_edge(phase, Phase::rolling_back)) {
    return enter(Phase::rolling_back, "a rollback was asked for");
  }
  switch (phase) {  // no default: a new phase must be answered here before it compiles
    case Phase::planned:
      if (!facts.backups_taken) return act(Act::take_backups, phase, "nothing is changed before");
      if (goal == Goal::backup)
        return act(Act::stop, phase, "every backup that the plan asks for is taken and verified");
      if (!facts.prepared) return act(Act::prepare, phase, "targets and capture come first");
      return enter(Phase::prepared, "targets and capture objects exist");
    case Phase::prepared:
      if (goal == Goal::backup || goal == Goal::prepare) {
        return act(Act::stop, phase, "prepared; no row has moved");
      }
      return enter(Phase::copying, "the capture position is durable");
    case Phase::copying:
      if (goal == Goal::backup || goal == Goal::prepare) {
        return act(Act::stop, phase, "already past this point");
      }
      if (!facts.copied) return act(Act::copy, phase, "chunks are left");
      return enter(Phase::following, "every chunk has moved");
    case Phase::following:
      if (goal == Goal::backup || goal == Goal::prepare || goal == Goal::copy) {
        return act(Act::stop, phase, "every chunk has moved");
      }
      if (!facts.drained && (goal == Goal::follow || !facts.comparison_drains)) {
        return act(Act::drain, phase, "changes may be waiting");
      }
      if (goal == Goal::follow) return act(Act::stop, phase, "the target is up to date");
      if (!facts.verified_by_this_run) return act(Act::verify, phase, "not compared yet");
      return enter(Phase::verified, facts.set_aside == 0
                                        ? "every row matches"
                                        : "every row matches but those that are set aside: " +
                                              std::to_string(facts.set_aside) +
                                              " in rejected.jsonl");
    case Phase::verified:
      if (!facts.drained) return act(Act::drain, phase, "changes may be waiting");
      if (!facts.verified_by_this_run) return enter(Phase::following, "compare again");
      if (goal != Goal::watch) return act(Act::stop, phase, "compared; nothing is switched");
      return enter(Phase::fenced, "the switch begins");
    case Phase::fenced:
      // Cut off while writers were held; who asks for less than a switch gets none.
      if (goal != Goal::watch && !facts.switch_begun && !facts.switched) {
        return act(Act::let_go, phase, "the switch was broken off; nothing is switched");
      }
      if (!facts.switched) return act(Act::cut_over, phase, "the switch is under way");
      return enter(Phase::watching, "every switch is flipped");
    case Phase::watching:
      if (!facts.drained) return act(Act::reverse, phase, "the old side is kept current");
      return act(Act::stop, phase, "switched; the way back is open");
    case Phase::rolling_back:
      if (facts.effects_left) return act(Act::undo, phase, "newest first");
      return enter(Phase::rolled_back, "every effect is undone");
    case Phase::rolled_back:
      return enter(Phase::planned, "a new attempt");
    case Phase::finishing:
      return act(Act::refuse, phase, "`whimbrel finish` is under way; run it again to end it");
    case Phase::finished:
      return act(Act::stop, phase, "finished");
    case Phase::stuck:
      return act(Act::refuse, phase, "the outcome of a switch is unknown");
  }
  return act(Act::refuse, phase, "no such phase");
}

}  // namespace whimbrel
