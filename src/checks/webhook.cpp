#include "checks/webhook.h"

#include <fmt/format.h>

#include "aws/web.h"
#include "base/text.h"

namespace whimbrel {

namespace {
constexpr int tries_max = 3;
constexpr Milliseconds one_try_max{10'000};
constexpr Milliseconds pause{1'000};
}  // namespace

Status post_to_webhook(const WatchPlan& plan, const std::string& json, Clock& clock) {
  const std::unique_ptr<aws::Http> web = make_web();
  const aws::HttpRequest request{
      .method = "POST",
      .url = plan.webhook,
      .headers = {{"Content-Type", "application/json"}, {"User-Agent", "whimbrel"}},
      .body = json,
      .timeout = one_try_max};
  std::string why;
  for (int tried = 0; tried < tries_max; ++tried) {
    if (tried > 0) clock.sleep_for(pause);
    const Result<aws::HttpResponse> answer = aws::send_one(*web, request);
    if (answer.ok() && answer.value().status >= 200 && answer.value().status < 300) return {};
    why = answer.ok() ? fmt::format("answered {}: {}", answer.value().status,
                                    printable(answer.value().body, 200))
                      : why_unanswered(answer.error());
  }
  return Error{ErrorCode::unavailable,
               masked(fmt::format("the webhook {} {}", plan.webhook_written, why), plan.secrets)};
}

}  // namespace whimbrel
