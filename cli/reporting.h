// What a report needs from the command line: the plan as it is written, and where things lie.
#pragma once

#include "context.h"
#include "report/document.h"

namespace whimbrel::cli {

// The plan without its stores. Variables that are not set stay as they are written, `${NAME}`: a
// report needs them nowhere but in commands that a person completes.
struct PlanAsWritten {
  nlohmann::json resolved;
  std::vector<std::string> variables;  // that it takes, in their order
};
Result<PlanAsWritten> plan_as_written(const Context& context);

ReportWanted report_wanted(Context& context, nlohmann::json plan);
// Report, page and, once there is something to roll back, the checkpoint.
Status write_reports(const Journal& journal, const ReportFacts& facts);

}  // namespace whimbrel::cli
