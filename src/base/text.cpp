#include "base/text.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace whimbrel {

int edit_distance(std::string_view a, std::string_view b) {
  const std::size_t n = a.size();
  const std::size_t m = b.size();
  std::vector<std::vector<int>> d(n + 1, std::vector<int>(m + 1));
  for (std::size_t i = 0; i <= n; ++i) d[i][0] = static_cast<int>(i);
  for (std::size_t j = 0; j <= m; ++j) d[0][j] = static_cast<int>(j);
  for (std::size_t i = 1; i <= n; ++i) {
    for (std::size_t j = 1; j <= m; ++j) {
      const int cost = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[n][m];
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string wanted = ascii_lower(word);
  std::string best;
  int best_score = static_cast<int>(word.size()) / 3 + (word.size() > 5 ? 1 : 2);
  for (const std::string& candidate : candidates) {
    const std::string have = ascii_lower(candidate);
    int score = edit_distance(wanted, have);
    if (wanted.size() > 3 && have.find(wanted) != std::string::npos) score = 1;
    if (have.size() > 3 && wanted.find(have) != std::string::npos) score = std::min(score, 1);
    if (score < best_score) {
      best_score = score;
      best = candidate;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string near = nearest(word, candidates);
  return near.empty() ? "" : "did you mean `" + near + "`?";
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

std::string with_thousands(std::int64_t number) {
  std::string digits = fmt::format("{}", number < 0 ? -number : number);
  for (std::ptrdiff_t at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), ",");
  }
  return number < 0 ? "-" + digits : digits;
}

std::string to_hex(std::string_view bytes) {
  constexpr const char* digits = "0123456789abcdef";
  std::string text(bytes.size() * 2, '\0');
  std::size_t at = 0;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text[at++] = digits[byte >> 4];
    text[at++] = digits[byte & 15];
  }
  return text;
}

bool append_from_hex(std::string& bytes, std::string_view text) {
  static constexpr std::array<int, 256> value_of_digit = [] {
    std::array<int, 256> values{};
    values.fill(-1);
    for (std::size_t i = 0; i < 10; ++i) values['0' + i] = static_cast<int>(i);
    for (std::size_t i = 0; i < 6; ++i) {
      values['a' + i] = values['A' + i] = static_cast<int>(10 + i);
    }
    return values;
  }();
  const std::size_t before = bytes.size();
  if (text.size() % 2 != 0) return false;
  bytes.resize(before + text.size() / 2);
  int all = 0;  // negative once any digit was none
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = value_of_digit[static_cast<unsigned char>(text[i])];
    const int low = value_of_digit[static_cast<unsigned char>(text[i + 1])];
    all |= high | low;
    bytes[before + i / 2] = static_cast<char>(high * 16 + low);
  }
  if (all >= 0) return true;
  bytes.resize(before);
  return false;
}

std::string from_hex(std::string_view text) {
  std::string bytes;
  append_from_hex(bytes, text);
  return bytes;
}

std::string digest_hex(std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string_view without_quotes(std::string_view name) {
  const bool is_quoted = name.size() > 2 && name.front() == '"' && name.back() == '"' &&
                         name.find("\".\"") == std::string_view::npos;
  return is_quoted ? name.substr(1, name.size() - 2) : name;
}

std::string with_replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = text.find(what); !what.empty() && at != std::string::npos;
       at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

std::string masked(std::string text, const std::vector<std::string>& secrets) {
  for (const std::string& secret : secrets) text = with_replaced(std::move(text), secret, "***");
  return text;
}

namespace {

// Where a text that began behind `quote` ends; with a backslash, or said twice, it is part of it.
std::size_t end_of_quoted(std::string_view text, std::size_t at, char quote) {
  for (; at < text.size(); ++at) {
    const bool is_twice = text[at] == quote && text.substr(at + 1, 1) == text.substr(at, 1);
    if (text[at] == quote && !is_twice) return at;
    if (text[at] == '\\' || is_twice) ++at;
  }
  return text.size();
}

// Of what follows a scheme. Whoever writes a password as it is may have any character in it.
std::string without_password(std::string url) {
  constexpr std::string_view parameter = "password=";
  const std::size_t said = url.find(parameter);
  if (said != std::string::npos) url = url.substr(0, said + parameter.size()) + "***";
  const std::size_t host = url.rfind('@');
  const std::size_t colon = url.find(':');
  if (host != std::string::npos && colon < host) url.replace(colon + 1, host - colon - 1, "***");
  return url;
}

}  // namespace

std::string without_passwords(std::string text) {
  constexpr std::string_view scheme_end = "://";
  std::size_t at = 0;
  while ((at = text.find(scheme_end, at)) != std::string::npos) {
    const std::size_t begin = at + scheme_end.size();
    std::size_t scheme = at;
    while (scheme > 0 && std::isalnum(static_cast<unsigned char>(text[scheme - 1])) != 0) --scheme;
    const char before = scheme == 0 ? ' ' : text[scheme - 1];
    const bool is_quoted = before == '"' || before == '\'';
    const std::size_t end = is_quoted ? end_of_quoted(text, begin, before) : text.size();
    const std::string masked = without_password(text.substr(begin, end - begin));
    text.replace(begin, end - begin, masked);
    at = begin + masked.size();
  }
  return text;
}

bool is_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto c = static_cast<unsigned char>(text[i]);
    int more = 0;
    std::uint32_t code = c;
    if (c >= 0xf0 && c <= 0xf4) {
      more = 3;
      code = c & 7U;
    } else if (c >= 0xe0) {
      more = 2;
      code = c & 15U;
    } else if (c >= 0xc2) {
      more = 1;
      code = c & 31U;
    }
    if (c >= 0x80 && (more == 0 || c > 0xf4)) return false;
    for (int k = 0; k < more; ++k) {
      if (++i >= text.size()) return false;
      const auto next = static_cast<unsigned char>(text[i]);
      if ((next & 0xc0U) != 0x80) return false;
      code = code << 6 | (next & 63U);
    }
    if ((more == 2 && code < 0x800) || (more == 3 && (code < 0x10000 || code > 0x10ffff)) ||
        (code >= 0xd800 && code <= 0xdfff)) {
      return false;
    }
    ++i;
  }
  return true;
}

std::string printable(std::string_view text, int length_max) {
  std::string out;
  const bool utf8 = is_utf8(text);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    // A cut must not fall inside a character.
    if (static_cast<int>(out.size()) >= length_max && (byte & 0xc0U) != 0x80) return out + "…";
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !utf8)) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

bool ascii_iequals(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : int{c}; };
  return std::ranges::equal(a, b, std::ranges::equal_to(), lower, lower);
}

std::string ascii_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string ascii_upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

}  // namespace whimbrel
