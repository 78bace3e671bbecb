// One seeded generator, passed in, so that every run can be replayed.
//
// Algorithm: splitmix64 (Steele, Lea, Flood 2014); good enough for jitter, sampling and test data,
// not for secrets.
#pragma once

#include <cstdint>

namespace whimbrel {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // A number in [0, bound); 0 when bound is not positive.
  std::int64_t below(std::int64_t bound) {
    return bound <= 0 ? 0 : static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(bound));
  }
  bool chance(int per_cent) { return below(100) < per_cent; }

 private:
  std::uint64_t state_;
};

}  // namespace whimbrel
