// The audit trail as a person reads it: one line a fact, in plain words.
//
// Chunks and batches of changes follow each other by the thousand: neighbours become one line that
// counts them. What is still too long is cut in its middle, and says how much. Every single record
// is in the report's JSON.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "journal/record.h"

namespace whimbrel {

struct TrailLine {
  enum class Kind { attempt, phase, effect, progress, decision, failure, end };
  Kind kind = Kind::effect;
  std::int64_t first = 0;  // the numbers of the records
  std::int64_t last = 0;
  TimePoint from;
  TimePoint to;
  std::string text;
};

struct Trail {
  std::vector<TrailLine> lines;
  std::int64_t left_out = 0;  // lines, after the first `shown_first`
  std::size_t shown_first = 0;
};

// What an effect of the journal is called to a person; a table that was made has its number only.
std::string effect_words(const std::string& id);
// The same, with the table that was made or filled.
std::string effect_words(const Effect& effect, const std::vector<std::string>& targets);
// A message of several lines as a part of a sentence.
std::string in_one_line(std::string_view message);

class TrailTeller {
 public:
  // `redact`: messages of errors may hold keys and values, and are left out.
  explicit TrailTeller(bool redact) : redact_(redact) {}
  void hear(const Stamped& stamped);
  Trail end() &&;

 private:
  struct Sum {
    std::int64_t chunks = 0, rows = 0, written = 0, batches = 0, changes = 0, rejected = 0;
    std::int64_t compared_tables = 0, compared = 0, differing = 0;
  };
  void add(TrailLine::Kind kind, const Stamped& stamped, std::string text);
  bool hear_progress(const Stamped& stamped);
  void end_progress();
  void push(TrailLine line);
  std::string effect_text(const std::string& id) const;

  bool redact_;
  Trail trail_;
  std::vector<TrailLine> newest_;  // a ring
  std::size_t oldest_ = 0;
  Sum sum_;
  TrailLine progress_;
  std::vector<std::string> targets_;  // of the attempt, by move
};

std::string to_clock_text(TimePoint time);  // 19:24:17
std::string to_day_text(TimePoint time);    // 21 Nov 2026, 19:24:17 UTC

}  // namespace whimbrel
