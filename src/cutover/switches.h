// The kinds of switches, for make_switch and for tests.
#pragma once

#include <memory>
#include <string>

#include "aws/http.h"
#include "cutover/aws_service.h"
#include "cutover/switch.h"

namespace whimbrel {

std::unique_ptr<Switch> make_row_switch(const RowSwitch& plan);
std::unique_ptr<Switch> make_retype_switch(const RetypeSwitch& plan);
std::unique_ptr<Switch> make_command_switch(const CommandSwitch& plan);
std::unique_ptr<Switch> make_env_file_switch(const EnvFileSwitch& plan);
std::unique_ptr<Switch> make_file_switch(const FileSwitch& plan);
std::unique_ptr<Switch> make_lambda_switch(const LambdaSwitch& plan,
                                           std::unique_ptr<AwsService> service, Clock& clock);
std::unique_ptr<Switch> make_parameter_switch(const ParameterSwitch& plan,
                                              std::unique_ptr<AwsService> service);

std::unique_ptr<Switch> make_concurrency_switch(const ConcurrencySwitch& plan,
                                                std::unique_ptr<AwsService> service);
std::unique_ptr<Switch> make_object_switch(const ObjectSwitch& plan, Clock& clock);
std::unique_ptr<Switch> make_http_switch(const HttpSwitch& plan, std::unique_ptr<aws::Http> http);

// "set A, B; unset C": names only, since a value may be a secret.
std::string names_of(const NamedValues& values);

}  // namespace whimbrel
