// The grammar of `queries:`, `criteria:` and `advisory:`.
#pragma once

#include "plan/measures.h"
#include "plan/yaml_reader.h"

namespace whimbrel {

// From the plan's root; mistakes are noted with the reader.
MeasuresPlan parse_measures(YamlReader& reader, const YAML::Node& root);

}  // namespace whimbrel
