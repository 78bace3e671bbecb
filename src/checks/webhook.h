// Tells a service that a check has failed, by a POST of JSON.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "plan/watch_plan.h"

namespace whimbrel {

// Tried a few times. The error tells the URL as the plan writes it.
Status post_to_webhook(const WatchPlan& plan, const std::string& json, Clock& clock);

}  // namespace whimbrel
