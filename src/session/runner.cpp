// The library's face over a session a call. Nothing of a session outlives its call, so there is
// nothing to protect between threads but the order of events.
#include "whimbrel/runner.h"

#include <exception>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "report/json_text.h"
#include "report/planned.h"
#include "report/status.h"
#include "session/conduct.h"
#include "session/look.h"

namespace whimbrel {

namespace {

// Calls of one Runner by several threads hand their events over one after the other.
class Observed final : public Events {
 public:
  explicit Observed(std::function<void(const Event&)> observer) : observer_(std::move(observer)) {}
  // What an observer throws ends the program here, rather than a migration in the middle.
  void emit(const Event& event) noexcept override {
    if (!observer_) return;
    const std::lock_guard lock(mutex_);
    observer_(event);
  }

 private:
  std::function<void(const Event&)> observer_;
  std::mutex mutex_;
};

// A program that calls has decided; what a person would read is kept for the result.
class Program final : public Host {
 public:
  Status opened() override { return {}; }
  Status confirm(const std::string&) override { return {}; }
  void warn(const std::string& what, const std::string& hint) override {
    warnings.push_back({what, hint});
  }
  void say(const std::string& text) override {
    notes.push_back(text.ends_with('\n') ? text.substr(0, text.size() - 1) : text);
  }

  std::vector<Warning> warnings;
  std::vector<std::string> notes;
};

}  // namespace

class Runner::Parts {
 public:
  explicit Parts(RunnerOptions options)
      : options_(std::move(options)), observed_(options_.observer) {}

  // Mistakes of the grammar, before a store is asked.
  Status read_plan_file() {
    ASSIGN_OR_RETURN(const PlanSource source, read_plan(options_.plan));
    Diagnostics diagnostics(std::filesystem::path(source.path).filename().string(), source.text);
    migration_ = parse_plan(source, options_.variables, diagnostics).migration;
    return diagnostics.empty() ? Status() : Status(diagnostics.error());
  }
  const std::string& migration() const { return migration_; }

  // `act` with a session of its own; exceptions end here.
  template <class Act>
  auto with_session(Act act) const
      -> decltype(act(std::declval<Session&>(), std::declval<Program&>())) {
    try {
      StopFlag never;
      Program program;
      Session session(settings(), program, observed_,
                      options_.stop != nullptr ? *options_.stop : never);
      return act(session, program);
    } catch (const std::exception& failure) {
      return Error{ErrorCode::internal, failure.what(), "",
                   "everything journaled stays valid; the same call goes on"};
    }
  }

 private:
  SessionSettings settings() const {
    SessionSettings settings;
    settings.plan = options_.plan;
    settings.state = options_.state_folder;
    settings.variables = options_.variables;
    settings.batch_size = options_.rows_per_chunk_max;
    settings.redact = options_.redact;
    return settings;
  }

