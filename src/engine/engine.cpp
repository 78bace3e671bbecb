#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/counted.h"
#include "base/text.h"
#include "engine/begun_plan.h"

namespace whimbrel {

namespace {

constexpr Milliseconds stay_pause{200};
constexpr int attempts_max = 5;

// Of the stores on one side the one that forgets first; 0: none does, or nobody notes writes there.
Milliseconds remembered(const Migration& migration, bool of_sources) {
  Milliseconds shortest{0};
  const bool no_feed = migration.only_copies || migration.sync == Sync::dual ||
                       (migration.sync == Sync::none && of_sources);
  if (no_feed) return shortest;
  for (const Move& move : migration.moves) {
    const Milliseconds one = (of_sources ? move.source : move.target)->capabilities().remembers_for;
    if (one.count() > 0 && (shortest.count() == 0 || one < shortest)) shortest = one;
  }
  return shortest;
}

std::string tables_json(const Migration& migration) {
  nlohmann::json tables = nlohmann::json::array();
  for (const Move& move : migration.moves) {
    tables.push_back({{"name", move.name},
                      {"from", move.from},
                      {"to", move.to},
                      {"from_columns", move.mapping.source.column_names()},
                      {"to_columns", move.mapping.target.column_names()},
                      {"from_ddl", move.mapping.source.create_ddl},
                      {"to_ddl", move.mapping.target.create_ddl}});
    if (!migration.retypes) continue;
    nlohmann::json& types = tables.back()["from_types"] = nlohmann::json::array();
    for (const ColumnSchema& column : move.mapping.source.columns) types.push_back(column.declared);
  }
  nlohmann::json losses = nlohmann::json::array();
  for (const Move& move : migration.moves) {
    for (const Loss& loss : move.mapping.losses) {
      losses.push_back({{"table", move.name}, {"column", loss.column}, {"what", loss.what}});
    }
  }
  return nlohmann::json(
             {{"tables", tables},
              {"losses", losses},
              {"as_written", migration.as_written},
              {"sync", name_of(migration.sync)},
              {"switches", migration.switches.size()},
              {"only_copies", migration.only_copies},
              {"retypes", migration.retypes},
              {"remembered_ms",
               {remembered(migration, true).count(), remembered(migration, false).count()}},
              {"finish_after_ms", migration.finish.after.count()}})
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Error cancelled() {
  return Error{ErrorCode::cancelled,
               "stopped as asked",
               "`whimbrel run` goes on from here",
               "everything journaled stays valid",
               {},
               ""};
}

}  // namespace

Engine::Engine(const Migration& migration, Parts parts)
    : migration_(migration),
      parts_(std::move(parts)),
      cutover_(migration, parts_.journal, parts_.clock, parts_.events, parts_.start_guard),
      limits_(migration.limits),
      rate_(parts_.clock) {
  for (const RetypeSwitch* retype : retypes_of(migration_)) {
    retype->store->retyping()->tell_who_keeps_waiting([&events = parts_.events](const Error& who) {
      events.emit({"retried", {{"cause", std::string(name_of(who.code))}, {"hint", who.hint}}});
    });
  }
}

Status Engine::accept_plan() {
  const State state = parts_.journal.state();
  if (!begins_anew(state)) return must_be_the_plan(state, migration_);
  TRY(parts_.journal.append(PlanAccepted{state.attempt + 1, migration_.name, migration_.digest,
                                         migration_.resolved, tables_json(migration_)}));
  drained_ = verified_ = false;
  return enter(Phase::planned, "the plan is accepted");
}

std::string Engine::hint_for(const VerifyOutcome& differing) const {
  if (migration_.only_copies) {
    return "a row that somebody changed stays his: put it back or remove it, then run again";
  }
  const bool cannot_move = std::ranges::any_of(differing.examples, [](const Difference& one) {
    return one.what.starts_with(cannot_be_moved);
  });
  return cannot_move
             ? "correct the rows that cannot be moved, or `whimbrel rollback` and say in the plan "
               "what becomes of them"
             : "find what else writes to the target; `whimbrel verify --repair` puts it right";
}

Status Engine::enter(Phase phase, const std::string& why) {
  const State state = parts_.journal.state();
  assert_always(phase == Phase::planned || is_edge(state.phase, phase),
                "a phase is entered that no edge leads to");
  TRY(parts_.journal.append(PhaseEntered{phase, why}));
  parts_.events.emit({"phase_entered", {{"phase", std::string(name_of(phase))}, {"why", why}}});
  if (phase == Phase::rolled_back) TRY(parts_.journal.append(Closed{"rolled_back"}));
  // From here on an older copy of the database would hold fewer rows than the journal says.
  const bool rows_count = phase == Phase::following || phase == Phase::verified;
  return rows_count ? mark() : Status();
}

Facts Engine::facts() {
  const State state = parts_.journal.state();
  Facts facts;
  facts.backups_taken = state.confirmed("backup");
  facts.prepared = state.confirmed("prepared");
  facts.copied = state.confirmed("indexes");
  facts.drained = drained_;
  facts.comparison_drains = copied_now_ && migration_.sync == Sync::none;
  facts.verified_by_this_run = verified_;
  facts.switched = cutover_.every_switch_is_on() && state.confirmed("switched");
  facts.set_aside = state.left_behind;
  facts.switch_begun = cutover_.any_switch_was_intended();
  facts.rollback_asked = rollback_asked_;
  facts.effects_left = !state.effects.empty();
  return facts;
}

// Whether rows of the new side are known by numbers that nothing watches before the switch.
bool Engine::target_is_numbered() const {
  return migration_.sync != Sync::dual && std::ranges::any_of(migration_.moves, [](const Move& m) {
           return !m.mapping.target.row_number().empty();
         });
}

// VACUUM numbers the rows of a table without a key anew.
Status Engine::number_target_again() {
  TRY(parts_.journal.append(
      Failed{"conflict",
             "rows differ, and the new table has no key: VACUUM may have numbered its rows anew; "
             "every row is carried over to its number again"}));
  ASSIGN_OR_RETURN(const bool compared, reconcile(Direction::forward, std::nullopt));
  return compared ? Status() : Status(cancelled());
}

// One act; false when the goal is reached.
Result<bool> Engine::act(const Decision& decision) {
  switch (decision.act) {
    case Act::take_backups:
      TRY(backup());
      return true;
    case Act::prepare:
      TRY(prepare());
      return true;
    case Act::enter:
      if (decision.to == Phase::planned) {
        TRY(accept_plan());
      } else {
        TRY(enter(decision.to, decision.why));
      }
      return true;
    case Act::copy:
      TRY(copy());
      return true;
    case Act::drain: {
      ASSIGN_OR_RETURN(drained_, drain_some(Direction::forward, std::nullopt));
      return true;
    }
    case Act::verify: {
      TRY(mend(false));
      const bool was_drained = drained_;
      ASSIGN_OR_RETURN(VerifyOutcome outcome, compare_all(0, true, true));
      if (outcome.differing > 0 && !was_drained) {  // more than a comparison can carry
        ASSIGN_OR_RETURN(const bool drained, drain(Direction::forward, std::nullopt));
        if (!drained) return cancelled();
        ASSIGN_OR_RETURN(outcome, compare_all(0, true, true));
      }
      copied_now_ = false;
      if (outcome.differing > 0 && target_is_numbered()) {
        TRY(number_target_again());
        ASSIGN_OR_RETURN(outcome, compare_all(0, true, true));
      }
      if (outcome.differing > 0) {
        return Error{
            ErrorCode::data_mismatch,
            fmt::format("{} of {} rows differ:{}", with_thousands(outcome.differing),
                        with_thousands(outcome.rows), examples_of(outcome.examples)),
            hint_for(outcome),
            migration_.only_copies
                ? "rows of others were not touched; `whimbrel rollback` takes away what was copied"
                : "nothing is switched; the application still uses the old side",
            {},
            ""};
      }
      if (migration_.verifies_references) TRY(references_resolve());
      if (migration_.only_copies) TRY(carry_numbers(Direction::forward));
      drained_ = verified_ = true;
      return true;
    }
    case Act::cut_over:
      return cut_over();
    case Act::let_go:
      TRY(mend(false));
      TRY(let_go_of_the_last_hold());
      TRY(back_to_following(decision.why));
      return true;
    case Act::reverse: {
      ASSIGN_OR_RETURN(drained_, drain_some(Direction::backward, std::nullopt));
      if (drained_ && !stays_) TRY(no_write_came_late());
      return true;
    }
    case Act::undo:
      TRY(undo());
      return true;
    case Act::stop:
      return false;
    case Act::refuse:
      return Error{ErrorCode::refused, decision.why};
  }
  return false;
}

// What succeeds in between, on the way back to the act that fails, does not count.
bool Engine::may_try_again(Act act) {
  if (act != failing_) failures_ = 0;
  failing_ = act;
  return ++failures_ < attempts_max;
}

// What is unavailable may pass by itself: the same decision is taken again, a few times.
Result<EngineOutcome> Engine::loop(Goal goal) {
  while (true) {
    TRY(poll_requests());
    TRY(wait_while_paused());
    const Phase phase = parts_.journal.phase();
    // Where every switch is flipped by now, that is what is told.
    const bool has_just_switched = phase == Phase::fenced && facts().switched;
    if (parts_.stop.requested() && !has_just_switched) return cancelled();
    const Goal now = goal_asked_.value_or(goal);
    if (phase == Phase::rolled_back && rollback_asked_) {
      return EngineOutcome{phase, "rolled back", false};
    }
    const Decision decision = decide(phase, now, facts());
    Result<bool> more = act(decision);
    if (!more.ok() && more.error().code == ErrorCode::unavailable && may_try_again(decision.act)) {
      parts_.events.emit({"retried",
                          {{"attempt", std::int64_t{failures_}},
                           {"cause", std::string(name_of(more.error().code))},
                           {"hint", more.error().hint}}});
      const std::int64_t pause = std::int64_t{100} << failures_;
      parts_.clock.sleep_for(Milliseconds(pause + parts_.random.below(pause)));
      continue;
    }
    // What was under way has ended for the sake of a rollback that was asked for.
    const bool makes_way = !more.ok() && more.error().code == ErrorCode::cancelled &&
                           !parts_.stop.requested() && rollback_asked_ &&
                           is_edge(parts_.journal.phase(), Phase::rolling_back);
    if (makes_way) continue;
    if (!more.ok()) return std::move(more).error();
    if (decision.act == failing_) failing_.reset();
    if (more.value()) continue;
    TRY(poll_requests());  // somebody may have asked while writers were held
    if (rollback_asked_ && is_edge(parts_.journal.phase(), Phase::rolling_back)) continue;
    const bool gave_up = decision.act == Act::cut_over;
    return EngineOutcome{parts_.journal.phase(), gave_up ? why_given_up() : decision.why, gave_up};
  }
}

std::string Engine::why_given_up() const {
  if (wrote_through_the_hold_) {
    return "somebody went on writing to the old side while writers were held: find who does not "
           "heed the hold (more time does not help); nothing is switched";
  }
  return migration_.sync == Sync::none
             ? "comparing everything, and the checks while writers are held, took longer than the "
               "window: raise `window: {max: …}`; nothing is switched"
             : "the hold expired again and again: raise `max_hold`, or try at a quieter time; "
               "nothing is switched";
}

// A database remembers which journal drives it and how far that was, so that two runners notice
// each other, and an older copy of either is not taken for the present.
Status Engine::is_our_database(bool going_back) {
  const State state = parts_.journal.state();
  if (!state.confirmed("claim")) return {};
  const nlohmann::json result =
      nlohmann::json::parse(state.effect("claim")->result, nullptr, false);
  const std::int64_t known = result.is_object() ? result.value("mark", std::int64_t{0}) : 0;
  for (const auto& [alias, store] : migration_.stores) {
    ASSIGN_OR_RETURN(const std::optional<std::int64_t> marked,
                     store->marked(migration_.name, parts_.journal.id()));
    if (marked.value_or(0) > parts_.journal.count()) {
      return Error{
          ErrorCode::refused,
          fmt::format("this state folder is an older copy: its journal ends with record {}, "
                      "and `{}` was at record {} already",
                      parts_.journal.count(), alias, *marked),
          "find the newest state folder of this migration; going on from here would undo "
          "the wrong things",
          "nothing was changed by this command",
          {},
          ""};
    }
    if (marked.value_or(0) >= known) continue;
    // `finish` was about to end, and has taken the mark away.
    if (!marked && state.phase == Phase::finishing) continue;
    replaced_ = true;
    ASSIGN_OR_RETURN(const bool holds_a_target, made_target_is_there(*store));
    // Which tables have changed places stood there.
    const bool is_needed = holds_a_target || has_switched();
    if (migration_.retypes && is_needed) return what_it_keeps_is_gone(alias);
    // A copy from before the migration holds nothing of it; else it was ended by another journal.
    if (going_back && !holds_a_target) continue;
    return Error{
        ErrorCode::refused,
        fmt::format("`{}` is not the database that this journal knows: it is {}", alias,
                    marked ? "an older copy" : "another file, or an older copy"),
        holds_a_target
            ? "put the right one back: going on from this one would take old rows for new ones. "
              "If it is lost, `whimbrel restore` brings tables back from a backup"
            : "put the right one back; or `whimbrel rollback` takes away what is left here, and "
              "the next `run` begins anew",
        "nothing was changed by this command",
        {},
        ""};
  }
  return {};
}

Error Engine::what_it_keeps_is_gone(const std::string& alias) const {
  return Error{
      ErrorCode::refused,
      fmt::format("what this migration keeps in `{}` is gone: it is another database, or an older "
                  "copy, or somebody has dropped it",
                  alias),
      has_switched()
          ? "put the right one back. If it was dropped, there is no way back: the new tables serve "
            "and go on as they are, and the old ones lie beside them as they were at the switch, "
            "until you drop them; the next migration wants another `--state`"
          : "put the right one back. If it was dropped, drop the new tables beside the old ones as "
            "well, and begin anew with another `--state`: nothing is switched",
      "nothing was changed by this command",
      {},
      ""};
}

Status Engine::reclaim(bool going_back) {
  if (!parts_.journal.state().confirmed("claim")) return {};
  TRY(is_our_database(going_back));
  for (const auto& [alias, store] : migration_.stores) {
    TRY(store->claim(migration_.name, parts_.journal.id()));
  }
  return {};
}

// Whether there is a table in the store that this migration has made.
Result<bool> Engine::made_target_is_there(Store& store) {
  for (const Link& link : links_in(store)) {
    if (!link.made_target) continue;
    const Result<TableSchema> there = store.catalog().describe(link.mapping->target.name);
    if (there.ok()) return true;
    if (there.error().code != ErrorCode::not_found) return there.error();
  }
  return false;
}

// The database first: when this is cut off, it knows of a record that the journal has as well.
Status Engine::mark() {
  if (!parts_.journal.state().confirmed("claim")) return {};
  const std::int64_t records = parts_.journal.count();
  for (const auto& [alias, store] : migration_.stores) {
    TRY(store->mark(migration_.name, parts_.journal.id(), records));
  }
  return parts_.journal.append(
      EffectConfirmed{"claim", nlohmann::json({{"mark", records}}).dump()});
}

// A plan without switches has been switched by whoever told the application.
bool Engine::has_switched() const {
  return cutover_.any_switch_was_intended() ||
         parts_.journal.state().phase_times.contains(name_of(Phase::watching));
}

// What tells a table of this moment from one that is made in its place; for the journal. An
// exchange makes new tables old ones.
Result<std::string> Engine::birth_of(const Move& move, bool source) {
  if (migration_.retypes) return std::string();
  Catalog& catalog = (source ? move.source : move.target)->catalog();
  return catalog.birth_of(source ? move.mapping.source.name : move.mapping.target.name);
}

// Whether it is the table that was there when everything was prepared. True where there is none.
Result<bool> Engine::is_as_prepared(const Move& move, bool source) {
  const State state = parts_.journal.state();
  const Effect* effect = state.effect(source ? "prepared" : fmt::format("target:{}", move.index));
  if (effect == nullptr) return true;
  const nlohmann::json result = nlohmann::json::parse(effect->result, nullptr, false);
  const std::string known =
      result.is_object() ? result.value(source ? std::to_string(move.index) : "birth", "") : "";
  if (known.empty()) return true;
  const Result<std::string> birth = birth_of(move, source);
  if (!birth.ok() && birth.error().code != ErrorCode::not_found) return birth.error();
  const auto place = [](const std::string& text) {
    return text.substr(0, text.find('/') == std::string::npos ? 0 : text.find('/'));
  };
  if (!birth.ok() || birth.value() == known) return true;
  if (place(birth.value()) != place(known)) return true;  // the whole database has moved
  // One that came back with all that notes its writes is a copy of the same.
  const bool noted = parts_.journal.phase() != Phase::rolling_back;
  return noted ? capture_is_whole() : Result<bool>(false);
}

Result<bool> Engine::tables_are_there() {
  for (const Move& move : migration_.moves) {
    for (const bool source : {true, false}) {
      const auto& store = source ? move.source : move.target;
      const Result<TableSchema> there =
          store->catalog().describe(source ? move.mapping.source.name : move.mapping.target.name);
      // A table that is open has a column wherever the plan names one.
      const bool has_few = there.ok() && source && there.value().rest_column.empty();
      if (has_few && move.among_others) {
        for (const std::string& column : move.mapping.source.column_names()) {
          if (there.value().column_index(column) >= 0) continue;
          gone_ = fmt::format("the column `{}` of {}", column, move.from);
          return false;
        }
      }
      // The side that serves says what is right: another table in its place would empty the other.
      is_another_ = false;
      if (there.ok() && source != has_switched()) {
        ASSIGN_OR_RETURN(const bool is_it, is_as_prepared(move, source));
        is_another_ = !is_it;
      }
      if (there.ok() && !is_another_) continue;
      if (!there.ok() && there.error().code != ErrorCode::not_found) return there.error();
      gone_ = source ? move.from : move.to;
      came_late_ = migration_.retypes && !source ? move.from : "";
      return false;
    }
  }
  return true;
}

Status Engine::old_tables_are_as_prepared() {
  for (const Move& move : migration_.moves) {
    const Result<TableSchema> there = move.source->catalog().describe(move.mapping.source.name);
    if (!there.ok() && there.error().code != ErrorCode::not_found) return there.error();
    ASSIGN_OR_RETURN(const bool is_it, is_as_prepared(move, true));
    if (!there.ok() || is_it) continue;
    return Error{
        ErrorCode::refused,
        move.from +
            " is another table than the one that this migration knows: somebody has "
            "dropped that, and made this in its place",
        "what the new side lacks would be deleted in it: put its rows into one of another name "
        "first; `whimbrel rollback` goes back into it all the same, and writes down what gives way",
        "nothing was changed by this command; the new side serves",
        {},
        ""};
  }
  return {};
}

Status Engine::tables_must_be_there() {
  const Phase phase = parts_.journal.phase();
  const bool both_are_needed = phase == Phase::copying || phase == Phase::following ||
                               phase == Phase::verified || phase == Phase::watching;
  if (!parts_.journal.state().started || !both_are_needed) return {};
  ASSIGN_OR_RETURN(const bool there, tables_are_there());
  return there ? Status() : Status(a_table_is_gone());
}

Status Engine::new_tables_are_there() {
  for (const Move& move : migration_.moves) {
    const Result<TableSchema> there = move.target->catalog().describe(move.mapping.target.name);
    if (!there.ok() && there.error().code != ErrorCode::not_found) return there.error();
    ASSIGN_OR_RETURN(const bool is_it, is_as_prepared(move, false));
    is_another_ = there.ok() && !is_it;
    gone_ = move.to;
    came_late_.clear();
    if (!there.ok() || !is_it) return a_table_is_gone();
  }
  return {};
}

// A table that was emptied or made anew while nobody noticed looks like one whose rows were
// deleted.
Status Engine::takes_no_table_away() {
  constexpr std::int64_t few = 10;
  if (parts_.gives_up_what_is_gone) return {};
  const bool switched = has_switched();
  for (const Move& move : migration_.moves) {
    ASSIGN_OR_RETURN(const auto old_reader, move.source->open_reader(move.mapping.source));
    ASSIGN_OR_RETURN(const auto new_reader, move.target->open_reader(move.mapping.target));
    ASSIGN_OR_RETURN(const std::int64_t old_rows, old_reader->count());
    ASSIGN_OR_RETURN(const std::int64_t new_rows, new_reader->count());
    const std::int64_t serving = switched ? new_rows : old_rows;
    const std::int64_t other = switched ? old_rows : new_rows;
    if (other < few || 2 * serving >= other) continue;
    return Error{ErrorCode::refused,
                 fmt::format("{} has {}, and {} has {}: what notes its writes was taken away, so "
                             "nobody knows whether they were deleted, or the table was emptied or "
                             "made anew by mistake",
                             switched ? move.to : move.from, rows_text(serving),
                             switched ? move.from : move.to, rows_text(other)),
                 switched ? "bring its rows back first; where they are meant to be gone, `whimbrel "
                            "rollback --force` deletes them on the old side as well"
                          : "bring its rows back first; or `whimbrel rollback`, and the next `run` "
                            "copies what is there now",
                 "nothing was changed by this command",
                 {},
                 ""};
  }
  return {};
}

Error Engine::a_table_is_gone() const {
  if (is_another_) {
    return Error{ErrorCode::refused,
                 gone_ +
                     " is another table than the one that this migration knows: somebody has "
                     "dropped that, and made this in its place",
                 "what it lacks would be deleted on the other side as well: bring the rows back "
                 "from a backup into a table of another name, or say `whimbrel rollback`",
                 "nothing was changed by this command",
                 {},
                 ""};
  }
  if (!came_late_.empty()) {
    return Error{ErrorCode::refused,
                 fmt::format("{} is not there: {} began to refer to tables of this migration after "
                             "they were prepared, or somebody has dropped it",
                             gone_, came_late_),
                 "`whimbrel rollback`, then `run` again: what refers to them goes along then",
                 "nothing was changed by this command",
                 {},
                 ""};
  }
  return Error{ErrorCode::refused,
               gone_ + " is gone: somebody has dropped or renamed it",
               "give it its name back, or say `whimbrel rollback`",
               "nothing was changed by this command",
               {},
               ""};
}

// What is left is taken away as it is. A table that is gone carries nothing back; what was written
// to it and not carried yet would be lost with it.
Status Engine::leave_out_what_is_gone() {
  std::int64_t waiting = 0;
  std::string tables;
  const State state = parts_.journal.state();
  for (const Move& move : migration_.moves) {
    if (state.effect(fmt::format("target:{}", move.index)) == nullptr) continue;
    const Result<TableSchema> there = move.target->catalog().describe(move.mapping.target.name);
    if (!there.ok() && there.error().code != ErrorCode::not_found) return there.error();
    ASSIGN_OR_RETURN(const bool is_it, is_as_prepared(move, false));
    if (there.ok() && (is_it || !has_switched())) continue;
    left_out_.insert(move.index);
    tables += (tables.empty() ? "" : ", ") + move.to;
    if (migration_.sync == Sync::dual || replaced_) continue;
    ASSIGN_OR_RETURN(const auto keys, written_by_application(Direction::backward, move));
    waiting += std::ssize(keys);
  }
  if (left_out_.empty()) return {};
  if (waiting > 0 && !parts_.gives_up_what_is_gone) {
    return Error{ErrorCode::refused,
                 fmt::format("{} is gone, and {} of its rows had changes that were not carried "
                             "back yet",
                             tables, with_thousands(waiting)),
                 "give it its name back, or bring it back from a backup; "
                 "`whimbrel rollback --force` goes back without those changes",
                 "nothing was changed; the old side holds everything up to them",
                 {},
                 ""};
  }
  return parts_.journal.append(
      Failed{"conflict", fmt::format("{} is gone: it is left out of the way back", tables)});
}

Result<bool> Engine::capture_is_whole() {
  const State state = parts_.journal.state();
  if (state.effect("mending") != nullptr) return false;
  if (migration_.sync == Sync::dual) {
    if (!state.confirmed("links")) return true;
    for (const auto& store : stores_of(Direction::backward)) {
      ASSIGN_OR_RETURN(const bool whole, store->capture().links_are_whole(links_in(*store)));
      if (!whole) return false;
    }
    return true;
  }
  for (const Direction direction : {Direction::forward, Direction::backward}) {
    for (const auto& store : stores_of(direction)) {
      const std::string feed = feed_name(direction, *store);
      if (!state.confirmed("feed:" + feed)) continue;
      ASSIGN_OR_RETURN(const bool whole,
                       store->capture().feed_is_whole(feed, tables_in(direction, *store)));
      if (!whole) return false;
    }
  }
  return true;
}

// What was noted before the gap has been carried over or waits behind the position: reading it from
// its beginning again would take old writes for new ones. Only a log made anew begins at zero.
Status Engine::mend_feeds(Direction direction) {
  const State state = parts_.journal.state();
  for (const std::shared_ptr<Store>& store : stores_of(direction)) {
    const std::string feed = feed_name(direction, *store);
    if (!state.confirmed("feed:" + feed)) continue;
    const auto known = state.positions.find(feed);
    const std::string position = known == state.positions.end() ? "0" : known->second;
    const Result<ChangeBatch> rest = store->capture().read(feed, position, 1);
    if (!rest.ok() && rest.error().code != ErrorCode::position_lost) return rest.error();
    ASSIGN_OR_RETURN(const std::string first,
                     store->capture().start(feed, tables_in(direction, *store)));
    TRY(parts_.journal.append(ChangesApplied{feed, rest.ok() ? position : first, 0, 0}));
    looked_.erase(feed);
  }
  return {};
}

// Others can drop what captures writes, or rebuild a table without it; what was written since went
// unnoticed. It is made again, and then every row is compared with the side that serves.
Status Engine::mend(bool going_back) {
  if (replaced_) return going_back ? leave_out_what_is_gone() : Status();
  ASSIGN_OR_RETURN(const bool whole, capture_is_whole());
  if (whole) return {};
  ASSIGN_OR_RETURN(const bool there, tables_are_there());
  if (!there && going_back) return leave_out_what_is_gone();
  if (!there) {
    return a_table_is_gone();
  }
  if (!going_back && has_switched()) TRY(old_tables_are_as_prepared());
  if (!going_back || has_switched()) TRY(takes_no_table_away());
  const State state = parts_.journal.state();
  parts_.events.emit({"capture_was_gone", {}});
  TRY(parts_.journal.append(
      Failed{"conflict",
             "writes may have gone unnoticed: what notes them was removed by somebody, or VACUUM "
             "numbered rows anew; it is made again, and every row is compared"}));
  // Until every row was compared nothing is whole, whatever stands there again.
  TRY(parts_.journal.append(EffectIntended{"mending", "{}"}));
  if (migration_.sync == Sync::dual) {
    TRY(link_all());
  } else {
    for (const Direction direction : {Direction::forward, Direction::backward}) {
      TRY(mend_feeds(direction));
    }
  }
  drained_ = verified_ = false;
  TRY(carry_what_went_unnoticed(state));
  return parts_.journal.append(EffectUndone{"mending"});
}

Status Engine::carry_what_went_unnoticed(const State& state) {
  if (state.phase == Phase::prepared) return {};  // no row has moved
  const bool switched = has_switched();
  if (state.phase == Phase::rolling_back && !switched) return {};  // the new side goes anyway
  for (const Move& move : migration_.moves) {
    // The new side says what is right; what the old one had besides may be somebody's.
    ASSIGN_OR_RETURN(const bool compared, switched
                                              ? bring_up_to_date(move, true)
                                              : reconcile(move, Direction::forward, std::nullopt));
    if (!compared) return cancelled();
  }
  return switched ? forget_what_is_gone() : Status();
}

Result<EngineOutcome> Engine::run(Goal goal, bool stay) {
  TRY(accept_plan());
  const bool goes_back = parts_.journal.phase() == Phase::rolling_back;
  TRY(reclaim(goes_back));
  stays_ = stay;
  if (!goes_back) TRY(tables_must_be_there());
  TRY(mend(goes_back));
  // A rollback that was interrupted, or asked for and not begun, comes first.
  const State state = parts_.journal.state();
  rollback_asked_ = state.phase == Phase::rolling_back || state.decisions.contains("rollback");
  const bool is_copied = state.phase == Phase::following || state.phase == Phase::verified ||
                         state.phase == Phase::watching;
  if (is_copied && !rollback_asked_) TRY(lower_capacity());
  Result<EngineOutcome> outcome = loop(goal);
  if (outcome.ok() && stay && !outcome.value().gave_up) {
    if (Status stayed = stay_until_stopped(); !stayed.ok()) outcome = std::move(stayed).error();
    if (rollback_asked_) outcome = loop(goal);
  }
  return remembered(std::move(outcome));
}

// What ended a verb is told by `status` afterwards.
Result<EngineOutcome> Engine::remembered(Result<EngineOutcome> outcome) {
  if (outcome.ok() || outcome.error().code == ErrorCode::cancelled) return outcome;
  TRY(parts_.journal.append(Failed{name_of(outcome.error().code), outcome.error().message}));
  return std::move(outcome).error().saying_safe(what_is_safe());
}

Result<EngineOutcome> Engine::rollback() {
  const State state = parts_.journal.state();
  if (!state.started) {
    return Error{ErrorCode::refused, "nothing was started: there is nothing to roll back"};
  }
  if (state.phase == Phase::rolled_back) return EngineOutcome{state.phase, "already", false};
  if (state.phase == Phase::finishing || state.phase == Phase::finished) {
    if (state.phase == Phase::finishing) TRY(is_our_database(true));
    if (Status again = reopen(); !again.ok()) return remembered(std::move(again).error());
  } else {
    TRY(reclaim(true));
    TRY(mend(true));
    TRY(mark());
  }
  rollback_asked_ = true;
  return remembered(loop(Goal::watch));
}

// Where nothing closer to the mistake has said it.
std::string Engine::what_is_safe() {
  switch (parts_.journal.phase()) {
    case Phase::planned:
      return "no row has moved; the application uses the old side";
    case Phase::watching:
      return "switched: the application uses the new side; what is journaled stays valid";
    case Phase::rolling_back:
      return "what was undone is journaled; `whimbrel rollback` goes on here";
    case Phase::finishing:
    case Phase::finished:
      return "the application uses the new side; `whimbrel finish` goes on here";
    default:
      break;
  }
  if (migration_.only_copies) {
    return "what was written is journaled: `whimbrel run` goes on from here, `whimbrel rollback` "
           "takes it away";
  }
  return cutover_.any_switch_was_intended() ? "a switch was begun; both sides keep their rows, and "
                                              "`whimbrel run` goes on from here"
                                            : "nothing is switched: the application uses the old "
                                              "side; `whimbrel run` goes on from "
                                              "here";
}

// While staying, new changes are carried over as they come; requests are answered.
Status Engine::stay_until_stopped() {
  while (!must_stop()) {
    const Phase phase = parts_.journal.phase();
    const bool switched = phase == Phase::watching;
    // Without a feed there is nothing to follow before the window.
    if (switched || migration_.sync != Sync::none) {
      ASSIGN_OR_RETURN(
          drained_, drain_some(switched ? Direction::backward : Direction::forward, std::nullopt));
    }
    TRY(mend(false));
    TRY(poll_requests());
    TRY(wait_while_paused());
    if (goal_asked_ && !switched) TRY(loop(*goal_asked_));
    if (phase == Phase::finished || phase == Phase::rolled_back) return {};
    parts_.clock.sleep_for(stay_pause);
  }
  return {};
}

Status Engine::poll_requests() {
  bool stores_are_to_hear = false;
  StoreLimits limits;
  {
    const std::lock_guard lock(requests_);
    TRY(carry_out_requests(stores_are_to_hear));
    limits = store_limits(limits_);
  }
  if (!stores_are_to_hear) return {};
  for (Store* store : stores_that_count()) store->keep_within(limits);
  return {};
}

Status Engine::carry_out_requests(bool& stores_are_to_hear) {
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<Request> request, parts_.journal.next_request());
    if (!request) return {};
    std::string answer = "done";
    if (request->verb == "checked") {  // by somebody who may not write into the journal
      const Result<Record> record = record_from_json("CheckEnded", request->value);
      if (record.ok()) TRY(parts_.journal.append(record.value()));
      TRY(parts_.journal.answer(request->id, record.ok() ? answer : record.error().message));
      continue;
    }
    if (request->verb == "pause") {
      paused_ = true;
    } else if (request->verb == "resume") {
      paused_ = false;
    } else if (request->verb == "rollback") {
      rollback_asked_ = true;
    } else if (request->verb == "cutover") {
      goal_asked_ = Goal::watch;
    } else if (request->verb == "limits") {
      answer = limit(nlohmann::json::parse(request->value, nullptr, false), stores_are_to_hear);
    } else {
      answer = "unknown request";
    }
    TRY(parts_.journal.append(OperatorDecided{request->verb, request->value}));
    TRY(parts_.journal.answer(request->id, answer));
    parts_.events.emit({"request_carried_out",
                        {{"verb", request->verb}, {"rows_per_s", limits_.rows_per_s.value_or(0)}}});
  }
}

