// The inverter: the way back after the switch. What it cannot give back, it names.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "transform/expr.h"

namespace whimbrel {

namespace {

const ColumnRef* as_column(const ExprPtr& expr) { return std::get_if<ColumnRef>(&expr->node); }

Kind held_by(const TableSchema& table, const std::string& column) {
  const int at = table.column_index(column);
  return at < 0 ? Kind::null : table.columns[static_cast<std::size_t>(at)].holds;
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

// What a column makes of a constant: a map has to find there on the way back what it wrote.
Value as_held(const Value& value, Kind kind) {
  const auto cast = [&](CastTo to) -> std::optional<Value> {
    const Result<Value> made = evaluate(Expr{Cast{make_expr(Constant{comparable(value)}), to}}, {});
    return made.ok() ? std::optional(made.value()) : std::nullopt;
  };
  if (value.kind() == Kind::bytes) return value;
  if (kind == Kind::text) return cast(CastTo::text).value_or(value);
  if (kind == Kind::real) return cast(CastTo::real).value_or(value);
  if (!is_number(kind)) return value;
  const std::optional<Value> whole = cast(CastTo::integer);
  return whole ? *whole : cast(CastTo::real).value_or(value);
}

struct Inverter {
  const ExprPtr& back;  // what stands for the target's column
  const TableSchema& source;
  Kind target_holds;
  bool is_key = false;  // of the target: then a row whose parts would come back cut is refused

  std::vector<Inverse> invert(const ExprPtr& expr) const;
  std::vector<Inverse> invert_template(const Template& node) const;
  // `path`: where in the target's column it stands.
  std::vector<Inverse> invert_json(const ExprPtr& part, const std::string& path) const;
  std::vector<Inverse> invert_map(const MapValues& node) const;
  std::vector<Inverse> invert_cast(const Cast& node) const;
  std::vector<Inverse> invert_if_null(const IfNull& node) const;
};

std::vector<Inverse> Inverter::invert_template(const Template& node) const {
  std::vector<std::string> literals(1);  // one before each insert, and one behind the last
  std::vector<const ColumnRef*> inserts;
  for (const ExprPtr& part : node.parts) {
    if (const auto* literal = std::get_if<Constant>(&part->node)) {
      const auto* text = literal->value.get_if<std::string>();
      if (text == nullptr) return {};
      literals.back() += *text;
    } else if (const ColumnRef* column = as_column(part); column != nullptr) {
      inserts.push_back(column);
      literals.emplace_back();
    } else {
      return {};
    }
  }
  if (inserts.empty()) return {};
  const std::string prefix = literals.front();
  const std::string suffix = literals.back();
  if (inserts.size() == 1) {
    const std::string& column = inserts.front()->column;
    const bool is_all = prefix.empty() && suffix.empty();
    return {from_text(column, is_all ? back : make_expr(Between{back, prefix, suffix}),
                      held_by(source, column))};
  }
  if (!is_key) return {};
  const std::vector<std::string> separators(literals.begin() + 1, literals.end() - 1);
  if (std::ranges::any_of(separators, &std::string::empty)) return {};
  std::vector<Inverse> all;
  for (std::size_t i = 0; i < inserts.size(); ++i) {
    const std::string& column = inserts[i]->column;
    all.push_back(from_text(column, make_expr(Between{back, prefix, suffix, separators, i}),
                            held_by(source, column)));
    all.back().exact = false;
    all.back().loss = fmt::format("a text in {} that holds `{}` comes back cut", column,
                                  join(separators, "`, `"));
  }
  return all;
}

// A name with a quote cannot be said in a path, and one that JSON escapes is not found by it.
bool can_be_in_a_path(const std::string& name) {
  return std::ranges::all_of(
      name, [](char c) { return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20; });
}

std::vector<Inverse> Inverter::invert_json(const ExprPtr& part, const std::string& path) const {
  if (const ColumnRef* column = as_column(part)) {
    return {{column->column, make_expr(JsonExtract{back, path, true}), true, ""}};
  }
  std::vector<Inverse> all;
  const auto add = [&](const ExprPtr& inner, const std::string& inner_path) {
    for (Inverse& one : invert_json(inner, inner_path)) all.push_back(std::move(one));
  };
  if (const auto* object = std::get_if<JsonObject>(&part->node)) {
    std::set<std::string> seen;
    for (const auto& [name, field] : object->fields) {
      const bool first = seen.insert(name).second;
      if (first && can_be_in_a_path(name)) add(field, path + ".\"" + name + "\"");
    }
  }
  if (const auto* array = std::get_if<JsonArray>(&part->node)) {
    for (std::size_t i = 0; i < array->items.size(); ++i) {
      add(array->items[i], fmt::format("{}[{}]", path, i));
    }
  }
  return all;
}

std::vector<Inverse> Inverter::invert_map(const MapValues& node) const {
  const ColumnRef* column = as_column(node.of);
  if (column == nullptr) return {};
  MapValues turned{back, {}, std::nullopt, true};
  std::set<std::string> seen;
  bool exact = !node.otherwise && !node.keep_others;
  for (const auto& [from, written] : node.pairs) {
    const Value to = as_held(written, target_holds);
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

// Casts refuse what would not return. The target's column may have made another kind of the result,
// and between numbers the source column's own type does the rest.
std::vector<Inverse> Inverter::invert_cast(const Cast& node) const {
  const ColumnRef* column = as_column(node.of);
  if (column == nullptr) return {};
  const Kind kind = held_by(source, column->column);
  const auto as = [](const ExprPtr& expr, CastTo to) { return make_expr(Cast{expr, to}); };
  const auto made = [&](std::initializer_list<Kind> same) {
    const bool is_same = target_holds == Kind::null || std::ranges::count(same, target_holds) > 0;
    return is_same ? back : as(back, node.to);
  };
  switch (node.to) {
    case CastTo::text: {
      const ExprPtr text = made({Kind::text});
      if (kind == Kind::bytes) return {{column->column, as(text, CastTo::bytes), true, ""}};
      return {from_text(column->column, text, kind)};
    }
    case CastTo::bytes:
      if (kind == Kind::bytes) return {{column->column, back, true, ""}};
      return {from_text(column->column, as(back, CastTo::text), kind)};
    case CastTo::integer:
    case CastTo::real: {
      // Between numbers the source column's own type does the rest.
      const ExprPtr number = is_number(kind) && is_number(target_holds) ? back
                             : node.to == CastTo::real                  ? made({Kind::real})
                                                       : made({Kind::int64, Kind::decimal});
      if (is_number(kind)) return {{column->column, number, true, ""}};
      Inverse text = from_text(column->column, as(number, CastTo::text), kind);
      if (node.to == CastTo::integer && target_holds == Kind::real && text.exact) {
        text.exact = false;
        text.loss =
            fmt::format("a whole number beyond 2^53 in {} does not come back", column->column);
      }
      return {text};
    }
    case CastTo::number:
      return {from_text(column->column, as(back, CastTo::text), kind)};
  }
  return {};
}

// A null has become `otherwise`: it comes back as null only if the way back finds nothing there.
std::vector<Inverse> Inverter::invert_if_null(const IfNull& node) const {
  std::vector<Inverse> all = invert(node.of);
  const bool constant = std::holds_alternative<Constant>(node.otherwise->node);
  const std::vector<Inverse> of_nulls =
      constant ? Inverter{node.otherwise, source, target_holds}.invert(node.of) : all;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (constant && is_document(*node.of)) {
      const Result<Value> null = evaluate(*of_nulls[i].expr, {});
      if (null.ok() && null.value().is_null()) continue;
    }
    all[i].exact = false;
    all[i].loss =
        fmt::format("a null in {} comes back as {}", all[i].column, describe(*node.otherwise));
  }
  return all;
}

std::vector<Inverse> Inverter::invert(const ExprPtr& expr) const {
  if (const ColumnRef* column = as_column(expr)) return {{column->column, back, true, ""}};
  if (const auto* node = std::get_if<Template>(&expr->node)) return invert_template(*node);
  if (is_document(*expr)) return invert_json(expr, "$");
  if (const auto* node = std::get_if<MapValues>(&expr->node)) return invert_map(*node);
  if (const auto* node = std::get_if<Cast>(&expr->node)) return invert_cast(*node);
  if (const auto* node = std::get_if<IfNull>(&expr->node)) return invert_if_null(*node);
  if (const auto* node = std::get_if<Between>(&expr->node)) {
    const ColumnRef* column = as_column(node->of);
    if (column == nullptr || !node->separators.empty()) return {};
    const auto literal = [](const std::string& text) {
      return make_expr(Constant{Value::text(text)});
    };
    return {{column->column,
             make_expr(Template{{literal(node->prefix), back, literal(node->suffix)}}), false,
             fmt::format("a text in {} that is not between the two comes back as null",
                         column->column)}};
  }
  if (const auto* node = std::get_if<TimeConversion>(&expr->node)) {
    const ColumnRef* column = as_column(node->of);
    if (column == nullptr) return {};
    // A number comes back as it was, or is refused on the way there; of a text only its instant.
    const bool kept = node->as == TimeForm::iso8601 || target_holds == Kind::null ||
                      target_holds == Kind::int64 || target_holds == Kind::decimal;
    const bool text = node->from == TimeForm::iso8601;
    const char* form =
        node->as == TimeForm::epoch_s ? "2026-11-20T20:15:03Z" : "2026-11-20T20:15:03.000Z";
    const std::string loss =
        node->rounds_down
            ? fmt::format("a part of a second in {} does not come back", column->column)
        : !kept ? fmt::format("a time in {} does not come back from a column of this type",
                              column->column)
        : text  ? fmt::format("a time in {} comes back written as {}", column->column, form)
                : "";
    return {{column->column, make_expr(TimeConversion{back, node->as, node->from}), loss.empty(),
             loss}};
  }
  return {};
}

}  // namespace

std::vector<Inverse> invert(const std::string& target_column, const ExprPtr& expr,
                            const TableSchema& source, const TableSchema& target) {
  const ExprPtr back = make_expr(ColumnRef{target_column});
  return Inverter{back, source, held_by(target, target_column), target.is_key(target_column)}
      .invert(expr);
}

}  // namespace whimbrel
