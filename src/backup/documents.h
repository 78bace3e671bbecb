// The two documents of a backup as text: what a table looks like, and what the folder holds.
//
// Pure functions, both ways. A manifest carries a digest of itself and is accepted only byte by
// byte as it was written, so that no flipped bit in it goes unnoticed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backup/backup.h"
#include "base/error.h"
#include "value/schema.h"

namespace whimbrel {

struct ArchivedTable {
  BackedUpTable rows;
  std::string schema_file;
  std::string schema_digest;
  std::int64_t last_number = 0;  // the last that the table has given to a row by itself; 0: none
};
struct Manifest {
  std::string store;  // the identity of the store the tables are from
  std::vector<ArchivedTable> tables;
};

// Every field comes back. `refused` when a name or a statement is not UTF-8.
Result<std::string> schema_to_text(const TableSchema& schema);
// data_mismatch for a text that is no schema.
Result<TableSchema> schema_from_text(std::string_view text);

Result<std::string> manifest_to_text(const Manifest& manifest);
// data_mismatch for a damaged manifest; `refused` for one of another format.
Result<Manifest> manifest_from_text(std::string_view text);

}  // namespace whimbrel
