#include "session/conduct.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/counted.h"
#include "base/text.h"
#include "session/archive.h"
#include "session/begin.h"
#include "session/dangling.h"
#include "session/documents.h"
#include "session/rehearsal.h"
#include "session/way_back.h"

namespace whimbrel {

namespace {

constexpr int answer_tries = 600;
constexpr Milliseconds answer_pause{100};

Conducted ended(Session& session, Ending ending, std::string reason) {
  return Conducted{ending, session.journal().phase(), std::move(reason)};
}

Conducted dry(Session& session) { return ended(session, Ending::dry_run, "nothing was changed"); }

// Whatever came of it, there is a report of it.
Result<Conducted> reported(Session& session, Result<EngineOutcome> outcome) {
  if (outcome.ok()) {
    session.log_table().complete(outcome.value().reason);
  } else {
    session.log_table().failed(outcome.error().message);
  }
  Status documents = write_documents(session);
  if (!outcome.ok()) {
    return std::move(outcome).error().saying_safe(
        "what is done is in the journal, and the same command goes on from there");
  }
  EngineOutcome& value = outcome.value();
  const Ending ending = value.gave_up ? Ending::gave_up : Ending::carried_out;
  return Conducted{ending, value.phase, std::move(value.reason), {}, std::move(documents)};
}

// Beside a living runner nobody else drives: it is asked, and then looked at until it has done so.
// Whoever stops looking has only asked.
Result<Conducted> asked(Session& session, const std::string& verb, const std::string& what,
                        Phase wanted) {
  TRY(ask_runner(session, verb, ""));
  ASSIGN_OR_RETURN(const std::string folder, session.state_folder(false));
  while (!session.stop().requested()) {
    ASSIGN_OR_RETURN(const auto journal, Journal::open(folder + "/journal.db", session.clock(),
                                                       Journal::Reading::latest));
    const Phase phase = journal->phase();
    if (phase == wanted) {
      TRY(session.reopen_journal());
      return Conducted{Ending::carried_out, phase, "carried out by the runner", {}, {}};
    }
    const bool elsewhere = phase == Phase::stuck ||
                           (phase == Phase::rolling_back && verb == "cutover") ||
                           (phase == Phase::rolled_back && verb == "cutover");
    if (elsewhere || !journal->somebody_runs()) {
      return Conducted{
          Ending::gave_up,
          phase,
          fmt::format("the runner did not come that far: the migration is {}", name_of(phase)),
          {},
          {}};
    }
    session.clock().sleep_for(answer_pause);
  }
  return ended(session, Ending::asked, what);
}

// The guard of a runner that was killed has the lock for a moment, while it lets go.
Status become_runner(Session& session) {
  constexpr Milliseconds patience{2'000};
  constexpr Milliseconds pause{50};
  const Milliseconds since = session.clock().monotonic();
  while (true) {
    Status locked = session.journal().lock_for_running();
    if (locked.ok()) session.note_what_is_done();
    const bool may_end = !locked.ok() && locked.error().code == ErrorCode::conflict &&
                         session.clock().monotonic() - since < patience;
    if (!may_end || session.stop().requested()) return locked;
    session.clock().sleep_for(pause);
  }
}

// A lock that cannot be taken for another reason is nobody's.
bool is_held_by_a_runner(Session& session, const Status& locked) {
  return locked.error().code == ErrorCode::conflict && session.journal().somebody_runs();
}

Goal goal_of(Session& session, const RunWanted& wanted) {
  if (wanted.goal) return *wanted.goal;
  if (session.migration().only_copies) return Goal::verify;
  const bool waits = session.plan().start_manually && session.journal().phase() != Phase::watching;
  return waits ? Goal::verify : Goal::watch;
}

// The plan wants a failed run undone. A run that was stopped has not failed.
Result<Conducted> undo_after(Session& session, Error cause) {
  Result<Conducted> back = reported(session, session.make_engine().rollback());
  if (!back.ok()) return back;
  // What was safe when it failed may have been taken back since.
  const bool tells_the_end = cause.safe.find("rolled back") != std::string::npos;
  if (!tells_the_end) cause.safe = "rolled back: everything is as it was before";
  back.value().undone_after = std::move(cause);
  return back;
}

}  // namespace

Result<std::optional<std::string>> ask_runner(Session& session, const std::string& verb,
                                              const std::string& value) {
  Journal& journal = session.journal();
  if (!journal.somebody_runs()) return std::optional<std::string>{};
  ASSIGN_OR_RETURN(const std::int64_t request, journal.ask(verb, value));
  for (int i = 0; i < answer_tries && !session.stop().requested(); ++i) {
    ASSIGN_OR_RETURN(std::optional<std::string> answer, journal.answer_to(request));
    if (answer) return answer;
    session.clock().sleep_for(answer_pause);
  }
  return Error{ErrorCode::unavailable, "the runner did not answer within a minute",
               "it carries the request out after the chunk it is in; `whimbrel status` shows it"};
}

Result<RunLock> lock_of_runners(Session& session) {
  ASSIGN_OR_RETURN(const std::string folder, session.state_folder(true));
  return RunLock::take(folder + "/journal.db");
}

Result<std::unique_ptr<Journal>> trial_journal(Session& session) {
  ASSIGN_OR_RETURN(const std::string folder, session.state_folder(true));
  const std::string path = folder + "/trial.db";
  ASSIGN_OR_RETURN(auto journal, Journal::open(path, session.clock()));
  chmod(path.c_str(), 0600);  // it names rows with their values
  return journal;
}

Result<Conducted> run_migration(Session& session, const RunWanted& wanted) {
  // A finished migration has no old table left to bind the plan to.
  if (session.open_journal(false).ok() && session.journal().phase() == Phase::finished) {
    return ended(session, Ending::already, "finished already");
  }
  TRY(session.open_all());
  TRY(rehearsal_was_held(session));
  if (session.is_dry_run()) return dry(session);
  TRY(become_runner(session));
  TRY(refuse_added_columns(session));
  const Goal goal = goal_of(session, wanted);
  // A copy that was whole once is in use: what a later run of it meets is no reason to take it
  // away.
  const bool was_whole =
      session.migration().only_copies && session.journal().state().verified.has_value();
  const bool was_switched = session.journal().phase() == Phase::watching;
  TRY(make_ready(session, goal));
  std::set<Dangling> dangled_before;
  if (was_whole) {
    dangled_before = dangling_in_targets(session);
    session.writes_from_here();
  }
  Engine engine = session.make_engine();
  if (was_whole && goal >= Goal::verify) TRY(engine.set_aside_anew());
  Result<EngineOutcome> outcome = engine.run(goal, wanted.stay);
  const bool fails = !outcome.ok() && outcome.error().code != ErrorCode::cancelled;
  if (fails && session.migration().roll_back_on_failure && !was_whole && !was_switched) {
    return undo_after(session, std::move(outcome).error());
  }
  Result<Conducted> ran = reported(session, std::move(outcome));
  // A row that the source has no more is taken away, whoever refers to it here.
  if (ran.ok() && was_whole) {
    tell_new_dangling(session, dangled_before,
                      "the source has lost rows that others refer to here: correct these "
                      "references, or give the source its rows back and run again");
  }
  // A runner at work carries a rollback out when it is asked to.
  if (ran.ok() && ran.value().phase == Phase::rolled_back) ran.value().ending = Ending::rolled_back;
  return ran;
}

Result<Conducted> cut_over_migration(Session& session, const CutoverWanted& wanted) {
  TRY(session.open_all());
  if (session.is_dry_run()) {
    if (!wanted.decided && wanted.only.empty()) TRY(session.make_engine().can_cut_over());
    return dry(session);
  }
  TRY(refuse_added_columns(session));
  TRY(session.host().confirm("cutover"));
  if (Status locked = become_runner(session); !locked.ok()) {
    if (!is_held_by_a_runner(session, locked)) return std::move(locked).error();
    return asked(session, "cutover", "the runner switches over; `whimbrel status` shows it",
                 Phase::watching);
  }
  if (wanted.decided) {
    for (const std::string& line : session.make_engine().switches_seen())
      session.host().say("switch " + line + "\n");
  }
  return reported(session, session.make_engine().cutover(wanted.only, wanted.decided));
}

namespace {

// A row that the new side deleted may be one that tables outside the plan refer to.
void tell_what_dangles(Session& session, const std::set<Dangling>& dangled_before) {
  if (session.migration().only_copies) {  // which has taken nothing away but what it brought
    tell_new_dangling(session, dangled_before,
                      "rows of others refer to what went with the rollback: correct these "
                      "references");
    return;
  }
  const std::set<Dangling> all = dangling_in_sources(session);
  for (const Dangling& one : all) {
    const Result<std::vector<KeptRow>> kept = session.journal().kept();
    const bool may_be_kept = kept.ok() && !kept.value().empty();
    session.host().warn(one.told(),
                        may_be_kept
                            ? "the new side may have had it where the old one has no place: "
                              "look for it in kept-by-rollback.jsonl.zst"
                            : "either they did before the migration, or the new side has deleted "
                              "what they refer to: look at them");
  }
  // Tables outside the plan may refer to a new one that was there before, and is empty again.
  tell_new_dangling(session, all, "the rows of the new side went with the rollback");
}

// What the new side had and the old one cannot: it is in a file, and somebody has to know.
void tell_what_was_kept(Session& session) {
  const Result<std::vector<KeptRow>> kept = session.journal().kept();
  if (!kept.ok() || kept.value().empty()) return;
  session.host().warn(
      fmt::format("{} of the new side had what the old one has no place for",
                  rows_text(std::ssize(kept.value()))),
      session.folder() +
          "/kept-by-rollback.jsonl.zst has it; the next attempt puts back what it can");
}

Result<Conducted> go_back(Session& session) {
  std::set<Dangling> dangled_before;
  if (session.migration().only_copies) dangled_before = dangling_in_targets(session);
  ASSIGN_OR_RETURN(Conducted back, reported(session, session.make_engine().rollback()));
  tell_what_was_kept(session);
  tell_what_dangles(session, dangled_before);
  return back;
}

// What the journal knows of the tables since it began.
nlohmann::json about_tables(Session& session) {
  nlohmann::json about = nlohmann::json::parse(session.journal().state().tables, nullptr, false);
  return about.is_object() ? about : nlohmann::json::object();
}

// New tables have the old ones' names, and nothing is called so any more that could come back.
Status has_a_way_back(Session& session) {
  if (!about_tables(session).value("retypes", false)) return {};
  return Error{
      ErrorCode::refused, "`finish` has removed the old tables: there is no way back to them",
      "give the columns their old type by a plan of its own; the old rows are in the archive",
      "nothing was changed"};
}

Result<Conducted> roll_back_finished(Session& session) {
  TRY(has_a_way_back(session));
  TRY(session.load_finished());
  if (session.is_dry_run()) return dry(session);
  TRY(session.host().confirm("rollback after finish"));
  TRY(become_runner(session));
  TRY(bring_back_old_tables(session));
  TRY(session.open_all());
  return go_back(session);
}

// Somebody may have dropped an old table: then it comes back from the backup, as after `finish`.
Status open_for_rollback(Session& session) {
  Status opened = session.open_all();
  if (opened.ok()) return opened;
  const bool may_be_gone = session.standing().begun && !session.is_dry_run();
  if (!may_be_gone || !old_tables_are_gone(session)) return opened;
  if (session.journal().phase() == Phase::finishing) TRY(has_a_way_back(session));
  TRY(become_runner(session));  // nobody brings back what another is about to remove
  TRY(session.host().confirm("rollback"));
  TRY(bring_back_old_tables(session));
  return session.open_all();
}

// Before anything is asked: which rows a rollback will not touch.
Status name_what_stays(Session& session) {
  const State state = session.journal().state();
  if (state.phase == Phase::rolling_back) return {};  // they were named when it began
  for (const Move& move : session.migration().moves) {
    if (move.own == nullptr || !state.confirmed(fmt::format("target:{}", move.index))) continue;
    const Result<TableSchema> there = move.target->catalog().describe(move.mapping.target.name);
    if (!there.ok() && there.error().code == ErrorCode::not_found) continue;
    ASSIGN_OR_RETURN(const auto reader, move.target->open_reader(move.mapping.target));
    ASSIGN_OR_RETURN(const OwnOfOthers others, own_of_others(*move.own, *reader, move.mapping));
    if (others.rows == 0) continue;
    std::vector<std::string> keys;
    for (const Row& key : others.examples) {
      keys.push_back(session.settings().redact ? "…" : show(key));
    }
    if (others.rows > std::ssize(keys)) keys.emplace_back("…");
    session.host().warn(
        fmt::format("{} of {} {} changed by somebody since, and will be left alone",
                    rows_text(others.rows), move.to, others.rows == 1 ? "was" : "were"),
        "their keys: " + join(keys, ", "));
  }
  return {};
}

}  // namespace

Result<Conducted> roll_back_migration(Session& session) {
  TRY(session.open_journal(false));
  const Phase phase = session.journal().phase();
  if (phase == Phase::rolled_back && session.journal().state().started) {
    return ended(session, Ending::already, "rolled back already");
  }
  TRY(session.plan_leads_there());
  if (phase == Phase::finished) return roll_back_finished(session);
  TRY(open_for_rollback(session));
  TRY(name_what_stays(session));
  if (session.is_dry_run()) return dry(session);
  TRY(session.host().confirm("rollback"));
  if (Status locked = become_runner(session); !locked.ok()) {
    if (!is_held_by_a_runner(session, locked)) return std::move(locked).error();
    return asked(session, "rollback", "the runner rolls back; `whimbrel status` shows it",
                 Phase::rolled_back);
  }
  return go_back(session);
}

namespace {

// Once the old table is gone the plan no longer binds; what is left to do needs only the stores.
Status open_for_finish(Session& session) {
  const Phase phase = session.journal().phase();
  Status opened = session.open_all();
  if (opened.ok()) return opened;
  const bool late = phase == Phase::finishing || phase == Phase::finished;
  if (!late && session.standing().begun && old_tables_are_gone(session)) {
    session.host().warn("an old table is gone: there is nothing left to archive",
                        "what keeps the two sides equal is taken away");
    return {};
  }
  if (late && !session.plan().stores.empty()) return session.prepare_without_tables();
  return opened;
}

// Those of which the plan says that they go at the end.
Status drop_kept_copies(Session& session) {
  const PlanFile& plan = session.plan();
  if (plan.finish.keep_backup || plan.backup.schema.empty()) return {};
  const nlohmann::json tables_then = about_tables(session).value("tables", nlohmann::json::array());
  for (const auto& [alias, store] : session.stores()) {
    std::vector<std::string> tables;
    for (const auto& table : tables_then) {
      for (const char* side : {"from", "to"}) {
        const std::string address = table.value(side, "");
        if (address.starts_with(alias + "/")) tables.push_back(address.substr(alias.size() + 1));
      }
    }
    TRY(store->drop_copies(tables, plan.backup.schema));
  }
  return {};
}

}  // namespace

Result<Conducted> finish_migration(Session& session, const FinishWanted& wanted) {
  TRY(session.open_journal(false));
  TRY(session.plan_leads_there());
  TRY(open_for_finish(session));
  TRY(may_go_without_archive(session, wanted));
  if (session.is_dry_run()) {
    TRY(session.make_engine().try_finish(wanted.after));
    return dry(session);
  }
  TRY(session.host().confirm("finish"));
  if (wanted.no_backup && tables_go(session)) {
    TRY(session.host().confirm(
        "finish without an archive, so that the old tables are gone for good"));
  }
  TRY(become_runner(session));
  TRY(archive_has_a_place(session, wanted));
  Engine engine =
      session.make_engine([&session, &wanted] { return archive_first(session, wanted); });
  Result<EngineOutcome> outcome = engine.finish(wanted.after);
  if (outcome.ok()) {
    if (Status dropped = drop_kept_copies(session); !dropped.ok()) {
      session.host().warn("the backup in the database is still there: " + dropped.error().message,
                          "drop its schema by hand");
    }
  }
  return reported(session, std::move(outcome));
}

Result<VerifyOutcome> verify_migration(Session& session, const VerifyWanted& wanted) {
  TRY(session.open_journal(false));
  TRY(session.open_all());
  // Beside a living runner the journal is the runner's alone.
  Status locked = session.journal().lock_for_running();
  const bool repairs = wanted.repair && !session.is_dry_run();
  if (repairs) {
    if (!locked.ok()) return std::move(locked).error();
    TRY(session.host().confirm("verify --repair"));
  }
  Engine engine = session.make_engine();
  return repairs ? engine.repair(wanted.sample) : engine.verify(wanted.sample, locked.ok());
}

}  // namespace whimbrel
