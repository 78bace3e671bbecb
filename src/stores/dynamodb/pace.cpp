#include "stores/dynamodb/pace.h"

#include <algorithm>

namespace whimbrel::dynamodb {

namespace {
constexpr double burst_s = 0.25;      // what an idle bucket saves up, and what requests may ask for
constexpr double rate_min = 1;        // nothing is slowed down to a standstill
constexpr double rate_unknown = 25;   // throttled before anything went through
constexpr double growth = 0.25;       // a second
constexpr double growth_near = 0.01;  // where it was cut before
constexpr double growth_gained_per_s = 0.005;
constexpr int cuts_max = 3;  // in a row, before they are known to be in vain
constexpr Milliseconds vain_for{10'000};
constexpr double refused_part_max = 0.05;
constexpr Milliseconds window_min{500};
constexpr Milliseconds window_max{5'000};
constexpr Milliseconds gap_that_is_idle{100};
constexpr double requests_per_window = 20;
constexpr Milliseconds healed{30'000};
constexpr double healed_at = 8;  // times what it was cut to
}  // namespace

void Pace::limit(double units_per_s, const std::string& index) {
  const std::lock_guard lock(mutex_);
  Bucket& bucket = buckets_[index];
  // What was tried before says nothing of what is allowed now.
  Bucket fresh;
  fresh.limit = fresh.rate = units_per_s;
  fresh.filled = clock_.monotonic();
  fresh.per_item = bucket.per_item;
  fresh.per_request = bucket.per_request;
  bucket = fresh;
}

void Pace::grow(Bucket& bucket, Milliseconds now, double seconds) {
  if (bucket.cuts > 0 || (bucket.limit > 0 && bucket.rate >= bucket.limit)) return;
  const double since_s = static_cast<double>((now - bucket.cut).count()) / 1000;
  const double careful = growth_near + growth_gained_per_s * since_s;
  const bool is_known = bucket.rate < 0.85 * bucket.ceiling;
  bucket.rate *= 1 + (is_known ? growth : std::min(growth, careful)) * std::min(seconds, 1.0);
  if (bucket.limit > 0) {
    bucket.rate = std::min(bucket.rate, bucket.limit);
  } else if (now - bucket.cut > healed && bucket.rate > healed_at * bucket.ceiling) {
    bucket.rate = bucket.balance = 0;
  }
}

void Pace::judge(Bucket& bucket, Milliseconds now) {
  Window& window = bucket.window;
  if (window.seen == Milliseconds(0)) window.since = window.seen = now;
  const Milliseconds lasted = now - window.since;
  // Without a rate whoever asks may have been idle in between.
  const Milliseconds gap = now - window.seen;
  window.busy += bucket.rate > 0 ? gap : std::min(gap, gap_that_is_idle);
  window.seen = now;
  const double requests = window.taken + window.refused;
  if (lasted < window_min || (requests < requests_per_window && lasted < window_max)) return;
  const double share = requests > 0 ? window.refused / requests : 0;
  const double through =
      window.units * 1000 / static_cast<double>(std::max<std::int64_t>(window.busy.count(), 1));
  window = {now, now};
  if (share <= refused_part_max) {
    if (requests > 0) bucket.cuts = 0;
    return;
  }
  if (now < bucket.vain_until && share < 1.5 * bucket.share_in_vain) return;
  if (bucket.cuts == 0) {
    bucket.rate_before = bucket.rate;
    bucket.share_before = share;
  }
  if (bucket.cuts == cuts_max && share < 1 && share > 0.5 * bucket.share_before) {
    bucket.rate = bucket.rate_before;
    bucket.share_in_vain = share;
    bucket.vain_until = now + vain_for;
    bucket.cuts = 0;
    return;
  }
  const double before = bucket.rate > 0 ? bucket.rate : std::max(through, rate_unknown);
  bucket.rate = std::max(std::clamp(through, 0.5 * (1 - share) * before, 0.9 * before), rate_min);
  bucket.ceiling = bucket.rate;
  bucket.balance = std::min(bucket.balance, 0.0);
  bucket.cut = now;
  bucket.cuts = std::min(bucket.cuts + 1, cuts_max);
}

void Pace::refill(Bucket& bucket, Milliseconds now) {
  const double seconds = static_cast<double>((now - bucket.filled).count()) / 1000;
  bucket.filled = now;
  if (bucket.rate <= 0) return;
  bucket.balance = std::min(bucket.balance + bucket.rate * seconds, bucket.rate * burst_s);
  grow(bucket, now, seconds);
}

void Pace::wait() {
  while (true) {
    Milliseconds pause{0};
    {
      const std::lock_guard lock(mutex_);
      const Milliseconds now = clock_.monotonic();
      for (auto& [index, bucket] : buckets_) {
        refill(bucket, now);
        if (bucket.rate <= 0 || bucket.balance >= 0) continue;
        pause = std::max(
            pause,
            Milliseconds(static_cast<std::int64_t>(-bucket.balance * 1000 / bucket.rate) + 1));
      }
    }
    if (pause.count() == 0) return;
    clock_.sleep_for(std::min(pause, Milliseconds(1'000)));
  }
}

std::int64_t Pace::items_max(std::int64_t wanted) {
  const std::lock_guard lock(mutex_);
  double most = static_cast<double>(wanted);
  for (const auto& [index, bucket] : buckets_) {
    if (bucket.rate <= 0) continue;
    const double each = bucket.per_item > 0 ? bucket.per_item : 1;
    most = std::min(most, bucket.rate * burst_s / each);
  }
  return std::max(static_cast<std::int64_t>(most), std::int64_t{1});
}

void Pace::pay(Bucket& bucket, Milliseconds now, double units, std::int64_t items,
               double left_over) {
  refill(bucket, now);
  if (bucket.rate > 0) bucket.balance -= units;
  bucket.window.units += units;
  bucket.window.refused += left_over;
  bucket.window.taken += 1 - left_over;
  judge(bucket, now);
  bucket.per_request = 0.7 * bucket.per_request + 0.3 * units;
  if (items <= 0) return;
  const double each = units / static_cast<double>(items);
  // The least that a request costs says nothing of an item's price: it could have had more of them.
  if (units <= 1 && bucket.per_item > 0 && each > bucket.per_item) return;
  bucket.per_item = bucket.per_item > 0 ? 0.7 * bucket.per_item + 0.3 * each : each;
}

void Pace::pay(const Units& units, std::int64_t items, double left_over) {
  const std::lock_guard lock(mutex_);
  const Milliseconds now = clock_.monotonic();
  pay(buckets_[""], now, units.table, items, left_over);
  for (const auto& [index, taken] : units.indexes) pay(buckets_[index], now, taken, items, 0);
}

void Pace::throttled(const std::string& index) {
  const std::lock_guard lock(mutex_);
  const Milliseconds now = clock_.monotonic();
  Bucket& bucket = buckets_[index];
  refill(bucket, now);
  bucket.window.refused += 1;
  // A refusal takes nothing of the table's, but who asks again at once is refused again.
  if (now >= bucket.vain_until) {
    const double price = bucket.per_request > 0 ? bucket.per_request : bucket.rate * burst_s;
    bucket.balance = std::max(bucket.balance - price, -bucket.rate);
  }
  judge(bucket, now);
}

}  // namespace whimbrel::dynamodb
