// Reading and writing rows of one table.
#pragma once

#include <memory>
#include <span>

#include "store/store.h"
#include "stores/sqlite/connection.h"

namespace whimbrel::sqlite {

// Its `read_after` leaves out rows for which a condition does not hold, where SQLite sees that
// alike.
std::unique_ptr<SnapshotReader> make_reader(ConnectionPtr connection, const TableSchema& table,
                                            std::span<const Condition> where = {});
std::unique_ptr<BatchWriter> make_writer(ConnectionPtr connection, const TableSchema& table,
                                         const std::vector<std::string>& columns);
// The row with this key, all columns; unset when there is none.
Result<std::optional<Row>> read_key(Connection& connection, const TableSchema& table,
                                    const Row& key);

}  // namespace whimbrel::sqlite
