// Backups that the service keeps itself: on demand, and of every moment.
//
// Servers for tests know no such calls; then there is none, and whoever asks takes another place.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "stores/dynamodb/dynamodb_store.h"

namespace whimbrel {

using nlohmann::json;

namespace {

constexpr Milliseconds backup_max{3'600'000};

bool is_unknown_call(const Error& error) {
  return error.message.find("UnknownOperation") != std::string::npos;
}

}  // namespace

// The address of a backup of this name that is complete or under way; "" without one.
Result<std::string> DynamoStore::backup_called(const std::string& table, const std::string& name) {
  json request = {{"TableName", table}};
  while (true) {
    ASSIGN_OR_RETURN(const json reply, ask_table("ListBackups", request));
    for (const json& one : reply.value("BackupSummaries", json::array())) {
      const bool is_it =
          one.value("BackupName", "") == name && one.value("BackupStatus", "") != "DELETED";
      if (is_it) return one.value("BackupArn", "");
    }
    if (!reply.contains("LastEvaluatedBackupArn")) return std::string();
    request["ExclusiveStartBackupArn"] = reply["LastEvaluatedBackupArn"];
  }
}

Result<std::optional<std::string>> DynamoStore::keep_backup(const std::string& table,
                                                            const std::string& name) {
  Result<std::string> known = backup_called(table, name);
  if (!known.ok() && is_unknown_call(known.error())) return std::optional<std::string>();
  if (!known.ok()) return std::move(known).error();
  std::string address = std::move(known).value();
  if (address.empty()) {
    const Result<json> made =
        ask_table("CreateBackup", {{"TableName", table}, {"BackupName", name}});
    if (!made.ok() && is_unknown_call(made.error())) return std::optional<std::string>();
    if (!made.ok()) return Error(made.error()).within("backing up " + table);
    address = made.value().value("BackupDetails", json::object()).value("BackupArn", "");
  }
  const Milliseconds since = clock_.monotonic();
  for (Milliseconds pause{50};; pause = std::min(pause * 2, Milliseconds(5'000))) {
    ASSIGN_OR_RETURN(const json reply, ask_table("DescribeBackup", {{"BackupArn", address}}));
    const std::string status = reply.value("BackupDescription", json::object())
                                   .value("BackupDetails", json::object())
                                   .value("BackupStatus", "");
    if (status == "AVAILABLE") return std::optional<std::string>(address);
    if (status != "CREATING" || clock_.monotonic() - since > backup_max) {
      return Error{ErrorCode::unavailable,
                   fmt::format("the backup {} of {} is {}", name, table, printable(status))};
    }
    clock_.sleep_for(pause);
  }
}

Result<bool> DynamoStore::keep_points_in_time(const std::string& table) {
  const auto is_on = [](const json& reply) {
    return reply.value("ContinuousBackupsDescription", json::object())
               .value("PointInTimeRecoveryDescription", json::object())
               .value("PointInTimeRecoveryStatus", "") == "ENABLED";
  };
  const Result<json> now = ask_table("DescribeContinuousBackups", {{"TableName", table}});
  if (!now.ok() && is_unknown_call(now.error())) return false;
  if (!now.ok()) return now.error();
  if (is_on(now.value())) return true;
  ASSIGN_OR_RETURN(
      const json set,
      ask_table("UpdateContinuousBackups",
                {{"TableName", table},
                 {"PointInTimeRecoverySpecification", {{"PointInTimeRecoveryEnabled", true}}}}));
  return is_on(set);
}

}  // namespace whimbrel
