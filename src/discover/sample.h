// A table as far as its schema and its first rows tell.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "discover/names.h"
#include "store/store.h"

namespace whimbrel {

struct ColumnSample {
  Words words;             // of its name
  Words own;               // the same without the table's name or a prefix that all columns have
  Kind seen = Kind::null;  // what all its sampled values are; null where they differ
  std::int64_t nulls = 0;  // of the sampled rows
  std::vector<std::string> texts;          // by row, so that 1, 1.0 and '1' are one; "" for a null
  std::unordered_set<std::string> values;  // the texts that are no nulls
};

struct TableSample {
  TableSchema schema;
  Words words;
  std::vector<ColumnSample> columns;  // as the schema has them
  std::vector<Row> rows;              // the first by key
  std::int64_t count = 0;             // of all rows; where counting reads them, of these at least

  const ColumnSchema& column(int at) const { return schema.columns[static_cast<std::size_t>(at)]; }
  const ColumnSample& sample(int at) const { return columns[static_cast<std::size_t>(at)]; }
};

// Whether this column holds all values that no column names.
bool is_rest(const TableSchema& schema, const std::string& column);
// The value without regard to how it is stored.
std::string loose_text(const Value& value);
// Without a row.
TableSample sample_of(TableSchema schema);
// Takes away what the names of nearly all tables begin with.
void without_common_prefix(std::vector<TableSample>& tables);
// At most `rows_max` rows are kept; a table without a key is described and not read.
// `names_values`: where rows may have values that no column names, those of the sample get columns,
// as far as there are not too many.
Result<TableSample> take_sample(Store& store, const std::string& table, std::int64_t rows_max,
                                bool names_values = false);
// What the column's sampled values are; where they differ, or there are none, what it is declared
// to hold; where it is not, numbers of several kinds are one of them. Null where nothing tells.
Kind kind_in(const TableSample& table, int at);

}  // namespace whimbrel
