// What tables of DynamoDB take: permissions, and units of capacity
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html).
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "stores/dynamodb/dynamodb_store.h"
#include "stores/dynamodb/item.h"

namespace whimbrel {

using nlohmann::json;

Rights DynamoStore::rights_for(TableUse use, const std::string& table) const {
  const std::string& region = access_->place().region;
  const char* partition = region.starts_with("cn-")       ? "aws-cn"
                          : region.starts_with("us-gov-") ? "aws-us-gov"
                                                          : "aws";
  const std::string arn = fmt::format("arn:{}:dynamodb:{}:*:table/{}", partition, region, table);
  Rights rights;
  const auto may = [&](std::initializer_list<const char*> operations, const std::string& on) {
    for (const char* one : operations) rights.push_back({fmt::format("dynamodb:{}", one), on});
  };
  switch (use) {
    case TableUse::looked_at:
      may({"DescribeContinuousBackups", "DescribeTable", "DescribeTimeToLive",
           "ListTagsOfResource"},
          arn);
      may({"ListTables"}, "*");
      break;
    case TableUse::read:
      may({"BatchGetItem", "GetItem", "Scan"}, arn);
      break;
    case TableUse::written:
      may({"BatchWriteItem", "DeleteItem", "PutItem", "UpdateItem"}, arn);
      break;
    case TableUse::made:
      may({"CreateTable", "TagResource", "UpdateContinuousBackups", "UpdateTable",
           "UpdateTimeToLive"},
          arn);
      break;
    case TableUse::followed:
      may({"UpdateTable"}, arn);
      may({"DescribeStream", "GetRecords", "GetShardIterator"}, arn + "/stream/*");
      break;
    case TableUse::dropped:
      may({"DeleteTable", "UpdateTable"}, arn);
      break;
    case TableUse::provisioned:
      may({"UpdateTable"}, arn);
      break;
    case TableUse::backed_up:
      may({"CreateBackup", "DescribeContinuousBackups", "UpdateContinuousBackups"}, arn);
      may({"DescribeBackup"}, arn + "/backup/*");
      may({"ListBackups"}, "*");
      break;
  }
  return rights;
}

namespace {

json throughput(const Provision& one) {
  return {{"ReadCapacityUnits", one.read}, {"WriteCapacityUnits", one.written}};
}

Provision provision_of(const json& described) {
  const json given = described.value("ProvisionedThroughput", json::object());
  return {given.value("ReadCapacityUnits", std::int64_t{0}),
          given.value("WriteCapacityUnits", std::int64_t{0})};
}

// Nothing for a table on demand, of which the service says zeros or nothing.
Provisions provisions_of(const json& described) {
  Provisions all;
  const std::string mode =
      described.value("BillingModeSummary", json::object()).value("BillingMode", "PROVISIONED");
  if (mode != "PROVISIONED" || provision_of(described).written == 0) return all;
  all[""] = provision_of(described);
  for (const json& index : described.value("GlobalSecondaryIndexes", json::array())) {
    all[index.value("IndexName", "")] = provision_of(index);
  }
  return all;
}

}  // namespace

// While a change is under way a table is told with what it had before.
Result<Provisions> DynamoStore::provisions(const std::string& table, bool settled) {
  if (settled) {
    TRY(wait_until(table, Milliseconds(600'000), [](const json& there) {
      bool is_settled = there.value("TableStatus", "") == "ACTIVE";
      for (const json& index : there.value("GlobalSecondaryIndexes", json::array())) {
        is_settled = is_settled && index.value("IndexStatus", "") != "UPDATING";
      }
      return is_settled;
    }));
  }
  ASSIGN_OR_RETURN(const json described, describe_table(table));
  return provisions_of(described);
}

Status DynamoStore::provision(const std::string& table, const Provisions& wanted) {
  constexpr int tries_max = 3;
  for (int tries = 1;; ++tries) {
    ASSIGN_OR_RETURN(const Provisions there, provisions(table, true));
    json request = {{"TableName", table}};
    json indexes = json::array();
    for (const auto& [name, one] : wanted) {
      const auto now = there.find(name);
      if (now == there.end() || now->second == one) continue;
      if (name.empty()) {
        request["ProvisionedThroughput"] = throughput(one);
      } else {
        indexes.push_back(
            {{"Update", {{"IndexName", name}, {"ProvisionedThroughput", throughput(one)}}}});
      }
    }
    if (!indexes.empty()) request["GlobalSecondaryIndexUpdates"] = std::move(indexes);
    if (request.size() == 1) return {};
    if (tries > tries_max) {
      return Error{ErrorCode::conflict,
                   "somebody else changes the capacity of " + table + " again"};
    }
    // How often a capacity may go down in a day is limited: nobody waits for that here.
    aws::Call call{"UpdateTable", request.dump()};
    call.keeps_trying = false;
    const std::unique_lock lock(mutex_);
    ASSIGN_OR_RETURN(const aws::Reply reply, client_->send_one(call));
    if (reply.ok()) continue;  // waits, and looks whether it is so
    Error error = client_->to_error(reply, "UpdateTable");
    // Somebody else's change came first, or the reply to ours was lost.
    if (error.code == ErrorCode::conflict) continue;
    return std::move(error).within("changing the capacity of " + table);
  }
}

UnitMeter DynamoStore::unit_meter(const TableSchema& table) const {
  constexpr double read_bytes = 4096;  // consistent: whimbrel reads no other way
  constexpr double write_bytes = 1024;
  // Of us-east-1, on demand, in 2026 (https://aws.amazon.com/dynamodb/pricing/on-demand/).
  constexpr double dollars_read = 0.125e-6;
  constexpr double dollars_written = 0.625e-6;
  const json definition = json::parse(table.create_ddl, nullptr, false);
  const json made = definition.is_object() ? definition.value("create", json()) : json();
  double copies =
      1;  // of an item: in the table, and in each index, which holds it in part or whole
  for (const char* kind : {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"}) {
    if (made.is_object() && made.contains(kind)) copies += static_cast<double>(made[kind].size());
  }
  return [table, copies](const Row& row) {
    const auto size = static_cast<double>(dynamodb::item_size(table, row));
    const double read = size / read_bytes;
    const double written = copies * std::ceil(std::max(size, 1.0) / write_bytes);
    return Units{read, written, read * dollars_read, written * dollars_written};
  };
}

}  // namespace whimbrel
