#include "stores/dynamodb/item.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.h"
#include "stores/dynamodb/number.h"
#include "value/moments.h"

namespace whimbrel::dynamodb {

namespace {

using simdjson::dom::element;

Error unreadable(const char* what) {
  return Error{ErrorCode::unavailable, std::string("a reply cannot be read: ") + what};
}

void append_base64(std::string& json, std::string_view bytes) {
  const std::size_t at = json.size();
  json.resize(at + 4 * ((bytes.size() + 2) / 3) + 1);
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(json.data() + at),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  json.resize(at + static_cast<std::size_t>(size));
}

Result<std::string> from_base64(std::string_view text) {
  std::string bytes(text.size() / 4 * 3 + 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0 || text.size() % 4 != 0) return unreadable("a binary that is no base64");
  int padding = 0;
  if (text.ends_with("==")) {
    padding = 2;
  } else if (text.ends_with("=")) {
    padding = 1;
  }
  bytes.resize(static_cast<std::size_t>(size - padding));
  return bytes;
}

template <class Members>
void append_members(std::string& json, const char* tag, const Members& members, bool base64) {
  json += "{\"";
  json += tag;
  json += "\":[";
  bool first = true;
  for (const std::string& member : members) {
    if (!first) json += ',';
    first = false;
    if (base64) {
      json += '"';
      append_base64(json, member);
      json += '"';
    } else {
      append_text(json, member);
    }
  }
  json += "]}";
}

void append_fields(std::string& json, const Map& map) {
  bool first = true;
  for (const auto& [name, field] : map.fields) {
    if (!first) json += ',';
    first = false;
    append_text(json, name);
    json += ':';
    append_value(json, field);
  }
}

// How many bytes AWS counts for a value; a number by its digits.
std::int64_t value_size(const Value& value) {
  constexpr std::int64_t overhead = 3;
  if (const auto* text = value.get_if<std::string>()) return std::ssize(*text);
  if (const auto* bytes = value.get_if<Bytes>()) return std::ssize(bytes->text);
  if (const auto* number = value.get_if<Decimal>()) {
    std::int64_t digits = 0;
    for (const char c : number->text) digits += c >= '0' && c <= '9' ? 1 : 0;
    return (digits + 1) / 2 + 1 + (number->text.starts_with('-') ? 1 : 0);
  }
  std::int64_t size = 0;
  if (const auto* set = value.get_if<TextSet>()) {
    for (const std::string& member : set->members) size += std::ssize(member);
    return size;
  }
  if (const auto* set = value.get_if<BytesSet>()) {
    for (const std::string& member : set->members) size += std::ssize(member);
    return size;
  }
  if (const auto* set = value.get_if<NumberSet>()) {
    for (const std::string& member : set->members) size += std::ssize(member) / 2 + 2;
    return size;
  }
  if (const auto* list = value.get_if<List>()) {
    size = overhead;
    for (const Value& item : list->items) size += 1 + value_size(item);
    return size;
  }
  if (const auto* map = value.get_if<Map>()) {
    size = overhead;
    for (const auto& [name, field] : map->fields) size += 1 + std::ssize(name) + value_size(field);
    return size;
  }
  return 1;
}

// The text itself, when it is a number.
Result<std::string> as_spelled(std::string_view text) {
  TRY(normal_number(text));
  return std::string(text);
}

template <Kind K>
Result<Value> set_of(const element& members, auto&& convert) {
  simdjson::dom::array array;
  if (members.get(array) != simdjson::SUCCESS) return unreadable("a set that is no list");
  SetOf<K> set;
  for (const element member : array) {
    std::string_view text;
    if (member.get(text) != simdjson::SUCCESS) return unreadable("a member of a set");
    Result<std::string> made = convert(text);
    if (!made.ok()) return std::move(made).error();
    set.members.push_back(std::move(made).value());
  }
  std::ranges::sort(set.members);
  const auto twice = std::ranges::unique(set.members);
  set.members.erase(twice.begin(), twice.end());
  return Value(Value::Storage(std::move(set)));
}

Result<Value> value_from(const element& json, int depth) {
  simdjson::dom::object object;
  if (depth > depth_max + 1) return unreadable("a document that is nested too deeply");
  if (json.get(object) != simdjson::SUCCESS || object.size() != 1) {
    return unreadable("a value without a type");
  }
  const auto field = *object.begin();
  const std::string_view tag = field.key;
  std::string_view text;
  if (tag == "S" && field.value.get(text) == simdjson::SUCCESS) return Value::text(text);
  if (tag == "N" && field.value.get(text) == simdjson::SUCCESS) {
    ASSIGN_OR_RETURN(std::string number, normal_number(text));
    // Within a document a number keeps the spelling that the service keeps.
    return Value(Value::Storage(Decimal{depth == 0 ? std::move(number) : std::string(text)}));
  }
  if (tag == "B" && field.value.get(text) == simdjson::SUCCESS) {
    ASSIGN_OR_RETURN(std::string bytes, from_base64(text));
    return Value(Value::Storage(Bytes{std::move(bytes)}));
  }
  if (tag == "BOOL") {
    bool flag = false;
    if (field.value.get(flag) == simdjson::SUCCESS) return Value(Value::Storage(flag));
  }
  if (tag == "NULL") return Value(Value::Storage(StatedNull{}));
  if (tag == "SS") {
    return set_of<Kind::text_set>(
        field.value, [](std::string_view one) { return Result<std::string>(std::string(one)); });
  }
  if (tag == "NS") {
    return set_of<Kind::number_set>(field.value, depth == 0 ? normal_number : as_spelled);
  }
  if (tag == "BS") return set_of<Kind::bytes_set>(field.value, from_base64);
  if (tag == "L") {
    simdjson::dom::array array;
    if (field.value.get(array) != simdjson::SUCCESS) return unreadable("a list");
    List list;
    for (const element item : array) {
      ASSIGN_OR_RETURN(Value value, value_from(item, depth + 1));
      list.items.push_back(std::move(value));
    }
    return Value(Value::Storage(std::move(list)));
  }
  if (tag == "M") {
    simdjson::dom::object fields;
    if (field.value.get(fields) != simdjson::SUCCESS) return unreadable("a map");
    Map map;
    for (const auto inner : fields) {
      ASSIGN_OR_RETURN(Value value, value_from(inner.value, depth + 1));
      map.fields.emplace_back(std::string(inner.key), std::move(value));
    }
    std::ranges::sort(map.fields, {},
                      [](const auto& one) -> const std::string& { return one.first; });
    return Value(Value::Storage(std::move(map)));
  }
  return unreadable("a type of value that is not known");
}

Result<Row> key_from(const element& json, const std::vector<std::string>& names) {
  Row key;
  for (const std::string& name : names) {
    element part;
    if (json.at_key(name).get(part) != simdjson::SUCCESS) return unreadable("a key without a part");
    ASSIGN_OR_RETURN(Value value, value_from(part, 0));
    key.push_back(std::move(value));
  }
  return key;
}

double capacity_in(const element& root) {
  double units = 0;
  if (root.at_pointer("/ConsumedCapacity/CapacityUnits").get(units) == simdjson::SUCCESS)
    return units;
  simdjson::dom::array tables;
  if (root["ConsumedCapacity"].get(tables) != simdjson::SUCCESS) return 0;
  double sum = 0;
  for (const element table : tables) {
    if (table["CapacityUnits"].get(units) == simdjson::SUCCESS) sum += units;
  }
  return sum;
}

}  // namespace

void append_text(std::string& json, std::string_view text) {
  constexpr const char* digits = "0123456789abcdef";
  json += '"';
  std::size_t plain = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    json.append(text.substr(plain, i - plain));
    plain = i + 1;
    if (byte == '"' || byte == '\\') {
      json += '\\';
      json += text[i];
    } else {
      json += "\\u00";
      json += digits[byte >> 4];
      json += digits[byte & 15];
    }
  }
  json.append(text.substr(plain));
  json += '"';
}

