// Following, comparing and switching.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "engine/engine.h"
#include "follow/kept.h"
#include "store/image.h"
#include "verify/references_of.h"

namespace whimbrel {

namespace {
constexpr int hold_attempts_max = 5;
constexpr Milliseconds breath_between_holds{50};
}  // namespace

Follow Engine::make_follow(Direction direction, Store& store) {
  Follow follow(direction, feed_name(direction, store), store, migration_.moves, parts_.journal,
                parts_.events, [this](const Move& move, const Row& key, const Error& why) {
                  return reject(move, key, why);
                });
  follow.leave_out(left_out_);
  if (direction == Direction::forward) {
    follow.tell_of_rows_set_aside(
        [this](const Move& move, const Row& key) { return is_carried(move, key); });
  }
  if (direction == Direction::backward) follow.keep_what_does_not_fit();
  if (watches_ && direction == Direction::backward) {
    follow.tell([this](const ChangeBatch& batch) { changed_.hear(batch); });
  }
  return follow;
}

void Engine::guard(Follow& follow, Direction direction, bool other_side_serves) {
  const Direction there =
      direction == Direction::forward ? Direction::backward : Direction::forward;
  follow.guard(
      [this, there](const Move& move) { return written_by_application(there, move); },
      [this, direction, other_side_serves](const Move& move, const Row& key, const Error& why) {
        // Told once; which rows it is, rejected.jsonl says.
        if (!std::exchange(told_contested_, true)) {
          parts_.events.emit(
              {"both_sides_wrote",
               {{"table", move.name}, {"stays", direction == Direction::forward ? "new" : "old"}}});
        }
        if (other_side_serves && migration_.hold_none && migration_.stragglers_stop) {
          contested_.push_back(fmt::format("{} key {}", move.name, show(key)));
        }
        return reject(move, key, why);
      },
      other_side_serves);
  if (direction == Direction::backward) return;
  // A rollback puts the new side's version over this one.
  follow.tell_of_what_stays_behind(
      [this](const Move& move, const Row& key, const std::optional<Row>& row) {
        return parts_.sidecar.repaired(move.from, move.mapping.source.column_names(), key, row);
      });
}

// True when everything committed before the last read was carried over.
Result<bool> Engine::drain(Direction direction, std::optional<TimePoint> until) {
  if (until) return drain_some(direction, until);
  while (!parts_.stop.requested()) {
    ASSIGN_OR_RETURN(const bool drained, drain_some(direction, std::nullopt));
    if (drained) return true;
  }
  return false;
}

// With writers held (`until`) a feed has an end. Without, writers may be faster than we are, and
// what waited when this began has to be enough; false as well after a while, then it goes on where
// it was, and requests are heard meanwhile.
Result<bool> Engine::drain_some(Direction direction, std::optional<TimePoint> until) {
  if (migration_.sync == Sync::dual) return true;
  const bool no_feed = migration_.sync == Sync::none && direction == Direction::forward;
  if (no_feed && !compared_beside_feeds_ && !cutover_.any_switch_was_intended()) {
    ASSIGN_OR_RETURN(const bool compared, reconcile(direction, until));
    if (!compared) return false;
  }
  return drain_feeds(direction, until);
}

Result<bool> Engine::drain_feeds(Direction direction, std::optional<TimePoint> until) {
  constexpr Milliseconds while_max{2000};
  const TimePoint stops_at = until.value_or(parts_.clock.now() + while_max);
  std::vector<std::string> feeds;
  for (const std::shared_ptr<Store>& store : stores_of(direction)) {
    const std::string feed = feed_name(direction, *store);
    if (!parts_.journal.state().confirmed("feed:" + feed)) continue;
    if (replaced_) {  // what is noted there is gone with the file
      ASSIGN_OR_RETURN(const bool whole,
                       store->capture().feed_is_whole(feed, tables_in(direction, *store)));
      if (!whole) continue;
    }
    Follow follow = make_follow(direction, *store);
    // On the way back somebody may still write to the old side; that must not be overwritten.
    if (direction == Direction::backward) guard(follow, direction, false);
    if (!until && !waiting_.contains(feed)) {
      ASSIGN_OR_RETURN(const std::int64_t left, store->capture().waiting(feed, follow.position()));
      waiting_[feed] = left;
    }
    ASSIGN_OR_RETURN(const bool followed, follow_up_to(follow, feed, until, stops_at));
    if (!followed) return false;
    feeds.push_back(feed);
  }
  for (const std::string& feed : feeds) waiting_.erase(feed);
  if (direction == Direction::backward) TRY(pass_over_what_is_our_own(Direction::forward));
  return true;
}

Result<bool> Engine::follow_up_to(Follow& follow, const std::string& feed,
                                  std::optional<TimePoint> until, TimePoint stops_at) {
  while (true) {
    if (parts_.clock.now() >= stops_at) return false;
    if (!until && parts_.stop.requested()) return false;
    std::int64_t changes_max = Follow::changes_per_batch_max;
    if (!until) {
      changes_max = std::clamp(waiting_[feed] / 4, changes_max, Follow::changes_at_once_max);
    }
    ASSIGN_OR_RETURN(const FollowStep step, follow.step(changes_max));
    if (step.at_end) return true;
    if (until) continue;
    waiting_[feed] -= step.changes;
    if (waiting_[feed] <= 0) return true;
  }
}

// Compares everything and carries over what differs; false when `until` came first.
Result<bool> Engine::reconcile(Direction direction, std::optional<TimePoint> until) {
  for (const Move& move : migration_.moves) {
    ASSIGN_OR_RETURN(const bool compared, reconcile(move, direction, until));
    if (!compared) return false;
  }
  return true;
}

Result<bool> Engine::reconcile(const Move& move, Direction direction,
                               std::optional<TimePoint> until, Reconcile::GivesWay gives_way) {
  if (direction == Direction::backward && move.mapping.follows_only) return true;
  Store& store = direction == Direction::forward ? *move.source : *move.target;
  Follow follow = make_follow(direction, store);
  // Triggers may write the other side at any time.
  if (migration_.sync == Sync::dual) guard_against_links(follow);
  Reconcile rows(direction, move, follow);
  rows.tell_what_gives_way(std::move(gives_way));
  while (true) {
    if (until && parts_.clock.now() >= *until) return false;
    if (!until && parts_.stop.requested()) return false;
    ASSIGN_OR_RETURN(const Step step, rows.step());
    if (step == Step::done) break;
  }
  parts_.events.emit(
      {"reconciled", {{"table", move.name}, {"rows", rows.rows()}, {"written", rows.written()}}});
  return true;
}

namespace {

// Whether the old side is unique over something that the new side may hold twice: an OR REPLACE of
// the application is handed on to the link, and pushes a row aside there that the new side keeps.
bool promises_less(const Mapping& mapping) {
  if (!mapping.source.other_uniques.empty()) return true;
  return std::ranges::any_of(mapping.source.uniques, [&](const std::vector<std::string>& unique) {
    std::vector<std::string> targets;
    for (const std::string& column : unique) {
      const auto rule = std::ranges::find(mapping.backward, column, &ColumnRule::column);
      const auto* copied =
          rule == mapping.backward.end() ? nullptr : std::get_if<ColumnRef>(&rule->expr->node);
      if (copied != nullptr) targets.push_back(copied->column);
    }
    return !is_unique_among(mapping.target, targets);
  });
}

}  // namespace

// A reference of the old side that acts, set off by what a link carried there, takes rows along
// that the new side keeps; the links stand still for it.
Status Engine::bring_back_what_went_along() {
  if (migration_.sync != Sync::dual) return {};
  for (const Move& move : migration_.moves) {
    const bool acts = std::ranges::any_of(move.mapping.source.foreign_keys,
                                          [](const ForeignKey& key) { return key.acts(); });
    const bool may_differ = acts || promises_less(move.mapping);
    if (!may_differ || left_out_.contains(move.index)) continue;
    ASSIGN_OR_RETURN(const bool compared, reconcile(move, Direction::backward, std::nullopt));
    if (!compared) return Error{ErrorCode::cancelled, "stopped as asked"};
  }
  return {};
}

// A row is written only if it is still the one that was looked at.
void Engine::guard_against_links(Follow& follow) {
  follow.guard(
      [](const Move&) -> Result<std::set<Row, RowLess>> { return std::set<Row, RowLess>{}; },
      [](const Move&, const Row&, const Error& why) { return Status(why); }, false);
}

// Where one table became several, a row that the new side has in another of them is not deleted
// because this one lacks it.
Status Engine::spare_what_others_have(const Move& move, std::vector<Row>& target_keys) const {
  ASSIGN_OR_RETURN(const auto own, move.target->open_reader(move.mapping.target));
  for (const Move& other : migration_.moves) {
    if (!other.is_made_of_the_rows_of(move) || target_keys.empty()) continue;
    std::vector<Row> keys;
    for (const Row& key : target_keys) {
      ASSIGN_OR_RETURN(const Row source, source_key_of(move.mapping, key, move.source->catalog()));
      Result<Row> there = target_key_of(other.mapping, source, other.target->catalog());
      if (!there.ok() && there.error().code != ErrorCode::refused) return std::move(there).error();
      keys.push_back(there.ok() ? std::move(there).value() : Row());
    }
    ASSIGN_OR_RETURN(const auto reader, other.target->open_reader(other.mapping.target));
    ASSIGN_OR_RETURN(const auto here, own->read_keys(target_keys));
    std::vector<Row> left;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      bool is_others = false;
      if (!here[i] && !keys[i].empty()) {
        ASSIGN_OR_RETURN(const auto found, reader->read_keys(std::span(&keys[i], 1)));
        is_others = found[0].has_value();
      }
      if (!is_others) left.push_back(std::move(target_keys[i]));
    }
    target_keys = std::move(left);
  }
  return {};
}

