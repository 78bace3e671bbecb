#include "phase/phase.h"

#include <gtest/gtest.h>

namespace whimbrel {
namespace {

constexpr Phase all_phases[] = {Phase::planned,      Phase::prepared,    Phase::copying,
                                Phase::following,    Phase::verified,    Phase::fenced,
                                Phase::watching,     Phase::finishing,   Phase::finished,
                                Phase::rolling_back, Phase::rolled_back, Phase::stuck};
constexpr Goal all_goals[] = {Goal::backup, Goal::prepare, Goal::copy,
                              Goal::follow, Goal::verify,  Goal::watch};

Facts facts_from(int bits) {
  return {(bits & 1) != 0,  (bits & 2) != 0,  (bits & 4) != 0,   (bits & 8) != 0,  (bits & 16) != 0,
          (bits & 32) != 0, (bits & 64) != 0, (bits & 128) != 0, (bits & 256) != 0};
}

TEST(Decide, EntersOnlyAlongAnEdgeWhateverTheFacts) {
  for (const Phase phase : all_phases) {
    for (const Goal goal : all_goals) {
      for (int bits = 0; bits < 512; ++bits) {
        const Decision decision = decide(phase, goal, facts_from(bits));
        if (decision.act == Act::enter) {
          EXPECT_TRUE(is_edge(phase, decision.to))
              << name_of(phase) << " -> " << name_of(decision.to);
        }
        EXPECT_FALSE(decision.why.empty());
      }
    }
  }
}

TEST(Decide, NeverFencesWhatThisRunHasNotCompared) {
  for (int bits = 0; bits < 256; ++bits) {
    Facts facts = facts_from(bits);
    facts.verified_by_this_run = false;
    const Decision decision = decide(Phase::verified, Goal::watch, facts);
    EXPECT_FALSE(decision.act == Act::enter && decision.to == Phase::fenced);
  }
}

TEST(Decide, ARollbackIsPossibleFromEveryLivePhase) {
  Facts facts;
  facts.rollback_asked = true;
  for (const Phase phase : all_phases) {
    if (is_final(phase) || phase == Phase::finishing || phase == Phase::rolling_back) continue;
    const Decision decision = decide(phase, Goal::watch, facts);
    EXPECT_EQ(decision.to, Phase::rolling_back) << name_of(phase);
  }
}

TEST(Decide, NothingBeyondTheGoalIsBegun) {
  Facts all;
  all.backups_taken = all.prepared = all.copied = all.drained = all.verified_by_this_run = true;
  EXPECT_EQ(decide(Phase::planned, Goal::backup, all).act, Act::stop);
  EXPECT_EQ(decide(Phase::prepared, Goal::prepare, all).act, Act::stop);
  EXPECT_EQ(decide(Phase::following, Goal::copy, all).act, Act::stop);
  EXPECT_EQ(decide(Phase::following, Goal::follow, all).act, Act::stop);
  EXPECT_EQ(decide(Phase::verified, Goal::verify, all).act, Act::stop);
}

TEST(Decide, WhatWasCutOffWhileWritersWereHeldIsNotSwitchedForLess) {
  Facts facts;
  for (const Goal goal : all_goals) {
    facts.switch_begun = false;
    EXPECT_EQ(decide(Phase::fenced, goal, facts).act,
              goal == Goal::watch ? Act::cut_over : Act::let_go);
    facts.switch_begun = true;
    EXPECT_EQ(decide(Phase::fenced, goal, facts).act, Act::cut_over);
  }
}

TEST(Phases, NamesCanBeReadBack) {
  for (const Phase phase : all_phases) EXPECT_EQ(phase_from(name_of(phase)), phase);
  for (const Goal goal : all_goals) EXPECT_EQ(goal_from(name_of(goal)), goal);
  EXPECT_FALSE(phase_from("no_such_phase").has_value());
}

}  // namespace
}  // namespace whimbrel
