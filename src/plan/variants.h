// One plan for several environments: the chosen variant, merged over the rest before anything else
// is read.
//
// Maps are merged, lists and scalars replaced. What comes out keeps the places of what went in, so
// a mistake inside of a variant is told at its own line.
#pragma once

#include <string>
#include <vector>

#include "plan/yaml_reader.h"

namespace whimbrel {

// The plan without `variants`; the same plan when there are none. Variables must be known already.
// `keys` are those that a plan can have.
YAML::Node with_variant(YamlReader& reader, const YAML::Node& root,
                        const std::vector<std::string>& keys);
// Whether some variant gives the plan another name: only then its name depends on the variant.
bool a_variant_renames(const YAML::Node& root);

}  // namespace whimbrel
