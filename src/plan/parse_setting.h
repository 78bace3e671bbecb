// A switch that needs no store: an env file, functions of Lambda, a parameter, a file.
#pragma once

#include <optional>
#include <string>

#include "plan/migration.h"
#include "plan/yaml_reader.h"

namespace whimbrel {

// Nothing where `node` is a switch of another kind, or its mistakes have been noted: then
// `is_setting` tells which. Paths are relative to `folder`.
std::optional<SettingSwitch> parse_setting(YamlReader& reader, const YAML::Node& node,
                                           const std::string& folder);
bool is_setting(const YAML::Node& node);

}  // namespace whimbrel
