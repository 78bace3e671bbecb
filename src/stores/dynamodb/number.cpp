#include "stores/dynamodb/number.h"

#include <fmt/format.h>

#include <charconv>

#include "base/text.h"

namespace whimbrel::dynamodb {

namespace {

constexpr std::int64_t digits_max = 38;
constexpr std::int64_t magnitude_max = 125;
constexpr std::int64_t magnitude_min = -130;
constexpr std::int64_t plain_max = 40;  // digits that are still written out

Error no_number(std::string_view text) {
  return Error{ErrorCode::refused, "`" + printable(text) + "` is no number that DynamoDB can hold"};
}

struct Digits {
  bool negative = false;
  std::string digits;          // significant ones, neither zero at an end
  std::int64_t magnitude = 0;  // of the first digit: 0 for 1 to 9
};

Result<Digits> read(std::string_view text) {
  Digits number;
  std::string_view rest = text;
  if (!rest.empty() && (rest.front() == '-' || rest.front() == '+')) {
    number.negative = rest.front() == '-';
    rest.remove_prefix(1);
  }
  std::int64_t exponent = 0;
  if (const std::size_t e = rest.find_first_of("eE"); e != std::string_view::npos) {
    std::string_view power = rest.substr(e + 1);
    if (power.starts_with('+')) power.remove_prefix(1);
    const auto [end, failure] =
        std::from_chars(power.data(), power.data() + power.size(), exponent);
    if (power.empty() || failure != std::errc() || end != power.data() + power.size() ||
        exponent > 100'000 || exponent < -100'000) {
      return no_number(text);
    }
    rest = rest.substr(0, e);
  }
  std::int64_t before_point = 0;
  bool point = false;
  for (const char c : rest) {
    if (c == '.' && !point) {
      point = true;
    } else if (c >= '0' && c <= '9') {
      number.digits += c;
      before_point += point ? 0 : 1;
    } else {
      return no_number(text);
    }
  }
  if (number.digits.empty()) return no_number(text);
  const std::size_t first = number.digits.find_first_not_of('0');
  if (first == std::string::npos) return Digits{};
  const std::size_t last = number.digits.find_last_not_of('0');
  number.magnitude = before_point - static_cast<std::int64_t>(first) - 1 + exponent;
  number.digits = number.digits.substr(first, last - first + 1);
  return number;
}

}  // namespace

Result<std::string> normal_number(std::string_view text) {
  ASSIGN_OR_RETURN(const Digits number, read(text));
  if (number.digits.empty()) return std::string("0");
  if (std::ssize(number.digits) > digits_max) {
    return Error{ErrorCode::refused,
                 fmt::format("{} has {} digits, and DynamoDB holds 38", printable(text),
                             number.digits.size()),
                 "round it, or keep it as text: `cast: …, to: text`"};
  }
  if (number.magnitude > magnitude_max || number.magnitude < magnitude_min) {
    return Error{ErrorCode::refused,
                 printable(text) + " is outside of what DynamoDB holds (1E-130 to 9.9E+125)"};
  }
  std::string out = number.negative ? "-" : "";
  const std::int64_t count = std::ssize(number.digits);
  const std::int64_t behind = count - 1 - number.magnitude;  // digits behind the point
  if (number.magnitude >= plain_max || behind > plain_max) {
    out += number.digits.substr(0, 1);
    if (count > 1) out += "." + number.digits.substr(1);
    return out + fmt::format("E{}", number.magnitude);
  }
  if (behind <= 0) {
    return out + number.digits + std::string(static_cast<std::size_t>(-behind), '0');
  }
  if (number.magnitude >= 0) {
    const auto at = static_cast<std::size_t>(number.magnitude + 1);
    return out + number.digits.substr(0, at) + "." + number.digits.substr(at);
  }
  return out + "0." + std::string(static_cast<std::size_t>(-number.magnitude - 1), '0') +
         number.digits;
}

}  // namespace whimbrel::dynamodb
