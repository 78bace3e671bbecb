// Tables made like others: here, in another database, or on another server.
//
// Columns, defaults, checks and keys stand in the new table's own text; a column whose numbers come
// from a sequence of its own gets a sequence of its own. Indexes keep their names where these are
// free. Foreign keys come last, when all rows are there.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "store/dangling.h"
#include "stores/postgresql/connection.h"
#include "value/schema.h"

namespace whimbrel::postgresql {

// Names that indexes of tables will have which are not made yet: schema and name, by table.
using Promised = std::map<std::pair<std::string, std::string>, std::string>;
// The statements that make `name` like `table`. `connection` is where it will be: it knows which
// names are taken.
Result<std::string> ddl_like(Connection& connection, const TableSchema& table,
                             const std::string& name, Promised& promised);

// One statement each; `parent_here` as Catalog::references_like has it.
std::vector<std::string> references_of(
    const TableSchema& table, const std::string& name,
    const std::function<std::string(const ForeignKey&)>& parent_here);
// Does nothing where the table has all of them. One that a row breaks is in force for new rows, and
// can be proven later.
Status refer(Connection& connection, const TableSchema& table);
// What refer() has made and is not validated; of one table, or of all for "0".
Status prove_references(Connection& connection, const std::string& oid);
// Takes the foreign keys away that refer() has made of this table, and of others to it.
Status stop_references_to(Connection& connection, const std::string& oid);

// Sequences of these tables, which are to be dropped, by which other tables are numbered as well.
Status keep_sequences_of_others(Connection& connection, const Cells& going);

// Of the numbers that rows get for their key; 0 where none are given, or below it.
Result<std::int64_t> last_number(Connection& connection, const std::string& table);
// Every other column that is numbered goes on behind its furthest number.
Status raise_number(Connection& connection, const std::string& table, std::int64_t number);
// 0: as if none had been given.
Status put_number_back(Connection& connection, const std::string& table, std::int64_t number);

// Rows of the table, or of those that refer to it, that refer to nothing; a sentence a key.
Result<std::vector<Dangling>> dangling(Connection& connection, const std::string& table);

}  // namespace whimbrel::postgresql
