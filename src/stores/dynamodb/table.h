// What DynamoDB says of a table, as a schema, and as a request that makes another one like it.
//
// The definition (`TableSchema::create_ddl`) is JSON: what CreateTable takes, without the name, and
// beside it what has to be asked for by calls of their own (time to live, point-in-time recovery,
// tags).
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "value/schema.h"

namespace whimbrel::dynamodb {

// From the `Table` of a DescribeTable.
nlohmann::json definition_of(const nlohmann::json& table);
// invalid_plan for what is no definition.
Result<TableSchema> schema_of(const std::string& definition, const std::string& name);
// invalid_plan for a definition that schema_of() reads and the service would refuse to make.
Status check_definition(const std::string& definition, const std::string& name);
// Of a table or of an index; a table of another account by its ARN.
bool can_be_a_table(std::string_view name);
// With other names for attributes, wherever one is named: keys, indexes, time to live.
nlohmann::json renamed(nlohmann::json definition, const std::map<std::string, std::string>& names);
// How two definitions differ, each a sentence; of what both of them say.
std::vector<std::string> differences(const nlohmann::json& wanted, const nlohmann::json& there);
// Names of the indexes with a key part for which `is_given` says no.
std::vector<std::string> indexes_without(const nlohmann::json& definition,
                                         const std::function<bool(const std::string&)>& is_given);
// What `there` has not got of what concerns no row: tags, recovery, billing, protection and the
// like.
std::vector<std::string> unlike(const nlohmann::json& wanted, const nlohmann::json& there);

}  // namespace whimbrel::dynamodb
