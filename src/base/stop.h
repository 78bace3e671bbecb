// How a migration under way is asked to stop. A part of the library's face.
#pragma once

#include <atomic>

namespace whimbrel {

// Asked from a signal handler or another thread; polled between steps.
class StopFlag {
 public:
  // Never blocks and allocates nothing, so that a signal handler may call it.
  void request() { requested_.fetch_add(1, std::memory_order_relaxed); }
  // Somebody has asked, since the last clear().
  bool requested() const { return requested_.load(std::memory_order_relaxed) > 0; }
  // How often it was asked.
  int times() const { return requested_.load(std::memory_order_relaxed); }
  // As if nobody had asked: for the next call, while none is under way.
  void clear() { requested_.store(0, std::memory_order_relaxed); }

 private:
  static_assert(std::atomic<int>::is_always_lock_free, "a signal handler must not take a lock");
  std::atomic<int> requested_{0};
};

}  // namespace whimbrel
