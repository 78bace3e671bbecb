#include "base/clock.h"

#include <fmt/format.h>

#include <charconv>
#include <ctime>
#include <thread>

namespace whimbrel {

namespace {
std::tm utc(TimePoint time) {
  const std::time_t seconds =
      std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return parts;
}
}  // namespace

TimePoint SystemClock::now() {
  return std::chrono::time_point_cast<Milliseconds>(std::chrono::system_clock::now());
}

Milliseconds SystemClock::monotonic() {
  return std::chrono::duration_cast<Milliseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
}

std::chrono::nanoseconds SystemClock::precise() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
}

void SystemClock::sleep_for(Milliseconds duration) { std::this_thread::sleep_for(duration); }

std::string to_compact(TimePoint time) {
  const std::tm t = utc(time);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
                     t.tm_hour, t.tm_min, t.tm_sec);
}

std::string to_iso8601(TimePoint time) {
  const std::tm t = utc(time);
  const auto since = time.time_since_epoch();
  const auto ms = (since - std::chrono::floor<std::chrono::seconds>(since)).count();
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", t.tm_year + 1900, t.tm_mon + 1,
                     t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, ms);
}

std::optional<TimePoint> from_iso8601(std::string_view text) {
  const std::string whole(text);
  std::tm parts{};
  const char* rest = strptime(whole.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return std::nullopt;
  std::int64_t ms = std::int64_t{timegm(&parts)} * 1000;
  if (*rest == '.') {
    int weight = 100;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, weight /= 10) ms += weight * (*rest - '0');
  }
  const std::string_view zone(rest);
  if (zone == "Z") return TimePoint(Milliseconds(ms));
  int hours = 0;
  int minutes = 0;
  const auto number = [&](std::size_t at, int& into) {
    const auto [end, failure] = std::from_chars(&zone[at], &zone[at] + 2, into);
    return failure == std::errc() && end == &zone[at] + 2;
  };
  const bool is_offset = zone.size() == 6 && (zone[0] == '+' || zone[0] == '-') && zone[3] == ':' &&
                         number(1, hours) && number(4, minutes);
  if (!is_offset) return std::nullopt;
  const std::int64_t ahead_ms = (hours * 60 + minutes) * std::int64_t{60'000};
  return TimePoint(Milliseconds(zone[0] == '+' ? ms - ahead_ms : ms + ahead_ms));
}

std::string to_duration_text(Milliseconds duration) {
  const std::int64_t ms = duration.count();
  if (ms < 0) return "0 ms";
  if (ms < 1000) return fmt::format("{} ms", ms);
  const std::int64_t s = ms / 1000;
  if (s < 60) return fmt::format("{}.{} s", s, ms % 1000 / 100);
  if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{} h {} min", s / 3600, s % 3600 / 60);
  return fmt::format("{} d {} h", s / 86400, s % 86400 / 3600);
}

std::optional<Milliseconds> parse_duration(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || number < 0) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  std::int64_t factor = 0;
  if (unit == "ms") factor = 1;
  if (unit == "s") factor = 1000;
  if (unit == "m") factor = 60 * 1000;
  if (unit == "h") factor = 3600 * 1000;
  if (unit == "d") factor = 86400 * 1000;
  if (factor == 0 || number > 1'000'000'000) return std::nullopt;
  return Milliseconds(number * factor);
}

}  // namespace whimbrel
