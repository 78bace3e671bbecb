// Restoring: look at everything, refuse or go on, then rows, comparison, indexes and triggers.
#include <fmt/format.h>

#include <algorithm>

#include "backup/archive.h"
#include "backup/backup.h"
#include "base/counted.h"
#include "base/text.h"
#include "transform/mapping.h"
#include "value/fingerprint.h"

namespace whimbrel {

namespace {

constexpr const char* unchanged = "nothing was changed in the store";
constexpr const char* resumable =
    "the rows restored so far stay; the same restore goes on where this one stopped";

struct Restoration {
  ArchivedTable archived;
  TableSchema schema;                // as it was backed up
  std::optional<TableSchema> there;  // as it is in the store, once it is there
  std::int64_t rows_there = 0;       // each of them equals the backup's
  std::int64_t written = 0;
};

std::vector<int> key_columns(const TableSchema& schema) {
  const std::vector<int> key = positions_of(schema.key, schema);
  return key;
}

std::vector<Row> keys_of(const std::vector<Row>& rows, const std::vector<int>& key) {
  std::vector<Row> keys;
  for (const Row& row : rows) keys.push_back(key_of(row, key));
  return keys;
}

// The first thing in which the shapes differ that rows would notice; "" when there is none.
std::string difference(const TableSchema& wanted, const TableSchema& found) {
  if (wanted.column_names() != found.column_names()) {
    return fmt::format("its columns are {} and not {}", join(found.column_names(), ", "),
                       join(wanted.column_names(), ", "));
  }
  if (wanted.key != found.key) {
    return fmt::format("its key is {} and not {}", join(found.key, ", "), join(wanted.key, ", "));
  }
  for (std::size_t i = 0; i < wanted.columns.size(); ++i) {
    const ColumnSchema& here = wanted.columns[i];
    const ColumnSchema& there = found.columns[i];
    if (here.declared != there.declared || here.collation != there.collation ||
        here.generated != there.generated) {
      return fmt::format("its column `{}` is declared otherwise", here.name);
    }
  }
  return "";
}

Status check_shape(const TableSchema& wanted, const TableSchema& found) {
  const std::string what = difference(wanted, found);
  if (what.empty()) return {};
  return Error{ErrorCode::refused,
               fmt::format("`{}` has another shape than in the backup: {}", wanted.name, what),
               "rename or drop that table, or restore into another store"};
}

// How many rows there equal the backup's; `refused` as soon as all were seen and one does not.
Result<std::int64_t> equal_rows(Depot& depot, const Restoration& one, Store& store) {
  const std::vector<int> key = key_columns(one.schema);
  ASSIGN_OR_RETURN(const auto reader, store.open_reader(*one.there));
  ASSIGN_OR_RETURN(const std::int64_t rows, reader->count());
  if (rows == 0) return std::int64_t{0};
  std::int64_t equal = 0;
  std::int64_t differing = 0;
  TRY(read_rows(depot, store, one.archived, one.schema,
                [&](const std::vector<Row>& batch) -> Status {
                  ASSIGN_OR_RETURN(const auto found, reader->read_keys(keys_of(batch, key)));
                  for (std::size_t i = 0; i < batch.size(); ++i) {
                    if (found[i]) ++(same(*found[i], batch[i]) ? equal : differing);
                  }
                  return {};
                }));
  if (equal == rows) return equal;
  return Error{ErrorCode::refused,
               fmt::format("`{}` is not empty: {} of its {} keys hold a row that the backup has "
                           "otherwise, {} are not in the backup",
                           one.schema.name, with_thousands(differing), with_thousands(rows),
                           with_thousands(std::max<std::int64_t>(rows - equal - differing, 0))),
               "rename or empty that table, or restore into another store"};
}

Result<Restoration> examine(Depot& depot, const ArchivedTable& archived, Store& store) {
  Restoration one{archived, {}, std::nullopt, 0, 0};
  ASSIGN_OR_RETURN(one.schema, read_schema(depot, archived));
  Result<TableSchema> found = store.catalog().describe(one.schema.name);
  if (!found.ok()) {
    if (found.error().code == ErrorCode::not_found) return one;
    return std::move(found).error();
  }
  one.there = std::move(found).value();
  TRY(check_shape(one.schema, *one.there));
  ASSIGN_OR_RETURN(one.rows_there, equal_rows(depot, one, store));
  if (one.rows_there < archived.rows.rows && !one.there->triggers.empty()) {
    return Error{ErrorCode::refused,
                 fmt::format("`{}` has triggers that would fire for each restored row: {}",
                             one.schema.name, join(one.there->triggers, ", ")),
                 "drop that table or its triggers first: the backup brings its own"};
  }
  return one;
}

// Indexes wait for the rows because that is faster, triggers so that they do not fire for them.
Status create(Restoration& one, Store& store) {
  if (one.there) return {};
  TableSchema bare = one.schema;
  bare.index_ddl.clear();
  bare.triggers.clear();
  bare.trigger_ddl.clear();
  TRY(store.catalog().create(bare, false));
  ASSIGN_OR_RETURN(one.there, store.catalog().describe(one.schema.name));
  const std::string what = difference(one.schema, *one.there);
  if (what.empty()) return {};
  return Error{ErrorCode::data_mismatch,
               fmt::format("this store makes `{}` otherwise than the one it was backed up from: {}",
                           one.schema.name, what),
               "drop that table, and restore into a store of the same kind and release"};
}

// Rows are only added. Those that are there already have to be the backup's.
Status add_rows(const Restoration& one, const std::vector<Row>& rows,
                const std::vector<int>& columns, BatchWriter& writer, SnapshotReader& reader,
                std::int64_t& written) {
  const std::vector<Row> keys = keys_of(rows, key_columns(one.schema));
  std::vector<Change> changes;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    changes.push_back({keys[i], key_of(rows[i], columns),
                       std::optional<std::optional<Row>>(std::in_place, std::nullopt)});
  }
  ASSIGN_OR_RETURN(const Applied applied, writer.apply(changes));
  written += applied.written;
  if (applied.refused == 0) return {};
  ASSIGN_OR_RETURN(const auto found, reader.read_keys(keys));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (found[i] && same(*found[i], rows[i])) continue;
    return Error{ErrorCode::conflict,
                 fmt::format("somebody else wrote the key {} of `{}` during the restore",
                             show(keys[i]), one.schema.name),
                 "stop whoever writes to it, then restore again"};
  }
  return {};
}

