// How many of an AWS Lambda function may run at once: its reserved concurrency. 0 stops it.
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

class ConcurrencySwitchOn final : public Switch {
 public:
  ConcurrencySwitchOn(const ConcurrencySwitch& plan, std::unique_ptr<AwsService> service)
      : plan_(plan), service_(std::move(service)) {}

  Result<std::string> found() override {
    json functions = json::object();
    for (const std::string& function : plan_.functions) {
      ASSIGN_OR_RETURN(const Reserved now, read(function));
      functions[function] = now ? json(*now) : json();
    }
    return json{{"functions", functions}}.dump();
  }

  Result<SwitchState> state() override {
    for (const std::string& function : plan_.functions) {
      ASSIGN_OR_RETURN(const Reserved now, read(function));
      if (now != plan_.reserved) return SwitchState::off;
    }
    return SwitchState::on;
  }

  Status flip() override {
    return change_functions(plan_.functions, [this](const std::string& function, bool&) {
      return set(function, plan_.reserved);
    });
  }

  Status put_back(const std::string& found) override {
    ASSIGN_OR_RETURN(const json body, read_found(found, "functions"));
    return put_back_functions(
        body["functions"], [this](const std::string& function, const json& before) {
          return set(function, before.is_number_integer() ? Reserved(before.get<std::int64_t>())
                                                          : std::nullopt);
        });
  }

  bool can_be_told_again() const override { return true; }
  std::string describe() const override {
    return fmt::format("reserved concurrency of {}: {}", join(plan_.functions, ", "),
                       plan_.reserved);
  }

 private:
  using Reserved = std::optional<std::int64_t>;  // unset: as many as the account has left

  Result<Reserved> read(const std::string& function) {
    constexpr const char* operation = "GetFunctionConcurrency";
    ASSIGN_OR_RETURN(const std::string text,
                     ask({operation, "", true, "GET",
                          "/2019-09-30/functions/" + aws::uri_encode(function) + "/concurrency"},
                         function));
    const json body = json::parse(text.empty() ? "{}" : text, nullptr, false);
    constexpr const char* member = "ReservedConcurrentExecutions";
    if (!body.is_object()) return Error{ErrorCode::unavailable, "Lambda gave no concurrency"};
    if (!body.contains(member) || !body[member].is_number_integer()) return Reserved();
    return Reserved(body[member].get<std::int64_t>());
  }

  // Saying the same twice is as good as once.
  Status set(const std::string& function, const Reserved& wanted) {
    const std::string path = "/2017-10-31/functions/" + aws::uri_encode(function) + "/concurrency";
    if (!wanted) {
      const Result<std::string> done =
          ask({"DeleteFunctionConcurrency", "", true, "DELETE", path}, function);
      return done.ok() ? Status() : Status(done.error());
    }
    const json body = {{"ReservedConcurrentExecutions", *wanted}};
    const Result<std::string> done =
        ask({"PutFunctionConcurrency", body.dump(), true, "PUT", path}, function);
    return done.ok() ? Status() : Status(done.error());
  }

  Result<std::string> ask(const aws::Call& call, const std::string& function) {
    return service_->ask(call, "asking for the function " + function);
  }

  const ConcurrencySwitch& plan_;
  std::unique_ptr<AwsService> service_;
};

}  // namespace

std::unique_ptr<Switch> make_concurrency_switch(const ConcurrencySwitch& plan,
                                                std::unique_ptr<AwsService> service) {
  return std::make_unique<ConcurrencySwitchOn>(plan, std::move(service));
}

}  // namespace whimbrel
