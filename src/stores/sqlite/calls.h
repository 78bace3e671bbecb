// What the expressions of a table call, as far as a write could fail by it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "stores/sqlite/tokens.h"

namespace whimbrel::sqlite {

// The columns and the condition of CREATE INDEX. Both point into `ddl`.
Tokens indexed_part(std::string_view ddl);
// What stands in each AS (…) of a CREATE TABLE.
Tokens computed_part(std::string_view ddl);

// What stands in each CHECK (…) of a CREATE TABLE, one each.
std::vector<Tokens> checks_of(std::string_view ddl);

// Calls in `part` that can fail for some value, as they stand there; without those that a text of
// `known`, with the names that `source_name` gives, makes as well: there they have succeeded.
std::vector<std::string> calls_that_can_fail(
    const Tokens& part, const std::function<std::string(std::string_view)>& source_name,
    const std::vector<std::string>& known);

}  // namespace whimbrel::sqlite
