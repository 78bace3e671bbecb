// Backups, targets, capture and the copy: everything before both sides follow each other.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>

#include "base/counted.h"
#include "base/text.h"
#include "copy/copy.h"
#include "engine/engine.h"
#include "plan/subset.h"
#include "store/image.h"

namespace whimbrel {

namespace {
constexpr Milliseconds listen_every{2'000};
}  // namespace

Status Engine::backup() {
  TRY(run_checks(CheckAt::before));
  TRY(parts_.journal.append(EffectIntended{"backup", "{}"}));
  ASSIGN_OR_RETURN(const std::string result, parts_.take_backup(migration_));
  return parts_.journal.append(EffectConfirmed{"backup", result});
}

std::vector<std::shared_ptr<Store>> Engine::stores_of(Direction direction) const {
  std::vector<std::shared_ptr<Store>> stores;
  for (const Move& move : migration_.moves) {
    const auto& store = direction == Direction::forward ? move.source : move.target;
    bool known = false;
    for (const auto& one : stores) known = known || one == store;
    if (!known) stores.push_back(store);
  }
  return stores;
}

std::vector<Link> Engine::links_in(const Store& store) const {
  std::vector<Link> links;
  const State state = parts_.journal.state();
  for (const Move& move : migration_.moves) {
    if (move.target.get() != &store) continue;
    const Effect* effect = state.effect(fmt::format("target:{}", move.index));
    const bool made = effect == nullptr || effect->undo.find("\"made\":true") != std::string::npos;
    links.push_back({move.name, &move.mapping, made});
  }
  return links;
}

std::vector<std::string> Engine::tables_in(Direction direction, const Store& store) const {
  std::vector<std::string> tables;
  for (const Move& move : migration_.moves) {
    const bool forward = direction == Direction::forward;
    if ((forward ? move.source : move.target).get() != &store) continue;
    if (!forward && left_out_.contains(move.index)) continue;
    tables.push_back(forward ? move.mapping.source.name : move.mapping.target.name);
  }
  return tables;
}

Status Engine::link_all() {
  for (const auto& store : stores_of(Direction::backward)) {
    TRY(store->capture().link(links_in(*store)));
  }
  return {};
}

// Two migrations of one store have each its own feeds.
std::string Engine::feed_name(Direction direction, const Store& store) const {
  for (const auto& [alias, one] : migration_.stores) {
    if (one.get() == &store) {
      return fmt::format("{}:{}:{}", direction == Direction::forward ? "forward" : "backward",
                         alias, migration_.name);
    }
  }
  broken_invariant("store", "a store of no alias", __FILE__, __LINE__);
}

// The position is journaled before the first row is read: from it on nothing is missed.
Status Engine::start_feeds(Direction direction) {
  for (const std::shared_ptr<Store>& store : stores_of(direction)) {
    const std::string feed = feed_name(direction, *store);
    const std::string id = "feed:" + feed;
    if (parts_.journal.state().confirmed(id)) continue;
    TRY(parts_.journal.append(EffectIntended{id, "{}"}));
    ASSIGN_OR_RETURN(const std::string position,
                     store->capture().start(feed, tables_in(direction, *store)));
    TRY(parts_.journal.append(ChangesApplied{feed, position, 0, 0}));
    looked_.erase(feed);
    TRY(parts_.journal.append(EffectConfirmed{id, "{}"}));
  }
  return {};
}

// No longer confirmed before it is stopped: after a crash nobody reads a feed that is already gone.
Status Engine::stop_feeds(Direction direction) {
  for (const std::shared_ptr<Store>& store : stores_of(direction)) {
    const std::string feed = feed_name(direction, *store);
    if (parts_.journal.state().effect("feed:" + feed) == nullptr) continue;
    TRY(parts_.journal.append(EffectIntended{"feed:" + feed, "{}"}));
    TRY(store->capture().stop(feed));
    TRY(parts_.journal.append(EffectUndone{"feed:" + feed}));
  }
  return {};
}

Status Engine::prepare_target(const Move& move) {
  const std::string id = fmt::format("target:{}", move.index);
  Catalog& catalog = move.target->catalog();
  if (parts_.journal.state().effect(id) == nullptr) {
    const Result<TableSchema> there = catalog.describe(move.mapping.target.name);
    if (!there.ok() && there.error().code != ErrorCode::not_found) return there.error();
    if (there.ok()) {
      ASSIGN_OR_RETURN(const auto reader, move.target->open_reader(there.value()));
      ASSIGN_OR_RETURN(const std::int64_t rows, reader->count());
      if (rows > 0 && !move.among_others) {
        return Error{
            ErrorCode::refused,
            fmt::format("{} has {} already", move.to, rows_text(rows)),
            "empty it, name another target, or make it a copy: `sync: none` and `on_conflict:`",
            "nothing was changed",
            {},
            ""};
      }
    } else if (!move.creates_target) {
      return there.error();
    }
    std::string undo = "{\"made\":true}";
    if (there.ok()) {
      ASSIGN_OR_RETURN(const std::int64_t last, catalog.last_number(move.mapping.target.name));
      undo = fmt::format("{{\"made\":false,\"last_number\":{}}}", last);
    }
    TRY(parts_.journal.append(EffectIntended{id, undo}));
  }
  TRY(catalog.create(move.mapping.target, move.indexes == Indexes::online));
  ASSIGN_OR_RETURN(const std::string birth, birth_of(move, false));
  return parts_.journal.append(EffectConfirmed{id, nlohmann::json({{"birth", birth}}).dump()});
}

// Better now than after hours of copying: what depends on the tables is made anew with them, and
// not all of it can be.
Status Engine::try_exchanges() {
  for (const RetypeSwitch* retype : retypes_of(migration_)) {
    std::vector<std::string> index_ddl;
    for (const Move& move : migration_.moves) {
      if (std::ranges::count(retype->tables, move.mapping.source.name) == 0) continue;
      index_ddl.insert(index_ddl.end(), move.mapping.target.index_ddl.begin(),
                       move.mapping.target.index_ddl.end());
    }
    Status tried = retype->store->retyping()->try_swap(retype->tables, index_ddl);
    // Who is busy now may not be busy then.
    if (tried.ok() || tried.error().code == ErrorCode::unavailable) continue;
    Error error = std::move(tried).error();
    if (error.hint.empty()) {
      error.hint = "take away what stands in the way, or write it otherwise, and `run` again";
    }
    return std::move(error).within("trying the exchange of the tables, and rolling it back");
  }
  return {};
}

// What a trial has met, nobody is to meet later.
Status Engine::take_back_what_is_prepared(Error error, const std::string& why) {
  rollback_asked_ = true;
  TRY(enter(Phase::rolling_back, why));
  TRY(loop(Goal::watch));
  return std::move(error).saying_safe(
      "everything that was prepared was taken away again; no row has moved");
}

// The first row that can be moved: others may have been set aside by then.
Result<std::string> Engine::try_one_row(const Move& move) {
  constexpr std::int64_t rows_looked_at = 1000;
  if (move.among_others && !move.mapping.target.uniques.empty()) {
    return std::string("nothing: a row of others may hold a value that ours is to have");
  }
  ASSIGN_OR_RETURN(const auto reader,
                   move.source->open_reader_where(move.mapping.source, move.where));
  ASSIGN_OR_RETURN(const ChunkOfRows chunk,
                   reader->read_after(std::nullopt, {rows_looked_at, std::int64_t{8} << 20}));
  if (chunk.rows.empty()) return std::string("nothing: the source has no rows");
  for (const Row& row : chunk.rows) {
    if (!meets_conditions(move, row)) continue;
    const Result<Row> image = image_of(move.mapping, row, move.target->catalog());
    if (!image.ok() && move.on_error == OnError::reject) continue;
    if (!image.ok()) return image.error();
    return move.target->self_test(move.mapping, migration_.sync == Sync::dual, row);
  }
  return std::string("nothing: none of the first rows can be moved");
}

Status Engine::prepare() {
  TRY(parts_.journal.append(EffectIntended{"claim", "{}"}));
  for (const auto& [alias, store] : migration_.stores) {
    TRY(store->claim(migration_.name, parts_.journal.id()));
  }
  TRY(parts_.journal.append(EffectConfirmed{"claim", "{}"}));
  for (const Move& move : migration_.moves) {
    if (!parts_.journal.state().confirmed(fmt::format("target:{}", move.index))) {
      TRY(prepare_target(move));
    }
  }
  if (Status tried = try_exchanges(); !tried.ok()) {
    return take_back_what_is_prepared(std::move(tried).error(), "the trial of the exchange failed");
  }
  const bool dual = migration_.sync == Sync::dual;
  if (dual) {
    TRY(parts_.journal.append(EffectIntended{"links", "{}"}));
    TRY(link_all());
    TRY(parts_.journal.append(EffectConfirmed{"links", "{}"}));
  } else if (migration_.sync == Sync::capture) {
    TRY(start_feeds(Direction::forward));
  }
  for (const Move& move : migration_.moves) {
    Result<std::string> tested = try_one_row(move);
    if (!tested.ok()) {
      // A server that is away has tried nothing.
      if (tested.error().code == ErrorCode::unavailable) return std::move(tested).error();
      return take_back_what_is_prepared(
          std::move(tested).error().within("trying one row on " + move.to),
          "the trial of one row failed");
    }
    parts_.events.emit({"self_test_passed", {{"table", move.to}, {"tried", tested.value()}}});
  }
  TRY(parts_.journal.append(EffectIntended{"prepared", "{}"}));
  nlohmann::json births = nlohmann::json::object();
  for (const Move& move : migration_.moves) {
    ASSIGN_OR_RETURN(births[std::to_string(move.index)], birth_of(move, true));
  }
  TRY(parts_.journal.append(EffectConfirmed{"prepared", births.dump()}));
  return mark();
}

// A store that takes one writer at a time gets its tables one after the other: two copies would
// only wait for each other, and take each other for the application.
Status Engine::copy() {
  using Copies = std::deque<std::shared_ptr<Copy>>;
  TRY(raise_capacity());
  std::map<std::pair<std::string, int>, Copies> lanes;
  const State state = parts_.journal.state();
  for (const Move& move : migration_.moves) {
    const auto it = state.copies.find(move.index);
    if (it != state.copies.end() && it->second.at_end) continue;
    const int lane = move.index % std::max(move.target->capabilities().writers_max, 1);
    lanes[{move.target->identity(), lane}].push_back(std::make_shared<Copy>(
        migration_.moves, move, migration_.sync != Sync::dual, limits_, rate_, parts_.journal,
        parts_.clock, parts_.events,
        [this](const Move& m, const Row& key, const Error& why) { return reject(m, key, why); }));
  }
  std::vector<Task> tasks;
  for (auto& lane : lanes) {
    tasks.push_back([this, copies = std::move(lane.second)]() mutable -> Result<Step> {
      TRY(poll_requests());
      TRY(wait_while_paused());
      if (must_stop()) return Step::done;
      ASSIGN_OR_RETURN(const Step step, copies.front()->step());
      if (step == Step::done) copies.pop_front();
      return copies.empty() ? Step::done : Step::again;
    });
  }
  add_listeners(tasks);
  TRY(parts_.executor.run(std::move(tasks)));
  if (must_stop()) return {};
  copied_now_ = true;
  TRY(lower_capacity());
  return build_indexes();
}

// A store may remember changes only for a while: what has come is taken in beside the copy.
Status Engine::listen(Direction direction) {
  for (const std::shared_ptr<Store>& store : stores_of(direction)) {
    const std::string feed = feed_name(direction, *store);
    if (!parts_.journal.state().confirmed("feed:" + feed)) continue;
    TRY(store->capture().listen(feed));
  }
  return {};
}

// With every step of a copy somebody looks whether it is time to listen again.
void Engine::add_listeners(std::vector<Task>& tasks) {
  if (migration_.sync != Sync::capture) return;
  for (Task& task : tasks) {
    task = [this, step = std::move(task)]() mutable -> Result<Step> {
      bool due = false;
      {
        const std::lock_guard lock(requests_);
        const Milliseconds now = parts_.clock.monotonic();
        due = now - listened_ >= listen_every;
        if (due) listened_ = now;
      }
      if (due) TRY(listen(Direction::forward));
      return step();
    };
  }
}

// A copy that was made while others wrote may hold a value twice that moved from one row to another
// meanwhile: the row that has lost it is carried over first, and then it is tried again.
Status Engine::build_index(const Move& move, const std::string& ddl) {
  constexpr int tries_max = 20;
  for (int tries = 1;; ++tries) {
    Status built = move.target->catalog().create_index(ddl);
    const bool may_be_late = !built.ok() && built.error().code == ErrorCode::refused &&
                             migration_.sync != Sync::dual && tries < tries_max;
    if (!may_be_late) return built;
    ASSIGN_OR_RETURN(const bool carried, migration_.sync == Sync::capture
                                             ? drain(Direction::forward, std::nullopt)
                                             : reconcile(move, Direction::forward, std::nullopt));
    if (!carried) return Error{ErrorCode::cancelled, "stopped as asked"};
  }
}

// Indexes that were left out of the copy; each is one statement, so a crash repeats one.
Status Engine::build_indexes() {
  TRY(parts_.journal.append(EffectIntended{"indexes", "{}"}));
  for (const Move& move : migration_.moves) {
    if (move.indexes != Indexes::after) continue;
    for (const std::string& ddl : move.mapping.target.index_ddl) {
      const Milliseconds began = parts_.clock.monotonic();
      parts_.events.emit({"index_begun", {{"table", move.name}}});
      Status built = build_index(move, ddl);
      if (!built.ok()) return std::move(built).error().within("building an index of " + move.to);
      const Milliseconds took = parts_.clock.monotonic() - began;
      parts_.events.emit(
          {"index_built", {{"table", move.name}, {"ms", std::int64_t{took.count()}}}});
    }
  }
  for (const Move& move : migration_.moves) {
    Catalog& catalog = move.target->catalog();
    TRY(catalog.complete(move.mapping.target));
    if (!move.creates_target) continue;
    TRY(tell_unlike(catalog, move.mapping.target, move.stored_target(), move.name, parts_.events));
  }
  TRY(try_exchanges());
  TRY(carry_numbers(Direction::forward));
  return parts_.journal.append(EffectConfirmed{"indexes", "{}"});
}

// Numbers that one side has given must not be given again by the other.
Status Engine::carry_numbers(Direction direction) {
  for (const Move& move : migration_.moves) {
    // Among rows of others the target gives its own numbers, behind those that came with rows.
    if (move.own != nullptr && direction == Direction::forward) {
      const Status raised = move.target->catalog().raise_number(move.mapping.target.name, 0);
      if (!raised.ok() && raised.error().code != ErrorCode::refused) return raised;
      if (!raised.ok()) {
        parts_.events.emit({"numbers_stay", {{"table", move.to}, {"why", raised.error().message}}});
      }
    }
    const bool are_shared = move.mapping.key_is_copied && move.own == nullptr;
    if (!are_shared || left_out_.contains(move.index)) continue;
    const bool forward = direction == Direction::forward;
    Catalog& from = (forward ? move.source : move.target)->catalog();
    Catalog& to = (forward ? move.target : move.source)->catalog();
    const std::string& read = (forward ? move.mapping.source : move.mapping.target).name;
    const std::string& raised = (forward ? move.mapping.target : move.mapping.source).name;
    ASSIGN_OR_RETURN(const std::int64_t last, from.last_number(read));
    TRY(to.raise_number(raised, last));
  }
  return {};
}

}  // namespace whimbrel
