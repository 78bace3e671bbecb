// Reading and writing rows of one table.
#pragma once

#include <memory>

#include "store/store.h"
#include "stores/sqlite/connection.h"

namespace whimbrel::sqlite {

std::unique_ptr<SnapshotReader> make_reader(std::unique_ptr<Connection> connection,
                                            const TableSchema& table);
std::unique_ptr<BatchWriter> make_writer(std::unique_ptr<Connection> connection,
                                         const TableSchema& table,
                                         const std::vector<std::string>& columns);
// The row with this key, all columns; unset when there is none.
Result<std::optional<Row>> read_key(Connection& connection, const TableSchema& table,
                                    const Row& key);

}  // namespace whimbrel::sqlite