// What gives way is written down first.
Result<std::int64_t> Engine::put_right(const Move& move, Direction direction,
                                       std::vector<Row> keys) {
  const bool forward = direction == Direction::forward;
  if (!forward) TRY(spare_what_others_have(move, keys));
  if (keys.empty()) return std::int64_t{0};
  std::vector<Row> other_keys;
  for (const Row& key : keys) {
    ASSIGN_OR_RETURN(Row other, forward ? target_key_of(move.mapping, key, move.target->catalog())
                                        : source_key_of(move.mapping, key, move.source->catalog()));
    other_keys.push_back(std::move(other));
  }
  ASSIGN_OR_RETURN(const auto reader, forward ? move.target->open_reader(move.mapping.target)
                                              : move.source->open_reader(move.mapping.source));
  ASSIGN_OR_RETURN(const auto before, reader->read_keys(other_keys));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    TRY(parts_.sidecar.repaired(
        forward ? move.to : move.from,
        (forward ? move.mapping.target : move.mapping.source).column_names(), other_keys[i],
        before[i]));
  }
  Follow follow = make_follow(direction, forward ? *move.source : *move.target);
  guard_against_links(follow);
  return carry_or_name(follow, move, std::move(keys));
}

// A row that the other side refuses does not keep the others from being put right: it still
// differs.
Result<std::int64_t> Engine::carry_or_name(Follow& follow, const Move& move,
                                           std::vector<Row> keys) {
  Result<std::int64_t> carried = follow.carry_keys(move, keys);
  if (carried.ok() || !carried.error().is_of_a_row()) return carried;
  if (keys.size() == 1) {
    TRY(reject(move, keys.front(), carried.error()));
    return std::int64_t{0};
  }
  const auto middle = keys.begin() + std::ssize(keys) / 2;
  ASSIGN_OR_RETURN(const std::int64_t one,
                   carry_or_name(follow, move, std::vector<Row>(keys.begin(), middle)));
  ASSIGN_OR_RETURN(const std::int64_t two,
                   carry_or_name(follow, move, std::vector<Row>(middle, keys.end())));
  return one + two;
}

