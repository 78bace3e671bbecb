#include "stores/sqlite/connection.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cmath>
#include <filesystem>

#include "base/sqlite_memory.h"
#include "base/text.h"

namespace whimbrel::sqlite {

Result<std::unique_ptr<Connection>> Connection::open(const std::string& path, Access access) {
  std::unique_ptr<Connection> connection(new Connection(path));
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return Error{ErrorCode::not_found, "there is no database " + path,
                 "a database is never created by a migration: check the path"};
  }
  // Readers too open the file for writing where they may, and then promise to write nothing: what a
  // killed writer left half done has to be rolled back before anybody can read.
  do_not_count_sqlite_memory();
  sqlite3* raw = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  connection->database_.reset(raw);
  if (code != SQLITE_OK) return connection->error("opening " + path);
  sqlite3_busy_timeout(raw, busy_timeout_ms);
  sqlite3_extended_result_codes(raw, 1);
  TRY(connection->execute("PRAGMA foreign_keys = OFF"));
  if (access == Access::read) {
    TRY(connection->execute("PRAGMA query_only = ON; PRAGMA cache_size = -4000"));
  }
  struct stat file{};
  if (stat(path.c_str(), &file) == 0) {
    connection->device_ = file.st_dev;
    connection->inode_ = file.st_ino;
  }
  return connection;
}

// https://www.sqlite.org/pragma.html#pragma_data_version
Result<bool> Connection::somebody_else_has_written() {
  ASSIGN_OR_RETURN(const Statement statement, prepare("PRAGMA data_version"));
  ASSIGN_OR_RETURN(const bool known, step(statement.get()));
  const std::int64_t version = known ? sqlite3_column_int64(statement.get(), 0) : 0;
  const bool changed = data_version_ && *data_version_ != version;
  data_version_ = version;
  return changed;
}

bool Connection::is_of_this_file() const {
  struct stat file{};
  return stat(path_.c_str(), &file) == 0 && file.st_dev == device_ && file.st_ino == inode_;
}

std::unique_ptr<Connection> IdleConnections::take() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return nullptr;
  std::unique_ptr<Connection> connection = std::move(idle_.back());
  idle_.pop_back();
  if (connection->is_of_this_file()) return connection;
  idle_.clear();  // the others are of the old file as well
  return nullptr;
}

void IdleConnections::give_back(std::unique_ptr<Connection> connection) {
  constexpr std::size_t idle_max = 4;
  if (sqlite3_get_autocommit(connection->raw()) == 0) return;
  const std::lock_guard lock(mutex_);
  if (idle_.size() < idle_max) idle_.push_back(std::move(connection));
}

void GiveBack::operator()(Connection* connection) const {
  std::unique_ptr<Connection> own(connection);
  if (idle != nullptr) idle->give_back(std::move(own));
}

Result<std::unique_ptr<Connection>> Connection::in_memory() {
  std::unique_ptr<Connection> connection(new Connection(":memory:"));
  sqlite3* raw = nullptr;
  const int code = sqlite3_open(":memory:", &raw);
  connection->database_.reset(raw);
  if (code != SQLITE_OK) return connection->error("opening a database in memory");
  return connection;
}

Result<std::unique_ptr<Connection>> Connection::temporary() {
  std::unique_ptr<Connection> connection(new Connection("a temporary file"));
  sqlite3* raw = nullptr;
  const int code = sqlite3_open("", &raw);
  connection->database_.reset(raw);
  if (code != SQLITE_OK) return connection->error("opening a temporary file");
  TRY(
      connection->execute("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;"
                          " PRAGMA cache_size = -16000"));
  return connection;
}

Error Connection::error(const std::string& doing) const {
  const int code = sqlite3_extended_errcode(raw());
  Error error{ErrorCode::unavailable, fmt::format("{}: {}", path_, sqlite3_errmsg(raw()))};
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      error.message = path_ + ": the database is locked by somebody else";
      error.hint = "a long transaction holds it: end it, then run again";
      break;
    case SQLITE_FULL:
    case SQLITE_IOERR:
      error.hint = "make room on its disk, then run again";
      break;
    case SQLITE_CONSTRAINT:
      error.code = ErrorCode::refused;
      break;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      error.code = ErrorCode::refused;
      error.hint = "the file and its folder must be writable by this user";
      break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      error.code = ErrorCode::refused;
      error.hint = "`PRAGMA integrity_check` says more; restore it from a backup";
      break;
    case SQLITE_ERROR:
      error.code = ErrorCode::refused;
      // What we read of a table that we have looked at: no row is to blame.
      if (error.message.find("no such column: s.") != std::string::npos) {
        error.code = ErrorCode::data_mismatch;
        error.hint = "somebody has changed the columns of the table: say the same command again";
      }
      break;
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_SCHEMA:
      error.code = ErrorCode::refused;
      break;
    default:
      break;
  }
  return std::move(error).within(doing);
}

