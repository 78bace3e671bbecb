#include "stores/dynamodb/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/text.h"
#include "stores/dynamodb/item.h"

namespace whimbrel::dynamodb {

namespace {

using nlohmann::json;

Kind kind_of(const std::string& type) {
  if (type == "N") return Kind::decimal;
  return type == "B" ? Kind::bytes : Kind::text;
}

json throughput_of(const json& part) {
  const json units = part.value("ProvisionedThroughput", json::object());
  return {{"ReadCapacityUnits", std::max<std::int64_t>(units.value("ReadCapacityUnits", 1), 1)},
          {"WriteCapacityUnits", std::max<std::int64_t>(units.value("WriteCapacityUnits", 1), 1)}};
}

void sort_by(json& list, const char* name) {
  std::sort(list.begin(), list.end(), [&](const json& a, const json& b) {
    return a.value(name, std::string()) < b.value(name, std::string());
  });
}

json indexes_of(const json& table, const char* kind, bool provisioned) {
  json all = json::array();
  for (const json& index : table.value(kind, json::array())) {
    json one = {{"IndexName", index.value("IndexName", "")},
                {"KeySchema", index.value("KeySchema", json::array())},
                {"Projection", index.value("Projection", json::object())}};
    if (provisioned) one["ProvisionedThroughput"] = throughput_of(index);
    if (index.contains("OnDemandThroughput")) {
      one["OnDemandThroughput"] = index["OnDemandThroughput"];
    }
    all.push_back(std::move(one));
  }
  sort_by(all, "IndexName");
  return all;
}

std::map<std::string, json> by_name(const json& create, const char* kind) {
  std::map<std::string, json> all;
  for (const json& one : create.value(kind, json::array())) all[one.value("IndexName", "")] = one;
  return all;
}

std::string keys_text(const json& keys) {
  std::vector<std::string> parts;
  for (const json& part : keys) {
    parts.push_back(part.value("AttributeName", "") +
                    (part.value("KeyType", "") == "HASH" ? "" : " (sort)"));
  }
  return join(parts, ", ");
}

void compare_indexes(const json& wanted, const json& there, const char* kind,
                     std::vector<std::string>& out) {
  const auto left = by_name(wanted, kind);
  const auto right = by_name(there, kind);
  for (const auto& [name, index] : left) {
    const auto it = right.find(name);
    if (it == right.end()) {
      out.push_back(fmt::format("it lacks the index {}", name));
    } else if (it->second["KeySchema"] != index["KeySchema"]) {
      out.push_back(fmt::format("its index {} is by {} instead of {}", name,
                                keys_text(it->second["KeySchema"]), keys_text(index["KeySchema"])));
    } else if (it->second.value("Projection", json()) != index.value("Projection", json())) {
      out.push_back(fmt::format("its index {} holds other attributes", name));
    }
  }
  for (const auto& [name, index] : right) {
    if (!left.contains(name)) out.push_back(fmt::format("it has an index {} more", name));
  }
}

using Names = std::map<std::string, std::string>;

void rename(json& name, const Names& names) {
  const auto it = name.is_string() ? names.find(name.get<std::string>()) : names.end();
  if (it != names.end()) name = it->second;
}

void rename_within(json& part, const Names& names) {
  if (part.is_object() && part.contains("AttributeName")) rename(part["AttributeName"], names);
  if (part.is_object() && part.contains("NonKeyAttributes")) {
    for (json& name : part["NonKeyAttributes"]) rename(name, names);
  }
  if (!part.is_structured()) return;
  for (json& inner : part) rename_within(inner, names);
}

}  // namespace

// The service would call another name a mistake of the request. An ARN names a table, too.
bool can_be_a_table(std::string_view name) {
  constexpr std::size_t shortest = 3;
  constexpr std::size_t longest = 255;
  if (name.starts_with("arn:")) return true;
  return name.size() >= shortest && name.size() <= longest && std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.';
         });
}

