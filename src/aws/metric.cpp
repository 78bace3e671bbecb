#include "aws/metric.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "aws/client.h"
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
  const std::size_t space = metric.rfind(' ');
  const std::string metrics = metric.substr(0, space);
  const std::string name = space == std::string::npos ? "" : metric.substr(space + 1);
  const auto known = std::ranges::find_if(
      dimensions, [&](const Dimension& one) { return metrics == one.metrics; });
  if (!of.empty() && known == dimensions.end()) {
    return Error{ErrorCode::refused,
                 fmt::format("what `of: {}` names in {} is not known here", printable(of), metrics),
                 "leave `of` out, or ask by `command:`"};
  }
  ASSIGN_OR_RETURN(auto access, Access::open({}, process_environment(), clock));
  Client client(std::move(access), monitoring_service(), clock);
  const TimePoint now = clock.now();
  Call call;
  call.operation = "GetMetricStatistics";
  call.body = fmt::format(
      "Action=GetMetricStatistics&Version=2010-08-01&Namespace={}&MetricName={}&StartTime={}"
      "&EndTime={}&Period=3600&Statistics.member.1=Sum",
      uri_encode(metrics), uri_encode(name), uri_encode(to_iso8601(now - Milliseconds(3'600'000))),
      uri_encode(to_iso8601(now)));
  if (!of.empty()) {
    call.body += fmt::format("&Dimensions.member.1.Name={}&Dimensions.member.1.Value={}",
                             known->name, uri_encode(of));
  }
  ASSIGN_OR_RETURN(const Reply reply, client.send_one(call));
  if (!reply.ok()) return client.to_error(reply, call.operation);
  double sum = 0;
  constexpr std::string_view tag = "<Sum>";
  for (std::size_t at = reply.body.find(tag); at != std::string::npos;
       at = reply.body.find(tag, at + 1)) {
    sum += std::strtod(reply.body.c_str() + at + tag.size(), nullptr);
  }
  return sum;
}

}  // namespace whimbrel::aws
