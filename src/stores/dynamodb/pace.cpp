#include "stores/dynamodb/pace.h"

#include <algorithm>

namespace whimbrel::dynamodb {

namespace {
constexpr double burst_s = 0.5;  // what an idle bucket saves up
constexpr Milliseconds growth_every{5'000};
constexpr Milliseconds breath{500};  // between two cuts: one storm is one sign
}  // namespace

void Pace::limit(double units_per_s) {
  const std::lock_guard lock(mutex_);
  limit_ = rate_ = units_per_s;
  balance_ = 0;
  filled_ = grown_ = clock_.monotonic();
}

void Pace::refill() {
  const Milliseconds now = clock_.monotonic();
  if (rate_ > 0) {
    const double seconds = static_cast<double>((now - filled_).count()) / 1000;
    balance_ = std::min(balance_ + rate_ * seconds, rate_ * burst_s);
  }
  filled_ = now;
  if (rate_ > 0 && now - grown_ >= growth_every) {
    grown_ = now;
    rate_ *= 1.05;
    if (limit_ > 0) rate_ = std::min(rate_, limit_);
  }
}

void Pace::wait() {
  while (true) {
    Milliseconds pause{0};
    {
      const std::lock_guard lock(mutex_);
      refill();
      if (rate_ <= 0 || balance_ >= 0) return;
      pause = Milliseconds(static_cast<std::int64_t>(-balance_ * 1000 / rate_) + 1);
    }
    clock_.sleep_for(std::min(pause, Milliseconds(1'000)));
  }
}

void Pace::pay(double units) {
  const std::lock_guard lock(mutex_);
  refill();
  if (rate_ > 0) balance_ -= units;
  const Milliseconds now = clock_.monotonic();
  if (now - counted_ > Milliseconds(2'000)) {
    counted_ = now;
    paid_recently_ = 0;
  }
  paid_recently_ += units;
}

void Pace::throttled() {
  const std::lock_guard lock(mutex_);
  refill();
  const Milliseconds now = clock_.monotonic();
  if (rate_ > 0 && now - grown_ < breath) return;
  if (rate_ <= 0) {
    // What went through lately is what the table bears.
    const double seconds = std::max(static_cast<double>((now - counted_).count()) / 1000, 0.2);
    rate_ = std::max(paid_recently_ / seconds, 5.0);
  }
  rate_ = std::max(rate_ * 0.7, 1.0);
  balance_ = std::min(balance_, 0.0);
  grown_ = now;
}

}  // namespace whimbrel::dynamodb
