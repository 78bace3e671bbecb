// Partitions of tables that get other types in place.
//
// They are made beside the old ones with their bounds, names, indexes and settings, noted by their
// numbers in `whimbrel.retyped_parts`, and change places with their table. What the application
// makes or drops meanwhile is made or dropped on the other side as well.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "stores/postgresql/names.h"

namespace whimbrel::postgresql {

struct RetypedPair;

// Of a table and its partitions, at any depth; the table comes first, a parent before its children.
struct Member {
  std::string oid;
  std::string parent;  // "" of the table itself
  TableName name;
  bool is_divided = false;  // has partitions itself
};
// Only the table itself where it has none. `refused` for partitions that are no tables.
Result<std::vector<Member>> members_of(Connection& connection, const std::string& oid);

// What makes empty partitions for a table that is there, like those of the old one, and notes them.
// `source`: the old table as the plan knows it; `retyped`: its columns that get another type.
// `refused` for what cannot be made.
Result<std::string> partitions_ddl(Connection& connection, const std::string& source,
                                   const std::vector<Member>& members, const TableName& target,
                                   const std::set<std::string>& retyped);

// The constraint or index that is a table's key, and the rest: each with what belongs to it in the
// partitions.
struct IndexDdl {
  std::string key;
  std::vector<std::string> others;
};
Result<IndexDdl> indexes_for(Connection& connection, const std::vector<std::string>& key,
                             const std::vector<Member>& members, const TableName& target);

// One partition, on both sides.
struct PartitionPair {
  TableName name;  // where the application looks for it
  std::string source_oid;
  std::string target_oid;
};
Result<std::vector<PartitionPair>> partition_pairs(Connection& connection,
                                                   const std::vector<std::string>& sources);
// The side that serves has other partitions than it had: the other gets the same, within the
// transaction that is open. Gives those that came with rows, which nobody has noted, by quoted
// name.
Result<std::vector<std::string>> follow_partitions(Connection& connection, const RetypedPair& pair);
// Indexes of partitions on the other side are called as those on the side that serves.
Status name_indexes(Connection& connection, const std::string& lead, const std::string& follow);
Status forget_partitions(Connection& connection, const std::string& source);

}  // namespace whimbrel::postgresql