json renamed(json definition, const Names& names) {
  rename_within(definition, names);
  if (definition.contains("time_to_live")) rename(definition["time_to_live"], names);
  if (definition.contains("create") && definition["create"].contains("AttributeDefinitions")) {
    sort_by(definition["create"]["AttributeDefinitions"], "AttributeName");
  }
  return definition;
}

json definition_of(const json& table) {
  json create;
  create["AttributeDefinitions"] = table.value("AttributeDefinitions", json::array());
  sort_by(create["AttributeDefinitions"], "AttributeName");
  create["KeySchema"] = table.value("KeySchema", json::array());
  const bool on_demand =
      table.value("BillingModeSummary", json::object()).value("BillingMode", "PROVISIONED") ==
      "PAY_PER_REQUEST";
  create["BillingMode"] = on_demand ? "PAY_PER_REQUEST" : "PROVISIONED";
  if (!on_demand) create["ProvisionedThroughput"] = throughput_of(table);
  for (const char* kind : {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"}) {
    const bool provisioned = !on_demand && std::string_view(kind) == "GlobalSecondaryIndexes";
    json indexes = indexes_of(table, kind, provisioned);
    if (!indexes.empty()) create[kind] = std::move(indexes);
  }
  if (table.value("StreamSpecification", json::object()).value("StreamEnabled", false)) {
    create["StreamSpecification"] = table["StreamSpecification"];
  }
  if (table.contains("TableClassSummary")) {
    create["TableClass"] = table["TableClassSummary"].value("TableClass", "STANDARD");
  }
  if (const json sse = table.value("SSEDescription", json::object());
      sse.value("Status", "") == "ENABLED") {
    create["SSESpecification"] = {{"Enabled", true}, {"SSEType", sse.value("SSEType", "KMS")}};
    if (sse.contains("KMSMasterKeyArn")) {
      create["SSESpecification"]["KMSMasterKeyId"] = sse["KMSMasterKeyArn"];
    }
  }
  if (table.contains("OnDemandThroughput")) {
    create["OnDemandThroughput"] = table["OnDemandThroughput"];
  }
  if (table.value("DeletionProtectionEnabled", false)) create["DeletionProtectionEnabled"] = true;
  return {{"create", create}};
}

namespace {

// What people keep in a file: what CreateTable takes, and time to live beside it.
json as_definition(json parsed) {
  if (!parsed.is_object() || parsed.contains("create")) return parsed;
  if (!parsed.contains("KeySchema") || !parsed["KeySchema"].is_array()) return json();
  json definition = json::object();
  const json ttl = parsed.value("TimeToLiveSpecification", json::object());
  if (ttl.is_object() && ttl.value("Enabled", true) && ttl.contains("AttributeName")) {
    definition["time_to_live"] = ttl["AttributeName"];
  }
  parsed.erase("TimeToLiveSpecification");
  const json points = parsed.value("PointInTimeRecoverySpecification", json::object());
  if (points.is_object() && points.value("PointInTimeRecoveryEnabled", false)) {
    definition["points_in_time"] = true;
  }
  parsed.erase("PointInTimeRecoverySpecification");
  parsed.erase("TableName");  // the plan says it
  if (!parsed.contains("BillingMode") && !parsed.contains("ProvisionedThroughput")) {
    parsed["BillingMode"] = "PAY_PER_REQUEST";
  }
  if (parsed.contains("AttributeDefinitions") && parsed["AttributeDefinitions"].is_array()) {
    sort_by(parsed["AttributeDefinitions"], "AttributeName");
  }
  definition["create"] = std::move(parsed);
  return definition;
}

std::map<std::string, std::string> types_in(const json& create) {
  std::map<std::string, std::string> types;
  for (const json& one : create.value("AttributeDefinitions", json::array())) {
    types[one.value("AttributeName", "")] = one.value("AttributeType", "S");
  }
  return types;
}

// Of each attribute of a key, here or in an index, the most bytes that its values may have.
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html)
std::map<std::string, std::size_t> room_for_keys(const json& create) {
  constexpr std::size_t partition_bytes_max = 2048;
  constexpr std::size_t sort_bytes_max = 1024;
  std::map<std::string, std::size_t> room;
  const auto add = [&](const json& of) {
    for (const json& part : of.value("KeySchema", json::array())) {
      const bool sorts = part.value("KeyType", "") == "RANGE";
      const std::size_t most = sorts ? sort_bytes_max : partition_bytes_max;
      const auto known = room.try_emplace(part.value("AttributeName", ""), most).first;
      known->second = std::min(known->second, most);
    }
  };
  add(create);
  for (const char* kind : {"LocalSecondaryIndexes", "GlobalSecondaryIndexes"}) {
    for (const json& index : create.value(kind, json::array())) add(index);
  }
  return room;
}

Error no_definition(std::string what, std::string hint = "") {
  return Error{ErrorCode::invalid_plan, "1: " + std::move(what), std::move(hint)};
}

// HASH keys, and perhaps RANGE keys behind them, of attributes that have a type: at most
// `parts_max` of each, which is one for a table and four for a global index. `used` grows.
Status check_keys(const json& of, const std::string& what, std::size_t parts_max,
                  const std::map<std::string, std::string>& types, std::set<std::string>& used) {
  const json keys = of.value("KeySchema", json::array());
  if (!keys.is_array() || keys.empty()) return no_definition(what + " without a KeySchema");
  std::map<std::string, std::size_t> parts;
  for (const json& key : keys) {
    const std::string attribute = key.value("AttributeName", "");
    const std::string role = key.value("KeyType", "");
    const bool in_order =
        role == "HASH" ? !parts.contains("RANGE") : role == "RANGE" && parts.contains("HASH");
    if (!in_order || ++parts[role] > parts_max) {
      return no_definition(
          parts_max == 1
              ? fmt::format("the KeySchema of {} is no HASH key, with a RANGE key behind it or "
                            "without",
                            what)
              : fmt::format("the KeySchema of {} is not of 1 to {} HASH keys, with up to {} RANGE "
                            "keys behind them",
                            what, parts_max, parts_max));
    }
    if (!types.contains(attribute)) {
      return no_definition(
          fmt::format("the key `{}` of {} is not among the AttributeDefinitions", attribute, what),
          "give it a type there: S, N or B");
    }
    used.insert(attribute);
  }
  return {};
}

// What the service would refuse when the table is made, which is after much else was done. Limits
// of an account are not known here.
// (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html)
Status check(const json& create, const std::map<std::string, std::string>& types) {
  constexpr std::size_t global_parts_max = 4;
  for (const auto& [attribute, type] : types) {
    if (type == "S" || type == "N" || type == "B") continue;
    return no_definition(
        fmt::format("the attribute `{}` of a key is of type {}, and may be S, N "
                    "or B",
                    attribute, type));
  }
  std::set<std::string> used;
  TRY(check_keys(create, "the table", 1, types, used));
  std::set<std::string> names;
  for (const bool local : {true, false}) {
    const char* kind = local ? "LocalSecondaryIndexes" : "GlobalSecondaryIndexes";
    for (const json& index : create.value(kind, json::array())) {
      const std::string name = index.value("IndexName", "");
      if (!can_be_a_table(name)) {
        return no_definition(fmt::format("an index cannot be called `{}`", name),
                             "3 to 255 of the letters, digits and `_`, `.` and `-`");
      }
      if (!names.insert(name).second) {
        return no_definition(fmt::format("two indexes are called `{}`", name));
      }
      TRY(check_keys(index, "the index " + name, local ? 1 : global_parts_max, types, used));
      const json& keys = index["KeySchema"];
      const bool is_local =
          keys.size() == 2 && create["KeySchema"].size() == 2 &&
          keys[0].value("AttributeName", "") == create["KeySchema"][0].value("AttributeName", "");
      if (local && !is_local) {
        return no_definition(
            fmt::format("the local index {} has to have the table's HASH key and a RANGE key of "
                        "its own, and the table a RANGE key",
                        name));
      }
      const std::string projects =
          index.value("Projection", json::object()).value("ProjectionType", "");
      if (projects != "ALL" && projects != "KEYS_ONLY" && projects != "INCLUDE") {
        return no_definition(
            fmt::format("the index {} does not say what it holds", name),
            "\"Projection\": {\"ProjectionType\": \"ALL\"}, \"KEYS_ONLY\" or \"INCLUDE\"");
      }
    }
  }
  for (const auto& [attribute, type] : types) {
    if (used.contains(attribute)) continue;
    return no_definition(
        fmt::format("`{}` is among the AttributeDefinitions, and no key of the table or of an "
                    "index",
                    attribute),
        "only attributes of keys are defined; take it out");
  }
  return {};
}

}  // namespace

