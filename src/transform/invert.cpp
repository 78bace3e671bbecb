// The inverter: the way back after the switch. What it cannot give back, it names.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "transform/expr.h"

namespace whimbrel {

namespace {

const ColumnRef* as_column(const ExprPtr& expr) { return std::get_if<ColumnRef>(&expr->node); }

Kind holds(const TableSchema& source, const ColumnRef& column) {
  const int at = source.column_index(column.column);
  return at < 0 ? Kind::null : source.columns[static_cast<std::size_t>(at)].holds;
}

bool is_number(Kind kind) {
  return kind == Kind::int64 || kind == Kind::real || kind == Kind::decimal;
}

// A column with a type of its own takes a text back as that type; one without keeps it a text.
Inverse from_text(const std::string& column, ExprPtr expr, Kind kind) {
  const bool exact = kind != Kind::null && kind != Kind::bytes;
  return {column, std::move(expr), exact,
          exact ? "" : fmt::format("what is no text in {} comes back as text", column)};
}

std::vector<Inverse> invert_template(const ExprPtr& back, const Template& node,
                                     const TableSchema& source) {
  std::string prefix;
  std::string suffix;
  const ColumnRef* insert = nullptr;
  for (const ExprPtr& part : node.parts) {
    if (const auto* literal = std::get_if<Constant>(&part->node)) {
      const auto* text = literal->value.get_if<std::string>();
      if (text == nullptr) return {};
      (insert == nullptr ? prefix : suffix) += *text;
    } else if (const ColumnRef* column = as_column(part); column != nullptr && insert == nullptr) {
      insert = column;
    } else {
      return {};
    }
  }
  if (insert == nullptr) return {};
  return {
      from_text(insert->column, make_expr(Between{back, prefix, suffix}), holds(source, *insert))};
}

// A name with a quote cannot be said in a path, and one that JSON escapes is not found by it.
bool can_be_in_a_path(const std::string& name) {
  return std::ranges::all_of(
      name, [](char c) { return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20; });
}

std::vector<Inverse> invert_json(const ExprPtr& back, const JsonObject& node) {
  std::vector<Inverse> all;
  std::set<std::string> seen;
  for (const auto& [name, field] : node.fields) {
    const bool first = seen.insert(name).second;
    const ColumnRef* column = as_column(field);
    if (column == nullptr || !first || !can_be_in_a_path(name)) continue;
    all.push_back(
        {column->column, make_expr(JsonExtract{back, "$.\"" + name + "\"", true}), true, ""});
  }
  return all;
}

std::vector<Inverse> invert_map(const ExprPtr& back, const MapValues& node) {
  const ColumnRef* column = as_column(node.of);
  if (column == nullptr) return {};
  MapValues turned{back, {}, std::nullopt, true};
  std::set<std::string> seen;
  bool exact = !node.otherwise && !node.keep_others;
  for (const auto& [from, to] : node.pairs) {
    const bool is_found = !to.is_null() && !same(to, Value::real(-0.0));
    if (!is_found || !seen.insert(canonical({comparable(to)})).second) {
      exact = false;
      continue;
    }
    turned.pairs.emplace_back(to, from);
  }
  return {{column->column, make_expr(std::move(turned)), exact,
           exact ? "" : fmt::format("several values of {} become one", column->column)}};
}

// Casts refuse what would not return. Between numbers the source column's own type does the rest.
std::vector<Inverse> invert_cast(const ExprPtr& back, const Cast& node, const TableSchema& source) {
  const ColumnRef* column = as_column(node.of);
  if (column == nullptr) return {};
  const Kind kind = holds(source, *column);
  const auto as = [&](CastTo to) { return make_expr(Cast{back, to}); };
  switch (node.to) {
    case CastTo::text:
      if (kind == Kind::bytes) return {{column->column, as(CastTo::bytes), true, ""}};
      return {from_text(column->column, back, kind)};
    case CastTo::bytes:
      if (kind == Kind::bytes) return {{column->column, back, true, ""}};
      return {from_text(column->column, as(CastTo::text), kind)};
    case CastTo::integer:
    case CastTo::real:
      if (is_number(kind)) return {{column->column, back, true, ""}};
      return {from_text(column->column, as(CastTo::text), kind)};
  }
  return {};
}

std::vector<Inverse> invert_over(const ExprPtr& back, const ExprPtr& expr,
                                 const TableSchema& source);

// A null has become `otherwise`: it comes back as null only if the way back finds nothing there.
std::vector<Inverse> invert_if_null(const ExprPtr& back, const IfNull& node,
                                    const TableSchema& source) {
  std::vector<Inverse> all = invert_over(back, node.of, source);
  const bool constant = std::holds_alternative<Constant>(node.otherwise->node);
  const std::vector<Inverse> of_nulls =
      constant ? invert_over(node.otherwise, node.of, source) : all;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (constant && gives_json(*node.of)) {
      const Result<Value> null = evaluate(*of_nulls[i].expr, {});
      if (null.ok() && null.value().is_null()) continue;
    }
    all[i].exact = false;
    all[i].loss =
        fmt::format("a null in {} comes back as {}", all[i].column, describe(*node.otherwise));
  }
  return all;
}

std::vector<Inverse> invert_over(const ExprPtr& back, const ExprPtr& expr,
                                 const TableSchema& source) {
  if (const ColumnRef* column = as_column(expr)) return {{column->column, back, true, ""}};
  if (const auto* node = std::get_if<Template>(&expr->node))
    return invert_template(back, *node, source);
  if (const auto* node = std::get_if<JsonObject>(&expr->node)) return invert_json(back, *node);
  if (const auto* node = std::get_if<MapValues>(&expr->node)) return invert_map(back, *node);
  if (const auto* node = std::get_if<Cast>(&expr->node)) return invert_cast(back, *node, source);
  if (const auto* node = std::get_if<IfNull>(&expr->node))
    return invert_if_null(back, *node, source);
  if (const auto* node = std::get_if<TimeConversion>(&expr->node)) {
    const ColumnRef* column = as_column(node->of);
    if (column == nullptr) return {};
    return {{column->column, make_expr(TimeConversion{back, node->as, node->from}), false,
             fmt::format("fractions of a second in {}", column->column)}};
  }
  return {};
}

}  // namespace

std::vector<Inverse> invert(const std::string& target_column, const ExprPtr& expr,
                            const TableSchema& source) {
  return invert_over(make_expr(ColumnRef{target_column}), expr, source);
}

}  // namespace whimbrel
