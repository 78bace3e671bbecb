#include "store/known_keys.h"

#include "store/kept_file.h"

namespace whimbrel {

KnownKeys::KnownKeys(std::unique_ptr<KeptFile> file) : file_(std::move(file)) {}
KnownKeys::~KnownKeys() = default;

Result<std::shared_ptr<KnownKeys>> KnownKeys::open(const std::string& path) {
  ASSIGN_OR_RETURN(
      auto file,
      KeptFile::open(path,
                     {"make room on its disk, or put it back from a copy of the state folder", ""},
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                     "CREATE TABLE IF NOT EXISTS known (shape TEXT NOT NULL, own BLOB NOT NULL,"
                     " shaped BLOB NOT NULL, PRIMARY KEY (shape, own, shaped)) WITHOUT ROWID;"
                     "CREATE INDEX IF NOT EXISTS known_under ON known (shape, shaped)"));
  return std::shared_ptr<KnownKeys>(new KnownKeys(std::move(file)));
}

Status KnownKeys::note(const std::string& shape, std::span<const Known> keys) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const auto insert,
                   file_->prepare("INSERT OR IGNORE INTO known VALUES (?1, ?2, ?3)"));
  TRY(file_->execute("BEGIN IMMEDIATE"));
  sqlite3_bind_text(insert.get(), 1, shape.c_str(), -1, SQLITE_TRANSIENT);
  for (const Known& one : keys) {
    bind_row(insert, 2, one.own_key);
    bind_row(insert, 3, one.shaped_key);
    if (const Result<bool> stepped = file_->step(insert); !stepped.ok()) {
      (void)file_->execute("ROLLBACK").ok();
      return stepped.error();
    }
    sqlite3_reset(insert.get());
  }
  return file_->execute("COMMIT");
}

Result<std::vector<Row>> KnownKeys::known_as(const std::string& shape, const Row& own_key) {
  return keys("SELECT shaped FROM known WHERE shape = ?1 AND own = ?2", shape, own_key);
}

Result<std::vector<Row>> KnownKeys::known_under(const std::string& shape, const Row& shaped_key) {
  return keys("SELECT own FROM known WHERE shape = ?1 AND shaped = ?2 ORDER BY own", shape,
              shaped_key);
}

Result<std::vector<Row>> KnownKeys::keys(const char* select, const std::string& shape,
                                         const Row& key) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const auto statement, file_->prepare(select));
  sqlite3_bind_text(statement.get(), 1, shape.c_str(), -1, SQLITE_TRANSIENT);
  bind_row(statement, 2, key);
  std::vector<Row> found;
  while (true) {
    ASSIGN_OR_RETURN(const bool is_there, file_->step(statement));
    if (!is_there) return found;
    ASSIGN_OR_RETURN(Row one, row_at(statement, 0));
    found.push_back(std::move(one));
  }
}

}  // namespace whimbrel
