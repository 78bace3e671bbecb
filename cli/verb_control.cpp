#include <charconv>

#include "verbs.h"

namespace whimbrel::cli {

namespace {
constexpr int answer_tries = 600;
constexpr Milliseconds answer_pause{100};
}  // namespace

Result<std::optional<std::string>> ask_runner(Context& context, const std::string& verb,
                                              const std::string& value) {
  if (!context.journal().somebody_runs()) return std::optional<std::string>{};
  ASSIGN_OR_RETURN(const std::int64_t request, context.journal().ask(verb, value));
  for (int i = 0; i < answer_tries && !stop_flag().requested(); ++i) {
    ASSIGN_OR_RETURN(std::optional<std::string> answer, context.journal().answer_to(request));
    if (answer) return answer;
    context.clock().sleep_for(answer_pause);
  }
  return Error{ErrorCode::unavailable, "the runner did not answer within a minute",
               "it carries the request out after the chunk it is in; `whimbrel status` shows it"};
}

int control(const Options& options, const std::string& verb) {
  Context context(options);
  if (const Status journal = context.open_journal(false); !journal.ok())
    return context.fail(journal.error());
  nlohmann::json limits = nlohmann::json::object();
  for (const std::string& setting : options.settings) {
    const std::size_t equals = setting.find('=');
    const std::string key = setting.substr(0, equals);
    std::int64_t number = 0;
    const std::string text = equals == std::string::npos ? "" : setting.substr(equals + 1);
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool known = key == "batch_size" || key == "rows_per_s";
    if (!known || failure != std::errc() || end != text.data() + text.size() || number < 1) {
      return context.fail(Error{ErrorCode::invalid_plan,
                                "a limit is batch_size=N or rows_per_s=N, from 1 on: " + setting});
    }
    limits[key] = number;
  }
  const auto answer = ask_runner(context, verb, verb == "limits" ? limits.dump() : "");
  if (!answer.ok()) return context.fail(answer.error());
  if (!answer.value()) {
    return context.fail(Error{ErrorCode::refused,
                              "no runner is at work: there is nothing to " + verb,
                              "`whimbrel run` starts one"});
  }
  return context.finish(done, "done", verb + ": " + *answer.value());
}

}  // namespace whimbrel::cli
