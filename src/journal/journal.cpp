#include "journal/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <random>
#include <thread>

#include "base/sqlite_memory.h"
#include "base/text.h"
#include "journal/snapshot.h"

namespace whimbrel {

namespace {

using Statement = std::unique_ptr<sqlite3_stmt, FreeWith<sqlite3_finalize>>;

constexpr const char* format_version = "1";
constexpr const char* schema = R"sql(
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS records (number INTEGER PRIMARY KEY, at INTEGER NOT NULL,
  name TEXT NOT NULL, body TEXT NOT NULL, sum TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS requests (id INTEGER PRIMARY KEY AUTOINCREMENT, verb TEXT NOT NULL,
  value TEXT NOT NULL, answer TEXT);
CREATE TABLE IF NOT EXISTS kept (move INTEGER NOT NULL, key TEXT NOT NULL, columns TEXT NOT NULL,
  PRIMARY KEY (move, key));
CREATE TABLE IF NOT EXISTS set_aside (move INTEGER NOT NULL, key_digest TEXT NOT NULL,
  PRIMARY KEY (move, key_digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshots (one INTEGER PRIMARY KEY CHECK (one = 1),
  number INTEGER NOT NULL, sum TEXT NOT NULL, state TEXT NOT NULL, seal TEXT NOT NULL);
)sql";
// For a journal that was begun before it had that table.
constexpr const char* fill_set_aside = R"sql(
INSERT OR IGNORE INTO set_aside SELECT json_extract(body, '$.move'),
  json_extract(body, '$.key_digest') FROM records WHERE name = 'RowRejected'
  AND json_extract(body, '$.reason') <> 'conflict' AND number > (SELECT coalesce(max(number), 0)
    FROM records WHERE name = 'PlanAccepted' OR name = 'OperatorDecided'
    AND json_extract(body, '$.what') = 'set_aside_anew');
)sql";
constexpr std::int64_t records_between_snapshots = 500;
constexpr int busy_milliseconds = 10000;
constexpr int busy_pause_milliseconds = 20;

std::int64_t to_number(const std::string& text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Error journal_error(sqlite3* database, const std::string& path) {
  const int code = sqlite3_errcode(database) & 0xff;
  Error error{ErrorCode::unavailable,
              fmt::format("the journal {} cannot be used: {}", path, sqlite3_errmsg(database)),
              "",
              "what was journaled before stays valid",
              {},
              ""};
  if (code == SQLITE_FULL || code == SQLITE_IOERR) {
    error.hint = "make room on the disk that holds the state folder, then run again";
  }
  if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT) {
    error.code = ErrorCode::refused;
    error.hint =
        "put the state folder back from a copy; the databases were not touched, and what keeps "
        "their sides equal goes on without it";
  }
  if (code == SQLITE_READONLY || code == SQLITE_CANTOPEN) {
    error.hint = "the state folder must exist and be writable";
  }
  return error;
}

}  // namespace

Journal::~Journal() {
  if (database_ != nullptr) sqlite3_close_v2(database_);
}

Result<std::unique_ptr<Journal>> Journal::open(const std::string& path, Clock& clock,
                                               Reading reading) {
  std::unique_ptr<Journal> journal(new Journal(path, clock));
  TRY(journal->load(reading));
  return journal;
}

Result<std::unique_ptr<Journal>> Journal::in_memory(Clock& clock) {
  return open(":memory:", clock);
}

// Two processes may make the same journal at once, and SQLite does not wait for whoever is changing
// the mode of a file.
Status Journal::open_database() {
  do_not_count_sqlite_memory();
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
  const bool opened = sqlite3_open_v2(path_.c_str(), &database_, flags, nullptr) == SQLITE_OK;
  if (!opened) return journal_error(database_, path_);
  sqlite3_busy_timeout(database_, busy_milliseconds);
  Status mode = execute("PRAGMA journal_mode = WAL", {});
  for (int waited = 0; !mode.ok() && (sqlite3_errcode(database_) & 0xff) == SQLITE_BUSY &&
                       waited < busy_milliseconds;
       waited += busy_pause_milliseconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(busy_pause_milliseconds));
    mode = execute("PRAGMA journal_mode = WAL", {});
  }
  TRY(mode);
  return execute("PRAGMA synchronous = FULL", {});
}

Status Journal::load(Reading reading) {
  TRY(open_database());
  ASSIGN_OR_RETURN(const auto before,
                   query("SELECT 1 FROM sqlite_master WHERE name = 'set_aside'", {}));
  if (sqlite3_exec(database_, schema, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return journal_error(database_, path_);
  }
  if (before.empty()) TRY(execute(fill_set_aside, {}));
  std::random_device device;  // an identity, not a decision: nothing replays it
  const std::string id = fmt::format("{:08x}{:08x}", device(), device());
  TRY(execute("INSERT OR IGNORE INTO about VALUES ('id', ?1)", {id}));
  TRY(execute("INSERT OR IGNORE INTO about VALUES ('format', ?1)", {format_version}));
  ASSIGN_OR_RETURN(const auto ids, query("SELECT value FROM about WHERE name = 'id'", {}));
  ASSIGN_OR_RETURN(const auto formats, query("SELECT value FROM about WHERE name = 'format'", {}));
  if (ids.empty() || formats.empty() || formats[0][0] != format_version) {
    return Error{ErrorCode::invalid_plan,
                 fmt::format("{} was written by another release of whimbrel (format {})", path_,
                             formats.empty() ? "unknown" : formats[0][0]),
                 "go on with the release that began this migration"};
  }
  id_ = ids[0][0];
  return replay(reading);
}

Status Journal::execute(const char* sql, const std::vector<std::string>& values) const {
  return query(sql, values).ok() ? Status() : Status(journal_error(database_, path_));
}

Result<std::vector<std::vector<std::string>>> Journal::query(
    const char* sql, const std::vector<std::string>& values) const {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(database_, sql, -1, &raw, nullptr) != SQLITE_OK) {
    return journal_error(database_, path_);
  }
  const Statement statement(raw);
  int at = 0;
  for (const std::string& value : values) {
    sqlite3_bind_text64(raw, ++at, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  std::vector<std::vector<std::string>> rows;
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(raw)) == SQLITE_ROW) {
    std::vector<std::string> row;
    for (int i = 0; i < sqlite3_column_count(raw); ++i) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(raw, i));
      row.emplace_back(text == nullptr ? "" : text,
                       static_cast<std::size_t>(sqlite3_column_bytes(raw, i)));
    }
    rows.push_back(std::move(row));
  }
  if (code != SQLITE_DONE) return journal_error(database_, path_);
  return rows;
}