std::set<Store*> Engine::stores_that_count() const {
  std::set<Store*> stores;
  for (const Move& move : migration_.moves) {
    for (Store* store : {move.source.get(), move.target.get()}) {
      if (store->capabilities().counts_units) stores.insert(store);
    }
  }
  return stores;
}

std::string Engine::limit(const nlohmann::json& limits, bool& stores_are_to_hear) {
  if (limits.contains("batch_size")) limits_.batch_size = limits["batch_size"].get<std::int64_t>();
  if (limits.contains("rows_per_s")) limits_.rows_per_s = limits["rows_per_s"].get<std::int64_t>();
  if (limits.contains("rcu")) limits_.rcu = limits["rcu"].get<double>();
  if (limits.contains("wcu")) limits_.wcu = limits["wcu"].get<double>();
  if (!limits.contains("rcu") && !limits.contains("wcu")) return "done";
  if (stores_that_count().empty()) return "no store of this plan counts capacity units";
  stores_are_to_hear = true;
  return "done";
}

Status Engine::wait_while_paused() {
  while (paused_ && !must_stop()) {
    parts_.clock.sleep_for(stay_pause);
    TRY(poll_requests());
  }
  return {};
}

Status Engine::reject(const Move& move, const Row& key, const Error& reason) {
  const std::string digest = key_digest(key);
  // One that is set aside already counts once, whatever comes of it.
  ASSIGN_OR_RETURN(const bool is_known, parts_.journal.is_set_aside(move.index, digest));
  if (is_known && reason.code != ErrorCode::conflict) return {};
  TRY(parts_.sidecar.rejected(move, key, reason.message));
  return parts_.journal.append(RowRejected{move.index, digest, name_of(reason.code)});
}

