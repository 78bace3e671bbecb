#include "aws/monitoring.h"

#include <fmt/format.h>

namespace whimbrel::aws {

MetricName metric_name(const std::string& text) {
  const std::size_t space = text.rfind(' ');
  return {text.substr(0, space), space == std::string::npos ? "" : text.substr(space + 1), {}};
}

std::string form_of(const MetricName& metric, const std::string& prefix) {
  std::string form = fmt::format("&{}MetricName={}", prefix, uri_encode(metric.name));
  int number = 0;
  for (const auto& [name, value] : metric.dimensions) {
    ++number;
    form += fmt::format("&{0}Dimensions.member.{1}.Name={2}&{0}Dimensions.member.{1}.Value={3}",
                        prefix, number, uri_encode(name), uri_encode(value));
  }
  return form + "&Namespace=" + uri_encode(metric.metrics);
}

Result<Reply> ask_monitoring(const std::string& operation, const std::string& form, Clock& clock) {
  ASSIGN_OR_RETURN(auto access, Access::open({}, process_environment(), clock));
  Client client(std::move(access), monitoring_service(), clock);
  Call call;
  call.operation = operation;
  call.body = fmt::format("Action={}&Version=2010-08-01{}", operation, form);
  ASSIGN_OR_RETURN(Reply reply, client.send_one(call));
  if (!reply.ok()) return client.to_error(reply, operation);
  return reply;
}

}  // namespace whimbrel::aws
