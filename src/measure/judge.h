// Two measurements side by side, and each criterion as measured, wanted, and met or not.
//
// A pure function of the two documents. A criterion of which nothing is known is `not measured`:
// neither met nor missed, and always told. docs/schemas/comparison.schema.json is the shape of what
// comes out; reports show it as it is.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/clock.h"
#include "base/error.h"

namespace whimbrel {

// From `before` its old side is taken and from `after` its new side, or what there is; so a
// measurement of both sides can be judged against itself. invalid_plan for what is no measurement,
// or when the two cannot be compared.
Result<nlohmann::json> judge(const nlohmann::json& before, const nlohmann::json& after,
                             TimePoint now);
// A table a person reads, at most 80 columns wide.
std::string comparison_text(const nlohmann::json& comparison);

}  // namespace whimbrel