Status Engine::is_carried(const Move& move, const Row& key) {
  TRY(parts_.sidecar.rejected(move, key, "it has come after all, or is gone: set aside no more"));
  return parts_.journal.append(RowCarried{move.index, key_digest(key)});
}

Status Engine::set_aside_anew() {
  if (parts_.journal.state().rejected == 0) return {};
  TRY(parts_.sidecar.begin_anew());
  return parts_.journal.append(OperatorDecided{set_aside_anew_record, ""});
}

Result<EngineOutcome> Engine::cutover(const std::string& only, std::optional<bool> decided) {
  const State state = parts_.journal.state();
  if (decided) {
    if (state.phase != Phase::stuck) {
      return Error{ErrorCode::refused, "there is nothing to decide: the migration is not stuck"};
    }
    TRY(parts_.journal.append(OperatorDecided{"decide", *decided ? "switched" : "not-switched"}));
    TRY(cutover_.decide(*decided));
    const bool back = !*decided && !cutover_.any_switch_was_intended();
    TRY(enter(back ? Phase::following : Phase::fenced,
              *decided ? "a person says: switched" : "a person says: not switched"));
    if (back) return EngineOutcome{Phase::following, "not switched", false};
    return loop(Goal::watch);
  }
  if (!only.empty()) {
    if (migration_.sync != Sync::dual) {
      return Error{ErrorCode::refused, "one switch early is safe only under `sync: dual`"};
    }
    if (state.phase != Phase::verified) {
      return Error{ErrorCode::refused, "one switch early needs a verified copy",
                   "`whimbrel run --until verify` first"};
    }
    if (!cutover_.any_switch_was_intended()) TRY(put_back_kept());
    ASSIGN_OR_RETURN(const Flipped flipped, cutover_.flip_only(only));
    if (flipped == Flipped::unknown) {
      return Error{ErrorCode::outcome_unknown,
                   "the switch `" + only + "` may or may not have flipped"};
    }
    return EngineOutcome{parts_.journal.phase(), "switched early: " + only, false};
  }
  TRY(can_cut_over());
  return run(Goal::watch, false);
}

