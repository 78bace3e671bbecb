// A store that fails as its seed says, around one that does not; and the same for the journal.
//
// It also holds the engine to the order of writes: whatever changes a user's database must have
// its undo in the journal before (promise 5).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "faults.h"
#include "journal/journal.h"
#include "store/store.h"

namespace whimbrel::simulation {

class FaultyJournal final : public Journal {
 public:
  static std::unique_ptr<FaultyJournal> make(SimulatedClock& clock, Faults& faults) {
    std::unique_ptr<FaultyJournal> journal(new FaultyJournal(clock, faults));
    assert_always(journal->load().ok(), "a journal in memory");
    return journal;
  }
  Status append(const Record& record) override {
    TRY(faults_.before("append"));
    TRY(Journal::append(record));
    appended.push_back(record);
    return faults_.after("append");
  }
  std::vector<Record> appended;

 private:
  FaultyJournal(SimulatedClock& clock, Faults& faults)
      : Journal(":memory:", clock), faults_(faults) {}
  Faults& faults_;
};

class FaultyStore final : public Store, private Catalog, private Capture, private Holds {
 public:
  FaultyStore(std::shared_ptr<Store> inner, Faults& faults, std::vector<std::string> tables_of_app)
      : inner_(std::move(inner)), faults_(faults), tables_of_app_(std::move(tables_of_app)) {}

  const Journal* journal = nullptr;        // asked for intents; null: nothing may change
  std::vector<std::string> violations;     // promises broken in the order of writes
  std::int64_t changing_calls = 0;

  std::string identity() const override { return inner_->identity(); }
  Capabilities capabilities() const override { return inner_->capabilities(); }
  const Dialect* dialect() const override { return nullptr; }
  Catalog& catalog() override { return *this; }
  Capture& capture() override { return *this; }
  Holds& holds() override { return *this; }

  Result<std::unique_ptr<SnapshotReader>> open_reader(const TableSchema& table) override {
    ASSIGN_OR_RETURN(auto inner, inner_->open_reader(table));
    return std::unique_ptr<SnapshotReader>(std::make_unique<Reader>(std::move(inner), *this));
  }
  Result<std::unique_ptr<BatchWriter>> open_writer(
      const TableSchema& table, const std::vector<std::string>& columns) override {
    ASSIGN_OR_RETURN(auto inner, inner_->open_writer(table, columns));
    return std::unique_ptr<BatchWriter>(
        std::make_unique<Writer>(std::move(inner), *this, table.name));
  }
  Result<std::unique_ptr<InsideCopier>> open_inside(const Mapping& mapping) override {
    ASSIGN_OR_RETURN(auto inner, inner_->open_inside(mapping));
    return std::unique_ptr<InsideCopier>(std::make_unique<Inside>(std::move(inner), *this));
  }
  Status claim(const std::string& m, const std::string& j) override {
    return changing("claim", "claim", [&] { return inner_->claim(m, j); });
  }
  Status disown(const std::string& m) override {
    return changing("disown", "", [&] { return inner_->disown(m); });
  }
  Result<std::string> self_test(const Mapping& mapping, bool linked) override {
    return reading<std::string>("self_test", [&] { return inner_->self_test(mapping, linked); });
  }
  Result<Value> ask(const std::string& query) override { return inner_->ask(query); }
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
  // `intent`: the effect whose undo has to be in the journal; "" where the act is an undo itself.
  template <class F>
  Status changing(const char* call, const std::string& intent, F&& f) {
    TRY(faults_.before(call));
    expect_intent(call, intent);
    TRY(f());
    return faults_.after(call);
  }
  void expect_intent(const char* call, const std::string& intent) {
    ++changing_calls;
    if (journal == nullptr) violations.push_back(std::string(call) + " by a verb that only reads");
    if (intent.empty() || journal == nullptr) return;
    for (const Effect& effect : journal->state().effects) {
      if (effect.id.starts_with(intent)) return;
    }
    violations.push_back(std::string(call) + " before its undo was journaled");
  }
  bool is_switch(const std::string& table) const { return table == "flags"; }

  class Reader final : public SnapshotReader {
   public:
    Reader(std::unique_ptr<SnapshotReader> inner, FaultyStore& store)
        : inner_(std::move(inner)), store_(store) {}
    Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                   const ChunkLimits& limits) override {
      return store_.reading<ChunkOfRows>("read_after", [&] { return inner_->read_after(after, limits); });
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
  };

  class Writer final : public BatchWriter {
   public:
    Writer(std::unique_ptr<BatchWriter> inner, FaultyStore& store, std::string table)
        : inner_(std::move(inner)), store_(store), table_(std::move(table)) {}
    Result<Applied> apply(std::span<const Change> changes) override {
      TRY(store_.faults_.before("apply"));
      store_.expect_intent("apply", store_.is_switch(table_) ? "switch:" : "target:");
      ASSIGN_OR_RETURN(Applied applied, inner_->apply(changes));
      // Delivered twice: upserts and deletes by key must not mind.
      if (store_.faults_.fail_per_mille > 0 && changes.size() % 3 == 0) TRY(inner_->apply(changes));
      TRY(store_.faults_.after("apply"));
      return applied;
    }