// Which side is right: the one that serves; under links also the one that the application wrote.
Result<std::int64_t> Engine::put_right(const Move& move, const std::vector<Row>& source_keys) {
  constexpr std::size_t at_once = 500;
  const bool switched = parts_.journal.phase() == Phase::watching;
  std::set<Row, RowLess> new_side;
  if (migration_.sync == Sync::dual && !switched) {
    ASSIGN_OR_RETURN(const std::vector<Row> keys,
                     move.target->capture().written_on_new_side({move.name, &move.mapping, true}));
    new_side.insert(keys.begin(), keys.end());
  }
  std::int64_t rows = 0;
  for (std::size_t begin = 0; begin < source_keys.size(); begin += at_once) {
    std::vector<Row> forward;
    std::vector<Row> backward;
    for (std::size_t i = begin; i < std::min(begin + at_once, source_keys.size()); ++i) {
      ASSIGN_OR_RETURN(Row target_key,
                       target_key_of(move.mapping, source_keys[i], move.target->catalog()));
      if (switched || new_side.contains(target_key)) {
        backward.push_back(std::move(target_key));
      } else {
        forward.push_back(source_keys[i]);
      }
    }
    ASSIGN_OR_RETURN(const std::int64_t one,
                     put_right(move, Direction::forward, std::move(forward)));
    ASSIGN_OR_RETURN(const std::int64_t two,
                     put_right(move, Direction::backward, std::move(backward)));
    rows += one + two;
  }
  return rows;
}

// Without a feed a difference before the window is nothing but lag: it is carried over, and what
// is written while that happens will be compared in the window again.
Status Engine::settle_without_feed(std::vector<std::unique_ptr<Verify>>& verifies, bool follow) {
  for (std::size_t i = 0; i < verifies.size(); ++i) {
    const Move& move = migration_.moves[i];
    for (int round = 0; follow && round < 3 && verifies[i]->suspects() > 0; ++round) {
      Follow carrying = make_follow(Direction::forward, *move.source);
      const Result<std::int64_t> carried = carrying.carry_keys(move, verifies[i]->suspect_keys());
      if (!carried.ok()) return carried.error();
      TRY(verifies[i]->recheck());
    }
    if (move.among_others) {
      if (!follow) TRY(verifies[i]->forgive_what_waits());
      continue;
    }
    const std::vector<Row> left = verifies[i]->suspect_keys();
    verifies[i]->forgive({left.begin(), left.end()});
  }
  return {};
}