std::string in_quotes(std::string_view text) {
  std::string json;
  append_text(json, text);
  return json;
}

void append_value(std::string& json, const Value& value) {
  switch (value.kind()) {
    case Kind::null:
    case Kind::stated_null:
      json += "{\"NULL\":true}";
      return;
    case Kind::boolean:
      json += value.get<bool>() ? "{\"BOOL\":true}" : "{\"BOOL\":false}";
      return;
    case Kind::int64:
      json += fmt::format("{{\"N\":\"{}\"}}", value.get<std::int64_t>());
      return;
    case Kind::real:
      json += fmt::format("{{\"N\":\"{}\"}}", value.get<double>());
      return;
    case Kind::decimal:
      json += "{\"N\":\"" + value.get<Decimal>().text + "\"}";
      return;
    case Kind::bytes:
      json += "{\"B\":\"";
      append_base64(json, value.get<Bytes>().text);
      json += "\"}";
      return;
    case Kind::text_set:
      append_members(json, "SS", value.get<TextSet>().members, false);
      return;
    case Kind::number_set:
      append_members(json, "NS", value.get<NumberSet>().members, false);
      return;
    case Kind::bytes_set:
      append_members(json, "BS", value.get<BytesSet>().members, true);
      return;
    case Kind::list: {
      json += "{\"L\":[";
      bool first = true;
      for (const Value& item : value.get<List>().items) {
        if (!first) json += ',';
        first = false;
        append_value(json, item);
      }
      json += "]}";
      return;
    }
    case Kind::map:
      json += "{\"M\":{";
      append_fields(json, value.get<Map>());
      json += "}}";
      return;
    case Kind::text:
      json += "{\"S\":";
      append_text(json, value.get<std::string>());
      json += '}';
      return;
    case Kind::uuid:
    case Kind::date:
    case Kind::time:
    case Kind::timestamp:
    case Kind::timestamp_tz:
    case Kind::json:
      json += "{\"S\":";
      std::visit(
          [&](const auto& one) {
            if constexpr (requires { one.text; }) append_text(json, one.text);
          },
          value.storage());
      json += '}';
      return;
  }
}