Result<TableSchema> schema_of(const std::string& definition, const std::string& name) {
  const json parsed = as_definition(json::parse(definition, nullptr, false));
  if (!parsed.is_object() || !parsed.contains("create") || !parsed["create"].is_object()) {
    return Error{ErrorCode::invalid_plan, "1: this is no definition of a DynamoDB table",
                 "`create: like-source` makes it from the source; a file holds JSON, as "
                 "`aws dynamodb create-table --cli-input-json` takes it"};
  }
  const json& create = parsed["create"];
  TableSchema schema;
  schema.name = name;
  schema.create_ddl = parsed.dump();
  schema.rest_column = rest_name;
  std::map<std::string, std::string> types = types_in(create);
  for (const char* role : {"HASH", "RANGE"}) {
    for (const json& part : create.value("KeySchema", json::array())) {
      if (part.value("KeyType", "") != role) continue;
      const std::string attribute = part.value("AttributeName", "");
      if (!types.contains(attribute)) {
        return no_definition(
            fmt::format("the key `{}` is not among the AttributeDefinitions", attribute));
      }
      schema.key.push_back(attribute);
      schema.columns.push_back(
          {attribute, types[attribute], false, false, false, "", kind_of(types[attribute])});
    }
  }
  if (schema.key.empty()) return no_definition("a table without a KeySchema");
  const std::map<std::string, std::size_t> room = room_for_keys(create);
  if (schema.is_key(rest_name)) {
    return Error{ErrorCode::refused,
                 fmt::format("{} has a key called `{}`, which stands for all other attributes here",
                             name, rest_name)};
  }
  // Keys of indexes have a type, too; an item without them is only not in the index.
  for (const auto& [attribute, type] : types) {
    if (schema.is_key(attribute)) continue;
    schema.columns.push_back({attribute, type, true, false, false, "", kind_of(type)});
  }
  for (ColumnSchema& column : schema.columns) {
    if (const auto known = room.find(column.name); known != room.end()) {
      column.bytes_max = known->second;
    }
  }
  schema.columns.push_back({rest_name, "", true, false, false, "", Kind::map});
  return schema;
}

