// What was measured beside the migration itself (latency, errors, storage, uptime of the writers),
// and how it was judged, as `migration-comparison-latest.json` in the state folder tells it:
//
//   {"made_at": "2026-11-21T20:15:03.123Z",
//    "criteria": [{"name": "p95_change", "wanted": "-30%", "measured": "-41.2%", "met": true}]}
//
// `met` is left out where nothing could be measured. The file may be missing: then nothing was
// measured, which is what a report says.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace whimbrel {

struct Measured {
  std::string name;
  std::string wanted;
  std::string measured;
  std::optional<bool> met;
  bool advisory = false;
};
struct Measurement {
  std::string made_at;
  std::vector<Measured> criteria;
};

Measurement read_measurement(const std::string& state_folder);

}  // namespace whimbrel
