// A parameter of AWS Systems Manager.
//
// The service remembers the versions of a parameter: the number of the one that was there is all
// that has to be kept, and no value gets into the journal.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cutover/switches.h"

namespace whimbrel {

namespace {

using nlohmann::json;

struct Parameter {
  std::string value;
  std::int64_t version = 0;
};

class ParameterSwitchOn final : public Switch {
 public:
  ParameterSwitchOn(const ParameterSwitch& plan, std::unique_ptr<AwsService> service)
      : plan_(plan), service_(std::move(service)) {}

  Result<std::string> found() override {
    ASSIGN_OR_RETURN(const Parameter now, read(plan_.parameter));
    return json{{"version", now.version}}.dump();
  }

  Result<SwitchState> state() override {
    ASSIGN_OR_RETURN(const Parameter now, read(plan_.parameter));
    return now.value == plan_.value ? SwitchState::on : SwitchState::off;
  }

  Status flip() override { return write(plan_.value); }

  Status put_back(const std::string& found) override {
    ASSIGN_OR_RETURN(const json body, read_found(found, "version"));
    ASSIGN_OR_RETURN(
        const Parameter before,
        read(fmt::format("{}:{}", plan_.parameter, body["version"].get<std::int64_t>())));
    return write(before.value);
  }

  bool can_be_told_again() const override { return true; }
  std::string describe() const override {
    return fmt::format("the parameter {}: gets another value", plan_.parameter);
  }

 private:
  Result<Parameter> read(const std::string& name) {
    const json request = {{"Name", name}, {"WithDecryption", true}};
    ASSIGN_OR_RETURN(const std::string reply, ask("GetParameter", request, true));
    const json body = json::parse(reply, nullptr, false);
    const json found = body.is_object() ? body.value("Parameter", json::object()) : json::object();
    if (!found.is_object() || !found.contains("Value") || !found["Value"].is_string()) {
      return Error{ErrorCode::unavailable, "the service gave no value of " + name};
    }
    const bool has_version = found.contains("Version") && found["Version"].is_number_integer();
    return Parameter{found["Value"].get<std::string>(),
                     has_version ? found["Version"].get<std::int64_t>() : 0};
  }

  Status write(const std::string& value) {
    Result<Parameter> now = read(plan_.parameter);
    if (!now.ok()) {
      // What cannot be seen may have been changed by an earlier try: `refused` would deny it.
      Error error = std::move(now).error();
      if (error.code == ErrorCode::refused) error.code = ErrorCode::unavailable;
      return error;
    }
    if (now.value().value == value) return {};
    const json request = {{"Name", plan_.parameter}, {"Value", value}, {"Overwrite", true}};
    const Result<std::string> reply = ask("PutParameter", request, false);
    if (reply.ok()) return {};
    if (reply.error().code != ErrorCode::outcome_unknown) return reply.error();
    const Result<Parameter> after = read(plan_.parameter);
    return after.ok() && after.value().value == value ? Status() : Status(reply.error());
  }

  Result<std::string> ask(const std::string& operation, const json& request, bool repeatable) {
    return service_->ask(
        {operation, request.dump(-1, ' ', false, json::error_handler_t::replace), repeatable},
        "asking for the parameter " + plan_.parameter, {plan_.value});
  }

  const ParameterSwitch& plan_;
  std::unique_ptr<AwsService> service_;
};

}  // namespace

std::unique_ptr<Switch> make_parameter_switch(const ParameterSwitch& plan,
                                              std::unique_ptr<AwsService> service) {
  return std::make_unique<ParameterSwitchOn>(plan, std::move(service));
}

}  // namespace whimbrel
