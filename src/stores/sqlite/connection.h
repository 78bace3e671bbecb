// One SQLite connection with values in and out, and errors a person can act on.
//
// Threads: one at a time uses a connection.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/handle.h"
#include "value/value.h"

namespace whimbrel::sqlite {

constexpr int busy_timeout_ms = 5000;  // how long a connection waits for a lock

using Statement = std::unique_ptr<sqlite3_stmt, FreeWith<sqlite3_finalize>>;

enum class Access { read, write };

class Connection {
 public:
  // not_found when there is no such file. Waits `busy` for locks of others.
  static Result<std::unique_ptr<Connection>> open(const std::string& path, Access access);
  static Result<std::unique_ptr<Connection>> in_memory();
  // A file of its own among the temporary ones, which is gone when it is closed.
  static Result<std::unique_ptr<Connection>> temporary();

  Status execute(const std::string& sql);
  // The first statement; what stands behind it goes to `rest`.
  Result<Statement> prepare(const std::string& sql, std::string_view* rest = nullptr);
  // Binds all parameters, runs to the end, and gives the number of rows changed.
  Result<std::int64_t> run(const std::string& sql, const Row& parameters);
  Result<std::vector<Row>> query(const std::string& sql, const Row& parameters);
  // True when a row is there; an error is translated.
  Result<bool> step(sqlite3_stmt* statement);
  Error error(const std::string& doing) const;
  sqlite3* raw() const { return database_.get(); }
  // Through another connection, since this was asked last; false the first time.
  Result<bool> somebody_else_has_written();
  // Whether its path still names the file that it has opened.
  bool is_of_this_file() const;

 private:
  explicit Connection(std::string path) : path_(std::move(path)) {}
  std::string path_;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
  std::optional<std::int64_t> data_version_;
  std::unique_ptr<sqlite3, FreeWith<sqlite3_close_v2>> database_;
};

// Connections that are read from and that nobody uses right now: opening one means reading the
// whole schema. Threads: any.
class IdleConnections {
 public:
  // Null when there is none, or none of the file that the path names by now.
  std::unique_ptr<Connection> take();
  void give_back(std::unique_ptr<Connection> connection);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;
};
// Goes back to the others when nobody uses it any more; without others it is closed.
struct GiveBack {
  std::shared_ptr<IdleConnections> idle = nullptr;
  void operator()(Connection* connection) const;
};
using ConnectionPtr = std::unique_ptr<Connection, GiveBack>;

// Commits when told so, else rolls back at the end of its life.
class Transaction {
 public:
  static Result<Transaction> begin(Connection& connection, bool to_write);
  Transaction(Transaction&& other) noexcept : connection_(other.connection_) {
    other.connection_ = nullptr;
  }
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Status commit();

 private:
  explicit Transaction(Connection& connection) : connection_(&connection) {}
  Connection* connection_;
};

// Refuses what SQLite cannot hold (NaN would become null in silence). The value has to live until
// the statement has been stepped for the last time, or is bound anew.
Status bind(sqlite3_stmt* statement, int at, const Value& value);
Value column(sqlite3_stmt* statement, int at);
Row row_of(sqlite3_stmt* statement, int first, int count);

}  // namespace whimbrel::sqlite
