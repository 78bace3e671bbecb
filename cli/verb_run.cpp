#include <fmt/format.h>

#include <filesystem>

#include "base/text.h"
#include "report/analysis.h"
#include "verbs.h"

namespace whimbrel::cli {

namespace {

constexpr Milliseconds analysis_age_max{24 * 3600 * 1000};

// An analysis of the same plan that is younger than a day need not be made again.
bool analyzed_lately(Context& context, const std::string& folder) {
  const std::string path = folder + "/migration-analysis-latest.json";
  const Result<std::string> text = read_file(path);
  if (!text.ok()) return false;
  const nlohmann::json document = nlohmann::json::parse(text.value(), nullptr, false);
  std::error_code failure;
  const auto written = std::filesystem::last_write_time(path, failure);
  const auto age = std::filesystem::file_time_type::clock::now() - written;
  return !failure && document.is_object() &&
         document.value("digest", "") == context.migration().digest &&
         document.value("full", false) && !document.value("refused", true) &&
         age < analysis_age_max;
}

// Every value is read before anything is changed.
Status analyze_first(Context& context) {
  const State state = context.journal().state();
  const bool begins =
      !state.started || state.phase == Phase::planned || state.phase == Phase::rolled_back;
  if (!begins) return {};
  ASSIGN_OR_RETURN(const std::string folder, context.state_folder(true));
  if (analyzed_lately(context, folder)) return {};
  ASSIGN_OR_RETURN(const Analysis analysis,
                   analyze(context.migration(), context.clock(), context.progress(), stop_flag(),
                           context.options().redact));
  ASSIGN_OR_RETURN(
      const std::string file,
      write_stamped(
          folder, "analysis", "json",
          analysis.document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n",
          context.clock().now()));
  if (!analysis.refused) return {};
  Error error{ErrorCode::refused,
              "the analysis found what `run` would trip over:",
              "",
              "nothing was changed",
              {},
              ""};
  error.excerpt = analysis.text;
  error.hint = "the whole analysis is in " + file;
  return error;
}

int ended(Context& context, const Result<EngineOutcome>& outcome, const char* result) {
  const Status written = write_documents(context);
  if (!outcome.ok()) return context.fail(outcome.error());
  if (!written.ok()) return context.fail(written.error());
  const EngineOutcome& value = outcome.value();
  if (value.gave_up) return context.finish(failed, "gave up", value.reason);
  return context.finish(done, result, fmt::format("{} ({})", value.reason, name_of(value.phase)));
}

int dry_run(Context& context) {
  const Result<Analysis> analysis =
      analyze(context.migration(), context.clock(), context.progress(), stop_flag(),
              context.options().redact);
  if (!analysis.ok()) return context.fail(analysis.error());
  context.say(analysis.value().text);
  return context.finish(analysis.value().refused ? refused : done, "dry run",
                        "nothing was changed");
}

}  // namespace

Status write_documents(Context& context) {
  ASSIGN_OR_RETURN(const std::string folder, context.state_folder(false));
  const TimePoint now = context.clock().now();
  ASSIGN_OR_RETURN(const nlohmann::json report, report_document(context.journal(), now));
  ASSIGN_OR_RETURN(const nlohmann::json checkpoint,
                   checkpoint_document(context.journal(), folder, now));
  const auto text = [](const nlohmann::json& document) {
    return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  };
  const Result<std::string> one = write_stamped(folder, "report", "json", text(report), now);
  if (!one.ok()) return one.error();
  const Result<std::string> two =
      write_stamped(folder, "checkpoint", "json", text(checkpoint), now);
  return two.ok() ? Status() : Status(two.error());
}

int run(const Options& options) {
  Context context(options);
  const std::optional<Goal> asked = goal_from(options.until);
  if (!asked) {
    return context.fail(Error{ErrorCode::invalid_plan,
                              fmt::format("`--until` cannot be `{}`", options.until),
                              "one of backup, prepare, copy, follow, verify, watch"});
  }
  // A finished migration has no old table left to bind the plan to.
  if (context.open_journal(false).ok() && context.journal().phase() == Phase::finished) {
    return context.finish(done, "done", "finished already");
  }
  if (const Status opened = context.open_all(); !opened.ok()) return context.fail(opened.error());
  if (options.dry_run || context.plan().dry_run) return dry_run(context);
  if (const Status locked = context.journal().lock_for_running(); !locked.ok())
    return context.fail(locked.error());
  if (const Status analyzed = analyze_first(context); !analyzed.ok())
    return context.fail(analyzed.error());
  if (const Status confirmed = context.confirm("run"); !confirmed.ok())
    return context.fail(confirmed.error());
  Goal goal = *asked;
  if (!options.until_given && context.plan().start_manually &&
      context.journal().phase() != Phase::watching) {
    goal = Goal::verify;
  }
  Engine engine = context.make_engine();
  Result<EngineOutcome> outcome = engine.run(goal, options.stay);
  const bool fails = !outcome.ok() && outcome.error().code != ErrorCode::cancelled;
  if (fails && context.migration().roll_back_on_failure) {
    Error cause = std::move(outcome).error();
    const Result<EngineOutcome> back = context.make_engine().rollback();
    (void)write_documents(context);
    if (!back.ok()) return context.fail(back.error());
    return context.fail_as(
        rolled_back, std::move(cause).saying_safe("rolled back: everything is as it was before"));
  }
  return ended(context, outcome, "done");
}

int cutover(const Options& options) {
  Context context(options);
  if (const Status opened = context.open_all(); !opened.ok()) return context.fail(opened.error());
  if (options.dry_run) {
    for (const SwitchPlan& plan : context.migration().switches)
      context.say("would switch: " + make_switch(plan)->describe() + "\n");
    return context.finish(done, "dry run", "nothing was changed");
  }
  if (const Status confirmed = context.confirm("cutover"); !confirmed.ok())
    return context.fail(confirmed.error());
  if (const Status locked = context.journal().lock_for_running(); !locked.ok()) {
    const auto answer = ask_runner(context, "cutover", "");
    if (!answer.ok()) return context.fail(answer.error());
    return context.finish(done, "asked", "the runner switches over; `whimbrel status` shows it");
  }
  std::optional<bool> decided;
  if (options.decide == "switched") decided = true;
  if (options.decide == "not-switched") decided = false;
  return ended(context, context.make_engine().cutover(options.only, decided), "done");
}

int rollback(const Options& options) {
  Options here = options;
  if (!options.checkpoint.empty()) {
    here.state = std::filesystem::absolute(options.checkpoint).parent_path().string();
  }
  Context context(here);
  if (const Status journal = context.open_journal(false); !journal.ok())
    return context.fail(journal.error());
  if (context.journal().phase() == Phase::rolled_back && context.journal().state().started) {
    return context.finish(done, "done", "rolled back already");
  }
  if (const Status opened = context.open_all(); !opened.ok()) return context.fail(opened.error());
  if (options.dry_run) {
    for (const Effect& effect : context.journal().state().effects)
      context.say("would undo: " + effect.id + "\n");
    return context.finish(done, "dry run", "nothing was changed");
  }
  if (const Status confirmed = context.confirm("rollback"); !confirmed.ok())
    return context.fail(confirmed.error());
  if (const Status locked = context.journal().lock_for_running(); !locked.ok()) {
    const auto answer = ask_runner(context, "rollback", "");
    if (!answer.ok()) return context.fail(answer.error());
    return context.finish(done, "asked", "the runner rolls back; `whimbrel status` shows it");
  }
  return ended(context, context.make_engine().rollback(), "done");
}

int verify(const Options& options) {
  Context context(options);
  if (const Status journal = context.open_journal(false); !journal.ok())
    return context.fail(journal.error());
  if (const Status opened = context.open_all(); !opened.ok()) return context.fail(opened.error());
  // Beside a living runner the journal is the runner's alone.
  const bool alone = context.journal().lock_for_running().ok();
  const Result<VerifyOutcome> outcome = context.make_engine().verify(options.sample, alone);
  if (!outcome.ok()) return context.fail(outcome.error());
  const VerifyOutcome& value = outcome.value();
  if (options.json) {
    nlohmann::json line = {{"rows", value.rows},
                           {"differing", value.differing},
                           {"on_new_side", value.on_new_side},
                           {"lagging", value.lagging},
                           {"differences", nlohmann::json::array()}};
    for (const Difference& one : value.examples) {
      line["differences"].push_back({{"table", one.table}, {"key", one.key}, {"what", one.what}});
    }
    std::printf("%s\n",
                line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  }
  for (const Difference& one : value.examples) {
    context.say(fmt::format("differs: {} key {}: {}\n", one.table, one.key, one.what));
  }
  std::string reason = fmt::format("{} rows compared, {} differ", with_thousands(value.rows),
                                   with_thousands(value.differing));
  if (value.lagging > 0)
    reason += fmt::format(", {} wait to be carried over", with_thousands(value.lagging));
  return context.finish(value.differing == 0 ? done : failed,
                        value.differing == 0 ? "equal" : "different", reason);
}

int finish(const Options& options) {
  Context context(options);
  if (const Status journal = context.open_journal(false); !journal.ok())
    return context.fail(journal.error());
  std::optional<Milliseconds> after;
  if (!options.after.empty()) {
    after = parse_duration(options.after);
    if (!after) {
      return context.fail(
          Error{ErrorCode::invalid_plan, "`--after` must be a duration", "like 0s, 12h, 7d"});
    }
  }
  const Phase phase = context.journal().phase();
  if (const Status opened = context.open_all(); !opened.ok()) {
    // Once the old table is gone the plan no longer binds; what is left to do needs only the
    // stores.
    const bool late = phase == Phase::finishing || phase == Phase::finished;
    if (!late || context.plan().stores.empty()) return context.fail(opened.error());
    const Status prepared = context.prepare_without_tables();
    if (!prepared.ok()) return context.fail(prepared.error());
  }
  if (options.dry_run) return context.finish(done, "dry run", "nothing was changed");
  if (const Status confirmed = context.confirm("finish"); !confirmed.ok())
    return context.fail(confirmed.error());
  if (const Status locked = context.journal().lock_for_running(); !locked.ok())
    return context.fail(locked.error());
  if (!options.url.empty()) {
    const int backed_up = backup(options);
    if (backed_up != done) return backed_up;
  }
  return ended(context, context.make_engine().finish(after), "done");
}

}  // namespace whimbrel::cli
