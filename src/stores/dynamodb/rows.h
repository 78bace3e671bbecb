// Readers and writers of one table.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "store/store.h"
#include "stores/dynamodb/dynamodb_store.h"

namespace whimbrel::dynamodb {

// `where`: what the service is asked to leave out of a scan.
std::unique_ptr<SnapshotReader> make_reader(DynamoStore& store, const TableSchema& table,
                                            std::span<const Condition> where = {});
std::unique_ptr<BatchWriter> make_writer(DynamoStore& store, const TableSchema& table,
                                         const std::vector<std::string>& columns);
std::unique_ptr<InsideCopier> make_raw_copier(DynamoStore& store, DynamoStore& source,
                                              const Mapping& mapping);

// What a scan should at least ask for.
inline constexpr std::int64_t items_worth_a_request = 200;

// A digest of the whole item, however its attributes are spread over columns.
std::string item_digest(const TableSchema& table, const Row& row);

}  // namespace whimbrel::dynamodb
