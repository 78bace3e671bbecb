// A process beside the runner that lets the application go when the runner dies.
//
// What holds an application that no store can hold (settings of functions, a file) stays as it is
// when whoever set it is killed. So a second process is started first. It ends when it is told that
// all is well; when the runner is gone, or the time is over, it puts the settings back as they were
// found, by the runner's journal.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "plan/migration.h"

namespace whimbrel {

struct GuardOrders {
  std::string plan;    // path of the file
  std::string folder;  // with the journal
  std::map<std::string, std::string> variables;
  std::vector<std::string> holds;  // their names, in the plan's order
  TimePoint until{};
};

// The verb under which `program` calls guard().
inline constexpr const char* guard_verb = "guard-hold";

// While what it gives lives, the guard waits. `unavailable` when it cannot be started.
Result<std::shared_ptr<void>> start_guard(const std::string& program, const GuardOrders& orders);
// Reads its orders from the standard input and carries them out; the exit code of the process.
int guard();

}  // namespace whimbrel
