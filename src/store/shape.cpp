#include "store/shape.h"

#include <algorithm>

namespace whimbrel {

namespace {

bool has_pieces(const std::vector<std::string>& literals, std::string_view text) {
  const std::string& first = literals.front();
  const std::string& last = literals.back();
  if (literals.size() == 1) return text == first;
  if (text.size() < first.size() + last.size() || !text.starts_with(first) ||
      !text.ends_with(last)) {
    return false;
  }
  text = text.substr(first.size(), text.size() - first.size() - last.size());
  for (std::size_t i = 1; i + 1 < literals.size(); ++i) {
    const std::size_t at = text.find(literals[i]);
    if (at == std::string_view::npos) return false;
    text.remove_prefix(at + literals[i].size());
  }
  return true;
}

bool begins_alike(const std::string& one, const std::string& other) {
  return one.starts_with(other) || other.starts_with(one);
}
bool ends_alike(const std::string& one, const std::string& other) {
  return one.ends_with(other) || other.ends_with(one);
}

}  // namespace

KeyPattern pattern_of(const Expr& expr) {
  if (const auto* constant = std::get_if<Constant>(&expr.node)) return {constant->value, {}};
  const auto* text = std::get_if<Template>(&expr.node);
  if (text == nullptr) return {};
  KeyPattern pattern{std::nullopt, {""}};
  for (const ExprPtr& part : text->parts) {
    const auto* literal = std::get_if<Constant>(&part->node);
    if (literal == nullptr) {
      pattern.literals.emplace_back();
    } else if (const auto* piece = literal->value.get_if<std::string>()) {
      pattern.literals.back() += *piece;
    } else {
      return {};
    }
  }
  return pattern;
}

bool fits(const KeyPattern& pattern, const Value& value) {
  if (pattern.constant) return is_equal(*pattern.constant, value);
  if (pattern.literals.empty()) return true;
  const auto* text = value.get_if<std::string>();
  return text != nullptr && has_pieces(pattern.literals, *text);
}

bool are_apart(const KeyPattern& one, const KeyPattern& other) {
  if (one.constant) return !fits(other, *one.constant);
  if (other.constant) return !fits(one, *other.constant);
  if (one.literals.empty() || other.literals.empty()) return false;
  return !begins_alike(one.literals.front(), other.literals.front()) ||
         !ends_alike(one.literals.back(), other.literals.back());
}

bool TargetShape::has(const Row& key_of_row) const {
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (!fits(key[i], key_of_row[i])) return false;
  }
  return true;
}

bool are_apart(const TargetShape& one, const TargetShape& other) {
  for (std::size_t i = 0; i < one.key.size() && i < other.key.size(); ++i) {
    if (are_apart(one.key[i], other.key[i])) return true;
  }
  return false;
}

}  // namespace whimbrel
