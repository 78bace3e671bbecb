// Carries out a migration's plan from within a program: what the command line does, as calls.
//
// A Runner remembers nothing between two calls: each opens the plan, the stores and the journal
// anew, as each command does, and goes on where the journal says. So a program that dies may begin
// again with the same call, and the command line may be used beside it on the same state folder.
//
// Errors: every call gives a Result, and none throws. An Error has a code to react to, a message, a
// hint, what is safe, and the place in the plan. Hints name commands of the command line; the calls
// have the same names. `cancelled`: the stop flag was set; the same call goes on. `conflict`:
// somebody else drives this migration. `refused` and `invalid_plan`: nothing was changed.
// `unavailable`: may pass by itself. `outcome_unknown`: look before you try again.
//
// Threads: any thread may make any call at any time. One call at a time drives a migration; run(),
// verify() with repair and finish() beside it give `conflict`, cutover() and rollback() ask the one
// at work, status() and verify() look. Plans read the environment, so do not change it meanwhile.
// The library installs no signal handler and prints nothing. A `command:` switch of a plan starts a
// process and waits for it: do not ignore SIGCHLD.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/events.h"
#include "base/result.h"
#include "base/stop.h"
#include "phase/names.h"
#include "whimbrel/results.h"

namespace whimbrel {

// What a Runner works with. Only `plan` has to be set.
struct RunnerOptions {
  // The plan file. Files and relative store paths that it names are beside it.
  std::string plan;
  // For `${NAME}` in the plan; before the plan's own defaults, and those before the environment.
  std::map<std::string, std::string> variables = {};
  // For the journal, backups and reports. Empty: `.whimbrel/<migration>` beside the plan. It is
  // made where it is missing, readable by its owner only.
  std::string state_folder = {};
  // Called for each event, by whichever thread met it, one event at a time. It must return soon,
  // must not throw and must not call the Runner; the migration waits for it.
  std::function<void(const Event&)> observer = {};
  // Ends calls under way with `cancelled` after the chunk they are in. It has to outlive the
  // Runner, and stays set until somebody calls clear().
  StopFlag* stop = nullptr;
  // At most so many rows a chunk; 0 leaves it to the plan.
  std::int64_t rows_per_chunk_max = 0;
  // Neither keys nor values of rows in results, errors and reports; from then on in the whole
  // process.
  bool redact = false;
};

// What run() does once its goal is reached.
enum class Afterwards {
  leave,  // return
  stay,   // carry writes from side to side until the stop flag is set or a rollback is asked for
};

// How cutover() is meant when it is not the plan's whole switch.
struct CutoverOptions {
  // One switch, by its name in the plan, before all others. Empty: all.
  std::string only = {};
  // For a switch of unknown outcome (Phase::stuck): whether a person saw it switched.
  std::optional<bool> seen_switched = {};
};

// How finish() is meant when it is not as the plan says.
struct FinishOptions {
  // Instead of the plan's `after`: how long the new side has to have served.
  std::optional<std::chrono::milliseconds> after = {};
  // Where to keep tables that are dropped. Empty: in the state folder.
  std::string archive_folder = {};
  // Drop them without keeping them.
  bool without_archive = false;
};

// One plan with one state folder. Movable; a Runner that was moved from may only be destroyed or
// assigned to.
class Runner {
 public:
  // Reads the plan and gives all mistakes of its grammar at once, each with its place, as
  // `invalid_plan`; so it does when there is no such file. No store is opened, and no folder made.
  static Result<Runner> open(RunnerOptions options);
  // Takes over what the other one was opened with.
  Runner(Runner&& other) noexcept;
  // The same; no call of this one may be under way.
  Runner& operator=(Runner&& other) noexcept;
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  // No call may be under way.
  ~Runner();

  // The migration's name in the plan.
  const std::string& migration() const;

  // In seconds: plan, schemas, rights and settings. Changes nothing.
  Result<AnalysisResult> check() const;
  // Reads every row and says what would become of it. Writes a document into the state folder, and
  // nothing else.
  Result<AnalysisResult> analyze() const;
  // Carries the migration to the goal, or goes on where it stopped; unset: as far as the plan goes
  // by itself, which is the switch unless it says `start: manual`. The call itself is the
  // confirmation that the command line asks for. When the plan says `on_failure: rollback`, an
  // error whose `safe` says so means that all was undone.
  Result<RunResult> run(std::optional<Goal> goal = {},
                        Afterwards afterwards = Afterwards::leave) const;
  // Compares both sides through the mapping: all rows, or about `sample_rows` of each table. Rows
  // that differ are no error, see VerifyResult::equal(). Changes nothing but the journal.
  Result<VerifyResult> verify(std::int64_t sample_rows = 0) const;
  // The same, and puts right what differs: the side that serves says what is right. What gave way
  // is kept in `repaired.jsonl`.
  Result<VerifyResult> repair(std::int64_t sample_rows = 0) const;
  // The switch alone, when everything is compared.
  Result<RunResult> cutover(const CutoverOptions& options = {}) const;
  // Undoes, newest first, all that the migration did, and keeps what was written since. Also after
  // finish(), when archive or backup are there.
  Result<RunResult> rollback() const;
  // Gives up the way back and removes what is no longer needed. `refused` when it is too early.
  Result<RunResult> finish(const FinishOptions& options = {}) const;
  // Where the migration is. Asks the journal alone: in milliseconds, and beside any other call.
  Result<StatusResult> status() const;

 private:
  class Parts;
  explicit Runner(std::unique_ptr<const Parts> parts);
  std::unique_ptr<const Parts> parts_;
};

// The library's version, like "1.2.3".
const char* version();

}  // namespace whimbrel
