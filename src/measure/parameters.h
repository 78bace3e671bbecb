// The values that the parameters of a plan's queries take, chosen at random among those that it
// gives.
#pragma once

#include <cstdint>
#include <vector>

#include "base/random.h"
#include "plan/measures.h"
#include "store/queries.h"

namespace whimbrel {

// Threads: one at a time. `queries` outlives it.
class ParameterValues {
 public:
  ParameterValues(const std::vector<MeasuredQuery>& queries, std::uint64_t seed);
  // Others each time; good until the next call for the same query.
  const QueryValues& next(std::size_t query);

 private:
  const std::vector<MeasuredQuery>& queries_;
  Random random_;
  std::vector<QueryValues> values_;
};

}  // namespace whimbrel
