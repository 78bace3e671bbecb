// Which table is the old and which the new one of a pair: in two stores, or inside one.
#pragma once

#include <string>
#include <vector>

#include "discover/columns.h"

namespace whimbrel {

struct TablePair {
  int source = 0;
  int target = 0;
  double score = 0;  // 0 to 1
  Surety surety = Surety::guess;
  std::string reason;
  ColumnGuesses columns;
};

struct TableGuesses {
  std::vector<TablePair> taken;   // in the order of the sources
  std::vector<TablePair> doubts;  // best first
};

TableGuesses match_tables(const std::vector<TableSample>& sources,
                          const std::vector<TableSample>& targets, const Catalog& taker);
// Only what their names call an older and a newer one: `x` and `x_v2`, `old_x` and `x`.
TableGuesses match_inside(const std::vector<TableSample>& tables, const Catalog& taker);
// This table as the source of that one, whatever their names are.
TablePair match_given(const TableSample& source, const TableSample& target, const Catalog& taker);

// Parents before children, by foreign keys; what refers to itself in a ring stands at the end.
std::vector<std::vector<std::string>> levels(const std::vector<TableSample>& tables);

}  // namespace whimbrel
