// One of a plan's checks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/migration.h"
#include "plan/yaml_reader.h"

namespace whimbrel {

// Nothing where `node` is no map or a check that this release does not carry out; all mistakes are
// noted. `tables` are the names under which the plan knows its tables, `folder` is where commands
// start.
std::optional<CheckPlan> parse_check(YamlReader& reader, const YAML::Node& node,
                                     const std::vector<std::string>& tables,
                                     const std::string& folder);

}  // namespace whimbrel