   private:
    std::unique_ptr<BatchWriter> inner_;
    FaultyStore& store_;
    std::string table_;
  };

  class Inside final : public InsideCopier {
   public:
    Inside(std::unique_ptr<InsideCopier> inner, FaultyStore& store)
        : inner_(std::move(inner)), store_(store) {}
    Result<InsideCopy> copy_after(const std::optional<Row>& after,
                                  const ChunkLimits& limits) override {
      store_.expect_intent("copy", "target:");
      return store_.reading<InsideCopy>("copy", [&] { return inner_->copy_after(after, limits); });
    }
    Result<InsideComparison> compare_after(const std::optional<Row>& after,
                                           const ChunkLimits& limits) override {
      return store_.reading<InsideComparison>("compare",
                                              [&] { return inner_->compare_after(after, limits); });
    }

   private:
    std::unique_ptr<InsideCopier> inner_;
    FaultyStore& store_;
  };

  // Catalog
  Result<std::vector<std::string>> tables() override { return inner_->catalog().tables(); }
  Result<TableSchema> describe(const std::string& table) override {
    return reading<TableSchema>("describe", [&] { return inner_->catalog().describe(table); });
  }
  Result<TableSchema> parse(const std::string& ddl, const std::string& table) override {
    return inner_->catalog().parse(ddl, table);
  }
  Result<Value> settle(const ColumnSchema& column, Value value) const override {
    return inner_->catalog().settle(column, std::move(value));
  }
  Status create(const TableSchema& schema, bool with_indexes) override {
    return changing("create", "target:", [&] { return inner_->catalog().create(schema, with_indexes); });
  }
  Status create_index(const std::string& ddl) override {
    return changing("create_index", "indexes", [&] { return inner_->catalog().create_index(ddl); });
  }
  Status drop(const std::string& table) override {
    forbid_app_table("drop", table);
    return changing("drop", "", [&] { return inner_->catalog().drop(table); });
  }
  Status clear(const std::string& table) override {
    forbid_app_table("clear", table);
    return changing("clear", "", [&] { return inner_->catalog().clear(table); });
  }
  Status rename(const std::string& table, const std::string& to) override {
    return changing("rename", "", [&] { return inner_->catalog().rename(table, to); });
  }
  Status create_view(const Mapping& mapping, const std::string& name) override {
    return inner_->catalog().create_view(mapping, name);
  }
  void forbid_app_table(const char* call, const std::string& table) {
    for (const std::string& one : tables_of_app_) {
      if (one == table) violations.push_back(std::string(call) + " of the application's " + table);
    }
  }
  // Capture
  Result<std::string> start(const std::string& feed, const std::vector<std::string>& of) override {
    TRY(faults_.before("start"));
    expect_intent("start", "feed:" + feed);
    ASSIGN_OR_RETURN(std::string position, inner_->capture().start(feed, of));
    TRY(faults_.after("start"));
    return position;
  }
  Status stop(const std::string& feed) override {
    return changing("stop", "", [&] { return inner_->capture().stop(feed); });
  }
  Result<ChangeBatch> read(const std::string& feed, const std::string& position,
                           std::int64_t changes_max) override {
    // Small batches, so that there is something between them.
    return reading<ChangeBatch>("read", [&] {
      return inner_->capture().read(feed, position, std::min<std::int64_t>(changes_max, 7));
    });
  }
  Status link(const std::vector<Link>& links) override {
    return changing("link", "links", [&] { return inner_->capture().link(links); });
  }
  Status unlink(const std::vector<Link>& links, PairSink& sink) override {
    return changing("unlink", "", [&] { return inner_->capture().unlink(links, sink); });
  }
  Status cut(const std::vector<Link>& links) override {
    return changing("cut", "", [&] { return inner_->capture().cut(links); });
  }
  Result<std::vector<Row>> written_on_new_side(const Link& link) override {
    return reading<std::vector<Row>>("new_side",
                                     [&] { return inner_->capture().written_on_new_side(link); });
  }
  Result<bool> put_back(const Link& link, const Row& key,
                        const std::vector<std::pair<std::string, Value>>& columns) override {
    expect_intent("put_back", "target:");
    return reading<bool>("put_back", [&] { return inner_->capture().put_back(link, key, columns); });
  }
  // Holds
  Status hold(const std::vector<std::string>& of, TimePoint until) override {
    return changing("hold", "hold", [&] { return inner_->holds().hold(of, until); });
  }
  Result<bool> held(const std::vector<std::string>& of) override {
    return reading<bool>("held", [&] { return inner_->holds().held(of); });
  }
  Status release(const std::vector<std::string>& of) override {
    return changing("release", "", [&] { return inner_->holds().release(of); });
  }

  std::shared_ptr<Store> inner_;
  Faults& faults_;
  std::vector<std::string> tables_of_app_;
};

}  // namespace whimbrel::simulation
