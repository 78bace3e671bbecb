// A store that fails as its seed says, around one that does not.
//
// It also holds the engine to the order of writes, call by call: whatever changes a user's database
// has its undo in the journal before (promise 5) and keeps it there until it is undone; a verb that
// reads changes nothing (4); the source is left alone before the switch (6); a chunk begins where
// the journal ends, so that at most one is done again (2); and a hold ends in time.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/text.h"
#include "faults.h"
#include "faulty_journal.h"
#include "plan/migration.h"
#include "store/store.h"
#include "stores/memory/memory_store.h"

namespace whimbrel::simulation {

class FaultyStore final : public Store, private Catalog, private Capture, private Holds {
 public:
  FaultyStore(std::shared_ptr<MemoryStore> inner, Faults& faults, SimulatedClock& clock)
      : inner_(std::move(inner)), faults_(faults), clock_(clock) {}

  // What the rules below are judged by, set before the first call.
  const Migration* migration = nullptr;
  const FaultyJournal* journal = nullptr;
  bool only_reads = false;  // the verb under way must not change anything
  std::int64_t rows_per_chunk_max = 0;
  std::function<Value()> answer;  // to the queries of the plan's checks

  std::vector<std::string> violations;

  // What was asked of the service comes about, whoever has asked.
  void settle_capacity() {
    for (const auto& [table, wanted] : provisioned_) {
      (void)inner_->catalog().provision(table, wanted);
    }
    provisioned_.clear();
  }

  // The machine stops: what a copier has not made durable is gone, unless a later transaction of
  // somebody else has taken it along.
  void lose_power() {
    for (const auto& [table, copied] : not_durable_) {
      if (same_rows(inner_->rows(table), copied.after)) inner_->put_rows_back(table, copied.before);
    }
    not_durable_.clear();
  }

  std::string identity() const override { return inner_->identity(); }
  Capabilities capabilities() const override { return inner_->capabilities(); }
  const Dialect* dialect() const override { return nullptr; }
  Catalog& catalog() override { return *this; }
  Capture& capture() override { return *this; }
  Holds& holds() override { return *this; }

  Result<std::unique_ptr<SnapshotReader>> open_reader(const TableSchema& table) override {
    ASSIGN_OR_RETURN(auto inner, inner_->open_reader(table));
    return std::unique_ptr<SnapshotReader>(
        std::make_unique<Reader>(std::move(inner), *this, table.name));
  }
  Result<std::unique_ptr<BatchWriter>> open_writer(
      const TableSchema& table, const std::vector<std::string>& columns) override {
    ASSIGN_OR_RETURN(auto inner, inner_->open_writer(table, columns));
    return std::unique_ptr<BatchWriter>(
        std::make_unique<Writer>(std::move(inner), *this, table.name));
  }
  Result<std::unique_ptr<InsideCopier>> open_inside(const Mapping& mapping, const Store&) override {
    ASSIGN_OR_RETURN(auto inner, inner_->open_inside(mapping, *inner_));
    return std::unique_ptr<InsideCopier>(std::make_unique<Inside>(
        std::move(inner), *this, mapping.source.name, mapping.target.name));
  }
  Status claim(const std::string& m, const std::string& j) override {
    return changing("claim", "claim", [&] { return inner_->claim(m, j); });
  }
  Status mark(const std::string& m, const std::string& j, std::int64_t records) override {
    return changing("mark", "claim", [&] { return inner_->mark(m, j, records); });
  }
  Result<std::optional<std::int64_t>> marked(const std::string& m, const std::string& j) override {
    return inner_->marked(m, j);
  }
  Result<std::string> claimed_by(const std::string& m) override { return inner_->claimed_by(m); }
  Status disown(const std::string& m, const std::string& journal_id) override {
    return undoing("disown", "claim", [&] { return inner_->disown(m, journal_id); });
  }
  Result<std::string> self_test(const Mapping& mapping, bool linked, const Row& row) override {
    return reading<std::string>("self_test",
                                [&] { return inner_->self_test(mapping, linked, row); });
  }
  Result<std::unique_ptr<Rehearsal>> rehearse(const Mapping& mapping, bool with_others) override {
    return inner_->rehearse(mapping, with_others);
  }
  Status understands(const std::string& query) override { return inner_->understands(query); }
  Result<Value> ask(const std::string&) override {
    return reading<Value>("ask", [&] { return Result<Value>(answer()); });
  }
  Result<std::vector<Finding>> review(const Mapping& mapping, bool dual) override {
    return inner_->review(mapping, dual);
  }

