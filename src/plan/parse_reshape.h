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
// Whether the value is a document of several rows. `table`: as the plan calls it.
bool is_collected(const YAML::Node& value);
void parse_collected(YamlReader& reader, const YAML::Node& value, const std::string& table,
                     ColumnEntry& column);
// Whether the value comes out of a row of another table. It is noted among the reader's lookups;
// the expression reads the column that the shape has for it.
bool is_looked_up(const YAML::Node& value);
ExprPtr parse_lookup(YamlReader& reader, const YAML::Node& value);

}  // namespace whimbrel
