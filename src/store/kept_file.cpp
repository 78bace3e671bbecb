#include "store/kept_file.h"

#include <fmt/format.h>
#include <sys/stat.h>

namespace whimbrel {

namespace {
constexpr int busy_milliseconds = 10'000;
}

Error KeptFile::error() const {
  return Error{
      ErrorCode::unavailable,
      fmt::format("{} cannot be used: {}", path_.empty() ? "a temporary file" : "the file " + path_,
                  sqlite3_errmsg(database_.get())),
      words_.hint,
      words_.safe,
      {},
      ""};
}

Result<std::unique_ptr<KeptFile>> KeptFile::open(const std::string& path, Words words,
                                                 const char* schema) {
  std::unique_ptr<KeptFile> file(new KeptFile(path, std::move(words)));
  sqlite3* database = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
  const int code = sqlite3_open_v2(path.c_str(), &database, flags, nullptr);
  file->database_.reset(database);
  if (code != SQLITE_OK) return file->error();
  sqlite3_busy_timeout(database, busy_milliseconds);
  if (!path.empty()) chmod(path.c_str(), 0600);  // it holds keys
  TRY(file->execute(schema));
  return file;
}

Status KeptFile::execute(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return error();
}

Result<KeptFile::Statement> KeptFile::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database_.get(), sql, -1, &statement, nullptr) != SQLITE_OK) {
    return error();
  }
  return Statement(statement);
}

Result<bool> KeptFile::step(const Statement& statement) {
  const int code = sqlite3_step(statement.get());
  if (code != SQLITE_ROW && code != SQLITE_DONE) return error();
  return code == SQLITE_ROW;
}

void bind_bytes(const KeptFile::Statement& statement, int at, const std::string& bytes) {
  sqlite3_bind_blob64(statement.get(), at, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
}

void bind_row(const KeptFile::Statement& statement, int at, const Row& row) {
  bind_bytes(statement, at, canonical(row));
}

std::string bytes_at(const KeptFile::Statement& statement, int at) {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement.get(), at));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement.get(), at));
  return bytes == nullptr ? std::string() : std::string(bytes, size);
}

Result<Row> row_at(const KeptFile::Statement& statement, int at) {
  return row_from_canonical(bytes_at(statement, at));
}

}  // namespace whimbrel