// A difference may only be lag. Following settles it; without, the feed is asked what is waiting.
Status Engine::settle_suspects(std::vector<std::unique_ptr<Verify>>& verifies, Direction direction,
                               bool follow) {
  const bool linked = migration_.sync == Sync::dual;
  if (migration_.sync == Sync::none && direction == Direction::forward) {
    return settle_without_feed(verifies, follow);
  }
  for (int round = 0; round < (follow || linked ? recheck_rounds : 1); ++round) {
    std::int64_t left = 0;
    for (const auto& verify : verifies) left += verify->suspects();
    if (left == 0) return {};
    if (follow) {
      ASSIGN_OR_RETURN(const bool dry, drain(direction, std::nullopt));
      if (!dry) return Error{ErrorCode::cancelled, "stopped as asked"};
    }
    for (const auto& verify : verifies) TRY(verify->recheck());
  }
  if (linked) return {};
  // A row that is written again and again may have been written at each look: then it waits.
  for (const auto& verify : verifies) {
    if (verify->suspects() > 0) TRY(forgive_what_waits(*verify, direction));
  }
  return {};
}

// What waits in a feed is no difference: it was noted before the row was read. After the switch a
// row that somebody has written on the old side all the same waits for nothing: it stays as it is.
Status Engine::forgive_what_waits(Verify& verify, Direction direction) {
  const Move& move = verify.move();
  const bool forward = direction == Direction::forward;
  Store& store = forward ? *move.source : *move.target;
  const std::string& table = (forward ? move.mapping.source : move.mapping.target).name;
  if (!parts_.journal.state().confirmed("feed:" + feed_name(direction, store))) return {};
  std::set<Row, RowLess> contested;
  if (!forward) {
    ASSIGN_OR_RETURN(contested, written_by_application(Direction::forward, move));
  }
  return make_follow(direction, store).look_ahead([&](const ChangeBatch& batch) -> Status {
    std::set<Row, RowLess> keys;
    for (const KeyChange& change : batch.changes) {
      if (change.own || change.table != table) continue;
      if (forward) {
        keys.insert(change.key);
        continue;
      }
      Result<Row> mapped = source_key_of(move.mapping, change.key, move.source->catalog());
      const bool has_place = mapped.ok() && !contested.contains(mapped.value());
      if (has_place) keys.insert(std::move(mapped).value());
    }
    verify.forgive(keys);
    return {};
  });
}

// Knows what was kept, and so is no difference.
Result<std::unique_ptr<Verify>> Engine::make_verify(const Move& move, Pairing pairing,
                                                    std::int64_t sample,
                                                    const std::vector<KeptRow>& kept) {
  std::set<Row, RowLess> put_back;
  std::set<Row, RowLess> no_place;
  for (const KeptRow& row : kept) {
    if (row.move != move.index) continue;
    ASSIGN_OR_RETURN(Row key, key_from(row));
    ASSIGN_OR_RETURN(const std::vector<Unheld> columns, columns_from(row));
    if (is_for_a_person(columns)) continue;
    if (is_whole_row(columns)) no_place.insert(key);
    put_back.insert(std::move(key));
  }
  auto verify = std::make_unique<Verify>(migration_.moves, move, pairing, sample, parts_.journal,
                                         parts_.clock, parts_.events);
  verify->put_back_before(std::move(put_back));
  verify->has_no_place_for(std::move(no_place));
  return verify;
}

Result<VerifyOutcome> Engine::compare_all(std::int64_t sample, bool follow, bool record,
                                          Extent* extent) {
  const Milliseconds began = parts_.clock.monotonic();
  const bool switched = parts_.journal.phase() == Phase::watching;
  const Pairing pairing = migration_.sync == Sync::dual ? Pairing::linked
                          : switched                    ? Pairing::reversed
                                                        : Pairing::lagging;
  const Direction direction = switched ? Direction::backward : Direction::forward;
  for (const std::shared_ptr<Store>& store : stores_of(direction)) {
    const std::string feed = feed_name(direction, *store);
    if (parts_.journal.state().confirmed("feed:" + feed)) TRY(store->capture().keep_up(feed));
  }
  std::vector<std::unique_ptr<Verify>> verifies;
  std::vector<Task> tasks;
  ASSIGN_OR_RETURN(const std::vector<KeptRow> kept, parts_.journal.kept());
  for (const Move& move : migration_.moves) {
    // What only follows is the new application's own affair from the switch on.
    if (switched && move.mapping.follows_only) continue;
    ASSIGN_OR_RETURN(std::unique_ptr<Verify> verify, make_verify(move, pairing, sample, kept));
    verifies.push_back(std::move(verify));
    if (extent != nullptr && extent->portions.contains(move.index)) {
      verifies.back()->only(extent->portions[move.index]);
    }
    const bool waits_in_a_feed = !follow && migration_.sync != Sync::dual;
    if (waits_in_a_feed) {
      verifies.back()->settle_early([this, direction, verify = verifies.back().get()] {
        return forgive_what_waits(*verify, direction);
      });
    }
    Result<int> lanes = verifies.back()->open();
    if (!lanes.ok()) return std::move(lanes).error().within("comparing " + move.name);
    for (int lane = 0; lane < lanes.value(); ++lane) {
      tasks.push_back([this, follow, lane, verify = verifies.back().get()]() -> Result<Step> {
        // Requests are for the process that drives the migration, not for one that only looks.
        if (follow) TRY(poll_requests());
        if (follow) TRY(wait_while_paused());
        if (must_stop()) return Error{ErrorCode::cancelled, "stopped as asked"};
        return verify->step(lane);
      });
    }
  }
  TRY(parts_.executor.run(std::move(tasks)));
  if (extent != nullptr) TRY(look_at_the_rest(verifies, *extent));
  constexpr std::size_t named_max = 1'000;  // of a table
  VerifyOutcome outcome;
  outcome.suspects.resize(migration_.moves.size());
  TRY(settle_suspects(verifies, direction, follow));
  for (const auto& verify : verifies) {
    if (record) TRY(verify->journal_outcome());
    outcome.suspects[static_cast<std::size_t>(verify->move().index)] = verify->suspect_keys();
    outcome.rows += verify->rows();
    outcome.differing += verify->suspects();
    outcome.on_new_side += verify->on_new_side();
    outcome.lagging += verify->lagging();
    for (Difference& one : verify->differences(named_max))
      outcome.examples.push_back(std::move(one));
  }
  const Milliseconds took = parts_.clock.monotonic() - began;
  if (record) {
    TRY(parts_.journal.append(VerifyEnded{sample == 0, outcome.rows, outcome.differing,
                                          outcome.on_new_side, took.count()}));
  }
  parts_.events.emit({"verified",
                      {{"rows", outcome.rows},
                       {"differing", outcome.differing},
                       {"on_new_side", outcome.on_new_side},
                       {"ms", std::int64_t{took.count()}}}});
  return outcome;
}

