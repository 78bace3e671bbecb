// Checks after the switch: both sides compared, and the plan's own questions.
//
// A check writes nothing to a store but what the feed carries back. What carries the feed is only
// looked at: making it anew is for `run`.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "engine/begun_plan.h"
#include "engine/engine.h"

namespace whimbrel {

namespace {

constexpr Milliseconds pause_while_following{200};
constexpr Milliseconds pause_after_failure{5'000};

using nlohmann::json;

std::string position_text(const std::optional<Row>& position) {
  return position ? to_hex(canonical(*position)) : "";
}

std::optional<Row> position_from(const json& text) {
  if (!text.is_string() || text.get<std::string>().empty()) return std::nullopt;
  Result<Row> row = row_from_canonical(from_hex(text.get<std::string>()));
  return row.ok() ? std::optional(std::move(row).value()) : std::nullopt;
}

Error stopped() {
  return Error{ErrorCode::cancelled,
               "stopped as asked",
               "`whimbrel watch` checks again",
               "what was checked and carried back is journaled",
               {},
               ""};
}

}  // namespace

Status must_be_watching(const State& state) {
  const bool goes_back = state.decisions.contains("rollback");
  if (state.started && state.phase == Phase::watching && !goes_back) return {};
  return Error{ErrorCode::refused,
               fmt::format("only a switched migration is watched; this one is {}",
                           !state.started ? "not started"
                           : goes_back    ? "to be rolled back"
                                          : name_of(state.phase)),
               !state.started || state.phase != Phase::finished
                   ? "`whimbrel status` shows what comes next"
                   : "take the timer away: there is no old side any more to compare with",
               "nothing was changed",
               {},
               ""};
}

// Where the next part begins, by move.
std::string Engine::through_of(const Extent& extent) {
  if (extent.portions.empty()) return "";
  json all = json::object();
  for (const auto& [move, portion] : extent.portions) {
    all[std::to_string(move)] = {position_text(portion.source), position_text(portion.target)};
  }
  return all.dump();
}

Status Engine::carry_back() {
  TRY(is_our_database(false));
  TRY(tables_must_be_there());
  ASSIGN_OR_RETURN(const bool whole, capture_is_whole());
  if (!whole) {
    return Error{ErrorCode::data_mismatch,
                 "writes may have gone unnoticed: what notes them was removed by somebody, or does "
                 "not remember as far back as they were last read",
                 "`whimbrel run` makes it again and compares every row"};
  }
  return catch_up();
}

Status Engine::catch_up() {
  if (watches_beside_) return {};
  ASSIGN_OR_RETURN(const bool drained, drain(Direction::backward, std::nullopt));
  return drained ? Status() : Status(stopped());
}

// Every row, unless the plan wants a part and it is known what has changed since the last check.
Result<Engine::Extent> Engine::extent_of_check(const std::map<int, std::int64_t>& rows) {
  const State state = parts_.journal.state();
  const ChangedSince changed = std::exchange(changed_, {});
  Extent extent;
  extent.changes = state.changes_since_check;
  const bool is_known = changed.is_whole() && changed.changes() == state.changes_since_check;
  if (!migration_.watch.compares_a_part() || !is_known) return extent;
  const json through = json::parse(state.checked ? state.checked->through : "", nullptr, false);
  for (const Move& move : migration_.moves) {
    Portion portion;
    const auto known = rows.find(move.index);
    portion.rows = migration_.watch.rows_of_a_part(known == rows.end() ? 0 : known->second);
    const std::string index = std::to_string(move.index);
    if (through.is_object() && through.contains(index) && through[index].size() == 2) {
      portion.source = position_from(through[index][0]);
      portion.target = position_from(through[index][1]);
    }
    extent.portions[move.index] = std::move(portion);
    ASSIGN_OR_RETURN(extent.keys[move.index], keys_changed(move, changed));
  }
  return extent;
}

// On the new side by the application; on the old one by whoever should not any more.
Result<ChangedKeys> Engine::keys_changed(const Move& move, const ChangedSince& changed) {
  ChangedKeys keys;
  if (migration_.sync == Sync::dual) {
    ASSIGN_OR_RETURN(keys.target,
                     move.target->capture().written_on_new_side({move.name, &move.mapping, true}));
    return keys;
  }
  const auto carried = changed.keys().find(move.mapping.target.name);
  if (carried != changed.keys().end()) {
    keys.target.assign(carried->second.begin(), carried->second.end());
  }
  ASSIGN_OR_RETURN(const auto late, written_by_application(Direction::forward, move));
  keys.source.assign(late.begin(), late.end());
  return keys;
}

// Besides the portions: what has changed. And where the next portions begin.
Status Engine::look_at_the_rest(std::vector<std::unique_ptr<Verify>>& verifies, Extent& extent) {
  for (const auto& verify : verifies) {
    const int move = verify->move().index;
    if (const auto portion = extent.portions.find(move); portion != extent.portions.end()) {
      portion->second = verify->portion();
    }
    const auto keys = extent.keys.find(move);
    if (keys == extent.keys.end()) continue;
    TRY(verify->look_at(keys->second.source));
    TRY(verify->look_at_target(keys->second.target));
  }
  return {};
}

Status Engine::compare_for_check(const std::map<int, std::int64_t>& rows, CheckOutcome& outcome) {
  ASSIGN_OR_RETURN(Extent extent, extent_of_check(rows));
  const auto compare = [&] {
    outcome.every_row = extent.portions.empty();
    const bool record = outcome.every_row && !watches_beside_;
    return compare_all(0, !watches_beside_, record, &extent);
  };
  Result<VerifyOutcome> compared = compare();
  // A store may not know a position of yesterday any more.
  if (!compared.ok() && compared.error().code == ErrorCode::unavailable && !outcome.every_row) {
    extent.portions.clear();
    extent.keys.clear();
    outcome.through.clear();
    compared = compare();
  }
  if (!compared.ok()) return std::move(compared).error();
  outcome.compared = std::move(compared).value();
  // What differs is looked at again by the next check.
  const bool is_equal = outcome.compared.differing == 0;
  outcome.changes = is_equal ? extent.changes : 0;
  if (is_equal && !outcome.every_row) outcome.through = through_of(extent);
  return {};
}

Result<CheckOutcome> Engine::check(const std::map<int, std::int64_t>& rows, bool beside_runner) {
  TRY(must_be_watching(parts_.journal.state()));
  TRY(must_be_the_plan(parts_.journal.state(), migration_));
  watches_ = true;
  watches_beside_ = beside_runner;
  CheckOutcome outcome;
  if (const State state = parts_.journal.state(); state.checked) {
    outcome.through = state.checked->through;
  }
  const auto note = [&outcome](std::string what, Status status) {
    if (!status.ok()) outcome.failures.push_back({std::move(what), std::move(status).error()});
  };
  note("what the application writes could not be carried back", carry_back());
  for (const auto& [table, keys] : changed_.keys()) written_since_check_.insert(table);
  others_carried_since_check_ =
      !changed_.is_whole() || changed_.changes() < parts_.journal.state().changes_since_check;
  if (outcome.failures.empty()) {
    note("both sides could not be compared", compare_for_check(rows, outcome));
  }
  for (const CheckPlan& one : migration_.checks) {
    if (one.at != CheckAt::watch) continue;
    ++outcome.checks;
    note(fmt::format("the plan's check `{}` failed", one.name), run_check(one));
  }
  written_since_check_.clear();
  for (const CheckFailure& one : outcome.failures) {
    if (one.why.code == ErrorCode::cancelled) return stopped();
  }
  return outcome;
}

Result<bool> Engine::follow_until_check(TimePoint due) {
  while (parts_.clock.now() < due) {
    if (parts_.stop.requested()) return stopped();
    const Result<bool> carried = drain_some(Direction::backward, std::nullopt);
    TRY(poll_requests());
    TRY(wait_while_paused());
    if (rollback_asked_) {
      TRY(loop(Goal::watch));
      return false;
    }
    // What cannot be carried now is told by the next check.
    const Milliseconds pause = carried.ok() ? pause_while_following : pause_after_failure;
    parts_.clock.sleep_for(std::min(pause, std::max(Milliseconds(1), due - parts_.clock.now())));
  }
  return true;
}

}  // namespace whimbrel
