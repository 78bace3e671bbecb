// A bucket of S3 below a prefix, as the place of a backup; see depot.h.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "backup/depot.h"
#include "base/error.h"

namespace whimbrel {

inline constexpr std::string_view s3_scheme = "s3://";

// "s3://BUCKET/PREFIX?QUERY".
struct S3Place {
  std::string bucket;
  std::string prefix;  // without slashes at its end
  std::string query;
};
S3Place split_s3_place(std::string_view place);

// Region and credentials as AWS's own tools find them, unless the place names others.
Result<std::unique_ptr<Depot>> open_s3_depot(const std::string& place);

}  // namespace whimbrel
