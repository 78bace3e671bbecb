#include "transform/spell.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace whimbrel {

namespace {

using Spelled = std::optional<std::string>;

// What SQL no longer tells from a number or a text. As a stored value that is the same; inside of a
// text or a document it is not, so there it has to be known before.
struct Gives {
  bool boolean = false;
  bool json = false;
  bool other = false;

  Gives operator|(const Gives& more) const {
    return {boolean || more.boolean, json || more.json, other || more.other};
  }
};

Gives gives(const Value& value) {
  if (value.is_null()) return {};
  const bool boolean = value.kind() == Kind::boolean;
  const bool json = value.kind() == Kind::json;
  return {boolean, json, !boolean && !json};
}

Gives gives(const Expr& expr) {
  if (const auto* node = std::get_if<Constant>(&expr.node)) return gives(node->value);
  if (const auto* node = std::get_if<IfNull>(&expr.node))
    return gives(*node->of) | gives(*node->otherwise);
  if (const auto* node = std::get_if<Coalesce>(&expr.node)) {
    Gives all;
    for (const ExprPtr& one : node->of) all = all | gives(*one);
    return all;
  }
  if (const auto* node = std::get_if<MapValues>(&expr.node)) {
    Gives all = node->keep_others ? gives(*node->of) : Gives{};
    if (node->otherwise) all = all | gives(*node->otherwise);
    for (const auto& [from, to] : node->pairs) all = all | gives(to);
    return all;
  }
  const bool json = is_document(expr);
  return {false, json, !json};
}

struct Speller {
  const Spelling& dialect;
  const SpellColumn& column;

  Spelled sub(const ExprPtr& expr) const { return spell(*expr, dialect, column); }
  Spelled text(const ExprPtr& expr) const {
    const auto* constant = std::get_if<Constant>(&expr->node);
    if (constant != nullptr && constant->value.kind() == Kind::boolean) {
      return dialect.literal(Value::text(constant->value.get<bool>() ? "true" : "false"));
    }
    if (constant != nullptr && constant->value.kind() == Kind::text) return sub(expr);
    const Spelled of = gives(*expr).boolean ? std::nullopt : sub(expr);
    return of ? Spelled(dialect.text_of(*of)) : of;
  }
  Spelled member(const ExprPtr& expr) const {
    if (const auto* constant = std::get_if<Constant>(&expr->node)) {
      return dialect.json_constant(constant->value);
    }
    const Gives what = gives(*expr);
    if (what.boolean || (what.json && what.other)) return std::nullopt;
    const Spelled of = sub(expr);
    return of ? Spelled(dialect.json_member(*of, what.json)) : of;
  }

  Spelled operator()(const ColumnRef& node) const { return column(node.column); }
  Spelled operator()(const Constant& node) const { return dialect.literal(node.value); }
  Spelled operator()(const CaseOf& node) const {
    const Spelled of = text(node.of);
    return of ? Spelled(dialect.change_case(*of, node.how)) : of;
  }
  Spelled operator()(const Template& node) const {
    std::vector<std::string> texts;
    for (const ExprPtr& part : node.parts) {
      const Spelled of = text(part);
      if (!of) return of;
      texts.push_back(*of);
    }
    return dialect.joined(texts);
  }
  Spelled operator()(const JsonObject& node) const {
    std::vector<std::pair<std::string, std::string>> fields;
    for (const auto& [name, field] : node.fields) {
      const Spelled of = member(field);
      if (!of) return of;
      fields.emplace_back(name, *of);
    }
    return dialect.json_object(fields);
  }
  Spelled operator()(const JsonArray& node) const {
    std::vector<std::string> items;
    for (const ExprPtr& item : node.items) {
      const Spelled of = member(item);
      if (!of) return of;
      items.push_back(*of);
    }
    return dialect.json_array(items);
  }
  Spelled operator()(const JsonExtract& node) const {
    // Strict: a text that is no JSON must not pass.
    const Spelled of = node.lenient && !gives(*node.of).boolean ? sub(node.of) : std::nullopt;
    if (!of) return of;
    return dialect.json_extract(*of, node.path);
  }
  Spelled operator()(const MapValues& node) const {
    const Spelled of = sub(node.of);
    if (!of || (!node.otherwise && !node.keep_others)) return std::nullopt;
    std::string sql = fmt::format("CASE WHEN {} IS NULL THEN NULL", *of);
    for (const auto& [from, to] : node.pairs) {
      const Spelled left = dialect.literal(from);
      const Spelled right = dialect.literal(to);
      if (!left || !right) return std::nullopt;
      sql += fmt::format(" WHEN {} THEN {}", dialect.is_value(*of, from, *left), *right);
    }
    const Spelled rest = node.keep_others ? of : dialect.literal(*node.otherwise);
    if (!rest) return rest;
    return sql + fmt::format(" ELSE {} END", *rest);
  }
  Spelled operator()(const Coalesce& node) const {
    std::vector<std::string> parts;
    for (const ExprPtr& one : node.of) {
      Spelled of = sub(one);
      if (!of) return of;
      parts.push_back(*std::move(of));
    }
    if (parts.size() == 1) return parts.front();
    constexpr std::size_t arguments_max = 100;  // of a function, in a store
    std::string sql;
    while (!parts.empty()) {
      const std::size_t count = std::min(parts.size(), arguments_max - 1);
      std::vector<std::string> last(parts.end() - static_cast<std::ptrdiff_t>(count), parts.end());
      parts.resize(parts.size() - count);
      if (!sql.empty()) last.push_back(std::move(sql));
      sql = last.size() == 1 ? last.front() : "coalesce(" + join(last, ", ") + ")";
    }
    return sql;
  }
  Spelled operator()(const IfNull& node) const {
    const Spelled of = sub(node.of);
    const Spelled otherwise = sub(node.otherwise);
    if (!of || !otherwise) return std::nullopt;
    if (node.inputs.empty()) {
      return fmt::format("coalesce({}, {})", *of, *otherwise);
    }
    std::string test;
    for (const ExprPtr& input : node.inputs) {
      const Spelled one = sub(input);
      if (!one) return one;
      test += fmt::format("{}{} IS NULL", test.empty() ? "" : " AND ", *one);
    }
    return fmt::format("CASE WHEN {} THEN {} ELSE {} END", test, *otherwise, *of);
  }
  Spelled operator()(const Between& node) const {
    const bool is_spelled = node.separators.empty() && !gives(*node.of).boolean;
    const Spelled of = is_spelled ? sub(node.of) : std::nullopt;
    return of ? Spelled(dialect.between(*of, node.prefix, node.suffix)) : of;
  }
  // These refuse some values; SQL would change them in silence.
  Spelled operator()(const Cast&) const { return std::nullopt; }
  Spelled operator()(const Split&) const { return std::nullopt; }
  Spelled operator()(const TimeConversion&) const { return std::nullopt; }
  // No database computes it.
  Spelled operator()(const HashId&) const { return std::nullopt; }
  Spelled operator()(const NewIdsInside&) const { return std::nullopt; }
  Spelled operator()(const Masked&) const { return std::nullopt; }
  Spelled operator()(const Respelled&) const { return std::nullopt; }
};

}  // namespace

std::optional<std::string> spell(const Expr& expr, const Dialect& dialect,
                                 const SpellColumn& column) {
  if (const Spelling* spelling = dialect.spelling()) {
    return std::visit(Speller{*spelling, column}, expr.node);
  }
  const auto* copied = std::get_if<ColumnRef>(&expr.node);
  return copied == nullptr ? Spelled() : column(copied->column);
}

}  // namespace whimbrel
