// What reshaping has to remember: by which keys rows were known, and rows that wait for their
// group. Both are SQLite files.
//
// Threads: any, one call at a time is carried out. Errors: `unavailable`, those of the file.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/handle.h"
#include "value/value.h"

namespace whimbrel {

class ShapeFile {
 public:
  // `path`: "" for a temporary file without a name.
  static Result<std::shared_ptr<ShapeFile>> open(const std::string& path);

  // The row with this key of its own has been read under that key of the shape. Kept until the
  // file goes: a key that is no longer the row's finds nothing, and that is what it is kept for.
  struct Known {
    Row own_key;
    Row shaped_key;
  };
  Status note(const std::string& shape, std::span<const Known> keys);
  Result<std::vector<Row>> known_as(const std::string& shape, const Row& own_key);

  Status add(const Row& group, const Row& row);
  // The rows of the first group after this one, in the order of the groups' bytes; none at the end.
  struct Group {
    Row key;
    std::vector<Row> rows;
  };
  Result<std::optional<Group>> group_after(const std::optional<Row>& after);

 private:
  using Statement = std::unique_ptr<sqlite3_stmt, FreeWith<sqlite3_finalize>>;
  ShapeFile() = default;
  Error error() const;
  Status execute(const char* sql);
  Result<Statement> prepare(const char* sql);
  // True when there is a row.
  Result<bool> step(sqlite3_stmt* statement);

  std::string path_;
  std::mutex mutex_;
  std::unique_ptr<sqlite3, FreeWith<sqlite3_close_v2>> database_;
  Statement add_;
};

}  // namespace whimbrel
