#include "stores/dynamodb/pace.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/held_clock_test.h"
#include "base/random.h"

namespace whimbrel::dynamodb {
namespace {

// A table that takes so many units a second, as the service does: it saves up what is not used for
// `saved_s` seconds.
class Table {
 public:
  Table(Clock& clock, double capacity, double saved_s = 0.1)
      : clock_(clock), capacity_(capacity), saved_s_(saved_s), there_(capacity * saved_s) {}

  bool takes(double units) {
    const Milliseconds now = clock_.monotonic();
    there_ += capacity_ * static_cast<double>((now - at_).count()) / 1000;
    there_ = std::min(there_, std::max(capacity_ * saved_s_, 1.0));
    at_ = now;
    if (there_ < units) return false;
    there_ -= units;
    return true;
  }

 private:
  Clock& clock_;
  double capacity_;
  double saved_s_;
  double there_;
  Milliseconds at_{0};
};

struct Told {
  double units = 0;
  int taken = 0;
  int refused = 0;
};

// Requests of `items` units, as fast as the pace lets them, each taking 2 ms.
Told send_for(Milliseconds duration, HeldClock& clock, Pace& pace, const auto& takes) {
  Told told;
  const Milliseconds end = clock.monotonic() + duration;
  while (clock.monotonic() < end) {
    pace.wait();
    const std::int64_t items = pace.items_max(25);
    clock.sleep_for(Milliseconds(2));
    if (takes(static_cast<double>(items))) {
      pace.pay({static_cast<double>(items)}, items);
      told.units += static_cast<double>(items);
      ++told.taken;
    } else {
      pace.throttled();
      ++told.refused;
      clock.sleep_for(Milliseconds(20));
    }
  }
  return told;
}

TEST(Pace, HoldsALimitWithinFivePerCent) {
  for (const double limit : {3.0, 40.0, 700.0, 9'000.0}) {
    HeldClock clock;
    Pace pace(clock);
    pace.limit(limit);
    const Told told = send_for(Milliseconds(20'000), clock, pace, [](double) { return true; });
    EXPECT_NEAR(told.units / 20, limit, 0.05 * limit + 1.0 / 20) << limit;
  }
}

TEST(Pace, TheLimitOfAnIndexHoldsToo) {
  HeldClock clock;
  Pace pace(clock);
  pace.limit(500);
  pace.limit(100, "by user");
  double units = 0;
  while (clock.monotonic() < Milliseconds(20'000)) {
    pace.wait();
    const std::int64_t items = pace.items_max(25);
    clock.sleep_for(Milliseconds(2));
    pace.pay({static_cast<double>(items), {{"by user", static_cast<double>(items)}}}, items);
    units += static_cast<double>(items);
  }
  EXPECT_NEAR(units / 20, 100, 5);
}

TEST(Pace, FindsWhatATableTakes) {
  for (const double capacity : {5.0, 200.0, 4'000.0}) {
    HeldClock clock;
    Pace pace(clock);
    Table table(clock, capacity, 2);
    const auto takes = [&](double units) { return table.takes(units); };
    send_for(Milliseconds(30'000), clock, pace, takes);
    const Told told = send_for(Milliseconds(60'000), clock, pace, takes);
    EXPECT_GT(told.units / 60, 0.8 * capacity) << capacity;
    EXPECT_LT(told.refused, told.taken / 4 + 10) << capacity;
  }
}

TEST(Pace, IsNotSlowedDownByWhatHasNothingToDoWithItsRate) {
  HeldClock clock;
  Pace pace(clock);
  Random random(5);
  const auto takes = [&](double) { return !random.chance(20); };
  send_for(Milliseconds(30'000), clock, pace, takes);
  const Told told = send_for(Milliseconds(60'000), clock, pace, takes);
  EXPECT_GT(told.units / 60, 1'000);
}

TEST(Pace, ComesBackWhenTheTableTakesMore) {
  HeldClock clock;
  Pace pace(clock);
  pace.limit(2'000);
  Table narrow(clock, 10, 1);
  send_for(Milliseconds(20'000), clock, pace, [&](double units) { return narrow.takes(units); });
  send_for(Milliseconds(40'000), clock, pace, [](double) { return true; });
  const Told told = send_for(Milliseconds(10'000), clock, pace, [](double) { return true; });
  EXPECT_NEAR(told.units / 10, 2'000, 100);
}

}  // namespace
}  // namespace whimbrel::dynamodb
