// How many rows the next chunk has: grown or cut so that a chunk takes about the wanted time.
//
// After Spirit's dynamic chunk sizing (see docs/decisions/0003): grow by at most one half, at once
// to a tenth when a chunk took five times too long.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.h"

namespace whimbrel {

struct PaceBounds {
  std::int64_t rows_min = 10;
  std::int64_t rows_max = 100'000;
  Milliseconds wanted{25};
};

inline std::int64_t next_chunk_rows(std::int64_t rows, Milliseconds took,
                                    const PaceBounds& bounds) {
  std::int64_t next = rows;
  if (took > 5 * bounds.wanted) {
    next = rows / 10;
  } else if (took.count() == 0) {
    next = rows + rows / 2 + 1;
  } else {
    next = std::min(rows * bounds.wanted.count() / took.count(), rows + rows / 2 + 1);
  }
  return std::clamp(next, std::min(bounds.rows_min, bounds.rows_max), bounds.rows_max);
}

}  // namespace whimbrel