namespace {

// Within a document a number keeps the spelling that it came in, which DynamoDB keeps as well.
Result<Value> settled_within(Value value) {
  if (value.kind() != Kind::decimal) return settled(std::move(value));
  TRY(normal_number(value.get<Decimal>().text));
  return value;
}

}  // namespace

Result<Value> settled(Value value) {
  switch (value.kind()) {
    case Kind::null:
    case Kind::stated_null:
    case Kind::boolean:
    case Kind::bytes:
      return value;
    case Kind::text:
      if (is_utf8(value.get<std::string>())) return value;
      return Error{ErrorCode::refused,
                   show(value) + " is no UTF-8, and DynamoDB holds nothing else as text",
                   "say `cast: …, to: bytes`"};
    case Kind::int64:
      return Value(Value::Storage(Decimal{fmt::format("{}", value.get<std::int64_t>())}));
    case Kind::real: {
      const double real = value.get<double>();
      if (!std::isfinite(real)) {
        return Error{ErrorCode::refused, show(value) + " is no number that DynamoDB can hold"};
      }
      ASSIGN_OR_RETURN(std::string number, normal_number(fmt::format("{}", real)));
      return Value(Value::Storage(Decimal{std::move(number)}));
    }
    case Kind::decimal: {
      ASSIGN_OR_RETURN(std::string number, normal_number(value.get<Decimal>().text));
      return Value(Value::Storage(Decimal{std::move(number)}));
    }
    case Kind::number_set:
      for (const std::string& member : value.get<NumberSet>().members) TRY(normal_number(member));
      return value;
    case Kind::text_set:
    case Kind::bytes_set:
      return value;
    case Kind::list: {
      List list = std::get<List>(std::move(value).take());
      for (Value& item : list.items) {
        ASSIGN_OR_RETURN(item, settled_within(std::move(item)));
      }
      return Value(Value::Storage(std::move(list)));
    }
    case Kind::map: {
      Map map = std::get<Map>(std::move(value).take());
      for (auto& [name, field] : map.fields) {
        ASSIGN_OR_RETURN(field, settled_within(std::move(field)));
        if (field.kind() == Kind::null) field = Value(Value::Storage(StatedNull{}));
      }
      return Value(Value::Storage(std::move(map)));
    }
    case Kind::timestamp_tz:
      return Value::text(with_whole_zone(value.get<TimestampTz>().text));
    case Kind::uuid:
    case Kind::date:
    case Kind::time:
    case Kind::timestamp:
    case Kind::json:
      return std::visit(
          [](const auto& one) -> Result<Value> {
            if constexpr (requires { std::string_view(one.text); }) {
              return Value::text(one.text);
            } else {
              return Value();
            }
          },
          value.storage());
  }
  return value;
}