 private:
  template <class T, class F>
  Result<T> reading(const char* call, F&& f) {
    TRY(faults_.before(call));
    ASSIGN_OR_RETURN(T value, f());
    TRY(faults_.after(call));
    return value;
  }
  // `intent`: the effect whose undo has to be in the journal.
  template <class F>
  Status changing(const char* call, const std::string& intent, F&& f) {
    TRY(faults_.before(call));
    expect_intent(call, intent);
    TRY(f());
    return faults_.after(call);
  }
  // `effect`: what the call undoes. It leaves the journal afterwards, never before.
  template <class F>
  Status undoing(const char* call, const std::string& effect, F&& f) {
    TRY(faults_.before(call));
    expect_reader_keeps_still(call);
    const State state = journal->state();
    if (state.phase != Phase::finishing && state.effect(effect) == nullptr) {
      violations.push_back(std::string(call) + " after its effect had left the journal");
    }
    TRY(f());
    return faults_.after(call);
  }
  template <class F>
  Status finishing(const char* call, F&& f) {
    TRY(faults_.before(call));
    expect_reader_keeps_still(call);
    if (journal->phase() != Phase::finishing) {
      violations.push_back(std::string(call) + " although the way back is open");
    }
    TRY(f());
    return faults_.after(call);
  }

  void expect_reader_keeps_still(const char* call) {
    if (only_reads) violations.push_back(std::string(call) + " by a verb that only reads");
  }
  void expect_intent(const char* call, const std::string& intent) {
    expect_reader_keeps_still(call);
    if (journal->state().effect(intent) != nullptr) return;
    violations.push_back(fmt::format("{} before the undo of {} was journaled", call, intent));
  }
  const Move* move_with_target(const std::string& table) const {
    for (const Move& move : migration->moves) {
      if (move.target.get() == this && move.mapping.target.name == table) return &move;
    }
    return nullptr;
  }
  const Move* move_with_source(const std::string& table) const {
    for (const Move& move : migration->moves) {
      if (move.source.get() == this && move.mapping.source.name == table) return &move;
    }
    return nullptr;
  }
  // The effect under which a table is made: as a target, or by a switch that needs it.
  std::string maker_of(const std::string& table) {
    if (const Move* move = move_with_target(table)) return fmt::format("target:{}", move->index);
    if (move_with_source(table) != nullptr) violations.push_back("a source is made or removed");
    for (const Effect& effect : journal->state().effects) {
      if (effect.id.starts_with("switch:")) return effect.id;
    }
    return "switch:";
  }

  // The application's rows may change only once a switch was about to be flipped.
  void expect_right_to_write(const std::string& table, std::span<const Change> changes) {
    if (move_with_target(table) != nullptr) return expect_intent("a write", maker_of(table));
    if (move_with_source(table) != nullptr) {
      expect_reader_keeps_still("a write");
      if (!journal->reached_a_switch())
        violations.push_back("the source is written before a switch");
      return;
    }
    for (const Change& change : changes) {
      const auto* name = change.key.at(0).get_if<std::string>();
      expect_intent("a flip", "switch:" + (name == nullptr ? "?" : *name));
    }
  }

  struct Copied {
    std::vector<Row> before;
    std::vector<Row> after;
  };
  static bool same_rows(const std::vector<Row>& left, const std::vector<Row>& right) {
    return std::ranges::equal(left, right, [](const Row& a, const Row& b) { return same(a, b); });
  }
  void may_be_lost(const std::string& table, std::vector<Row> before) {
    const auto it = not_durable_.find(table);
    if (it != not_durable_.end() && same_rows(it->second.after, before)) {
      it->second.after = inner_->rows(table);
    } else {
      not_durable_[table] = {std::move(before), inner_->rows(table)};
    }
  }

