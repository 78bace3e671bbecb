// All moving is steps on an Executor: worker threads in production, one seeded thread in the
// simulation, the same tasks in both.
//
// A task is stepped by one thread at a time. Tasks of one call share nothing but what they
// synchronise themselves. `run` returns when every task is done or one failed, after every step
// under way has ended; the first error wins.
#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "base/error.h"

namespace whimbrel {

enum class Step { again, done };
using Task = std::function<Result<Step>()>;

class Executor {
 public:
  virtual ~Executor() = default;
  virtual Status run(std::vector<Task> tasks) = 0;
};

class ThreadExecutor final : public Executor {
 public:
  explicit ThreadExecutor(int workers_max) : workers_max_(workers_max) {}
  Status run(std::vector<Task> tasks) override;

 private:
  int workers_max_;
};

// Asked from a signal handler or another thread; polled between steps.
class StopFlag {
 public:
  void request() { requested_.fetch_add(1, std::memory_order_relaxed); }
  bool requested() const { return requested_.load(std::memory_order_relaxed) > 0; }
  int times() const { return requested_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int> requested_{0};
};

}  // namespace whimbrel