Result<Value> settled_key(const ColumnSchema& column, Value value) {
  ASSIGN_OR_RETURN(Value key, settled(std::move(value)));
  const bool missing = key.is_null() && !column.nullable;
  if (key.kind() == Kind::null && column.nullable) return key;  // an index leaves such items out
  if (missing || key.kind() != column.holds) {
    return Error{ErrorCode::refused,
                 fmt::format("{} cannot be the key `{}`, which is of type {}", show(key),
                             column.name, column.declared),
                 "say `cast:` in the plan, or correct such rows first"};
  }
  const std::size_t length = key.kind() == Kind::text    ? key.get<std::string>().size()
                             : key.kind() == Kind::bytes ? key.get<Bytes>().text.size()
                                                         : 1;
  if (column.bytes_max > 0 && length > column.bytes_max) {
    return Error{ErrorCode::refused,
                 fmt::format("{} is longer than the {} bytes that a key `{}` may have", show(key),
                             column.bytes_max, column.name),
                 "give such rows another key"};
  }
  if (length > 0) return key;
  return Error{
      ErrorCode::refused,
      fmt::format("the key `{}` would be empty, which DynamoDB does not take", column.name),
      "give it a value with `if_null:` or `map`, or correct such rows first"};
}

Result<std::string> item_of(const TableSchema& table, std::span<const std::string> columns,
                            const Row& values) {
  std::string json = "{";
  const auto comma = [&] {
    if (json.size() > 1) json += ',';
  };
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (values[i].kind() == Kind::null) continue;  // not there
    if (columns[i] != table.rest_column) {
      comma();
      append_text(json, columns[i]);
      json += ':';
      append_value(json, values[i]);
      continue;
    }
    const auto* map = values[i].get_if<Map>();
    if (map == nullptr || map->fields.empty()) continue;
    for (const auto& [name, field] : map->fields) {
      if (name == table.rest_column || table.column_index(name) < 0) continue;
      return Error{
          ErrorCode::refused,
          fmt::format("the attribute `{}` would be written twice: by the plan, and as it is "
                      "in the source",
                      printable(name)),
          "map the source's attribute to another name, or drop it"};
    }
    comma();
    append_fields(json, *map);
  }
  return json + "}";
}

std::string key_json(const std::vector<std::string>& names, const Row& key) {
  std::string json = "{";
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) json += ',';
    append_text(json, names[i]);
    json += ':';
    append_value(json, key[i]);
  }
  return json + "}";
}

std::string key_shown(const std::string& request, const std::vector<std::string>& key) {
  simdjson::dom::parser parser;
  element root;
  if (parser.parse(request).get(root) != simdjson::SUCCESS) return "?";
  for (const char* place : {"/PutRequest/Item", "/DeleteRequest/Key"}) {
    element item;
    if (root.at_pointer(place).get(item) != simdjson::SUCCESS) continue;
    const Result<Row> found = key_from(item, key);
    if (found.ok()) return show(found.value());
  }
  return "?";
}

