// What an application asks a store and writes to it, as far as it is measured.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "value/value.h"

namespace whimbrel {

// One of the application's reading queries, with its parameters by name (`:name`, without the
// colon).
struct ReadingQuery {
  std::string sql;
  std::vector<std::string> parameters;
};
using QueryValues = std::vector<std::pair<std::string, Value>>;

struct QueryAnswer {
  std::int64_t rows = 0;
  double read_units = 0;  // of capacity, where the store counts it
};

// Runs prepared reading queries again and again, on a connection of its own.
class QueryRunner {
 public:
  virtual ~QueryRunner() = default;
  // All rows are read and none is kept. `query` counts as they were given.
  virtual Result<QueryAnswer> run(std::size_t query, const QueryValues& values) = 0;
  // The first rows of what it gives.
  virtual Result<std::vector<Row>> rows(std::size_t query, const QueryValues& values,
                                        std::int64_t rows_max) = 0;
  // Tables and indexes that it reads from end to end, whatever its parameters are, as the store
  // calls them; none where rows are found by a key or an index.
  virtual Result<std::vector<std::string>> scans(std::size_t query) = 0;
};

// Writes as the application would, and takes it back in the same transaction.
class WriteProbe {
 public:
  virtual ~WriteProbe() = default;
  // `unavailable` when it had to wait longer than it may; `refused` when the table takes no writes.
  virtual Status write() = 0;
};

// The room that a table takes, without and with its indexes.
struct RoomTaken {
  std::int64_t table_bytes = 0;
  std::int64_t index_bytes = 0;
  std::int64_t indexes = 0;
  bool exact = true;  // else estimated from some of the rows
};

}  // namespace whimbrel
