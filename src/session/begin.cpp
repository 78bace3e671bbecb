#include "session/begin.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "engine/begun_plan.h"
#include "engine/engine.h"
#include "engine/trial.h"
#include "report/facts.h"
#include "report/files.h"
#include "session/conduct.h"
#include "session/dangling.h"
#include "session/look.h"
#include "session/places.h"

namespace whimbrel {

namespace {

constexpr Milliseconds analysis_age_max{24 * 3600 * 1000};

// An analysis of the same plan that is younger than a day need not be made again; of rows that an
// attempt has brought back since, it knows nothing.
bool analyzed_lately(Session& session, const std::string& folder) {
  const nlohmann::json document = last_analysis(folder);
  std::error_code failure;
  const auto written = std::filesystem::last_write_time(analysis_file(folder), failure);
  const auto age = std::filesystem::file_time_type::clock::now() - written;
  if (failure || !document.is_object()) return false;
  const State state = session.journal().state();
  const std::optional<TimePoint> made = from_iso8601(document.value("made_at", ""));
  const bool is_of_before =
      state.phase == Phase::rolled_back && (!made || *made < state.phase_since);
  return !is_of_before && document.value("digest", "") == session.migration().digest &&
         document.value("full", false) && !document.value("refused", true) &&
         age < analysis_age_max;
}

bool has_begun(const State& state) { return !begins_anew(state) && state.phase != Phase::planned; }

std::vector<Activity> what_is_to_do(Session& session, Goal goal, bool analyzed) {
  const State state = session.journal().state();
  std::vector<Activity> todo;
  if (state.phase == Phase::watching) return todo;
  const bool begins = !has_begun(state);
  if (begins && !analyzed) todo.push_back(Activity::reading);
  if (begins && session.plan().backup.is_wanted()) todo.push_back(Activity::backing_up);
  const bool copies = begins || state.phase == Phase::prepared || state.phase == Phase::copying;
  if (copies && goal >= Goal::copy) {
    todo.push_back(Activity::copying);
    todo.push_back(Activity::indexing);
  }
  if (goal >= Goal::verify) todo.push_back(Activity::comparing);
  return todo;
}

// What this run has to do, for whoever asks how long it takes.
Status keep_headway(Session& session, Goal goal) {
  const State state = session.journal().state();
  ASSIGN_OR_RETURN(const std::string folder, session.state_folder(true));
  std::vector<WorkOnTable> tables;
  for (const Move& move : session.migration().moves) {
    WorkOnTable work{move.name, move.mapping.source.name, 0, 0, 0, 0};
    ASSIGN_OR_RETURN(work.rows, session.rows_about(move));
    const int indexes = static_cast<int>(move.mapping.target.index_ddl.size());
    (move.indexes == Indexes::after ? work.indexes_after : work.indexes_online) = indexes;
    const auto copy = state.copies.find(move.index);
    if (has_begun(state) && copy != state.copies.end()) work.copied = copy->second.read;
    tables.push_back(std::move(work));
  }
  session.headway().keep(
      Course(std::move(tables), what_is_to_do(session, goal, analyzed_lately(session, folder)),
             session.migration().sync == Sync::dual, session.migration().limits.rows_per_s,
             {session.migration().limits.rcu, session.migration().limits.wcu}),
      folder + "/" + headway_file);
  return {};
}

Error tripping_over(const Analysis& analysis, const std::string& hint, const std::string& safe) {
  Error error{
      ErrorCode::refused, "the analysis found what `run` would trip over:", hint, safe, {}, ""};
  error.excerpt = analysis.text;
  return error;
}

// Tables that are there may have been changed since all rows were read: an index more, and a
// trigger of ours would make the application's writes fail.
Status tables_are_as_judged(Session& session) {
  ASSIGN_OR_RETURN(const Analysis looked,
                   check(session.migration(), session.standing(), session.clock()));
  if (!looked.refused) return {};
  return tripping_over(looked, "the tables were changed since `whimbrel analyze` read all rows",
                       "nothing was changed");
}

// Every value is read before anything is changed.
Status analyze_first(Session& session) {
  const State state = session.journal().state();
  // A copy that is made again takes what is there now, and nobody has looked at that.
  const bool copies_again = session.migration().only_copies && state.verified.has_value();
  if (has_begun(state) && !copies_again) return {};
  if (copies_again) TRY(must_be_the_plan(state, session.migration()));
  ASSIGN_OR_RETURN(const std::string folder, session.state_folder(true));
  if (!copies_again && analyzed_lately(session, folder)) return tables_are_as_judged(session);
  if (copies_again) TRY(session.make_engine().tables_must_be_there());
  ASSIGN_OR_RETURN(const Analyzed analyzed, analyze_opened(session));
  if (!analyzed.analysis.refused) {
    for (Move& move : session.migration().moves) move.refuses_orphans = false;
    return {};
  }
  return tripping_over(
      analyzed.analysis, "the whole analysis is in " + analyzed.file,
      copies_again ? "nothing was changed by this command" : "nothing was changed");
}

Status remove_trial(Session& session) {
  ASSIGN_OR_RETURN(const auto journal, trial_journal(session));
  TRY(journal->lock_for_running());
  const std::set<Dangling> dangled_before = dangling_in_targets(session);
  const Result<std::int64_t> cleaned =
      Trial(session.migration(), *journal, session.events()).clean();
  tell_new_dangling(session, dangled_before,
                    "rows of the trial were taken away, and others have come to refer to them: "
                    "correct these references");
  return cleaned.ok() ? Status() : Status(cleaned.error());
}

}  // namespace

Status refuse_added_columns(Session& session) {
  const Phase phase = session.journal().phase();
  const std::vector<std::string>& added = session.migration().added_since;
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

Status make_ready(Session& session, Goal goal) {
  TRY(keep_headway(session, goal));
  ASSIGN_OR_RETURN(const bool tried, session.has_left_a_trial());
  if (tried) {
    TRY(session.host().confirm("run"));
    TRY(remove_trial(session));
  }
  TRY(analyze_first(session));
  if (!has_begun(session.journal().state())) look_at_switches(session);
  return tried ? Status() : session.host().confirm("run");
}

}  // namespace whimbrel
