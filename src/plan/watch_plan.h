// What is looked at after the switch, how often, and whom it alarms. None of it says what moves: it
// may change while a migration is under way, and is no part of the plan's digest.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace whimbrel {

// Of CloudWatch: made, or made so again, by every check.
struct AlarmPlan {
  std::string name;
  std::string metric;  // "NAMESPACE NAME"
  double above = 0;    // the sum within a period
  Milliseconds period{300'000};
  std::int64_t times = 1;  // periods in a row
};

struct WatchPlan {
  // Two clean checks count as two when about so long lies between them.
  Milliseconds every{86'400'000};
  // A check compares so many parts of all parts of the keys: the next ones.
  std::int64_t part = 1;
  std::int64_t parts = 1;
  std::string webhook;          // "": nobody is told
  std::string webhook_written;  // before variables are filled in
  std::vector<std::string> secrets;
  std::optional<AlarmPlan> alarm;

  bool compares_a_part() const { return part < parts; }
  // Of so many rows, at least one.
  std::int64_t rows_of_a_part(std::int64_t rows) const {
    return std::max<std::int64_t>(1, (rows * part + parts - 1) / parts);
  }
};

}  // namespace whimbrel
