#include "stores/postgresql/times.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace whimbrel::postgresql {

namespace {

constexpr int minutes_of_hour = 60;

// Reads from the front of a text, which gets shorter.
class Front {
 public:
  explicit Front(std::string_view text) : text_(text) {}
  bool at_end() const { return text_.empty(); }
  bool takes(char wanted) {
    if (text_.empty() || text_[0] != wanted) return false;
    text_.remove_prefix(1);
    return true;
  }
  // Exactly so many digits.
  std::optional<int> number(std::size_t digits) {
    if (text_.size() < digits) return std::nullopt;
    int value = 0;
    for (const char c : text_.substr(0, digits)) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + (c - '0');
    }
    text_.remove_prefix(digits);
    return value;
  }
  std::string_view digits() {
    const std::size_t end = std::min(text_.find_first_not_of("0123456789"), text_.size());
    const std::string_view found = text_.substr(0, end);
    text_.remove_prefix(end);
    return found;
  }

 private:
  std::string_view text_;
};

std::optional<std::chrono::sys_days> day_of(Front& front) {
  const std::optional<int> year = front.number(4);
  if (!year || *year == 0 || !front.takes('-')) return std::nullopt;
  const std::optional<int> month = front.number(2);
  if (!month || !front.takes('-')) return std::nullopt;
  const std::optional<int> day = front.number(2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  return date.ok() ? std::optional(std::chrono::sys_days(date)) : std::nullopt;
}

struct Clocked {
  std::chrono::seconds since_midnight{0};
  std::string fraction;  // with its point, without zeros at the end
};
std::optional<Clocked> clock_of(Front& front) {
  constexpr std::size_t decimals_max = 6;
  const std::optional<int> hour = front.number(2);
  if (!hour || *hour > 23 || !front.takes(':')) return std::nullopt;
  const std::optional<int> minute = front.number(2);
  if (!minute || *minute > 59 || !front.takes(':')) return std::nullopt;
  const std::optional<int> second = front.number(2);
  if (!second || *second > 59) return std::nullopt;
  Clocked clocked{
      std::chrono::hours(*hour) + std::chrono::minutes(*minute) + std::chrono::seconds(*second),
      ""};
  if (!front.takes('.')) return clocked;
  const std::string_view decimals = front.digits();
  if (decimals.empty() || decimals.size() > decimals_max) return std::nullopt;
  const std::size_t last = decimals.find_last_not_of('0');
  if (last != std::string_view::npos) clocked.fraction = "." + std::string(decimals, 0, last + 1);
  return clocked;
}

// `Z`, `+05` or `+05:45`; no zone is that of the session.
std::optional<std::chrono::minutes> zone_of(Front& front) {
  constexpr int hours_max = 14;
  if (front.at_end() || front.takes('Z')) return std::chrono::minutes(0);
  const bool is_west = front.takes('-');
  if (!is_west && !front.takes('+')) return std::nullopt;
  const std::optional<int> hours = front.number(2);
  if (!hours || *hours > hours_max) return std::nullopt;
  std::optional<int> minutes = 0;
  if (front.takes(':')) minutes = front.number(2);
  if (!minutes || *minutes > 59) return std::nullopt;
  return std::chrono::minutes((*hours * minutes_of_hour + *minutes) * (is_west ? -1 : 1));
}

std::string shown(std::chrono::sys_days day) {
  const std::chrono::year_month_day date(day);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}
std::string shown(std::chrono::seconds since_midnight) {
  const std::chrono::hh_mm_ss clock(since_midnight);
  return fmt::format("{:02}:{:02}:{:02}", clock.hours().count(), clock.minutes().count(),
                     clock.seconds().count());
}

}  // namespace

std::optional<std::string> moment_of(TypeClass is, std::string_view text) {
  const bool is_moment = is == TypeClass::date || is == TypeClass::time ||
                         is == TypeClass::timestamp || is == TypeClass::timestamp_tz;
  if (!is_moment) return std::nullopt;
  Front front(text);
  if (is == TypeClass::time) {
    const std::optional<Clocked> clock = clock_of(front);
    if (!clock || !front.at_end()) return std::nullopt;
    return shown(clock->since_midnight) + clock->fraction;
  }
  const std::optional<std::chrono::sys_days> day = day_of(front);
  if (!day) return std::nullopt;
  if (is == TypeClass::date) return front.at_end() ? std::optional(shown(*day)) : std::nullopt;
  Clocked clock;
  if (!front.at_end()) {
    if (!front.takes(' ') && !front.takes('T')) return std::nullopt;
    std::optional<Clocked> said = clock_of(front);
    if (!said) return std::nullopt;
    clock = *std::move(said);
  }
  if (is == TypeClass::timestamp) {
    if (!front.at_end()) return std::nullopt;
    return shown(*day) + " " + shown(clock.since_midnight) + clock.fraction;
  }
  const std::optional<std::chrono::minutes> zone = zone_of(front);
  if (!zone || !front.at_end()) return std::nullopt;
  const std::chrono::sys_seconds moment = *day + clock.since_midnight - *zone;
  const auto that_day = std::chrono::floor<std::chrono::days>(moment);
  const std::chrono::year year = std::chrono::year_month_day(that_day).year();
  if (year < std::chrono::year(1) || year > std::chrono::year(9999)) return std::nullopt;
  return shown(that_day) + " " + shown(moment - that_day) + clock.fraction + "+00";
}

}  // namespace whimbrel::postgresql
