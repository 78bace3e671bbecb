#include <fmt/format.h>

#include "base/counted.h"
#include "base/text.h"
#include "engine/trial.h"
#include "session/conduct.h"
#include "session/dangling.h"
#include "verbs.h"

namespace whimbrel::cli {

namespace {

void tell(Context& context, const TrialOutcome& outcome) {
  for (const TriedTable& table : outcome.tables) {
    std::string text = fmt::format("{}: {} moved and compared", table.name, rows_text(table.rows));
    if (table.there > 0) text += fmt::format(", {} there already and not touched", table.there);
    context.say(text + "\n");
    if (context.options().redact) continue;
    for (const TriedRow& row : table.examples) {
      context.say(fmt::format("  key {}\n", row.key));
      for (const auto& [column, value] : row.before) {
        context.say(fmt::format("    before  {:<24} {}\n", column, value));
      }
      for (const auto& [column, value] : row.after) {
        context.say(fmt::format("    after   {:<24} {}\n", column, value));
      }
    }
  }
}

nlohmann::json document(const TrialOutcome& outcome, bool redact) {
  nlohmann::json tables = nlohmann::json::array();
  for (const TriedTable& table : outcome.tables) {
    nlohmann::json one = {{"table", table.name},
                          {"rows", table.rows},
                          {"there", table.there},
                          {"examples", nlohmann::json::array()}};
    for (const TriedRow& row : table.examples) {
      if (redact) break;
      one["examples"].push_back({{"key", row.key},
                                 {"before", nlohmann::json(row.before)},
                                 {"after", nlohmann::json(row.after)}});
    }
    tables.push_back(std::move(one));
  }
  return {
      {"tables", tables}, {"references", outcome.references}, {"left_alone", outcome.left_alone}};
}

}  // namespace

int test(const Options& options) {
  Context context(options);
  if (const Status loaded = context.load(); !loaded.ok()) return context.fail(loaded.error());
  if (context.standing().begun) {
    return context.fail(Error{ErrorCode::refused,
                              "the migration is under way: a trial comes before",
                              "`whimbrel verify PLAN --sample 1000` compares what has moved",
                              "nothing was changed",
                              {},
                              ""});
  }
  if (options.dry_run || context.plan().dry_run) {
    return context.finish(done, "dry run",
                          fmt::format("would move {} of each table and all that is referred to, "
                                      "compare and remove what was moved",
                                      rows_text(options.limit)));
  }
  if (const Status confirmed = context.confirm("test"); !confirmed.ok())
    return context.fail(confirmed.error());
  const auto journal = trial_journal(context.session());
  if (!journal.ok()) return context.fail(journal.error());
  if (const Status locked = journal.value()->lock_for_running(); !locked.ok())
    return context.fail(locked.error());
  // Nobody begins the migration meanwhile.
  const auto nobody_runs = lock_of_runners(context.session());
  if (!nobody_runs.ok()) return context.fail(nobody_runs.error());
  const Result<bool> was_left = context.session().has_left_a_trial();
  if (!was_left.ok()) return context.fail(was_left.error());
  std::set<Dangling> dangled_before;
  if (was_left.value()) dangled_before = dangling_in_targets(context.session());
  Trial trial(context.migration(), *journal.value(), context.progress(), &stop_flag());
  const Result<TrialOutcome> tried = trial.run(options.table, options.limit, options.keep);
  if (!tried.ok()) return context.fail(tried.error());
  tell(context, tried.value());
  if (was_left.value()) {
    tell_new_dangling(context.session(), dangled_before,
                      "rows of the trial before were taken away, and others have come to refer to "
                      "them: correct these references");
  }
  if (options.json) {
    std::printf("%s\n", document(tried.value(), options.redact)
                            .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                            .c_str());
  }
  std::int64_t rows = 0;
  for (const TriedTable& table : tried.value().tables) rows += table.rows;
  std::string reason = fmt::format(
      "{}, {} followed; {}", rows_text(rows), counted(tried.value().references, "reference"),
      options.keep ? "they stay until the next `test` or `run`" : "everything was removed again");
  if (tried.value().left_alone > 0) {
    reason += fmt::format("; {} changed by others meanwhile and left as found",
                          rows_text(tried.value().left_alone));
  }
  return context.finish(done, "tried", reason);
}

}  // namespace whimbrel::cli
