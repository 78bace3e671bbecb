// What the rows of one table become in another, as SQL that the server carries out.
#pragma once

#include <string>

#include "transform/mapping.h"

namespace whimbrel::postgresql {

// Whether the server converts each column of the target as the mapping says.
bool server_converts(const Mapping& mapping);
// Whether every value can be converted, or review() names those that cannot.
bool converts_all(const Mapping& mapping);
// Whether two values that differ before differ afterwards as well.
bool keeps_apart(const Mapping& mapping, const ColumnRule& rule);
// A column of the target as an expression over a row `s` of the source. Where server_converts().
std::string converted(const Mapping& mapping, const ColumnRule& rule);
// What is compared of such an expression.
std::string comparable(const std::string& sql, const ColumnSchema& column);
// The column of the source that a column of the target is copied from, if it is copied.
std::optional<std::string> source_of(const Mapping& mapping, const std::string& column);

}  // namespace whimbrel::postgresql
