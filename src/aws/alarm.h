// An alarm of CloudWatch, and a metric of one's own. Region and credentials as AWS's own tools find
// them.
#pragma once

#include <cstdint>
#include <string>

#include "aws/monitoring.h"
#include "base/clock.h"
#include "base/error.h"

namespace whimbrel::aws {

struct Alarm {
  std::string name;
  MetricName metric;
  double above = 0;  // the sum of a period
  Milliseconds period{300'000};
  std::int64_t times = 1;  // periods in a row
};

// One of this name becomes this one.
Status put_alarm(const Alarm& alarm, Clock& clock);
Status put_metric(const MetricName& metric, double value, Clock& clock);

}  // namespace whimbrel::aws
