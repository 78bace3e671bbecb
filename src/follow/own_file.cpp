#include "follow/own_file.h"

#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "base/handle.h"
#include "base/text.h"

namespace whimbrel {

namespace {

using OwnStatement = std::unique_ptr<sqlite3_stmt, FreeWith<sqlite3_finalize>>;
constexpr int busy_milliseconds = 10000;

void bind_bytes(sqlite3_stmt* statement, int at, const std::string& bytes) {
  sqlite3_bind_blob64(statement, at, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
}

std::string bytes_at(sqlite3_stmt* statement, int at) {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, at));
  return bytes == nullptr
             ? std::string()
             : std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement, at)));
}

}  // namespace

OwnFile::~OwnFile() {
  if (database_ != nullptr) sqlite3_close_v2(database_);
}

Error OwnFile::error() const {
  return Error{ErrorCode::unavailable,
               fmt::format("the file {} cannot be used: {}", path_, sqlite3_errmsg(database_)),
               "it names the rows that this migration wrote; make room on its disk, or put it back "
               "from a copy of the state folder",
               "no row was written without being named there first",
               {},
               ""};
}

Status OwnFile::execute(const char* sql) {
  if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return error();
}

Result<std::shared_ptr<OwnFile>> OwnFile::open(const std::string& path) {
  std::shared_ptr<OwnFile> file(new OwnFile(path));
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
  if (sqlite3_open_v2(path.c_str(), &file->database_, flags, nullptr) != SQLITE_OK) {
    return file->error();
  }
  sqlite3_busy_timeout(file->database_, busy_milliseconds);
  chmod(path.c_str(), 0600);  // it holds keys
  TRY(
      file->execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                    "CREATE TABLE IF NOT EXISTS own (move INTEGER NOT NULL, target BLOB NOT NULL,"
                    " source BLOB NOT NULL, written TEXT NOT NULL, before TEXT NOT NULL,"
                    " original BLOB NOT NULL,"
                    " PRIMARY KEY (move, target)) WITHOUT ROWID"));
  return file;
}

class OwnFileBook final : public OwnBook {
 public:
  OwnFileBook(std::shared_ptr<OwnFile> file, int move) : file_(std::move(file)), move_(move) {}

  Result<std::vector<std::optional<OwnRow>>> find(std::span<const Row> target_keys) override {
    const std::lock_guard lock(file_->mutex_);
    ASSIGN_OR_RETURN(const OwnStatement select,
                     prepare("SELECT target, source, written, before, original FROM own "
                             "WHERE move = ?1 AND target = ?2"));
    std::vector<std::optional<OwnRow>> rows;
    rows.reserve(target_keys.size());
    TRY(file_->execute("BEGIN"));
    const std::unique_ptr<OwnFile, void (*)(OwnFile*)> ending(
        file_.get(), [](OwnFile* file) { (void)file->execute("COMMIT").ok(); });
    for (const Row& key : target_keys) {
      sqlite3_reset(select.get());
      sqlite3_bind_int(select.get(), 1, move_);
      bind_bytes(select.get(), 2, canonical(key));
      ASSIGN_OR_RETURN(std::optional<OwnRow> row, next(select.get()));
      rows.push_back(std::move(row));
      sqlite3_reset(select.get());
    }
    return rows;
  }

  Result<std::vector<OwnRow>> following(const std::optional<Row>& after,
                                        std::int64_t rows_max) override {
    const std::lock_guard lock(file_->mutex_);
    ASSIGN_OR_RETURN(const OwnStatement select,
                     prepare("SELECT target, source, written, before, original FROM own "
                             "WHERE move = ?1 AND target > ?2 ORDER BY target LIMIT ?3"));
    sqlite3_bind_int(select.get(), 1, move_);
    bind_bytes(select.get(), 2, after ? canonical(*after) : std::string());
    sqlite3_bind_int64(select.get(), 3, rows_max);
    std::vector<OwnRow> rows;
    while (true) {
      ASSIGN_OR_RETURN(std::optional<OwnRow> row, next(select.get()));
      if (!row) return rows;
      rows.push_back(*std::move(row));
    }
  }

  Status note(std::span<const OwnRow> rows) override {
    return in_transaction(
        "INSERT INTO own VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (move, target) DO UPDATE SET "
        "source = excluded.source, written = excluded.written, before = excluded.before, "
        "original = excluded.original",
        std::ssize(rows), [&](sqlite3_stmt* statement, std::size_t i) {
          bind_bytes(statement, 2, canonical(rows[i].target_key));
          bind_bytes(statement, 3, canonical(rows[i].source_key));
          sqlite3_bind_text(statement, 4, rows[i].written.c_str(), -1, SQLITE_TRANSIENT);
          sqlite3_bind_text(statement, 5, rows[i].before.c_str(), -1, SQLITE_TRANSIENT);
          bind_bytes(statement, 6, rows[i].original);
        });
  }

