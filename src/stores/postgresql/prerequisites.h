// What the tables of a database are made of besides their columns.
#pragma once

#include <vector>

#include "store/store.h"
#include "stores/postgresql/connection.h"

namespace whimbrel::postgresql {

// Schemas, extensions, types, sequences and functions that the columns of a table, its defaults and
// its checks are made of, in the order in which they can be made; those of the server itself are
// left out. Errors: not_found when there is no such table.
Result<std::vector<Prerequisite>> needs(Connection& connection, const std::string& table);

}  // namespace whimbrel::postgresql
