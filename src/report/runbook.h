// The runbook of a plan as Markdown: each step with its command, its time, who confirms it, what to
// look at, and the way back from it; and beside each what really happened, once it has.
//
// Before anything has begun it is made from the plan alone.
#pragma once

#include <string>
#include <vector>

#include "report/facts.h"

namespace whimbrel {

struct RunbookStep {
  std::string title;
  std::vector<std::string> commands;
  std::string time;
  std::string confirms;
  std::string look;
  std::string safe;  // what holds when one stops here
  std::string back;
  std::vector<std::string> happened;
};

std::vector<RunbookStep> runbook_steps(const ReportFacts& facts);
// `variables`: those that the plan takes from the command line or the environment.
std::string runbook(const ReportFacts& facts, const std::vector<std::string>& variables);

}  // namespace whimbrel
