// A new table for an old one, where there is none yet: what it could look like.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "discover/sample.h"

namespace whimbrel {

struct Skeleton {
  std::string file;    // that `create:` names
  std::string ddl;     // columns, types, NOT NULL, collations and the key of the old table
  TableSample target;  // what the store makes of it
};

// Nothing where the store speaks no SQL, or would not take such a table.
std::optional<Skeleton> skeleton_of(const TableSchema& source, const std::string& name,
                                    Store& target);
// `x_v2`, or the next that is free.
std::string next_name(const std::string& table, const std::vector<std::string>& taken);

}  // namespace whimbrel
