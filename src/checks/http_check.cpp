#include "checks/http_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "aws/web.h"
#include "base/text.h"

namespace whimbrel {

namespace {

constexpr Milliseconds pause_first{100};
constexpr Milliseconds pause_max{1'000};
constexpr Milliseconds one_answer_max{10'000};

// "" when the service answers as it should.
std::string ask_once(const HttpCheckPlan& plan, aws::Http& http, Milliseconds at_most) {
  const Result<aws::HttpResponse> answer = aws::send_one(
      http, web_request(plan.method, plan.url, plan.body.value_or(""), plan.headers, at_most));
  if (!answer.ok()) return why_unanswered(answer.error());
  return what_is_wrong(plan, answer.value().status, answer.value().body);
}

}  // namespace

Status ask_service(const CheckPlan& check, aws::Http& http, Clock& clock, const StopFlag& stop) {
  const HttpCheckPlan& plan = *check.http;
  const Milliseconds began = clock.monotonic();
  Milliseconds pause = pause_first;
  for (Milliseconds left = check.within;;) {
    const std::string wrong = ask_once(plan, http, std::clamp(left, pause_max, one_answer_max));
    if (wrong.empty()) return {};
    if (stop.requested()) return Error{ErrorCode::cancelled, "stopped as asked"};
    left = check.within - (clock.monotonic() - began);
    if (left <= pause) {
      return Error{
          ErrorCode::data_mismatch, masked("it " + wrong, check.secrets),
          fmt::format("ask it yourself: curl {}{}", plan.body ? "--json '…' " : "", plan.written)};
    }
    clock.sleep_for(pause);
    left -= pause;
    pause = std::min(2 * pause, pause_max);
  }
}

Status ask_service(const CheckPlan& check, Clock& clock, const StopFlag& stop) {
  const std::unique_ptr<aws::Http> http = make_web();
  return ask_service(check, *http, clock, stop);
}

}  // namespace whimbrel