Status Journal::append(const Record& record) {
  const std::lock_guard lock(mutex_);
  const Stamped stamped{last_.number + 1, clock_.now(), record};
  const std::string body = to_json(record);
  const std::string sum = digest_hex(last_.sum + name_of(record) + body);
  // That a row is set aside is said again with its chunk when that is not known to be done: it may
  // reach the disk with the record of the chunk. Within a transaction nothing is written yet.
  const bool can_wait =
      std::holds_alternative<RowRejected>(record) && sqlite3_get_autocommit(database_) != 0;
  if (can_wait) TRY(execute("PRAGMA synchronous = NORMAL", {}));
  const auto in_a_hurry_again = [&] {
    return can_wait ? execute("PRAGMA synchronous = FULL", {}) : Status();
  };
  // Both or none; what is kept may be between its two calls.
  TRY(execute("SAVEPOINT said", {}));
  Status said = note_set_aside(record);
  if (said.ok()) {
    said = execute(
        "INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5)",
        {fmt::format("{}", stamped.number),
         fmt::format("{}", stamped.at.time_since_epoch().count()), name_of(record), body, sum});
  }
  if (said.ok()) said = execute("RELEASE said", {});
  if (!said.ok()) {
    (void)execute("ROLLBACK TO said", {});
    (void)execute("RELEASE said", {});
    (void)in_a_hurry_again();
    return said;
  }
  TRY(in_a_hurry_again());
  last_ = {stamped.number, sum};
  apply(state_, stamped);
  if (stamped.number % records_between_snapshots == 0) write_snapshot();
  return {};
}

// Who is set aside now, beside the records that tell it.
Status Journal::note_set_aside(const Record& record) {
  const auto one = [&](const char* sql, int move, const std::string& digest) {
    return execute(sql, {fmt::format("{}", move), digest});
  };
  if (const auto* row = std::get_if<RowCarried>(&record)) {
    return one("DELETE FROM set_aside WHERE move = ?1 AND key_digest = ?2", row->move,
               row->key_digest);
  }
  const auto* decided = std::get_if<OperatorDecided>(&record);
  const bool begins_anew = std::holds_alternative<PlanAccepted>(record) ||
                           (decided != nullptr && decided->what == set_aside_anew_record);
  if (begins_anew) return execute("DELETE FROM set_aside", {});
  const auto* row = std::get_if<RowRejected>(&record);
  if (row == nullptr || row->reason == name_of(ErrorCode::conflict)) return {};
  return one("INSERT OR IGNORE INTO set_aside VALUES (?1, ?2)", row->move, row->key_digest);
}

