#include "transform/mask.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "base/sha256.h"
#include "base/text.h"

namespace whimbrel {

namespace {

std::uint64_t number_from(std::string_view seed) {
  const std::string digest = sha256(seed);
  std::uint64_t number = 0;
  for (const char c : digest.substr(0, 8)) number = number << 8 | static_cast<unsigned char>(c);
  return number;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string email(const std::string& text) {
  constexpr std::string_view letters = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string local;
  for (const char* half : {"email 1 ", "email 2 "}) {
    std::uint64_t number = number_from(half + text);
    for (int i = 0; i < 8; ++i) {
      local += letters[number % letters.size()];
      number /= letters.size();
    }
  }
  return local + "@example.com";
}

bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }

// Consonants and vowels in turn can be read aloud.
std::string word(std::string_view of) {
  constexpr std::string_view consonants = "bdfgklmnprstvz";
  constexpr std::string_view vowels = "aeiou";
  std::string made;
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < of.size(); ++i) {
    const bool continues = (static_cast<unsigned char>(of[i]) & 0xc0) == 0x80;  // of one letter
    if (continues) continue;
    if (made.size() % 8 == 0) number = number_from(fmt::format("name {} {}", made.size(), of));
    const std::string_view from = made.size() % 2 == 0 ? consonants : vowels;
    const char letter = from[number % from.size()];
    number /= 16;
    made += is_capital(of[i]) ? static_cast<char>(letter - 'a' + 'A') : letter;
  }
  return made;
}

std::string name(const std::string& text) {
  constexpr std::string_view between = " \t-'.,()/";
  std::string made;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of(between, at), text.size());
    made += word(std::string_view(text).substr(at, end - at));
    if (end < text.size()) made += text[end];
    at = end + 1;
  }
  return made;
}

std::uint64_t power_of_ten(std::size_t digits) {
  std::uint64_t power = 1;
  for (std::size_t i = 0; i < digits; ++i) power *= 10;
  return power;
}

// A Feistel network over decimal digits (as in NIST SP 800-38G, with SHA-256 for its rounds): one
// number goes to one number, and no other goes there.
std::string other_digits(const std::string& digits) {
  constexpr int rounds = 10;
  constexpr std::size_t digits_max = 38;  // of which a half is a number of 64 bits
  if (digits.empty()) return "";
  if (digits.size() == 1) {
    const std::uint64_t shift = number_from("phone 1") % 9 + 1;
    return fmt::format("{}", (static_cast<std::uint64_t>(digits[0] - '0') + shift) % 10);
  }
  if (digits.size() > digits_max) {
    return other_digits(digits.substr(0, digits_max)) + other_digits(digits.substr(digits_max));
  }
  std::string left = digits.substr(0, digits.size() / 2);
  std::string right = digits.substr(digits.size() / 2);
  for (int round = 0; round < rounds; ++round) {
    const std::uint64_t range = power_of_ten(left.size());
    std::uint64_t number = 0;
    std::from_chars(left.data(), left.data() + left.size(), number);
    const std::uint64_t shift =
        number_from(fmt::format("phone {} {} {}", digits.size(), round, right)) % range;
    left = fmt::format("{:0{}}", (number + shift) % range, left.size());
    std::swap(left, right);
  }
  return left + right;
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || is_capital(c); }

// What belongs to the way a number is written says nothing about anybody.
bool is_of_the_format(std::string_view word) {
  constexpr std::array words = {"x", "ext", "tel", "fax", "phone", "mobile"};
  return std::ranges::any_of(words, [&](const char* one) { return ascii_lower(word) == one; });
}

// Whatever else stands in a column of phone numbers, names and digits of other scripts, becomes
// unreadable as well: a digit for each letter that is not ASCII.
std::string without_words(const std::string& text) {
  std::string made;
  for (std::size_t at = 0; at < text.size();) {
    const auto begin = text.begin() + static_cast<std::ptrdiff_t>(at);
    const auto end = std::find_if_not(begin, text.end(), is_letter);
    const std::string_view letters(begin, end);
    if (!letters.empty()) {
      made += is_of_the_format(letters) ? std::string(letters) : word(letters);
      at += letters.size();
      continue;
    }
    const auto byte = static_cast<unsigned char>(text[at++]);
    if (byte < 0x80) {
      made += static_cast<char>(byte);
    } else if ((byte & 0xc0) == 0xc0) {
      made += static_cast<char>('0' + number_from(fmt::format("phone {} {}", at, text)) % 10);
    }
  }
  return made;
}

std::string phone(const std::string& text) {
  std::string made = without_words(text);
  std::string digits;
  std::ranges::copy_if(made, std::back_inserter(digits), is_digit);
  const std::string others = other_digits(digits);
  std::size_t next = 0;
  for (char& c : made) {
    if (is_digit(c)) c = others[next++];
  }
  return made;
}

std::string masked_text(MaskAs as, const std::string& text) {
  switch (as) {
    case MaskAs::email:
      return email(text);
    case MaskAs::name:
      return name(text);
    case MaskAs::phone:
      return phone(text);
  }
  return text;
}

// A leading zero would be lost, and two numbers could become one: it keeps its first digit.
std::string masked_number(const std::string& text) {
  const std::size_t kept = text.front() == '-' ? 2 : 1;
  return text.substr(0, kept) + phone(text.substr(kept));
}

bool is_whole(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && std::ranges::all_of(text, is_digit);
}

}  // namespace

Result<Value> masked(MaskAs as, const Value& value) {
  if (value.is_null()) return value;
  if (const auto* text = value.get_if<std::string>()) {
    return text->empty() ? value : Value::text(masked_text(as, *text));
  }
  if (const auto* number = value.get_if<std::int64_t>()) {
    const std::string made = masked_number(fmt::format("{}", *number));
    std::int64_t other = 0;
    const auto [end, failure] = std::from_chars(made.data(), made.data() + made.size(), other);
    return failure == std::errc() ? Value::integer(other) : Value::text(made);
  }
  if (const auto* number = value.get_if<Decimal>(); number != nullptr && is_whole(number->text)) {
    return Value(Value::Storage(Decimal{masked_number(number->text)}));
  }
  return Error{
      ErrorCode::refused,
      fmt::format("{} cannot be masked: it is neither text nor a whole number", show(value)),
      "mask a column of texts",
      "",
      {"a value that cannot be masked"},
      ""};
}

}  // namespace whimbrel