std::string key_json(const TableSchema& table, const Row& key) { return key_json(table.key, key); }

std::int64_t item_size(const TableSchema& table, const Row& row) {
  std::int64_t size = 0;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (row[i].kind() == Kind::null) continue;
    const std::string& name = table.columns[i].name;
    if (name == table.rest_column) {
      if (const auto* map = row[i].get_if<Map>()) {
        for (const auto& [field_name, field] : map->fields) {
          size += std::ssize(field_name) + value_size(field);
        }
      }
      continue;
    }
    size += std::ssize(name) + value_size(row[i]);
  }
  return size;
}

struct ItemReader::Parser {
  simdjson::dom::parser json;
  std::map<std::string, std::size_t, std::less<>> columns;
  std::optional<std::size_t> rest;

  Result<element> root(const std::string& body) {
    element root;
    if (const auto failure = json.parse(body).get(root); failure != simdjson::SUCCESS) {
      return unreadable(simdjson::simdjson_error(failure).what());
    }
    return root;
  }

  Result<Row> row(const element& item, std::size_t width) const {
    simdjson::dom::object object;
    if (item.get(object) != simdjson::SUCCESS) return unreadable("an item that is no object");
    Row row(width);
    Map others;
    for (const auto field : object) {
      ASSIGN_OR_RETURN(Value value, value_from(field.value, 0));
      const auto known = columns.find(field.key);
      if (known != columns.end()) {
        row[known->second] = std::move(value);
      } else {
        others.fields.emplace_back(std::string(field.key), std::move(value));
      }
    }
    if (rest) {
      std::ranges::sort(others.fields, {},
                        [](const auto& one) -> const std::string& { return one.first; });
      row[*rest] = Value(Value::Storage(std::move(others)));
    }
    return row;
  }
};

ItemReader::ItemReader(const TableSchema& table)
    : table_(table), parser_(std::make_unique<Parser>()) {
  for (std::size_t i = 0; i < table_.columns.size(); ++i) {
    if (table_.columns[i].name == table_.rest_column) {
      parser_->rest = i;
    } else {
      parser_->columns.emplace(table_.columns[i].name, i);
    }
  }
}

ItemReader::~ItemReader() = default;

Result<Page> ItemReader::scan_page(const std::string& body) {
  ASSIGN_OR_RETURN(const element root, parser_->root(body));
  Page page;
  simdjson::dom::array items;
  if (root["Items"].get(items) == simdjson::SUCCESS) {
    page.rows.reserve(items.size());
    for (const element item : items) {
      ASSIGN_OR_RETURN(Row row, parser_->row(item, table_.columns.size()));
      page.rows.push_back(std::move(row));
    }
  }
  if (root["Count"].get(page.count) != simdjson::SUCCESS) page.count = std::ssize(page.rows);
  if (root["ScannedCount"].get(page.looked_at) != simdjson::SUCCESS) page.looked_at = page.count;
  element last;
  if (root["LastEvaluatedKey"].get(last) == simdjson::SUCCESS) {
    ASSIGN_OR_RETURN(page.last_key, key_from(last, table_.key));
  }
  page.capacity = capacity_in(root);
  page.bytes = std::ssize(body);
  return page;
}

Result<Page> ItemReader::batch_page(const std::string& body) {
  ASSIGN_OR_RETURN(const element root, parser_->root(body));
  Page page;
  simdjson::dom::object tables;
  if (root["Responses"].get(tables) == simdjson::SUCCESS) {
    for (const auto table : tables) {
      simdjson::dom::array items;
      if (table.value.get(items) != simdjson::SUCCESS) return unreadable("the items of a batch");
      for (const element item : items) {
        ASSIGN_OR_RETURN(Row row, parser_->row(item, table_.columns.size()));
        page.rows.push_back(std::move(row));
      }
    }
  }
  simdjson::dom::object unprocessed;
  if (root["UnprocessedKeys"].get(unprocessed) == simdjson::SUCCESS) {
    for (const auto table : unprocessed) {
      element keys;
      if (table.value["Keys"].get(keys) == simdjson::SUCCESS)
        page.unprocessed = simdjson::minify(keys);
    }
  }
  page.looked_at = std::ssize(page.rows);
  page.capacity = capacity_in(root);
  return page;
}

