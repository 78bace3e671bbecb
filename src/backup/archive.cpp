#include "backup/archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "backup/export_layout.h"
#include "backup/row_lines.h"
#include "base/sha256.h"
#include "base/text.h"
#include "value/fingerprint.h"

namespace whimbrel {

namespace {

// Larger than a chunk of a copy: nobody else waits for the table that is restored.
constexpr std::int64_t rows_per_batch_max = 10'000;
constexpr std::int64_t bytes_per_batch_max = std::int64_t{8} << 20;

Error damaged(const std::string& path, std::string_view how) {
  return Error{ErrorCode::data_mismatch, fmt::format("{} is damaged: {}", path, how),
               "take the folder from another copy of the backup"};
}

}  // namespace

std::string file_stem_of(const std::string& table) {
  constexpr std::size_t length_max = 80;
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyz0123456789_";
  constexpr std::string_view capital = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  std::string stem;
  for (const char c : table.substr(0, length_max)) {
    const bool readable = plain.find(c) != plain.npos || capital.find(c) != capital.npos;
    stem += readable ? c : '_';
  }
  const bool as_it_is = stem == table && stem.find_first_of(capital) == std::string::npos;
  return as_it_is && !stem.empty() ? stem : stem + "-" + digest_hex(table).substr(0, 16);
}

RowFiles row_files_of(const std::string& table) {
  const std::string stem = file_stem_of(table);
  return {export_file_of(stem), stem + ".rows.zst"};
}

namespace {

// Of a migration, by attempt and store.
std::vector<std::string> backups_below(const std::string& folder) {
  constexpr std::size_t named_max = 5;
  std::vector<std::string> found;
  std::error_code failure;
  std::filesystem::recursive_directory_iterator at(
      folder, std::filesystem::directory_options::skip_permission_denied, failure);
  for (; !failure && at != std::filesystem::recursive_directory_iterator(); at.increment(failure)) {
    if (at.depth() > 2) at.disable_recursion_pending();
    if (at->path().filename() != manifest_file) continue;
    found.push_back(at->path().parent_path().string());
  }
  std::ranges::sort(found);
  if (found.size() > named_max) found.resize(named_max);
  return found;
}

}  // namespace

Result<Manifest> read_manifest(Depot& depot) {
  const std::string path = depot.path_of(manifest_file);
  Result<std::string> text = depot.read_whole(manifest_file);
  if (!text.ok()) {
    Error error = std::move(text).error();
    if (error.code != ErrorCode::not_found) return error;
    const std::vector<std::string> below =
        depot.bucket().empty() ? backups_below(depot.path_of("")) : std::vector<std::string>();
    return Error{ErrorCode::not_found,
                 fmt::format("there is no complete backup in {}", depot.path_of("")),
                 below.empty() ? "a backup that was interrupted has no " +
                                     std::string(manifest_file) + ": take it again"
                               : "name one of those below it: " + join(below, ", ")};
  }
  Result<Manifest> manifest = manifest_from_text(text.value());
  if (!manifest.ok()) return std::move(manifest).error().within("reading " + path);
  // The names follow from the tables; a manifest that says otherwise leads somewhere else.
  for (const ArchivedTable& table : manifest.value().tables) {
    const std::string stem = file_stem_of(table.rows.table);
    const RowFiles files = row_files_of(table.rows.table);
    const bool has_rows = table.rows.file == files.canonical || table.rows.file == files.own_format;
    if (!has_rows || table.schema_file != stem + ".schema.json") {
      return damaged(path, fmt::format("it names other files for `{}`", table.rows.table));
    }
  }
  return manifest;
}

Result<TableSchema> read_schema(Depot& depot, const ArchivedTable& table) {
  const std::string path = depot.path_of(table.schema_file);
  ASSIGN_OR_RETURN(const std::string text, depot.read_whole(table.schema_file));
  if (sha256_hex(text) != table.schema_digest) {
    return damaged(path, "its digest is not the manifest's");
  }
  Result<TableSchema> schema = schema_from_text(text);
  if (!schema.ok()) return std::move(schema).error().within("reading " + path);
  if (schema.value().name != table.rows.table) return damaged(path, "it is of another table");
  for (const std::string& name : schema.value().key) {
    if (schema.value().column_index(name) < 0) return damaged(path, "its key is no column");
  }
  return schema;
}

Status read_rows(Depot& depot, const Store& store, const ArchivedTable& table,
                 const TableSchema& schema, const UseRows& use) {
  const std::string path = depot.path_of(table.rows.file);
  std::unique_ptr<RowText> text;
  if (table.rows.file == row_files_of(table.rows.table).own_format) {
    text = store.row_text(schema);
    if (text == nullptr) {
      return Error{ErrorCode::refused,
                   fmt::format("{} is in a format that {} does not read", path, store.identity()),
                   "restore it into a store of the kind that it is from"};
    }
  }
  ASSIGN_OR_RETURN(const auto lines, read_rows_from(depot, table.rows.file, std::move(text)));
  Fingerprint fingerprint;
  std::vector<Row> batch;
  std::int64_t bytes = 0;
  while (true) {
    ASSIGN_OR_RETURN(std::optional<Row> row, lines->next());
    if (!row) break;
    if (row->size() != schema.columns.size()) {
      return damaged(
          path, fmt::format("line {} is no row of `{}`", fingerprint.rows() + 1, table.rows.table));
    }
    const std::string canonical_row = canonical(*row);
    fingerprint.add(canonical_row);
    bytes += std::ssize(canonical_row);
    batch.push_back(*std::move(row));
    if (std::ssize(batch) < rows_per_batch_max && bytes < bytes_per_batch_max) continue;
    TRY(use(batch));
    batch.clear();
    bytes = 0;
  }
  if (!batch.empty()) TRY(use(batch));
  if (lines->digest() != table.rows.file_digest) {
    return damaged(path, "its digest is not the manifest's");
  }
  if (fingerprint.rows() != table.rows.rows || fingerprint.to_text() != table.rows.fingerprint) {
    return damaged(path, "its rows are not those that the manifest counted");
  }
  return {};
}

}  // namespace whimbrel
