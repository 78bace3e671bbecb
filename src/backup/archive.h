// A backup: which files are in it, and reading them with every check there is.
//
// Whoever reads rows here gets them from a file whose digest, row count and fingerprint are
// compared with the manifest at its end. Nothing outside its place is ever opened.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backup/depot.h"
#include "backup/documents.h"
#include "base/error.h"
#include "store/store.h"
#include "value/schema.h"
#include "value/value.h"

namespace whimbrel {

// Of its rows: the first where the store has a format of its own.
struct RowFiles {
  std::string own_format;
  std::string canonical;
};
RowFiles row_files_of(const std::string& table);

inline constexpr const char* manifest_file = "manifest.json";

// "orders" for `orders`; other names than plain lower-case ones get a digest, so that no two
// tables share a file, on file systems that ignore case neither.
std::string file_stem_of(const std::string& table);

// not_found when the depot holds no complete backup.
Result<Manifest> read_manifest(Depot& depot);
Result<TableSchema> read_schema(Depot& depot, const ArchivedTable& table);

using UseRows = std::function<Status(const std::vector<Row>& rows)>;
// Hands all rows to `use`, in batches that fit into memory. The checks that need the file's end
// come after the last batch. `store`: one of the kind that wrote them, for a format of its own.
Status read_rows(Depot& depot, const Store& store, const ArchivedTable& table,
                 const TableSchema& schema, const UseRows& use);

}  // namespace whimbrel
