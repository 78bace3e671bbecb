#include "store/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "store/condition.h"
#include "value/json_value.h"

namespace whimbrel {

namespace {

Status settle_all(const std::vector<ColumnRule>& rules, const TableSchema& schema,
                  const Catalog& catalog, Row& row) {
  for (const ColumnRule& rule : rules) {
    const auto at = static_cast<std::size_t>(rule.index);
    Result<Value> settled = catalog.settle(schema.columns[at], std::move(row[at]));
    if (!settled.ok()) {
      return std::move(settled).error().within("storing " + schema.name + "." + rule.column);
    }
    row[at] = std::move(settled).value();
  }
  return {};
}

Status settle_key(const std::vector<int>& at, const TableSchema& schema, const Catalog& catalog,
                  Row& key) {
  for (std::size_t i = 0; i < key.size(); ++i) {
    const ColumnSchema& column = schema.columns[static_cast<std::size_t>(at[i])];
    ASSIGN_OR_RETURN(key[i], catalog.settle(column, std::move(key[i])));
    if (!key[i].is_null()) continue;
    return Error{ErrorCode::refused, fmt::format("nothing leads to the key {}.{}: it would be null",
                                                 schema.name, column.name)};
  }
  return {};
}

bool same_json(const Value& a, const Value& b) {
  const auto parsed = [](const Value& value) -> std::optional<Value> {
    const auto* text = value.get_if<std::string>();
    const auto* json = value.get_if<Json>();
    if (text == nullptr && json == nullptr) return std::nullopt;
    return value_of_json(text != nullptr ? *text : json->text);
  };
  const std::optional<Value> left = parsed(a);
  const std::optional<Value> right = parsed(b);
  return left && right && mean_the_same(*left, *right);
}

// The plan mentions every column, and the row has a value that none of them names.
Status nothing_else_is_there(const Mapping& mapping, const Row& source) {
  const int at = mapping.source.column_index(mapping.source.rest_column);
  const auto* rest = at < 0 ? nullptr : source[static_cast<std::size_t>(at)].get_if<Map>();
  if (rest == nullptr || rest->fields.empty()) return {};
  return Error{ErrorCode::refused,
               fmt::format("nothing mentions the attribute `{}`", rest->fields.front().first),
               "map it, add it to `same`, or say `rest: drop` to leave such attributes behind",
               "",
               {fmt::format("an attribute that nothing mentions: {}", rest->fields.front().first)},
               ""};
}

// A part of a joined key holds what separates the parts: it would be read back as another key.
Status key_is_read_back(const Mapping& mapping, const Row& source, const Row& image) {
  const Row key = key_of(source, mapping.source_key);
  const Row written = key_of(image, mapping.target_key);
  const auto is_made = [&](const std::string& column) {
    return std::ranges::count(mapping.forward, column, &ColumnRule::column) > 0;
  };
  // Where a single column of the row is looked at, the key is not there.
  if (!std::ranges::all_of(mapping.target.key, is_made)) return {};
  const Result<Row> back = unmap_key(mapping, written);
  if (back.ok()) {
    bool is_same = true;
    for (std::size_t i = 0; i < key.size(); ++i) {
      const Result<std::string> was = faithful_text_of(key[i]);
      const Result<std::string> is = faithful_text_of(back.value()[i]);
      is_same = is_same && (same(key[i], back.value()[i]) ||
                            (was.ok() && is.ok() && was.value() == is.value()));
    }
    if (is_same) return {};
  }
  return Error{
      ErrorCode::refused,
      fmt::format("the key {} would be read back from {} as another one", show(key), show(written)),
      "a value holds the text that separates the parts of the key: choose another "
      "separator, or correct such rows first",
      "",
      {"a value that holds the separator of a joined key"},
      ""};
}

// Two keys that the plan makes one would write over each other.
Status key_leads_back(const Mapping& mapping, const Row& source, const Row& image,
                      const Catalog& store) {
  const Row key = key_of(source, mapping.source_key);
  const Row written = key_of(image, mapping.target_key);
  // Where a single column of the row is looked at, the key is not there.
  if (std::ranges::any_of(written, &Value::is_null)) return {};
  const Result<Row> back = source_key_of(mapping, written, store);
  if (!back.ok() && back.error().code != ErrorCode::refused) return back.error();
  if (back.ok() && same(back.value(), key)) return {};
  return Error{ErrorCode::refused,
               fmt::format("the key {} becomes {}, which would lead back to {}", show(key),
                           show(written), back.ok() ? show(back.value()) : back.error().message),
               "correct the row, or what `using:` and `inverse:` say",
               "",
               {"a key that does not lead back to its row"},
               ""};
}

// What the new side spells otherwise is found from there only by what is noted here.
Status note_spelling(const Mapping& mapping, const Respelling& one, const Row& source,
                     const Row& image) {
  const Value& old = source[static_cast<std::size_t>(one.source)];
  if (old.is_null()) return {};
  // Where a single column of the row is looked at, this one is not there.
  if (image[static_cast<std::size_t>(one.target)].is_null()) return {};
  ASSIGN_OR_RETURN(const std::string was, faithful_text_of(old));
  ASSIGN_OR_RETURN(const std::string now,
                   faithful_text_of(image[static_cast<std::size_t>(one.target)]));
  const bool is_meant =
      was == now || one.takes_any || (one.listed != nullptr && one.listed->instead_of(was));
  if (!is_meant) {
    return Error{ErrorCode::refused,
                 fmt::format("{}.{}: {} would be spelled {} as {}", mapping.source.name, one.column,
                             show(old), now,
                             mapping.target.columns[static_cast<std::size_t>(one.target)].declared),
                 "spell it so, or say `on_invalid: normalise`",
                 "",
                 {fmt::format("a text in {} that the new type spells otherwise", one.column)},
                 ""};
  }
  // Several rows may have the value there, and one text leads back to all of them.
  const std::optional<std::string> known = one.book->instead_of(now);
  if (one.is_one_of_several && known && *known != was) {
    return Error{ErrorCode::refused,
                 fmt::format("{}.{}: {} is spelled {} in another row, and is a part of the key",
                             mapping.source.name, one.column, show(old), *known),
                 "spell it in one way in all rows; `whimbrel rollback`, then `run` again",
                 "",
                 {fmt::format("two spellings of one value in {}", one.column)},
                 ""};
  }
  one.book->see(was, now);
  return {};
}

}  // namespace

Result<Row> image_of(const Mapping& mapping, const Row& source, const Catalog& target) {
  if (mapping.rest_must_be_empty) TRY(nothing_else_is_there(mapping, source));
  ASSIGN_OR_RETURN(Row row, map_row(mapping, source));
  TRY(settle_all(mapping.forward, mapping.target, target, row));
  if (mapping.key_is_joined) TRY(key_is_read_back(mapping, source, row));
  if (mapping.key_is_said) TRY(key_leads_back(mapping, source, row, target));
  for (const Respelling& one : mapping.respelled) {
    TRY(note_spelling(mapping, one, source, row));
  }
  TRY(target.can_stand(mapping.target, row));
  return row;
}

Result<Row> source_of(const Mapping& mapping, const Row& target, const Row* old_source,
                      const Catalog& source) {
  ASSIGN_OR_RETURN(Row row, unmap_row(mapping, target, old_source));
  TRY(settle_all(mapping.backward, mapping.source, source, row));
  return row;
}

Row source_that_fits(const Mapping& mapping, const Row& target, const Row& old_source,
                     const Catalog& source) {
  Row row = old_source;
  for (const ColumnRule& rule : mapping.backward) {
    const auto at = static_cast<std::size_t>(rule.index);
    Result<Value> value = evaluate(*rule.expr, target);
    if (value.ok()) value = source.settle(mapping.source.columns[at], std::move(value).value());
    if (value.ok()) row[at] = std::move(value).value();
  }
  return row;
}

Result<Row> target_key_of(const Mapping& mapping, const Row& source_key, const Catalog& target) {
  ASSIGN_OR_RETURN(Row key, map_key(mapping, source_key));
  TRY(settle_key(mapping.target_key, mapping.target, target, key));
  return key;
}

Result<Row> source_key_of(const Mapping& mapping, const Row& target_key, const Catalog& source) {
  ASSIGN_OR_RETURN(Row key, unmap_key(mapping, target_key));
  TRY(settle_key(mapping.source_key, mapping.source, source, key));
  return key;
}

std::optional<Row> key_that_leads_back(const Mapping& mapping, const Row& target_key,
                                       const Catalog& source, const Catalog& target) {
  Result<Row> key = source_key_of(mapping, target_key, source);
  if (!key.ok()) return std::nullopt;
  if (mapping.key_is_alike) return std::move(key).value();
  const Result<Row> again = target_key_of(mapping, key.value(), target);
  if (!again.ok() || !same(again.value(), target_key)) return std::nullopt;
  return std::move(key).value();
}

bool gives_another(const Mapping& mapping, const ColumnRule& back, const Row& image,
                   const Row& target) {
  const bool is_as_made =
      std::ranges::all_of(columns_of(*back.expr), [&](const std::string& column) {
        const auto at = static_cast<std::size_t>(mapping.target.column_index(column));
        return same(image[at], target[at]);
      });
  if (is_as_made) return false;
  const Result<Value> before = evaluate(*back.expr, image);
  const Result<Value> after = evaluate(*back.expr, target);
  return !before.ok() || !after.ok() || !same(before.value(), after.value());
}

std::vector<std::string> differing(const std::vector<ColumnRule>& rules, const Row& expected,
                                   const Row& found) {
  std::vector<std::string> columns;
  for (const ColumnRule& rule : rules) {
    const auto at = static_cast<std::size_t>(rule.index);
    if (same(expected[at], found[at])) continue;
    if (gives_json(*rule.expr) && same_json(expected[at], found[at])) continue;
    columns.push_back(rule.column);
  }
  return columns;
}

namespace {

bool reads_lookup(const Mapping& mapping, const Expr& expr) {
  return std::ranges::any_of(columns_of(expr), [&](const std::string& column) {
    return std::ranges::count(mapping.looked_up, column) > 0;
  });
}

// Whether all of this is what the plan makes, but for what is looked up: that follows from a row
// which may have another value by the time that this one is put back.
bool is_made_but_for_lookups(const Mapping& mapping, const Expr& expr, const Row& source,
                             const Value& found) {
  if (!reads_lookup(mapping, expr)) {
    const Result<Value> made = evaluate(expr, source);
    return made.ok() && (same(made.value(), found) || is_equal(made.value(), found) ||
                         (made.value().is_null() && found.is_null()));
  }
  const auto* object = std::get_if<JsonObject>(&expr.node);
  const auto* array = std::get_if<JsonArray>(&expr.node);
  if (object == nullptr && array == nullptr) return true;
  const auto* text = found.get_if<std::string>();
  const auto* json = found.get_if<Json>();
  std::optional<Value> parsed;
  if (text != nullptr || json != nullptr) {
    parsed = value_of_json(text != nullptr ? *text : json->text);
  }
  const Value& document = parsed ? *parsed : found;
  if (object != nullptr) {
    const auto* map = document.get_if<Map>();
    return map != nullptr && map->fields.size() == object->fields.size() &&
           std::ranges::all_of(object->fields, [&](const auto& field) {
             const auto it =
                 std::ranges::find(map->fields, field.first, &std::pair<std::string, Value>::first);
             return it != map->fields.end() &&
                    is_made_but_for_lookups(mapping, *field.second, source, it->second);
           });
  }
  const auto* list = document.get_if<List>();
  if (list == nullptr || list->items.size() != array->items.size()) return false;
  for (std::size_t i = 0; i < array->items.size(); ++i) {
    if (!is_made_but_for_lookups(mapping, *array->items[i], source, list->items[i])) return false;
  }
  return true;
}

}  // namespace

std::vector<Unheld> unheld(const Mapping& mapping, const Row& source, const Row& target,
                           const Catalog& catalog) {
  std::vector<Unheld> columns;
  const Result<Row> expected = image_of(mapping, source, catalog);
  for (std::size_t i = 0; i < mapping.target.columns.size(); ++i) {
    const ColumnSchema& column = mapping.target.columns[i];
    if (column.generated || mapping.target.is_key(column.name)) continue;
    const ColumnRule* rule = nullptr;
    for (const ColumnRule& one : mapping.forward) {
      if (one.index == static_cast<int>(i)) rule = &one;
    }
    if (rule != nullptr && reads_lookup(mapping, *rule->expr) &&
        is_made_but_for_lookups(mapping, *rule->expr, source, target[i])) {
      continue;
    }
    // What has no value there is not lost, unless the table would give it one.
    const auto* rest =
        column.name == mapping.target.rest_column ? target[i].get_if<Map>() : nullptr;
    const bool has_none = target[i].is_null() || (rest != nullptr && rest->fields.empty());
    if (rule == nullptr && has_none && column.default_sql.empty()) continue;
    if (rule == nullptr || !expected.ok()) {
      columns.push_back({column.name, target[i], std::nullopt});
    } else if (!differing({*rule}, expected.value(), target).empty()) {
      columns.push_back({column.name, target[i], expected.value()[i]});
    }
  }
  // A row without a key is known by its number, and another row may get that number: what else was
  // in it says which one is meant.
  const bool is_numbered = !mapping.source.row_number().empty();
  if (columns.empty() || !is_numbered || !expected.ok()) return columns;
  for (const ColumnRule& rule : mapping.forward) {
    const Value& value = target[static_cast<std::size_t>(rule.index)];
    const bool is_there = std::ranges::count(columns, rule.column, &Unheld::column) > 0;
    if (!is_there && !mapping.target.is_key(rule.column)) {
      columns.push_back({rule.column, value, value});
    }
  }
  return columns;
}

Row written_values(const std::vector<ColumnRule>& rules, const Row& row) {
  Row values;
  values.reserve(rules.size());
  for (const ColumnRule& rule : rules) values.push_back(row[static_cast<std::size_t>(rule.index)]);
  return values;
}

std::vector<std::string> written_columns(const std::vector<ColumnRule>& rules) {
  std::vector<std::string> columns;
  for (const ColumnRule& rule : rules) columns.push_back(rule.column);
  return columns;
}

}  // namespace whimbrel
