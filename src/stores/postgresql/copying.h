// Rows as COPY moves them: many, in one statement, as bytes that nobody looks into.
//
// A session that is left in the middle ends its COPY without effect.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "stores/postgresql/connection.h"
#include "value/value.h"

namespace whimbrel::postgresql {

// Threads: one at a time.
class CopyOut {
 public:
  // `sql`: COPY … TO STDOUT. The connection has to outlive it.
  static Result<CopyOut> begin(Connection& connection, const std::string& sql);
  // A row or more, good until the next call; unset at the end.
  Result<std::optional<std::string_view>> next();

 private:
  CopyOut(Connection& connection, std::string sql)
      : connection_(&connection), sql_(std::move(sql)) {}

  Connection* connection_;
  std::string sql_;
  std::unique_ptr<char, FreeWith<PQfreemem>> piece_;
};

class CopyIn {
 public:
  // `sql`: COPY … FROM STDIN, within a transaction of the caller's, who rolls it back after an
  // error. The connection has to outlive it.
  static Result<CopyIn> begin(Connection& connection, const std::string& sql);
  Status put(std::string_view bytes);
  // The rows that the table has taken.
  Result<std::int64_t> end();
  CopyIn(CopyIn&& other) noexcept : connection_(other.connection_), sql_(std::move(other.sql_)) {
    other.connection_ = nullptr;
  }
  CopyIn& operator=(CopyIn&&) = delete;
  ~CopyIn();

 private:
  CopyIn(Connection& connection, std::string sql)
      : connection_(&connection), sql_(std::move(sql)) {}

  Connection* connection_;
  std::string sql_;
};

// Rows as lines of the text format. `sql` and the transaction as of CopyIn.
Status copy_in(Connection& connection, const std::string& sql, std::span<const Row> rows);

}  // namespace whimbrel::postgresql
