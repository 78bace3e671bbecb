#include "plan/measures.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace whimbrel {

namespace {

bool begins_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name(char c) { return begins_name(c) || (c >= '0' && c <= '9'); }

// Behind a text, a quoted name or a comment that begins here; `at` itself where none does.
std::size_t behind_opaque(std::string_view sql, std::size_t at) {
  const auto behind = [&](std::string_view end, std::size_t from) {
    const std::size_t found = sql.find(end, from);
    return found == std::string_view::npos ? sql.size() : found + end.size();
  };
  const char c = sql[at];
  if (c == '\'' || c == '"' || c == '`') return behind(std::string_view(&sql[at], 1), at + 1);
  // A quoted name, or a list that may hold parameters.
  const std::size_t end = c == '[' ? behind("]", at + 1) : at;
  if (end != at && sql.substr(at, end - at).find(':') == std::string_view::npos) return end;
  if (sql.substr(at, 2) == "--") return behind("\n", at + 2);
  if (sql.substr(at, 2) == "/*") return behind("*/", at + 2);
  return at;
}

}  // namespace

const std::vector<CriterionKind>& criterion_kinds() {
  static const std::vector<CriterionKind> kinds = {
      {"lost", Unit::rows, Bound::at_most, "rows lost", "0"},
      {"errors", Unit::share, Bound::at_most, "queries that failed", "0.1%"},
      {"same_answers", Unit::share, Bound::at_least, "answers that are the same on both sides",
       "100%"},
      {"p50_change", Unit::change, Bound::at_most, "change of the median", "-30%"},
      {"p95_change", Unit::change, Bound::at_most, "change of the 95th percentile", "-30%"},
      {"p99_change", Unit::change, Bound::at_most, "change of the 99th percentile", "0%"},
      {"p50", Unit::duration, Bound::at_most, "median", "5ms"},
      {"p95", Unit::duration, Bound::at_most, "95th percentile", "20ms"},
      {"p99", Unit::duration, Bound::at_most, "99th percentile", "50ms"},
      {"throughput_change", Unit::change, Bound::at_least, "change of queries a second", "20%"},
      {"storage_change", Unit::change, Bound::at_most, "change of the room taken", "-20%"},
      {"longest_stall", Unit::duration, Bound::at_most, "longest time a writer was kept waiting",
       "500ms"},
      {"writer_uptime", Unit::share, Bound::at_least, "time in which writers could write", "99.9%"},
  };
  return kinds;
}

const CriterionKind* criterion_kind(std::string_view name) {
  const auto& kinds = criterion_kinds();
  const auto it =
      std::ranges::find_if(kinds, [&](const CriterionKind& kind) { return kind.name == name; });
  return it == kinds.end() ? nullptr : &*it;
}

std::vector<std::pair<std::string, std::size_t>> parameters_of(std::string_view sql) {
  std::vector<std::pair<std::string, std::size_t>> found;
  std::size_t at = 0;
  while (at < sql.size()) {
    if (const std::size_t behind = behind_opaque(sql, at); behind != at) {
      at = behind;
      continue;
    }
    const bool is_cast = sql.substr(at, 2) == "::";
    const bool is_parameter = sql[at] == ':' && at + 1 < sql.size() && begins_name(sql[at + 1]);
    if (!is_parameter) {
      at += is_cast ? 2 : 1;
      continue;
    }
    std::size_t end = at + 1;
    while (end < sql.size() && is_name(sql[end])) ++end;
    std::string name(sql.substr(at + 1, end - at - 1));
    const bool known =
        std::ranges::any_of(found, [&](const auto& other) { return other.first == name; });
    if (!known) found.emplace_back(std::move(name), at);
    at = end;
  }
  return found;
}

std::optional<double> parse_per_cent(std::string_view text) {
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  const bool has_sign = text.ends_with('%');
  if (has_sign) text.remove_suffix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  if (text.starts_with('+')) text.remove_prefix(1);
  double number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) {
    return std::nullopt;
  }
  // Nothing is nothing; any other number without its sign may have been meant as a share of one.
  if (!has_sign && number != 0) return std::nullopt;
  return number;
}

}  // namespace whimbrel
