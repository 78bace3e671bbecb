// SQLite renames a table in its own text and in all that refers to it better than a reader of that
// text could. So an empty table is made as the old one was, in memory, renamed, and asked for its
// DDL.
#include "stores/sqlite/likeness.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "stores/sqlite/connection.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/tokens.h"

namespace whimbrel::sqlite {

namespace {

using IsTaken = std::function<Result<bool>(const std::string&)>;

Status make_and_rename(Connection& connection, const TableSchema& table, const std::string& name) {
  TRY(connection.execute(table.create_ddl));
  if (!table.key_index_ddl.empty()) TRY(connection.execute(table.key_index_ddl));
  for (const std::string& ddl : table.index_ddl) TRY(connection.execute(ddl));
  if (ascii_iequals(table.name, name)) return {};
  return connection.execute(
      fmt::format("ALTER TABLE {} RENAME TO {}", quote_name(table.name), quote_name(name)));
}

// `orders_mail` of `orders` is `orders_v2_mail` of `orders_v2`; what does not say its table gets
// the new name behind it.
Result<std::string> index_name(const std::string& old, const TableSchema& table,
                               const std::string& name, const IsTaken& is_taken) {
  std::string wanted = old;
  if (!ascii_iequals(table.name, name)) {
    const std::size_t at = ascii_lower(old).find(ascii_lower(table.name));
    wanted = at == std::string::npos
                 ? old + "_" + name
                 : old.substr(0, at) + name + old.substr(at + table.name.size());
  }
  std::string free = wanted;
  for (int number = 2;; ++number) {
    ASSIGN_OR_RETURN(const bool taken, is_taken(free));
    if (!taken) return free;
    free = fmt::format("{}_{}", wanted, number);
  }
}

// The name stands before the first ON: `CREATE UNIQUE INDEX name ON …`.
std::string with_name(const std::string& ddl, const std::string& name) {
  const Tokens tokens = tokens_of(ddl);
  const auto on =
      std::ranges::find_if(tokens, [](auto token) { return ascii_iequals(token, "ON"); });
  if (on == tokens.end() || on == tokens.begin()) return ddl;
  const std::string_view old = *(on - 1);
  const auto at = static_cast<std::size_t>(old.data() - ddl.data());
  return ddl.substr(0, at) + quote_name(name) + ddl.substr(at + old.size());
}

// A comment at the end would take the semicolon with it.
std::string ended(const std::string& ddl) {
  const std::size_t line = ddl.rfind('\n');
  const bool may_end_in_comment =
      ddl.find("--", line == std::string::npos ? 0 : line) != std::string::npos;
  return ddl + (may_end_in_comment ? "\n;\n" : ";\n");
}

constexpr const char* all_that_is_made =
    "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type IN ('table', 'index')"
    " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid";

}  // namespace

Result<std::string> ddl_like(const TableSchema& table, const std::string& name,
                             const IsTaken& is_taken) {
  ASSIGN_OR_RETURN(const auto connection, Connection::in_memory());
  TRY(make_and_rename(*connection, table, name));
  ASSIGN_OR_RETURN(const std::vector<Row> made, connection->query(all_that_is_made, {}));
  std::string ddl;
  for (const Row& row : made) {
    std::string sql = row[2].get<std::string>();
    if (row[0].get<std::string>() == "index") {
      ASSIGN_OR_RETURN(const std::string index,
                       index_name(row[1].get<std::string>(), table, name, is_taken));
      sql = with_name(sql, index);
    }
    ddl += ended(sql);
  }
  return ddl;
}

// A table that refers to another follows it to its new name.
Result<std::string> with_new_parents(const std::string& ddl,
                                     const std::map<std::string, std::string>& names) {
  ASSIGN_OR_RETURN(const auto connection, Connection::in_memory());
  const auto rename = [&](const std::string& from, const std::string& to) {
    return connection->execute(
        fmt::format("ALTER TABLE {} RENAME TO {}", quote_name(from), quote_name(to)));
  };
  const auto between = [](const std::string& name) { return "whimbrel between: " + name; };
  for (const auto& [from, to] : names) {
    TRY(connection->execute(fmt::format("CREATE TABLE {} (a)", quote_name(from))));
  }
  TRY(connection->execute(ddl));
  // Names may change places.
  for (const auto& [from, to] : names) TRY(rename(from, between(from)));
  for (const auto& [from, to] : names) TRY(rename(between(from), to));
  ASSIGN_OR_RETURN(const std::vector<Row> made, connection->query(all_that_is_made, {}));
  std::string all;
  for (const Row& row : made) {
    const std::string& name = row[1].get<std::string>();
    const bool is_ours = std::ranges::any_of(
        names, [&](const auto& one) { return ascii_iequals(one.second, name); });
    if (!is_ours) all += ended(row[2].get<std::string>());
  }
  return all;
}

}  // namespace whimbrel::sqlite
