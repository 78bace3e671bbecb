// A new table for an old one, where there is none yet: what it could look like.
#pragma once

#include <string>
#include <vector>

#include "discover/sample.h"

namespace whimbrel {

struct Skeleton {
  std::string file;               // that `create:` names; or "like-source", and there is no file
  std::string ddl;                // the old table's definition under the new name
  TableSample target;             // what the store makes of it
  std::vector<std::string> open;  // what it could not carry over: a person decides
  std::vector<Prerequisite> missing;  // what has to be made first in the new store
};

// Errors: refused, with the reason, where the store would not take such a table.
Result<Skeleton> skeleton_of(const TableSample& sample, Store& from, const std::string& name,
                             Store& target);
// What a table would be called in another store: without the schema where that one has none.
std::string name_there(const std::string& table, const Store& from, const Store& target);
// `x_v2`, or the next that is free.
std::string next_name(const std::string& table, const std::vector<std::string>& taken);

}  // namespace whimbrel
