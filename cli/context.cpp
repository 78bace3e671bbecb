#include "context.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <random>

#include "backup/backup.h"
#include "base/text.h"
#include "report/planned.h"
#include "stores/registry.h"

namespace whimbrel::cli {

namespace {

std::uint64_t seed() {
  std::random_device device;  // jitter only
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

bool color_allowed(const Options& options) {
  return !options.no_color &&
         std::getenv("NO_COLOR") == nullptr;  // NOLINT: before any thread starts
}

}  // namespace

StopFlag& stop_flag() {
  static StopFlag flag;
  return flag;
}

Context::Context(const Options& options)
    : options_(options),
      random_(seed()),
      progress_({options.json, options.quiet, color_allowed(options)}, clock_) {
  for (const std::string& assignment : options.vars) {
    const std::size_t equals = assignment.find('=');
    variables_[assignment.substr(0, equals)] =
        equals == std::string::npos ? "" : assignment.substr(equals + 1);
  }
}

// Files that a plan names are beside it; a URL from the command line is as it was typed.
std::string Context::beside_the_plan(const std::string& url) const {
  constexpr std::string_view scheme = "sqlite:";
  if (!url.starts_with(scheme) || url == options_.database_url) return url;
  const std::filesystem::path path = url.substr(scheme.size());
  if (path.empty() || path.is_absolute()) return url;
  return std::string(scheme) + (std::filesystem::path(plan_.folder) / path).string();
}

Standing Context::standing() const {
  if (!journal_) return {};
  const State state = journal_->state();
  const bool begun =
      state.started && state.phase != Phase::rolled_back && state.effect("claim") != nullptr;
  return {begun, journal_->id()};
}

// The columns of each table when the migration began; unset before.
std::optional<KnownColumns> Context::begun_with() const {
  if (!standing().begun) return std::nullopt;
  KnownColumns known;
  const nlohmann::json about = nlohmann::json::parse(journal_->state().tables, nullptr, false);
  if (!about.is_object()) return known;
  for (const auto& table : about.value("tables", nlohmann::json::array())) {
    for (const auto& [address, columns] :
         {std::pair("from", "from_columns"), std::pair("to", "to_columns")}) {
      if (!table.contains(address) || !table.contains(columns)) continue;
      known[ascii_lower(table[address].get<std::string>())] =
          table[columns].get<std::vector<std::string>>();
    }
  }
  return known;
}

void Context::warn(const std::string& what, const std::string& hint) {
  progress_.settle();
  progress_.log("warning", what);
  std::fprintf(stderr, "warning: %s\n  hint: %s\n", what.c_str(), hint.c_str());
}

Status Context::open_stores() {
  for (const StoreEntry& entry : plan_.stores) {
    const std::string& url = options_.database_url.empty() || plan_.stores.size() > 1
                                 ? entry.url
                                 : options_.database_url;
    Result<std::shared_ptr<Store>> store = open_store(beside_the_plan(url), clock_);
    if (!store.ok()) {
      ASSIGN_OR_RETURN(const PlanSource source, read_plan(plan_.path));
      Diagnostics diagnostics(std::filesystem::path(plan_.path).filename().string(), source.text);
      Error error = std::move(store).error();
      error.excerpt = diagnostics.excerpt(entry.at);
      return std::move(error).saying_safe("nothing was changed");
    }
    stores_[entry.alias] = std::move(store).value();
  }
  return {};
}

// All mistakes at once: those in columns too, before anything has begun.
void Context::look_on(Diagnostics& diagnostics) {
  const bool is_readable = !plan_.migration.empty() && !plan_.tables.empty();
  if (!is_readable || !open_stores().ok()) return;
  const Result<bool> is_begun = has_journal();
  if (is_begun.ok() && !is_begun.value()) look_at_columns(plan_, stores_, diagnostics);
}

Status Context::load() {
  ASSIGN_OR_RETURN(const PlanSource source, read_plan(options_.plan));
  Diagnostics diagnostics(std::filesystem::path(source.path).filename().string(), source.text);
  plan_ = parse_plan(source, variables_, diagnostics);
  if (!diagnostics.empty()) {
    look_on(diagnostics);
    return diagnostics.error();
  }
  TRY(open_stores());
  // What was begun is bound as it began; a journal that cannot be read is told before anything
  // else.
  ASSIGN_OR_RETURN(const bool is_begun, has_journal());
  if (is_begun) TRY(open_journal(false));
  const std::optional<KnownColumns> known = begun_with();
  ASSIGN_OR_RETURN(migration_, bind_plan(plan_, stores_, known, diagnostics));
  if (!diagnostics.empty()) {
    Error error = diagnostics.error();
    if (known) error.code = ErrorCode::refused;  // the plan was good; the tables have changed
    return error;
  }
  if (options_.force && migration_.production) {
    return Error{ErrorCode::refused, "`--force` is never allowed under `protect: production`", "",
                 "nothing was changed"};
  }
  if (options_.batch_size > 0) migration_.limits.batch_size = options_.batch_size;
  executor_ = std::make_unique<ThreadExecutor>(migration_.limits.workers);
  return {};
}

Status Context::load_finished() {
  ASSIGN_OR_RETURN(const PlanSource source, read_plan(options_.plan));
  Diagnostics diagnostics(std::filesystem::path(source.path).filename().string(), source.text);
  plan_ = parse_plan(source, variables_, diagnostics);
  if (!diagnostics.empty()) return diagnostics.error();
  TRY(open_stores());
  std::map<std::string, std::string> old_ddl;
  const nlohmann::json about = nlohmann::json::parse(journal_->state().tables, nullptr, false);
  if (about.is_object()) {
    for (const auto& table : about.value("tables", nlohmann::json::array())) {
      old_ddl[ascii_lower(table.value("from", ""))] = table.value("from_ddl", "");
    }
  }
  ASSIGN_OR_RETURN(migration_, bind_finished_plan(plan_, stores_, old_ddl, diagnostics));
  if (!diagnostics.empty()) return diagnostics.error();
  executor_ = std::make_unique<ThreadExecutor>(migration_.limits.workers);
  return {};
}

Status Context::prepare_without_tables() {
  if (stores_.empty()) TRY(open_stores());
  migration_ = Migration{};
  migration_.name = plan_.migration;
  migration_.stores = stores_;
  migration_.finish = plan_.finish;
  executor_ = std::make_unique<ThreadExecutor>(1);
  return {};
}

Result<std::string> Context::state_folder(bool create) {
  if (!folder_.empty()) return folder_;
  std::filesystem::path folder = options_.state;
  if (options_.state.empty()) {
    ASSIGN_OR_RETURN(const PlanSource source, read_plan(options_.plan));
    ASSIGN_OR_RETURN(const std::string name, migration_name(source, variables_));
    folder = std::filesystem::absolute(options_.plan).parent_path() / ".whimbrel" / name;
  }
  std::error_code failure;
  if (create) {
    std::filesystem::create_directories(folder, failure);
    if (!failure) chmod(folder.c_str(), 0700);
  }
  if (!std::filesystem::is_directory(folder, failure)) {
    return Error{ErrorCode::refused, fmt::format("there is no state folder {}", folder.string()),
                 create ? "it must be possible to make it there"
                        : "nothing was started yet: `whimbrel run` begins"};
  }
  folder_ = std::filesystem::absolute(folder).string();
  return folder_;
}

Result<bool> Context::has_journal() {
  if (journal_) return true;
  const Result<std::string> folder = state_folder(false);
  std::error_code ignored;
  return folder.ok() && std::filesystem::exists(folder.value() + "/journal.db", ignored);
}

Status Context::open_journal(bool create, Journal::Reading reading) {
  if (journal_) return {};
  ASSIGN_OR_RETURN(const std::string folder, state_folder(create));
  const std::string path = folder + "/journal.db";
  std::error_code ignored;
  if (!create && !std::filesystem::exists(path, ignored)) {
    return Error{ErrorCode::refused, "nothing was started yet: there is no " + path,
                 "`whimbrel run` begins"};
  }
  ASSIGN_OR_RETURN(journal_, Journal::open(path, clock_, reading));
  chmod(path.c_str(), 0600);
  sidecar_ = std::make_unique<FileSidecar>(folder);
  return {};
}

Status Context::open_all() {
  TRY(load());
  TRY(open_journal(true));
  std::string log = options_.log_file.empty() ? plan_.log_file : options_.log_file;
  if (log.empty()) log = "migration.log";
  if (std::filesystem::path(log).is_relative() && options_.log_file.empty())
    log = folder_ + "/" + log;
  progress_.log_to(log, options_.log_level.empty() ? plan_.log_level : options_.log_level);
  const State state = journal_->state();
  for (const Move& move : migration_.moves) {
    ASSIGN_OR_RETURN(const auto reader, move.source->open_reader(move.mapping.source));
    ASSIGN_OR_RETURN(const std::int64_t rows, reader->count());
    const auto copy =
        state.phase == Phase::rolled_back ? state.copies.end() : state.copies.find(move.index);
    progress_.expect(move.name, rows, copy == state.copies.end() ? 0 : copy->second.read);
  }
  return {};
}

// Relative where it is below the state folder, so that it is found wherever that folder goes.
std::string Context::below_state(const std::string& folder) const {
  const std::filesystem::path relative = std::filesystem::path(folder).lexically_relative(folder_);
  const bool below = !relative.empty() && *relative.begin() != "..";
  return below ? relative.string() : folder;
}

// Backups go below the state folder, a folder an attempt.
Engine Context::make_engine(std::function<Status()> archive) {
  const auto take = [this](const Migration& migration) -> Result<std::string> {
    const BackupPlan& plan = migration.backup;
    if (plan.folder.empty()) return std::string("{}");
    const std::filesystem::path base = std::filesystem::path(folder_) / plan.folder;
    const std::string folder =
        (base / fmt::format("attempt-{}", journal_->state().attempt)).string();
    for (const auto& [alias, store] : migration.stores) {
      std::vector<std::string> tables;
      for (const Move& move : migration.moves) {
        if (plan.source && move.source == store) tables.push_back(move.mapping.source.name);
        const bool there = plan.target && move.target == store &&
                           store->catalog().describe(move.mapping.target.name).ok();
        if (there) tables.push_back(move.mapping.target.name);
      }
      if (tables.empty()) continue;
      const std::string place = migration.stores.size() == 1 ? folder : folder + "/" + alias;
      if (verify_backup(place).ok()) continue;  // taken by a run that died before it could say so
      ASSIGN_OR_RETURN(const auto taken, take_backup(*store, tables, place, progress_));
      TRY(verify_backup(place));
    }
    return nlohmann::json({{"folder", below_state(folder)}}).dump();
  };
  return Engine(migration_, {*journal_, clock_, random_, *executor_, progress_, stop_flag(),
                             *sidecar_, take, std::move(archive)});
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
  for (const auto& [alias, store] : stores_)
    std::fprintf(stderr, "store   %s: %s\n", alias.c_str(), store->identity().c_str());
  for (const Move& move : migration_.moves) {
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
               plan_.migration.c_str());
  std::string typed;
  std::getline(std::cin, typed);
  if (typed == plan_.migration) return {};
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

int Context::finish(int code, const std::string& result, const std::string& reason) {
  progress_.settle();
  std::vector<NextStep> steps;
  if (next_) {
    steps = *next_;
  } else if (journal_) {
    steps = next_steps(journal_->state(), spoken());
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

int Context::fail(const Error& error) { return fail_as(exit_code_of(error), error); }

int Context::fail_as(int code, const Error& error) {
  progress_.settle();
  progress_.log("error",
                fmt::format("{} {}", name_of(error.code),
                            error.code == ErrorCode::invalid_plan ? "" : "see the terminal"));
  std::vector<NextStep> steps;
  if (journal_) steps = next_steps(journal_->state(), spoken());
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
  Error told = error;
  if (told.safe.empty() && (code == usage || code == refused)) told.safe = "nothing was changed";
  std::string text = to_text(told);
  if (!folder_.empty() && journal_) text += "\nlog: " + folder_ + "/migration.log";
  std::fprintf(stderr, "%s\n", text.c_str());
  return code;
}

}  // namespace whimbrel::cli
