#include "conformance/dynamodb_arena.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <stdexcept>

#include "stores/dynamodb/dynamodb_store.h"

namespace whimbrel::conformance {

using nlohmann::json;

namespace {

constexpr const char* prefix = "conformance.";  // of every table here
constexpr const char* rest = "*";               // the column of what no column names

std::string endpoint() {
  const char* given = std::getenv("WHIMBREL_DYNAMODB_ENDPOINT");
  if (given == nullptr) {
    throw std::runtime_error("WHIMBREL_DYNAMODB_ENDPOINT: test/dynamodb/conformance.py starts one");
  }
  return given;
}

Value decimal(std::string text) { return Value(Value::Storage(Decimal{std::move(text)})); }

std::string to_base64(const std::string& bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::string from_base64(const std::string& text) {
  std::string bytes(text.size(), '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  bytes.resize(static_cast<std::size_t>(size - std::ranges::count(text, '=')));
  return bytes;
}

// An application has no other types.
json as_attribute(const Value& value) {
  if (const auto* text = value.get_if<std::string>()) return {{"S", *text}};
  if (const auto* number = value.get_if<Decimal>()) return {{"N", number->text}};
  if (const auto* bytes = value.get_if<Bytes>()) return {{"B", to_base64(bytes->text)}};
  throw std::runtime_error("no attribute of this application: " + show(value));
}

Value of_attribute(const json& attribute) {
  if (attribute.contains("S")) return Value::text(attribute["S"].get<std::string>());
  if (attribute.contains("N")) return decimal(attribute["N"]);
  if (attribute.contains("B")) return Value::bytes(from_base64(attribute["B"]));
  throw std::runtime_error("no attribute of this application: " + attribute.dump());
}

// Keys, then what an index is by, then what a plan names, then the rest.
std::vector<std::string> columns_of(const Shape& shape, const std::set<std::string>& named,
                                    Indexed indexed) {
  std::vector<std::string> columns;
  for (const KeyColumn& column : shape.key) columns.push_back(column.name);
  if (indexed == Indexed::amount) columns.push_back(shape.amount);
  for (const std::string& name : named) {
    if (std::ranges::count(columns, name) == 0) columns.push_back(name);
  }
  columns.emplace_back(rest);
  return columns;
}

}  // namespace

DynamoArena::DynamoArena(const Shape& shape, Indexed indexed)
    : shape_(shape),
      source_columns_(
          columns_of(shape, {shape.status, shape.result, shape.amount, shape.old_only}, indexed)),
      target_columns_(
          columns_of(shape, {shape.state, shape.document, shape.amount, shape.new_only}, indexed)) {
  static int count = 0;
  folder_ = std::filesystem::temp_directory_path() /
            fmt::format("whimbrel_conformance_dynamodb_{}_{}", ::getpid(), ++count);
  std::filesystem::create_directories(folder_);
  aws::Access::Wanted wanted;
  wanted.region = "us-east-1";
  wanted.endpoint = endpoint();
  auto access = aws::Access::open(wanted, aws::process_environment(), clock_);
  if (!access.ok()) throw std::runtime_error(to_text(access.error()));
  application_ =
      std::make_unique<aws::Client>(std::move(access).value(), aws::dynamodb_service(), clock_);
  for (const std::string& table : tables()) ask_or_throw("DeleteTable", {{"TableName", table}});
  create(shape.source, false, indexed);
  create(shape.target, true, indexed);
  reopen();
}

DynamoArena::~DynamoArena() {
  store_.reset();
  for (const char* name : {"", "_twin"}) {
    for (const std::string& table : {shape_.source, shape_.target})
      (void)ask("DeleteTable", {{"TableName", table + name}});
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void DynamoArena::create(const std::string& table, bool is_new, Indexed indexed) {
  json keys = json::array();
  json types = json::array();
  for (const KeyColumn& column : shape_.key) {
    const bool is_first = keys.empty();
    const bool is_text = is_new && is_first && shape_.key_is_inserted;
    keys.push_back({{"AttributeName", column.name}, {"KeyType", is_first ? "HASH" : "RANGE"}});
    types.push_back(
        {{"AttributeName", column.name}, {"AttributeType", is_text ? "S" : column.type}});
  }
  json request = {{"TableName", table}, {"BillingMode", "PAY_PER_REQUEST"}, {"KeySchema", keys}};
  if (indexed == Indexed::amount) {
    types.push_back({{"AttributeName", shape_.amount}, {"AttributeType", "N"}});
    json by_amount = json::array();
    by_amount.push_back({{"AttributeName", shape_.amount}, {"KeyType", "HASH"}});
    request["GlobalSecondaryIndexes"] = json::array();
    request["GlobalSecondaryIndexes"].push_back({{"IndexName", "by_amount"},
                                                 {"KeySchema", by_amount},
                                                 {"Projection", {{"ProjectionType", "ALL"}}}});
  }
  request["AttributeDefinitions"] = types;
  ask_or_throw("CreateTable", request);
}

void DynamoArena::reopen() {
  store_.reset();
  auto opened = DynamoStore::open("us-east-1?endpoint=" + endpoint(), clock_);
  if (!opened.ok()) throw std::runtime_error(to_text(opened.error()));
  store_ = std::move(opened).value();
  if (const Status works = store_->work_in(folder_.string()); !works.ok())
    throw std::runtime_error(to_text(works.error()));
}

Result<json> DynamoArena::ask(const std::string& operation, const json& request) {
  ASSIGN_OR_RETURN(const std::string reply, application_->call(operation, request.dump()));
  return json::parse(reply);
}

json DynamoArena::ask_or_throw(const std::string& operation, const json& request) {
  Result<json> reply = ask(operation, request);
  if (!reply.ok()) throw std::runtime_error(to_text(reply.error()));
  return std::move(reply).value();
}

std::vector<std::string> DynamoArena::tables() {
  std::vector<std::string> names;
  const json listed = ask_or_throw("ListTables", json::object());
  for (const std::string name : listed["TableNames"]) {
    if (name.starts_with(prefix)) names.push_back(name);
  }
  return names;
}

json DynamoArena::key_of_item(const Row& key) const {
  json item = json::object();
  for (std::size_t i = 0; i < key.size(); ++i) item[shape_.key[i].name] = as_attribute(key[i]);
  return item;
}

Status DynamoArena::insert(const std::string& table, const std::vector<Named>& values) {
  json item = json::object();
  for (const auto& [name, value] : values) {
    if (!value.is_null()) item[name] = as_attribute(value);
  }
  TRY(ask("PutItem", {{"TableName", table},
                      {"Item", item},
                      {"ConditionExpression", "attribute_not_exists(#key)"},
                      {"ExpressionAttributeNames", {{"#key", shape_.key.front().name}}}}));
  return {};
}

Status DynamoArena::update(const std::string& table, const Row& key,
                           const std::vector<Named>& values) {
  std::string sets;
  std::string removes;
  json names = {{"#key", shape_.key.front().name}};
  json given = json::object();
  for (const auto& [name, value] : values) {
    const std::string number = fmt::format("{}", names.size());
    names["#n" + number] = name;
    if (value.is_null()) {
      removes += (removes.empty() ? "REMOVE #n" : ", #n") + number;
    } else {
      sets += (sets.empty() ? "SET #n" : ", #n") + number + " = :v" + number;
      given[":v" + number] = as_attribute(value);
    }
  }
  json request = {{"TableName", table},
                  {"Key", key_of_item(key)},
                  {"UpdateExpression", sets + " " + removes},
                  {"ConditionExpression", "attribute_exists(#key)"},
                  {"ExpressionAttributeNames", names}};
  if (!given.empty()) request["ExpressionAttributeValues"] = given;
  TRY(ask("UpdateItem", request));
  return {};
}

Status DynamoArena::erase(const std::string& table, const Row& key) {
  TRY(ask("DeleteItem", {{"TableName", table}, {"Key", key_of_item(key)}}));
  return {};
}

std::vector<Row> DynamoArena::rows(const std::string& table) {
  const std::vector<std::string>& columns =
      table == shape_.target ? target_columns_ : source_columns_;
  std::vector<Row> rows;
  json request = {{"TableName", table}, {"ConsistentRead", true}};
  while (true) {
    const json page = ask_or_throw("Scan", request);
    for (const json& item : page["Items"]) {
      Row row(columns.size());
      Map others;
      for (const auto& [name, attribute] : item.items()) {  // sorted by name
        const auto at = std::ranges::find(columns, name);
        if (at == columns.end()) {
          others.fields.emplace_back(name, of_attribute(attribute));
        } else {
          row[static_cast<std::size_t>(at - columns.begin())] = of_attribute(attribute);
        }
      }
      row.back() = Value(Value::Storage(std::move(others)));
      rows.push_back(std::move(row));
    }
    if (!page.contains("LastEvaluatedKey")) return rows;
    request["ExclusiveStartKey"] = page["LastEvaluatedKey"];
  }
}

std::vector<std::string> DynamoArena::leftovers() {
  std::vector<std::string> found;
  for (const std::string& table : tables()) {
    if (has_stream(table)) found.push_back("the stream of " + table);
    if (table != shape_.source && table != shape_.target) found.push_back(table);
  }
  return found;
}

void DynamoArena::drop_capture() {
  for (const std::string& table : {shape_.source, shape_.target}) {
    if (!has_stream(table)) continue;
    ask_or_throw("UpdateTable",
                 {{"TableName", table}, {"StreamSpecification", {{"StreamEnabled", false}}}});
  }
}

void DynamoArena::begin_stream(const std::string& table) {
  ask_or_throw("UpdateTable", {{"TableName", table},
                               {"StreamSpecification",
                                {{"StreamEnabled", true}, {"StreamViewType", "KEYS_ONLY"}}}});
}

bool DynamoArena::has_stream(const std::string& table) {
  const json about = ask_or_throw("DescribeTable", {{"TableName", table}})["Table"];
  return about.value("StreamSpecification", json::object()).value("StreamEnabled", false);
}

Value DynamoArena::number(std::int64_t number) const { return decimal(fmt::format("{}", number)); }

// ---------------------------------------------------------------- shapes

namespace {

Row text_key(int i) {
  static const std::vector<std::string> odd = {"Z",     "ä", "a b", "{x}", "it's",
                                               "\"q\"", "%", "A#1", "\n",  "漢🜁"};
  return text_key_of(i, odd);
}

Row number_key(int i) {
  static const std::vector<std::string> odd = {"0", "-1", "12345678901234567890", "-0.5",
                                               "9007199254740993"};
  return {decimal(i < std::ssize(odd) ? odd[static_cast<std::size_t>(i)]
                                      : fmt::format("{}", shuffled(i) - 200))};
}

Row bytes_key(int i) {
  return {Value::bytes(std::string{static_cast<char>(shuffled(i)), '\0', '\xff'})};
}

Row composite_key(int i) {
  return {Value::text(std::string(1, static_cast<char>('a' + i % 3))),
          decimal(fmt::format("{}{}", shuffled(i), i % 2 == 0 ? "" : ".5"))};
}

}  // namespace

std::vector<Setup> every_store() {
  std::vector<Setup> all;
  const auto add = [&](const char* name, std::vector<KeyColumn> key, Row (*key_at)(int),
                       Indexed indexed = Indexed::nothing) -> Shape& {
    Shape shape;
    shape.name = name;
    shape.source = std::string(prefix) + "old_rows";
    shape.target = std::string(prefix) + "new-rows";
    shape.key = std::move(key);
    shape.key_at = key_at;
    all.push_back({std::string("dynamodb_") + name, std::move(shape),
                   [indexed](const Shape& of) -> std::unique_ptr<Arena> {
                     return std::make_unique<DynamoArena>(of, indexed);
                   }});
    return all.back().shape;
  };
  add("text_key", {{"id", "S"}}, text_key).key_is_inserted = true;
  add("number_key", {{"id", "N"}}, number_key);
  add("bytes_key", {{"id", "B"}}, bytes_key);
  add("composite_key", {{"region", "S"}, {"number", "N"}}, composite_key, Indexed::amount)
      .key_is_inserted = true;
  Shape& odd = add("odd_names", {{"the \"id\".of", "S"}, {"order", "N"}}, composite_key);
  name_oddly(odd);
  odd.state = "größe 🜁";
  odd.document = "#document";
  return all;
}

}  // namespace whimbrel::conformance
