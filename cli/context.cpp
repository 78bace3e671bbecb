#include "context.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "base/text.h"
#include "report/files.h"
#include "report/planned.h"

namespace whimbrel::cli {

namespace {

bool color_allowed(const Options& options) {
  return !options.no_color &&
         std::getenv("NO_COLOR") == nullptr;  // NOLINT: before any thread starts
}

SessionSettings settings_of(const Options& options) {
  SessionSettings settings{.plan = options.plan,
                           .state = options.state,
                           .variables = {},
                           .database_url = options.database_url,
                           .batch_size = options.batch_size,
                           .force = options.force,
                           .redact = options.redact,
                           .dry_run = options.dry_run};
  for (const std::string& assignment : options.vars) {
    const std::size_t equals = assignment.find('=');
    settings.variables[assignment.substr(0, equals)] =
        equals == std::string::npos ? "" : assignment.substr(equals + 1);
  }
  return settings;
}

}  // namespace

StopFlag& stop_flag() {
  static StopFlag flag;
  return flag;
}

Context::Context(const Options& options)
    : options_(options),
      progress_({options.json, options.quiet, color_allowed(options)}, clock_),
      session_(settings_of(options), *this, progress_, stop_flag()) {}

void Context::warn(const std::string& what, const std::string& hint) {
  progress_.settle();
  progress_.log("warning", what);
  std::fprintf(stderr, "warning: %s\n  hint: %s\n", what.c_str(), hint.c_str());
}

Status Context::opened() {
  std::string log = options_.log_file.empty() ? plan().log_file : options_.log_file;
  if (log.empty()) log = "migration.log";
  if (std::filesystem::path(log).is_relative() && options_.log_file.empty())
    log = session_.folder() + "/" + log;
  progress_.log_to(log, options_.log_level.empty() ? plan().log_level : options_.log_level);
  const State state = journal().state();
  for (const Move& move : migration().moves) {
    ASSIGN_OR_RETURN(const std::int64_t rows, session_.rows_about(move));
    const auto copy =
        state.phase == Phase::rolled_back ? state.copies.end() : state.copies.find(move.index);
    progress_.expect(move.name, rows, copy == state.copies.end() ? 0 : copy->second.read);
  }
  return {};
}

Status Context::confirm(const std::string& what) {
  if (options_.yes) return {};
  if (isatty(0) != 1) {
    return Error{ErrorCode::invalid_plan,
                 fmt::format("`{}` changes data and needs to be confirmed", what),
                 "there is no terminal here: say `--yes`, or `--dry-run` to see what would happen",
                 "nothing was changed",
                 {},
                 ""};
  }
  progress_.settle();
  for (const auto& [alias, store] : session_.stores())
    std::fprintf(stderr, "store   %s: %s\n", alias.c_str(), store->identity().c_str());
  for (const Move& move : migration().moves) {
    std::int64_t rows = -1;
    if (const auto reader = move.source->open_reader(move.mapping.source); reader.ok()) {
      const auto count = reader.value()->count();
      if (count.ok()) rows = count.value();
    }
    std::int64_t there = 0;
    if (const auto reader = move.target->open_reader(move.mapping.target); reader.ok()) {
      const auto count = reader.value()->count();
      if (count.ok()) there = count.value();
    }
    std::fprintf(stderr, "table   %s (%s rows) → %s (%s rows)\n", move.from.c_str(),
                 with_thousands(rows).c_str(), move.to.c_str(), with_thousands(there).c_str());
  }
  std::fprintf(stderr, "%s: type the migration's name to go on (%s): ", what.c_str(),
               plan().migration.c_str());
  std::string typed;
  std::getline(std::cin, typed);
  if (typed == plan().migration) return {};
  if (stop_flag().requested()) {
    return Error{ErrorCode::cancelled, "stopped as asked", "", "nothing was changed", {}, ""};
  }
  return Error{ErrorCode::refused, "the name was not typed", "", "nothing was changed", {}, ""};
}

void Context::say(const std::string& text) {
  progress_.settle();
  if (!options_.json) std::fputs(text.c_str(), stdout);
}

namespace {

// A name that says that its value is nobody else's business.
bool is_secret(const std::string& variable) {
  const std::string name = ascii_lower(variable.substr(0, variable.find('=')));
  return std::ranges::any_of(
      std::array{"pass", "pwd", "secret", "token", "key"},
      [&](const char* word) { return name.find(word) != std::string::npos; });
}

}  // namespace

// With another variable or another folder the next command would mean another migration.
std::string Context::spoken() const {
  std::string text = shell_word(options_.plan);
  for (const std::string& variable : options_.vars) {
    const std::string name = variable.substr(0, variable.find('='));
    text += " --var " + (is_secret(variable) ? name + "=…" : shell_word(variable));
  }
  if (!options_.state.empty()) text += " --state " + shell_word(options_.state);
  return text;
}

std::optional<Headway> Context::headway() {
  const Result<std::string> folder = state_folder(false);
  if (!folder.ok()) return std::nullopt;
  const Result<std::string> text = read_file(folder.value() + "/" + headway_file);
  if (!text.ok()) return std::nullopt;
  return headway_from(nlohmann::json::parse(text.value(), nullptr, false));
}

Beside Context::beside() {
  const Journal* journal = session_.known_journal();
  if (journal == nullptr || !journal->somebody_runs()) return Beside::nobody;
  // The lock names its holder, which may be this very command.
  const Result<std::string> holder = read_file(session_.folder() + "/journal.db.lock");
  if (!holder.ok() || holder.value() == std::to_string(getpid())) return Beside::nobody;
  const std::optional<Headway> known = headway();
  return known && known->paused ? Beside::paused_runner : Beside::runner;
}

int Context::finish(int code, const std::string& result, const std::string& reason) {
  progress_.settle();
  std::vector<NextStep> steps;
  if (next_) {
    steps = *next_;
  } else if (const Journal* journal = session_.known_journal()) {
    steps = next_steps(journal->state(), spoken(), beside());
  }
  if (options_.json) {
    nlohmann::json last = {
        {"result", result}, {"reason", reason}, {"next_steps", nlohmann::json::array()}};
    for (const NextStep& step : steps)
      last["next_steps"].push_back({{"command", step.command}, {"why", step.why}});
    std::printf("%s\n",
                last.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return code;
  }
  // Who wants to hear nothing wants to know why it has not ended well.
  if (options_.quiet && code != done) {
    std::fflush(stdout);  // what has been said comes before it, wherever both go
    std::fprintf(stderr, "%s: %s\n", result.c_str(), reason.c_str());
  }
  if (options_.quiet) return code;
  std::printf("%s: %s\n", result.c_str(), reason.c_str());
  for (const NextStep& step : steps)
    std::printf("  next: %-50s %s%s\n", step.command.c_str(), step.command.size() > 50 ? "# " : "",
                step.why.c_str());
  return code;
}

int exit_code_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::invalid_plan:
      return usage;
    case ErrorCode::not_found:
    case ErrorCode::refused:
    case ErrorCode::conflict:
      return refused;
    case ErrorCode::cancelled:
      return interrupted;
    case ErrorCode::unavailable:
    case ErrorCode::outcome_unknown:
    case ErrorCode::position_lost:
    case ErrorCode::data_mismatch:
    case ErrorCode::internal:
      return failed;
  }
  return failed;
}

