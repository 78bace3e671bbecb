// A store in memory, with everything the contract asks for: the first to pass the conformance
// suite, and what the simulation moves data between.
//
// The application's side is `put` and `erase`, which obey holds, feed the capture and follow
// links as triggers would. The clock decides when a hold ends. Not thread-safe beyond one mutex
// around every call.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "store/store.h"

namespace whimbrel {

class MemoryStore final : public Store, private Catalog, private Capture, private Holds {
 public:
  MemoryStore(std::string name, Clock& clock) : name_(std::move(name)), clock_(clock) {}

  void add_table(const TableSchema& schema);
  // The application writes: columns by name; missing ones keep their value, or are null.
  // `conflict` while the table is held, not_found when there is no such table.
  Status put(const std::string& table, const std::vector<std::pair<std::string, Value>>& columns);
  Status erase(const std::string& table, const Row& key);
  // Everything in the table, for an oracle.
  std::vector<Row> rows(const std::string& table) const;
  bool has_table(const std::string& table) const;
  // The rows of another moment, as after a loss of power. Nobody hears of it.
  void put_rows_back(const std::string& table, const std::vector<Row>& rows);
  // What a migration left behind besides tables: feeds, links, holds, claims.
  std::vector<std::string> leftovers() const;
  // Somebody drops what carries writes over: feeds fall silent, links end.
  void drop_capture();

  std::string identity() const override { return "memory:" + name_; }
  Capabilities capabilities() const override { return {true, true, true, 4}; }
  const Dialect* dialect() const override { return nullptr; }
  Catalog& catalog() override { return *this; }
  Capture& capture() override { return *this; }
  Holds& holds() override { return *this; }
  Result<std::unique_ptr<SnapshotReader>> open_reader(const TableSchema& table) override;
  Result<std::unique_ptr<BatchWriter>> open_writer(
      const TableSchema& table, const std::vector<std::string>& columns) override;
  // It evaluates what others spell.
  bool copies_inside(const Mapping&, const Store& source) const override { return reaches(source); }
  Result<std::unique_ptr<InsideCopier>> open_inside(const Mapping& mapping,
                                                    const Store& source) override;
  Status claim(const std::string& migration, const std::string& journal) override;
  Result<std::string> claimed_by(const std::string& migration) override;
  Status mark(const std::string& migration, const std::string& journal,
              std::int64_t records) override;
  Result<std::optional<std::int64_t>> marked(const std::string& migration,
                                             const std::string& journal) override;
  Status disown(const std::string& migration, const std::string& journal) override;
  Result<std::string> self_test(const Mapping& mapping, bool linked,
                                const Row& source_row) override;
  Result<std::unique_ptr<Rehearsal>> rehearse(const Mapping&, bool) override {
    return std::unique_ptr<Rehearsal>();
  }
  Status understands(const std::string&) override { return {}; }
  Result<Value> ask(const std::string& query) override;
  Result<std::vector<Finding>> review(const Mapping& mapping, bool dual) override;

 private:
  friend class MemoryReader;
  friend class MemoryWriter;
  friend class MemoryInside;
  using Rows = std::map<Row, Row, RowLess>;
  struct Table {
    TableSchema schema;
    std::vector<int> key;
    Rows rows;
    Provisions provisions;
  };
  struct Feed {
    std::set<std::string> tables;
    std::vector<KeyChange> changes;
  };
  struct LiveLink {
    Link link;
    Mapping mapping;  // a copy: the engine that linked may be gone
    std::set<Row, RowLess> touched;
  };

  // Catalog
  Result<std::vector<std::string>> tables() override;
  Result<TableSchema> describe(const std::string& table) override;
  Result<TableSchema> parse(const std::string& ddl, const std::string& table) override;
  Result<TableSchema> sketch(const std::string& table,
                             const std::vector<std::pair<std::string, Value>>& key,
                             const std::vector<std::pair<std::string, Value>>& others) override;
  Result<std::string> ddl_like(const TableSchema& table, const std::string& name) override;
  Result<Value> settle(const ColumnSchema& column, Value value) const override;
  Status create(const TableSchema& schema, bool with_indexes) override;
  Status create_index(const std::string& ddl) override;
  Status drop(const std::string& table) override;
  Status clear(const std::string& table) override;
  Status rename(const std::string& table, const std::string& to) override;
  Status retire(const std::vector<const Mapping*>& mappings, const std::string& rename_to,
                bool view) override;
  Status revive(const std::string& table, const std::string& archived_as) override;
  Result<Provisions> provisions(const std::string& table, bool settled) override;
  Status provision(const std::string& table, const Provisions& wanted) override;
  // Capture
  Result<std::string> start(const std::string& feed,
                            const std::vector<std::string>& tables) override;
  Status stop(const std::string& feed) override;
  Result<bool> feed_is_whole(const std::string& feed,
                             const std::vector<std::string>& tables) override;
  Result<ChangeBatch> read(const std::string& feed, const std::string& position,
                           std::int64_t changes_max) override;
  Result<std::int64_t> waiting(const std::string& feed, const std::string& position) override;
  Status link(const std::vector<Link>& links) override;
  Result<OtherUse> used_by_others(const Link& link) override;
  Result<bool> links_are_whole(const std::vector<Link>& links) override;
  Status unlink(const std::vector<Link>& links, PairSink& sink) override;
  Status cut(const std::vector<Link>& links) override;
  Result<std::vector<Row>> written_on_new_side(const Link& link) override;
  Result<bool> put_back(const Link& link, const Row& target_row,
                        const std::vector<std::pair<std::string, Value>>& columns) override;
  // Holds
  Status hold(const std::vector<std::string>& tables, TimePoint until) override;
  Result<bool> held(const std::vector<std::string>& tables) override;
  Status release(const std::vector<std::string>& tables) override;

  Table* find(const std::string& table);
  bool is_held(const std::string& table) const;
  void write(Table& table, const Row& key, std::optional<Row> row, bool own);
  Status carry(const std::string& table, const Row& key, const std::optional<Row>& before);

  std::string name_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Table> tables_;
  std::map<std::string, Feed> feeds_;
  std::map<std::string, LiveLink> links_;
  std::map<std::string, TimePoint> holds_;
  std::map<std::string, std::string> claims_;
  std::map<std::string, std::int64_t> marks_;
};

}  // namespace whimbrel
