// All moving is steps on an Executor: worker threads in production, one seeded thread in the
// simulation, the same tasks in both.
//
// A task is stepped by one thread at a time. Tasks of one call share nothing but what they
// synchronise themselves. `run` returns when every task is done or one failed, after every step
// under way has ended; the first error wins.
#pragma once

#include <functional>
#include <vector>

#include "base/error.h"
#include "base/stop.h"

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

}  // namespace whimbrel
