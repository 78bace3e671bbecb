// What the journal knows that a measurement cannot see: whether rows were lost, and for how long
// writers were kept out. A pure function of the records.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "journal/record.h"

namespace whimbrel {

struct FullVerification {
  std::int64_t rows = 0;
  std::int64_t differing = 0;  // missing ones are among them
  TimePoint at;
};
struct HeldWriters {
  std::int64_t holds = 0;
  Milliseconds held{0};
  Milliseconds longest{0};    // of these holds
  Milliseconds migration{0};  // from the attempt's begin to the switch, or until now before it
  double uptime_per_cent() const;
};

struct JournalFacts {
  std::string phase;
  int attempt = 0;
  std::int64_t set_aside = 0;                // rows that the new side lacks
  std::optional<FullVerification> verified;  // the last full one of this attempt
  HeldWriters writers;
};

// Unset when nothing was started.
std::optional<JournalFacts> facts_of(const std::vector<Stamped>& records, TimePoint now);

}  // namespace whimbrel
