// Whether a plan is still the one that a migration was begun with. Any thread.
#pragma once

#include <string>

#include "base/error.h"
#include "journal/journal.h"
#include "plan/migration.h"

namespace whimbrel {

// Nothing was started yet, or all of it was rolled back: any plan may begin.
bool begins_anew(const State& state);

// `refused`, with the difference, where it was started with another plan, unless it begins anew.
Status must_be_the_plan(const State& state, const Migration& migration);

// For what ends a migration: `refused` where the plan, as the parser has resolved it, says
// otherwise than then which rows go where, or what is switched. How it is checked, watched and
// archived may have been changed since.
Status must_lead_there(const State& state, const std::string& resolved);

}  // namespace whimbrel
