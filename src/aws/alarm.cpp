#include "aws/alarm.h"

#include <fmt/format.h>

#include "aws/client.h"

namespace whimbrel::aws {

namespace {

std::string form_of(const MetricName& metric, const std::string& prefix) {
  std::string form;
  int number = 0;
  for (const auto& [name, value] : metric.dimensions) {
    ++number;
    form += fmt::format("&{0}Dimensions.member.{1}.Name={2}&{0}Dimensions.member.{1}.Value={3}",
                        prefix, number, uri_encode(name), uri_encode(value));
  }
  return form;
}

Status ask_monitoring(const std::string& operation, const std::string& form, Clock& clock) {
  ASSIGN_OR_RETURN(auto access, Access::open({}, process_environment(), clock));
  Client client(std::move(access), monitoring_service(), clock);
  Call call;
  call.operation = operation;
  call.body = fmt::format("Action={}&Version=2010-08-01{}", operation, form);
  ASSIGN_OR_RETURN(const Reply reply, client.send_one(call));
  return reply.ok() ? Status() : Status(client.to_error(reply, operation));
}

}  // namespace

Status put_alarm(const Alarm& alarm, Clock& clock) {
  return ask_monitoring(
      "PutMetricAlarm",
      fmt::format("&AlarmName={}&AlarmDescription={}&Namespace={}&MetricName={}&Statistic=Sum"
                  "&ComparisonOperator=GreaterThanThreshold&Threshold={}&Period={}"
                  "&EvaluationPeriods={}&TreatMissingData=notBreaching{}",
                  uri_encode(alarm.name), uri_encode("after the switch, by whimbrel"),
                  uri_encode(alarm.metric.metrics), uri_encode(alarm.metric.name), alarm.above,
                  alarm.period.count() / 1000, alarm.times, form_of(alarm.metric, "")),
      clock);
}

Status put_metric(const MetricName& metric, double value, Clock& clock) {
  return ask_monitoring(
      "PutMetricData",
      fmt::format("&Namespace={}&MetricData.member.1.MetricName={}&MetricData.member.1.Value={}{}",
                  uri_encode(metric.metrics), uri_encode(metric.name), value,
                  form_of(metric, "MetricData.member.1.")),
      clock);
}

}  // namespace whimbrel::aws
