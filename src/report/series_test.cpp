#include "report/series.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "report/charts.h"

namespace whimbrel {
namespace {

TimePoint at(std::int64_t ms) { return TimePoint(Milliseconds(ms)); }

TEST(WorkTime, CutsOutTheNight) {
  const WorkTime time({{at(0), at(1000)}, {at(9'000'000), at(9'001'000)}}, Milliseconds(60'000));
  EXPECT_EQ(time.total(), 2000);
  EXPECT_EQ(time.at(at(500)), 500);
  EXPECT_EQ(time.at(at(9'000'500)), 1500);
  ASSERT_EQ(time.cuts().size(), 1);
  EXPECT_EQ(time.cuts()[0].at, Milliseconds(1000));
  EXPECT_EQ(time.cut_out(), Milliseconds(8'999'000));
}

TEST(WorkTime, KeepsAPauseThatIsShortBesideTheWork) {
  const WorkTime time({{at(0), at(1'000'000)}, {at(1'100'000), at(2'000'000)}}, Milliseconds(1000));
  EXPECT_TRUE(time.cuts().empty());
  EXPECT_EQ(time.total(), 2'000'000);
}

TEST(WorkTime, OfNothingIsNotEmpty) {
  const WorkTime time({}, Milliseconds(1000));
  EXPECT_GE(time.total(), 1);
  EXPECT_EQ(time.at(at(5)), 0);
}

TEST(Throughput, CountsEveryRowOnce) {
  std::vector<ChunkPoint> chunks;
  std::vector<Busy> busy;
  for (int i = 1; i <= 5000; ++i) {
    chunks.push_back({at(i * 7), 7, i % 13});
    busy.push_back({at(i * 7 - 7), at(i * 7)});
  }
  std::int64_t rows = 0;
  for (const ChunkPoint& chunk : chunks) rows += chunk.rows;
  const WorkTime time(busy, Milliseconds(1000));
  double counted = 0;
  const std::vector<ThroughputStep> steps = throughput(chunks, time);
  EXPECT_LE(steps.size(), points_max);
  for (const ThroughputStep& step : steps) counted += step.value * (step.to - step.from) / 1000;
  EXPECT_NEAR(counted, static_cast<double>(rows), 0.5);
}

TEST(Throughput, OfOneChunkIsItsOwn) {
  const std::vector<ChunkPoint> chunks = {{at(100), 100, 50}};
  const WorkTime time({{at(0), at(100)}}, Milliseconds(1000));
  const std::vector<ThroughputStep> steps = throughput(chunks, time);
  ASSERT_EQ(steps.size(), 1);
  EXPECT_NEAR(steps[0].value, 500, 1);
}

TEST(Spread, KeepsLeastMedianAndMost) {
  std::vector<std::int64_t> values(100'000, 5);
  values[50'000] = 900;
  values[50'001] = 1;
  const std::vector<Spread> all = spread(values);
  ASSERT_EQ(all.size(), points_max);
  double low = 5;
  double high = 5;
  for (const Spread& one : all) {
    EXPECT_EQ(one.middle, 5);
    low = std::min(low, one.low);
    high = std::max(high, one.high);
  }
  EXPECT_EQ(low, 1);
  EXPECT_EQ(high, 900);
}

TEST(Waiting, FallsFromWhatASeriesOfBatchesCarried) {
  const std::vector<CarriedPoint> carried = {
      {at(0), 0, false}, {at(10), 500, false}, {at(11), 500, true}, {at(20), 30, false}};
  const auto forward = waiting(carried, false);
  ASSERT_EQ(forward.size(), 6);
  EXPECT_EQ(forward[2], std::pair(at(10), std::int64_t{530}));
  EXPECT_EQ(forward[3], std::pair(at(10), std::int64_t{30}));
  EXPECT_EQ(forward[5], std::pair(at(20), std::int64_t{0}));
  EXPECT_EQ(waiting(carried, true).size(), 2);
}

TEST(Thinned, KeepsTheHighest) {
  std::vector<Point> points;
  for (int i = 0; i < 10'000; ++i) points.push_back({double(i), i == 7777 ? 99.0 : 1.0});
  const std::vector<Point> few = thinned(points);
  EXPECT_LE(few.size(), 2 * points_max + 2);
  EXPECT_TRUE(std::ranges::any_of(few, [](const Point& one) { return one.y == 99; }));
}

TEST(Ticks, AreRoundAndInOneUnit) {
  const Ticks seconds = ticks(Axis::duration, 0, 19'500, 6);
  EXPECT_EQ(seconds.unit, "seconds");
  ASSERT_EQ(seconds.at.size(), 4);
  EXPECT_EQ(seconds.at[3].second, "15");
  EXPECT_EQ(ticks(Axis::duration, 0, 7'200'000, 4).unit, "minutes");
  EXPECT_EQ(ticks(Axis::duration, 0, 900'000'000, 5).unit, "days");
  for (const auto& [value, text] : ticks(Axis::count, 0, 1, 4).at) {
    EXPECT_TRUE(text == "0" || text == "1") << text;
  }
}

TEST(ShortNumber, IsShort) {
  EXPECT_EQ(short_number(999), "999");
  EXPECT_EQ(short_number(1234), "1,234");
  EXPECT_EQ(short_number(12'340), "12.3 k");
  EXPECT_EQ(short_number(1'234'567), "1.23 M");
}

}  // namespace
}  // namespace whimbrel