Result<std::optional<Row>> ItemReader::one(const std::string& body) {
  ASSIGN_OR_RETURN(const element root, parser_->root(body));
  element item;
  if (root["Item"].get(item) != simdjson::SUCCESS) return std::optional<Row>();
  ASSIGN_OR_RETURN(Row row, parser_->row(item, table_.columns.size()));
  return std::optional<Row>(std::move(row));
}

Result<Row> ItemReader::item(std::string_view json) {
  element root;
  if (const auto failure = parser_->json.parse(json.data(), json.size(), false).get(root);
      failure != simdjson::SUCCESS) {
    return unreadable(simdjson::simdjson_error(failure).what());
  }
  return parser_->row(root, table_.columns.size());
}

Result<Value> ItemReader::value(std::string_view json) {
  // Nearly all of them, and with nothing to unescape.
  constexpr std::string_view text_begin = R"({"S":")";
  constexpr std::string_view number_begin = R"({"N":")";
  const bool is_text = json.starts_with(text_begin);
  if ((is_text || json.starts_with(number_begin)) && json.ends_with("\"}")) {
    const std::string_view inside =
        json.substr(text_begin.size(), json.size() - text_begin.size() - 2);
    if (inside.find_first_of("\\\"") == std::string_view::npos) {
      if (is_text) return Value::text(inside);
      ASSIGN_OR_RETURN(std::string number, normal_number(inside));
      return Value(Value::Storage(Decimal{std::move(number)}));
    }
  }
  element root;
  if (const auto failure = parser_->json.parse(json.data(), json.size(), false).get(root);
      failure != simdjson::SUCCESS) {
    return unreadable(simdjson::simdjson_error(failure).what());
  }
  return value_from(root, 0);
}

Result<RecordPage> records_of(const std::string& body, const std::vector<std::string>& key) {
  simdjson::dom::parser parser;
  element root;
  if (const auto failure = parser.parse(body).get(root); failure != simdjson::SUCCESS) {
    return unreadable(simdjson::simdjson_error(failure).what());
  }
  RecordPage page;
  std::string_view next;
  if (root["NextShardIterator"].get(next) == simdjson::SUCCESS) page.next_iterator = next;
  simdjson::dom::array records;
  if (root["Records"].get(records) != simdjson::SUCCESS) return page;
  for (const element record : records) {
    StreamRecord one;
    element keys;
    std::string_view text;
    if (record.at_pointer("/dynamodb/Keys").get(keys) != simdjson::SUCCESS ||
        record.at_pointer("/dynamodb/SequenceNumber").get(text) != simdjson::SUCCESS) {
      return unreadable("a record without its key");
    }
    one.sequence = text;
    ASSIGN_OR_RETURN(one.key, key_from(keys, key));
    if (record["eventName"].get(text) == simdjson::SUCCESS && text == "REMOVE") {
      const auto by = record.at_pointer("/userIdentity/PrincipalId").get(text);
      const bool by_time = by == simdjson::SUCCESS && text == "dynamodb.amazonaws.com";
      one.removal = by_time ? Removal::by_time : Removal::by_somebody;
    }
    double created = 0;
    const auto at = record.at_pointer("/dynamodb/ApproximateCreationDateTime");
    if (at.get(created) == simdjson::SUCCESS) one.created_s = static_cast<std::int64_t>(created);
    page.records.push_back(std::move(one));
  }
  return page;
}

}  // namespace whimbrel::dynamodb