  void expect_goes_on(const std::string& table, const std::optional<Row>& after,
                      const ChunkLimits& limits) {
    const Move* move = move_with_source(table);
    if (move == nullptr || journal->phase() != Phase::copying) return;
    std::optional<Row> through;
    const State state = journal->state();
    if (const auto it = state.copies.find(move->index); it != state.copies.end()) {
      if (it->second.at_end) violations.push_back(table + " is copied again from its end");
      const std::string hex = it->second.through.value_or("");
      if (!hex.empty()) through = row_from_canonical(from_hex(hex)).value();
    }
    if (after.has_value() != through.has_value() || (after && !same(*after, *through))) {
      violations.push_back("a chunk of " + table + " does not begin where the journal ends");
    }
    if (limits.rows_max > rows_per_chunk_max) {
      violations.push_back(fmt::format("a chunk of {} rows", limits.rows_max));
    }
  }

  class Reader final : public SnapshotReader {
   public:
    Reader(std::unique_ptr<SnapshotReader> inner, FaultyStore& store, std::string table)
        : inner_(std::move(inner)), store_(store), table_(std::move(table)) {}
    Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                   const ChunkLimits& limits) override {
      store_.expect_goes_on(table_, after, limits);
      return store_.reading<ChunkOfRows>("read_after",
                                         [&] { return inner_->read_after(after, limits); });
    }
    Result<std::vector<std::optional<Row>>> read_keys(std::span<const Row> keys) override {
      return store_.reading<std::vector<std::optional<Row>>>(
          "read_keys", [&] { return inner_->read_keys(keys); });
    }
    Result<std::int64_t> count() override {
      return store_.reading<std::int64_t>("count", [&] { return inner_->count(); });
    }

   private:
    std::unique_ptr<SnapshotReader> inner_;
    FaultyStore& store_;
    std::string table_;
  };

  class Writer final : public BatchWriter {
   public:
    Writer(std::unique_ptr<BatchWriter> inner, FaultyStore& store, std::string table)
        : inner_(std::move(inner)), store_(store), table_(std::move(table)) {}
    Result<Applied> apply(std::span<const Change> changes) override {
      TRY(store_.faults_.before("apply"));
      store_.expect_right_to_write(table_, changes);
      const bool is_switch =
          store_.move_with_source(table_) == nullptr && store_.move_with_target(table_) == nullptr;
      if (is_switch && store_.faults_.forgets_outcome()) return unknown();
      ASSIGN_OR_RETURN(Applied applied, inner_->apply(changes));
      if (is_switch && store_.faults_.forgets_outcome()) return unknown();
      // Delivered twice: upserts and deletes by key must not mind.
      if (store_.faults_.fail_per_mille > 0 && changes.size() % 3 == 0) TRY(inner_->apply(changes));
      TRY(store_.faults_.after("apply"));
      return applied;
    }

   private:
    static Error unknown() {
      return Error{ErrorCode::outcome_unknown, "simulated: flipped or not"};
    }
    std::unique_ptr<BatchWriter> inner_;
    FaultyStore& store_;
    std::string table_;
  };

  class Inside final : public InsideCopier {
   public:
    Inside(std::unique_ptr<InsideCopier> inner, FaultyStore& store, std::string from,
           std::string to)
        : inner_(std::move(inner)), store_(store), from_(std::move(from)), to_(std::move(to)) {}
    Result<InsideCopy> copy_after(const std::optional<Row>& after,
                                  const ChunkLimits& limits) override {
      const bool goes_on = last_ && after && same(*after, *last_);  // within the same chunk
      if (!goes_on) store_.expect_goes_on(from_, after, limits);
      store_.expect_intent("a copy", store_.maker_of(to_));
      return store_.reading<InsideCopy>("copy", [&]() -> Result<InsideCopy> {
        std::vector<Row> before = store_.inner_->rows(to_);
        ASSIGN_OR_RETURN(InsideCopy copy, inner_->copy_after(after, limits));
        store_.may_be_lost(to_, std::move(before));
        last_ = copy.range.through;
        return copy;
      });
    }
    Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                   const ChunkLimits& limits) override {
      return store_.reading<ChunkOfRows>("read_after",
                                         [&] { return inner_->read_after(after, limits); });
    }
    Status make_durable() override {
      TRY(store_.faults_.before("make_durable"));
      store_.not_durable_.erase(to_);
      TRY(store_.faults_.after("make_durable"));
      return {};
    }
    Result<InsideComparison> compare_after(const std::optional<Row>& after,
                                           const std::optional<Row>& until,
                                           const ChunkLimits& limits) override {
      return store_.reading<InsideComparison>(
          "compare", [&] { return inner_->compare_after(after, until, limits); });
    }
    Result<std::optional<Row>> middle() override { return inner_->middle(); }
    Result<std::optional<InsideStrangers>> strangers_after(const std::optional<Row>& after,
                                                           const ChunkLimits& limits) override {
      return store_.reading<std::optional<InsideStrangers>>(
          "strangers", [&] { return inner_->strangers_after(after, limits); });
    }

