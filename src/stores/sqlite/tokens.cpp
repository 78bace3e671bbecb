#include "stores/sqlite/tokens.h"

#include <algorithm>
#include <cctype>
#include <string>

#include "base/text.h"

namespace whimbrel::sqlite {

namespace {

bool in_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' ||
         (c & 0x80) != 0;
}

// Behind what begins at `at`: a quoted text or name, a comment, a word, or one character.
std::size_t behind(std::string_view sql, std::size_t at) {
  const char c = sql[at];
  const auto after = [&](std::size_t found, std::size_t length) {
    return found == std::string_view::npos ? sql.size() : found + length;
  };
  if (sql.substr(at, 2) == "--") return after(sql.find('\n', at), 1);
  if (sql.substr(at, 2) == "/*") return after(sql.find("*/", at + 2), 2);
  if (c == '[') return after(sql.find(']', at), 1);
  if (c == '\'' || c == '"' || c == '`') {
    std::size_t end = at + 1;
    while (end < sql.size() && (sql[end] != c || sql.substr(end, 2) == std::string(2, c))) {
      end += sql[end] == c ? 2 : 1;
    }
    return std::min(end + 1, sql.size());
  }
  if (!in_word(c)) return at + 1;
  while (at < sql.size() && in_word(sql[at])) ++at;
  return at;
}

bool is_space_or_comment(std::string_view token) {
  return token.starts_with("--") || token.starts_with("/*") ||
         std::isspace(static_cast<unsigned char>(token.front())) != 0;
}

}  // namespace

Tokens tokens_of(std::string_view sql) {
  Tokens tokens;
  for (std::size_t at = 0; at < sql.size();) {
    const std::size_t end = behind(sql, at);
    const std::string_view token = sql.substr(at, end - at);
    if (!is_space_or_comment(token)) tokens.push_back(token);
    at = end;
  }
  return tokens;
}

bool is_word(std::string_view token) { return in_word(token.front()); }

std::string unquoted(std::string_view token) {
  const char c = token.front();
  if (c != '"' && c != '`' && c != '[' && c != '\'') return std::string(token);
  std::string name;
  for (std::size_t i = 1; i + 1 < token.size(); ++i) {
    name += token[i];
    if (token[i] == c && c != '[') ++i;
  }
  return name;
}

bool any_names(Tokens::const_iterator begin, Tokens::const_iterator end, std::string_view name) {
  return std::any_of(
      begin, end, [name](std::string_view token) { return ascii_iequals(unquoted(token), name); });
}

bool any_sets(const Tokens& trigger, std::string_view table, std::string_view column) {
  const auto is = [](std::string_view token, std::string_view word) {
    return ascii_iequals(token, word);
  };
  auto it =
      std::ranges::find_if(trigger, [&](std::string_view token) { return is(token, "begin"); });
  bool is_of_the_table = false;
  bool in_set = false;
  int depth = 0;  // of parentheses, since SET
  for (; it != trigger.end(); ++it) {
    if (*it == ";") is_of_the_table = in_set = false;
    if (is(*it, "update") || is(*it, "into")) {
      auto name = std::next(it);
      if (trigger.end() - name > 2 && is(*name, "or")) name += 2;
      is_of_the_table = name != trigger.end() && any_names(name, std::next(name), table);
      // An INSERT gives all columns a value, whether it names them or not.
      if (is_of_the_table && is(*it, "into")) return true;
    }
    if (*it == "(") ++depth;
    if (*it == ")") --depth;
    if (is(*it, "set")) {
      in_set = true;
      depth = 0;
    }
    if (depth <= 0 && (is(*it, "where") || is(*it, "from"))) in_set = false;
    // `a.b` reads, and is no target; `(a, b) = …` sets both.
    const bool is_of_a_row = it != trigger.begin() && *std::prev(it) == ".";
    const bool names = is_of_the_table && in_set && !is_of_a_row;
    if (names && any_names(it, std::next(it), column)) return true;
  }
  return false;
}

}  // namespace whimbrel::sqlite
