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

// Of AWS's services; an account and a region are whatever those of the role are.
struct Needs {
  Rights operator()(const LambdaSwitch& plan) const {
    return of_functions(plan.functions,
                        {"GetFunctionConfiguration", "UpdateFunctionConfiguration"});
  }
  Rights operator()(const ConcurrencySwitch& plan) const {
    return of_functions(plan.functions, {"DeleteFunctionConcurrency", "GetFunctionConcurrency",
                                         "PutFunctionConcurrency"});
  }
  Rights operator()(const ParameterSwitch& plan) const {
    const std::string slash = plan.parameter.starts_with('/') ? "" : "/";
    const std::string on = "arn:aws:ssm:*:*:parameter" + slash + plan.parameter;
    return {{"ssm:GetParameter", on}, {"ssm:PutParameter", on}};
  }
  Rights operator()(const ObjectSwitch& plan) const {
    const std::string bucket = "arn:aws:s3:::" + plan.bucket;
    const std::string on = bucket + "/" + plan.key;
    return {{"s3:ListBucket", bucket},
            {"s3:DeleteObject", on},
            {"s3:GetObject", on},
            {"s3:PutObject", on}};
  }
  template <class Other>
  Rights operator()(const Other&) const {
    return {};
  }

  static Rights of_functions(const std::vector<std::string>& functions,
                             std::initializer_list<const char*> operations) {
    Rights rights;
    for (const std::string& name : functions) {
      const std::string on =
          name.starts_with("arn:") ? name : "arn:aws:lambda:*:*:function:" + name;
      for (const char* one : operations) rights.push_back({std::string("lambda:") + one, on});
    }
    return rights;
  }
};

}  // namespace

Rights rights_of(const SwitchPlan& plan) { return std::visit(Needs{}, plan.how); }

std::unique_ptr<Switch> make_switch(const SwitchPlan& plan, Clock& clock) {
  return std::visit(Maker{clock}, plan.how);
}

}  // namespace whimbrel
