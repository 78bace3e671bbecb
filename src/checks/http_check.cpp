#include "checks/http_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "checks/web.h"

namespace whimbrel {

namespace {

using nlohmann::json;

constexpr Milliseconds pause_first{100};
constexpr Milliseconds pause_max{1'000};
constexpr Milliseconds one_answer_max{10'000};
constexpr int shown_max = 300;

std::string shown(const json& value) {
  return printable(value.dump(-1, ' ', false, json::error_handler_t::replace), shown_max);
}

// The first place where what is named is missing or different, as "`/a/b` is 1 where 2 is
// expected".
std::string difference(const json& wanted, const json& found, const std::string& at) {
  if (wanted.is_object() && found.is_object()) {
    for (const auto& [name, value] : wanted.items()) {
      const std::string place = at + "/" + name;
      if (!found.contains(name)) {
        return fmt::format("it has no `{}`, where {} is expected", printable(place), shown(value));
      }
      if (std::string wrong = difference(value, found[name], place); !wrong.empty()) return wrong;
    }
    return "";
  }
  if (wanted.is_array() && found.is_array() && wanted.size() == found.size()) {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      std::string wrong = difference(wanted[i], found[i], at + "/" + std::to_string(i));
      if (!wrong.empty()) return wrong;
    }
    return "";
  }
  if (wanted == found) return "";
  return fmt::format("{} is {} where {} is expected",
                     at.empty() ? "the answer" : "`" + printable(at) + "`", shown(found),
                     shown(wanted));
}

aws::HttpRequest request_of(const HttpCheckPlan& plan, Milliseconds at_most) {
  aws::HttpRequest request;
  request.method = plan.post ? "POST" : "GET";
  request.url = plan.url;
  request.headers = {{"Accept", "application/json"}, {"User-Agent", "whimbrel"}};
  if (plan.post) request.headers.emplace_back("Content-Type", "application/json");
  request.body = plan.post.value_or("");
  request.timeout = at_most;
  return request;
}

// "" when the service answers as it should.
std::string ask_once(const HttpCheckPlan& plan, aws::Http& http, Milliseconds at_most) {
  const Result<aws::HttpResponse> answer = aws::send_one(http, request_of(plan, at_most));
  return answer.ok() ? what_is_wrong(plan, answer.value()) : why_unanswered(answer.error());
}

}  // namespace

std::string what_is_wrong(const HttpCheckPlan& wanted, const aws::HttpResponse& answer) {
  const bool is_good =
      wanted.status ? answer.status == *wanted.status : answer.status >= 200 && answer.status < 300;
  if (!is_good) {
    return fmt::format("answered {} where {} is expected{}", answer.status,
                       wanted.status ? std::to_string(*wanted.status) : "200 to 299",
                       answer.body.empty() ? "" : ": " + printable(answer.body, shown_max));
  }
  if (!wanted.json) return "";
  const json found = json::parse(answer.body, nullptr, false);
  if (found.is_discarded()) {
    return fmt::format("answered what is no JSON: {}", printable(answer.body, shown_max));
  }
  const std::string wrong = difference(json::parse(*wanted.json, nullptr, false), found, "");
  return wrong.empty() ? "" : fmt::format("answered {}, but {}", answer.status, wrong);
}

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
          fmt::format("ask it yourself: curl {}{}", plan.post ? "--json '…' " : "", plan.written)};
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
