// Compares any two tables, of one store or of two, without a plan.
//
// Columns are matched by name without regard to case, rows by the left table's key (or the right
// one's where the left has none). Values are compared after the right column's type has been
// applied, so 1 and 1.0 are equal where the column makes one of the other. Reads in chunks by key,
// the left table and then the right one; memory does not grow with them. Writes nothing.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/events.h"
#include "base/executor.h"
#include "store/store.h"

namespace whimbrel {

struct RowDifference {
  std::string key;   // as a person reads it; never into events or log
  std::string what;  // "only left", "only right", or the columns
};

struct TableDiff {
  std::vector<std::string> columns;     // compared, by the left table's names
  std::vector<std::string> only_left;   // columns
  std::vector<std::string> only_right;  // columns
  std::int64_t left_rows = 0;
  std::int64_t right_rows = 0;
  std::int64_t differing = 0;
  std::int64_t missing_right = 0;
  std::int64_t missing_left = 0;
  std::vector<RowDifference> examples;  // the first ten
  bool equal() const {
    return differing + missing_left + missing_right == 0 && left_rows == right_rows &&
           only_left.empty() && only_right.empty();
  }
};

// `columns`: only these; all that either table has when it is empty. Errors: not_found for a column
// that neither has; `refused` where rows cannot be told apart; `cancelled` when asked to stop.
Result<TableDiff> diff_tables(Store& left, const std::string& left_table, Store& right,
                              const std::string& right_table,
                              const std::vector<std::string>& columns, const StopFlag& stop,
                              Events& events);

}  // namespace whimbrel
