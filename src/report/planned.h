// What a plan says, as far as a report or a runbook has to tell it: read from the resolved plan in
// the journal, and before anything has begun from the plan file alone. Neither stores nor their
// variables are needed, so everything here is lenient: what cannot be read is not told.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "journal/record.h"

namespace whimbrel {

struct PlannedTable {
  std::string name;
  std::string from;  // alias/table
  std::string to;
};
struct PlannedSwitch {
  std::string name;  // as the journal calls it; "" when only the engine knows
  std::string what;  // "a row of app/flags: enabled = 1"
  std::string undo;
};
struct PlannedCheck {
  std::string at;
  std::string what;
};
struct PlannedCriterion {
  std::string name;
  std::string wanted;
  bool advisory = false;
};

struct Planned {
  std::string migration;
  std::string sync;                                         // dual, capture, none
  std::vector<std::pair<std::string, std::string>> stores;  // alias, URL or identity
  std::vector<PlannedTable> tables;
  std::vector<PlannedSwitch> switches;
  std::vector<PlannedCheck> checks;
  std::vector<PlannedCriterion> criteria;
  bool backs_up = false;
  std::string backup_to;
  std::optional<Milliseconds> hold_max;  // under `sync: none` the window
  bool starts_manually = false;
  bool rolls_back_on_failure = false;
  bool production = false;
  Milliseconds finish_after{0};
  std::int64_t clean_checks = 0;  // that `finish` wants, in a row
  std::string rename_source_to;
  bool keeps_source = true;
  bool view = false;
  std::optional<Milliseconds> drop_after;
};

// `file`: the resolved plan of the plan file, or null. A journal leaves out what may be changed
// while a migration is under way; that is taken from the file.
Planned planned(const State& state, const nlohmann::json& file);

// A word of a command line, quoted where a shell would take it apart.
std::string shell_word(const std::string& word);

}  // namespace whimbrel
