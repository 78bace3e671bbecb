// Rows of two samples that have the same key, and what their columns have in common.
//
// That a column of the one side holds the same as one of the other, row by row, says more than
// any name. It says nothing where keys were given anew and are only alike.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "discover/sample.h"

namespace whimbrel {

// 1: the same but for case; from 0.9: nearly the same, also without what all names begin with.
double name_likeness(const TableSample& source, int i, const TableSample& target, int j);
// Whole numbers without gaps are in every second column: that two have the same tells little.
bool is_counting(const ColumnSample& column);

class SameRows {
 public:
  SameRows(const TableSample& source, const TableSample& target);

  struct Agreement {
    std::int64_t same = 0;
    std::int64_t of = 0;
    double share() const { return static_cast<double>(same) / static_cast<double>(of); }
  };
  // Nothing where too few rows or values could tell. `texts` are the source column's, by row.
  std::optional<Agreement> agreement(int source_column, const std::vector<std::string>& texts,
                                     int target_column) const;
  // Whether some column agrees: else the keys are only alike.
  bool are_real() const;
  std::int64_t count() const { return std::ssize(rows_); }

 private:
  void pair_keys();
  std::string key_of(const TableSample& table, std::size_t row, bool left) const;

  const TableSample& source_;
  const TableSample& target_;
  std::vector<std::pair<int, int>> key_;  // columns
  std::vector<std::pair<std::size_t, std::size_t>> rows_;
  std::set<int> key_columns_;  // of the source
  mutable std::optional<bool> are_real_;
};

}  // namespace whimbrel