  Status forget(std::span<const Row> target_keys) override {
    return in_transaction("DELETE FROM own WHERE move = ?1 AND target = ?2",
                          std::ssize(target_keys), [&](sqlite3_stmt* statement, std::size_t i) {
                            bind_bytes(statement, 2, canonical(target_keys[i]));
                          });
  }

 private:
  Result<OwnStatement> prepare(const char* sql) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(file_->database_, sql, -1, &raw, nullptr) != SQLITE_OK) {
      return file_->error();
    }
    return OwnStatement(raw);
  }

  Result<std::optional<OwnRow>> next(sqlite3_stmt* select) {
    const int code = sqlite3_step(select);
    if (code == SQLITE_DONE) return std::optional<OwnRow>();
    if (code != SQLITE_ROW) return file_->error();
    OwnRow row;
    ASSIGN_OR_RETURN(row.target_key, row_from_canonical(bytes_at(select, 0)));
    ASSIGN_OR_RETURN(row.source_key, row_from_canonical(bytes_at(select, 1)));
    row.written = bytes_at(select, 2);
    row.before = bytes_at(select, 3);
    row.original = bytes_at(select, 4);
    return std::optional<OwnRow>(std::move(row));
  }

  Status in_transaction(const char* sql, std::ptrdiff_t rows,
                        const std::function<void(sqlite3_stmt*, std::size_t)>& bind) {
    if (rows == 0) return {};
    const std::lock_guard lock(file_->mutex_);
    TRY(file_->execute("BEGIN IMMEDIATE"));
    Status done = each(sql, static_cast<std::size_t>(rows), bind);
    if (done.ok()) done = file_->execute("COMMIT");
    if (!done.ok()) (void)file_->execute("ROLLBACK").ok();
    return done;
  }

  Status each(const char* sql, std::size_t rows,
              const std::function<void(sqlite3_stmt*, std::size_t)>& bind) {
    ASSIGN_OR_RETURN(const OwnStatement statement, prepare(sql));
    for (std::size_t i = 0; i < rows; ++i) {
      sqlite3_reset(statement.get());
      sqlite3_bind_int(statement.get(), 1, move_);
      bind(statement.get(), i);
      if (sqlite3_step(statement.get()) != SQLITE_DONE) return file_->error();
    }
    return {};
  }

  std::shared_ptr<OwnFile> file_;
  int move_;
};

// Made when the rows are there, which is cheaper by far than beside them.
Status OwnFile::can_be_searched() {
  const std::lock_guard lock(mutex_);
  return execute("CREATE INDEX IF NOT EXISTS own_by_source ON own (source)");
}

Result<std::vector<OwnFile::Pair>> OwnFile::with_key(const Row& key) {
  TRY(can_be_searched());
  const std::lock_guard lock(mutex_);
  sqlite3_stmt* raw = nullptr;
  const char* sql =
      "SELECT move, source, target FROM own WHERE source = ?1 UNION "
      "SELECT move, source, target FROM own WHERE target = ?1 AND move IN "
      "(WITH RECURSIVE moves (move) AS (SELECT min(move) FROM own UNION ALL SELECT (SELECT "
      "min(own.move) FROM own WHERE own.move > moves.move) FROM moves WHERE moves.move IS NOT "
      "NULL) SELECT move FROM moves) ORDER BY 1";
  if (sqlite3_prepare_v2(database_, sql, -1, &raw, nullptr) != SQLITE_OK) return error();
  const OwnStatement select(raw);
  bind_bytes(select.get(), 1, canonical(key));
  std::vector<Pair> pairs;
  while (true) {
    const int code = sqlite3_step(select.get());
    if (code == SQLITE_DONE) return pairs;
    if (code != SQLITE_ROW) return error();
    Pair& pair = pairs.emplace_back();
    pair.move = sqlite3_column_int(select.get(), 0);
    ASSIGN_OR_RETURN(pair.source_key, row_from_canonical(bytes_at(select.get(), 1)));
    ASSIGN_OR_RETURN(pair.target_key, row_from_canonical(bytes_at(select.get(), 2)));
  }
}

std::shared_ptr<OwnBook> OwnFile::book(const std::shared_ptr<OwnFile>& file, int move) {
  return std::make_shared<OwnFileBook>(file, move);
}

}  // namespace whimbrel
