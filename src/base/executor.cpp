#include "base/executor.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <thread>

namespace whimbrel {

namespace {

// Hands out tasks that nobody is stepping. A failed task empties the hat, so the others end after
// the step they are in.
class Hat {
 public:
  explicit Hat(std::vector<Task> tasks) : tasks_(std::move(tasks)) {}

  std::optional<Task> take() {
    const std::lock_guard lock(mutex_);
    if (error_ || tasks_.empty()) return std::nullopt;
    Task task = std::move(tasks_.back());
    tasks_.pop_back();
    return task;
  }
  bool failed() {
    const std::lock_guard lock(mutex_);
    return error_.has_value();
  }
  void fail(Error error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
  }
  Status result() {
    const std::lock_guard lock(mutex_);
    if (error_) return *error_;
    return {};
  }

 private:
  std::mutex mutex_;
  std::vector<Task> tasks_;
  std::optional<Error> error_;
};

void work(Hat& hat) {
  while (std::optional<Task> task = hat.take()) {
    while (!hat.failed()) {
      Result<Step> step = (*task)();
      if (!step.ok()) return hat.fail(std::move(step).error());
      if (step.value() == Step::done) break;
    }
  }
}

}  // namespace

Status ThreadExecutor::run(std::vector<Task> tasks) {
  std::reverse(tasks.begin(), tasks.end());  // taken from the back, so the first goes first
  const int workers = std::min(workers_max_, static_cast<int>(tasks.size()));
  Hat hat(std::move(tasks));
  std::vector<std::jthread> threads;
  for (int i = 1; i < workers; ++i) threads.emplace_back([&hat] { work(hat); });
  work(hat);
  for (std::jthread& thread : threads) thread.join();
  return hat.result();
}

}  // namespace whimbrel
