// Writes that reach a side whose application has been told of the other one: carried over while
// they may come, named afterwards.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/counted.h"
#include "engine/engine.h"

namespace whimbrel {

namespace {
constexpr std::int64_t named_late_max = 1'000;  // of a table
}  // namespace

Result<std::set<Row, RowLess>> Engine::written_by_application(Direction there, const Move& move) {
  const bool forward = there == Direction::forward;
  ASSIGN_OR_RETURN(Looked* const looked,
                   look_through(there, forward ? *move.source : *move.target));
  if (looked == nullptr) return std::set<Row, RowLess>{};
  return looked->keys[forward ? move.mapping.source.name : move.mapping.target.name];
}

Result<Engine::Looked*> Engine::look_through(Direction there, Store& store) {
  const std::string feed = feed_name(there, store);
  if (!parts_.journal.state().confirmed("feed:" + feed)) return nullptr;
  Follow follow = make_follow(there, store);
  Looked& looked = looked_[feed];
  if (looked.at.empty() || looked.from != follow.position()) {
    looked = {follow.position(), follow.position(), {}, 0};
  }
  TRY(follow.look_ahead(looked.at, [&](const ChangeBatch& batch) -> Status {
    for (const KeyChange& change : batch.changes) {
      const bool is_theirs = !change.own && !change.expired;
      if (is_theirs) looked.keys[change.table].insert(change.key);
    }
    looked.notes += batch.notes();
    looked.at = batch.position;
    return {};
  }));
  return &looked;
}

// What we have written there ourselves is not looked through again by whoever comes next.
Status Engine::pass_over_what_is_our_own(Direction there) {
  constexpr std::int64_t worth_a_record = 20;
  for (const std::shared_ptr<Store>& store : stores_of(there)) {
    const std::string feed = feed_name(there, *store);
    const auto looked = looked_.find(feed);
    if (looked == looked_.end() || looked->second.notes < worth_a_record) continue;
    if (looked->second.from != make_follow(there, *store).position()) continue;
    const bool is_own = std::ranges::all_of(looked->second.keys,
                                            [](const auto& one) { return one.second.empty(); });
    if (!is_own) continue;
    TRY(parts_.journal.append(ChangesApplied{feed, looked->second.at, 0, 0}));
    looked->second.from = looked->second.at;
    looked->second.notes = 0;
  }
  return {};
}

// A hold can end before the last switch was flipped. What was written to the old side in that gap
// is carried over now; where the new side wrote the same row since, the newer side stays, and the
// other version is named.
Status Engine::carry_late_writes(Direction direction) {
  if (migration_.sync == Sync::dual) return {};
  for (const std::shared_ptr<Store>& store : stores_of(direction)) {
    if (!parts_.journal.state().confirmed("feed:" + feed_name(direction, *store))) continue;
    if (replaced_) continue;
    Follow follow = make_follow(direction, *store);
    guard(follow, direction, true);
    for (int refused = 0; refused < recheck_rounds;) {
      // With a hold there is an end, and it has to be let go first.
      if (migration_.hold_none && parts_.stop.requested()) {
        return Error{ErrorCode::cancelled, "stopped as asked"};
      }
      const Result<FollowStep> step = follow.step();
      if (step.ok() && step.value().at_end) break;
      if (step.ok()) continue;
      if (step.error().code != ErrorCode::unavailable || ++refused == recheck_rounds) {
        return step.error();
      }
    }
  }
  return {};
}

// Nobody was held: writers that have not heard of the switch still write to the side they knew.
// Their writes are carried over until none has come for as long as the plan says.
Status Engine::wait_for_stragglers(Direction direction) {
  if (!migration_.hold_none || migration_.sync == Sync::dual) return {};
  parts_.events.emit({"waiting_for_stragglers", {{"ms", migration_.stragglers_quiet.count()}}});
  TRY(becomes_quiet(direction, migration_.stragglers_quiet, [&]() -> Result<bool> {
    if (parts_.stop.requested()) return Error{ErrorCode::cancelled, "stopped as asked"};
    TRY(carry_late_writes(direction));
    TRY(nothing_is_contested(direction));
    return true;
  }));
  return {};
}

// Who has waited behind a lock writes now, to the side that he has asked for before the switch.
Status Engine::let_go_and_carry(const std::vector<HeldTables>& held, Direction direction) {
  constexpr Milliseconds look_every{50};
  constexpr Milliseconds wait_max{30'000};
  const bool leaves_late_writes = retypes_of(migration_).empty() && migration_.sync != Sync::dual;
  if (!leaves_late_writes) return cutover_.let_go(held);
  const auto open = [&held]() -> Result<std::set<std::string>> {
    std::set<std::string> all;
    for (const HeldTables& one : held) {
      ASSIGN_OR_RETURN(const auto some, one.store->holds().transactions());
      all.insert(some.begin(), some.end());
    }
    return all;
  };
  Result<std::set<std::string>> asked = open();
  TRY(cutover_.let_go(held));  // whatever came of asking
  ASSIGN_OR_RETURN(std::set<std::string> before, std::move(asked));
  const Milliseconds since = parts_.clock.monotonic();
  while (!before.empty() && parts_.clock.monotonic() - since < wait_max &&
         !parts_.stop.requested()) {
    parts_.clock.sleep_for(look_every);
    ASSIGN_OR_RETURN(const std::set<std::string> now, open());
    std::erase_if(before, [&](const std::string& one) { return !now.contains(one); });
    TRY(carry_late_writes(direction));
    TRY(nothing_is_contested(direction));
  }
  if (!before.empty()) {
    parts_.events.emit({"transactions_left", {{"transactions", std::ssize(before)}}});
  }
  return {};
}

// What the plan names holds whoever asks it first; those that were at work already may write for a
// moment. True when nothing has come for a while; what has come was carried over.
Result<bool> Engine::is_silent(Direction direction, TimePoint until) {
  if (migration_.holds.empty()) return true;
  return becomes_quiet(direction, silence, [&] { return drain_feeds(direction, until); });
}

// False as soon as `carry`, which takes over what has come, says so.
Result<bool> Engine::becomes_quiet(Direction direction, Milliseconds quiet,
                                   const std::function<Result<bool>()>& carry) {
  constexpr Milliseconds look_every{200};
  const auto positions = [&] {
    std::vector<std::string> all;
    const State state = parts_.journal.state();
    for (const std::shared_ptr<Store>& store : stores_of(direction)) {
      const auto position = state.positions.find(feed_name(direction, *store));
      all.push_back(position == state.positions.end() ? "" : position->second);
    }
    return all;
  };
  std::vector<std::string> seen = positions();
  const Milliseconds began = parts_.clock.monotonic();
  Milliseconds since = began;
  wrote_for_ = Milliseconds(0);
  while (parts_.clock.monotonic() - since < quiet) {
    parts_.clock.sleep_for(look_every);
    ASSIGN_OR_RETURN(const bool carried, carry());
    if (!carried) return false;
    std::vector<std::string> now = positions();
    if (now != seen) since = parts_.clock.monotonic();
    wrote_for_ = std::max(wrote_for_, since - began);
    seen = std::move(now);
  }
  return true;
}

// After the switch: what somebody has written to the old side all the same, and the new side does
// not have. Both sides may hold it by now, because a person has brought it over.
Result<std::vector<Difference>> Engine::late_writes() {
  std::vector<Difference> late;
  if (migration_.sync == Sync::dual || replaced_) return late;
  // What is read while this is judged is for the next time.
  std::map<std::string, Looked> seen;  // by feed
  for (const std::shared_ptr<Store>& store : stores_of(Direction::forward)) {
    ASSIGN_OR_RETURN(const Looked* const looked, look_through(Direction::forward, *store));
    if (looked != nullptr) seen[feed_name(Direction::forward, *store)] = *looked;
  }
  ASSIGN_OR_RETURN(const std::vector<KeptRow> kept, parts_.journal.kept());
  std::set<std::string> judged;
  for (const Move& move : migration_.moves) {
    if (move.mapping.follows_only || left_out_.contains(move.index)) continue;
    judged.insert(move.mapping.source.name);
    const std::set<Row, RowLess>& written =
        seen[feed_name(Direction::forward, *move.source)].keys[move.mapping.source.name];
    if (written.empty()) continue;
    ASSIGN_OR_RETURN(const std::unique_ptr<Verify> verify,
                     make_verify(move, Pairing::reversed, 0, kept));
    TRY(verify->look_at({written.begin(), written.end()}));
    for (int round = 0; round < recheck_rounds && verify->suspects() > 0; ++round) {
      ASSIGN_OR_RETURN(const bool drained, drain(Direction::backward, std::nullopt));
      if (!drained) return Error{ErrorCode::cancelled, "stopped as asked"};
      TRY(verify->recheck());
    }
    for (Difference& one : verify->differences(named_late_max)) late.push_back(std::move(one));
  }
  if (late.empty()) TRY(pass_over_what_is_equal(judged, seen));
  return late;
}

// Or the way back would take it for somebody else's, for good.
Status Engine::pass_over_what_is_equal(const std::set<std::string>& tables,
                                       const std::map<std::string, Looked>& seen) {
  for (const auto& [feed, then] : seen) {
    const bool is_any =
        std::ranges::any_of(then.keys, [](const auto& one) { return !one.second.empty(); });
    const bool is_judged = std::ranges::all_of(then.keys, [&tables](const auto& one) {
      return one.second.empty() || tables.contains(one.first);
    });
    const auto now = looked_.find(feed);
    const bool is_all = now != looked_.end() && now->second.at == then.at;
    if (!is_any || !is_judged || !is_all) continue;
    TRY(parts_.journal.append(ChangesApplied{feed, then.at, 0, 0}));
    looked_.erase(now);
  }
  return {};
}

Status Engine::no_write_came_late() {
  ASSIGN_OR_RETURN(const std::vector<Difference> late, late_writes());
  if (late.empty()) return {};
  const std::string many = std::ssize(late) == named_late_max ? " or more" : "";
  return Error{
      ErrorCode::data_mismatch,
      fmt::format("{}{} {} written on the old side after the switch, and differ{} from the new "
                  "one:{}{}",
                  counted(std::ssize(late), "row"), many, late.size() == 1 ? "was" : "were",
                  late.size() == 1 ? "s" : "", examples_of(late),
                  std::ssize(late) > examples_told ? "\n  …" : ""),
      "find who still writes there, and bring over by hand what is missing; or `whimbrel verify "
      "--repair` makes the old side what the new one is, and keeps in repaired.jsonl what it had",
      "switched: the application uses the new side; the old side still holds these rows",
      {},
      ""};
}

// Under `conflicts: stop` what both sides wrote since the switch is for a person.
Status Engine::nothing_is_contested(Direction direction) {
  const std::vector<std::string> contested = std::exchange(contested_, {});
  if (contested.empty()) return {};
  constexpr std::size_t shown_max = 5;
  std::string examples;
  for (std::size_t i = 0; i < contested.size() && i < shown_max; ++i) {
    examples += "\n  " + contested[i];
  }
  const bool forward = direction == Direction::forward;
  return Error{
      ErrorCode::data_mismatch,
      fmt::format("both sides have written since the switch {}began, and the {} side's version "
                  "stays:{}{}",
                  forward ? "" : "back ", forward ? "new" : "old", examples,
                  contested.size() > shown_max ? "\n  …" : ""),
      fmt::format("the {} side still has the other version{}: copy by hand what is missing, then "
                  "`whimbrel {}` goes on; rejected.jsonl names them all; `conflicts: keep_new` "
                  "does not stop for them",
                  forward ? "old" : "new", forward ? ", which repaired.jsonl keeps" : "",
                  forward ? "run" : "rollback"),
      forward ? "the switches are flipped, and no write is lost"
              : "the switches are put back, and no write is lost",
      {},
      ""};
}

}  // namespace whimbrel
