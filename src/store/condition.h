// What a row has to be like, as far as a store can be asked for it.
#pragma once

#include <string>
#include <vector>

#include "value/schema.h"
#include "value/value.h"

namespace whimbrel {

// A row is taken when every condition holds. Numbers are compared by value, texts by bytes; values
// of different kinds, and null, are only ever unequal.
struct Condition {
  enum class Is { one_of, none_of, at_least, above, at_most, below, begins_with };
  std::string column;
  Is is = Is::one_of;
  std::vector<Value> values;
};
// Equal as conditions compare.
bool is_equal(const Value& a, const Value& b);
// Whether it holds for a row of this table.
bool holds(const Condition& condition, const TableSchema& table, const Row& row);

}  // namespace whimbrel