   private:
    std::unique_ptr<InsideCopier> inner_;
    FaultyStore& store_;
    std::string from_;
    std::string to_;
    std::optional<Row> last_;
  };

  // Catalog
  Result<std::vector<std::string>> tables() override { return inner_->catalog().tables(); }
  Result<TableSchema> describe(const std::string& table) override {
    return reading<TableSchema>("describe", [&] { return inner_->catalog().describe(table); });
  }
  Result<TableSchema> parse(const std::string& ddl, const std::string& table) override {
    return inner_->catalog().parse(ddl, table);
  }
  Result<TableSchema> sketch(const std::string& table,
                             const std::vector<std::pair<std::string, Value>>& key,
                             const std::vector<std::pair<std::string, Value>>& others) override {
    return inner_->catalog().sketch(table, key, others);
  }
  Result<std::string> ddl_like(const TableSchema& table, const std::string& name) override {
    return inner_->catalog().ddl_like(table, name);
  }
  Result<Value> settle(const ColumnSchema& column, Value value) const override {
    return inner_->catalog().settle(column, std::move(value));
  }
  Status create(const TableSchema& schema, bool with_indexes) override {
    return changing("create", maker_of(schema.name),
                    [&] { return inner_->catalog().create(schema, with_indexes); });
  }
  Status create_index(const std::string& ddl) override {
    return changing("create_index", "indexes", [&] { return inner_->catalog().create_index(ddl); });
  }
  Status drop(const std::string& table) override {
    return undoing("drop", maker_of(table), [&] { return inner_->catalog().drop(table); });
  }
  Status clear(const std::string& table) override {
    return undoing("clear", maker_of(table), [&] { return inner_->catalog().clear(table); });
  }
  Status rename(const std::string& table, const std::string& to) override {
    return finishing("rename", [&] { return inner_->catalog().rename(table, to); });
  }
  Status retire(const std::vector<const Mapping*>& mappings, const std::string& rename_to,
                bool view) override {
    return finishing("retire", [&] { return inner_->catalog().retire(mappings, rename_to, view); });
  }
  Status revive(const std::string& table, const std::string& archived_as) override {
    return inner_->catalog().revive(table, archived_as);
  }
  Result<Provisions> provisions(const std::string& table, bool settled) override {
    if (settled) settle_capacity();
    return reading<Provisions>("provisions",
                               [&] { return inner_->catalog().provisions(table, settled); });
  }
  // A change takes its time, and a process may end within it.
  Status provision(const std::string& table, const Provisions& wanted) override {
    TRY(faults_.before("provision"));
    expect_reader_keeps_still("provision");
    const State state = journal->state();
    bool is_known = false;
    for (const Move& move : migration->moves) {
      const bool reads = move.source.get() == this && move.mapping.source.name == table;
      const bool writes = move.target.get() == this && move.mapping.target.name == table;
      const auto has = [&](const char* side) {
        return state.effect(fmt::format("capacity:{}:{}", side, move.index)) != nullptr;
      };
      is_known = is_known || (reads && has("source")) || (writes && has("target"));
    }
    if (!is_known) violations.push_back("provisioned without a word in the journal");
    provisioned_[table] = wanted;
    TRY(faults_.after("provision"));
    settle_capacity();
    return {};
  }

  // Capture
  Result<std::string> start(const std::string& feed, const std::vector<std::string>& of) override {
    TRY(faults_.before("start"));
    expect_intent("start", "feed:" + feed);
    ended_.erase(feed);
    ASSIGN_OR_RETURN(std::string position, inner_->capture().start(feed, of));
    TRY(faults_.after("start"));
    return position;
  }
  Status stop(const std::string& feed) override {
    return undoing("stop", "feed:" + feed, [&] { return inner_->capture().stop(feed); });
  }
  Result<bool> feed_is_whole(const std::string& feed, const std::vector<std::string>& of) override {
    return reading<bool>("is_whole", [&] { return inner_->capture().feed_is_whole(feed, of); });
  }
  Result<OtherUse> used_by_others(const Link& link) override {
    return inner_->capture().used_by_others(link);
  }
  Result<bool> links_are_whole(const std::vector<Link>& links) override {
    return reading<bool>("is_whole", [&] { return inner_->capture().links_are_whole(links); });
  }
  Result<ChangeBatch> read(const std::string& feed, const std::string& position,
                           std::int64_t changes_max) override {
    if (is_late(feed)) {
      ChangeBatch none;
      none.position = position;
      none.at_end = true;
      return none;
    }
    // Small batches, so that there is something between them.
    return reading<ChangeBatch>("read", [&] {
      return inner_->capture().read(feed, position, std::min<std::int64_t>(changes_max, 7));
    });
  }
  Result<std::int64_t> waiting(const std::string& feed, const std::string& position) override {
    return reading<std::int64_t>("waiting",
                                 [&] { return inner_->capture().waiting(feed, position); });
  }
  Status end(const std::string& feed) override {
    return undoing("end", "feed:" + feed, [&] {
      ended_.insert(feed);
      return inner_->capture().end(feed);
    });
  }
  // The way back has told nothing yet of what was written; once it is ended it tells all.
  bool is_late(const std::string& feed) const {
    return journal->phase() == Phase::rolling_back && feed.starts_with("backward") &&
           !ended_.contains(feed) && faults_.tells_late();
  }
  Status link(const std::vector<Link>& links) override {
    return changing("link", "links", [&] { return inner_->capture().link(links); });
  }
  Status unlink(const std::vector<Link>& links, PairSink& sink) override {
    return undoing("unlink", "links", [&] { return inner_->capture().unlink(links, sink); });
  }
  Status cut(const std::vector<Link>& links) override {
    return finishing("cut", [&] { return inner_->capture().cut(links); });
  }
  Result<std::vector<Row>> written_on_new_side(const Link& link) override {
    return reading<std::vector<Row>>("new_side",
                                     [&] { return inner_->capture().written_on_new_side(link); });
  }
  Result<bool> put_back(const Link& link, const Row& target_row,
                        const std::vector<std::pair<std::string, Value>>& columns) override {
    expect_intent("put_back", maker_of(link.mapping->target.name));
    return reading<bool>("put_back",
                         [&] { return inner_->capture().put_back(link, target_row, columns); });
  }

  // Holds
  Status hold(const std::vector<std::string>& of, TimePoint until) override {
    return changing("hold", "hold", [&] {
      for (const std::string& table : of) expect_short_hold(table, until);
      return inner_->holds().hold(of, until);
    });
  }
  Result<bool> held(const std::vector<std::string>& of) override {
    return reading<bool>("held", [&] { return inner_->holds().held(of); });
  }
  Status release(const std::vector<std::string>& of) override {
    TRY(faults_.before("release"));
    expect_reader_keeps_still("release");
    TRY(inner_->holds().release(of));
    return faults_.after("release");
  }
  // The application is never refused for longer than the plan says, whoever dies and comes back.
  void expect_short_hold(const std::string& table, TimePoint until) {
    const bool already = inner_->holds().held({table}).value();
    TimePoint& since = refused_since_.emplace(table, clock_.now()).first->second;
    if (!already) since = clock_.now();
    if (until - since <= migration->hold_max) return;
    violations.push_back(
        fmt::format("writers of {} are refused for {} ms", table, (until - since).count()));
  }

  std::shared_ptr<MemoryStore> inner_;
  std::map<std::string, Copied> not_durable_;
  std::map<std::string, Provisions> provisioned_;  // asked for, and not yet so
  Faults& faults_;
  SimulatedClock& clock_;
  std::map<std::string, TimePoint> refused_since_;
  std::set<std::string> ended_;  // feeds
};

}  // namespace whimbrel::simulation
