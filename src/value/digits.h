// A decimal number by its digits, however it is spelled.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

namespace whimbrel {

// A number's sign, its digits without zeros around them, and the power of ten behind the last one:
// two spellings of one number have these in common.
struct Digits {
  bool is_negative = false;
  std::string digits;
  long exponent = 0;

  explicit Digits(std::string_view text) {
    const std::size_t mark = std::min(text.find_first_of("eE"), text.size());
    if (mark < text.size())
      exponent = std::strtol(std::string(text.substr(mark + 1)).c_str(), nullptr, 10);
    for (const char c : text.substr(0, mark)) {
      is_negative = is_negative || c == '-';
      if (c >= '0' && c <= '9') digits += c;
    }
    const std::size_t point = text.substr(0, mark).find('.');
    if (point != std::string_view::npos) exponent -= static_cast<long>(mark - point - 1);
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
    while (digits.ends_with('0')) {
      digits.pop_back();
      ++exponent;
    }
    if (!digits.empty()) return;
    exponent = 0;
    is_negative = false;
  }
  bool operator==(const Digits&) const = default;
};

}  // namespace whimbrel
