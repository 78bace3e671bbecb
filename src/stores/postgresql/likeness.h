// Tables made like others: here, in another database, or on another server.
//
// Columns, defaults, checks and keys stand in the new table's own text; a column whose numbers come
// from a sequence of its own gets a sequence of its own. Indexes keep their names where these are
// free. Foreign keys come last, when all rows are there.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "stores/postgresql/connection.h"
#include "value/schema.h"

namespace whimbrel::postgresql {

// The statements that make `name` like `table`. `connection` is where it will be: it knows which
// names are taken.
Result<std::string> ddl_like(Connection& connection, const TableSchema& table,
                             const std::string& name);

// One statement each; `parent_here` as Catalog::references_like has it.
std::vector<std::string> references_of(
    const TableSchema& table, const std::string& name,
    const std::function<std::string(const ForeignKey&)>& parent_here);
// Does nothing where the table has all of them. What a row breaks is kept in mind and looked at
// again when whimbrel settles what is left; from then on the key is in force for new rows.
Status refer(Connection& connection, const TableSchema& table);
// Foreign keys of other tables that refer() has made and that name this one.
Status stop_references_to(Connection& connection, const std::string& oid);

// Of all numbers that columns of the table get from sequences of their own.
Result<std::int64_t> last_number(Connection& connection, const std::string& table);
Status raise_number(Connection& connection, const std::string& table, std::int64_t number);
// 0: as if none had been given.
Status put_number_back(Connection& connection, const std::string& table, std::int64_t number);

// Rows of the table, or of those that refer to it, that refer to nothing; a sentence a key.
Result<std::vector<std::string>> dangling(Connection& connection, const std::string& table);

}  // namespace whimbrel::postgresql
