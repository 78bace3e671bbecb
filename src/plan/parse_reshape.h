// What gives a table another shape: `items`, `group`, `lookup` and `collect`.
//
// Mistakes are noted by the reader; what could be understood is returned.
#pragma once

#include <utility>
#include <vector>

#include "plan/plan_file.h"
#include "plan/yaml_reader.h"

namespace whimbrel {

std::vector<NamedPlace> parse_group(YamlReader& reader, const YAML::Node& node);
// Of an item: as `where`, or {present: COLUMN}.
std::vector<std::pair<Condition, Place>> parse_when(YamlReader& reader, const YAML::Node& node);
// Whether the value comes out of other rows.
bool is_reshaped(const YAML::Node& value);
// `table`: as the plan calls it.
void parse_reshaped(YamlReader& reader, const YAML::Node& value, const std::string& table,
                    ColumnEntry& column);

}  // namespace whimbrel
