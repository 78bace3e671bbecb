#include "measure/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace whimbrel {
namespace {

using Nanoseconds = std::chrono::nanoseconds;

TEST(HistogramPercentiles, AreNeverBelowAndNearlyWhatWasMeasured) {
  Random random(7);
  Histogram histogram;
  std::vector<std::int64_t> all;
  for (int i = 0; i < 20'000; ++i) {
    const std::int64_t value = random.below(std::int64_t{1} << random.below(36));
    all.push_back(value);
    histogram.add(Nanoseconds(value));
  }
  std::ranges::sort(all);
  for (const double share : {0.01, 0.5, 0.95, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * 20'000)) - 1;
    const auto exact = static_cast<double>(all[rank]);
    const auto found = static_cast<double>(histogram.percentile(share).count());
    EXPECT_GE(found, exact) << share;
    EXPECT_LE(found, exact * 1.016 + 1) << share;
  }
  EXPECT_EQ(histogram.highest().count(), all.back());
  EXPECT_EQ(histogram.percentile(1.0).count(), all.back());
}

TEST(HistogramPercentiles, OfNothingAreZero) {
  EXPECT_EQ(Histogram().percentile(0.99).count(), 0);
  Histogram one;
  one.add(Nanoseconds(-5));
  EXPECT_EQ(one.count(), 1);
  EXPECT_EQ(one.percentile(0.5).count(), 0);
}

TEST(HistogramSums, AreThoseOfBothParts) {
  Histogram left;
  Histogram right;
  Histogram both;
  for (int i = 0; i < 1000; ++i) {
    (i % 3 == 0 ? left : right).add(Nanoseconds(i * i));
    both.add(Nanoseconds(i * i));
  }
  left.add(right);
  EXPECT_EQ(left.count(), both.count());
  for (const double share : {0.1, 0.5, 0.9, 1.0}) {
    EXPECT_EQ(left.percentile(share), both.percentile(share));
  }
}

}  // namespace
}  // namespace whimbrel
