#include "stores/postgresql/uncast.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace whimbrel::postgresql {

namespace {

constexpr std::string_view cast = "::text";

// A name as the server writes it, quoted or not; `at` goes behind it.
std::optional<std::string> name_at(std::string_view sql, std::size_t& at) {
  std::string name;
  if (at < sql.size() && sql[at] == '"') {
    for (++at; at < sql.size(); ++at) {
      if (sql[at] == '"' && (at + 1 == sql.size() || sql[at + 1] != '"')) {
        ++at;
        return name;
      }
      if (sql[at] == '"') ++at;
      name += sql[at];
    }
    return std::nullopt;
  }
  while (at < sql.size() && sql.substr(at, 1).find_first_of(" ()[]{}.,:;'\"=<>") != 0) {
    name += sql[at++];
  }
  return name.empty() ? std::nullopt : std::optional(name);
}

bool is_cast_at(std::string_view sql, std::size_t at) {
  if (sql.substr(at, cast.size()) != cast) return false;
  return at + cast.size() == sql.size() ||
         sql.substr(at + cast.size(), 1).find_first_of(" ),;\n") == 0;
}

// `(table.column)::text` of one of the columns; without the cast.
std::optional<std::string> column_at(std::string_view sql, std::size_t& at,
                                     const std::vector<std::string>& columns) {
  if (at >= sql.size() || sql[at] != '(') return std::nullopt;
  std::size_t end = at + 1;
  std::optional<std::string> name = name_at(sql, end);
  if (name && end < sql.size() && sql[end] == '.') name = name_at(sql, ++end);
  if (!name || end >= sql.size() || sql[end] != ')') return std::nullopt;
  if (std::ranges::count(columns, *name) == 0 || !is_cast_at(sql, end + 1)) return std::nullopt;
  const std::string written(sql.substr(at + 1, end - at - 1));
  at = end + 1 + cast.size();
  return written;
}

constexpr std::string_view comparing_words[] = {" = ", " <> "};
constexpr std::string_view searching_words[] = {" IN ( SELECT ", " = ANY ( SELECT ",
                                                " <> ALL ( SELECT "};

// A comparison for equality without its casts, or its left side where a query follows, whose own
// texts are looked at in their turn. What is equal as texts is equal as it is, whatever it is.
std::optional<std::string> comparison_at(std::string_view sql, std::size_t& at,
                                         const std::vector<std::string>& columns) {
  std::size_t end = at;
  const std::optional<std::string> left = column_at(sql, end, columns);
  if (!left) return std::nullopt;
  for (const std::string_view word : searching_words) {
    if (!sql.substr(end).starts_with(word)) continue;
    at = end;
    return left;
  }
  for (const std::string_view word : comparing_words) {
    if (!sql.substr(end).starts_with(word)) continue;
    std::size_t behind = end + word.size();
    const std::optional<std::string> right = column_at(sql, behind, columns);
    if (!right) return std::nullopt;
    at = behind;
    return *left + std::string(word) + *right;
  }
  return std::nullopt;
}

// Behind a literal or a quoted name that begins at `at`; what looks like a comparison in it is
// none.
std::size_t behind_quotes(std::string_view sql, std::size_t at) {
  const char quote = sql[at];
  for (++at; at < sql.size(); ++at) {
    if (sql[at] != quote) continue;
    if (at + 1 == sql.size() || sql[at + 1] != quote) return at + 1;
    ++at;
  }
  return at;
}

}  // namespace

Uncast uncast_comparisons(const std::string& sql, const std::vector<std::string>& columns) {
  Uncast made;
  for (std::size_t at = 0; at < sql.size();) {
    if (const auto comparison = comparison_at(sql, at, columns)) {
      made.sql += *comparison;
      ++made.comparisons;
    } else if (sql[at] == '\'' || sql[at] == '"') {
      const std::size_t end = behind_quotes(sql, at);
      made.sql += sql.substr(at, end - at);
      at = end;
    } else {
      made.sql += sql[at++];
    }
  }
  return made;
}

}  // namespace whimbrel::postgresql
