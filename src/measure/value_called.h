// What a row has under a name, in a store whose rows have columns and in one whose rows have what
// they have.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "value/schema.h"
#include "value/value.h"

namespace whimbrel {

// Null where there is neither a column nor an attribute of that name. Lives as long as the row.
inline const Value* value_called(const Row& row, const TableSchema& table,
                                 const std::string& name) {
  if (const int at = table.column_index(table.own_spelling(name)); at >= 0) {
    return &row[static_cast<std::size_t>(at)];
  }
  const int rest = table.column_index(table.rest_column);
  const auto* others = rest < 0 ? nullptr : row[static_cast<std::size_t>(rest)].get_if<Map>();
  if (others == nullptr) return nullptr;
  const auto it = std::ranges::find(others->fields, name, &std::pair<std::string, Value>::first);
  return it == others->fields.end() ? nullptr : &it->second;
}

}  // namespace whimbrel