  RunnerOptions options_;
  std::string migration_;
  mutable Observed observed_;
};

namespace {

AnalysisResult result_of(const Analysis& analysis, std::string file, Program& program) {
  return AnalysisResult{analysis.refused, analysis.text, document_text(analysis.document),
                        std::move(file), std::move(program.warnings)};
}

Result<RunResult> result_of(Result<Conducted> conducted, Program& program) {
  if (!conducted.ok()) return std::move(conducted).error();
  Conducted& value = conducted.value();
  if (value.undone_after) return std::move(*value.undone_after);
  if (!value.documents.ok()) {
    program.warn("the report could not be written: " + value.documents.error().message,
                 "make room; the next call writes it again");
  }
  return RunResult{value.ending, value.phase, std::move(value.reason), std::move(program.notes),
                   std::move(program.warnings)};
}

VerifyResult result_of(const VerifyOutcome& outcome, bool redact, Program& program) {
  VerifyResult result;
  result.rows = outcome.rows;
  result.differing = outcome.differing;
  result.on_new_side = outcome.on_new_side;
  result.lagging = outcome.lagging;
  result.repaired = outcome.repaired;
  for (const Difference& one : outcome.examples) {
    if (!redact) result.examples.push_back({one.table, one.key, one.what});
  }
  result.warnings = std::move(program.warnings);
  return result;
}

TableStatus status_of(const PlannedTable& table, int index, const State& state) {
  TableStatus status;
  status.name = table.name;
  status.from = table.from;
  status.to = table.to;
  if (const auto copy = state.copies.find(index); copy != state.copies.end()) {
    status.rows_read = copy->second.read;
    status.rows_written = copy->second.written;
    status.rows_rejected = copy->second.rejected;
    status.copied = copy->second.at_end;
  }
  if (const auto compared = state.verifies.find(index); compared != state.verifies.end()) {
    status.rows_compared = compared->second.rows;
    status.rows_differing = compared->second.differing;
  }
  return status;
}

StatusResult status_of(const Journal& journal, TimePoint now) {
  const State state = journal.state();
  const nlohmann::json document = status_document(journal, now);
  StatusResult status;
  status.started = state.started;
  status.migration = state.migration;
  status.attempt = state.attempt;
  status.phase = state.phase;
  status.why = state.why;
  status.since = state.phase_since;
  status.who = document.value("who", "");
  status.way_back = document.value("way_back", "");
  status.runner_at_work = document.value("runner", false);
  int index = 0;
  for (const PlannedTable& table : planned(state, nullptr).tables) {
    status.tables.push_back(status_of(table, index++, state));
  }
  status.rows_rejected = state.rejected;
  status.rows_kept = document.value("kept_rows", std::int64_t{0});
  status.text = status_text(journal, now);
  status.json = document_text(document);
  return status;
}

Result<VerifyResult> compared(Session& session, Program& program, VerifyWanted wanted) {
  const bool redact = session.settings().redact;
  ASSIGN_OR_RETURN(const VerifyOutcome outcome, verify_migration(session, wanted));
  return result_of(outcome, redact, program);
}

// Before anything was started there is no journal, and that is an answer.
Result<StatusResult> looked_up(Session& session) {
  ASSIGN_OR_RETURN(const bool begun, session.has_journal());
  if (begun) {
    TRY(session.open_journal(false));
    return status_of(session.journal(), session.clock().now());
  }
  ASSIGN_OR_RETURN(const auto nothing_yet, Journal::in_memory(session.clock()));
  return status_of(*nothing_yet, session.clock().now());
}

}  // namespace

Result<Runner> Runner::open(RunnerOptions options) {
  try {
    auto parts = std::make_unique<Parts>(std::move(options));
    TRY(parts->read_plan_file());
    return Runner(std::move(parts));
  } catch (const std::exception& failure) {
    return Error{ErrorCode::internal, failure.what(), "", "nothing was changed"};
  }
}

Runner::Runner(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
Runner::Runner(Runner&& other) noexcept = default;
Runner& Runner::operator=(Runner&& other) noexcept = default;
Runner::~Runner() = default;

const std::string& Runner::migration() const { return parts_->migration(); }

Result<AnalysisResult> Runner::check() const {
  return parts_->with_session([](Session& session, Program& program) -> Result<AnalysisResult> {
    ASSIGN_OR_RETURN(const Analysis analysis, check_migration(session));
    return result_of(analysis, "", program);
  });
}

Result<AnalysisResult> Runner::analyze() const {
  return parts_->with_session([](Session& session, Program& program) -> Result<AnalysisResult> {
    ASSIGN_OR_RETURN(const Analyzed analyzed, analyze_migration(session));
    return result_of(analyzed.analysis, analyzed.file, program);
  });
}

Result<RunResult> Runner::run(std::optional<Goal> goal, Afterwards afterwards) const {
  const RunWanted wanted{goal, afterwards == Afterwards::stay};
  return parts_->with_session([&](Session& session, Program& program) {
    return result_of(run_migration(session, wanted), program);
  });
}

Result<VerifyResult> Runner::verify(std::int64_t sample_rows) const {
  return parts_->with_session([&](Session& session, Program& program) {
    return compared(session, program, {sample_rows, false});
  });
}

Result<VerifyResult> Runner::repair(std::int64_t sample_rows) const {
  return parts_->with_session([&](Session& session, Program& program) {
    return compared(session, program, {sample_rows, true});
  });
}

Result<RunResult> Runner::cutover(const CutoverOptions& options) const {
  return parts_->with_session([&](Session& session, Program& program) {
    return result_of(cut_over_migration(session, {options.only, options.seen_switched}), program);
  });
}

Result<RunResult> Runner::rollback() const {
  return parts_->with_session([](Session& session, Program& program) {
    return result_of(roll_back_migration(session), program);
  });
}

Result<RunResult> Runner::finish(const FinishOptions& options) const {
  return parts_->with_session([&](Session& session, Program& program) {
    const FinishWanted wanted{options.after, options.without_archive, options.archive_folder};
    return result_of(finish_migration(session, wanted), program);
  });
}

Result<StatusResult> Runner::status() const {
  return parts_->with_session(
      [](Session& session, Program&) -> Result<StatusResult> { return looked_up(session); });
}

const char* version() { return WHIMBREL_VERSION; }

}  // namespace whimbrel
