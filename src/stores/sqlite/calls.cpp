#include "stores/sqlite/calls.h"

#include <algorithm>

#include "base/text.h"

namespace whimbrel::sqlite {

namespace {

std::size_t closing(const Tokens& tokens, std::size_t open) {
  int depth = 0;
  for (std::size_t i = open; i < tokens.size(); ++i) {
    if (tokens[i] == "(") ++depth;
    if (tokens[i] == ")" && --depth == 0) return i;
  }
  return tokens.size();
}

// Functions of SQLite that give something for whatever they get, and words before a bracket that
// are none (https://www.sqlite.org/lang_corefunc.html). abs() is not among them: it fails for the
// smallest integer.
bool gives_something_always(std::string_view word) {
  static constexpr std::string_view words[] = {
      "lower",    "upper",      "length",    "substr",   "substring", "trim",    "ltrim",
      "rtrim",    "coalesce",   "ifnull",    "nullif",   "iif",       "instr",   "hex",
      "quote",    "typeof",     "unicode",   "round",    "min",       "max",     "date",
      "time",     "datetime",   "julianday", "strftime", "unixepoch", "replace", "likely",
      "unlikely", "json_valid", "sign",      "cast",     "on",        "where",   "and",
      "or",       "not",        "in",        "is",       "when",      "then",    "else",
      "case",     "end",        "between",   "like",     "glob",      "collate"};
  return std::ranges::any_of(words, [&](std::string_view one) { return ascii_iequals(word, one); });
}

}  // namespace

Tokens indexed_part(std::string_view ddl) {
  const Tokens tokens = tokens_of(ddl);
  const auto on =
      std::ranges::find_if(tokens, [](std::string_view t) { return ascii_iequals(t, "ON"); });
  return {on, tokens.end()};
}

Tokens computed_part(std::string_view ddl) {
  const Tokens tokens = tokens_of(ddl);
  Tokens part;
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (!ascii_iequals(tokens[i], "AS") || tokens[i + 1] != "(") continue;
    const std::size_t end = closing(tokens, i + 1);
    part.insert(part.end(), tokens.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                tokens.begin() + static_cast<std::ptrdiff_t>(std::min(end + 1, tokens.size())));
    i = end;
  }
  return part;
}

std::vector<Tokens> checks_of(std::string_view ddl) {
  const Tokens tokens = tokens_of(ddl);
  std::vector<Tokens> all;
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (!ascii_iequals(tokens[i], "CHECK") || tokens[i + 1] != "(") continue;
    const std::size_t end = std::min(closing(tokens, i + 1), tokens.size());
    all.emplace_back(tokens.begin() + static_cast<std::ptrdiff_t>(i) + 2,
                     tokens.begin() + static_cast<std::ptrdiff_t>(end));
    i = end;
  }
  return all;
}

std::vector<std::string> calls_that_can_fail(
    const Tokens& part, const std::function<std::string(std::string_view)>& source_name,
    const std::vector<std::string>& known) {
  const auto joined = [](const Tokens& tokens, auto&& spelled) {
    std::string text;
    for (const std::string_view token : tokens) text += spelled(token) + " ";
    return ascii_lower(text);
  };
  const auto as_it_is = [](std::string_view token) { return std::string(token); };
  std::vector<std::string> found;
  for (std::size_t i = 1; i < part.size(); ++i) {
    const bool arrow = part[i - 1] == "-" && part[i] == ">";
    const bool call =
        part[i] == "(" && is_word(part[i - 1]) && !gives_something_always(part[i - 1]) &&
        (i < 2 || (!ascii_iequals(part[i - 2], "AS") && !ascii_iequals(part[i - 2], "ON")));
    if (!arrow && !call) continue;
    const std::size_t end = arrow ? std::min(i + 2, part.size() - 1) : closing(part, i);
    const std::size_t begin = arrow ? (i < 2 ? 0 : i - 2) : i - 1;
    const Tokens piece(part.begin() + static_cast<std::ptrdiff_t>(begin),
                       part.begin() + static_cast<std::ptrdiff_t>(std::min(end + 1, part.size())));
    const std::string there = joined(piece, source_name);
    if (std::ranges::any_of(known, [&](const std::string& text) {
          return joined(tokens_of(text), as_it_is).find(there) != std::string::npos;
        })) {
      continue;
    }
    const char* const from = &piece.front().front();  // no token is empty
    std::string shown(from, &piece.back().back() + 1);
    if (std::ranges::find(found, shown) == found.end()) found.push_back(std::move(shown));
    i = std::max(i, std::min(end, part.size()));
  }
  return found;
}

}  // namespace whimbrel::sqlite
