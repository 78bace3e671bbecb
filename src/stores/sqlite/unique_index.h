// Who stands in the way of a row by a unique index besides the key; among them indexes over
// expressions, or over some rows only, whose conditions are read out of their own DDL.
#pragma once

#include <string>
#include <vector>

#include "value/schema.h"

namespace whimbrel::sqlite {

// One condition for each unique index of the table besides its key: rows that OR REPLACE would
// remove for `row` ("NEW."). Of an index over some rows only, `exactly` asks whether the new row is
// one of them, which a trigger that only notes keys need not know.
enum class InTheWay { at_most, exactly };
std::vector<std::string> in_the_way_of(const TableSchema& table, const std::string& row,
                                       InTheWay how = InTheWay::at_most);
// `"a", "b"`: every column that one of these indexes reads; "" without such an index.
std::string unique_columns(const TableSchema& table);
// Names of those among `other_uniques` for which there is no condition: what a UNIQUE constraint
// with a collation of its own has made has no text.
std::vector<std::string> not_understood(const TableSchema& table);

// Sets of columns that one constraint looks at: unique indexes, CHECK over several columns, and
// references by several.
std::vector<std::vector<std::string>> columns_bound_together(const TableSchema& table);

}  // namespace whimbrel::sqlite
