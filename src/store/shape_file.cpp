#include "store/shape_file.h"

#include <fmt/format.h>
#include <sys/stat.h>

namespace whimbrel {

namespace {

constexpr int busy_milliseconds = 10'000;

void bind_bytes(sqlite3_stmt* statement, int at, const std::string& bytes) {
  sqlite3_bind_blob64(statement, at, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
}

std::string bytes_at(sqlite3_stmt* statement, int at) {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, at));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, at));
  return bytes == nullptr ? std::string() : std::string(bytes, size);
}

}  // namespace

Error ShapeFile::error() const {
  return Error{
      ErrorCode::unavailable,
      fmt::format("{} cannot be used: {}", path_.empty() ? "a temporary file" : "the file " + path_,
                  sqlite3_errmsg(database_.get())),
      path_.empty() ? "make room where temporary files lie, or name another place in TMPDIR"
                    : "make room on its disk, or put it back from a copy of the state "
                      "folder",
      "",
      {},
      ""};
}

Status ShapeFile::execute(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return error();
}

Result<ShapeFile::Statement> ShapeFile::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database_.get(), sql, -1, &statement, nullptr) != SQLITE_OK) {
    return error();
  }
  return Statement(statement);
}

Result<bool> ShapeFile::step(sqlite3_stmt* statement) {
  const int code = sqlite3_step(statement);
  if (code != SQLITE_ROW && code != SQLITE_DONE) return error();
  return code == SQLITE_ROW;
}

Result<std::shared_ptr<ShapeFile>> ShapeFile::open(const std::string& path) {
  std::shared_ptr<ShapeFile> file(new ShapeFile());
  file->path_ = path;
  sqlite3* database = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
  const int code = sqlite3_open_v2(path.c_str(), &database, flags, nullptr);
  file->database_.reset(database);
  if (code != SQLITE_OK) return file->error();
  sqlite3_busy_timeout(database, busy_milliseconds);
  if (path.empty()) {
    TRY(
        file->execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
                      "CREATE TABLE waiting (of BLOB NOT NULL, row BLOB NOT NULL);"
                      "CREATE INDEX by_group ON waiting (of); BEGIN"));
    return file;
  }
  chmod(path.c_str(), 0600);  // it holds keys
  TRY(
      file->execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                    "CREATE TABLE IF NOT EXISTS known (shape TEXT NOT NULL, own BLOB NOT NULL,"
                    " shaped BLOB NOT NULL, PRIMARY KEY (shape, own, shaped)) WITHOUT ROWID"));
  return file;
}

Status ShapeFile::note(const std::string& shape, std::span<const Known> keys) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const Statement insert,
                   prepare("INSERT OR IGNORE INTO known VALUES (?1, ?2, ?3)"));
  TRY(execute("BEGIN IMMEDIATE"));
  sqlite3_bind_text(insert.get(), 1, shape.c_str(), -1, SQLITE_TRANSIENT);
  for (const Known& one : keys) {
    bind_bytes(insert.get(), 2, canonical(one.own_key));
    bind_bytes(insert.get(), 3, canonical(one.shaped_key));
    if (const Result<bool> stepped = step(insert.get()); !stepped.ok()) {
      (void)execute("ROLLBACK").ok();
      return stepped.error();
    }
    sqlite3_reset(insert.get());
  }
  return execute("COMMIT");
}

Result<std::vector<Row>> ShapeFile::known_as(const std::string& shape, const Row& own_key) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const Statement select,
                   prepare("SELECT shaped FROM known WHERE shape = ?1 AND own = ?2"));
  sqlite3_bind_text(select.get(), 1, shape.c_str(), -1, SQLITE_TRANSIENT);
  bind_bytes(select.get(), 2, canonical(own_key));
  std::vector<Row> keys;
  while (true) {
    ASSIGN_OR_RETURN(const bool is_there, step(select.get()));
    if (!is_there) return keys;
    ASSIGN_OR_RETURN(Row key, row_from_canonical(bytes_at(select.get(), 0)));
    keys.push_back(std::move(key));
  }
}

Status ShapeFile::add(const Row& group, const Row& row) {
  const std::lock_guard lock(mutex_);
  if (add_ == nullptr) {
    ASSIGN_OR_RETURN(add_, prepare("INSERT INTO waiting VALUES (?1, ?2)"));
  }
  bind_bytes(add_.get(), 1, canonical(group));
  bind_bytes(add_.get(), 2, canonical(row));
  TRY(step(add_.get()));
  sqlite3_reset(add_.get());
  return {};
}

Result<std::optional<ShapeFile::Group>> ShapeFile::group_after(const std::optional<Row>& after) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const Statement select,
                   prepare("SELECT of, row FROM waiting WHERE of = (SELECT min(of) FROM waiting"
                           " WHERE ?1 IS NULL OR of > ?1) ORDER BY rowid"));
  if (after) bind_bytes(select.get(), 1, canonical(*after));
  std::optional<Group> group;
  while (true) {
    ASSIGN_OR_RETURN(const bool is_there, step(select.get()));
    if (!is_there) return group;
    if (!group) {
      ASSIGN_OR_RETURN(Row key, row_from_canonical(bytes_at(select.get(), 0)));
      group = Group{std::move(key), {}};
    }
    ASSIGN_OR_RETURN(Row row, row_from_canonical(bytes_at(select.get(), 1)));
    group->rows.push_back(std::move(row));
  }
}

}  // namespace whimbrel
