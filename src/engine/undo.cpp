// The way back, and the end of it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/counted.h"
#include "base/text.h"
#include "engine/engine.h"
#include "follow/kept.h"
#include "store/image.h"

namespace whimbrel {

namespace {

// Whether the table was not there before.
bool was_made(const Effect& target) {
  return target.undo.find("\"made\":true") != std::string::npos;
}

constexpr int undo_hold_attempts_max = 20;

// Collects what the source cannot hold, pair by pair, while the store lets nobody write.
class KeepUnheld final : public PairSink {
 public:
  KeepUnheld(const Migration& migration, Journal& journal, Sidecar& sidecar)
      : migration_(migration), journal_(journal), sidecar_(sidecar), notes_(journal) {}

  Status pair(const Link& link, const std::optional<Row>& source, const Row& target) override {
    TRY(notes_.begin());
    for (const Move& move : migration_.moves) {
      if (move.name != link.id) continue;
      const Row key = key_of(target, move.mapping.target_key);
      if (!source ||
          !key_that_leads_back(move.mapping, key, move.source->catalog(), move.target->catalog())) {
        TRY(keep_whole_row(journal_, move, key, target));
        continue;
      }
      TRY(keep_unheld(journal_, move.index, key,
                      unheld(move.mapping, *source, target, move.target->catalog())));
    }
    return {};
  }
  Status gone(const Link& link, const Row& target_key) override {
    TRY(notes_.begin());
    for (const Move& move : migration_.moves) {
      if (move.name == link.id) TRY(keep_unheld(journal_, move.index, target_key, {}));
    }
    return {};
  }
  Status flush() override {
    TRY(notes_.commit());
    ASSIGN_OR_RETURN(const std::vector<KeptRow> rows, journal_.kept());
    return sidecar_.kept(migration_, rows);
  }

