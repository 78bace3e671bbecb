// The part of a plan that says how the time after the switch is watched.
#pragma once

#include "plan/watch_plan.h"
#include "plan/yaml_reader.h"

namespace whimbrel {

// All mistakes are noted.
WatchPlan parse_watch(YamlReader& reader, const YAML::Node& node);

}  // namespace whimbrel