Status check_definition(const std::string& definition, const std::string& name) {
  if (!can_be_a_table(name)) {
    return no_definition(fmt::format("a table cannot be called `{}`", name),
                         "3 to 255 of the letters, digits and `_`, `.` and `-`");
  }
  const json create = as_definition(json::parse(definition, nullptr, false))["create"];
  return check(create, types_in(create));
}

std::vector<std::string> differences(const json& wanted, const json& there) {
  std::vector<std::string> out;
  const json left = wanted.value("create", json::object());
  const json right = there.value("create", json::object());
  if (left.value("KeySchema", json()) != right.value("KeySchema", json())) {
    out.push_back(fmt::format("its key is {} instead of {}",
                              keys_text(right.value("KeySchema", json::array())),
                              keys_text(left.value("KeySchema", json::array()))));
  }
  std::map<std::string, std::string> types;
  for (const json& one : right.value("AttributeDefinitions", json::array())) {
    types[one.value("AttributeName", "")] = one.value("AttributeType", "");
  }
  for (const json& one : left.value("AttributeDefinitions", json::array())) {
    const auto it = types.find(one.value("AttributeName", ""));
    if (it != types.end() && it->second != one.value("AttributeType", "")) {
      out.push_back(fmt::format("its attribute {} is of type {} instead of {}", it->first,
                                it->second, one.value("AttributeType", "")));
    }
  }
  compare_indexes(left, right, "GlobalSecondaryIndexes", out);
  compare_indexes(left, right, "LocalSecondaryIndexes", out);
  return out;
}

