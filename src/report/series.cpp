#include "report/series.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "follow/follow.h"

namespace whimbrel {

namespace {

double count(Milliseconds duration) { return static_cast<double>(duration.count()); }

std::vector<Busy> merged(std::vector<Busy> busy, Milliseconds pause_min) {
  std::ranges::sort(busy, {}, &Busy::from);
  std::vector<Busy> stretches;
  for (const Busy& one : busy) {
    if (stretches.empty() || one.from - stretches.back().to > pause_min) {
      stretches.push_back(one);
    } else {
      stretches.back().to = std::max(stretches.back().to, one.to);
    }
  }
  return stretches;
}

Milliseconds length_of(const std::vector<Busy>& stretches) {
  Milliseconds all{0};
  for (const Busy& one : stretches) all += one.to - one.from;
  return all;
}

}  // namespace

WorkTime::WorkTime(std::vector<Busy> busy, Milliseconds pause_min, double pause_shown) {
  std::vector<Busy> stretches = merged(std::move(busy), pause_min);
  const Milliseconds longest = std::max(pause_min, length_of(stretches) / 5);
  stretches = merged(std::move(stretches), longest);
  if (stretches.empty()) return;
  const double work = std::max(1.0, count(length_of(stretches)));
  const auto pauses = static_cast<double>(stretches.size() - 1);
  const double shown = work * std::min(pause_shown, 0.4 / std::max(1.0, pauses));
  double now = 0;
  for (std::size_t i = 0; i < stretches.size(); ++i) {
    if (i > 0) {
      const Milliseconds pause = stretches[i].from - stretches[i - 1].to;
      cuts_.push_back({Milliseconds(std::llround(now + shown / 2)), pause});
      now += shown;
    }
    const double ends = now + count(stretches[i].to - stretches[i].from);
    pieces_.push_back({stretches[i].from, stretches[i].to, now, ends});
    now = ends;
  }
  total_ = std::max(1.0, now);
}

double WorkTime::at(TimePoint time) const {
  const auto next = std::ranges::upper_bound(pieces_, time, {}, &Piece::from);
  if (next == pieces_.begin()) return 0;
  const Piece& piece = *std::prev(next);
  if (time <= piece.to) return piece.begins + count(time - piece.from);
  if (next == pieces_.end()) return piece.ends;
  const double part = count(time - piece.to) / std::max(1.0, count(next->from - piece.to));
  return piece.ends + part * (next->begins - piece.ends);
}

Milliseconds WorkTime::cut_out() const {
  Milliseconds all{0};
  for (const Cut& cut : cuts_) all += cut.length;
  return all;
}

std::vector<ThroughputStep> throughput(const std::vector<ChunkPoint>& chunks,
                                       const WorkTime& time) {
  if (chunks.empty()) return {};
  // A step narrower than a few chunks would show their borders and not the speed.
  const auto wanted = static_cast<int>(chunks.size() / 4);
  const int steps = std::clamp(wanted, 1, points_max);
  const double width = time.total() / steps;
  std::vector<ThroughputStep> all(static_cast<std::size_t>(steps));
  for (int i = 0; i < steps; ++i) all[static_cast<std::size_t>(i)] = {i * width, (i + 1) * width};
  for (const ChunkPoint& chunk : chunks) {
    const double to = time.at(chunk.at);
    const double from = std::min(time.at(chunk.at - Milliseconds(chunk.ms)), to - 0.001);
    const int first = std::clamp(static_cast<int>(from / width), 0, steps - 1);
    const int last = std::clamp(static_cast<int>(to / width), 0, steps - 1);
    for (int i = first; i <= last; ++i) {
      ThroughputStep& step = all[static_cast<std::size_t>(i)];
      const double left = i == first ? from : step.from;
      const double right = i == last ? to : step.to;
      step.value += static_cast<double>(chunk.rows) * std::max(0.0, right - left) / (to - from);
    }
  }
  for (ThroughputStep& step : all) step.value = step.value * 1000 / width;
  return all;
}

std::vector<Spread> spread(const std::vector<std::int64_t>& values) {
  std::vector<Spread> all;
  const std::size_t groups = std::min<std::size_t>(values.size(), points_max);
  for (std::size_t i = 0; i < groups; ++i) {
    const std::size_t from = i * values.size() / groups;
    const std::size_t to = (i + 1) * values.size() / groups;
    std::vector<std::int64_t> group(values.begin() + static_cast<std::ptrdiff_t>(from),
                                    values.begin() + static_cast<std::ptrdiff_t>(to));
    std::ranges::sort(group);
    const double x = static_cast<double>(from + 1 + to) / 2;
    all.push_back({x, static_cast<double>(group.front()),
                   static_cast<double>(group[group.size() / 2]),
                   static_cast<double>(group.back())});
  }
  return all;
}

std::vector<std::pair<TimePoint, std::int64_t>> waiting(const std::vector<CarriedPoint>& carried,
                                                        bool backward) {
  std::vector<std::pair<TimePoint, std::int64_t>> all;
  std::vector<CarriedPoint> series;
  const auto finish = [&] {
    std::int64_t left = 0;
    for (const CarriedPoint& one : series) left += one.changes;
    for (const CarriedPoint& one : series) {
      // It waited until this moment, and then it was carried.
      all.emplace_back(one.at, left);
      left -= one.changes;
      all.emplace_back(one.at, left);
    }
    series.clear();
  };
  for (const CarriedPoint& one : carried) {
    if (one.backward != backward) continue;
    series.push_back(one);
    if (one.changes < Follow::changes_per_batch_max) finish();
  }
  finish();
  return all;
}

std::vector<Point> thinned(std::vector<Point> points) {
  constexpr std::size_t most = 2 * points_max;
  if (points.size() <= most) return points;
  std::vector<Point> few = {points.front()};
  for (std::size_t i = 0; i < most; ++i) {
    const std::size_t from = i * points.size() / most;
    const std::size_t to = (i + 1) * points.size() / most;
    few.push_back(
        *std::max_element(points.begin() + static_cast<std::ptrdiff_t>(from),
                          points.begin() + static_cast<std::ptrdiff_t>(to),
                          [](const Point& one, const Point& other) { return one.y < other.y; }));
  }
  few.push_back(points.back());
  return few;
}

}  // namespace whimbrel
