#include "plan/key_set.h"

#include <fmt/format.h>
#include <sqlite3.h>

namespace whimbrel {

Result<std::unique_ptr<KeySet>> KeySet::open() {
  std::unique_ptr<KeySet> set(new KeySet());
  // A file without a name: SQLite keeps it among temporary files, and only what its cache does not
  // hold.
  if (sqlite3_open_v2("", &set->database_,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                      nullptr) != SQLITE_OK) {
    return set->error();
  }
  TRY(set->prepare());
  return set;
}

KeySet::~KeySet() {
  for (sqlite3_stmt* statement : {insert_, select_, waiting_, taken_}) sqlite3_finalize(statement);
  sqlite3_close_v2(database_);
}

Error KeySet::error() const {
  return Error{ErrorCode::unavailable,
               fmt::format("the keys of a subset cannot be kept: {}", sqlite3_errmsg(database_)),
               "make room where temporary files lie, or name another place in TMPDIR",
               "nothing was changed",
               {},
               ""};
}

Status KeySet::prepare() {
  const char* tables =
      "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
      "CREATE TABLE keys (of INTEGER NOT NULL, key BLOB NOT NULL, is_taken INTEGER NOT NULL, "
      "PRIMARY KEY (of, key)) WITHOUT ROWID;"
      "CREATE INDEX waiting ON keys (of) WHERE is_taken = 0; BEGIN";
  if (sqlite3_exec(database_, tables, nullptr, nullptr, nullptr) != SQLITE_OK) return error();
  const std::pair<sqlite3_stmt**, const char*> statements[] = {
      {&insert_, "INSERT OR IGNORE INTO keys VALUES (?1, ?2, 0)"},
      {&select_, "SELECT 1 FROM keys WHERE of = ?1 AND key = ?2"},
      {&waiting_, "SELECT key FROM keys WHERE of = ?1 AND is_taken = 0 LIMIT ?2"},
      {&taken_, "UPDATE keys SET is_taken = 1 WHERE of = ?1 AND key = ?2"}};
  for (const auto& [statement, sql] : statements) {
    if (sqlite3_prepare_v2(database_, sql, -1, statement, nullptr) != SQLITE_OK) return error();
  }
  return {};
}

// True when there is a row.
Result<bool> KeySet::step(sqlite3_stmt* statement, int group, std::string_view key) {
  sqlite3_reset(statement);
  sqlite3_bind_int(statement, 1, group);
  sqlite3_bind_blob64(statement, 2, key.data(), key.size(), SQLITE_STATIC);
  const int code = sqlite3_step(statement);
  sqlite3_reset(statement);
  if (code != SQLITE_ROW && code != SQLITE_DONE) return error();
  return code == SQLITE_ROW;
}

Result<bool> KeySet::add(int group, std::string_view key) {
  TRY(step(insert_, group, key));
  return sqlite3_changes(database_) > 0;
}

Result<bool> KeySet::has(int group, std::string_view key) { return step(select_, group, key); }

Result<std::vector<std::string>> KeySet::take(int group, std::int64_t keys_max) {
  sqlite3_reset(waiting_);
  sqlite3_bind_int(waiting_, 1, group);
  sqlite3_bind_int64(waiting_, 2, keys_max);
  std::vector<std::string> keys;
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(waiting_)) == SQLITE_ROW) {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(waiting_, 0));
    const int size = sqlite3_column_bytes(waiting_, 0);
    keys.emplace_back(bytes == nullptr ? "" : std::string(bytes, static_cast<std::size_t>(size)));
  }
  sqlite3_reset(waiting_);
  if (code != SQLITE_DONE) return error();
  for (const std::string& key : keys) TRY(step(taken_, group, key));
  return keys;
}

}  // namespace whimbrel
