// How the values of one column become those of another, tried on the sampled rows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "discover/sample.h"
#include "transform/expr.h"

namespace whimbrel {

struct Conversion {
  ExprPtr expr;      // not resolved
  std::string what;  // in words, "" for a copy
  double fits = 1;   // 1: the same kind; near 0: hardly ever meant
  std::int64_t tried = 0;
  std::int64_t refused = 0;        // of those, values that would not go through
  std::vector<std::string> texts;  // as the sample's, after the conversion
};

// `taker` is the target's catalogue, which knows what its columns do to a value.
Conversion convert(const TableSample& source, int from, const TableSample& target, int to,
                   const Catalog& taker);

}  // namespace whimbrel
