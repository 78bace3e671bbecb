// The kinds of switches, for make_switch and for tests.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

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

// What found() has given, as far as `member` is in it; an error for anything else.
Result<nlohmann::json> read_found(const std::string& found, const char* member);

// One after the other. `change` says by its flag when something has happened or may have; after
// that no error claims that nothing has.
using ChangeFunction = std::function<Status(const std::string& function, bool& has_changed)>;
Status change_functions(const std::vector<std::string>& functions, const ChangeFunction& change);
// The same on the way back, for each of an object's members; one that is gone uses no side.
Status put_back_functions(
    const nlohmann::json& functions,
    const std::function<Status(const std::string& function, const nlohmann::json& before)>& change);

// "set A, B; unset C": names only, since a value may be a secret.
std::string names_of(const NamedValues& values);

}  // namespace whimbrel
