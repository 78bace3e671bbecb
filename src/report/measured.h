// What was measured beside the migration itself (latency, errors, storage, uptime of the writers),
// and how it was judged, as `migration-comparison-latest.json` in the state folder tells it:
//
//   {"migration": "a-name", "made_at": "2026-11-21T20:15:03.123Z",
//    "after": {"made_at": "2026-11-21T20:14:02.456Z", …},
//    "criteria": [{"name": "p95_change", "wanted": "-30%", "measured": "-41.2%", "met": true}]}
//
// `met` is left out where nothing could be measured. The file may be missing: then nothing was
// measured, which is what a report says.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/story.h"

namespace whimbrel {

struct Measured {
  std::string name;
  std::string wanted;
  std::string measured;
  std::optional<bool> met;
  bool advisory = false;
};
struct Measurement {
  std::string migration;  // "" where it is not said
  std::string made_at;
  std::string measured_at;  // when what is judged was measured
  std::vector<Measured> criteria;
  std::string left_out;  // why the criteria are not told
};

Measurement read_measurement(const std::string& state_folder);
// What was measured for another migration, in another attempt, or before the switch that it should
// judge says nothing here: its criteria are left out then, with the reason.
Measurement only_of(const Story& story, const std::string& migration, Measurement measurement);

}  // namespace whimbrel