Status write_rows(Depot& depot, Restoration& one, Store& store) {
  if (one.rows_there == one.archived.rows.rows) return {};
  std::vector<std::string> names;
  std::vector<int> columns;
  for (const ColumnSchema& column : one.schema.columns) {
    if (column.generated) continue;
    names.push_back(column.name);
    columns.push_back(one.schema.column_index(column.name));
  }
  ASSIGN_OR_RETURN(const auto writer, store.open_writer(*one.there, names));
  ASSIGN_OR_RETURN(const auto reader, store.open_reader(*one.there));
  return read_rows(depot, store, one.archived, one.schema, [&](const std::vector<Row>& rows) {
    return add_rows(one, rows, columns, *writer, *reader, one.written);
  });
}

Status compare_rows(const Restoration& one, Store& store) {
  ASSIGN_OR_RETURN(const auto reader, store.open_reader(*one.there));
  Fingerprint found;
  std::optional<Row> after;
  while (true) {
    ASSIGN_OR_RETURN(const ChunkOfRows chunk, reader->read_after(after, ChunkLimits{}));
    for (const Row& row : chunk.rows) found.add(row);
    if (!chunk.range.through) break;
    after = chunk.range.through;
  }
  if (found.to_text() == one.archived.rows.fingerprint) return {};
  return Error{
      ErrorCode::data_mismatch,
      fmt::format("`{}` holds {} after the restore, and not the {} of the backup", one.schema.name,
                  rows_text(found.rows()), with_thousands(one.archived.rows.rows)),
      "stop whoever writes to it, drop the table and restore again"};
}

Status create_missing(const std::vector<std::string>& wanted, const std::vector<std::string>& there,
                      Store& store) {
  for (const std::string& ddl : wanted) {
    if (std::ranges::find(there, ddl) == there.end()) TRY(store.catalog().create_index(ddl));
  }
  return {};
}

Status restore_table(Depot& depot, Restoration& one, Store& store) {
  TRY(create(one, store));
  TRY(write_rows(depot, one, store));
  TRY(compare_rows(one, store));
  // Of rows that were gone before the backup as well: nobody is to get their numbers again.
  TRY(store.catalog().raise_number(one.schema.name, one.archived.last_number));
  return create_missing(one.schema.index_ddl, one.there->index_ddl, store);
}

Result<std::vector<Restoration>> examine_all(Depot& depot, const std::string& place, Store& store) {
  TRY(verify_backup(place, store));
  ASSIGN_OR_RETURN(const Manifest manifest, read_manifest(depot));
  std::vector<Restoration> all;
  for (const ArchivedTable& archived : manifest.tables) {
    ASSIGN_OR_RETURN(Restoration one, examine(depot, archived, store));
    all.push_back(std::move(one));
  }
  return all;
}

Status restore_all(Depot& depot, std::vector<Restoration>& all, Store& store, Events& events) {
  for (Restoration& one : all) {
    Status restored = restore_table(depot, one, store);
    if (!restored.ok()) return std::move(restored).error().within("restoring " + one.schema.name);
    events.emit(
        {"table_restored",
         {{"table", one.schema.name}, {"rows", one.archived.rows.rows}, {"written", one.written}}});
  }
  // A reference may lead to any of the tables, and what the store itself would delete, as by a time
  // to live, it must not before it was compared. One that stands there whole may be left from an
  // interrupted restore.
  for (const Restoration& one : all) {
    Status completed = store.catalog().complete(one.schema);
    if (!completed.ok()) {
      return std::move(completed).error().within("completing " + one.schema.name);
    }
    TRY(tell_unlike(store.catalog(), one.schema, one.schema.name, one.schema.name, events));
  }
  // A trigger may name any of the tables, so all of them are there and full before the first one.
  // The contract has one call for statements that complete a table, and names it by the index.
  for (const Restoration& one : all) {
    TRY(create_missing(one.schema.trigger_ddl, one.there->trigger_ddl, store));
  }
  return {};
}

}  // namespace

Result<std::vector<BackedUpTable>> restore_backup(const std::string& place, Store& store,
                                                  Events& events) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Depot> depot, open_depot(place));
  Result<std::vector<Restoration>> all = examine_all(*depot, place, store);
  if (!all.ok()) return std::move(all).error().saying_safe(unchanged);
  Status restored = restore_all(*depot, all.value(), store, events);
  if (!restored.ok()) return std::move(restored).error().saying_safe(resumable);
  std::vector<BackedUpTable> tables;
  for (const Restoration& one : all.value()) tables.push_back(one.archived.rows);
  return tables;
}

}  // namespace whimbrel
