#include "transform/spell.h"

#include <fmt/format.h>

namespace whimbrel {

namespace {

using Spelled = std::optional<std::string>;

struct Speller {
  const Dialect& dialect;
  const SpellColumn& column;

  Spelled sub(const ExprPtr& expr) const { return spell(*expr, dialect, column); }

  Spelled operator()(const ColumnRef& node) const { return column(node.column); }
  Spelled operator()(const Constant& node) const { return dialect.literal(node.value); }
  Spelled operator()(const CaseOf& node) const {
    const Spelled of = sub(node.of);
    if (!of) return of;
    return dialect.change_case(dialect.text_of(*of), node.how);
  }
  Spelled operator()(const Template& node) const {
    std::vector<std::string> texts;
    for (const ExprPtr& part : node.parts) {
      const Spelled of = sub(part);
      if (!of) return of;
      const bool literal = std::holds_alternative<Constant>(part->node);
      texts.push_back(literal ? *of : dialect.text_of(*of));
    }
    return dialect.joined(texts);
  }
  Spelled operator()(const JsonObject& node) const {
    std::vector<std::pair<std::string, std::string>> fields;
    for (const auto& [name, field] : node.fields) {
      const Spelled of = sub(field);
      if (!of) return of;
      fields.emplace_back(name, dialect.json_member(*of, gives_json(*field)));
    }
    return dialect.json_object(fields);
  }
  Spelled operator()(const JsonArray& node) const {
    std::vector<std::string> items;
    for (const ExprPtr& item : node.items) {
      const Spelled of = sub(item);
      if (!of) return of;
      items.push_back(dialect.json_member(*of, gives_json(*item)));
    }
    return dialect.json_array(items);
  }
  Spelled operator()(const JsonExtract& node) const {
    const Spelled of = sub(node.of);
    if (!of || !node.lenient) return std::nullopt;  // strict: a text that is no JSON must not pass
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
    std::string sql = "CASE";
    for (const ExprPtr& one : node.of) {
      const Spelled of = sub(one);
      if (!of) return of;
      sql += fmt::format(" WHEN {0} IS NOT NULL THEN {0}", *of);
    }
    return sql + " END";
  }
  Spelled operator()(const IfNull& node) const {
    const Spelled of = sub(node.of);
    const Spelled otherwise = sub(node.otherwise);
    if (!of || !otherwise) return std::nullopt;
    if (node.inputs.empty()) {
      return fmt::format("CASE WHEN {0} IS NULL THEN {1} ELSE {0} END", *of, *otherwise);
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
    const Spelled of = sub(node.of);
    if (!of) return of;
    return dialect.between(*of, node.prefix, node.suffix);
  }
  // These refuse some values; SQL would change them in silence.
  Spelled operator()(const Cast&) const { return std::nullopt; }
  Spelled operator()(const Split&) const { return std::nullopt; }
  Spelled operator()(const TimeConversion&) const { return std::nullopt; }
};

}  // namespace

std::optional<std::string> spell(const Expr& expr, const Dialect& dialect,
                                 const SpellColumn& column) {
  return std::visit(Speller{dialect, column}, expr.node);
}

}  // namespace whimbrel