// Each reference of a row of ours leads to a row of the new side.
Status Engine::references_resolve() {
  std::vector<Task> tasks;
  for (const Move& move : migration_.moves) {
    const bool is_asked = move.own != nullptr && move.orphans != Orphans::keep;
    if (!is_asked || move.references.empty()) continue;
    tasks.push_back(
        [this, &move, looking = std::shared_ptr<ReferencesOf>()]() mutable -> Result<Step> {
          if (must_stop()) return Error{ErrorCode::cancelled, "stopped as asked"};
          if (looking == nullptr) looking = std::make_shared<ReferencesOf>(migration_.moves, move);
          ASSIGN_OR_RETURN(const Step step, looking->step());
          if (step == Step::done) {
            parts_.events.emit({"references_resolve",
                                {{"table", move.name}, {"references", looking->references()}}});
            looking.reset();
          }
          return step;
        });
  }
  return parts_.executor.run(std::move(tasks));
}

std::vector<HeldTables> Engine::tables_to_hold(Direction direction) const {
  std::vector<HeldTables> held;
  if (migration_.sync == Sync::dual) return held;  // both sides are equal at every instant
  if (migration_.hold_none) return held;           // late writes are carried over afterwards
  for (const std::shared_ptr<Store>& store : stores_of(direction)) {
    // Who writes to one that cannot hold anybody is held by what the plan names.
    if (!migration_.holds.empty() && !store->capabilities().holds) continue;
    held.push_back({store, tables_in(direction, *store)});
  }
  return held;
}

// A life that ended, or an attempt that failed, may have left writers of either side held. They get
// a breath before they are held again, so that nobody is refused for longer than the plan says.
Status Engine::let_go_of_the_last_hold() {
  if (parts_.journal.state().effect("hold") == nullptr) return {};
  std::vector<HeldTables> all = tables_to_hold(Direction::forward);
  for (HeldTables& one : tables_to_hold(Direction::backward)) all.push_back(std::move(one));
  TRY(cutover_.let_go(all));  // in one go: the journal forgets the hold when all are released
  parts_.clock.sleep_for(breath_between_holds);
  return {};
}

Result<std::optional<Row>> Engine::source_of(const Move& move, const Row& target_key) const {
  ASSIGN_OR_RETURN(const auto reader, move.source->open_reader(move.mapping.source));
  ASSIGN_OR_RETURN(Row key, source_key_of(move.mapping, target_key, move.source->catalog()));
  const std::vector<Row> keys = {std::move(key)};
  ASSIGN_OR_RETURN(auto rows, reader->read_keys(keys));
  return std::move(rows[0]);
}

// What a rolled-back attempt had to take off the new side returns just before the switch, but only
// where the old side says the same as it did then; and once more when late writes brought whole
// rows over, but not into what the new side has written itself by then.
Status Engine::put_back_kept() {
  ASSIGN_OR_RETURN(const std::vector<KeptRow> kept, parts_.journal.kept());
  for (const Move& move : migration_.moves) {
    std::vector<KeptRow> notes;
    for (const KeptRow& note : kept) {
      if (note.move == move.index) notes.push_back(note);
    }
    for (int round = 0; round < recheck_rounds && !notes.empty(); ++round) {
      ASSIGN_OR_RETURN(notes, put_back_some(move, notes));
    }
  }
  return {};
}

