#include "transform/expr.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/counted.h"
#include "base/text.h"
#include "value/json_value.h"

namespace whimbrel {

namespace {

template <class... Fs>
struct Overload : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overload(Fs...) -> Overload<Fs...>;

std::vector<ExprPtr> children_of(const Expr& expr) {
  return std::visit(Overload{
                        [](const ColumnRef&) { return std::vector<ExprPtr>{}; },
                        [](const Constant&) { return std::vector<ExprPtr>{}; },
                        [](const Template& node) { return node.parts; },
                        [](const JsonArray& node) { return node.items; },
                        [](const Coalesce& node) { return node.of; },
                        [](const JsonObject& node) {
                          std::vector<ExprPtr> all;
                          for (const auto& [name, field] : node.fields) all.push_back(field);
                          return all;
                        },
                        [](const IfNull& node) {
                          std::vector<ExprPtr> all = {node.of, node.otherwise};
                          all.insert(all.end(), node.inputs.begin(), node.inputs.end());
                          return all;
                        },
                        [](const auto& node) { return std::vector<ExprPtr>{node.of}; },
                    },
                    expr.node);
}

void collect(const Expr& expr, std::vector<std::string>& names) {
  if (const auto* column = std::get_if<ColumnRef>(&expr.node)) {
    if (std::ranges::find(names, column->column) == names.end()) names.push_back(column->column);
  }
  for (const ExprPtr& child : children_of(expr)) collect(*child, names);
}

// The same node, each of its parts replaced by what `part` makes of it.
template <class Part>
Result<ExprPtr> with_parts(const ExprPtr& expr, const Part& part) {
  using Out = Result<ExprPtr>;
  const auto each = [&](std::vector<ExprPtr>& all) -> Status {
    for (ExprPtr& one : all) {
      ASSIGN_OR_RETURN(one, part(one));
    }
    return {};
  };
  return std::visit(Overload{
                        [&](const ColumnRef&) -> Out { return expr; },
                        [&](const Constant&) -> Out { return expr; },
                        [&](Template node) -> Out {
                          TRY(each(node.parts));
                          return make_expr(std::move(node));
                        },
                        [&](JsonArray node) -> Out {
                          TRY(each(node.items));
                          return make_expr(std::move(node));
                        },
                        [&](Coalesce node) -> Out {
                          TRY(each(node.of));
                          return make_expr(std::move(node));
                        },
                        [&](JsonObject node) -> Out {
                          for (auto& [name, field] : node.fields) {
                            ASSIGN_OR_RETURN(field, part(field));
                          }
                          return make_expr(std::move(node));
                        },
                        [&](IfNull node) -> Out {
                          ASSIGN_OR_RETURN(node.of, part(node.of));
                          ASSIGN_OR_RETURN(node.otherwise, part(node.otherwise));
                          TRY(each(node.inputs));
                          return make_expr(std::move(node));
                        },
                        [&](auto node) -> Out {
                          ASSIGN_OR_RETURN(node.of, part(node.of));
                          return make_expr(std::move(node));
                        },
                    },
                    expr->node);
}

// The same tree with something else for each column that it reads.
template <class Column>
Result<ExprPtr> rebuilt(const ExprPtr& expr, const Column& column) {
  if (const auto* read = std::get_if<ColumnRef>(&expr->node)) return column(*read);
  return with_parts(expr, [&](const ExprPtr& part) { return rebuilt(part, column); });
}

}  // namespace

std::vector<std::string> columns_of(const Expr& expr) {
  std::vector<std::string> names;
  collect(expr, names);
  return names;
}

Result<ExprPtr> resolve(const ExprPtr& expr, const TableSchema& schema) {
  return rebuilt(expr, [&](ColumnRef node) -> Result<ExprPtr> {
    node.index = schema.column_index(node.column);
    if (node.index < 0) {
      return Error{ErrorCode::not_found,
                   fmt::format("{} has no column `{}`", schema.name, node.column),
                   did_you_mean(node.column, schema.column_names())};
    }
    return make_expr(std::move(node));
  });
}

ExprPtr reading(const ExprPtr& expr, const std::string& column, const std::string& instead_of) {
  return rebuilt(expr,
                 [&](const ColumnRef& node) -> Result<ExprPtr> {
                   return make_expr(node.column == instead_of ? ColumnRef{column} : node);
                 })
      .value();
}

ExprPtr with_copies(const ExprPtr& expr, const std::string& column,
                    const std::function<ExprPtr(const ExprPtr&)>& with) {
  if (copied_column(*expr) == column) return with(expr);
  return with_parts(expr,
                    [&](const ExprPtr& part) -> Result<ExprPtr> {
                      return with_copies(part, column, with);
                    })
      .value();
}

ExprPtr reading_exactly(const ExprPtr& expr) {
  const auto part = [](const ExprPtr& one) -> Result<ExprPtr> { return reading_exactly(one); };
  const auto* read = std::get_if<JsonExtract>(&expr->node);
  if (read == nullptr) return with_parts(expr, part).value();
  return make_expr(JsonExtract{reading_exactly(read->of), read->path, read->lenient, true});
}

std::string copied_column(const Expr& expr) {
  if (const auto* bare = std::get_if<ColumnRef>(&expr.node)) return bare->column;
  if (const auto* id = std::get_if<HashId>(&expr.node)) return copied_column(*id->of);
  const auto* filled = std::get_if<IfNull>(&expr.node);
  if (filled != nullptr && filled->inputs.empty()) return copied_column(*filled->of);
  if (const auto* hidden = std::get_if<Masked>(&expr.node)) return copied_column(*hidden->of);
  const auto* inside = std::get_if<NewIdsInside>(&expr.node);
  return inside == nullptr ? "" : copied_column(*inside->of);
}

ExprPtr with_documents(const ExprPtr& expr) {
  const auto all = [](std::vector<ExprPtr> of) {
    for (ExprPtr& one : of) one = with_documents(one);
    return of;
  };
  return std::visit(
      Overload{
          [&](const Constant& node) -> ExprPtr {
            const auto* json = node.value.get_if<Json>();
            std::optional<Value> value = json == nullptr ? std::nullopt : value_of_json(json->text);
            return value ? make_expr(Constant{*std::move(value)}) : expr;
          },
          [&](JsonObject node) -> ExprPtr {
            for (auto& [name, field] : node.fields) field = with_documents(field);
            node.as_document = true;
            return make_expr(std::move(node));
          },
          [&](const JsonArray& node) -> ExprPtr {
            return make_expr(JsonArray{all(node.items), true});
          },
          [&](const Coalesce& node) -> ExprPtr { return make_expr(Coalesce{all(node.of)}); },
          [&](IfNull node) -> ExprPtr {
            node.of = with_documents(node.of);
            node.otherwise = with_documents(node.otherwise);
            return make_expr(std::move(node));
          },
          [&](const auto&) -> ExprPtr { return expr; },
      },
      expr->node);
}

bool is_document(const Expr& expr) {
  return std::holds_alternative<JsonObject>(expr.node) ||
         std::holds_alternative<JsonArray>(expr.node);
}

bool gives_json(const Expr& expr) {
  if (const auto* node = std::get_if<IfNull>(&expr.node)) return gives_json(*node->of);
  if (const auto* node = std::get_if<Constant>(&expr.node)) return node->value.kind() == Kind::json;
  if (const auto* node = std::get_if<ColumnRef>(&expr.node)) return node->is_document;
  if (const auto* node = std::get_if<JsonObject>(&expr.node)) return !node->as_document;
  const auto* node = std::get_if<JsonArray>(&expr.node);
  return node != nullptr && !node->as_document;
}

bool may_be_null(const Expr& expr, const TableSchema& schema) {
  const auto any = [&](const std::vector<ExprPtr>& all) {
    return std::ranges::any_of(all, [&](const ExprPtr& e) { return may_be_null(*e, schema); });
  };
  return std::visit(Overload{
                        [&](const ColumnRef& node) {
                          const int at = schema.column_index(node.column);
                          return at < 0 || schema.columns[static_cast<std::size_t>(at)].nullable;
                        },
                        [](const Constant& node) { return node.value.is_null(); },
                        [&](const Template& node) { return any(node.parts); },
                        [](const JsonObject&) { return false; },
                        [](const JsonArray&) { return false; },
                        [](const JsonExtract&) { return true; },
                        [](const Split&) { return true; },
                        [](const Between&) { return true; },
                        [&](const Coalesce& node) {
                          return std::ranges::all_of(
                              node.of, [&](const ExprPtr& e) { return may_be_null(*e, schema); });
                        },
                        [&](const IfNull& node) {
                          const bool left =
                              node.inputs.empty() ? false : may_be_null(*node.of, schema);
                          return left || may_be_null(*node.otherwise, schema);
                        },
                        [&](const MapValues& node) {
                          bool maps_to_null = node.otherwise && node.otherwise->is_null();
                          for (const auto& [from, to] : node.pairs)
                            maps_to_null = maps_to_null || to.is_null();
                          return maps_to_null || may_be_null(*node.of, schema);
                        },
                        [&](const auto& node) { return may_be_null(*node.of, schema); },
                    },
                    expr.node);
}

namespace {
const char* name_of(CastTo to) {
  switch (to) {
    case CastTo::integer:
      return "integer";
    case CastTo::real:
      return "real";
    case CastTo::text:
      return "text";
    case CastTo::bytes:
      return "bytes";
    case CastTo::number:
      return "number";
  }
  return "";
}
}  // namespace

std::string describe(const Expr& expr) {
  const auto list = [](const std::vector<ExprPtr>& all) {
    std::vector<std::string> texts;
    for (const ExprPtr& one : all) texts.push_back(describe(*one));
    return join(texts, ", ");
  };
  return std::visit(
      Overload{
          [](const ColumnRef& node) { return node.column; },
          [](const Constant& node) { return spelled_out(node.value); },
          [&](const Template& node) { return "text " + list(node.parts); },
          [&](const JsonArray& node) { return "json [" + list(node.items) + "]"; },
          [&](const Coalesce& node) { return "coalesce(" + list(node.of) + ")"; },
          [](const JsonObject& node) {
            std::vector<std::string> fields;
            for (const auto& [name, field] : node.fields) {
              fields.push_back(name + ": " + describe(*field));
            }
            return "json {" + join(fields, ", ") + "}";
          },
          [](const IfNull& node) {
            return describe(*node.of) + ", if null " + describe(*node.otherwise);
          },
          [](const CaseOf& node) {
            constexpr const char* names[] = {"lower", "upper", "trim", "trim_end"};
            return fmt::format("{}({})", names[static_cast<int>(node.how)], describe(*node.of));
          },
          [](const Cast& node) {
            return fmt::format("{} as {}", describe(*node.of), name_of(node.to));
          },
          [](const JsonExtract& node) {
            return fmt::format("{} of {}", node.path, describe(*node.of));
          },
          [](const MapValues& node) {
            return fmt::format("{} mapped by {}", describe(*node.of),
                               counted(std::ssize(node.pairs), "pair"));
          },
          [](const Split& node) {
            return fmt::format("part {} of {}", node.part, describe(*node.of));
          },
          [](const TimeConversion& node) { return "time of " + describe(*node.of); },
          [](const Between& node) { return "inner part of " + describe(*node.of); },
          [](const HashId& node) { return "new id for " + describe(*node.of); },
          [](const Masked& node) { return "masked " + describe(*node.of); },
          [](const NewIdsInside& node) { return "new ids in " + describe(*node.of); },
          [](const Respelled& node) { return "known spelling of " + describe(*node.of); },
      },
      expr.node);
}

}  // namespace whimbrel
