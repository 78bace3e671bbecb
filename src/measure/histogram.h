// How long many things took, in little memory: counts by bucket, 64 buckets to each doubling.
//
// A percentile is at most 1.6 % above what was measured, never below; the highest is exact.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace whimbrel {

class Histogram {
 public:
  using Nanoseconds = std::chrono::nanoseconds;

  void add(Nanoseconds took);
  void add(const Histogram& other);
  std::int64_t count() const { return count_; }
  Nanoseconds highest() const { return highest_; }
  // Zero when nothing was added. `share` is in (0, 1]: 0.95 for the 95th percentile.
  Nanoseconds percentile(double share) const;

 private:
  std::vector<std::int64_t> buckets_;  // as far as the highest one that is used
  std::int64_t count_ = 0;
  Nanoseconds highest_{0};
};

}  // namespace whimbrel
