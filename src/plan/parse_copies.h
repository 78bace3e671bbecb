// What makes a plan a copy: `ids`, `references`, `on_conflict`, `orphans`, `where`, `limit`,
// `sample` and `mask`.
//
// Mistakes are noted by the reader; what could be understood is returned.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plan/plan_file.h"
#include "plan/yaml_reader.h"

namespace whimbrel {

std::optional<IdsEntry> parse_ids(YamlReader& reader, const YAML::Node& node);
std::vector<ReferenceEntry> parse_references(YamlReader& reader, const YAML::Node& node);
// Of a plan or a table; `otherwise` where it says nothing.
OnConflict parse_on_conflict(YamlReader& reader, const YAML::Node& node, OnConflict otherwise);
// The value is that of `{assign: …}`.
using OrphansAndValue = std::pair<Orphans, Value>;
OrphansAndValue parse_orphans(YamlReader& reader, const YAML::Node& node,
                              const OrphansAndValue& otherwise);
std::vector<std::pair<Condition, Place>> parse_where(YamlReader& reader, const YAML::Node& node);
// How many rows: a whole number above zero.
std::optional<std::int64_t> parse_rows(YamlReader& reader, const YAML::Node& node,
                                       const std::string& key);
std::vector<SampleEntry> parse_sample(YamlReader& reader, const YAML::Node& node);
std::vector<MaskEntry> parse_masks(YamlReader& reader, const YAML::Node& node);

}  // namespace whimbrel
