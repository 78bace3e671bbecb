// A bucket of S3 below a prefix, as the place of a backup; see depot.h.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "backup/depot.h"
#include "base/error.h"

namespace whimbrel {

inline constexpr std::string_view s3_scheme = "s3://";

// Region and credentials as AWS's own tools find them, unless the place names others.
Result<std::unique_ptr<Depot>> open_s3_depot(const std::string& place);

}  // namespace whimbrel
