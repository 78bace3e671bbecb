// Environment variables of AWS Lambda functions: all functions of a list in turn.
//
// An update replaces all variables of a function. So what is there is read, the named ones are
// changed, and the revision that was read goes along: whoever changed the function in between makes
// the update fail, and it is read again. New invocations see the new values when the service says
// that its update has succeeded; those that are under way keep the old ones.
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "aws/signer.h"
#include "base/text.h"
#include "cutover/switches.h"

namespace whimbrel {

namespace {

using nlohmann::json;

constexpr Milliseconds patience{120'000};
constexpr Milliseconds pause{500};

using Variables = std::map<std::string, std::string>;
// What each named variable has to be; unset: not there.
using Wanted = std::map<std::string, std::optional<std::string>>;

struct Configuration {
  Variables variables;
  std::string revision;
  std::string update;  // Successful, InProgress, Failed, or not told
  std::string reason;  // of a failed one
};

bool is_as(const Variables& variables, const Wanted& wanted) {
  for (const auto& [name, value] : wanted) {
    const auto it = variables.find(name);
    const bool equal =
        value ? it != variables.end() && it->second == *value : it == variables.end();
    if (!equal) return false;
  }
  return true;
}

// Lambda writes null for what it leaves out.
std::string text_at(const json& body, const char* name) {
  return body.contains(name) && body[name].is_string() ? body[name].get<std::string>() : "";
}

bool is_conflict(const aws::Reply& reply) {
  return reply.error == "ResourceConflictException" ||
         reply.error == "PreconditionFailedException" || reply.status == 409 || reply.status == 412;
}

class LambdaSwitchOn final : public Switch {
 public:
  LambdaSwitchOn(const LambdaSwitch& plan, std::unique_ptr<AwsService> service, Clock& clock)
      : plan_(plan), service_(std::move(service)), clock_(clock) {
    for (const auto& [name, value] : plan.values.set) wanted_[name] = value;
    for (const std::string& name : plan.values.unset) wanted_[name] = std::nullopt;
  }

  Result<std::string> found() override {
    json functions = json::object();
    for (const std::string& function : plan_.functions) {
      ASSIGN_OR_RETURN(const Configuration now, read(function));
      json& before = functions[function];
      for (const auto& [name, value] : wanted_) {
        const auto it = now.variables.find(name);
        before[name] = it == now.variables.end() ? json() : json(to_hex(it->second));
      }
    }
    return json{{"functions", functions}}.dump();
  }

  Result<SwitchState> state() override {
    for (const std::string& function : plan_.functions) {
      ASSIGN_OR_RETURN(const Configuration now, read(function));
      if (!is_as(now.variables, wanted_)) return SwitchState::off;
    }
    return SwitchState::on;
  }

  Status flip() override {
    return change_functions(plan_.functions, [this](const std::string& function, bool& changed) {
      return change(function, wanted_, changed);
    });
  }

  Status put_back(const std::string& found) override {
    ASSIGN_OR_RETURN(const json body, read_found(found, "functions"));
    return put_back_functions(
        body["functions"], [this](const std::string& function, const json& before) {
          Wanted wanted;
          for (const auto& [name, value] : before.items()) {
            wanted[name] = value.is_string() ? std::optional(from_hex(value.get<std::string>()))
                                             : std::nullopt;
          }
          bool ignored = false;
          return change(function, wanted, ignored);
        });
  }

  bool can_be_told_again() const override { return true; }
  std::string describe() const override {
    return fmt::format("variables of {}: {}", join(plan_.functions, ", "), names_of(plan_.values));
  }

 private:
  static std::string path(const std::string& function) {
    return "/2015-03-31/functions/" + aws::uri_encode(function) + "/configuration";
  }

  Result<Configuration> read(const std::string& function) {
    const std::string frame = "looking at the function " + function;
    ASSIGN_OR_RETURN(
        const std::string text,
        service_->ask({"GetFunctionConfiguration", "", true, "GET", path(function)}, frame));
    const json body = json::parse(text, nullptr, false);
    if (!body.is_object()) {
      return Error{ErrorCode::unavailable, "Lambda gave no configuration"}.within(frame);
    }
    Configuration now;
    now.revision = text_at(body, "RevisionId");
    now.update = text_at(body, "LastUpdateStatus");
    now.reason = text_at(body, "LastUpdateStatusReason");
    const json environment = body.value("Environment", json::object());
    if (!environment.is_object()) return now;
    // Variables that cannot be read would be lost by an update.
    if (environment.contains("Error") && environment["Error"].is_object()) {
      return Error{ErrorCode::refused,
                   "the variables cannot be read: " +
                       printable(text_at(environment["Error"], "Message"), 200),
                   "whoever whimbrel is needs kms:Decrypt for the function's key"}
          .within(frame);
    }
    const json variables = environment.value("Variables", json::object());
    for (const auto& [name, value] : variables.items()) {
      if (value.is_string()) now.variables[name] = value.get<std::string>();
    }
    return now;
  }

  // What Lambda says of an update that it refuses can hold all variables.
  Error refusal(aws::Reply reply, const Variables& variables, const char* operation) const {
    if (const std::size_t at = reply.message.find("String measured"); at != std::string::npos) {
      reply.message.resize(at);
    }
    std::vector<std::string> values;
    for (const auto& [name, value] : variables) {
      if (value.size() > 3) values.push_back(value);
    }
    reply.message = masked(reply.message, values);
    return service_->to_error(reply, operation);
  }

  // Until the service says that new invocations see it. `has_changed` becomes true with the first
  // update that is accepted, or may be.
  Status change(const std::string& function, const Wanted& wanted, bool& has_changed) {
    constexpr const char* operation = "UpdateFunctionConfiguration";
    const Milliseconds until = clock_.monotonic() + patience;
    std::optional<Error> last;  // why the last update was not accepted, or may not have been
    bool is_updated = false;
    while (true) {
      Result<Configuration> read_now = read(function);
      if (!read_now.ok()) {
        Error error = std::move(read_now).error();
        // What cannot be seen may have been changed by an earlier try: `refused` would deny it.
        if (error.code == ErrorCode::refused) error.code = ErrorCode::unavailable;
        if (last && last->code == ErrorCode::outcome_unknown) error.code = last->code;
        return error;
      }
      Configuration now = std::move(read_now).value();
      const bool is_there = is_as(now.variables, wanted);
      if (now.update == "Failed" && is_there && is_updated) {
        return Error{ErrorCode::conflict,
                     fmt::format("Lambda could not carry out the update of {}: {}", function,
                                 printable(now.reason, 200))};
      }
      if (is_there && now.update != "InProgress" && now.update != "Failed") return {};
      if (clock_.monotonic() >= until) {
        if (last) return std::move(*last);
        return Error{ErrorCode::unavailable,
                     fmt::format("the function {} is still being updated", function),
                     "say the same again in a minute"};
      }
      if (now.update == "InProgress") {
        clock_.sleep_for(pause);
        continue;
      }
      for (const auto& [name, value] : wanted) {
        now.variables.erase(name);
        if (value) now.variables[name] = *value;
      }
      json body = {{"Environment", {{"Variables", now.variables}}}};
      if (!now.revision.empty()) body["RevisionId"] = now.revision;
      const std::string text = body.dump(-1, ' ', false, json::error_handler_t::replace);
      Result<aws::Reply> reply = service_->send({operation, text, false, "PUT", path(function)});
      if (reply.ok() && reply.value().ok()) {
        is_updated = has_changed = true;
        continue;
      }
      const bool may_have_happened =
          !reply.ok() && reply.error().code == ErrorCode::outcome_unknown;
      if (!reply.ok() && !may_have_happened) return std::move(reply).error();
      if (reply.ok() && !is_conflict(reply.value())) {
        return refusal(std::move(reply).value(), now.variables, operation)
            .within("updating the function " + function);
      }
      // It is looked at again: with the revision of before no update can come twice.
      if (may_have_happened) is_updated = has_changed = true;
      last = reply.ok() ? service_->to_error(reply.value(), operation) : std::move(reply).error();
      clock_.sleep_for(pause);
    }
  }

  const LambdaSwitch& plan_;
  std::unique_ptr<AwsService> service_;
  Clock& clock_;
  Wanted wanted_;
};

}  // namespace

std::unique_ptr<Switch> make_lambda_switch(const LambdaSwitch& plan,
                                           std::unique_ptr<AwsService> service, Clock& clock) {
  return std::make_unique<LambdaSwitchOn>(plan, std::move(service), clock);
}

}  // namespace whimbrel