// The plan says at which hours of the machine's own day the switch may be begun.
Status Engine::hours_are_right() {
  if (!migration_.hours || cutover_.any_switch_was_intended()) return {};
  const std::time_t now =
      std::chrono::duration_cast<std::chrono::seconds>(parts_.clock.now().time_since_epoch())
          .count();
  std::tm parts{};
  localtime_r(&now, &parts);
  const int minute = parts.tm_hour * 60 + parts.tm_min;
  const auto [from, to] = *migration_.hours;
  const bool inside = from <= to ? minute >= from && minute < to : minute >= from || minute < to;
  if (inside) return {};
  return Error{ErrorCode::refused,
               fmt::format("it is {:02}:{:02}, and the plan switches between {:02}:{:02} and "
                           "{:02}:{:02}",
                           parts.tm_hour, parts.tm_min, from / 60, from % 60, to / 60, to % 60),
               "wait until then, or change `cutover: {hours: …}`",
               "nothing is switched; the application uses the old side",
               {},
               ""};
}

Status Engine::can_cut_over() {
  if (migration_.only_copies) {
    return Error{ErrorCode::refused, "a copy with new ids has nobody to switch over",
                 "`whimbrel run` copies and compares; the application is told which side to use",
                 "nothing was changed"};
  }
  TRY(hours_are_right());
  const Phase phase = parts_.journal.phase();
  if (phase == Phase::verified || phase == Phase::fenced || phase == Phase::watching) return {};
  return Error{ErrorCode::refused,
               fmt::format("the migration is {}, not verified", name_of(phase)),
               "`whimbrel run --until verify` first",
               "nothing is switched",
               {},
               ""};
}

