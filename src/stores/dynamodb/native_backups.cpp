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
constexpr Milliseconds restore_max{std::int64_t{24} * 3'600'000};

Error no_backups_here() {
  return Error{ErrorCode::refused, "this service keeps no backups of its own",
               "restore from a folder: `whimbrel restore file:FOLDER STORE`",
               "nothing was changed"};
}

// Seconds since 1970 as the service writes them, with a fraction.
std::optional<TimePoint> moment_of(const json& value) {
  if (!value.is_number()) return std::nullopt;
  return TimePoint(Milliseconds(static_cast<std::int64_t>(value.get<double>() * 1000)));
}

json point_in_time_of(const json& reply) {
  return reply.value("ContinuousBackupsDescription", json::object())
      .value("PointInTimeRecoveryDescription", json::object());
}

bool is_on(const json& reply) {
  return point_in_time_of(reply).value("PointInTimeRecoveryStatus", "") == "ENABLED";
}

}  // namespace

bool DynamoStore::is_unknown_call(const Error& error) {
  return error.message.find("UnknownOperation") != std::string::npos;
}

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

Result<bool> DynamoStore::keeps_points_in_time(const std::string& table) {
  ASSIGN_OR_RETURN(const json now, ask_table("DescribeContinuousBackups", {{"TableName", table}}));
  return is_on(now);
}

Result<bool> DynamoStore::keep_points_in_time(const std::string& table) {
  const Result<bool> now = keeps_points_in_time(table);
  if (!now.ok() && is_unknown_call(now.error())) return false;
  if (!now.ok() || now.value()) return now;
  ASSIGN_OR_RETURN(
      const json set,
      ask_table("UpdateContinuousBackups",
                {{"TableName", table},
                 {"PointInTimeRecoverySpecification", {{"PointInTimeRecoveryEnabled", true}}}}));
  return is_on(set);
}

// By its address, or by its name where only one table has a backup of this name.
Result<std::string> DynamoStore::only_backup_called(const NativeRestore& wanted) {
  if (wanted.backup.starts_with("arn:")) return wanted.backup;
  json request = json::object();
  if (!wanted.table.empty()) request["TableName"] = wanted.table;
  std::vector<std::pair<std::string, std::string>> found;  // table, address
  std::vector<std::string> others;
  while (true) {
    const Result<json> asked = ask_table("ListBackups", request);
    if (!asked.ok() && is_unknown_call(asked.error())) return no_backups_here();
    if (!asked.ok()) return asked.error();
    for (const json& one : asked.value().value("BackupSummaries", json::array())) {
      const std::string name = one.value("BackupName", "");
      if (one.value("BackupStatus", "") != "AVAILABLE") continue;
      if (name == wanted.backup) {
        found.emplace_back(one.value("TableName", ""), one.value("BackupArn", ""));
      } else {
        others.push_back(name);
      }
    }
    if (!asked.value().contains("LastEvaluatedBackupArn")) break;
    request["ExclusiveStartBackupArn"] = asked.value()["LastEvaluatedBackupArn"];
  }
  if (found.size() == 1) return found.front().second;
  if (found.empty()) {
    return Error{ErrorCode::not_found,
                 fmt::format("there is no backup called {}", printable(wanted.backup)),
                 did_you_mean(wanted.backup, others), "nothing was changed"};
  }
  std::vector<std::string> tables;
  for (const auto& [table, address] : found) tables.push_back(table);
  return Error{ErrorCode::refused,
               fmt::format("{} backups are called {}: of {}", found.size(),
                           printable(wanted.backup), join(tables, ", ")),
               "say which table's: `--table NAME`, or give the backup's address (arn:…)",
               "nothing was changed"};
}

// With the name of the call under "call".
Result<json> DynamoStore::request_to_restore(const NativeRestore& wanted) {
  if (!wanted.at && !wanted.latest) {
    ASSIGN_OR_RETURN(const std::string address, only_backup_called(wanted));
    ASSIGN_OR_RETURN(const json backup, ask_table("DescribeBackup", {{"BackupArn", address}}));
    const std::string table = backup.value("BackupDescription", json::object())
                                  .value("SourceTableDetails", json::object())
                                  .value("TableName", "");
    const std::string as = wanted.as.empty() ? table + "-restored" : wanted.as;
    return json{
        {"call", "RestoreTableFromBackup"}, {"BackupArn", address}, {"TargetTableName", as}};
  }
  const Result<json> kept = ask_table("DescribeContinuousBackups", {{"TableName", wanted.table}});
  if (!kept.ok() && is_unknown_call(kept.error())) return no_backups_here();
  if (!kept.ok()) return kept.error();
  const json points = point_in_time_of(kept.value());
  if (points.value("PointInTimeRecoveryStatus", "") != "ENABLED") {
    return Error{ErrorCode::refused, wanted.table + " keeps no points in time",
                 "`backup: {point_in_time: true}` in a plan switches it on, from then on",
                 "nothing was changed"};
  }
  json request = {{"call", "RestoreTableToPointInTime"},
                  {"SourceTableName", wanted.table},
                  {"TargetTableName", wanted.as.empty() ? wanted.table + "-recovery" : wanted.as}};
  if (wanted.latest) {
    request["UseLatestRestorableTime"] = true;
    return request;
  }
  const auto first = moment_of(points.value("EarliestRestorableDateTime", json()));
  const auto last = moment_of(points.value("LatestRestorableDateTime", json()));
  if ((first && *wanted.at < *first) || (last && *wanted.at > *last)) {
    return Error{ErrorCode::refused,
                 fmt::format("{} is not among the moments that {} can be restored to",
                             to_iso8601(*wanted.at), wanted.table),
                 fmt::format("from {} to {}, or `--to-time latest`",
                             first ? to_iso8601(*first) : "the beginning",
                             last ? to_iso8601(*last) : "a few minutes ago"),
                 "nothing was changed"};
  }
  request["RestoreDateTime"] = static_cast<double>(wanted.at->time_since_epoch().count()) / 1000.0;
  return request;
}

Result<std::string> DynamoStore::restore_native(const NativeRestore& wanted, bool dry) {
  ASSIGN_OR_RETURN(json request, request_to_restore(wanted));
  const std::string call = request["call"].get<std::string>();
  const std::string as = request["TargetTableName"].get<std::string>();
  request.erase("call");
  const Result<json> there = describe_table(as);
  if (there.ok()) {
    // One that this very backup or table is being restored to is waited for.
    const json summary = there.value().value("RestoreSummary", json::object());
    const std::string backup = request.value("BackupArn", "");
    const std::string table = request.value("SourceTableName", "");
    const bool is_from_it = backup.empty()
                                ? summary.value("SourceTableArn", "").ends_with("/" + table)
                                : summary.value("SourceBackupArn", "") == backup;
    const bool is_ours = summary.value("RestoreInProgress", false) && is_from_it;
    if (!is_ours) {
      return Error{ErrorCode::refused, fmt::format("there is a table {} already", as),
                   "name another one: `--as NAME`", "nothing was changed"};
    }
  } else if (there.error().code != ErrorCode::not_found) {
    return there.error();
  }
  if (dry) return as;
  if (!there.ok()) {
    const Result<json> begun = ask_table(call, request);
    if (!begun.ok() && is_unknown_call(begun.error())) return no_backups_here();
    if (!begun.ok()) return Error(begun.error()).within("restoring " + as);
  }
  TRY(wait_until_active(as, restore_max));
  return as;
}

}  // namespace whimbrel
