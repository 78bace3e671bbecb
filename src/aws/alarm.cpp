#include "aws/alarm.h"

#include <fmt/format.h>

namespace whimbrel::aws {

Status put_alarm(const Alarm& alarm, Clock& clock) {
  TRY(ask_monitoring(
      "PutMetricAlarm",
      fmt::format("&AlarmName={}&AlarmDescription={}&Statistic=Sum"
                  "&ComparisonOperator=GreaterThanThreshold&Threshold={}&Period={}"
                  "&EvaluationPeriods={}&TreatMissingData=notBreaching{}",
                  uri_encode(alarm.name), uri_encode("after the switch, by whimbrel"), alarm.above,
                  alarm.period.count() / 1000, alarm.times, form_of(alarm.metric, "")),
      clock));
  return {};
}

Status put_metric(const MetricName& metric, double value, Clock& clock) {
  constexpr const char* first = "MetricData.member.1.";
  TRY(ask_monitoring("PutMetricData",
                     fmt::format("&{}Value={}{}", first, value, form_of(metric, first)), clock));
  return {};
}

}  // namespace whimbrel::aws
