#include <charconv>

#include "session/conduct.h"
#include "verbs.h"

namespace whimbrel::cli {

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
    const bool known = key == "batch_size" || key == "rows_per_s" || key == "rcu" || key == "wcu";
    if (!known || failure != std::errc() || end != text.data() + text.size() || number < 1) {
      return context.fail(Error{ErrorCode::invalid_plan,
                                "a limit is batch_size=N, rows_per_s=N, rcu=N or wcu=N, from 1 "
                                "on: " +
                                    setting});
    }
    limits[key] = number;
  }
  const auto answer = ask_runner(context.session(), verb, verb == "limits" ? limits.dump() : "");
  if (!answer.ok()) return context.fail(answer.error());
  if (!answer.value()) {
    return context.fail(
        Error{ErrorCode::refused,
              "no runner is at work: there is nothing to " + (verb == "limits" ? "limit" : verb),
              "`whimbrel run` starts one"});
  }
  return context.finish(done, "done", verb + ": " + *answer.value());
}

}  // namespace whimbrel::cli