// Rows of the new side that were deleted while nobody noticed: what was kept of them must not come
// back with another row of that key.
Status Engine::forget_what_is_gone() {
  ASSIGN_OR_RETURN(const std::vector<KeptRow> kept, parts_.journal.kept());
  for (const Move& move : migration_.moves) {
    ASSIGN_OR_RETURN(const auto reader, move.target->open_reader(move.mapping.target));
    for (const KeptRow& note : kept) {
      if (note.move != move.index) continue;
      ASSIGN_OR_RETURN(Row key, key_from(note));
      const std::vector<Row> keys = {std::move(key)};
      ASSIGN_OR_RETURN(const auto rows, reader->read_keys(keys));
      if (!rows[0]) TRY(parts_.journal.forget_kept(move.index, note.key));
    }
  }
  return {};
}

// The notes that have to be tried again: somebody wrote their rows between the look and the act.
// A note stays when it is put back: it is what the next rollback keeps, if nobody writes the row.
Result<std::vector<KeptRow>> Engine::put_back_some(const Move& move,
                                                   const std::vector<KeptRow>& notes) {
  ASSIGN_OR_RETURN(const auto reader, move.target->open_reader(move.mapping.target));
  std::vector<Row> keys;
  for (const KeptRow& note : notes) {
    ASSIGN_OR_RETURN(Row key, key_from(note));
    keys.push_back(std::move(key));
  }
  ASSIGN_OR_RETURN(const auto rows, reader->read_keys(keys));
  std::set<Row, RowLess> served;
  if (cutover_.any_switch_was_intended()) {
    ASSIGN_OR_RETURN(served, written_by_application(Direction::backward, move));
  }
  std::vector<KeptRow> again;
  for (std::size_t i = 0; i < notes.size(); ++i) {
    if (served.contains(keys[i])) continue;
    ASSIGN_OR_RETURN(const std::vector<Unheld> columns, columns_from(notes[i]));
    if (is_for_a_person(columns)) continue;
    if (is_whole_row(columns)) {
      // One that came to the old side since, or was changed there, is not to be written over.
      const std::optional<std::string> stayed = what_stayed(columns);
      bool is_free = !rows[i];
      if (!is_free && stayed) {
        ASSIGN_OR_RETURN(const std::optional<Row> source, source_of(move, keys[i]));
        is_free = source && version_of(*source) == *stayed;
      }
      if (is_free) {
        TRY(make_again(move, keys[i], columns, rows[i]));
      } else if (!is_there_again(move, columns, *rows[i])) {
        TRY(tell_what_stays_out(move, keys[i], "another row has its key by now"));
      }
      continue;
    }
    if (!rows[i]) {
      // Deleted on the old side, or only set aside; then a later attempt may have it again.
      ASSIGN_OR_RETURN(const std::optional<Row> source, source_of(move, keys[i]));
      if (!source) TRY(parts_.journal.forget_kept(move.index, notes[i].key));
      continue;
    }
    std::vector<std::pair<std::string, Value>> values;
    bool is_another_row = false;
    for (const Unheld& one : columns) {
      const int at = move.mapping.target.column_index(one.column);
      if (at < 0) continue;
      const Value& now = (*rows[i])[static_cast<std::size_t>(at)];
      is_another_row = is_another_row || (one.tells_rows_apart() && !same(now, one.value));
      const bool free = !one.instead_of || same(now, *one.instead_of);
      if (free && !same(now, one.value)) values.emplace_back(one.column, one.value);
    }
    if (is_another_row) {
      TRY(parts_.journal.forget_kept(move.index, notes[i].key));
      continue;
    }
    if (values.empty()) continue;
    Result<bool> put =
        move.target->capture().put_back({move.name, &move.mapping, true}, *rows[i], values);
    if (!put.ok() && put.error().is_of_a_row()) {
      TRY(tell_what_stays_out(move, keys[i], put.error().message));
      continue;
    }
    ASSIGN_OR_RETURN(const bool set, std::move(put));
    if (set) parts_.events.emit({"kept_put_back", {{"table", move.name}}});
    if (!set) again.push_back(notes[i]);
  }
  return again;
}

bool Engine::is_there_again(const Move& move, const std::vector<Unheld>& columns,
                            const Row& there) {
  return std::ranges::all_of(columns, [&](const Unheld& one) {
    const int at = move.mapping.target.column_index(one.column);
    return at < 0 || same(there[static_cast<std::size_t>(at)], one.value);
  });
}

// A row that the old side had no place for, and so never saw as it was.
Status Engine::make_again(const Move& move, const Row& key, const std::vector<Unheld>& columns,
                          const std::optional<Row>& now) {
  std::vector<std::string> names;
  Row values;
  for (const Unheld& one : columns) {
    if (move.mapping.target.column_index(one.column) < 0) continue;
    names.push_back(one.column);
    values.push_back(one.value);
  }
  ASSIGN_OR_RETURN(const auto writer, move.target->open_writer(move.mapping.target, names));
  const std::vector<Change> changes = {
      {key, std::move(values), std::optional<std::optional<Row>>(std::in_place, now)}};
  Result<Applied> put = writer->apply(changes);
  const bool is_refused = !put.ok() && put.error().is_of_a_row();
  if (is_refused) return tell_what_stays_out(move, key, put.error().message);
  ASSIGN_OR_RETURN(const Applied applied, std::move(put));
  if (applied.written > 0) {
    parts_.events.emit({"kept_put_back", {{"table", move.name}}});
  } else if (applied.skipped == 0) {
    TRY(tell_what_stays_out(move, key,
                            applied.blocked_by.empty()
                                ? "somebody wrote it meanwhile"
                                : "the row " + show(applied.blocked_by.front()) +
                                      " has a value by now that has to be unique"));
  }
  return {};
}

