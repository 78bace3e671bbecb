// The trial of one row, there and, through a link, back.
#include <fmt/format.h>

#include "base/text.h"
#include "store/image.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/objects.h"
#include "stores/sqlite/rows.h"
#include "stores/sqlite/sqlite_store.h"
#include "stores/sqlite/triggers.h"

namespace whimbrel {

using namespace sqlite;  // NOLINT: this is the store's own namespace

namespace {

Result<std::int64_t> count_key(Connection& connection, const TableSchema& table, const Row& key) {
  ASSIGN_OR_RETURN(const std::optional<Row> row, read_key(connection, table, key));
  return std::int64_t{row.has_value() ? 1 : 0};
}

std::vector<std::string> writable(const TableSchema& table) {
  std::vector<std::string> names;
  for (const ColumnSchema& column : table.columns) {
    if (!column.generated) names.push_back(column.name);
  }
  return names;
}

Status insert_row(Connection& connection, const TableSchema& table,
                  const std::vector<std::string>& columns, const Row& values) {
  std::vector<std::string> marks;
  for (std::size_t i = 0; i < columns.size(); ++i) marks.push_back(fmt::format("?{}", i + 1));
  const auto inserted =
      connection.run(fmt::format("INSERT INTO {} ({}) VALUES ({})", quote_name(table.name),
                                 name_list(columns), join(marks, ", ")),
                     values);
  return inserted.ok() ? Status() : Status(inserted.error());
}

// `"k1" = ?1 AND "k2" = ?2`
std::string where_key(const TableSchema& table) {
  std::vector<std::string> parts;
  for (const std::string& column : table.key) {
    parts.push_back(fmt::format("{} = ?{}", quote_name(column), parts.size() + 1));
  }
  return join(parts, " AND ");
}

Status delete_row(Connection& connection, const TableSchema& table, const Row& key) {
  const auto deleted = connection.run(
      fmt::format("DELETE FROM {} WHERE {}", quote_name(table.name), where_key(table)), key);
  return deleted.ok() ? Status() : Status(deleted.error());
}

Status expect(bool good, const char* what) {
  if (good) return {};
  return Error{ErrorCode::refused, std::string("the trial of one row failed: ") + what,
               "a trigger or constraint of the target interferes; `whimbrel analyze` names them"};
}

}  // namespace

// Inserts, reads, changes and deletes one mapped row on the target, and through the link the other
// way round; then everything is rolled back.
Result<std::string> SqliteStore::self_test(const Mapping& mapping, bool linked,
                                           const Row& known_row) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::write));
  ASSIGN_OR_RETURN(const Transaction rolled_back, Transaction::begin(*connection, true));
  const Row source_key = key_of(known_row, mapping.source_key);
  Row source_row = known_row;
  if (linked) {  // the application may have written it since it was read
    ASSIGN_OR_RETURN(std::optional<Row> now, read_key(*connection, mapping.source, source_key));
    if (!now) return std::string("nothing: the row has just been deleted");
    source_row = *std::move(now);
  }
  ASSIGN_OR_RETURN(const Row image, image_of(mapping, source_row, *this));
  const Row key = key_of(image, mapping.target_key);
  const TableSchema& target = mapping.target;
  ASSIGN_OR_RETURN(const bool guarded, has_guard(*connection));
  if (guarded) TRY(connection->execute(guard_on));
  TRY(delete_row(*connection, target, key));
  const Row values = written_values(mapping.forward, image);
  TRY(insert_row(*connection, target, written_columns(mapping.forward), values));
  ASSIGN_OR_RETURN(const std::optional<Row> read, read_key(*connection, target, key));
  TRY(expect(read && differing(mapping.forward, image, *read).empty(),
             "the row read is not the row inserted"));
  const std::string any = quote_name(mapping.forward.back().column);
  const auto updated = connection->run(fmt::format("UPDATE {0} SET {1} = {1} WHERE {2}",
                                                   quote_name(target.name), any, where_key(target)),
                                       key);
  if (!updated.ok()) return updated.error();
  TRY(delete_row(*connection, target, key));
  ASSIGN_OR_RETURN(std::int64_t left, count_key(*connection, target, key));
  TRY(expect(left == 0, "the deleted row is still there"));
  if (!linked) return std::string("insert, read, update, delete");
  TRY(connection->execute(guard_off));
  TRY(delete_row(*connection, mapping.source, source_key));
  const std::vector<std::string> columns = writable(mapping.source);
  Row source_values;
  for (const std::string& column : columns) {
    source_values.push_back(
        source_row[static_cast<std::size_t>(mapping.source.column_index(column))]);
  }
  TRY(insert_row(*connection, mapping.source, columns, source_values));
  ASSIGN_OR_RETURN(const std::optional<Row> carried, read_key(*connection, target, key));
  TRY(expect(carried && differing(mapping.forward, image, *carried).empty(),
             "a row inserted on the old side did not arrive on the new one"));
  TRY(delete_row(*connection, target, key));
  ASSIGN_OR_RETURN(left, count_key(*connection, mapping.source, source_key));
  TRY(expect(left == 0, "a row deleted on the new side is still on the old one"));
  return std::string("insert, read, update, delete, and both ways through the link");
}

}  // namespace whimbrel
