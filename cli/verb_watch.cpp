// `watch`: what a check after the switch came to, for a person, cron or a program.
#include <fmt/format.h>

#include "base/counted.h"
#include "base/text.h"
#include "measure/judge.h"
#include "report/json_text.h"
#include "session/watch.h"
#include "verbs.h"

namespace whimbrel::cli {

namespace {

std::string compared_text(const VerifyOutcome& compared, bool every_row) {
  std::string text =
      fmt::format("{} compared ({}), {} differ", rows_text(compared.rows),
                  every_row ? "every row" : "a part, and what has changed since the last check",
                  with_thousands(compared.differing));
  if (compared.lagging > 0) {
    text += fmt::format(", {} wait to be carried over", with_thousands(compared.lagging));
  }
  return text;
}

std::string standing(const Watched& watched, TimePoint now) {
  std::string text = fmt::format("{} in a row", counted(watched.clean_checks, "clean check"));
  if (watched.clean_checks_wanted > 0) {
    text = fmt::format("{} of {} clean checks in a row", watched.clean_checks,
                       watched.clean_checks_wanted);
  }
  if (watched.clean() && !watched.counts) text += " (this one comes too soon to be counted)";
  if (watched.finish_from > now) {
    text += "; `finish` from " + to_iso8601(watched.finish_from).substr(0, 16) + " on";
  }
  return text;
}

void tell(Context& context, const Watched& watched) {
  const Options& options = context.options();
  if (options.json) {
    std::printf("%s\n", dumped(watched.to_json()).c_str());
    std::fflush(stdout);
  }
  if (options.quiet && watched.clean()) return;
  std::string text = compared_text(watched.outcome.compared, watched.outcome.every_row) + "\n";
  if (!options.redact) text += differences_text(watched.outcome.compared);
  if (watched.outcome.checks > 0) {
    text += fmt::format("{} of the plan asked\n", counted(watched.outcome.checks, "check"));
  }
  for (const CheckFailure& one : watched.outcome.failures) {
    text += fmt::format("failed: {}\n", one.why.message.starts_with(one.what)
                                            ? one.why.message
                                            : one.what + ": " + one.why.message);
    if (!one.why.hint.empty()) text += fmt::format("  hint: {}\n", one.why.hint);
  }
  if (!watched.comparison.is_null()) text += comparison_text(watched.comparison);
  context.say(text);
}

std::string reason_of(const Watched& watched, TimePoint now) {
  const std::string where = standing(watched, now);
  return watched.clean() ? where : join(watched.reasons, "; ") + "; " + where;
}

int once(Context& context) {
  const Result<Watched> watched = watch_migration(context.session());
  if (!watched.ok()) return context.fail(watched.error());
  if (context.session().is_dry_run()) {
    return context.finish(done, "dry run", "nothing was compared");
  }
  tell(context, watched.value());
  const TimePoint now = context.clock().now();
  if (watched.value().clean())
    return context.finish(done, "clean", reason_of(watched.value(), now));
  context.next(
      {{fmt::format("whimbrel verify {} --repair", context.spoken()),
        "put right what differs; the side that serves says what is right"},
       {fmt::format("whimbrel rollback {}", context.spoken()), "go back without losing a write"}});
  return context.finish(failed, "not clean", reason_of(watched.value(), now));
}

int again_and_again(Context& context, Milliseconds every) {
  const Status ended = keep_watching(context.session(), every, [&context](const Watched& watched) {
    const TimePoint now = context.clock().now();
    tell(context, watched);
    if (context.options().quiet && watched.clean()) return;
    context.say(fmt::format("{} {}: {}\n", to_iso8601(now).substr(0, 19),
                            watched.clean() ? "clean" : "not clean", reason_of(watched, now)));
    std::fflush(stdout);
  });
  if (!ended.ok()) return context.fail(ended.error());
  if (context.session().is_dry_run()) {
    return context.finish(done, "dry run", "nothing was compared");
  }
  return context.finish(done, "done", "rolled back, as somebody asked");
}

}  // namespace

int watch(const Options& options) {
  Context context(options);
  if (options.every.empty()) return once(context);
  const std::optional<Milliseconds> every = parse_duration(options.every);
  if (!every || every->count() < 1000) {
    return context.fail(Error{ErrorCode::invalid_plan,
                              "`--every` must be a duration of a second or more",
                              "like 1d, 12h, 30m"});
  }
  return again_and_again(context, *every);
}

}  // namespace whimbrel::cli
