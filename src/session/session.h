// A plan with everything that it takes to carry it out: stores, binding, journal, state folder,
// executor. It opens what a verb needs and nothing else, and knows neither argv nor a terminal.
//
// Threads: one thread uses a session. Two sessions on one state folder are as two processes: the
// journal's lock lets one of them drive.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/events.h"
#include "base/executor.h"
#include "base/random.h"
#include "engine/engine.h"
#include "journal/journal.h"
#include "plan/plan_file.h"
#include "report/analysis.h"
#include "report/files.h"
#include "session/headway_keeper.h"
#include "session/host.h"
#include "session/log_table.h"

namespace whimbrel {

struct SessionSettings {
  std::string plan;   // the plan file
  std::string state;  // the state folder; "" means .whimbrel/NAME beside the plan
  std::map<std::string, std::string> variables;
  std::string database_url;     // instead of the plan's only store; "" is the plan's own
  std::int64_t batch_size = 0;  // rows a chunk, at most; 0 leaves it to the plan
  bool force = false;
  bool redact = false;
  bool dry_run = false;
};

class Session {
 public:
  // `host`, `events` and `stop` have to outlive the session.
  Session(SessionSettings settings, Host& host, Events& events, StopFlag& stop);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const SessionSettings& settings() const { return settings_; }
  Clock& clock() { return clock_; }
  Host& host() { return host_; }
  Events& events() { return headway_; }
  LogTable& log_table() { return log_table_; }
  HeadwayKeeper& headway() { return headway_; }
  StopFlag& stop() { return stop_; }

  // The plan, its stores and the binding. All mistakes at once.
  Status load();
  // After `finish`: bound with the old tables as they were, from the journal.
  Status load_finished();
  // For what is left to do when the old tables are gone: the stores, and no tables.
  Status prepare_without_tables();
  // Where the state is; made when it is missing and `create` is set.
  Result<std::string> state_folder(bool create);
  Result<bool> has_journal();
  // Rows that `test --keep` or a killed `test` has left are not the migration's.
  Result<bool> has_left_a_trial();
  Status open_journal(bool create, Journal::Reading reading = Journal::Reading::whole);
  // As it is now, after somebody else has written into it.
  Status reopen_journal() {
    journal_.reset();
    return open_journal(false);
  }
  // Rows of the table that a move reads from, counted once.
  Result<std::int64_t> rows_of(const Move& move);
  // The same as far as it is known from a copy or an analysis: where every read is paid for, to
  // count costs as much as to copy.
  Result<std::int64_t> rows_about(const Move& move);
  // load() and open_journal(), and the host is told.
  Status open_all();
  // After load() alone: rows that a copy has written are told from those of others.
  Status know_own_rows();
  // Only after open_all() or its like. `archive` runs before `finish` drops a table.
  Engine make_engine(std::function<Status()> archive = {});

  Standing standing() const;
  // Before a verb begins: what is there of effects and of rows that were copied. To follow what the
  // application writes is no change.
  void note_what_is_done();
  // Since then. Somebody who was refused after that was not refused before anything changed.
  bool has_changed_anything() const;
  // A copy that is whole already is made again: the engine writes without noting how far it is.
  void writes_from_here() { writes_ = true; }
  // `refused` where `run` would refuse, because it was started with another plan.
  Status plan_is_the_one() const;
  // `refused` where what ends a migration would lead elsewhere. Only with a journal.
  Status plan_leads_there() const;
  bool may_have_switched() const;
  // Nothing is to be changed: so the settings say, or the plan.
  bool is_dry_run() const { return settings_.dry_run || plan_.dry_run; }
  const PlanFile& plan() const { return plan_; }
  const Migration& migration() const { return migration_; }
  Migration& migration() { return migration_; }
  const std::map<std::string, std::shared_ptr<Store>>& stores() const { return stores_; }
  Journal& journal() { return *journal_; }
  // Null while it is not open.
  const Journal* known_journal() const { return journal_.get(); }
  // "" while it is not known.
  const std::string& folder() const { return folder_; }
  // The old tables, by the stores themselves; false where one has no such backups.
  Result<bool> keep_native_archive(nlohmann::json& kept);
  // Relative where it is below the state folder, so that it is found wherever that folder goes.
  std::string below_state(const std::string& place) const;

 private:
  Status read_and_open(Diagnostics& diagnostics, const PlanSource& source);
  void look_on(Diagnostics& diagnostics);
  Status open_stores();
  Status give_folder_to_stores();
  Status give_folder_to_shapes();
  Status open_own_books();
  Status own_rows_are_known(const std::string& path);
  void types_as_they_were();
  void name_the_archive();
  std::string url_of(const StoreEntry& entry) const;
  std::optional<KnownTables> begun_with() const;
  KnownTables tables_of_the_journal() const;
  std::string backup_place(const BackupPlan& plan) const;
  Result<std::string> take_backups(const Migration& migration);
  Result<std::string> keep_copies(const Migration& migration);
  Result<bool> keep_native(const Migration& migration, const BackupPlan& plan,
                           nlohmann::json& kept);
  Status keep_points_in_time(const Migration& migration, nlohmann::json& kept);

  SessionSettings settings_;
  Host& host_;
  StopFlag& stop_;
  SystemClock clock_;
  LogTable log_table_;
  HeadwayKeeper headway_;
  std::map<int, std::int64_t> rows_;
  std::optional<std::vector<std::int64_t>> analyzed_;  // rows; unset: not looked for yet
  Random random_;
  std::unique_ptr<ThreadExecutor> executor_;
  PlanFile plan_;
  Migration migration_;
  std::map<std::string, std::shared_ptr<Store>> stores_;
  std::string folder_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<FileSidecar> sidecar_;
  std::optional<std::string> done_before_;
  bool writes_ = false;
};

}  // namespace whimbrel
