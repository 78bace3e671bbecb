// Calls to CloudWatch. Region and credentials as AWS's own tools find them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "aws/client.h"
#include "base/clock.h"
#include "base/error.h"

namespace whimbrel::aws {

struct MetricName {
  std::string metrics;  // the namespace
  std::string name;
  std::vector<std::pair<std::string, std::string>> dimensions;
};
// Of "NAMESPACE NAME".
MetricName metric_name(const std::string& text);

// Namespace, name and dimensions, as a form has them; `prefix` stands before each key.
std::string form_of(const MetricName& metric, const std::string& prefix);
// `form`: "&Key=value" for each, encoded. An answer that is no good is an error.
Result<Reply> ask_monitoring(const std::string& operation, const std::string& form, Clock& clock);

}  // namespace whimbrel::aws
