// A small SQLite file of ours: what has to be remembered beside the journal.
//
// Threads: as whoever holds it sees to. Errors: `unavailable`, in the words that it was opened
// with.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>

#include "base/error.h"
#include "base/handle.h"
#include "value/value.h"

namespace whimbrel {

class KeptFile {
 public:
  using Statement = std::unique_ptr<sqlite3_stmt, FreeWith<sqlite3_finalize>>;
  // What is said when it cannot be used.
  struct Words {
    std::string hint;
    std::string safe;
  };
  // Made when it is not there, readable by its owner alone; a path of "" is a temporary file
  // without a name. `schema` makes the tables that are missing.
  static Result<std::unique_ptr<KeptFile>> open(const std::string& path, Words words,
                                                const char* schema);
  Status execute(const char* sql);
  Result<Statement> prepare(const char* sql);
  // True when there is a row.
  Result<bool> step(const Statement& statement);
  Error error() const;

 private:
  KeptFile(std::string path, Words words) : path_(std::move(path)), words_(std::move(words)) {}

  std::string path_;
  Words words_;
  std::unique_ptr<sqlite3, FreeWith<sqlite3_close_v2>> database_;
};

void bind_bytes(const KeptFile::Statement& statement, int at, const std::string& bytes);
void bind_row(const KeptFile::Statement& statement, int at, const Row& row);
std::string bytes_at(const KeptFile::Statement& statement, int at);
Result<Row> row_at(const KeptFile::Statement& statement, int at);

}  // namespace whimbrel
