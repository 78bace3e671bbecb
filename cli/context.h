// What every verb shares: options, a session, and how to say what happened.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "progress.h"
#include "report/status.h"
#include "session/session.h"

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
  std::string every;
  bool no_backup = false;
  std::vector<std::string> settings;
  std::string url;
  std::string store;
  std::string to_time;  // `restore`
  std::string as;
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
  std::string id;  // `report --id`
};

// Asked by SIGINT and SIGTERM; a second one ends the process at once.
StopFlag& stop_flag();

// A line for each of the first rows that differ, and how the others are named.
std::string differences_text(const VerifyOutcome& outcome);

class Context final : public Host {
 public:
  explicit Context(const Options& options);

  const Options& options() const { return options_; }
  Session& session() { return session_; }
  const Session& session() const { return session_; }
  Progress& progress() { return progress_; }
  // See Session.
  Clock& clock() { return session_.clock(); }
  Status load() { return session_.load(); }
  Status load_finished() { return session_.load_finished(); }
  Result<std::string> state_folder(bool create) { return session_.state_folder(create); }
  Result<bool> has_journal() { return session_.has_journal(); }
  Status open_journal(bool create, Journal::Reading reading = Journal::Reading::whole) {
    return session_.open_journal(create, reading);
  }
  Engine make_engine() { return session_.make_engine(); }
  Standing standing() const { return session_.standing(); }
  const PlanFile& plan() const { return session_.plan(); }
  Migration& migration() { return session_.migration(); }
  Journal& journal() { return session_.journal(); }

  // A log, and how long the bars are.
  Status opened() override;
  // On a terminal the migration's name must be typed; without one `--yes` is needed.
  Status confirm(const std::string& what) override;
  void warn(const std::string& what, const std::string& hint) override;  // stderr
  void say(const std::string& text) override;                            // stdout, unless --json
  std::string guard_program() const override { return "/proc/self/exe"; }

  // The plan as it has to be said again, with the variables and the folder of this command.
  std::string spoken() const;
  // Of the runner at work; without one what the last one has left.
  std::optional<Headway> headway();
  Beside beside();
  // What to do next, instead of what the phase suggests.
  void next(std::vector<NextStep> steps) { next_ = std::move(steps); }
  int finish(int code, const std::string& result, const std::string& reason);
  int fail(const Error& error);
  int fail_as(int code, const Error& error);

 private:
  Options options_;
  SystemClock clock_;
  Progress progress_;
  Session session_;
  std::optional<std::vector<NextStep>> next_;

  Error saying_where_it_stands(int code, const Error& error) const;
};

int exit_code_of(const Error& error);

}  // namespace whimbrel::cli
