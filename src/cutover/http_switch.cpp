// A service of the user's that is told over HTTP: a request to switch, one to go back, one to look.
//
// A service that said no has changed nothing; what else happened is for `state:` to tell.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "aws/web.h"
#include "base/text.h"
#include "cutover/switches.h"

namespace whimbrel {

namespace {

constexpr Milliseconds one_answer_max{30'000};
constexpr int shown_max = 300;

// Answers by which a service says that it has not even begun.
constexpr std::array says_no = {400, 401, 403, 404, 405, 406, 410, 411, 413, 414, 415, 422, 501};

class HttpSwitchOn final : public Switch {
 public:
  HttpSwitchOn(const HttpSwitch& plan, std::unique_ptr<aws::Http> http)
      : plan_(plan), http_(std::move(http)) {}

  Result<std::string> found() override { return std::string("{}"); }

  Result<SwitchState> state() override {
    if (!plan_.state) return SwitchState::unknown;
    const Result<aws::HttpResponse> answer = ask(*plan_.state);
    if (!answer.ok()) return told(*plan_.state, why_unanswered(answer.error()));
    const int status = answer.value().status;
    if (what_is_wrong(*plan_.state, status, answer.value().body).empty()) return SwitchState::on;
    return status >= 200 && status < 300 ? SwitchState::off : SwitchState::unknown;
  }

  Status flip() override { return carry_out(plan_.act, SwitchState::on); }
  Status put_back(const std::string&) override { return carry_out(plan_.undo, SwitchState::off); }
  // By RFC 9110, 9.2.2.
  bool can_be_told_again() const override {
    return plan_.undo.method == "PUT" || plan_.undo.method == "DELETE";
  }
  std::string describe() const override {
    return masked(fmt::format("{} {} (undo: {} {})", plan_.act.method, plan_.act.written,
                              plan_.undo.method, plan_.undo.written),
                  plan_.secrets);
  }

 private:
  Result<aws::HttpResponse> ask(const HttpCheckPlan& request) {
    const aws::HttpRequest sent = web_request(
        request.method, request.url, request.body.value_or(""), request.headers, one_answer_max);
    return aws::send_one(*http_, sent);
  }

  Error told(const HttpCheckPlan& request, const std::string& what) const {
    return Error{
        ErrorCode::unavailable,
        masked(fmt::format("{} {} {}", request.method, request.written, printable(what, shown_max)),
               plan_.secrets)};
  }

  Status carry_out(const HttpCheckPlan& request, SwitchState wanted) {
    const Result<aws::HttpResponse> answer = ask(request);
    std::string wrong = answer.ok()
                            ? what_is_wrong(request, answer.value().status, answer.value().body)
                            : why_unanswered(answer.error());
    if (wrong.empty()) return {};
    const bool is_told = plan_.state.has_value();
    if (is_told) {
      const Result<SwitchState> now = state();
      if (now.ok() && now.value() == wanted) return {};
    }
    Error error = told(request, wrong);
    const bool never_sent = !answer.ok() && answer.error().code == ErrorCode::unavailable;
    const bool refused = answer.ok() && std::ranges::count(says_no, answer.value().status) > 0;
    if (never_sent) return error;
    error.code = refused ? ErrorCode::refused : ErrorCode::outcome_unknown;
    if (refused) error.hint = "the service refuses the request: see its URL, its headers and body";
    if (!refused && !is_told) error.hint = "with `state:` whimbrel could look what came of it";
    return error;
  }

  const HttpSwitch& plan_;
  std::unique_ptr<aws::Http> http_;
};

}  // namespace

std::unique_ptr<Switch> make_http_switch(const HttpSwitch& plan, std::unique_ptr<aws::Http> http) {
  return std::make_unique<HttpSwitchOn>(plan, std::move(http));
}

}  // namespace whimbrel
