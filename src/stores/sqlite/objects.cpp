#include "stores/sqlite/objects.h"

#include <fmt/format.h>

#include "base/text.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/schema.h"

namespace whimbrel::sqlite {

Status make_guard(Connection& connection) {
  TRY(connection.execute(
      fmt::format("CREATE TABLE IF NOT EXISTS {} (busy INTEGER NOT NULL)", guard_table)));
  return connection.execute(
      fmt::format("INSERT INTO {0} SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM {0})", guard_table));
}

Result<bool> guard_is_stuck(Connection& connection) {
  ASSIGN_OR_RETURN(const bool there, has_guard(connection));
  if (!there) return false;
  ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      connection.query(fmt::format("SELECT 1 FROM {} WHERE busy <> 0", guard_table), {}));
  return !rows.empty();
}

Status free_guard(Connection& connection) { return connection.execute(guard_off); }

Result<bool> has_guard(Connection& connection) {
  return object_exists(connection, "table", guard_table);
}

Status drop_guard_if_unused(Connection& connection) {
  ASSIGN_OR_RETURN(const std::vector<Row> left,
                   connection.query("SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND"
                                    " substr(name, 1, 9) = 'whimbrel_' LIMIT 1",
                                    {}));
  if (!left.empty()) return {};
  return connection.execute(fmt::format("DROP TABLE IF EXISTS {}", guard_table));
}

Status empty_table(Connection& connection, const std::string& table) {
  ASSIGN_OR_RETURN(const std::vector<Row> triggers,
                   connection.query("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND"
                                    " tbl_name = ?1 COLLATE NOCASE ORDER BY rowid",
                                    {Value::text(table)}));
  for (const Row& one : triggers) {
    TRY(connection.execute("DROP TRIGGER " + quote_name(one[0].get<std::string>())));
  }
  TRY(connection.execute("DELETE FROM " + quote_name(table)));
  for (const Row& one : triggers) TRY(connection.execute(one[1].get<std::string>()));
  return {};
}

Status make_witness(Connection& connection, const std::string& name) {
  TRY(connection.execute(
      fmt::format("CREATE TABLE IF NOT EXISTS {} (stands INTEGER NOT NULL)", quote_name(name))));
  TRY(connection.execute("DELETE FROM " + quote_name(name)));
  return connection.execute(
      fmt::format("INSERT INTO {} (rowid, stands) VALUES (2, 2)", quote_name(name)));
}

Result<bool> witness_stands(Connection& connection, const std::string& name) {
  ASSIGN_OR_RETURN(const bool there, object_exists(connection, "table", name));
  if (!there) return false;
  ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      connection.query(fmt::format("SELECT 1 FROM {} WHERE rowid = stands", quote_name(name)), {}));
  return !rows.empty();
}

std::string own_name(const std::string& what, const std::string& kind) {
  return own_prefix + digest_hex(what).substr(0, 8) + "_" + kind;
}

Status drop_triggers(Connection& connection, const std::string& prefix) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   connection.query("SELECT name FROM sqlite_master WHERE type = 'trigger' AND"
                                    " substr(name, 1, ?2) = ?1",
                                    {Value::text(prefix),
                                     Value::integer(static_cast<std::int64_t>(prefix.size()))}));
  for (const Row& row : rows) {
    TRY(connection.execute("DROP TRIGGER " + quote_name(row[0].get<std::string>())));
  }
  return {};
}

std::string qualified_list(const std::vector<std::string>& columns, const std::string& qualifier) {
  std::vector<std::string> all;
  for (const std::string& column : columns) all.push_back(qualifier + quote_name(column));
  return join(all, ", ");
}

std::string range_sql(const std::vector<std::string>& key, const std::string& qualifier,
                      const KeyRange& range, Row& parameters) {
  const std::string columns = qualified_list(key, qualifier);
  const auto bound = [&](const char* comparison, const Row& values) {
    std::vector<std::string> marks;
    for (const Value& value : values) {
      parameters.push_back(value);
      marks.push_back(fmt::format("?{}", parameters.size()));
    }
    return fmt::format("({}) {} ({})", columns, comparison, join(marks, ", "));
  };
  std::string sql;
  if (range.after) sql = bound(">", *range.after);
  if (range.through) sql += (sql.empty() ? "" : " AND ") + bound("<=", *range.through);
  return sql.empty() ? "1" : sql;
}

Result<std::optional<Row>> key_at(Connection& connection, const std::vector<std::string>& columns,
                                  const std::string& place, const std::optional<Row>& after,
                                  std::int64_t rows) {
  Row parameters;
  const std::string where = range_sql(columns, "s.", {after, std::nullopt}, parameters);
  const std::string key = qualified_list(columns, "s.");
  // One row more: if there is none behind the chunk, the chunk reaches the end.
  ASSIGN_OR_RETURN(
      std::vector<Row> found,
      connection.query(fmt::format("SELECT {} FROM {} AS s WHERE {} ORDER BY {} LIMIT 2 OFFSET {}",
                                   key, place, where, key, rows - 1),
                       parameters));
  if (found.size() < 2) return std::optional<Row>{};
  return std::optional<Row>(std::move(found.front()));
}

}  // namespace whimbrel::sqlite
