// The alarm that a plan wants to have at CloudWatch, and the metric that tells of each check.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "plan/watch_plan.h"

namespace whimbrel {

// Makes the alarm, or makes it so again, and sends what came of this check: `whimbrel NotClean` of
// the migration.
Status keep_alarm(const AlarmPlan& plan, const std::string& migration, bool clean, Clock& clock);

}  // namespace whimbrel
