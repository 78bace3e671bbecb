// `retype:`: columns that get another type in place.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "plan/plan_file.h"
#include "plan/yaml_reader.h"

namespace whimbrel {

// `address`: reads ALIAS/TABLE and notes its mistakes.
using ReadAddress = std::function<std::optional<TableAddress>(const YAML::Node& node)>;
std::vector<RetypeEntry> parse_retype(YamlReader& reader, const YAML::Node& node,
                                      const ReadAddress& address);

}  // namespace whimbrel
