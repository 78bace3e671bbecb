// What tables are called.
//
// A name in a plan is `table` or `schema.table`, odd parts in double quotes. While a retype is
// under way its two tables keep the names by which the plan knows them, whatever they are called at
// the moment: `whimbrel.retyped` says which table a name stands for.
#pragma once

#include <string>
#include <string_view>

#include "store/sql_names.h"
#include "stores/postgresql/connection.h"

namespace whimbrel::postgresql {

struct TableName {
  std::string schema;  // "" when the name has none
  std::string table;
};
std::string quote_text(std::string_view text);
TableName split_name(std::string_view name);
// As a person writes it: parts that need no quotes have none.
std::string spelled(const TableName& name);
std::string quoted(const TableName& name);

// Where a table is right now.
struct Place {
  std::string oid;
  TableName name;
  std::string sql() const { return quoted(name); }
};
// Where there is such a table, partitioned or not; `not_found` else, with what may have been meant.
Result<Place> place_of(Connection& connection, const std::string& name);
// Where a table of this name would be made.
Result<std::string> schema_of(Connection& connection, const TableName& name);
// Whether our schema has this table of ours.
Result<bool> has_own(Connection& connection, const std::string& table);

// Eight hex digits that stand for `what`, for names of ours.
std::string short_digest(const std::string& what);

}  // namespace whimbrel::postgresql
