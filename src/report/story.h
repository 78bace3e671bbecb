// What the records of a journal tell, gathered once for the page, the runbook and the checklist.
//
// A pure function of the records and the time. It hears them one after the other and keeps of a
// chunk only what a chart needs, so that a hundred thousand chunks are a few megabytes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "journal/record.h"

namespace whimbrel {

struct AttemptSpan {
  int number = 1;
  TimePoint from;
  std::optional<TimePoint> to;
  std::string outcome;  // finished, rolled_back; "" while it is open
};
// An attempt that made the switch and went back. `as_written`: see Migration.
struct Rehearsed {
  std::string as_written;
  TimePoint switched;
  TimePoint rolled_back;
};
struct PhaseSpan {
  int attempt = 1;
  Phase phase = Phase::planned;
  std::string why;
  TimePoint from;
  std::optional<TimePoint> to;
};
// Writers were held; the hold ends by itself at `until`, whatever becomes of whimbrel.
struct HoldSpan {
  int attempt = 1;
  bool on_the_way_back = false;
  TimePoint from;
  TimePoint until;
  std::optional<TimePoint> released;
  std::int64_t carried = 0;  // changes that were carried over while they were held

  TimePoint ended(TimePoint now) const;
  Milliseconds length(TimePoint now) const { return ended(now) - from; }
};
struct EffectTimes {
  TimePoint intended;
  std::optional<TimePoint> confirmed;
  std::optional<TimePoint> undone;
  std::string result;
};
struct Comparison {
  int attempt = 1;
  Phase phase = Phase::planned;
  TimePoint at;
  VerifyEnded what;
};
struct Incident {
  int attempt = 1;
  Phase phase = Phase::planned;
  TimePoint at;
  Failed what;
};
struct Decided {
  int attempt = 1;
  TimePoint at;
  OperatorDecided what;
};
struct ChunkPoint {
  TimePoint at;
  std::int64_t ms = 0;
  std::int64_t rows = 0;
};
struct CarriedPoint {
  TimePoint at;
  std::int64_t changes = 0;  // 0: from here on the feed is read
  bool backward = false;
};

struct Story {
  std::vector<AttemptSpan> attempts;
  std::vector<PhaseSpan> phases;
  std::vector<HoldSpan> holds;
  std::vector<Comparison> comparisons;
  std::vector<Incident> incidents;
  std::vector<Decided> decisions;
  std::vector<Rehearsed> rehearsed;
  // Of the latest attempt.
  std::map<std::string, EffectTimes> effects;
  std::vector<ChunkPoint> chunks;
  std::vector<CarriedPoint> carried;
  std::map<int, std::int64_t> bytes;  // by move
  std::int64_t records = 0;
  std::optional<TimePoint> began;
  std::optional<TimePoint> last;

  int attempt() const { return attempts.empty() ? 0 : attempts.back().number; }
  const EffectTimes* effect(const std::string& id) const;
  // The latest full comparison of the latest attempt; without one, the latest of a sample.
  const Comparison* comparison() const;
  // Time spent in a phase by the latest attempt, and when it was there first.
  std::optional<TimePoint> first_in(Phase phase) const;
  std::vector<HoldSpan> holds_of(int attempt) const;
};

class StoryTeller {
 public:
  void hear(const Stamped& stamped);
  Story end() && { return std::move(story_); }

 private:
  void hear_effect(const Stamped& stamped);
  HoldSpan* open_hold();

  Story story_;
  std::string as_written_;
  std::optional<TimePoint> switched_;
  Phase phase_ = Phase::planned;
};

Story tell(const std::vector<Stamped>& records);

}  // namespace whimbrel
