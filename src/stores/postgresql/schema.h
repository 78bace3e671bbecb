// What the catalogue says of tables.
#pragma once

#include "stores/postgresql/names.h"
#include "value/schema.h"

namespace whimbrel::postgresql {

// `name`: by which it is known to whoever asks.
Result<TableSchema> describe(Connection& connection, const std::string& name);
// The DDL of a table as it stands, without its indexes and foreign keys.
Result<std::string> ddl_of(Connection& connection, const TableSchema& table, const Place& place,
                           const std::string& name);

}  // namespace whimbrel::postgresql
