#include "backup/backup.h"

#include <fmt/format.h>

#include <algorithm>

#include "backup/archive.h"
#include "backup/export_layout.h"
#include "backup/row_lines.h"
#include "base/clock.h"
#include "base/text.h"
#include "transform/mapping.h"
#include "value/fingerprint.h"

namespace whimbrel {

namespace {

constexpr std::int64_t rows_between_events = 10'000;
constexpr const char* untouched = "nothing was changed in the store";

Status refuse_a_complete_backup(Depot& depot) {
  ASSIGN_OR_RETURN(const bool there, depot.holds(manifest_file));
  if (!there) return {};
  return Error{ErrorCode::refused, fmt::format("{} already holds a backup", depot.path_of("")),
               "choose another place, or move this one away", "the backup there was not touched"};
}

Result<std::vector<TableSchema>> describe_all(Store& store,
                                              const std::vector<std::string>& tables) {
  std::vector<TableSchema> schemas;
  std::vector<std::string> without_key;
  for (const std::string& table : tables) {
    ASSIGN_OR_RETURN(TableSchema schema, store.catalog().describe(table));
    if (std::ranges::count(schemas, schema.name, &TableSchema::name) > 0) continue;
    if (schema.key.empty()) without_key.push_back("`" + schema.name + "`");
    schemas.push_back(std::move(schema));
  }
  if (without_key.empty()) return schemas;
  return Error{ErrorCode::refused,
               fmt::format("without a key rows cannot be told apart: {}", join(without_key, ", ")),
               "give each a primary key or a unique index over columns that are never null, or "
               "leave it out of the backup"};
}

Status check_row(const TableSchema& schema, const std::vector<int>& key, const Row& row) {
  if (row.size() != schema.columns.size()) {
    return Error{ErrorCode::conflict,
                 fmt::format("`{}` changed its columns while it was read", schema.name),
                 "take the backup again"};
  }
  // Reading goes on after the last key, and after a null there is nothing in any order.
  if (!std::ranges::any_of(key_of(row, key), &Value::is_null)) return {};
  return Error{
      ErrorCode::refused,
      fmt::format("`{}` has a row with a null in its key: {}", schema.name, show(key_of(row, key))),
      "give such rows a key, or leave the table out of the backup"};
}

Result<Fingerprint> write_rows(Store& store, const TableSchema& schema, RowWriter& lines,
                               Events& events) {
  const std::vector<int> key = positions_of(schema.key, schema);
  ASSIGN_OR_RETURN(const auto reader, store.open_reader(schema));
  Fingerprint fingerprint;
  std::optional<Row> after;
  std::int64_t told = 0;
  while (true) {
    ASSIGN_OR_RETURN(const ChunkOfRows chunk, reader->read_after(after, ChunkLimits{}));
    for (const Row& row : chunk.rows) {
      TRY(check_row(schema, key, row));
      const std::string canonical_row = canonical(row);
      fingerprint.add(canonical_row);
      TRY(lines.write(row, canonical_row));
    }
    if (fingerprint.rows() - told >= rows_between_events) {
      told = fingerprint.rows();
      events.emit({"chunk_backed_up", {{"table", schema.name}, {"rows", told}}});
    }
    if (!chunk.range.through) return fingerprint;
    after = chunk.range.through;
  }
}

Result<ArchivedTable> back_up(Store& store, const TableSchema& schema, Depot& depot,
                              Events& events) {
  SystemClock clock;
  const std::string stem = file_stem_of(schema.name);
  ArchivedTable table;
  table.rows.table = schema.name;
  table.schema_file = stem + ".schema.json";
  ASSIGN_OR_RETURN(const std::string text, schema_to_text(schema));
  ASSIGN_OR_RETURN(table.schema_digest, depot.write_whole(table.schema_file, text));
  std::unique_ptr<RowText> own = store.row_text(schema);
  ExportFacts facts{stem, own == nullptr ? "" : own->format(), 0, "", clock.now(), {}};
  const RowFiles files = row_files_of(schema.name);
  table.rows.file = own == nullptr ? files.canonical : files.own_format;
  ASSIGN_OR_RETURN(const auto lines, write_rows_to(depot, table.rows.file, std::move(own)));
  ASSIGN_OR_RETURN(const Fingerprint fingerprint, write_rows(store, schema, *lines, events));
  ASSIGN_OR_RETURN(table.last_number, store.catalog().last_number(schema.name));
  table.rows.rows = fingerprint.rows();
  table.rows.fingerprint = fingerprint.to_text();
  ASSIGN_OR_RETURN(table.rows.file_digest, lines->finish());
  if (facts.format.empty()) return table;
  facts.rows = table.rows.rows;
  facts.md5 = lines->md5();
  facts.ended = clock.now();
  TRY(write_export_manifests(depot, facts));
  return table;
}

Result<Manifest> back_up_all(Store& store, const std::vector<std::string>& tables,
                             const std::string& place, Events& events) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Depot> depot, open_depot(place));
  TRY(refuse_a_complete_backup(*depot));
  ASSIGN_OR_RETURN(const std::vector<TableSchema> schemas, describe_all(store, tables));
  TRY(depot->make());
  Manifest manifest{store.identity(), {}};
  for (const TableSchema& schema : schemas) {
    Result<ArchivedTable> table = back_up(store, schema, *depot, events);
    if (!table.ok()) return std::move(table).error().within("backing up " + schema.name);
    const BackedUpTable& rows = table.value().rows;
    events.emit({"table_backed_up", {{"table", rows.table}, {"rows", rows.rows}}});
    manifest.tables.push_back(std::move(table).value());
  }
  ASSIGN_OR_RETURN(const std::string text, manifest_to_text(manifest));
  TRY(depot->write_whole(manifest_file, text));
  return manifest;
}

}  // namespace

Result<std::vector<BackedUpTable>> take_backup(Store& store, const std::vector<std::string>& tables,
                                               const std::string& place, Events& events) {
  Result<Manifest> manifest = back_up_all(store, tables, place, events);
  if (!manifest.ok()) return std::move(manifest).error().saying_safe(untouched);
  std::vector<BackedUpTable> all;
  for (const ArchivedTable& table : manifest.value().tables) all.push_back(table.rows);
  return all;
}

Result<bool> has_backup(const std::string& place) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Depot> depot, open_depot(place));
  return depot->holds(manifest_file);
}

Status verify_backup(const std::string& place, const Store& store) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Depot> depot, open_depot(place));
  ASSIGN_OR_RETURN(const Manifest manifest, read_manifest(*depot));
  for (const ArchivedTable& table : manifest.tables) {
    ASSIGN_OR_RETURN(const TableSchema schema, read_schema(*depot, table));
    TRY(read_rows(*depot, store, table, schema, [](const std::vector<Row>&) { return Status(); }));
  }
  return {};
}

}  // namespace whimbrel