namespace {

Status must_be_comparable(const State& state) {
  const bool live = state.phase == Phase::following || state.phase == Phase::verified ||
                    state.phase == Phase::watching;
  if (live && state.started) return {};
  return Error{
      ErrorCode::refused,
      fmt::format("there is nothing to compare while the migration is {}", name_of(state.phase)),
      "`whimbrel run --until verify` copies and compares"};
}

}  // namespace

Result<VerifyOutcome> Engine::verify(std::int64_t sample, bool record) {
  TRY(must_be_comparable(parts_.journal.state()));
  TRY(must_be_the_plan(parts_.journal.state(), migration_));
  for (const Move& move : migration_.moves) {
    const Result<TableSchema> there = move.target->catalog().describe(move.mapping.target.name);
    if (there.ok() || there.error().code != ErrorCode::not_found) continue;
    gone_ = move.to;
    return a_table_is_gone();
  }
  ASSIGN_OR_RETURN(VerifyOutcome outcome, compare_all(sample, false, record));
  if (!migration_.verifies_references || sample != 0) return outcome;
  Status resolved = references_resolve();
  if (resolved.ok()) return outcome;
  Error broken = std::move(resolved).error();
  if (outcome.differing > 0) {
    broken.message +=
        fmt::format("; besides, {} of {} differ:{}", with_thousands(outcome.differing),
                    rows_text(outcome.rows), examples_of(outcome.examples));
  }
  return broken;
}

Result<VerifyOutcome> Engine::repair(std::int64_t sample) {
  TRY(must_be_comparable(parts_.journal.state()));
  TRY(must_be_the_plan(parts_.journal.state(), migration_));
  TRY(reclaim(false));
  ASSIGN_OR_RETURN(const VerifyOutcome before, compare_all(sample, true, false));
  std::int64_t repaired = 0;
  for (const Move& move : migration_.moves) {
    ASSIGN_OR_RETURN(const std::int64_t rows,
                     put_right(move, before.suspects[static_cast<std::size_t>(move.index)]));
    repaired += rows;
  }
  if (repaired > 0) {
    TRY(parts_.journal.append(OperatorDecided{"repair", std::to_string(repaired)}));
  }
  ASSIGN_OR_RETURN(VerifyOutcome after, compare_all(sample, true, true));
  after.repaired = repaired;
  return after;
}

}  // namespace whimbrel
