// All tables of one side, as far as they can be read.
#pragma once

#include <string>
#include <vector>

#include "discover/sample.h"

namespace whimbrel {

struct Side {
  std::string alias;  // in the plan
  Store* store = nullptr;
  std::vector<std::string> names;  // of all its tables
  std::vector<TableSample> tables;
  std::vector<std::string> unreadable;  // what is no plain table of rows

  const TableSample& table(int at) const { return tables[static_cast<std::size_t>(at)]; }
};

// `asked`: only these; an error if one of them cannot be read. Empty: whatever there is.
Result<Side> read_side(const std::string& alias, Store& store,
                       const std::vector<std::string>& asked, std::int64_t rows_max);

}  // namespace whimbrel
