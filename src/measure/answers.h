// Whether both sides answer the plan's queries alike.
//
// A reshaped table calls its columns otherwise and holds them in another order: answers are the
// same when their rows are, each as the bag of its values, whatever they are called and whatever
// type they have. Where the two give other columns (a `*` over another shape), only the number of
// rows is compared, and it is told so.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/stop.h"
#include "measure/load.h"

namespace whimbrel {

struct ComparedAnswers {
  std::string name;          // of the query
  std::int64_t asked = 0;    // questions, each put to both sides; not those that are moving
  std::int64_t same = 0;     // of these
  std::int64_t counted = 0;  // of the same: the number of rows alone was compared
  std::int64_t moving = 0;   // a side that is written to gave another answer each time
  std::string first;         // how the first two differ, without a value; "" when none do
};

// At most a hundred questions a query, on one connection each. One that finds a difference is put
// again: what is written just now may be under way to the other side. `catch_up`, where there is
// one, carries it there.
// `cancelled` when asked to stop; what a side does not take is an error.
Result<std::vector<ComparedAnswers>> compare_answers(Store& old_side, Store& new_side,
                                                     const std::vector<MeasuredQuery>& queries,
                                                     const LoadSettings& settings, Clock& clock,
                                                     const StopFlag& stop,
                                                     const std::function<Status()>& catch_up);

}  // namespace whimbrel
