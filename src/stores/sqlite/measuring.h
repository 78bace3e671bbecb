// The application's own queries, a writer that takes everything back, and the room a table takes.
#pragma once

#include <memory>
#include <vector>

#include "store/store.h"
#include "stores/sqlite/connection.h"

namespace whimbrel::sqlite {

// The connection must be one that only reads.
Result<std::unique_ptr<QueryRunner>> make_query_runner(std::unique_ptr<Connection> connection,
                                                       const std::vector<ReadingQuery>& queries,
                                                       Milliseconds patience);
std::unique_ptr<WriteProbe> make_write_probe(ConnectionPtr connection, const TableSchema& table,
                                             Milliseconds patience);
// Pages as `dbstat` counts them; estimated where SQLite was built without it.
Result<RoomTaken> room_taken(Connection& connection, const TableSchema& table);
// From the lengths of some of the rows' values.
Result<RoomTaken> estimate_room(Connection& connection, const TableSchema& table);

}  // namespace whimbrel::sqlite
