// The inverter: the way back after the switch. What it cannot give back, it names.
#include <fmt/format.h>

#include <set>

#include "transform/expr.h"

namespace whimbrel {

namespace {

const ColumnRef* as_column(const ExprPtr& expr) { return std::get_if<ColumnRef>(&expr->node); }

std::string quoted_path(const std::string& name) {
  return "$.\"" + name + "\"";
}

std::vector<Inverse> invert_template(const ExprPtr& back, const Template& node) {
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
  return {{insert->column, make_expr(Between{back, prefix, suffix}), true, ""}};
}

std::vector<Inverse> invert_json(const ExprPtr& back, const JsonObject& node) {
  std::vector<Inverse> all;
  for (const auto& [name, field] : node.fields) {
    const ColumnRef* column = as_column(field);
    // A name with a quote cannot be said in a path.
    if (column == nullptr || name.find_first_of("\"\\") != std::string::npos) continue;
    all.push_back({column->column, make_expr(JsonExtract{back, quoted_path(name), true}), true, ""});
  }
  return all;
}

std::vector<Inverse> invert_map(const ExprPtr& back, const MapValues& node) {
  const ColumnRef* column = as_column(node.of);
  if (column == nullptr) return {};
  MapValues turned{back, {}, std::nullopt, true};
  std::set<std::string> seen;
  bool exact = !node.otherwise.has_value();
  for (const auto& [from, to] : node.pairs) {
    if (to.is_null() || !seen.insert(canonical({to})).second) {
      exact = false;
      continue;
    }
    turned.pairs.emplace_back(to, from);
  }
  return {{column->column, make_expr(std::move(turned)), exact,
           exact ? "" : fmt::format("several values of {} become one", column->column)}};
}

}  // namespace

std::vector<Inverse> invert(const std::string& target_column, const ExprPtr& expr) {
  const ExprPtr back = make_expr(ColumnRef{target_column});
  if (const ColumnRef* column = as_column(expr)) return {{column->column, back, true, ""}};
  if (const auto* node = std::get_if<Template>(&expr->node)) return invert_template(back, *node);
  if (const auto* node = std::get_if<JsonObject>(&expr->node)) return invert_json(back, *node);
  if (const auto* node = std::get_if<MapValues>(&expr->node)) return invert_map(back, *node);
  if (const auto* node = std::get_if<Cast>(&expr->node)) {
    const ColumnRef* column = as_column(node->of);
    if (column == nullptr) return {};
    // The source column's own type takes the value back; casts refuse what would not return.
    if (node->to == CastTo::text || node->to == CastTo::bytes) {
      return {{column->column, back, true, ""}};
    }
    return {{column->column, make_expr(Cast{back, CastTo::text}), true, ""}};
  }
  if (const auto* node = std::get_if<TimeConversion>(&expr->node)) {
    const ColumnRef* column = as_column(node->of);
    if (column == nullptr) return {};
    return {{column->column, make_expr(TimeConversion{back, node->as, node->from}), false,
             fmt::format("fractions of a second in {}", column->column)}};
  }
  if (const auto* node = std::get_if<IfNull>(&expr->node)) {
    std::vector<Inverse> all = invert(target_column, node->of);
    const bool json = gives_json(*node->of);
    for (Inverse& one : all) {
      if (json && std::holds_alternative<Constant>(node->otherwise->node)) continue;
      one.exact = false;
      one.loss = fmt::format("a null in {} comes back as {}", one.column,
                             describe(*node->otherwise));
    }
    return all;
  }
  return {};
}

}  // namespace whimbrel