 private:
  const Migration& migration_;
  Journal& journal_;
  Sidecar& sidecar_;
  KeptBatch notes_;
};

std::string feed_of(const Effect& effect) {
  return effect.id.substr(std::string_view("feed:").size());
}

}  // namespace

// By a null no row is found again, and two rows may have one: a person has to say which is which.
Status Engine::no_key_is_null() {
  if (migration_.sync == Sync::dual) return {};
  for (const Move& move : migration_.moves) {
    const Dialect* dialect = move.target->dialect();
    if (dialect == nullptr || left_out_.contains(move.index)) continue;
    const TableSchema& table = move.mapping.target;
    std::vector<std::string> nulls;
    for (const std::string& column : table.key) {
      const auto at = static_cast<std::size_t>(table.column_index(column));
      if (!table.columns[at].nullable || table.columns[at].hidden) continue;
      nulls.push_back(dialect->quote(column) + " IS NULL");
    }
    if (nulls.empty()) continue;
    ASSIGN_OR_RETURN(
        const Value rows,
        move.target->ask(fmt::format("SELECT count(*) FROM {} WHERE {}",
                                     move.target->sql_name(table.name), join(nulls, " OR "))));
    const auto* count = rows.get_if<std::int64_t>();
    if (count == nullptr || *count == 0) continue;
    return Error{
        ErrorCode::refused,
        fmt::format("{} of {} with a null in the key: what the new side wrote there cannot "
                    "be brought back",
                    rows_text(*count), move.to),
        "give each of them a key, or delete them; then roll back again",
        "nothing is switched back; the new side still serves",
        {},
        ""};
  }
  return {};
}

// Hold the side that serves, carry its last writes back, put every switch back as it was found.
// Nobody will be held, and what is on its way when the switch is put back meets writers of the
// other side: a row that was deleted there meanwhile cannot be told from one that never was. So
// little is to be on its way: again, until a round is short or no shorter than the one before.
Status Engine::come_close() {
  constexpr int rounds_max = 10;
  constexpr Milliseconds is_close{100};
  Milliseconds before = Milliseconds::max();
  for (int round = 0; round < rounds_max; ++round) {
    const Milliseconds began = parts_.clock.monotonic();
    ASSIGN_OR_RETURN(const bool drained, drain(Direction::backward, std::nullopt));
    if (!drained) return Error{ErrorCode::cancelled, "stopped as asked"};
    const Milliseconds took = parts_.clock.monotonic() - began;
    if (took <= is_close || took > before) return {};
    before = took;
  }
  return {};
}

Status Engine::switch_back() {
  TRY(no_key_is_null());
  TRY(let_go_of_the_last_hold());
  TRY(in_new_tables(&Retyping::bring_back, "brought_back",
                    "bringing back rows that referred to nothing",
                    "nothing is switched back: the new tables serve, and what the rows were is "
                    "kept; `whimbrel rollback` tries it again"));
  const std::vector<HeldTables> held = tables_to_hold(Direction::backward);
  // What has waited for days is carried back before anybody is held.
  ASSIGN_OR_RETURN(const bool dry, drain(Direction::backward, std::nullopt));
  if (!dry) return Error{ErrorCode::cancelled, "stopped as asked"};
  TRY(carry_numbers(Direction::backward));
  TRY(look_again_at_what_leads_nowhere());
  if (migration_.hold_none) TRY(come_close());
  for (int attempt = 1;; ++attempt) {
    ASSIGN_OR_RETURN(const Flipped back,
                     cutover_.flip_back(held, [this](TimePoint until) -> Result<bool> {
                       ASSIGN_OR_RETURN(const bool drained, drain(Direction::backward, until));
                       return drained ? is_silent(Direction::backward, until) : Result<bool>(false);
                     }));
    if (back == Flipped::yes) break;
    if (back == Flipped::unknown) {
      TRY(cutover_.let_go(held));
      return Error{
          ErrorCode::outcome_unknown,
          "a switch may or may not have been put back",
          "look at it, put it back by hand if it is not, and run `whimbrel rollback` again",
          "no row was removed; both sides keep their rows",
          {},
          ""};
    }
    if (attempt >= undo_hold_attempts_max) {
      return Error{ErrorCode::unavailable,
                   "the hold expired before the last write was carried back",
                   "raise `max_hold`, or try again at a quieter time",
                   "nothing is switched back; the new side still serves",
                   {},
                   ""};
    }
    const Milliseconds pause(50 * attempt);
    parts_.clock.sleep_for(pause + Milliseconds(parts_.random.below(pause.count())));
  }
  TRY(carry_late_writes(Direction::backward));
  TRY(wait_for_stragglers(Direction::backward));
  TRY(bring_back_what_went_along());
  TRY(carry_numbers(Direction::backward));
  TRY(let_go_and_carry(held, Direction::backward));
  tell_what_is_not_settled();
  return {};
}

// It may follow from its row by now: whoever writes both may have written this one first.
Status Engine::look_again_at_what_leads_nowhere() {
  ASSIGN_OR_RETURN(const std::vector<KeptRow> kept, parts_.journal.kept());
  std::map<Store*, Follow::KeysByTable> by_store;
  for (const KeptRow& one : kept) {
    if (one.move >= std::ssize(migration_.moves)) continue;
    const Move& move = migration_.moves[static_cast<std::size_t>(one.move)];
    if (!move.mapping.follows_only) continue;
    ASSIGN_OR_RETURN(Row key, key_from(one));
    by_store[move.target.get()][move.mapping.target.name].insert(std::move(key));
  }
  for (const auto& [store, keys] : by_store) {
    TRY(make_follow(Direction::backward, *store).keep_what_leads_nowhere(keys));
  }
  return {};
}

Status Engine::unlink_all() {
  KeepUnheld sink(migration_, parts_.journal, parts_.sidecar);
  for (const auto& store : stores_of(Direction::backward)) {
    TRY(store->capture().unlink(links_in(*store), sink));
  }
  return {};
}

Store* Engine::store_of_feed(const std::string& feed) const {
  for (const Direction direction : {Direction::forward, Direction::backward}) {
    for (const auto& store : stores_of(direction)) {
      if (feed_name(direction, *store) == feed) return store.get();
    }
  }
  return nullptr;
}

// Among rows of others; what somebody changed since is his. `number`: the last one that the table
// had given before; it is that again unless somebody else got a higher one meanwhile.
Status Engine::take_away(const Move& move, std::optional<std::int64_t> number) {
  if (number) {
    Catalog& catalog = move.target->catalog();
    ASSIGN_OR_RETURN(const std::int64_t last, catalog.last_number(move.mapping.target.name));
    const std::vector<Row> key = {{Value::integer(last)}};
    ASSIGN_OR_RETURN(const auto ours, move.own->find(key));
    // First: a rollback that is cut off would no longer know that it was ours.
    const bool gives_it_back = last > *number && ours.front().has_value();
    if (gives_it_back) TRY(catalog.put_number_back(move.mapping.target.name, *number));
  }
  ASSIGN_OR_RETURN(const auto reader, move.target->open_reader(move.mapping.target));
  ASSIGN_OR_RETURN(
      const auto writer,
      move.target->open_writer(move.mapping.target, written_columns(move.mapping.forward)));
  const OwnPlace place{*move.own, *reader, *writer, move.mapping, move.to, move.on_conflict};
  return take_away_own(place, [&](const OwnRow& row) -> Status {
    parts_.events.emit({"row_left_alone", {{"table", move.to}}});
    return reject(move, row.source_key,
                  Error{ErrorCode::conflict, "its row " + show(row.target_key) + " of " + move.to +
                                                 " was changed by somebody: it was left alone"});
  });
}

// Several tables may have been copied into one, and a row of one wait for a value that a row of
// another holds.
Status Engine::take_away_together(const Move& move, std::optional<std::int64_t> number) {
  Status taken = take_away(move, number);
  if (taken.ok() || taken.error().code != ErrorCode::data_mismatch) return taken;
  bool has_others = false;
  for (const Move& other : migration_.moves) {
    const bool is_beside = &other != &move && other.own != nullptr && other.to == move.to;
    if (!is_beside) continue;
    has_others = true;
    Status also = take_away(other, std::nullopt);
    if (!also.ok() && also.error().code != ErrorCode::data_mismatch) return also;
  }
  return has_others ? take_away(move, std::nullopt) : taken;
}

// A table that the copy made, and in which others have rows by now, is theirs.
Status Engine::drop_if_empty(const Move& move) {
  Catalog& catalog = move.target->catalog();
  const Result<TableSchema> there = catalog.describe(move.mapping.target.name);
  if (!there.ok()) return there.error().code == ErrorCode::not_found ? Status() : there.error();
  ASSIGN_OR_RETURN(const auto reader, move.target->open_reader(there.value()));
  ASSIGN_OR_RETURN(const std::int64_t rows, reader->count());
  if (rows == 0) return catalog.drop(move.mapping.target.name);
  parts_.events.emit({"table_left", {{"table", move.to}, {"rows", rows}}});
  return {};
}

// A table in which several moves have their rows, told apart by their keys: what the new
// application wrote under keys of none of them belongs to nobody here, and would go with the table.
Result<std::int64_t> Engine::rows_of_no_move(const Move& move) const {
  const std::string table = move.stored_target();
  if (table == move.mapping.target.name) return std::int64_t{0};
  const Result<TableSchema> there = move.target->catalog().describe(table);
  if (!there.ok()) {
    return there.error().code == ErrorCode::not_found ? Result<std::int64_t>(0) : there.error();
  }
  ASSIGN_OR_RETURN(const auto whole, move.target->open_reader(there.value()));
  ASSIGN_OR_RETURN(std::int64_t rows, whole->count());
  for (const Move& other : migration_.moves) {
    if (&other != &move && !other.has_rows_beside(move)) continue;
    ASSIGN_OR_RETURN(const auto part, other.target->open_reader(other.mapping.target));
    ASSIGN_OR_RETURN(const std::int64_t ours, part->count());
    rows -= ours;
  }
  return std::max(rows, std::int64_t{0});
}

// All but the rows of nobody.
Status Engine::drop_or_empty(const Move& move) {
  ASSIGN_OR_RETURN(const std::int64_t rows, rows_of_no_move(move));
  if (rows == 0) return move.target->catalog().drop(move.mapping.target.name);
  for (const Move& other : migration_.moves) {
    if (&other != &move && !other.has_rows_beside(move)) continue;
    TRY(other.target->catalog().clear(other.mapping.target.name));
  }
  parts_.events.emit({"table_left", {{"table", move.to}, {"rows", rows}}});
  return {};
}

Status Engine::undo_effect(const Effect& effect) {
  const std::string_view id = effect.id;
  if (id == "hold" || id.starts_with("hold:")) return let_go_of_the_last_hold();
  if (id.starts_with("capacity:")) return give_capacity_up(effect);
  if (id == "links") {
    // No longer confirmed: after a crash nobody mends links that are already gone.
    if (effect.confirmed) TRY(parts_.journal.append(EffectIntended{effect.id, effect.undo}));
    return unlink_all();
  }
  if (id.starts_with("feed:")) {
    // No longer confirmed: after a crash nobody reads a feed that is already gone.
    TRY(parts_.journal.append(EffectIntended{effect.id, effect.undo}));
    const std::string feed = feed_of(effect);
    Store* const store = store_of_feed(feed);
    return store == nullptr ? Status() : store->capture().stop(feed);
  }
  if (id.starts_with("target:")) {
    for (const Move& move : migration_.moves) {
      if (id != fmt::format("target:{}", move.index)) continue;
      ASSIGN_OR_RETURN(const bool is_it, is_as_prepared(move, false));
      if (!is_it && move.own == nullptr) {  // somebody else's, in the place of ours
        parts_.events.emit({"table_left", {{"table", move.to}, {"another", true}}});
        return {};
      }
      Catalog& catalog = move.target->catalog();
      const bool made = was_made(effect);
      const nlohmann::json before = nlohmann::json::parse(effect.undo, nullptr, false);
      std::optional<std::int64_t> number;
      if (before.is_object() && before.contains("last_number")) {
        number = before.value("last_number", std::int64_t{0});
      }
      if (move.own != nullptr) {
        const Result<TableSchema> there = catalog.describe(move.mapping.target.name);
        if (!there.ok() && there.error().code != ErrorCode::not_found) return there.error();
        if (!there.ok()) {
          parts_.events.emit({"table_gone", {{"table", move.to}}});
          return {};
        }
        TRY(take_away_together(move, number));
        return made ? drop_if_empty(move) : Status();
      }
      if (made) return drop_or_empty(move);
      TRY(catalog.clear(move.mapping.target.name));
      return number ? catalog.put_number_back(move.mapping.target.name, *number) : Status();
    }
  }
  if (id == "claim") {
    // No longer confirmed: a database without it is then none that was exchanged.
    if (effect.confirmed) TRY(parts_.journal.append(EffectIntended{effect.id, effect.undo}));
    for (const auto& [alias, store] : migration_.stores)
      TRY(store->disown(migration_.name, parts_.journal.id()));
  }
  return {};  // backups stay; the rest are marks of ours
}

// One effect, newest first; the journal says after each what is left.
Status Engine::undo() {
  if (cutover_.any_switch_was_intended()) return switch_back();
  const State state = parts_.journal.state();
  if (state.effects.empty()) return {};
  const Effect newest = state.effects.back();
  const auto leads_back = [](const Effect& effect) {
    return effect.id.starts_with("feed:backward") && effect.confirmed;
  };
  if (std::ranges::any_of(state.effects, leads_back)) {
    // What a feed tells late would go with it.
    Store* const store = leads_back(newest) ? store_of_feed(feed_of(newest)) : nullptr;
    if (store != nullptr) TRY(store->capture().end(feed_of(newest)));
    // No switch of ours was set, but whoever wrote to the new side must not lose it.
    TRY(carry_late_writes(Direction::backward));
    TRY(carry_numbers(Direction::backward));
    TRY(look_again_at_what_leads_nowhere());
  }
  if (newest.id.starts_with("target:") && migration_.sync != Sync::dual) {
    ASSIGN_OR_RETURN(const std::vector<KeptRow> rows, parts_.journal.kept());
    TRY(parts_.sidecar.kept(migration_, rows));
  }
  Status undone = undo_effect(newest);
  if (!undone.ok()) {
    return std::move(undone)
        .error()
        .within("undoing " + newest.id)
        .saying_safe("what was undone is journaled; `whimbrel rollback` goes on here");
  }
  if (parts_.journal.state().effect(newest.id) == nullptr) return {};
  TRY(parts_.journal.append(EffectUndone{newest.id}));
  // Copies that were made for the worst case stay.
  if (!newest.id.starts_with("backup")) {
    const bool is_target = newest.id.starts_with("target:");
    std::string table;
    for (const Move& move : migration_.moves) {
      if (newest.id == fmt::format("target:{}", move.index)) table = move.to;
    }
    const bool was_there = is_target && !was_made(newest);
    parts_.events.emit(
        {"effect_undone", {{"effect", newest.id}, {"table", table}, {"was_there", was_there}}});
  }
  return {};
}

// After `finish`, and after one that removed no table, nobody followed. The old tables are there
// (again) as they were then: links or a feed first, then every row is compared and what the new
// side has written since is carried over.
Status Engine::reopen() {
  for (const Move& move : migration_.moves) {
    const Result<TableSchema> there = move.source->catalog().describe(move.mapping.source.name);
    if (there.ok()) continue;
    return Error(there.error())
        .with_hint("bring it back first: `whimbrel restore` takes it from a backup")
        .saying_safe("nothing was changed; the application uses the new side");
  }
  for (const auto& [alias, store] : migration_.stores) {
    TRY(store->claim(migration_.name, parts_.journal.id()));
  }
  TRY(mark());
  const State state = parts_.journal.state();
  for (const Effect& effect : state.effects) {
    // `finish` ended them, or an interrupted call of this has begun them again.
    const bool unsure = effect.id.starts_with("feed:") || effect.id == "links";
    if (unsure) TRY(parts_.journal.append(EffectIntended{effect.id, effect.undo}));
  }
  if (migration_.sync == Sync::dual) {
    TRY(parts_.journal.append(EffectIntended{"links", "{}"}));
    TRY(link_all());
    TRY(parts_.journal.append(EffectConfirmed{"links", "{}"}));
  } else {
    TRY(start_feeds(Direction::backward));
    // It tells who writes to the old side again before everybody is back there.
    TRY(start_feeds(Direction::forward));
  }
  Result<bool> compared = bring_up_to_date();
  const bool refused = !compared.ok() && compared.error().code == ErrorCode::refused;
  if (refused && migration_.sync == Sync::dual) {
    // What the old table refuses must not be refused to the application by a trigger.
    for (const auto& store : stores_of(Direction::backward)) {
      TRY(store->capture().cut(links_in(*store)));
    }
  }
  if (!compared.ok()) {
    Error error = std::move(compared).error();
    if (refused) error.code = ErrorCode::data_mismatch;  // the old table is there again
    return std::move(error)
        .with_hint(
            "correct the row on the new side, or the constraint of the old table, then roll "
            "back again")
        .saying_safe(
            "nothing is switched back: the application uses the new side; the old table "
            "is there again beside it");
  }
  if (!compared.value()) return Error{ErrorCode::cancelled, "stopped as asked"};
  TRY(forget_what_is_gone());
  TRY(give_no_number_again());
  return enter(Phase::watching, "the old side was brought back and up to date");
}

// Nobody has followed. Where the old tables stood there all the while somebody may have written to
// them: what gives way is written down first.
Result<bool> Engine::bring_up_to_date() {
  const bool stood_there =
      parts_.journal.phase() == Phase::finishing ||
      (migration_.finish.keep_source && migration_.finish.rename_source_to.empty());
  for (const Move& move : migration_.moves) {
    ASSIGN_OR_RETURN(const bool compared, bring_up_to_date(move, stood_there));
    if (!compared) return false;
  }
  return true;
}

Result<bool> Engine::bring_up_to_date(const Move& move, bool notes_what_gives_way) {
  std::int64_t gave_way = 0;
  const Reconcile::GivesWay note = [&](const Row& key, const Row& before) {
    ++gave_way;
    return parts_.sidecar.repaired(move.from, move.mapping.source.column_names(), key, before);
  };
  ASSIGN_OR_RETURN(const bool compared,
                   reconcile(move, Direction::backward, std::nullopt,
                             notes_what_gives_way ? note : Reconcile::GivesWay()));
  if (gave_way > 0) parts_.events.emit({"gave_way", {{"table", move.name}, {"rows", gave_way}}});
  return compared;
}

// Looked at before the way back is given up.
Status Engine::archive_name_is_free() {
  const std::string& name = migration_.finish.rename_source_to;
  if (name.empty() || migration_.moves.empty()) return {};
  if (!migration_.moves.front().source->catalog().name_is_taken(name)) return {};
  return Error{ErrorCode::refused,
               fmt::format("the old table cannot be called {}: the name is taken", name),
               "rename or drop what is called so, then finish again",
               "nothing was changed; the way back is open",
               {},
               ""};
}

// The old tables of one store, which are to go together.
std::vector<const Mapping*> Engine::retired_from(const Store& store) const {
  std::vector<const Mapping*> mappings;
  for (const Move& move : migration_.moves) {
    if (move.source.get() == &store) mappings.push_back(&move.mapping);
  }
  return mappings;
}

// Once the way back is given up nothing is to stand in the way of the rest.
Status Engine::tables_can_go() {
  const FinishPlan& plan = migration_.finish;
  if (plan.rename_source_to.empty() && plan.keep_source) return {};
  for (const auto& store : stores_of(Direction::forward)) {
    Status possible =
        store->catalog().can_retire(retired_from(*store), plan.rename_source_to, plan.view);
    if (possible.ok()) continue;
    std::string hint = possible.error().hint;
    if (hint.empty()) hint = "put that right, then finish again";
    return std::move(possible)
        .error()
        .within("looking whether the old tables can go")
        .with_hint(hint)
        .saying_safe("nothing was changed; the way back is open");
  }
  return {};
}

// The old tables are gone by then, and the plan no longer binds: the journal knows where they were.
std::shared_ptr<Store> Engine::store_of_the_archive() {
  const nlohmann::json about = nlohmann::json::parse(parts_.journal.state().tables, nullptr, false);
  std::string alias;
  if (about.is_object() && about.contains("tables") && !about["tables"].empty()) {
    const std::string from = about["tables"][0].value("from", "");
    alias = from.substr(0, from.find('/'));
  }
  const auto it = migration_.stores.find(alias);
  return it == migration_.stores.end() ? migration_.stores.begin()->second : it->second;
}

Status Engine::can_finish(std::optional<Milliseconds> after) {
  const State state = parts_.journal.state();
  if (state.phase == Phase::finishing || state.phase == Phase::finished) return {};
  if (state.phase != Phase::watching) {
    return Error{ErrorCode::refused,
                 fmt::format("only a switched migration can be finished; this one is {}",
                             name_of(state.phase)),
                 "`whimbrel run` switches over",
                 "nothing was changed",
                 {},
                 ""};
  }
  const TimePoint due = state.phase_since + after.value_or(migration_.finish.after);
  if (parts_.clock.now() >= due) {
    TRY(enough_clean_checks(state));
    return nothing_differs(state);
  }
  return Error{ErrorCode::refused,
               fmt::format("too early: the plan keeps the way back open until {}{}",
                           to_iso8601(due), and_after_clean_checks(state)),
               "wait, or say `--after 0s` to give up the way back now",
               "nothing was changed",
               {},
               ""};
}

// By the latest comparison. With the old tables goes what tells which side is right.
Status Engine::nothing_differs(const State& state) const {
  const bool differs = state.verified && state.verified->differing > 0;
  // `watch` has compared since, and found them equal.
  const bool settled =
      state.checked && state.checked->clean && state.checked_at > state.verified_at;
  if (!differs || settled || parts_.finishes_all_the_same) return {};
  const std::int64_t rows = state.verified->differing;
  return Error{
      ErrorCode::refused,
      fmt::format("the latest comparison, {}, found {} that {}", to_iso8601(state.verified_at),
                  rows_text(rows), rows == 1 ? "differs" : "differ"),
      "`whimbrel verify` names what still differs, and `whimbrel verify --repair` puts it "
      "right; `--force` finishes all the same",
      "nothing was changed; the way back is open",
      {},
      ""};
}

Status Engine::try_finish(std::optional<Milliseconds> after) {
  TRY(can_finish(after));
  if (parts_.journal.phase() != Phase::watching) return {};
  TRY(new_tables_are_there());
  TRY(old_tables_are_as_prepared());
  TRY(cutover_.expect_on());
  return archive_name_is_free();
}

std::string Engine::and_after_clean_checks(const State& state) const {
  const std::int64_t missing = migration_.finish.clean_checks - state.clean_checks;
  if (missing <= 0 || parts_.finishes_all_the_same) return "";
  return fmt::format(", and until {} more checks in a row were clean", missing);
}

Status Engine::enough_clean_checks(const State& state) const {
  const std::int64_t wanted = migration_.finish.clean_checks;
  if (parts_.finishes_all_the_same || state.clean_checks >= wanted) return {};
  const std::string last = state.checked && !state.checked->clean
                               ? fmt::format("; the last one, {}, was not clean: {}",
                                             to_iso8601(state.checked_at), state.checked->why)
                               : "";
  return Error{
      ErrorCode::refused,
      fmt::format("too early: the plan wants {} clean checks in a row, and there {} {}{}", wanted,
                  state.clean_checks == 1 ? "is" : "are", state.clean_checks, last),
      fmt::format("`whimbrel watch` makes one, and one in {} counts; `--force` finishes "
                  "without them",
                  to_duration_text(migration_.watch.every)),
      "nothing was changed",
      {},
      ""};
}

// A table that comes back from a backup would give numbers again that it has given since.
Status Engine::remember_numbers() {
  if (parts_.journal.state().confirmed("numbers")) return {};
  nlohmann::json numbers = nlohmann::json::object();
  for (const Move& move : migration_.moves) {
    ASSIGN_OR_RETURN(const std::int64_t last,
                     move.source->catalog().last_number(move.mapping.source.name));
    if (last > 0) numbers[std::to_string(move.index)] = last;
  }
  if (numbers.empty()) return {};
  TRY(parts_.journal.append(EffectIntended{"numbers", "{}"}));
  return parts_.journal.append(EffectConfirmed{"numbers", numbers.dump()});
}

Status Engine::give_no_number_again() {
  const State state = parts_.journal.state();
  const Effect* known = state.effect("numbers");
  if (known == nullptr) return {};
  const nlohmann::json numbers = nlohmann::json::parse(known->result, nullptr, false);
  if (!numbers.is_object()) return {};
  for (const Move& move : migration_.moves) {
    const std::int64_t last = numbers.value(std::to_string(move.index), std::int64_t{0});
    if (last > 0) TRY(move.source->catalog().raise_number(move.mapping.source.name, last));
  }
  return {};
}

// It would go with the old tables.
Status Engine::finish_takes_no_late_write() {
  Status none = no_write_came_late();
  if (none.ok() || none.error().code != ErrorCode::data_mismatch) return none;
  Error error = std::move(none).error();
  error.code = ErrorCode::refused;
  error.hint += "; `whimbrel finish --force` gives these writes up";
  error.safe = "nothing was removed; the way back is open";
  return error;
}

Status Engine::retire_old_tables() {
  const FinishPlan& plan = migration_.finish;
  for (const auto& store : stores_of(Direction::forward)) {
    Status retired =
        store->catalog().retire(retired_from(*store), plan.rename_source_to, plan.view);
    if (retired.ok()) continue;
    const Result<bool> there = tables_are_there();
    if (!there.ok() || !there.value()) return retired;
    Error error = std::move(retired).error().saying_safe(
        "no table was removed: `whimbrel finish` goes on here, and `whimbrel rollback` still goes "
        "back");
    // Nothing follows any more, and the archive may have been taken: that is not as it was.
    if (error.code == ErrorCode::refused) error.code = ErrorCode::unavailable;
    return error;
  }
  return {};
}

Status Engine::nothing_refers_to_the_archive() {
  const std::string& name = migration_.finish.rename_source_to;
  const Result<TableSchema> there = store_of_the_archive()->catalog().describe(name);
  std::vector<std::string> others =
      there.ok() ? there.value().referenced_by : std::vector<std::string>();
  std::erase_if(others, [&](const std::string& one) { return ascii_iequals(one, name); });
  if (others.empty()) return {};
  return Error{
      ErrorCode::refused,
      fmt::format("{} refers to the archive {} by a foreign key", join(others, ", "), name),
      "let it refer to the new table, or drop that key, then finish again",
      "nothing was changed",
      {},
      ""};
}

Result<EngineOutcome> Engine::finish(std::optional<Milliseconds> after) {
  const State state = parts_.journal.state();
  const FinishPlan& plan = migration_.finish;
  if (state.phase == Phase::finished) {
    if (!plan.drop_after || plan.rename_source_to.empty() || state.confirmed("archive_dropped")) {
      return EngineOutcome{Phase::finished, "already finished", false};
    }
    const TimePoint due = state.phase_since + *plan.drop_after;
    if (parts_.clock.now() < due) {
      return EngineOutcome{Phase::finished,
                           fmt::format("finished; the archive {} stays until {}",
                                       plan.rename_source_to, to_iso8601(due)),
                           false};
    }
    TRY(nothing_refers_to_the_archive());
    if (parts_.archive) TRY(parts_.archive());
    TRY(parts_.journal.append(EffectIntended{"archive_dropped", "{}"}));
    TRY(store_of_the_archive()->catalog().drop(plan.rename_source_to));
    TRY(parts_.journal.append(EffectConfirmed{"archive_dropped", "{}"}));
    return EngineOutcome{Phase::finished, "the archive " + plan.rename_source_to + " is removed",
                         false};
  }
  TRY(can_finish(after));
  return remembered(finish_switched(state.phase));
}

Result<EngineOutcome> Engine::finish_switched(Phase phase) {
  const FinishPlan& plan = migration_.finish;
  TRY(lower_capacity());
  if (phase == Phase::watching) {
    TRY(reclaim(false));
    TRY(cutover_.expect_on());
    TRY(run_checks(CheckAt::watch));
    TRY(archive_name_is_free());
    TRY(tables_can_go());
    TRY(new_tables_are_there());
    // The archive is to hold what was written until now.
    ASSIGN_OR_RETURN(const bool there, tables_are_there());
    if (there) TRY(mend(false));
    ASSIGN_OR_RETURN(const bool dry,
                     there ? drain(Direction::backward, std::nullopt) : Result<bool>(true));
    if (!dry) return Error{ErrorCode::cancelled, "stopped as asked"};
    if (there && !parts_.finishes_all_the_same) TRY(finish_takes_no_late_write());
    TRY(enter(Phase::finishing, "the way back is given up"));
    TRY(mark());
  }
  for (const Direction direction : {Direction::forward, Direction::backward}) {
    for (const auto& store : stores_of(direction)) {
      if (migration_.sync == Sync::dual) {
        TRY(store->capture().cut(links_in(*store)));
      } else {
        TRY(store->capture().stop(feed_name(direction, *store)));
      }
    }
  }
  if (Status archived = parts_.archive ? parts_.archive() : Status(); !archived.ok()) {
    Error error = std::move(archived).error();
    if (error.code == ErrorCode::refused) error.code = ErrorCode::unavailable;
    error.safe =
        "no table was removed: `whimbrel finish` goes on here, and `whimbrel rollback` still goes "
        "back";
    return error;
  }
  TRY(remember_numbers());
  if (!plan.rename_source_to.empty() || !plan.keep_source) TRY(retire_old_tables());
  for (const auto& [alias, store] : migration_.stores) {
    TRY(store->disown(migration_.name, parts_.journal.id()));
  }
  TRY(enter(Phase::finished, "nothing of ours is left"));
  TRY(parts_.journal.append(Closed{"finished"}));
  return EngineOutcome{Phase::finished, "finished", false};
}

}  // namespace whimbrel
