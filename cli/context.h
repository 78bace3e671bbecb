// What every verb shares: options, the plan, the journal, and how to say what happened.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "engine/engine.h"
#include "journal/journal.h"
#include "plan/plan_file.h"
#include "progress.h"
#include "report/analysis.h"
#include "report/files.h"
#include "report/status.h"

namespace whimbrel::cli {

enum Exit { done = 0, failed = 1, usage = 2, refused = 3, rolled_back = 4, interrupted = 130 };

struct Options {
  std::string plan;
  std::string state;
  std::vector<std::string> vars;
  bool json = false;
  bool yes = false;
  bool dry_run = false;
  bool quiet = false;
  bool no_color = false;
  bool force = false;
  bool redact = false;
  std::int64_t batch_size = 0;
  std::string database_url;
  std::string log_level;
  std::string log_file;
  // of single verbs
  std::string until = "watch";
  bool until_given = false;
  bool stay = false;
  bool watch = false;
  std::int64_t sample = 0;
  std::string only;
  std::string decide;
  std::string checkpoint;
  std::string after;
  bool no_backup = false;
  std::vector<std::string> settings;
  std::string url;
  std::string store;
  std::string left;
  std::string right;
  std::vector<std::string> columns;
  std::string table;
  std::int64_t limit = 1;
  bool keep = false;
  bool repair = false;
  std::string duration = "10";
  int concurrency = 1;
  bool concurrency_given = false;
  std::string output;
  std::string side;
  std::string rate;
  std::string load;
  std::string baseline;
  std::int64_t seed = 1;
  bool writes = false;
  std::string shell;
  std::string what;
  std::string html;
  bool runbook = false;
};

// Asked by SIGINT and SIGTERM; a second one ends the process at once.
StopFlag& stop_flag();

class Context {
 public:
  explicit Context(const Options& options);

  const Options& options() const { return options_; }
  Clock& clock() { return clock_; }
  // The plan, its stores and the binding. All mistakes at once.
  Status load();
  // Where the state is; made when it is missing and `create` is set.
  Result<std::string> state_folder(bool create);
  Status open_journal(bool create, Journal::Reading reading = Journal::Reading::whole);
  // load() and open_journal() and a log.
  Status open_all();
  Engine make_engine(std::function<Status()> archive = {});

  Standing standing() const;
  const PlanFile& plan() const { return plan_; }
  // Of --var.
  const std::map<std::string, std::string>& variables() const { return variables_; }
  const Migration& migration() const { return migration_; }
  Migration& migration() { return migration_; }
  Journal& journal() { return *journal_; }
  Progress& progress() { return progress_; }
  Status open_stores();
  Result<bool> has_journal();
  // After `finish`: bound with the old tables as they were, from the journal.
  Status load_finished();
  // For what is left to do when the old tables are gone: the stores, and no tables.
  Status prepare_without_tables();

  // On a terminal the migration's name must be typed; without one `--yes` is needed.
  Status confirm(const std::string& what);

  // The plan as it has to be said again, with the variables and the folder of this command.
  std::string spoken() const;
  // What to do next, instead of what the phase suggests.
  void next(std::vector<NextStep> steps) { next_ = std::move(steps); }
  int finish(int code, const std::string& result, const std::string& reason);
  int fail(const Error& error);
  int fail_as(int code, const Error& error);
  void say(const std::string& text);                            // stdout, unless --json
  void warn(const std::string& what, const std::string& hint);  // stderr
  // As the journal says it: see bring_back_old_tables.
  std::string below_state(const std::string& folder) const;

 private:
  std::string beside_the_plan(const std::string& url) const;
  std::optional<KnownColumns> begun_with() const;
  void look_on(Diagnostics& diagnostics);

  Options options_;
  SystemClock clock_;
  Random random_;
  std::unique_ptr<ThreadExecutor> executor_;
  Progress progress_;
  PlanFile plan_;
  Migration migration_;
  std::map<std::string, std::shared_ptr<Store>> stores_;
  std::map<std::string, std::string> variables_;
  std::string folder_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<FileSidecar> sidecar_;
  std::optional<std::vector<NextStep>> next_;
};

int exit_code_of(const Error& error);

}  // namespace whimbrel::cli