Status Engine::tell_what_stays_out(const Move& move, const Row& key, const std::string& why) {
  if (!stays_out_.insert(fmt::format("{} {}", move.index, show(key))).second) return {};
  parts_.events.emit({"kept_stays_out", {{"table", move.to}}});
  return parts_.sidecar.rejected(move, key, "kept by a rollback, and not put back: " + why);
}

// In the window everything is compared again, which takes about as long as it took the last time.
Status Engine::window_is_wide_enough() {
  const State state = parts_.journal.state();
  if (migration_.sync != Sync::none || !state.verified || holds_lock_tables() ||
      cutover_.any_switch_was_intended()) {
    return {};
  }
  const Milliseconds waits = migration_.holds.empty() ? Milliseconds(0) : silence;
  const Milliseconds forecast = waits + Milliseconds(2 * state.verified->ms);
  const Milliseconds left = Cutover::left_for_draining(migration_.hold_max);
  parts_.events.emit({"window_forecast", {{"ms", forecast.count()}, {"left_ms", left.count()}}});
  if (forecast <= left || !migration_.forecast_refuses) return {};
  TRY(enter(Phase::following, "the window is forecast to be too short"));
  return Error{ErrorCode::refused,
               fmt::format("comparing everything is forecast to take {}, and the window leaves {} "
                           "for it",
                           to_duration_text(forecast), to_duration_text(left)),
               "raise `window: {max: …}`, or say `sync: capture`",
               "nobody was held and nothing is switched",
               {},
               ""};
}

bool Engine::holds_lock_tables() const {
  return std::ranges::any_of(stores_of(Direction::forward),
                             [](const auto& store) { return store->capabilities().locks_tables; });
}

// Nobody can begin to note the writes to a table that is locked, we neither: where a hold is a lock
// the feeds of a window begin before it. So all can be compared before it as well, and what waits
// for the hold is what is written meanwhile.
Status Engine::compare_beside_feeds() {
  if (migration_.sync != Sync::none || !holds_lock_tables() || cutover_.any_switch_was_intended()) {
    return {};
  }
  TRY(start_feeds(Direction::forward));
  ASSIGN_OR_RETURN(const bool compared, reconcile(Direction::forward, std::nullopt));
  if (!compared) return Error{ErrorCode::cancelled, "stopped as asked"};
  compared_beside_feeds_ = true;
  ASSIGN_OR_RETURN(const bool drained, drain(Direction::forward, std::nullopt));
  return drained ? Status() : Error{ErrorCode::cancelled, "stopped as asked"};
}

// Nothing is switched. What lives in a window only goes with it.
Status Engine::back_to_following(const std::string& why) {
  if (migration_.sync == Sync::none) {
    compared_beside_feeds_ = false;
    TRY(stop_feeds(Direction::forward));
    TRY(stop_feeds(Direction::backward));
  }
  return enter(Phase::following, why);
}

Status Engine::in_new_tables(OrphansWork work, const std::string& event, const std::string& doing,
                             const std::string& safe) {
  for (const RetypeSwitch* retype : retypes_of(migration_)) {
    Result<std::int64_t> done = (retype->store->retyping()->*work)(retype->tables);
    if (!done.ok()) return std::move(done).error().within(doing).saying_safe(safe);
    if (done.value() > 0) parts_.events.emit({event, {{"rows", done.value()}}});
  }
  return {};
}

// Looked at when the command began, and it may have run for hours: what was added since would be
// left behind, and what was taken away is gone.
Status Engine::tables_have_their_columns() {
  for (const Move& move : migration_.moves) {
    const TableSchema& known = move.mapping.source;
    if (move.source_is_reshaped() || !known.rest_column.empty()) continue;
    Result<TableSchema> there = move.source->catalog().describe(known.name);
    if (!there.ok()) return std::move(there).error();
    std::vector<std::string> others;
    for (const std::string& column : there.value().column_names()) {
      if (known.column_index(column) < 0) others.push_back(column);
    }
    for (const std::string& column : known.column_names()) {
      if (there.value().column_index(column) < 0) others.push_back(column);
    }
    if (others.empty()) continue;
    return Error{ErrorCode::data_mismatch,
                 fmt::format("somebody has changed the columns of {} while this ran: {}", move.from,
                             join(others, ", ")),
                 "the same command looks at them anew, and says what can be done",
                 "nothing is switched; the application uses the old side",
                 {},
                 ""};
  }
  return {};
}

