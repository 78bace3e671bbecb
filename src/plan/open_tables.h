// Tables whose rows may have values that no column names (`TableSchema::rest_column`): they get a
// column for each name that the plan speaks of.
#pragma once

#include <set>
#include <string>

#include "plan/plan_file.h"

namespace whimbrel {

// To a table that is open, before its rest column; what it has already stays.
void add_columns(TableSchema& table, const std::set<std::string>& names);
// Adds columns to whichever of both is open, before its rest column; a closed table stays as it
// is. What `rest: copy` carries over by name has a column on both sides afterwards.
void open_up(const TableEntry& entry, TableSchema& source, TableSchema& target);
// Whether a row with a value that has no column would lose it, against the plan's word.
bool rest_must_be_empty(const TableEntry& entry, const TableSchema& source,
                        const TableSchema& target);

}  // namespace whimbrel
