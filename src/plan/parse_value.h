// The grammar of one column's value: a name copies, {name} in a text inserts, a mapping computes.
#pragma once

#include "plan/yaml_reader.h"
#include "transform/expr.h"

namespace whimbrel {

// Null when it could not be understood; the mistake is then noted.
ExprPtr parse_value(YamlReader& reader, const YAML::Node& node);

}  // namespace whimbrel