// The new tables serve all the same, and the end waits for it.
void Engine::tell_what_is_not_settled() {
  for (const RetypeSwitch* retype : retypes_of(migration_)) {
    const Status settled = retype->store->retyping()->settle_the_rest(retype->tables);
    if (settled.ok()) continue;
    std::string what = settled.error().message;
    for (const std::string& context : settled.error().context) what += ", " + context;
    parts_.events.emit({"not_settled", {{"message", what}, {"hint", settled.error().hint}}});
  }
}

Result<bool> Engine::cut_over() {
  TRY(mend(false));
  if (!cutover_.any_switch_was_intended()) TRY(tables_have_their_columns());
  TRY(mark());
  TRY(window_is_wide_enough());
  TRY(hours_are_right());
  const bool has_feeds = migration_.sync != Sync::dual;
  if (has_feeds) TRY(start_feeds(Direction::backward));
  TRY(compare_beside_feeds());
  TRY(let_go_of_the_last_hold());
  const std::vector<HeldTables> held = tables_to_hold(Direction::forward);
  const auto dry = [this, has_feeds](TimePoint until) -> Result<bool> {
    // Under `sync: none` the feed lives in the window only: for writes that escape the hold.
    if (has_feeds) TRY(start_feeds(Direction::forward));
    wrote_through_the_hold_ = false;
    ASSIGN_OR_RETURN(bool drained, drain(Direction::forward, until));
    if (drained) {
      ASSIGN_OR_RETURN(drained, is_silent(Direction::forward, until));
      // Not those who were at work when it began.
      wrote_through_the_hold_ = !drained && wrote_for_ >= silence;
    }
    if (drained && !cutover_.any_switch_was_intended()) TRY(put_back_kept());
    if (drained) TRY(carry_numbers(Direction::forward));
    return drained;
  };
  const bool begun = cutover_.any_switch_was_intended();
  const auto late_ones = [this, has_feeds](TimePoint) -> Result<bool> {
    TRY(carry_late_writes(Direction::forward));
    if (has_feeds) TRY(put_back_kept());
    return true;
  };
  const auto checks = [this, begun]() -> Status {
    TRY(run_checks(CheckAt::held));
    if (begun || !parts_.stop.requested()) return {};
    return Error{ErrorCode::cancelled, "stopped as asked", "`whimbrel run` goes on from here"};
  };
  Result<Flipped> flipped =
      begun ? cutover_.flip(held, late_ones, checks) : cutover_.flip(held, dry, checks);
  if (!flipped.ok()) {
    TRY(cutover_.let_go(held));
    if (cutover_.any_switch_was_intended()) return std::move(flipped).error();
    TRY(back_to_following("the switch failed; nothing is switched"));
    return std::move(flipped).error().saying_safe(
        "nothing is switched and nobody is held; the application uses the old side");
  }
  if (flipped.value() == Flipped::unknown) {
    TRY(cutover_.let_go(held));
    TRY(enter(Phase::stuck, "the outcome of a switch is unknown"));
    return Error{ErrorCode::outcome_unknown,
                 "a switch may or may not have flipped" + cutover_.last_words(),
                 "look at it, then say `whimbrel cutover PLAN --decide switched` or "
                 "`--decide not-switched`; `whimbrel rollback PLAN` goes back",
                 "nobody is held; both sides keep their rows",
                 {},
                 ""};
  }
  if (flipped.value() == Flipped::hold_expired) {
    const bool window = migration_.sync == Sync::none;
    if (!cutover_.any_switch_was_intended()) {
      TRY(back_to_following(wrote_through_the_hold_
                                ? "somebody wrote while writers were held; nothing is switched"
                                : "the hold expired; nothing is switched"));
    }
    drained_ = false;
    if (++hold_attempts_ >= (window ? 1 : hold_attempts_max)) return false;
    const Milliseconds pause(100 << hold_attempts_);
    parts_.clock.sleep_for(pause + Milliseconds(parts_.random.below(pause.count())));
    return true;
  }
  TRY(carry_late_writes(Direction::forward));
  TRY(wait_for_stragglers(Direction::forward));
  if (has_feeds) TRY(put_back_kept());
  TRY(let_go_and_carry(held, Direction::forward));
  TRY(in_new_tables(&Retyping::put_right, "put_right", "putting right rows that refer to nothing",
                    "the new tables serve, and nobody is held; `whimbrel run` tries it again, "
                    "`whimbrel rollback` goes back without losing a write"));
  tell_what_is_not_settled();
  if (Status after = run_checks(CheckAt::after); !after.ok()) {
    rollback_asked_ = true;
    TRY(parts_.journal.append(Failed{"data_mismatch", after.error().message}));
    TRY(enter(Phase::rolling_back, "a check after the switch failed"));
    TRY(loop(Goal::watch));
    return std::move(after).error().saying_safe("switched back and rolled back; no write was lost");
  }
  TRY(parts_.journal.append(EffectIntended{"switched", "{}"}));
  TRY(parts_.journal.append(EffectConfirmed{"switched", "{}"}));
  TRY(mark());
  drained_ = false;
  return true;
}

}  // namespace whimbrel
