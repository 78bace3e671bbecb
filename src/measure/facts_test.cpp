#include "measure/facts.h"

#include <gtest/gtest.h>

namespace whimbrel {
namespace {

TimePoint at(std::int64_t ms) { return TimePoint(Milliseconds(ms)); }

class Records {
 public:
  Records& add(std::int64_t ms, Record record) {
    all_.push_back({static_cast<std::int64_t>(all_.size()) + 1, at(ms), std::move(record)});
    return *this;
  }
  std::optional<JournalFacts> facts(std::int64_t now) const { return facts_of(all_, at(now)); }

 private:
  std::vector<Stamped> all_;
};

Records begun() { return Records().add(1000, PlanAccepted{1, "m", "d", "{}", "{}"}); }

TEST(JournalFacts, OfNothingAreNone) { EXPECT_FALSE(Records().facts(5)); }

TEST(JournalFacts, AHoldKeepsWritersOutUntilItIsReleased) {
  const auto facts = begun()
                         .add(2000, EffectIntended{"hold", "{\"until_ms\":9000}"})
                         .add(2100, EffectUndone{"hold"})
                         .add(11'000, PhaseEntered{Phase::watching, ""})
                         .facts(99'000);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->writers.holds, 1);
  EXPECT_EQ(facts->writers.held.count(), 100);
  EXPECT_EQ(facts->writers.migration.count(), 10'000);
  EXPECT_DOUBLE_EQ(facts->writers.uptime_per_cent(), 99);
}

TEST(JournalFacts, AHoldThatNobodyReleasedEndedAtItsDeadline) {
  const auto facts = begun().add(2000, EffectIntended{"hold", "{\"until_ms\":2500}"}).facts(6000);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->writers.held.count(), 500);
  EXPECT_EQ(facts->writers.migration.count(), 5000);
}

TEST(JournalFacts, OnlyAFullVerificationOfThisAttemptCounts) {
  Records records = begun();
  records.add(2000, VerifyEnded{true, 10, 3, 0, 1});
  records.add(3000, VerifyEnded{false, 4, 4, 0, 1});
  const auto first = records.facts(4000);
  ASSERT_TRUE(first && first->verified);
  EXPECT_EQ(first->verified->differing, 3);
  records.add(5000, PlanAccepted{2, "m", "d", "{}", "{}"});
  const auto second = records.facts(6000);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->attempt, 2);
  EXPECT_FALSE(second->verified);
}

}  // namespace
}  // namespace whimbrel
