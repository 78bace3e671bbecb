// A metric of CloudWatch, for checks that a plan asks for.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/error.h"

namespace whimbrel::aws {

// The sum over the last hour of "NAMESPACE NAME", of one resource (`of`: a function, a table) or,
// when it is empty, of all. 0 where nothing was measured. Region and credentials as AWS's own tools
// find them. `refused` for a namespace whose resources have no known name here.
Result<double> metric_of_the_last_hour(const std::string& metric, const std::string& of,
                                       Clock& clock);

}  // namespace whimbrel::aws