Result<bool> Journal::is_set_aside(int move, const std::string& digest) const {
  const std::lock_guard lock(mutex_);
  if (state_.left_behind <= 0) return false;
  ASSIGN_OR_RETURN(const auto rows,
                   query("SELECT 1 FROM set_aside WHERE move = ?1 AND key_digest = ?2",
                         {fmt::format("{}", move), digest}));
  return !rows.empty();
}

// Without one the next reader has more to read, and that is all.
void Journal::write_snapshot() {
  const std::string state = snapshot_of(state_);
  (void)execute("INSERT OR REPLACE INTO snapshots VALUES (1, ?1, ?2, ?3, ?4)",
                {fmt::format("{}", last_.number), last_.sum, state, digest_hex(last_.sum + state)});
}

// Only one that was taken of the records that are there.
Result<std::optional<std::pair<State, Journal::Position>>> Journal::snapshot() const {
  using Found = std::optional<std::pair<State, Position>>;
  ASSIGN_OR_RETURN(const auto rows,
                   query("SELECT s.number, s.sum, s.state, s.seal FROM snapshots AS s"
                         " JOIN records AS r ON r.number = s.number AND r.sum = s.sum",
                         {}));
  if (rows.empty() || digest_hex(rows[0][1] + rows[0][2]) != rows[0][3]) return Found();
  std::optional<State> state = state_from_snapshot(rows[0][2]);
  if (!state) return Found();
  return Found({*std::move(state), {to_number(rows[0][0]), rows[0][1]}});
}

State Journal::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

std::int64_t Journal::count() const {
  const std::lock_guard lock(mutex_);
  return last_.number;
}

Phase Journal::phase() const {
  const std::lock_guard lock(mutex_);
  return state_.phase;
}

int Journal::attempt() const {
  const std::lock_guard lock(mutex_);
  return state_.attempt;
}

Result<Journal::Position> Journal::hear_from(
    Position begin, const std::function<Status(const Stamped&)>& listener) const {
  constexpr const char* page =
      "SELECT number, at, name, body, sum FROM records WHERE number > ?1 ORDER BY number LIMIT "
      "2000";
  Position at = std::move(begin);
  while (true) {
    ASSIGN_OR_RETURN(const auto rows, query(page, {fmt::format("{}", at.number)}));
    if (rows.empty()) return at;
    for (const auto& row : rows) {
      const std::int64_t number = to_number(row[0]);
      at.sum = digest_hex(at.sum + row[2] + row[3]);
      if (at.sum != row[4] || number != at.number + 1) {
        return Error{
            ErrorCode::refused,
            fmt::format("the journal {} is damaged at record {}", path_, number),
            "put the state folder back from a copy; the databases were not touched, and what "
            "keeps their sides equal goes on without it",
            "nothing was changed by this command",
            {},
            ""};
      }
      ASSIGN_OR_RETURN(Record record, record_from_json(row[2], row[3]));
      TRY(listener({number, TimePoint(Milliseconds(to_number(row[1]))), std::move(record)}));
      at.number = number;
    }
  }
}

Status Journal::hear(const std::function<Status(const Stamped&)>& listener) const {
  const std::lock_guard lock(mutex_);
  const Result<Position> end = hear_from({}, listener);
  return end.ok() ? Status() : Status(end.error());
}

Result<std::vector<Stamped>> Journal::records() const {
  std::vector<Stamped> all;
  TRY(hear([&](const Stamped& stamped) {
    all.push_back(stamped);
    return Status();
  }));
  return all;
}

Status Journal::replay(Reading reading) {
  const std::lock_guard lock(mutex_);
  State state;
  Position begin;
  if (reading == Reading::latest) {
    ASSIGN_OR_RETURN(auto known, snapshot());
    if (known) std::tie(state, begin) = *std::move(known);
  }
  ASSIGN_OR_RETURN(last_, hear_from(std::move(begin), [&](const Stamped& stamped) {
                     apply(state, stamped);
                     return Status();
                   }));
  state_ = std::move(state);
  return {};
}

