// Which columns look like references to rows of other tables, though nobody has said so: by their
// names, and by whether the values that were sampled are keys there.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "discover/sample.h"

namespace whimbrel {

struct MaybeChild {
  std::string name;  // as people call the table
  Store* store = nullptr;
  const TableSample* sample = nullptr;
  std::set<std::string> said;  // columns of which it is known already what they refer to
};

struct LikelyReference {
  int child = 0;  // of the tables that were given
  std::string column;
  int parent = 0;
  std::int64_t found = 0;  // of the values that were looked up
  std::int64_t of = 0;
};

// Only keys of one column are referred to. Errors are those of the stores.
Result<std::vector<LikelyReference>> likely_references(const std::vector<MaybeChild>& tables);

}  // namespace whimbrel
