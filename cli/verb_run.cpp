#include <fmt/format.h>

#include <filesystem>

#include "backup/backup.h"
#include "base/text.h"
#include "engine/trial.h"
#include "report/analysis.h"
#include "report/headway.h"
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
                   analyze(context.migration(), context.standing(), context.clock(),
                           context.progress(), stop_flag(), context.options().redact));
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

// What this run has to do, for whoever asks how long it takes.
Status keep_headway(Context& context, Goal goal) {
  const State state = context.journal().state();
  const bool begins =
      !state.started || state.phase == Phase::planned || state.phase == Phase::rolled_back;
  ASSIGN_OR_RETURN(const std::string folder, context.state_folder(true));
  std::vector<Activity> todo;
  if (begins && !analyzed_lately(context, folder)) todo.push_back(Activity::reading);
  if (begins && !context.plan().backup.folder.empty()) todo.push_back(Activity::backing_up);
  const bool copies = begins || state.phase == Phase::prepared || state.phase == Phase::copying;
  if (copies && goal >= Goal::copy) {
    todo.push_back(Activity::copying);
    todo.push_back(Activity::indexing);
  }
  if (goal >= Goal::verify) todo.push_back(Activity::comparing);
  std::vector<WorkOnTable> tables;
  for (const Move& move : context.migration().moves) {
    WorkOnTable work{
        move.name, move.mapping.source.name, context.progress().expected(move.name), 0, 0, 0};
    const int indexes = static_cast<int>(move.mapping.target.index_ddl.size());
    (move.indexes == Indexes::after ? work.indexes_after : work.indexes_online) = indexes;
    const auto copy = state.copies.find(move.index);
    if (!begins && copy != state.copies.end()) work.copied = copy->second.read;
    tables.push_back(std::move(work));
  }
  context.progress().keep_headway(
      Course(std::move(tables), std::move(todo), context.migration().sync == Sync::dual,
             context.migration().limits.rows_per_s),
      folder + "/" + headway_file);
  return {};
}

// Rows that `test --keep` or a killed `test` has left are not the migration's.
Result<bool> trial_left_rows(Context& context) {
  ASSIGN_OR_RETURN(const std::string folder, context.state_folder(true));
  std::error_code ignored;
  if (!std::filesystem::exists(folder + "/trial.db", ignored)) return false;
  ASSIGN_OR_RETURN(const auto journal, trial_journal(context));
  return Trial(context.migration(), *journal, context.progress()).has_leftovers();
}

Status remove_trial(Context& context) {
  ASSIGN_OR_RETURN(const auto journal, trial_journal(context));
  TRY(journal->lock_for_running());
  const Result<std::int64_t> cleaned =
      Trial(context.migration(), *journal, context.progress()).clean();
  return cleaned.ok() ? Status() : Status(cleaned.error());
}

int ended(Context& context, const Result<EngineOutcome>& outcome, const char* result) {
  const Status written = write_documents(context);
  if (!outcome.ok()) return context.fail(outcome.error());
  const EngineOutcome& value = outcome.value();
  // What was carried out is carried out, whether there is room for its report or not.
  if (!written.ok()) {
    context.warn("the report could not be written: " + written.error().message,
                 "make room, then `whimbrel report` writes it again");
  }
  if (value.gave_up) return context.finish(failed, "gave up", value.reason);
  return context.finish(done, result, fmt::format("{} ({})", value.reason, name_of(value.phase)));
}

int dry_run(Context& context) {
  const Result<Analysis> analysis =
      analyze(context.migration(), context.standing(), context.clock(), context.progress(),
              stop_flag(), context.options().redact);
  if (!analysis.ok()) return context.fail(analysis.error());
  context.say(analysis.value().text);
  return context.finish(analysis.value().refused ? refused : done, "dry run",
                        "nothing was changed");
}

}  // namespace

