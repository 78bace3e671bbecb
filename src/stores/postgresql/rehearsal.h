// A table of its own kind that takes rows before any has moved: checks and unique indexes are
// understood by nobody but the server.
#pragma once

#include <memory>

#include "store/store.h"
#include "stores/postgresql/connection.h"

namespace whimbrel::postgresql {

// What a table asks of rows beyond the types of its columns, as SQL for a temporary table.
struct Demands {
  std::string create_ddl;
  // Of indexes that rows may meet in which did not before, or all, for those of others.
  std::vector<std::string> unique_ddl;
  bool has_checks = false;
};
// Of the table that is called so (quoted) in this session's transaction.
Result<Demands> demands_of(Connection& connection, const std::string& place, const Mapping& mapping,
                           bool with_others);
// The session is the rehearsal's own. Null where the role may make no temporary tables.
Result<std::unique_ptr<Rehearsal>> make_rehearsal(std::unique_ptr<Connection> connection,
                                                  const Demands& demands, const Mapping& mapping);

}  // namespace whimbrel::postgresql
