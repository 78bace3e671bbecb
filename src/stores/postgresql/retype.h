// Other types in place: which tables that concerns, and the new ones beside the old.
//
// A column's type is shared by all that refer to it, so the whole closure of foreign keys is made
// anew in schemas of our own, with the names that constraints and indexes have now. What the plan
// calls the new table is its name there.
#pragma once

#include "store/store.h"
#include "stores/postgresql/names.h"

namespace whimbrel::postgresql {

// Where the new tables of a schema are made, and where its old ones are kept.
std::string new_schema(const std::string& schema);
std::string old_schema(const std::string& schema);
// Whether a table is called as new ones of a retype are.
bool is_new_table(const std::string& name);

Result<std::vector<RetypedTable>> retyped_tables(Connection& connection, Sessions& sessions,
                                                 const std::vector<RetypedColumn>& columns,
                                                 const std::vector<std::string>& known);
// What hangs on these tables and will be made anew with them, and what cannot be: a sentence each.
struct Dependents {
  std::vector<std::string> rebuilt;
  std::vector<std::string> refused;
};
Result<Dependents> dependents_of(Connection& connection, const std::vector<std::string>& oids);

// What pg_get_indexdef() says of an index of `table`, for the table `sql` beside it. Unset when it
// does not read as the catalogue writes it.
std::optional<std::string> index_for(const std::string& index_ddl, const TableName& table,
                                     const std::string& sql);

// For what is made in the rest of a transaction; "": the database's own, whatever the role's is.
std::string in_tablespace(const std::string& name);

// A digest of what the table with this number is made of, as SQL.
std::string shape_sql(const std::string& oid);

// One table of a retype under way.
struct RetypedPair {
  std::string source;  // as the plan knows it
  std::string target;
  std::string source_oid;
  std::string target_oid;
  bool swapped = false;
};
// All of the database.
Result<std::vector<RetypedPair>> retyped_pairs(Connection& connection);
// Of the table that the plan knows by this name.
Status forget_pair(Connection& connection, const std::string& source);
// New tables whose old one somebody has dropped before they changed places.
Status drop_new_tables_of_none(Connection& connection);

}  // namespace whimbrel::postgresql
