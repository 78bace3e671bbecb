// The phases of a migration and the goals of a run, by name. A part of the library's face.
#pragma once

#include <optional>
#include <string_view>

namespace whimbrel {

// Where a migration stands. Which phase follows which, and why, is in phase/phase.h.
enum class Phase {
  planned,       // nothing is touched
  prepared,      // the new tables are there, and writes to the old ones are captured
  copying,       // rows move in chunks
  following,     // every chunk has moved, and what is written meanwhile is carried over
  verified,      // every row was compared
  fenced,        // the switch is under way
  watching,      // the new side serves, and the old one is kept current: there is a way back
  finishing,     // what is no longer needed is being removed
  finished,      // the old side is archived or gone
  rolling_back,  // what the migration did is being undone
  rolled_back,   // everything is as it was before, with what was written since
  stuck,         // whether a switch flipped is unknown: a person has to look
};
inline constexpr int phase_count = 12;  // how many there are
// "planned" and so on, as the journal says it.
const char* name_of(Phase phase);
// Nothing for a name that no phase has.
std::optional<Phase> phase_from(std::string_view name);

// How far a person wants to go (`--until`).
enum class Goal {
  backup,   // the plan's backup is taken
  prepare,  // new tables, triggers and feeds are made
  copy,     // every chunk has moved
  follow,   // and what was written meanwhile
  verify,   // and every row was compared
  watch,    // and the application is switched over
};
// Nothing for a name that no goal has.
std::optional<Goal> goal_from(std::string_view name);
// "backup" and so on, as `--until` takes it.
const char* name_of(Goal goal);

}  // namespace whimbrel
