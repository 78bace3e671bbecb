#include <fmt/format.h>

#include <filesystem>
#include <ranges>

#include "base/counted.h"
#include "base/text.h"
#include "report/analysis.h"
#include "report/trail.h"
#include "session/archive.h"
#include "session/conduct.h"
#include "session/look.h"
#include "verbs.h"

namespace whimbrel::cli {

namespace {

int ended(Context& context, const Result<Conducted>& conducted) {
  if (!conducted.ok()) return context.fail(conducted.error());
  const Conducted& value = conducted.value();
  if (value.undone_after) return context.fail_as(rolled_back, *value.undone_after);
  // What was carried out is carried out, whether there is room for its report or not.
  if (!value.documents.ok()) {
    context.warn("the report could not be written: " + value.documents.error().message,
                 "make room, then `whimbrel report` writes it again");
  }
  switch (value.ending) {
    case Ending::carried_out:
      return context.finish(done, "done",
                            fmt::format("{} ({})", value.reason, name_of(value.phase)));
    case Ending::rolled_back:  // whoever waits for `run` to go on must not
      return context.finish(rolled_back, "not run",
                            "rolled back, as was asked for while it ran or before");
    case Ending::already:
      return context.finish(done, "done", value.reason);
    case Ending::dry_run:
      return context.finish(done, "dry run", value.reason);
    case Ending::asked:
      return context.finish(done, "asked", value.reason);
    case Ending::gave_up:
      return context.finish(failed, "gave up", value.reason);
  }
  return failed;
}

bool is_dry(const Result<Conducted>& conducted) {
  return conducted.ok() && conducted.value().ending == Ending::dry_run;
}

int dry_run(Context& context) {
  const Result<Analysis> analysis = analysis_of(context.session());
  if (!analysis.ok()) return context.fail(analysis.error());
  context.say(analysis.value().text);
  return context.finish(analysis.value().refused ? refused : done, "dry run",
                        "nothing was changed");
}

}  // namespace

int run(const Options& options) {
  Context context(options);
  RunWanted wanted{goal_from(options.until), options.stay};
  if (!wanted.goal) {
    return context.fail(Error{ErrorCode::invalid_plan,
                              fmt::format("`--until` cannot be `{}`", options.until),
                              "one of backup, prepare, copy, follow, verify, watch"});
  }
  if (!options.until_given) wanted.goal.reset();
  const Result<Conducted> conducted = run_migration(context.session(), wanted);
  return is_dry(conducted) ? dry_run(context) : ended(context, conducted);
}

int cutover(const Options& options) {
  Context context(options);
  CutoverWanted wanted{options.only, {}};
  if (!options.decide.empty()) wanted.decided = options.decide == "switched";
  const Result<Conducted> conducted = cut_over_migration(context.session(), wanted);
  if (is_dry(conducted)) {
    for (const SwitchPlan& plan : context.migration().holds)
      context.say("would hold by: " + make_switch(plan, context.clock())->describe() + "\n");
    for (const SwitchPlan& plan : context.migration().switches)
      context.say("would switch: " + make_switch(plan, context.clock())->describe() + "\n");
  }
  return ended(context, conducted);
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

int dry_rollback(Context& context) {
  if (context.journal().phase() == Phase::finished) {
    return context.finish(done, "dry run",
                          "would bring the old tables back, carry over what was written since, "
                          "and switch back");
  }
  const State state = context.journal().state();
  std::vector<std::string> targets;
  for (const Move& move : context.session().migration().moves) targets.push_back(move.to);
  for (const Effect& effect : std::views::reverse(state.effects)) {
    // Copies that were made for the worst case stay.
    if (effect.id.starts_with("backup")) continue;
    context.say("would undo: " + effect_words(effect, targets) + "\n");
  }
  return context.finish(done, "dry run", "nothing was changed");
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
  const Result<Conducted> conducted = roll_back_migration(context.session());
  return is_dry(conducted) ? dry_rollback(context) : ended(context, conducted);
}

int verify(const Options& options) {
  Context context(options);
  const Result<VerifyOutcome> outcome =
      verify_migration(context.session(), {options.sample, options.repair});
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
  if (!options.redact) context.say(differences_text(value));
  std::string reason =
      fmt::format("{} compared, {} differ", rows_text(value.rows), with_thousands(value.differing));
  if (value.repaired > 0) {
    reason += fmt::format(", {} were put right (what they were is in repaired.jsonl)",
                          with_thousands(value.repaired));
  }
  if (const std::int64_t aside = context.journal().state().left_behind; aside > 0) {
    reason += fmt::format(", {} set aside (rejected.jsonl names {})", with_thousands(aside),
                          aside == 1 ? "it" : "them");
  }
  if (value.lagging > 0)
    reason += fmt::format(", {} wait to be carried over", with_thousands(value.lagging));
  if (const Result<std::vector<KeptRow>> kept = context.journal().kept();
      kept.ok() && !kept.value().empty() && context.journal().phase() == Phase::watching) {
    const auto rows = std::ssize(kept.value());
    reason += fmt::format("; {} {} values that the old side has no place for", rows_text(rows),
                          rows == 1 ? "holds" : "hold");
  }
  if (value.differing == 0) return context.finish(done, "equal", reason);
  context.next({{fmt::format("whimbrel verify {} --repair", context.spoken()),
                 "put right what differs; the side that serves says what is right"},
                {fmt::format("whimbrel rollback {}", context.spoken()), "undo everything so far"}});
  return context.finish(failed, "different", reason);
}

int finish(const Options& options) {
  Context context(options);
  FinishWanted wanted{{}, options.no_backup, ""};
  if (!options.after.empty()) {
    wanted.after = parse_duration(options.after);
    if (!wanted.after) {
      return context.fail(
          Error{ErrorCode::invalid_plan, "`--after` must be a duration", "like 0s, 12h, 7d"});
    }
  }
  if (!options.url.empty()) {
    Result<std::string> place = place_of(options.url);
    if (!place.ok()) return context.fail(place.error());
    wanted.archive = std::move(place).value();
  }
  const Result<Conducted> conducted = finish_migration(context.session(), wanted);
  if (is_dry(conducted)) {
    for (const std::string& step : steps_of_finish(context.session(), wanted)) {
      context.say("would " + step + "\n");
    }
  }
  return ended(context, conducted);
}

}  // namespace whimbrel::cli