Status Connection::execute(const std::string& sql) {
  const int code = sqlite3_exec(raw(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) return {};
  return error("running " + printable(sql, 200));
}

Result<Statement> Connection::prepare(const std::string& sql, std::string_view* rest) {
  sqlite3_stmt* statement = nullptr;
  const char* tail = nullptr;
  if (sqlite3_prepare_v2(raw(), sql.c_str(), static_cast<int>(sql.size()), &statement, &tail) !=
      SQLITE_OK) {
    return error("preparing " + printable(sql, 200));
  }
  if (rest != nullptr) *rest = {tail, sql.c_str() + sql.size()};
  return Statement(statement);
}

Result<bool> Connection::step(sqlite3_stmt* statement) {
  const int code = sqlite3_step(statement);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return error("running " + printable(sqlite3_sql(statement), 200));
}

Result<std::int64_t> Connection::run(const std::string& sql, const Row& parameters) {
  ASSIGN_OR_RETURN(const Statement statement, prepare(sql));
  int at = 0;
  for (const Value& value : parameters) TRY(bind(statement.get(), ++at, value));
  while (true) {
    ASSIGN_OR_RETURN(const bool more, step(statement.get()));
    if (!more) return static_cast<std::int64_t>(sqlite3_changes(raw()));
  }
}

Result<std::vector<Row>> Connection::query(const std::string& sql, const Row& parameters) {
  ASSIGN_OR_RETURN(const Statement statement, prepare(sql));
  int at = 0;
  for (const Value& value : parameters) TRY(bind(statement.get(), ++at, value));
  std::vector<Row> rows;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, step(statement.get()));
    if (!more) return rows;
    rows.push_back(row_of(statement.get(), 0, sqlite3_column_count(statement.get())));
  }
}

Result<Transaction> Transaction::begin(Connection& connection, bool to_write) {
  TRY(connection.execute(to_write ? "BEGIN IMMEDIATE" : "BEGIN"));
  return Transaction(connection);
}

Transaction::~Transaction() {
  if (connection_ != nullptr)
    sqlite3_exec(connection_->raw(), "ROLLBACK", nullptr, nullptr, nullptr);
}

Status Transaction::commit() {
  TRY(connection_->execute("COMMIT"));
  connection_ = nullptr;
  return {};
}

// What is long is not copied once more.
static sqlite3_destructor_type kept_by(const std::string& text) {
  constexpr std::size_t copied_max = std::size_t{64} << 10;
  return text.size() > copied_max ? SQLITE_STATIC : SQLITE_TRANSIENT;  // NOLINT: the library's own
}

Status bind(sqlite3_stmt* statement, int at, const Value& value) {
  int code = SQLITE_OK;
  const auto bind_text = [&](const std::string& text) {
    code = sqlite3_bind_text64(statement, at, text.data(), text.size(), kept_by(text), SQLITE_UTF8);
  };
  switch (value.kind()) {
    case Kind::null:
      code = sqlite3_bind_null(statement, at);
      break;
    case Kind::boolean:
      code = sqlite3_bind_int64(statement, at, value.get<bool>() ? 1 : 0);
      break;
    case Kind::int64:
      code = sqlite3_bind_int64(statement, at, value.get<std::int64_t>());
      break;
    case Kind::real:
      if (std::isnan(value.get<double>())) {
        return Error{ErrorCode::refused, "this store has no NaN: it would become null in silence",
                     "give such values another one, or set the rows aside"};
      }
      code = sqlite3_bind_double(statement, at, value.get<double>());
      break;
    case Kind::text:
      bind_text(value.get<std::string>());
      break;
    case Kind::json:
      bind_text(value.get<Json>().text);
      break;
    case Kind::bytes: {
      const std::string& data = value.get<Bytes>().text;
      // A null pointer would bind null; an empty blob is not null.
      code = sqlite3_bind_blob64(statement, at, data.empty() ? "" : data.data(), data.size(),
                                 kept_by(data));
      break;
    }
    default:
      return Error{ErrorCode::refused,
                   fmt::format("this store cannot hold a {}", name_of(value.kind())),
                   "turn it into text or JSON in the plan"};
  }
  if (code == SQLITE_OK) return {};
  return Error{ErrorCode::refused,
               fmt::format("a value cannot be bound: {}", sqlite3_errstr(code))};
}

Value column(sqlite3_stmt* statement, int at) {
  switch (sqlite3_column_type(statement, at)) {
    case SQLITE_INTEGER:
      return Value::integer(sqlite3_column_int64(statement, at));
    case SQLITE_FLOAT:
      return Value::real(sqlite3_column_double(statement, at));
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, at));
      return Value::text({text, static_cast<std::size_t>(sqlite3_column_bytes(statement, at))});
    }
    case SQLITE_BLOB: {
      const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, at));
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, at));
      return Value::bytes(data == nullptr ? std::string_view() : std::string_view(data, size));
    }
    default:
      return {};
  }
}

Row row_of(sqlite3_stmt* statement, int first, int count) {
  Row row;
  row.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) row.push_back(column(statement, first + i));
  return row;
}

}  // namespace whimbrel::sqlite
