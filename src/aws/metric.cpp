#include "aws/metric.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "aws/monitoring.h"
#include "base/text.h"

namespace whimbrel::aws {

namespace {

struct Dimension {
  const char* metrics;  // the namespace
  const char* name;     // what its resources are called by
};
constexpr std::array dimensions = {
    Dimension{"AWS/Lambda", "FunctionName"}, Dimension{"AWS/DynamoDB", "TableName"},
    Dimension{"AWS/SQS", "QueueName"}, Dimension{"AWS/ApiGateway", "ApiName"},
    Dimension{"AWS/RDS", "DBInstanceIdentifier"}};

}  // namespace

Result<double> metric_of_the_last_hour(const std::string& metric, const std::string& of,
                                       Clock& clock) {
  MetricName asked = metric_name(metric);
  const auto known = std::ranges::find_if(
      dimensions, [&](const Dimension& one) { return asked.metrics == one.metrics; });
  if (!of.empty() && known == dimensions.end()) {
    return Error{
        ErrorCode::refused,
        fmt::format("what `of: {}` names in {} is not known here", printable(of), asked.metrics),
        "leave `of` out, or ask by `command:`"};
  }
  if (!of.empty()) asked.dimensions = {{known->name, of}};
  const TimePoint now = clock.now();
  ASSIGN_OR_RETURN(
      const Reply reply,
      ask_monitoring("GetMetricStatistics",
                     fmt::format("&StartTime={}&EndTime={}&Period=3600&Statistics.member.1=Sum{}",
                                 uri_encode(to_iso8601(now - Milliseconds(3'600'000))),
                                 uri_encode(to_iso8601(now)), form_of(asked, "")),
                     clock));
  double sum = 0;
  constexpr std::string_view tag = "<Sum>";
  for (std::size_t at = reply.body.find(tag); at != std::string::npos;
       at = reply.body.find(tag, at + 1)) {
    sum += std::strtod(reply.body.c_str() + at + tag.size(), nullptr);
  }
  return sum;
}

}  // namespace whimbrel::aws