std::vector<std::string> indexes_without(const json& definition,
                                         const std::function<bool(const std::string&)>& is_given) {
  std::vector<std::string> names;
  const json create = definition.is_object() ? definition.value("create", json::object()) : json();
  for (const char* kind : {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"}) {
    if (!create.is_object()) break;
    for (const json& index : create.value(kind, json::array())) {
      for (const json& key : index.value("KeySchema", json::array())) {
        if (is_given(key.value("AttributeName", ""))) continue;
        names.push_back(index.value("IndexName", ""));
        break;
      }
    }
  }
  return names;
}

std::vector<std::string> unlike(const json& wanted, const json& there) {
  std::vector<std::string> out;
  const auto is_read = [](const json& definition, const char* what) {
    const json missing = definition.value("not_read", json::array());
    return std::ranges::find(missing, json(what)) == missing.end();
  };
  for (const auto& [what, called, are] :
       {std::tuple("labels", "the tags", "are"),
        std::tuple("points_in_time", "the point-in-time recovery", "is"),
        std::tuple("time_to_live", "the time to live", "is")}) {
    if (is_read(wanted, what)) continue;
    out.push_back(
        fmt::format("{} of the source could not be read, and {} not carried over", called, are));
  }
  if (wanted.value("points_in_time", false) && !there.value("points_in_time", false)) {
    out.push_back("point-in-time recovery is not on");
  }
  if (wanted.value("time_to_live", "") != there.value("time_to_live", "")) {
    const std::string attribute = there.value("time_to_live", "");
    out.push_back(attribute.empty() ? "time to live is not on"
                                    : fmt::format("time to live is by {}", printable(attribute)));
  }
  const json left = wanted.value("create", json::object());
  const json right = there.value("create", json::object());
  if (is_read(there, "labels")) {
    std::set<json> tags;
    for (const json& tag : right.value("Tags", json::array())) tags.insert(tag);
    for (const json& tag : left.value("Tags", json::array())) {
      if (!tags.contains(tag)) {
        out.push_back(fmt::format("it has no tag {}={}", printable(tag.value("Key", "")),
                                  printable(tag.value("Value", ""))));
      }
    }
  }
  if (left.value("BillingMode", "") != right.value("BillingMode", "")) {
    out.push_back("its billing mode is " + right.value("BillingMode", "PROVISIONED"));
  }
  if (left.value("TableClass", "STANDARD") != right.value("TableClass", "STANDARD")) {
    out.push_back("its class is " + right.value("TableClass", "STANDARD"));
  }
  if (left.contains("SSESpecification") &&
      left["SSESpecification"] != right.value("SSESpecification", json())) {
    out.push_back("it is not encrypted with the key of the source");
  }
  if (left.value("DeletionProtectionEnabled", false) &&
      !right.value("DeletionProtectionEnabled", false)) {
    out.push_back("it is not protected against deletion");
  }
  return out;
}

}  // namespace whimbrel::dynamodb
