// Copying waits for those who have to come after: replicas, and who reads the log.
#pragma once

#include "base/clock.h"
#include "store/store.h"
#include "stores/postgresql/connection.h"

namespace whimbrel::postgresql {

// Threads: one at a time.
class Brake {
 public:
  Brake(const StoreLimits& limits, Clock& clock) : limits_(limits), clock_(clock) {}
  // Asks now and then; ends early when the process is asked to stop.
  Status wait(Connection& connection);

 private:
  StoreLimits limits_;
  Clock& clock_;
  std::optional<Milliseconds> asked_;
};

}  // namespace whimbrel::postgresql
