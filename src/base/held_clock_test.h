// A clock for tests: only who sleeps makes time pass.
#pragma once

#include "base/clock.h"

namespace whimbrel {

class HeldClock final : public Clock {
 public:
  TimePoint now() override { return TimePoint(time_); }
  Milliseconds monotonic() override { return time_; }
  void sleep_for(Milliseconds duration) override { time_ += duration; }

 private:
  Milliseconds time_{0};
};

}  // namespace whimbrel
