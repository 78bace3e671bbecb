// Numbers over time, made small enough for a chart: some hundred points, whatever there was.
//
// Time at which nothing happened (a night between two runs) is cut out, so that seconds of work
// stay visible beside days of waiting; the cuts are kept and drawn.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "report/story.h"

namespace whimbrel {

struct Busy {
  TimePoint from;
  TimePoint to;
};

class WorkTime {
 public:
  struct Cut {
    Milliseconds at;      // of working time
    Milliseconds length;  // of what was cut out
  };
  // Pauses longer than `pause_min` and than a fifth of the work are cut out. `pause_shown`: the
  // part of the whole that each of them keeps, so that a bar can cross it.
  WorkTime(std::vector<Busy> busy, Milliseconds pause_min, double pause_shown = 0);

  // Working time from the begin to this moment; inside a pause, somewhere inside its cut.
  double at(TimePoint time) const;
  double total() const { return total_; }  // at least 1 ms
  const std::vector<Cut>& cuts() const { return cuts_; }
  Milliseconds cut_out() const;

 private:
  struct Piece {
    TimePoint from;
    TimePoint to;
    double begins;
    double ends;
  };
  std::vector<Piece> pieces_;
  std::vector<Cut> cuts_;
  double total_ = 1;
};

struct ThroughputStep {
  double from = 0;
  double to = 0;
  double value = 0;
};
struct Point {
  double x = 0;
  double y = 0;
};
struct Spread {
  double x = 0;
  double low = 0;
  double middle = 0;  // the median
  double high = 0;
};

inline constexpr int points_max = 120;

// Rows a second over working time.
std::vector<ThroughputStep> throughput(const std::vector<ChunkPoint>& chunks, const WorkTime& time);
// Of each group of neighbouring chunks the least, the median and the most; x is the chunk's number.
std::vector<Spread> spread(const std::vector<std::int64_t>& values);
// Changes that waited to be carried over, by the times at which a feed was read. A feed was read to
// its end by a batch smaller than the largest; what a series of batches carried had gathered since
// the end before it.
std::vector<std::pair<TimePoint, std::int64_t>> waiting(const std::vector<CarriedPoint>& carried,
                                                        bool backward);
// At most points_max of them: of each group of neighbours the highest.
std::vector<Point> thinned(std::vector<Point> points);

}  // namespace whimbrel
