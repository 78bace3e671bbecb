// The most rows a second that copies may read, all tables together (`limits: rows_per_s`).
//
// What was read is paid for before the next batch, of whatever table, begins: so the rate holds
// also where every table is one batch. Threads: any number may share one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <optional>

#include "base/clock.h"

namespace whimbrel {

class RowRate {
 public:
  explicit RowRate(Clock& clock) : clock_(clock) {}

  // As many rows as a batch may have, so that nobody waits long for the next: a quarter of a
  // second's worth, and one at least. `rows_per_s`: unset is no limit.
  static std::int64_t rows_max(std::int64_t rows, std::optional<std::int64_t> rows_per_s) {
    constexpr std::int64_t batches_per_s = 4;
    if (!rows_per_s) return rows;
    return std::clamp<std::int64_t>(*rows_per_s / batches_per_s, 1,
                                    std::max<std::int64_t>(rows, 1));
  }

  // How long the next batch has to wait for those before it.
  Milliseconds wait() const {
    const std::lock_guard lock(mutex_);
    const std::int64_t now = clock_.monotonic().count() * us_per_ms;
    return Milliseconds(std::max<std::int64_t>(0, (paid_at_us_ - now + us_per_ms - 1) / us_per_ms));
  }

  // So many rows were read by a batch that began then.
  void add(std::int64_t rows, Milliseconds began, std::optional<std::int64_t> rows_per_s) {
    if (!rows_per_s || *rows_per_s <= 0) return;
    const std::lock_guard lock(mutex_);
    const std::int64_t due = rows * 1'000'000 / *rows_per_s;
    paid_at_us_ = std::max(paid_at_us_, began.count() * us_per_ms) + due;
  }

 private:
  static constexpr std::int64_t us_per_ms = 1000;

  Clock& clock_;
  mutable std::mutex mutex_;
  std::int64_t paid_at_us_ = 0;
};

}  // namespace whimbrel
