// Unique indexes over expressions, or over some rows only, read out of their own DDL: what has to
// be asked to find the row that stands in the way of another.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "value/schema.h"

namespace whimbrel::sqlite {

struct UniqueIndex {
  std::string name;
  std::vector<std::string> terms;  // as SQL over the table's columns, with their collations
  std::string where;               // "" where it is over every row
};

// From `CREATE UNIQUE INDEX …`; without terms when the text is not understood.
UniqueIndex parse_unique_index(const std::string& ddl);
// Those of the table's `other_uniques` that were made by a statement of their own. What a UNIQUE
// constraint with a collation of its own has made is not among them.
std::vector<UniqueIndex> indexes_with_terms(const TableSchema& table);
// A condition over the table: rows that hold the place which `row` ("NEW.") would take.
std::string holds_place_of(const UniqueIndex& index, const TableSchema& table,
                           const std::string& row);
// One condition for each unique index of the table besides its key: rows that OR REPLACE would
// remove for `row`.
std::vector<std::string> in_the_way_of(const TableSchema& table, const std::string& row);
// `"a", "b"`: every column that one of these indexes reads; "" without such an index.
std::string unique_columns(const TableSchema& table);
// Columns that the index reads; one too many rather than one too few.
std::vector<std::string> columns_read(const UniqueIndex& index, const TableSchema& table);

}  // namespace whimbrel::sqlite
