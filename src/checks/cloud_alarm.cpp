#include "checks/cloud_alarm.h"

#include "aws/alarm.h"

namespace whimbrel {

namespace {
constexpr const char* own_metrics = "whimbrel";
constexpr const char* own_metric = "NotClean";
}  // namespace

Status keep_alarm(const AlarmPlan& plan, const std::string& migration, bool clean, Clock& clock) {
  aws::MetricName metric = aws::metric_name(plan.metric);
  const aws::MetricName own{own_metrics, own_metric, {{"Migration", migration}}};
  if (metric.metrics == own.metrics && metric.name == own.name) metric = own;
  TRY(aws::put_alarm({plan.name, metric, plan.above, plan.period, plan.times}, clock));
  return aws::put_metric(own, clean ? 0 : 1, clock);
}

}  // namespace whimbrel
