// The DDL of a table under another name, with all that SQLite can carry over.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/error.h"
#include "value/schema.h"

namespace whimbrel::sqlite {

// `is_taken` is asked for names of indexes, which are one for a whole file. Triggers stay behind.
// Refused where the old DDL does not stand by itself (a function of the application's own, …).
Result<std::string> ddl_like(const TableSchema& table, const std::string& name,
                             const std::function<Result<bool>(const std::string&)>& is_taken);

// The same DDL, in which references to tables of the first of these names are to the second.
Result<std::string> with_new_parents(const std::string& ddl,
                                     const std::map<std::string, std::string>& names);

}  // namespace whimbrel::sqlite