Result<RunLock> RunLock::take(const std::string& journal_path) {
  const std::string path = journal_path + ".lock";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) {
    return Error{ErrorCode::unavailable, fmt::format("{}: {}", path, std::strerror(errno))};
  }
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    char holder[32] = {};
    const bool known = pread(file, holder, sizeof holder - 1, 0) > 0;
    close(file);
    return Error{ErrorCode::conflict,
                 fmt::format("another runner is at work on this migration (process {})",
                             known ? holder : "unknown"),
                 "watch it with `whimbrel status --watch`, or stop it with Ctrl-C first",
                 "nothing was done by this command",
                 {},
                 ""};
  }
  RunLock lock(file);
  const std::string self = fmt::format("{}", getpid());
  if (ftruncate(file, 0) != 0 || pwrite(file, self.data(), self.size(), 0) < 0) {
    return Error{ErrorCode::unavailable, fmt::format("{}: {}", path, std::strerror(errno))};
  }
  return lock;
}

RunLock::~RunLock() {
  if (file_ >= 0) close(file_);
}

Status Journal::lock_for_running() {
  if (path_ == ":memory:" || lock_) return {};
  ASSIGN_OR_RETURN(RunLock lock, RunLock::take(path_));
  lock_.emplace(std::move(lock));
  // Whoever had the lock until now may have written since the journal was opened.
  return replay(Reading::whole);
}

bool Journal::somebody_runs() const {
  if (path_ == ":memory:") return false;
  const int file = ::open((path_ + ".lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool locked = flock(file, LOCK_SH | LOCK_NB) != 0;
  close(file);
  return locked;
}

Result<std::int64_t> Journal::ask(const std::string& verb, const std::string& value) {
  const std::lock_guard lock(mutex_);
  TRY(execute("INSERT INTO requests (verb, value) VALUES (?1, ?2)", {verb, value}));
  return sqlite3_last_insert_rowid(database_);
}

Result<std::optional<Request>> Journal::next_request() {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const auto rows,
                   query("SELECT id, verb, value FROM requests WHERE answer IS NULL"
                         " ORDER BY id LIMIT 1",
                         {}));
  if (rows.empty()) return std::optional<Request>{};
  return std::optional<Request>(Request{to_number(rows[0][0]), rows[0][1], rows[0][2]});
}

Status Journal::answer(std::int64_t request, const std::string& answer) {
  const std::lock_guard lock(mutex_);
  return execute("UPDATE requests SET answer = ?2 WHERE id = ?1",
                 {fmt::format("{}", request), answer});
}

Result<std::optional<std::string>> Journal::answer_to(std::int64_t request) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const auto rows,
                   query("SELECT answer FROM requests WHERE id = ?1 AND answer IS NOT NULL",
                         {fmt::format("{}", request)}));
  if (rows.empty()) return std::optional<std::string>{};
  return std::optional<std::string>(rows[0][0]);
}

Status Journal::keep(const KeptRow& row) {
  const std::lock_guard lock(mutex_);
  return execute("INSERT OR REPLACE INTO kept VALUES (?1, ?2, ?3)",
                 {fmt::format("{}", row.move), row.key, row.columns});
}

Status Journal::forget_kept(int move, const std::string& key) {
  const std::lock_guard lock(mutex_);
  return execute("DELETE FROM kept WHERE move = ?1 AND key = ?2", {fmt::format("{}", move), key});
}

Status Journal::begin_keeping() {
  const std::lock_guard lock(mutex_);
  return execute("BEGIN IMMEDIATE", {});
}

Status Journal::end_keeping(bool commit) {
  const std::lock_guard lock(mutex_);
  return execute(commit ? "COMMIT" : "ROLLBACK", {});
}

Result<std::vector<KeptRow>> Journal::kept() const {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const auto rows,
                   query("SELECT move, key, columns FROM kept ORDER BY move, key", {}));
  std::vector<KeptRow> all;
  for (const auto& row : rows) {
    all.push_back({static_cast<int>(to_number(row[0])), row[1], row[2]});
  }
  return all;
}

Result<std::optional<KeptRow>> Journal::kept_of(int move, const std::string& key) const {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const auto rows, query("SELECT columns FROM kept WHERE move = ?1 AND key = ?2",
                                          {fmt::format("{}", move), key}));
  if (rows.empty()) return std::optional<KeptRow>();
  return std::optional(KeptRow{move, key, rows[0][0]});
}

Result<std::int64_t> Journal::kept_count() const {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const auto rows, query("SELECT count(*) FROM kept", {}));
  return to_number(rows[0][0]);
}

}  // namespace whimbrel
