// The verbs that change something, each from opening to the report: what `whimbrel run` and a
// program that calls the library do alike.
//
// Each opens what it needs, asks the host before anything is changed, takes the journal's lock,
// carries out and writes the report. Errors before the engine begins change nothing.
#pragma once

#include <optional>
#include <string>

#include "session/session.h"
#include "whimbrel/results.h"

namespace whimbrel {

struct Conducted {
  Ending ending = Ending::carried_out;
  Phase phase = Phase::planned;
  std::string reason;
  // What went wrong, after which all was rolled back, because the plan says so.
  std::optional<Error> undone_after = {};
  // Whether the report could be written. What was carried out is carried out either way.
  Status documents = {};
};

struct RunWanted {
  std::optional<Goal> goal;  // unset: as far as the plan goes by itself
  bool stay = false;         // remain and follow until asked to stop
};
Result<Conducted> run_migration(Session& session, const RunWanted& wanted);

struct CutoverWanted {
  std::string only;             // one switch early; "" all
  std::optional<bool> decided;  // a person's word on a switch of unknown outcome
};
Result<Conducted> cut_over_migration(Session& session, const CutoverWanted& wanted);

Result<Conducted> roll_back_migration(Session& session);

struct FinishWanted {
  std::optional<Milliseconds> after;  // instead of the plan's
  bool no_backup = false;             // drop without an archive
  std::string archive;                // a folder for the tables that go; "" is below the state's
};
Result<Conducted> finish_migration(Session& session, const FinishWanted& wanted);

struct VerifyWanted {
  std::int64_t sample = 0;  // about this many rows of each table; 0 all
  bool repair = false;
};
Result<VerifyOutcome> verify_migration(Session& session, const VerifyWanted& wanted);

// Asks a living runner and waits at most a minute for its answer; unset when no runner lives.
Result<std::optional<std::string>> ask_runner(Session& session, const std::string& verb,
                                              const std::string& value);

// The journal of `test`, beside the migration's own.
Result<std::unique_ptr<Journal>> trial_journal(Session& session);
// The lock that a runner would take, while there may be no journal yet. `conflict` names the
// runner.
Result<RunLock> lock_of_runners(Session& session);

}  // namespace whimbrel