int Context::fail(const Error& error) {
  const int code = exit_code_of(error);
  // `refused` is a promise that nothing was changed.
  return fail_as(code == refused && session_.has_changed_anything() ? failed : code, error);
}

// Whoever was stopped or refused is told what that left.
Error Context::saying_where_it_stands(int code, const Error& error) const {
  Error told = error;
  const bool went_on = code == interrupted && session_.has_changed_anything();
  if (went_on && told.hint.empty()) told.hint = "the same command goes on from here";
  if (!told.safe.empty()) return told;
  if (code == usage || code == refused) told.safe = "nothing was changed";
  if (code == interrupted) told.safe = "everything journaled stays valid";
  return told;
}

int Context::fail_as(int code, const Error& untold) {
  progress_.settle();
  const Error error = saying_where_it_stands(code, untold);
  progress_.log("error",
                fmt::format("{} {}", name_of(error.code),
                            error.code == ErrorCode::invalid_plan ? "" : "see the terminal"));
  std::vector<NextStep> steps;
  const Journal* journal = session_.known_journal();
  if (journal != nullptr) steps = next_steps(journal->state(), spoken(), beside());
  if (options_.json) {
    nlohmann::json last = {{"result", "error"},           {"reason", error.message},
                           {"code", name_of(error.code)}, {"hint", error.hint},
                           {"safe", error.safe},          {"at", error.excerpt},
                           {"context", error.context},    {"next_steps", nlohmann::json::array()}};
    for (const NextStep& step : steps)
      last["next_steps"].push_back({{"command", step.command}, {"why", step.why}});
    std::printf("%s\n",
                last.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return code;
  }
  std::string text = to_text(error);
  if (journal != nullptr) text += "\nlog: " + session_.folder() + "/migration.log";
  std::fprintf(stderr, "%s\n", text.c_str());
  return code;
}

std::string differences_text(const VerifyOutcome& outcome) {
  constexpr std::size_t told_max = 10;
  std::string text;
  const std::size_t told = std::min(outcome.examples.size(), told_max);
  for (std::size_t i = 0; i < told; ++i) {
    const Difference& one = outcome.examples[i];
    text += fmt::format("differs: {} key {}: {}\n", one.table, one.key, one.what);
  }
  const std::int64_t others = outcome.differing - static_cast<std::int64_t>(told);
  if (told < told_max || others <= 0) return text;
  return text + fmt::format("and {} more; --json names a thousand of each table\n",
                            with_thousands(others));
}

}  // namespace whimbrel::cli
