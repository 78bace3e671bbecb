#include "transform/mapping.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/text.h"

namespace whimbrel {

namespace {

Result<std::vector<int>> positions(const TableSchema& schema) {
  std::vector<int> at = positions_of(schema.key, schema);
  if (at.empty()) {
    return Error{ErrorCode::refused,
                 fmt::format("{} has no key by which its rows are told apart", schema.name),
                 "give the table a primary key, or a unique index over columns that are NOT NULL"};
  }
  return at;
}

const ColumnRule* rule_for(const std::vector<ColumnRule>& rules, const std::string& column) {
  for (const ColumnRule& rule : rules) {
    if (rule.column == column) return &rule;
  }
  return nullptr;
}

// A table without a key is told so, rather than of a column that its author never wrote.
Error no_key(const TableSchema& table, const TableSchema& other, bool is_target) {
  std::string hint = "give it a primary key, or a unique index over columns that are NOT NULL";
  const std::string& key = other.key.front();
  const auto at = static_cast<std::size_t>(other.column_index(key));
  if (other.key.size() == 1 && other.columns[at].holds == Kind::int64) {
    const std::string& number = table.key.front();
    hint += fmt::format("; or map its row number: `{}: {}`", is_target ? number : key,
                        is_target ? key : number);
  }
  return Error{ErrorCode::refused,
               fmt::format("{} has no key by which its rows are told apart", table.name), hint};
}

Status check_key(const Mapping& mapping) {
  for (const std::string& column : mapping.target.key) {
    const ColumnRule* rule = rule_for(mapping.forward, column);
    if (rule == nullptr && !mapping.target.row_number().empty()) {
      return no_key(mapping.target, mapping.source, true);
    }
    if (rule == nullptr) {
      return Error{
          ErrorCode::refused,
          fmt::format("nothing gives the key column `{}` of {}", column, mapping.target.name),
          "map it from the source's key"};
    }
    for (const std::string& read : columns_of(*rule->expr)) {
      if (mapping.source.is_key(read)) continue;
      if (!mapping.source.row_number().empty()) {
        return no_key(mapping.source, mapping.target, false);
      }
      return Error{
          ErrorCode::refused,
          fmt::format("the key column `{}` of {} would follow from `{}`, which is no key of {}",
                      column, mapping.target.name, read, mapping.source.name),
          "rows could change places while they are moved: map keys from keys"};
    }
  }
  if (mapping.key_goes_one_way) return {};
  for (const std::string& column : mapping.source.key) {
    const ColumnRule* rule = rule_for(mapping.backward, column);
    const std::vector<std::string> read =
        rule == nullptr ? std::vector<std::string>{} : columns_of(*rule->expr);
    const bool from_key =
        std::ranges::all_of(read, [&](const auto& c) { return mapping.target.is_key(c); });
    if (rule != nullptr && from_key && !read.empty()) continue;
    return Error{ErrorCode::refused,
                 fmt::format("the key column `{}` of {} does not follow from the key of {}", column,
                             mapping.source.name, mapping.target.name),
                 "a row has to be found from both sides: copy the key, or put it into a template "
                 "with one insert"};
  }
  return {};
}

void derive_backward(Mapping& mapping, const std::vector<ColumnRule>& forward,
                     const ColumnExprs& back) {
  std::vector<Inverse> all;
  for (const ColumnRule& rule : forward) {
    for (Inverse& inverse : invert(rule.column, rule.expr, mapping.source, mapping.target))
      all.push_back(std::move(inverse));
  }
  // The exact way back wins, and a plain copy before all; among equals the first, as the plan
  // wrote them.
  // A key has to be found from the other key alone, so for its columns that comes first.
  const auto worth = [&](const Inverse& inverse) {
    const std::vector<std::string> read = columns_of(*inverse.expr);
    const bool by_key =
        mapping.source.is_key(inverse.column) && !read.empty() &&
        std::ranges::all_of(read, [&](const auto& c) { return mapping.target.is_key(c); });
    return (by_key ? 4 : 0) + (inverse.exact ? 2 : 0) +
           (std::holds_alternative<ColumnRef>(inverse.expr->node) ? 1 : 0);
  };
  std::ranges::stable_sort(all, std::ranges::greater(), worth);
  for (const auto& [column, expr] : back) {
    all.insert(all.begin(), Inverse{column, expr, true, ""});
    mapping.given_back.push_back(column);
  }
  for (const ColumnSchema& column : mapping.source.columns) {
    if (column.generated) continue;
    const auto found = std::ranges::find(all, column.name, &Inverse::column);
    if (found == all.end()) {
      const bool read = std::ranges::any_of(forward, [&](const ColumnRule& rule) {
        return std::ranges::count(columns_of(*rule.expr), column.name) > 0;
      });
      const bool has_value = column.nullable || column.has_default;
      mapping.losses.push_back(
          {column.name,
           fmt::format("{}: it keeps its value of before, and rows made on the new side {}",
                       read ? "has no way back from what the plan makes of it" : "does not move",
                       has_value ? "get its default"
                                 : "have no place here without one: a rollback keeps them")});
      continue;
    }
    Result<ExprPtr> resolved = resolve(found->expr, mapping.target);
    assert_always(resolved.ok(), "an inverse reads a column that its target does not have");
    mapping.backward.push_back(
        {column.name, mapping.source.column_index(column.name), std::move(resolved).value()});
    if (!found->exact) mapping.losses.push_back({column.name, found->loss});
  }
  for (const ColumnSchema& column : mapping.target.columns) {
    const bool read = std::ranges::any_of(mapping.backward, [&](const ColumnRule& rule) {
      return std::ranges::count(columns_of(*rule.expr), column.name) > 0;
    });
    if (!read && !column.generated) mapping.new_only.push_back(column.name);
  }
}

enum class Columns { all, of_the_key };

Result<Row> apply(const std::vector<ColumnRule>& rules, const TableSchema& written, const Row& read,
                  const Row* base, Columns which = Columns::all) {
  Row out = base == nullptr ? Row(written.columns.size()) : *base;
  for (const ColumnRule& rule : rules) {
    if (which == Columns::of_the_key && !written.is_key(rule.column)) continue;
    Result<Value> value = evaluate(*rule.expr, read);
    if (!value.ok()) {
      return std::move(value).error().within(
          fmt::format("making {}.{}", written.name, rule.column));
    }
    out[static_cast<std::size_t>(rule.index)] = std::move(value).value();
  }
  return out;
}

Row spread(const Row& key, const std::vector<int>& at, std::size_t columns) {
  Row row(columns);
  for (std::size_t i = 0; i < at.size(); ++i) row[static_cast<std::size_t>(at[i])] = key[i];
  return row;
}

bool is_text_type(std::string declared) {
  declared = ascii_lower(std::move(declared));
  return declared.find("char") != std::string::npos || declared.find("text") != std::string::npos;
}

// Whether a copied key is the same one on either side: a type may keep less of it than the other.
bool key_types_are_alike(const Mapping& mapping) {
  for (std::size_t i = 0; i < mapping.source.key.size(); ++i) {
    const auto of = [i](const TableSchema& table, const std::vector<int>& key) -> const auto& {
      return table.columns[static_cast<std::size_t>(key[i])].declared;
    };
    const std::string& source = of(mapping.source, mapping.source_key);
    const std::string& target = of(mapping.target, mapping.target_key);
    if (source != target && !(is_text_type(source) && is_text_type(target))) return false;
  }
  return true;
}

}  // namespace

Result<Mapping> make_mapping(TableSchema source, TableSchema target, const ColumnExprs& columns,
                             bool leads_back, const ColumnExprs& back) {
  Mapping mapping;
  mapping.source = std::move(source);
  mapping.target = std::move(target);
  ASSIGN_OR_RETURN(mapping.source_key, positions(mapping.source));
  ASSIGN_OR_RETURN(mapping.target_key, positions(mapping.target));
  for (const auto& [name, expr] : columns) {
    const int index = mapping.target.column_index(name);
    if (index < 0) {
      return Error{ErrorCode::not_found,
                   fmt::format("{} has no column `{}`", mapping.target.name, name),
                   did_you_mean(name, mapping.target.column_names())};
    }
    ASSIGN_OR_RETURN(ExprPtr resolved, resolve(expr, mapping.source));
    const auto* time = std::get_if<TimeConversion>(&resolved->node);
    if (time != nullptr && leads_back && mapping.target.is_key(name)) {
      TimeConversion of_key = *time;
      of_key.is_key = true;
      resolved = make_expr(std::move(of_key));
    }
    mapping.forward.push_back({name, index, std::move(resolved)});
  }
  mapping.key_goes_one_way = !leads_back;
  for (const auto& [column, expr] : back) TRY(resolve(expr, mapping.target));
  if (!mapping.key_goes_one_way) derive_backward(mapping, mapping.forward, back);
  TRY(check_key(mapping));
  mapping.key_is_joined = std::ranges::any_of(mapping.backward, [&](const ColumnRule& rule) {
    const auto* part = std::get_if<Between>(&rule.expr->node);
    return part != nullptr && !part->separators.empty() && mapping.source.is_key(rule.column);
  });
  // A row whose parts would come back cut is refused.
  if (mapping.key_is_joined) {
    std::erase_if(mapping.losses,
                  [&](const Loss& loss) { return mapping.source.is_key(loss.column); });
  }
  mapping.key_is_copied = mapping.source.key.size() == mapping.target.key.size();
  for (std::size_t i = 0; mapping.key_is_copied && i < mapping.target.key.size(); ++i) {
    const ColumnRule* rule = rule_for(mapping.forward, mapping.target.key[i]);
    const auto* column = std::get_if<ColumnRef>(&rule->expr->node);
    mapping.key_is_copied = column != nullptr && column->column == mapping.source.key[i];
  }
  mapping.key_is_alike = mapping.key_is_copied && key_types_are_alike(mapping);
  return mapping;
}

Result<Row> map_row(const Mapping& mapping, const Row& source) {
  return apply(mapping.forward, mapping.target, source, nullptr);
}

Result<Row> unmap_row(const Mapping& mapping, const Row& target, const Row* old_source) {
  return apply(mapping.backward, mapping.source, target, old_source);
}

Result<Row> map_key(const Mapping& mapping, const Row& source_key) {
  const Row row = spread(source_key, mapping.source_key, mapping.source.columns.size());
  ASSIGN_OR_RETURN(const Row out,
                   apply(mapping.forward, mapping.target, row, nullptr, Columns::of_the_key));
  return key_of(out, mapping.target_key);
}

Result<Row> unmap_key(const Mapping& mapping, const Row& target_key) {
  if (mapping.key_goes_one_way) {
    return Error{ErrorCode::refused,
                 fmt::format("nothing leads back from the id {}", show(target_key))};
  }
  const Row row = spread(target_key, mapping.target_key, mapping.target.columns.size());
  ASSIGN_OR_RETURN(const Row out,
                   apply(mapping.backward, mapping.source, row, nullptr, Columns::of_the_key));
  return key_of(out, mapping.source_key);
}

bool is_unique_among(const TableSchema& table, const std::vector<std::string>& columns) {
  const auto is_among = [&](const std::vector<std::string>& known) {
    return !known.empty() && std::ranges::all_of(known, [&](const std::string& column) {
      return std::ranges::count(columns, column) > 0;
    });
  };
  return is_among(table.key) || std::ranges::any_of(table.uniques, is_among);
}

std::vector<int> positions_of(const std::vector<std::string>& columns, const TableSchema& table) {
  std::vector<int> at;
  at.reserve(columns.size());
  for (const std::string& name : columns) at.push_back(table.column_index(name));
  return at;
}

Row key_of(const Row& row, const std::vector<int>& key) {
  Row out;
  out.reserve(key.size());
  for (const int at : key) out.push_back(row[static_cast<std::size_t>(at)]);
  return out;
}

}  // namespace whimbrel
