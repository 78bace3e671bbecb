// A check that asks a service over HTTP: whether it answers as the plan says.
//
// A service may be just about to come up or to hear of the switch, so it is asked again until
// `within` has passed; only the last answer is told. Nothing that a variable gave to the URL is.
#pragma once

#include <string>

#include "aws/http.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/stop.h"
#include "plan/migration.h"

namespace whimbrel {

// `check` has `http`. data_mismatch with what was expected and what came; `cancelled` after a stop.
Status ask_service(const CheckPlan& check, aws::Http& http, Clock& clock, const StopFlag& stop);
// The same over a connection of its own.
Status ask_service(const CheckPlan& check, Clock& clock, const StopFlag& stop);

}  // namespace whimbrel
