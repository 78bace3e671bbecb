#include "base/executor.h"

#include <gtest/gtest.h>

namespace whimbrel {
namespace {

TEST(ThreadsExecutor, RunsEveryTaskToItsEnd) {
  std::atomic<int> steps{0};
  std::vector<Task> tasks;
  for (int i = 0; i < 8; ++i) {
    tasks.push_back([&steps, left = 100]() mutable -> Result<Step> {
      ++steps;
      return --left == 0 ? Step::done : Step::again;
    });
  }
  EXPECT_TRUE(ThreadExecutor(4).run(std::move(tasks)).ok());
  EXPECT_EQ(steps, 800);
}

TEST(ThreadsExecutor, AFailureStopsTheOthersAndIsReported) {
  std::vector<Task> tasks;
  tasks.push_back([]() -> Result<Step> { return Error{ErrorCode::conflict, "mine"}; });
  for (int i = 0; i < 3; ++i) tasks.push_back([]() -> Result<Step> { return Step::again; });
  const Status status = ThreadExecutor(4).run(std::move(tasks));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "mine");
}

TEST(ThreadsExecutor, NoTasksIsDone) { EXPECT_TRUE(ThreadExecutor(2).run({}).ok()); }

}  // namespace
}  // namespace whimbrel
