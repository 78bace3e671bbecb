#include "session/session.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>

#include "backup/backup.h"
#include "backup/depot.h"
#include "base/text.h"
#include "engine/begun_plan.h"
#include "follow/own_file.h"
#include "report/facts.h"
#include "session/guard.h"
#include "session/places.h"
#include "stores/registry.h"

namespace whimbrel {

namespace {

std::uint64_t seed() {
  std::random_device device;  // jitter only
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

}  // namespace

Session::Session(SessionSettings settings, Host& host, Events& events, StopFlag& stop)
    : settings_(std::move(settings)),
      host_(host),
      stop_(stop),
      log_table_(events, clock_),
      headway_(log_table_, clock_),
      random_(seed()) {
  if (settings_.redact) redact_what_is_shown();
  // A plan may take it from there.
  if (!settings_.database_url.empty()) {
    settings_.variables.emplace("DATABASE_URL", settings_.database_url);
  }
}

// Files that a plan names are beside it; a URL from the command line is as it was typed.
std::string Session::url_of(const StoreEntry& entry) const {
  const bool given = !settings_.database_url.empty() && plan_.stores.size() == 1;
  return given ? settings_.database_url : url_below(entry.url, plan_.folder);
}

Standing Session::standing() const {
  if (!journal_) return {};
  const State state = journal_->state();
  const bool begun = !begins_anew(state) && state.effect("claim") != nullptr;
  return {begun, journal_->id(), false};
}

namespace {

// Copies, marks of ours, a hold that has been let go and what is noted on the side that nobody uses
// yet change nothing that anybody else has.
bool changes_something(const Effect& effect) {
  constexpr std::array harmless = {"backup",  "claim", "archive",      "numbers",
                                   "mending", "hold",  "feed:backward"};
  return effect.confirmed && std::ranges::none_of(harmless, [&](const char* name) {
           return effect.id.starts_with(name);
         });
}

std::string what_is_done(const State& state) {
  std::string done;
  for (const Effect& effect : state.effects) {
    if (changes_something(effect)) done += effect.id + "\n";
  }
  for (const auto& [table, copy] : state.copies) {
    done += fmt::format("{} {} {}\n", table, copy.written, copy.rejected);
  }
  return done;
}

}  // namespace

void Session::note_what_is_done() {
  done_before_ = journal_ ? what_is_done(journal_->state()) : "";
}

bool Session::has_changed_anything() const {
  if (writes_) return true;
  if (!done_before_ || !journal_) return false;
  const State state = journal_->state();
  // All has moved that was to move by then: what is refused is the switch.
  if (state.phase == Phase::following || state.phase == Phase::verified) return false;
  return what_is_done(state) != *done_before_;
}

Status Session::plan_is_the_one() const {
  return journal_ ? must_be_the_plan(journal_->state(), migration()) : Status();
}

// Mistakes of the plan are told by whoever opens it.
Status Session::plan_leads_there() const {
  ASSIGN_OR_RETURN(const PlanSource source, read_plan(settings_.plan));
  Diagnostics diagnostics(std::filesystem::path(source.path).filename().string(), source.text);
  const PlanFile plan = parse_plan(source, settings_.variables, diagnostics);
  return diagnostics.empty() ? must_lead_there(journal_->state(), plan.resolved) : Status();
}

bool Session::may_have_switched() const {
  if (!journal_) return false;
  switch (journal_->phase()) {
    case Phase::planned:
    case Phase::prepared:
    case Phase::copying:
    case Phase::following:
    case Phase::verified:
    case Phase::rolled_back:
      return false;
    case Phase::fenced:
    case Phase::watching:
    case Phase::finishing:
    case Phase::finished:
    case Phase::rolling_back:
    case Phase::stuck:
      return true;
  }
  return true;
}

// Its tables when the migration began; unset before.
std::optional<KnownTables> Session::begun_with() const {
  return standing().begun ? std::optional(tables_of_the_journal()) : std::nullopt;
}

KnownTables Session::tables_of_the_journal() const {
  KnownTables known;
  const nlohmann::json about = nlohmann::json::parse(journal_->state().tables, nullptr, false);
  if (!about.is_object()) return known;
  for (const auto& table : about.value("tables", nlohmann::json::array())) {
    for (const auto& [address, columns] :
         {std::pair("from", "from_columns"), std::pair("to", "to_columns")}) {
      if (!table.contains(address) || !table.contains(columns)) continue;
      // Several tables of the plan may have one of the store.
      std::vector<std::string>& all = known.columns[ascii_lower(table[address].get<std::string>())];
      for (const auto& column : table[columns]) all.push_back(column.get<std::string>());
    }
    if (table.contains("to")) {
      known.targets[ascii_lower(table.value("to", ""))] = table.value("to_ddl", "");
    }
    const std::string from = table.value("from", "");
    if (from.empty()) continue;
    known.sources[ascii_lower(from)] = {from, table.value("from_ddl", "")};
    known.in_order.push_back(from);
  }
  return known;
}

// All mistakes at once: those in columns too, before anything has begun.
void Session::look_on(Diagnostics& diagnostics) {
  const bool is_readable = !plan_.migration.empty() && !plan_.tables.empty();
  if (!is_readable || !open_stores().ok()) return;
  const Result<bool> is_begun = has_journal();
  if (is_begun.ok() && !is_begun.value()) look_at_columns(plan_, stores_, diagnostics);
}

// Mistakes of the plan before anything of a store is asked.
Status Session::read_and_open(Diagnostics& diagnostics, const PlanSource& source) {
  plan_ = parse_plan(source, settings_.variables, diagnostics);
  if (!diagnostics.empty()) {
    look_on(diagnostics);
    return diagnostics.error();
  }
  return open_stores();
}

Status Session::open_stores() {
  for (const StoreEntry& entry : plan_.stores) {
    Result<std::shared_ptr<Store>> store = open_store(url_of(entry), clock_, entry.settings);
    if (!store.ok()) {
      ASSIGN_OR_RETURN(const PlanSource source, read_plan(plan_.path));
      Diagnostics diagnostics(std::filesystem::path(plan_.path).filename().string(), source.text);
      Error error = std::move(store).error();
      error.excerpt = diagnostics.excerpt(entry.at);
      return std::move(error).saying_safe("nothing was changed");
    }
    stores_[entry.alias] = std::move(store).value();
  }
  return journal_ ? give_folder_to_stores() : Status();
}

// What a store has to remember beside its database lies with the journal.
Status Session::give_folder_to_stores() {
  for (const auto& [alias, store] : stores_) TRY(store->work_in(folder_));
  return give_folder_to_shapes();
}

// Stores that the plan shows in another shape came after those that it names.
Status Session::give_folder_to_shapes() {
  for (const auto& [alias, store] : migration_.stores) {
    if (stores_.at(alias) != store) TRY(store->work_in(folder_));
  }
  return {};
}

Status Session::load() {
  ASSIGN_OR_RETURN(const PlanSource source, read_plan(settings_.plan));
  Diagnostics diagnostics(std::filesystem::path(source.path).filename().string(), source.text);
  TRY(read_and_open(diagnostics, source));
  // What was begun is bound as it began; a journal that cannot be read is told before anything
  // else.
  ASSIGN_OR_RETURN(const bool is_begun, has_journal());
  if (is_begun) TRY(open_journal(false));
  const std::optional<KnownTables> known = begun_with();
  Result<Migration> bound = bind_plan(plan_, stores_, known, diagnostics);
  if (!bound.ok()) return std::move(bound).error().saying_safe("this command has changed nothing");
  migration_ = std::move(bound).value();
  if (journal_) TRY(give_folder_to_shapes());
  if (!diagnostics.empty()) {
    Error error = diagnostics.error();
    if (known) error.code = ErrorCode::refused;  // the plan was good; the tables have changed
    return error;
  }
  if (settings_.force && migration_.production) {
    return Error{ErrorCode::refused, "`--force` is never allowed under `protect: production`", "",
                 "nothing was changed"};
  }
  if (settings_.batch_size > 0) migration_.limits.batch_size = settings_.batch_size;
  for (const auto& [alias, store] : stores_) {
    store->keep_within(store_limits(migration_.limits));
  }
  if (!is_dry_run()) log_table_.write_to(migration_.log_store, migration_.log_table);
  executor_ = std::make_unique<ThreadExecutor>(migration_.limits.workers);
  return {};
}

Status Session::load_finished() {
  ASSIGN_OR_RETURN(const PlanSource source, read_plan(settings_.plan));
  Diagnostics diagnostics(std::filesystem::path(source.path).filename().string(), source.text);
  TRY(read_and_open(diagnostics, source));
  KnownTables known = tables_of_the_journal();
  known.columns.clear();  // the target may have got more since, and all of them are its own
  ASSIGN_OR_RETURN(migration_, bind_finished_plan(plan_, stores_, known, diagnostics));
  if (!diagnostics.empty()) return diagnostics.error();
  if (!plan_.retypes.empty()) types_as_they_were();
  executor_ = std::make_unique<ThreadExecutor>(migration_.limits.workers);
  return {};
}

// The tables have their names again, and other types: those of before are in the journal.
void Session::types_as_they_were() {
  const nlohmann::json about = nlohmann::json::parse(journal_->state().tables, nullptr, false);
  if (!about.is_object() || !about.contains("tables")) return;
  for (Move& move : migration_.moves) {
    for (const nlohmann::json& table : about["tables"]) {
      if (table.value("from", "") != move.from || !table.contains("from_types")) continue;
      const auto columns = table["from_columns"].get<std::vector<std::string>>();
      const auto types = table["from_types"].get<std::vector<std::string>>();
      for (std::size_t i = 0; i < std::min(columns.size(), types.size()); ++i) {
        const int at = move.mapping.source.column_index(columns[i]);
        if (at < 0) continue;
        move.mapping.source.columns[static_cast<std::size_t>(at)].declared = types[i];
      }
    }
  }
}

Status Session::prepare_without_tables() {
  if (stores_.empty()) TRY(open_stores());
  migration_ = Migration{};
  migration_.name = plan_.migration;
  migration_.stores = stores_;
  migration_.finish = plan_.finish;
  name_the_archive();
  executor_ = std::make_unique<ThreadExecutor>(1);
  return {};
}

// By the table that it was, of which only the journal still knows.
void Session::name_the_archive() {
  std::string& name = migration_.finish.rename_source_to;
  const nlohmann::json about = nlohmann::json::parse(journal_->state().tables, nullptr, false);
  if (name.empty() || !about.is_object() || about.value("tables", nlohmann::json()).empty()) return;
  const std::string from = about["tables"][0].value("from", "");
  const std::size_t slash = std::min(from.find('/'), from.size());
  const auto store = stores_.find(from.substr(0, slash));
  if (store == stores_.end() || slash == from.size()) return;
  name = store->second->catalog().beside(from.substr(slash + 1), name);
}

Result<std::string> Session::state_folder(bool create) {
  if (!folder_.empty()) return folder_;
  std::filesystem::path folder = settings_.state;
  if (settings_.state.empty()) {
    ASSIGN_OR_RETURN(const PlanSource source, read_plan(settings_.plan));
    ASSIGN_OR_RETURN(const std::string name, migration_name(source, settings_.variables));
    folder = std::filesystem::absolute(settings_.plan).parent_path() / ".whimbrel" / name;
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

Result<bool> Session::has_journal() {
  if (journal_) return true;
  const Result<std::string> folder = state_folder(false);
  std::error_code ignored;
  return folder.ok() && std::filesystem::exists(folder.value() + "/journal.db", ignored);
}

Result<bool> Session::has_left_a_trial() {
  ASSIGN_OR_RETURN(const std::string folder, state_folder(false));
  const std::string path = folder + "/trial.db";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return false;
  ASSIGN_OR_RETURN(const auto journal, Journal::open(path, clock_));
  return !journal->state().effects.empty();
}

Status Session::open_journal(bool create, Journal::Reading reading) {
  if (journal_) return {};
  ASSIGN_OR_RETURN(const std::string folder, state_folder(create));
  const std::string path = folder + "/journal.db";
  std::error_code ignored;
  if (!create && !std::filesystem::exists(path, ignored)) {
    ASSIGN_OR_RETURN(const bool tried, has_left_a_trial());
    return Error{ErrorCode::refused, "nothing was started yet: there is no " + path,
                 tried ? "rows of a trial are still in the targets: `whimbrel test` and `whimbrel "
                         "run` take them away before they begin"
                       : "`whimbrel run` begins"};
  }
  ASSIGN_OR_RETURN(journal_, Journal::open(path, clock_, reading));
  chmod(path.c_str(), 0600);
  sidecar_ = std::make_unique<FileSidecar>(folder);
  return give_folder_to_stores();
}

Result<std::int64_t> Session::rows_of(const Move& move) {
  const auto known = rows_.find(move.index);
  if (known != rows_.end()) return known->second;
  ASSIGN_OR_RETURN(const auto reader, move.source->open_reader(move.mapping.source));
  ASSIGN_OR_RETURN(const std::int64_t rows, reader->count());
  rows_[move.index] = rows;
  return rows;
}

Result<std::int64_t> Session::rows_about(const Move& move) {
  if (!journal_) return rows_of(move);
  const State state = journal_->state();
  const auto copy = state.copies.find(move.index);
  const bool is_copied = copy != state.copies.end() && copy->second.at_end;
  if (is_copied && state.phase != Phase::rolled_back) return copy->second.read;
  if (!analyzed_) {
    const nlohmann::json analysis = last_analysis(folder_);
    const bool is_of_this_plan =
        analysis.is_object() && analysis.value("digest", "") == migration_.digest;
    analyzed_ = is_of_this_plan ? rows_analyzed(analysis) : std::vector<std::int64_t>{};
  }
  const auto at = static_cast<std::size_t>(move.index);
  return at < analyzed_->size() && (*analyzed_)[at] >= 0 ? (*analyzed_)[at] : rows_of(move);
}

Status Session::open_all() {
  TRY(load());
  TRY(open_journal(true));
  TRY(open_own_books());
  return host_.opened();
}

std::string Session::below_state(const std::string& place) const {
  if (!is_folder(place)) return place;
  const std::filesystem::path relative = std::filesystem::path(place).lexically_relative(folder_);
  const bool below = !relative.empty() && *relative.begin() != "..";
  return below ? relative.string() : place;
}

namespace {

// What a plan wants kept of one store.
std::vector<std::string> tables_to_keep(const Migration& migration, const BackupPlan& plan,
                                        const Store& store) {
  std::vector<std::string> tables;
  if (plan.source) tables = source_tables(migration, store);
  for (const Move& move : migration.moves) {
    const bool there = plan.target && move.target.get() == &store &&
                       move.target->catalog().describe(move.mapping.target.name).ok();
    const std::string table = move.stored_target();
    if (there && std::ranges::count(tables, table) == 0) tables.push_back(table);
  }
  return tables;
}

}  // namespace

// In the tables' own database.
Result<std::string> Session::keep_copies(const Migration& migration) {
  for (const auto& [alias, store] : migration.stores) {
    for (const std::string& table : tables_to_keep(migration, migration.backup, *store)) {
      ASSIGN_OR_RETURN(const std::int64_t rows, store->keep_copy(table, migration.backup.schema));
      headway_.emit({"table_backed_up", {{"table", table}, {"rows", rows}}});
    }
  }
  return nlohmann::json({{"schema", migration.backup.schema}}).dump();
}

namespace {

// `{table}` and `{date}`; a store takes letters, digits and a few signs.
std::string native_name(const std::string& pattern, const std::string& table, TimePoint now) {
  std::string name = with_replaced(pattern, "{table}", table);
  name = with_replaced(std::move(name), "{date}", to_compact(now).substr(0, 8));
  std::ranges::replace_if(
      name,
      [](char c) {
        return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' &&
               c != '-' && c != '.';
      },
      '-');
  return name;
}

}  // namespace

// By the stores themselves, as far as they have such backups.
Result<bool> Session::keep_native(const Migration& migration, const BackupPlan& plan,
                                  nlohmann::json& kept) {
  bool all = true;
  for (const auto& [alias, store] : migration.stores) {
    for (const std::string& table : tables_to_keep(migration, plan, *store)) {
      ASSIGN_OR_RETURN(const auto backup,
                       store->keep_backup(table, native_name(plan.native, table, clock_.now())));
      if (!backup) {
        all = false;
        break;
      }
      kept[alias + "/" + table] = *backup;
      headway_.emit({"native_backup_taken", {{"table", table}}});
    }
  }
  return all;
}

Result<bool> Session::keep_native_archive(nlohmann::json& kept) {
  BackupPlan plan = migration_.finish.backup;
  plan.source = true;
  return keep_native(migration_, plan, kept);
}

Status Session::keep_points_in_time(const Migration& migration, nlohmann::json& kept) {
  for (const auto& [alias, store] : migration.stores) {
    for (const std::string& table : tables_to_keep(migration, migration.backup, *store)) {
      ASSIGN_OR_RETURN(const bool on, store->keep_points_in_time(table));
      kept[alias + "/" + table] = on;
      if (!on) {
        host_.warn(fmt::format("{} cannot be restored to a point in time here", table),
                   "the backup is what there is to go back to");
      }
    }
  }
  return {};
}

// A folder an attempt. A place that others use as well has one for each migration that was begun.
std::string Session::backup_place(const BackupPlan& plan) const {
  const State& state = journal_->state();
  const std::string place = place_for(folder_, plan.place);
  const bool ours = below_state(place) != place;
  const auto begun = state.phase_times.find(name_of(Phase::planned));
  const TimePoint since = begun == state.phase_times.end() ? TimePoint() : begun->second;
  const std::string which = fmt::format("{} {}", folder_, since.time_since_epoch().count());
  return place_below(place, ours ? fmt::format("attempt-{}", state.attempt)
                                 : fmt::format("{}-{}-{}", plan_.migration, to_compact(since),
                                               digest_hex(which).substr(0, 8)));
}

Result<std::string> Session::take_backups(const Migration& migration) {
  nlohmann::json done = nlohmann::json::object();
  if (migration.backup.point_in_time) {
    TRY(keep_points_in_time(migration, done["point_in_time"]));
  }
  if (!migration.backup.native.empty()) {
    ASSIGN_OR_RETURN(const bool all, keep_native(migration, migration.backup, done["native"]));
    if (all) return done.dump();
    if (!migration.backup.place.empty()) {
      host_.say("the store takes no backups of its own here: the next place is taken\n");
    } else if (migration.backup.schema.empty()) {
      return Error{ErrorCode::refused, "the store takes no backups of its own",
                   "name a second place: `backup: {to: [\"native:…\", \"file:backup\"]}`",
                   "nothing was changed"};
    }
  }
  if (!migration.backup.schema.empty()) return keep_copies(migration);
  if (migration.backup.place.empty()) return done.dump();
  const std::string base = backup_place(migration.backup);
  for (const auto& [alias, store] : migration.stores) {
    const std::vector<std::string> tables = tables_to_keep(migration, migration.backup, *store);
    if (tables.empty()) continue;
    const std::string place = migration.stores.size() == 1 ? base : place_below(base, alias);
    // It may have been taken by a run that died before it could say so.
    ASSIGN_OR_RETURN(const bool taken, has_backup(place));
    if (!taken) TRY(take_backup(*store, tables, place, headway_));
    Status whole = verify_backup(place, *store);
    if (!whole.ok() && whole.error().code == ErrorCode::data_mismatch) {
      Error error = std::move(whole).error();
      error.hint = "move it away, and the next run takes another one";
      return error;
    }
    TRY(whole);
  }
  return nlohmann::json({{"folder", below_state(base)}}).dump();
}

// A new book would say that no row is ours: then nothing would be taken back, and all be well.
Status Session::own_rows_are_known(const std::string& path) {
  const State state = journal_->state();
  const bool has_written =
      std::ranges::any_of(state.copies, [](const auto& copy) { return copy.second.written > 0; });
  std::error_code none;
  const auto size = std::filesystem::file_size(path, none);
  const bool is_known = !none && size > 0;
  if (is_known || !has_written || state.phase == Phase::rolled_back) return {};
  return Error{
      ErrorCode::refused,
      fmt::format("{} is missing, which says which rows of the targets are the copy's", path),
      "bring the whole folder along, or fetch the file from where the copy was made",
      "nothing was changed",
      {},
      ""};
}

Status Session::know_own_rows() {
  std::error_code none;
  const bool are_open =
      std::ranges::any_of(migration_.moves, [](const Move& move) { return move.own != nullptr; });
  if (are_open || !standing().begun) return {};
  return std::filesystem::exists(folder_ + "/own-rows.db", none) ? open_own_books() : Status();
}

// Which rows are ours is kept beside the journal.
Status Session::open_own_books() {
  if (!migration_.only_copies) return {};
  const std::string path = folder_ + "/own-rows.db";
  TRY(own_rows_are_known(path));
  ASSIGN_OR_RETURN(const std::shared_ptr<OwnFile> file, OwnFile::open(path));
  for (Move& move : migration_.moves) {
    if (move.among_others) move.own = OwnFile::book(file, move.index);
  }
  return {};
}

Engine Session::make_engine(std::function<Status()> archive) {
  const auto take = [this](const Migration& migration) { return take_backups(migration); };
  Cutover::StartGuard guard;
  if (const std::string program = host_.guard_program(); !program.empty()) {
    guard = [this, program](TimePoint until) {
      GuardOrders orders{std::filesystem::absolute(settings_.plan).string(),
                         folder_,
                         settings_.variables,
                         {},
                         until};
      for (const SwitchPlan& hold : migration_.holds) orders.holds.push_back(hold.name);
      return start_guard(program, orders);
    };
  }
  return Engine(migration_,
                {*journal_, clock_, random_, *executor_, headway_, stop_, *sidecar_, take,
                 std::move(archive), settings_.force, settings_.force, std::move(guard)});
}

}  // namespace whimbrel
