#include "cutover/switch.h"

#include "aws/web.h"
#include "cutover/switches.h"

namespace whimbrel {

namespace {

struct Maker {
  Clock& clock;
  std::unique_ptr<Switch> operator()(const RowSwitch& plan) const { return make_row_switch(plan); }
  std::unique_ptr<Switch> operator()(const RetypeSwitch& plan) const {
    return make_retype_switch(plan);
  }
  std::unique_ptr<Switch> operator()(const CommandSwitch& plan) const {
    return make_command_switch(plan);
  }
  std::unique_ptr<Switch> operator()(const EnvFileSwitch& plan) const {
    return make_env_file_switch(plan);
  }
  std::unique_ptr<Switch> operator()(const FileSwitch& plan) const {
    return make_file_switch(plan);
  }
  std::unique_ptr<Switch> operator()(const LambdaSwitch& plan) const {
    return make_lambda_switch(plan, make_aws_service(aws::lambda_service(), clock), clock);
  }
  std::unique_ptr<Switch> operator()(const ParameterSwitch& plan) const {
    return make_parameter_switch(plan, make_aws_service(aws::ssm_service(), clock));
  }
  std::unique_ptr<Switch> operator()(const ConcurrencySwitch& plan) const {
    return make_concurrency_switch(plan, make_aws_service(aws::lambda_service(), clock));
  }
  std::unique_ptr<Switch> operator()(const ObjectSwitch& plan) const {
    return make_object_switch(plan, clock);
  }
  std::unique_ptr<Switch> operator()(const HttpSwitch& plan) const {
    return make_http_switch(plan, make_web());
  }
};

}  // namespace

std::unique_ptr<Switch> make_switch(const SwitchPlan& plan, Clock& clock) {
  return std::visit(Maker{clock}, plan.how);
}

}  // namespace whimbrel