Status refuse_added_columns(Context& context) {
  const Phase phase = context.journal().phase();
  const std::vector<std::string>& added = context.migration().added_since;
  if (added.empty() || phase == Phase::watching || phase == Phase::rolling_back) return {};
  return Error{
      ErrorCode::refused,
      fmt::format("somebody has added {} since the migration began, and nothing in the plan "
                  "moves it",
                  join(added, ", ")),
      "`whimbrel rollback`, then `run` with the column in the plan, or under `rest: drop`",
      "nothing was changed by this command; the application uses the old side",
      {},
      ""};
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
  if (const Status added = refuse_added_columns(context); !added.ok())
    return context.fail(added.error());
  const Result<bool> tried = trial_left_rows(context);
  if (!tried.ok()) return context.fail(tried.error());
  if (tried.value()) {
    if (const Status confirmed = context.confirm("run"); !confirmed.ok())
      return context.fail(confirmed.error());
    if (const Status tidied = remove_trial(context); !tidied.ok())
      return context.fail(tidied.error());
  }
  Goal goal = *asked;
  if (!options.until_given && context.plan().start_manually &&
      context.journal().phase() != Phase::watching) {
    goal = Goal::verify;
  }
  if (const Status kept = keep_headway(context, goal); !kept.ok())
    return context.fail(kept.error());
  if (const Status analyzed = analyze_first(context); !analyzed.ok())
    return context.fail(analyzed.error());
  if (!tried.value()) {
    if (const Status confirmed = context.confirm("run"); !confirmed.ok())
      return context.fail(confirmed.error());
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
  if (options.dry_run || context.plan().dry_run) {
    for (const SwitchPlan& plan : context.migration().switches)
      context.say("would switch: " + make_switch(plan)->describe() + "\n");
    return context.finish(done, "dry run", "nothing was changed");
  }
  if (const Status added = refuse_added_columns(context); !added.ok())
    return context.fail(added.error());
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
  if (decided) {
    for (const std::string& line : context.make_engine().switches_seen())
      context.say("switch " + line + "\n");
  }
  return ended(context, context.make_engine().cutover(options.only, decided), "done");
}

namespace {

// What lies beside a checkpoint has to be what lay there when it was written; all that is missing
// is told at once.
Status checkpoint_is_whole(const std::string& path, const std::string& folder) {
  ASSIGN_OR_RETURN(const std::string text, read_file(path));
  const nlohmann::json checkpoint = nlohmann::json::parse(text, nullptr, false);
  std::vector<std::string> wrong;
  if (!checkpoint.is_object()) wrong.push_back(path + " is no checkpoint");
  std::error_code ignored;
  if (!std::filesystem::exists(folder + "/journal.db", ignored)) {
    wrong.push_back("journal.db is missing");
  }
  if (checkpoint.is_object()) {
    const nlohmann::json files = checkpoint.value("files", nlohmann::json::object());
    for (const auto& [name, digest] : files.items()) {
      const Result<std::string> content = read_file(folder + "/" + name);
      if (!content.ok()) {
        wrong.push_back(name + " is missing");
      } else if (digest.is_string() && name != "rejected.jsonl" &&
                 digest_hex(content.value()) != digest.get<std::string>()) {
        wrong.push_back(name + " is not the one the checkpoint was written with");
      }
    }
  }
  if (wrong.empty()) return {};
  return Error{ErrorCode::refused, "the checkpoint is not whole: " + join(wrong, "; "),
               "copy the whole state folder from the machine that ran the migration",
               "nothing was changed"};
}

}  // namespace

int rollback(const Options& options) {
  Options here = options;
  if (!options.checkpoint.empty()) {
    here.state = std::filesystem::absolute(options.checkpoint).parent_path().string();
  }
  Context context(here);
  if (!options.checkpoint.empty()) {
    if (const Status whole = checkpoint_is_whole(options.checkpoint, here.state); !whole.ok())
      return context.fail(whole.error());
  }
  if (const Status journal = context.open_journal(false); !journal.ok())
    return context.fail(journal.error());
  if (context.journal().phase() == Phase::rolled_back && context.journal().state().started) {
    return context.finish(done, "done", "rolled back already");
  }
  const bool finished = context.journal().phase() == Phase::finished;
  if (finished) {
    if (const Status bound = context.load_finished(); !bound.ok())
      return context.fail(bound.error());
    if (options.dry_run || context.plan().dry_run) {
      return context.finish(done, "dry run",
                            "would bring the old tables back, carry over what was written since, "
                            "and switch back");
    }
    if (const Status confirmed = context.confirm("rollback after finish"); !confirmed.ok())
      return context.fail(confirmed.error());
    if (const Status locked = context.journal().lock_for_running(); !locked.ok())
      return context.fail(locked.error());
    if (const Status back = bring_back_old_tables(context); !back.ok())
      return context.fail(back.error());
    if (const Status opened = context.open_all(); !opened.ok()) return context.fail(opened.error());
    return ended(context, context.make_engine().rollback(), "done");
  }
  if (const Status opened = context.open_all(); !opened.ok()) {
    // Somebody has dropped an old table: then it comes back from the backup, as after `finish`.
    const bool may_be_gone = context.standing().begun && !options.dry_run;
    if (!may_be_gone || !old_tables_are_gone(context)) return context.fail(opened.error());
    if (const Status confirmed = context.confirm("rollback"); !confirmed.ok())
      return context.fail(confirmed.error());
    if (const Status back = bring_back_old_tables(context); !back.ok())
      return context.fail(back.error());
    if (const Status again = context.open_all(); !again.ok()) return context.fail(again.error());
  }
  if (options.dry_run || context.plan().dry_run) {
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
  const Status locked = context.journal().lock_for_running();
  if (options.repair && !options.dry_run) {
    if (!locked.ok()) return context.fail(locked.error());
    if (const Status confirmed = context.confirm("verify --repair"); !confirmed.ok())
      return context.fail(confirmed.error());
  }
  Engine engine = context.make_engine();
  const Result<VerifyOutcome> outcome = options.repair && !options.dry_run
                                            ? engine.repair(options.sample)
                                            : engine.verify(options.sample, locked.ok());
  if (!outcome.ok()) return context.fail(outcome.error());
  const VerifyOutcome& value = outcome.value();
  if (options.json) {
    nlohmann::json line = {{"rows", value.rows},
                           {"differing", value.differing},
                           {"on_new_side", value.on_new_side},
                           {"lagging", value.lagging},
                           {"repaired", value.repaired},
                           {"differences", nlohmann::json::array()}};
    for (const Difference& one : value.examples) {
      if (options.redact) break;
      line["differences"].push_back({{"table", one.table}, {"key", one.key}, {"what", one.what}});
    }
    std::printf("%s\n",
                line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  }
  for (const Difference& one : value.examples) {
    if (options.redact) break;
    context.say(fmt::format("differs: {} key {}: {}\n", one.table, one.key, one.what));
  }
  std::string reason = fmt::format("{} rows compared, {} differ", with_thousands(value.rows),
                                   with_thousands(value.differing));
  if (value.repaired > 0) {
    reason += fmt::format(", {} were put right (what they were is in repaired.jsonl)",
                          with_thousands(value.repaired));
  }
  if (value.lagging > 0)
    reason += fmt::format(", {} wait to be carried over", with_thousands(value.lagging));
  if (value.differing == 0) return context.finish(done, "equal", reason);
  context.next({{fmt::format("whimbrel verify {} --repair", context.spoken()),
                 "put right what differs; the side that serves says what is right"},
                {fmt::format("whimbrel rollback {}", context.spoken()), "undo everything so far"}});
  return context.finish(failed, "different", reason);
}

namespace {

// Tables that `finish` is about to drop are archived first: into the URL that was given, else below
// the state folder. What this finish has archived already, before it was interrupted, is enough.
Status archive_first(Context& context) {
  const Options& options = context.options();
  const FinishPlan& plan = context.migration().finish;
  const State state = context.journal().state();
  const bool drops_tables = !plan.keep_source && plan.rename_source_to.empty();
  const bool drops_archive = state.phase == Phase::finished;
  if (options.no_backup || (options.url.empty() && !drops_tables && !drops_archive)) return {};
  const Effect* known = state.effect("archive");
  if (known != nullptr && known->confirmed && known->at >= state.phase_since) return {};
  ASSIGN_OR_RETURN(const std::string state_folder, context.state_folder(false));
  const std::string folder = options.url.empty()
                                 ? state_folder + "/archive-" + to_compact(context.clock().now())
                                 : std::filesystem::absolute(options.url.substr(5)).string();
  bool any = false;
  for (const auto& [alias, store] : context.migration().stores) {
    std::vector<std::string> tables;
    for (const Move& move : context.migration().moves) {
      if (move.source == store && !drops_archive) tables.push_back(move.mapping.source.name);
    }
    if (drops_archive) tables = {plan.rename_source_to};
    std::erase_if(tables,
                  [&](const std::string& name) { return !store->catalog().describe(name).ok(); });
    if (tables.empty()) continue;
    const bool alone = context.migration().stores.size() == 1;
    const std::string place = alone ? folder : folder + "/" + alias;
    const auto taken = take_backup(*store, tables, place, context.progress());
    if (!taken.ok()) return taken.error();
    TRY(verify_backup(place));
    any = true;
  }
  if (!any) return {};
  TRY(context.journal().append(EffectIntended{"archive", "{}"}));
  return context.journal().append(
      EffectConfirmed{"archive", nlohmann::json({{"folder", context.below_state(folder)}}).dump()});
}

}  // namespace

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
  if (!options.url.empty() && !options.url.starts_with("file:")) {
    return context.fail(Error{ErrorCode::invalid_plan, "`--backup` takes file:FOLDER",
                              "s3: is not yet of this release"});
  }
  const Phase phase = context.journal().phase();
  if (const Status opened = context.open_all(); !opened.ok()) {
    // Once the old table is gone the plan no longer binds; what is left to do needs only the
    // stores.
    const bool late = phase == Phase::finishing || phase == Phase::finished;
    const bool bound = !late && context.standing().begun && old_tables_are_gone(context);
    if (bound) {
      context.warn("an old table is gone: there is nothing left to archive",
                   "what keeps the two sides equal is taken away");
    } else if (late && !context.plan().stores.empty()) {
      const Status prepared = context.prepare_without_tables();
      if (!prepared.ok()) return context.fail(prepared.error());
    } else {
      return context.fail(opened.error());
    }
  }
  if (options.dry_run || context.plan().dry_run)
    return context.finish(done, "dry run", "nothing was changed");
  if (const Status confirmed = context.confirm("finish"); !confirmed.ok())
    return context.fail(confirmed.error());
  if (const Status locked = context.journal().lock_for_running(); !locked.ok())
    return context.fail(locked.error());
  Engine engine = context.make_engine([&context] { return archive_first(context); });
  return ended(context, engine.finish(after), "done");
}

}  // namespace whimbrel::cli
