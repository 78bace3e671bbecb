// The triggers that keep two tables in step, spelled from the plan's own mapping.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "store/store.h"

namespace whimbrel::sqlite {

// Every expression of the mapping as SQL over `row` ("NEW." or a table alias and a dot); refused
// when one cannot be spelled so that it never fails.
Result<std::vector<std::string>> spell_rules(const std::vector<ColumnRule>& rules,
                                             const std::string& row);
// Key equality between a table's key columns and a key made by the rules from `row`.
Result<std::string> match_key(const TableSchema& table, const std::vector<ColumnRule>& rules,
                              const std::string& qualifier, const std::string& row);

// CREATE TRIGGER statements for both directions.
Result<std::vector<std::string>> link_triggers(const Link& link);
std::string link_prefix(const Link& link);
// Where keys written by the new side are noted.
std::string touched_table(const Link& link);
// See make_witness().
std::string witness_table(const Link& link);
// Every table of ours that a link may need, and how those it does need are made.
std::vector<std::string> link_tables(const Link& link);
std::vector<std::string> link_tables_ddl(const Link& link);

}  // namespace whimbrel::sqlite
