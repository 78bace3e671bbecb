// A switch: what tells the application which side to use.
//
// What it found before it acts is journaled, so that going back puts exactly that back. After a
// lost reply a switch is looked at, never assumed: `unknown` is an honest answer.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "plan/migration.h"
#include "store/rights.h"

namespace whimbrel {

enum class SwitchState { off, on, unknown };

class Switch {
 public:
  virtual ~Switch() = default;
  // What is there now, as text that `put_back` understands. Changes nothing.
  virtual Result<std::string> found() = 0;
  virtual Result<SwitchState> state() = 0;
  // `outcome_unknown` when it may or may not have happened; `refused` only when nothing has, by
  // this call or an earlier one. Idempotent.
  virtual Status flip() = 0;
  virtual Status put_back(const std::string& found) = 0;
  // Whether `put_back` can be called again although it may have happened, to finish what is left.
  virtual bool can_be_told_again() const = 0;
  // Before writers are held, and when they are let go; see Holds::go_first().
  virtual Status go_first(TimePoint until) {
    (void)until;
    return {};
  }
  virtual Status step_aside() { return {}; }
  // One line for a person: what it would do.
  virtual std::string describe() const = 0;
};

// What a role needs to look, to switch and to go back, where a service names permissions.
Rights rights_of(const SwitchPlan& plan);

// `plan` and `clock` outlive it. Asks nobody yet.
std::unique_ptr<Switch> make_switch(const SwitchPlan& plan, Clock& clock);

struct CommandOutcome {
  int exit_code = 0;
  std::string output;  // of both streams, the last few lines
};
// Starts a program without a shell and waits for it, at most this long: for itself, not for what it
// leaves running in the background. When the time is up, it is ended with all that it has started,
// and the error is `outcome_unknown`; `unavailable` when it could not be started. Any thread.
Result<CommandOutcome> run_command(const std::vector<std::string>& command,
                                   const std::string& folder, Milliseconds at_most);

}  // namespace whimbrel
