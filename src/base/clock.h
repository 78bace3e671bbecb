// Time as a dependency, so that a test or the simulation can hold it in its hand.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace whimbrel {

using Milliseconds = std::chrono::milliseconds;
// Milliseconds since 1970-01-01T00:00:00Z.
using TimePoint = std::chrono::time_point<std::chrono::system_clock, Milliseconds>;

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall-clock time: may jump. For records and deadlines that other processes read.
  virtual TimePoint now() = 0;
  // Never goes back. For durations within this process.
  virtual Milliseconds monotonic() = 0;
  // The same, finer: for latencies. Its zero may be another one.
  virtual std::chrono::nanoseconds precise() { return monotonic(); }
  // Waits, or returns early when the process is asked to stop. Any thread.
  virtual void sleep_for(Milliseconds duration) = 0;
};

class SystemClock final : public Clock {
 public:
  TimePoint now() override;
  Milliseconds monotonic() override;
  std::chrono::nanoseconds precise() override;
  void sleep_for(Milliseconds duration) override;
};

std::string to_compact(TimePoint time);  // 20261120T201503Z
std::string to_iso8601(TimePoint time);  // 2026-11-20T20:15:03.123Z
// The reverse, with seconds at least and a zone: Z, or an offset like +02:00; nothing for anything
// else.
std::optional<TimePoint> from_iso8601(std::string_view text);
std::string to_duration_text(Milliseconds duration);  // "1 h 4 min", "230 ms"
// "250ms", "1s", "5m", "2h", "7d"; nothing for anything else.
std::optional<Milliseconds> parse_duration(std::string_view text);

}  // namespace whimbrel
