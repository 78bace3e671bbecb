#include "stores/dynamodb/partiql.h"

#include <algorithm>

#include "base/text.h"

namespace whimbrel::dynamodb {

namespace {

bool is_of_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

// One condition, from its first token on.
class Selection::Reader {
 public:
  Reader(const Selection& selection, std::string_view attribute)
      : selection_(selection), attribute_(attribute), at_(selection.condition_) {}

  bool any() {
    bool narrows = all();
    while (take("OR")) narrows = all() && narrows;
    return narrows;
  }

 private:
  bool ends() const {
    return at_ >= selection_.tokens_.size() || selection_.is_keyword(at_, "ORDER");
  }
  bool take(std::string_view word) {
    const bool is_it = !ends() && selection_.is_keyword(at_, word);
    if (is_it) ++at_;
    return is_it;
  }

  bool all() {
    bool narrows = one();
    while (take("AND")) narrows = one() || narrows;
    return narrows;
  }

  bool one() {
    if (take("NOT")) {
      one();
      return false;
    }
    if (take("(")) {
      const bool narrows = any();
      take(")");
      return narrows;
    }
    const std::size_t first = at_;
    bool is_between = false;
    for (int depth = 0; !ends(); ++at_) {
      if (selection_.is_keyword(at_, "(") || selection_.is_keyword(at_, "[")) ++depth;
      const bool closes = selection_.is_keyword(at_, ")") || selection_.is_keyword(at_, "]");
      if (closes && depth == 0) break;
      if (closes) --depth;
      if (depth > 0) continue;
      if (selection_.is_keyword(at_, "BETWEEN")) is_between = true;
      const bool is_and = selection_.is_keyword(at_, "AND");
      if (is_and && is_between) {
        is_between = false;
      } else if (is_and || selection_.is_keyword(at_, "OR")) {
        break;
      }
    }
    const bool equals = at_ > first + 2 && (selection_.is_keyword(first + 1, "=") ||
                                            selection_.is_keyword(first + 1, "IN"));
    return equals && selection_.tokens_[first].text == attribute_;
  }

  const Selection& selection_;
  std::string_view attribute_;
  std::size_t at_;
};

Selection::Selection(std::string_view statement) {
  for (std::size_t at = 0; at < statement.size();) {
    const char c = statement[at];
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      ++at;
    } else if (c == '\'' || c == '"') {
      const std::size_t end = std::min(statement.find(c, at + 1), statement.size());
      tokens_.push_back({std::string(statement.substr(at + 1, end - at - 1)), true});
      at = end + 1;
    } else {
      std::size_t end = at;
      while (end < statement.size() && is_of_word(statement[end])) ++end;
      end = std::max(end, at + 1);
      tokens_.push_back({std::string(statement.substr(at, end - at))});
      at = end;
    }
  }
  condition_ = tokens_.size();
  for (std::size_t at = 0; at < tokens_.size(); ++at) {
    if (is_keyword(at, "FROM") && table_.empty() && at + 1 < tokens_.size()) {
      table_ = tokens_[at + 1].text;
      const bool has_index = at + 3 < tokens_.size() && is_keyword(at + 2, ".");
      if (has_index) index_ = tokens_[at + 3].text;
    }
    if (is_keyword(at, "WHERE")) {
      condition_ = at + 1;
      break;
    }
  }
}

bool Selection::is_keyword(std::size_t at, std::string_view word) const {
  return at < tokens_.size() && !tokens_[at].quoted && ascii_iequals(tokens_[at].text, word);
}

bool Selection::finds_by(std::string_view attribute) const {
  return condition_ < tokens_.size() && Reader(*this, attribute).any();
}

}  // namespace whimbrel::dynamodb
