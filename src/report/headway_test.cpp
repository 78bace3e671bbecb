#include "report/headway.h"

#include <gtest/gtest.h>

namespace whimbrel {
namespace {

Event chunk(const char* name, std::int64_t rows) {
  return {name, {{"table", std::string("t")}, {"rows", rows}}};
}

class CourseOfARun : public testing::Test {
 protected:
  static Course course(int after, int online) {
    return Course({{"t", "t", 10'000, after, online, 0}},
                  {Activity::copying, Activity::indexing, Activity::comparing}, true, std::nullopt);
  }
  Headway told(const Course& course) const { return course.headway(TimePoint(now_), now_); }
  void after(Course& course, Milliseconds took, const Event& event) {
    now_ += took;
    course.heard(event, now_);
  }

  Milliseconds now_{1000};
};

TEST_F(CourseOfARun, KnowsNothingBeforeAnythingWasDone) {
  const Headway headway = told(course(0, 0));
  EXPECT_FALSE(headway.left.has_value());
  EXPECT_TRUE(headway.doing.empty());
}

TEST_F(CourseOfARun, WhatIsLeftShrinksWithTheRowsAndEndsAtNothing) {
  Course course = this->course(0, 0);
  course.heard({"phase_entered", {}}, now_);
  after(course, Milliseconds(1000), chunk("chunk_copied", 5'000));
  const Milliseconds half = *told(course).left;
  // Half of the copy took a second, so the other half does, and the comparison is still to come.
  EXPECT_GT(half, Milliseconds(1500));
  EXPECT_LT(half, Milliseconds(6000));
  EXPECT_NEAR(*told(course).rows_per_s, 5000, 1);
  after(course, Milliseconds(1000), chunk("chunk_copied", 5'000));
  EXPECT_LT(*told(course).left, half);
  after(course, Milliseconds(500), chunk("chunk_verified", 10'000));
  after(course, Milliseconds(1), {"verified", {}});
  EXPECT_EQ(*told(course).left, Milliseconds(0));
}

TEST_F(CourseOfARun, AnActivityThatIsSlowerThanExpectedIsJudgedByItself) {
  Course course = this->course(0, 0);
  course.heard({"phase_entered", {}}, now_);
  after(course, Milliseconds(100), chunk("chunk_copied", 10'000));
  after(course, Milliseconds(9'000), chunk("chunk_verified", 5'000));
  EXPECT_NEAR(static_cast<double>(told(course).left->count()), 9'000, 10);
}

TEST_F(CourseOfARun, TimeGoesOnWhileNothingIsHeard) {
  Course course = this->course(2, 0);
  course.heard({"phase_entered", {}}, now_);
  after(course, Milliseconds(1000), chunk("chunk_copied", 10'000));
  const Milliseconds before = *told(course).left;
  now_ += Milliseconds(200);
  EXPECT_EQ(*told(course).left, before - Milliseconds(200));
  course.heard({"request_carried_out", {{"verb", std::string("pause")}}}, now_);
  const Milliseconds paused = *told(course).left;
  now_ += Milliseconds(5000);
  EXPECT_EQ(*told(course).left, paused);
  EXPECT_TRUE(told(course).paused);
}

TEST_F(CourseOfARun, IndexesThatAreKeptUpToDateMakeTheCopyDearer) {
  const WorkOnTable bare{"t", "t", 1, 0, 0, 0};
  const WorkOnTable indexed{"t", "t", 1, 0, 5, 0};
  EXPECT_GT(cost_of_a_row(Activity::copying, indexed), cost_of_a_row(Activity::copying, bare));
}

TEST_F(CourseOfARun, IsReadBackAsItWasWritten) {
  Course course = this->course(0, 0);
  course.heard({"phase_entered", {}}, now_);
  after(course, Milliseconds(1000), chunk("chunk_copied", 5'000));
  const Headway headway = told(course);
  const std::optional<Headway> read = headway_from(to_json(headway));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(to_json(*read), to_json(headway));
  EXPECT_FALSE(headway_from(nlohmann::json::parse("[1]")).has_value());
}

}  // namespace
}  // namespace whimbrel
