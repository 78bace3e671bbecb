#include "stores/postgresql/unreferring.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <vector>

#include "base/text.h"

namespace whimbrel::postgresql {

namespace {

struct Token {
  std::string_view text;
  std::size_t at = 0;
  int depth = 0;  // of the parentheses around it
};

bool in_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' ||
         (c & 0x80) != 0;
}

// Behind what begins at `at`: a quoted text or name, a comment, a word, or one character.
std::size_t behind(std::string_view sql, std::size_t at) {
  const auto after = [&](std::string_view end, std::size_t from) {
    const std::size_t found = sql.find(end, from);
    return found == std::string_view::npos ? sql.size() : found + end.size();
  };
  if (sql.substr(at, 2) == "--") return after("\n", at);
  if (sql.substr(at, 2) == "/*") return after("*/", at + 2);
  if (sql[at] == '\'' || sql[at] == '"') return after(sql.substr(at, 1), at + 1);
  if (sql[at] == '$') {
    const std::size_t end = sql.find('$', at + 1);
    if (end != std::string_view::npos) return after(sql.substr(at, end - at + 1), end + 1);
  }
  std::size_t end = at;
  while (end < sql.size() && in_word(sql[end])) ++end;
  return std::max(end, at + 1);
}

std::vector<Token> tokens_of(std::string_view sql) {
  std::vector<Token> tokens;
  int depth = 0;
  for (std::size_t at = 0; at < sql.size();) {
    const std::size_t end = behind(sql, at);
    const std::string_view text = sql.substr(at, end - at);
    const bool is_nothing = text.starts_with("--") || text.starts_with("/*") ||
                            std::isspace(static_cast<unsigned char>(text.front())) != 0;
    if (text == ")") --depth;
    if (!is_nothing) tokens.push_back({text, at, depth});
    if (text == "(") ++depth;
    at = end;
  }
  return tokens;
}

class Cutting {
 public:
  explicit Cutting(std::string_view sql) : sql_(sql), tokens_(tokens_of(sql)) {}

  std::string rest() {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (is(i, "references")) i = std::max(i, cut(i));
    }
    std::string text;
    std::size_t from = 0;
    for (const auto& [begin, end] : gaps_) {
      if (begin < from) continue;
      text += sql_.substr(from, begin - from);
      from = end;
    }
    return text + std::string(sql_.substr(from));
  }

 private:
  bool is(std::size_t at, std::string_view word) const {
    return at < tokens_.size() && ascii_iequals(tokens_[at].text, word);
  }
  bool is_one_of(std::size_t at, std::initializer_list<std::string_view> words) const {
    return std::ranges::any_of(words, [&](std::string_view word) { return is(at, word); });
  }

  // From the foreign key that says REFERENCES there; gives its last token.
  std::size_t cut(std::size_t at) {
    const int depth = tokens_[at].depth;
    std::size_t begin = at;  // of the column, the constraint or the statement
    while (begin > 0 && !(is(begin - 1, ";") || (tokens_[begin - 1].depth < depth) ||
                          (tokens_[begin - 1].depth == depth && is(begin - 1, ",")))) {
      --begin;
    }
    const std::size_t said = is(begin, "constraint") ? begin + 2 : begin;
    const bool is_of_the_table = is(said, "foreign");
    const bool is_a_right = is(begin, "grant") || is(begin, "revoke");
    if (is_a_right) return at;
    const bool is_a_statement = is(begin, "alter") && adds_a_key(begin, at);
    std::size_t end = at + 1;
    if (is_of_the_table || is_a_statement) {
      while (end < tokens_.size() && !is(end, ";") && tokens_[end].depth >= depth &&
             !(tokens_[end].depth == depth && is(end, ",") && is_of_the_table)) {
        ++end;
      }
      if (is_of_the_table) {
        // With the comma that parts it from its neighbour.
        const bool is_first = begin > 0 && is(begin - 1, "(");
        if (!is_first) --begin;
        if (is_first && is(end, ",")) ++end;
      }
    } else {
      begin = at;
      if (at >= 2 && is(at - 2, "constraint")) begin = at - 2;
      end = behind_the_reference(at);
    }
    gaps_.emplace_back(tokens_[begin].at, end < tokens_.size() ? tokens_[end].at : sql_.size());
    return end - 1;
  }

  // ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES …
  bool adds_a_key(std::size_t begin, std::size_t at) const {
    while (begin < at && !is(begin, "foreign")) ++begin;
    return begin < at;
  }

  // REFERENCES a.b (c) MATCH FULL ON DELETE SET NULL (c) NOT DEFERRABLE INITIALLY IMMEDIATE
  std::size_t behind_the_reference(std::size_t at) const {
    std::size_t end = at + 2;
    while (is(end, ".")) end += 2;
    end = behind_parentheses(end);
    while (end < tokens_.size()) {
      const bool is_not = is(end, "not") && is_one_of(end + 1, {"deferrable", "enforced", "valid"});
      if (is_not || is_one_of(end, {"match", "initially"})) {
        end += 2;
      } else if (is(end, "on")) {
        end += is_one_of(end + 2, {"set", "no"}) ? 4 : 3;
        end = behind_parentheses(end);
      } else if (is_one_of(end, {"deferrable", "enforced"})) {
        ++end;
      } else {
        break;
      }
    }
    return std::min(end, tokens_.size());
  }
  std::size_t behind_parentheses(std::size_t at) const {
    if (!is(at, "(")) return at;
    const int depth = tokens_[at].depth;
    do {
      ++at;
    } while (at < tokens_.size() && tokens_[at].depth > depth);
    return at + 1;
  }

  std::string_view sql_;
  std::vector<Token> tokens_;
  std::vector<std::pair<std::size_t, std::size_t>> gaps_;
};

}  // namespace

std::string without_foreign_keys(std::string_view sql) { return Cutting(sql).rest(); }

}  // namespace whimbrel::postgresql
