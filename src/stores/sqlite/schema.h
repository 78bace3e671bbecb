// Reads a table's shape out of SQLite's own catalogue.
#pragma once

#include <string>
#include <string_view>

#include "stores/sqlite/connection.h"
#include "value/schema.h"

namespace whimbrel::sqlite {

// Objects of ours in a user's database begin with this.
inline constexpr const char* own_prefix = "whimbrel_";

// not_found with near names when there is no such table; `refused` for views and virtual tables.
Result<TableSchema> describe(Connection& connection, const std::string& table);
Result<std::vector<std::string>> table_names(Connection& connection);
// Whether its key is the rowid itself, by a column of its own (INTEGER PRIMARY KEY) or without one:
// whole numbers, never null.
bool has_rowid_alias(const TableSchema& table);
// Whether it is AUTOINCREMENT.
bool gives_each_number_once(const TableSchema& table);
// Whether the first word of a statement, after spaces and comments, is this one.
bool begins_with_keyword(const std::string& sql, std::string_view keyword);
// Whether a trigger with this text writes to the table.
bool writes_to(const std::string& trigger_sql, const std::string& table);
Result<bool> object_exists(Connection& connection, const std::string& type,
                           const std::string& name);

}  // namespace whimbrel::sqlite
