#include "stores/dynamodb/splice.h"

#include <fmt/format.h>

#include <algorithm>

#include "store/image.h"

namespace whimbrel::dynamodb {

namespace {

// For what a request has behind an item, and an item more than the one before.
constexpr std::size_t room_behind = 48;

const ColumnSchema& source_column(const Mapping& mapping, int at) {
  return mapping.source.columns[static_cast<std::size_t>(at)];
}

// The column whose value a rule takes over as it is; -1 where it makes something of it.
int taken_over(const Mapping& mapping, const ColumnRule& rule) {
  const auto* copied = std::get_if<ColumnRef>(&rule.expr->node);
  if (copied == nullptr) return -1;
  const int at = mapping.source.column_index(copied->column);
  const auto& column = mapping.target.columns[static_cast<std::size_t>(rule.index)];
  // A key of the table or of an index has to be of its type.
  const bool is_alike = at >= 0 && source_column(mapping, at).declared == column.declared;
  return is_alike ? at : -1;
}

bool changes_nothing(const Mapping& mapping) {
  return mapping.source.columns.size() == mapping.forward.size() &&
         std::ranges::all_of(mapping.forward, [&](const ColumnRule& rule) {
           const int at = taken_over(mapping, rule);
           return at >= 0 && source_column(mapping, at).name == rule.column;
         });
}

}  // namespace

bool ItemSplicer::can(const Mapping& mapping) {
  if (mapping.source.rest_column.empty() || mapping.target.rest_column.empty()) return false;
  if (mapping.key_is_joined || mapping.key_is_said || !mapping.respelled.empty()) return false;
  if (!mapping.looked_up.empty() || mapping.follows_only) return false;
  return std::ranges::all_of(mapping.forward, [&](const ColumnRule& rule) {
    const int at = taken_over(mapping, rule);
    if (mapping.target.is_key(rule.column)) {
      return at >= 0 && mapping.source.is_key(source_column(mapping, at).name);
    }
    // What is not named stays with what is not named.
    const bool is_rest = rule.column == mapping.target.rest_column;
    const auto read = columns_of(*rule.expr);
    return std::ranges::count(read, mapping.source.rest_column) == (is_rest ? 1 : 0) &&
           (!is_rest || at >= 0);
  });
}

ItemSplicer::ItemSplicer(const Mapping& mapping, const Catalog& target)
    : mapping_(mapping),
      target_(target),
      reader_(mapping.source),
      copies_all_(changes_nothing(mapping)),
      written_(written_columns(mapping.forward)),
      spelled_(mapping.source.columns.size()),
      row_(mapping.source.columns.size()) {
  for (std::size_t i = 0; i < mapping.source.columns.size(); ++i) {
    const std::string& name = mapping.source.columns[i].name;
    if (name == mapping.source.rest_column) continue;
    known_.push_back({name, static_cast<int>(i)});
  }
  for (const ColumnSchema& column : mapping.target.columns) {
    const bool is_in_both = std::ranges::count(known_, column.name, &Known::name) > 0;
    if (column.name == mapping.target.rest_column || is_in_both) continue;
    known_.push_back({column.name, -1});
  }
  for (std::size_t i = 0; i < mapping.forward.size(); ++i) {
    const ColumnRule& rule = mapping.forward[i];
    if (rule.column == mapping.target.rest_column) {
      copies_rest_ = true;
      continue;
    }
    rules_.push_back({in_quotes(rule.column) + ":", taken_over(mapping, rule), i});
    if (rules_.back().from >= 0) continue;
    for (const std::string& name : columns_of(*rule.expr)) {
      const auto at = static_cast<std::size_t>(mapping.source.column_index(name));
      if (std::ranges::count(parsed_, at) == 0) parsed_.push_back(at);
    }
  }
}

const ItemSplicer::Known* ItemSplicer::known(std::string_view name) const {
  const auto it = std::ranges::find(known_, name, &Known::name);
  return it == known_.end() ? nullptr : &*it;
}

Status ItemSplicer::append(simdjson::ondemand::object item, std::string& json) {
  if (copies_all_) {
    const std::string_view whole = item.raw_json();
    json.reserve(json.size() + whole.size() + room_behind);
    json += whole;
    return {};
  }
  json.reserve(json.size() + bytes_before_ + room_behind);
  const std::size_t before = json.size();
  ASSIGN_OR_RETURN(const bool done, append_fast(item, json));
  if (done) {
    bytes_before_ = json.size() - before;
    return {};
  }
  json.resize(before);
  if (item.reset().error() != simdjson::SUCCESS) {
    return Error{ErrorCode::internal, "an item cannot be read again"};
  }
  return append_as_row(std::string_view(item.raw_json()), json);
}

Result<bool> ItemSplicer::append_fast(simdjson::ondemand::object& item, std::string& json) {
  const std::size_t before = json.size();
  std::ranges::fill(spelled_, std::string_view());
  json += '{';
  const auto comma = [&] {
    if (json.back() != '{') json += ',';
  };
  bool is_plain = true;
  for (auto field : item) {
    const std::string_view name = field.unescaped_key();
    simdjson::ondemand::object tagged = field.value().get_object();
    const std::string_view value = tagged.raw_json();
    const Known* one = known(name);
    if (one != nullptr && one->source >= 0) {
      spelled_[static_cast<std::size_t>(one->source)] = value;
      continue;
    }
    // Written twice, or not to be there: the rows' way tells it.
    is_plain = is_plain && one == nullptr && !mapping_.rest_must_be_empty;
    if (!copies_rest_ || !is_plain) continue;
    comma();
    append_text(json, name);
    json += ':';
    json += value;
  }
  if (!is_plain) return false;
  for (const std::size_t at : parsed_) {
    ASSIGN_OR_RETURN(row_[at], value_at(at));
  }
  for (const Rule& rule : rules_) {
    if (rule.from >= 0) {
      const std::string_view value = spelled_[static_cast<std::size_t>(rule.from)];
      if (value.empty()) continue;
      comma();
      json += rule.name;
      json += value;
      continue;
    }
    const ColumnRule& computed = mapping_.forward[rule.computed];
    const auto& column = mapping_.target.columns[static_cast<std::size_t>(computed.index)];
    Result<Value> value = evaluate(*computed.expr, row_);
    if (value.ok()) value = target_.settle(column, std::move(value).value());
    // What fields of documents may be called is looked at where there are rows.
    const bool is_done =
        value.ok() && value.value().kind() != Kind::map && value.value().kind() != Kind::list;
    if (!is_done) return false;
    if (value.value().kind() == Kind::null) continue;  // not there
    comma();
    json += rule.name;
    append_value(json, value.value());
  }
  json += '}';
  // No item has more bytes than its JSON.
  return json.size() - before <= item_bytes_max;
}

Result<Value> ItemSplicer::value_at(std::size_t column) {
  const std::string_view json = spelled_[column];
  return json.empty() ? Result<Value>(Value()) : reader_.value(json);
}

Status ItemSplicer::append_as_row(std::string_view item, std::string& json) {
  ASSIGN_OR_RETURN(const Row row, reader_.item(item));
  Result<Row> image = image_of(mapping_, row, target_);
  Result<std::string> made = image.ok() ? item_of(mapping_.target, written_,
                                                  written_values(mapping_.forward, image.value()))
                                        : Result<std::string>(std::move(image).error());
  if (!made.ok()) {
    const Row key = key_of(row, mapping_.source_key);
    return std::move(made).error().within("converting key " + show(key));
  }
  json += made.value();
  return {};
}

}  // namespace whimbrel::dynamodb
