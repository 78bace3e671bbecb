// What a report needs from the command line: the plan as it is written.
#pragma once

#include "context.h"

namespace whimbrel::cli {

// The plan without its stores. Variables that are not set stay as they are written, `${NAME}`: a
// report needs them nowhere but in commands that a person completes.
struct PlanAsWritten {
  nlohmann::json resolved;
  std::vector<std::string> variables;  // that it takes, in their order
};
Result<PlanAsWritten> plan_as_written(const Context& context);

}  // namespace whimbrel::cli
