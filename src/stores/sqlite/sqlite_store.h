// SQLite as a store: one file, both tables in it or in two files.
//
// Links and captures are triggers, so they work inside the application's own transactions and need
// no process of ours. Whatever is created is named whimbrel_… and removed again. The store never
// changes settings of the file (journal mode, page size).
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "store/store.h"
#include "stores/sqlite/connection.h"

namespace whimbrel {

class SqliteStore final : public Store, private Catalog, private Capture, private Holds {
 public:
  // `path` is made absolute. not_found when there is no such file.
  static Result<std::shared_ptr<Store>> open(const std::string& path, Clock& clock);

  std::string identity() const override { return "sqlite:" + path_; }
  Capabilities capabilities() const override { return {true, true, true, 900, 1, true}; }
  const Dialect* dialect() const override;
  Catalog& catalog() override { return *this; }
  Capture& capture() override { return *this; }
  Holds& holds() override { return *this; }
  Result<std::unique_ptr<SnapshotReader>> open_reader(const TableSchema& table) override;
  Result<std::unique_ptr<SnapshotReader>> open_reader_of_one_moment(
      const TableSchema& table) override;
  Result<std::unique_ptr<SnapshotReader>> open_reader_where(
      const TableSchema& table, std::span<const Condition> where) override;
  Result<std::unique_ptr<BatchWriter>> open_writer(
      const TableSchema& table, const std::vector<std::string>& columns) override;
  // Another file is attached.
  bool reaches(const Store& source) const override;
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
  Result<std::unique_ptr<Rehearsal>> rehearse(const Mapping& mapping, bool with_others) override;
  Status understands(const std::string& query) override;
  Result<Value> ask(const std::string& query) override;
  Result<std::unique_ptr<QueryRunner>> open_queries(const std::vector<ReadingQuery>& queries,
                                                    Milliseconds patience) override;
  Result<std::unique_ptr<WriteProbe>> open_write_probe(const TableSchema& table,
                                                       Milliseconds patience) override;
  Result<RoomTaken> room_taken(const TableSchema& table) override;
  std::optional<std::int64_t> room_left() const override;
  Status may_write() const override;
  Result<std::vector<Finding>> review(const Mapping& mapping, bool dual) override;
  Result<std::vector<Finding>> review_target(const Mapping& mapping, bool dual) override;
  bool is_same_place(const Store& other) const override;

 private:
  SqliteStore(std::string path, Clock& clock) : path_(std::move(path)), clock_(clock) {}
  Result<sqlite::ConnectionPtr> connect(sqlite::Access access) const;
  // Runs `work` in one writing transaction.
  Status in_transaction(const std::function<Status(sqlite::Connection&)>& work) const;

  // Catalog
  Result<std::vector<std::string>> tables() override;
  Result<std::vector<std::string>> plain_tables() override;
  Result<TableSchema> describe(const std::string& table) override;
  Result<TableSchema> parse(const std::string& ddl, const std::string& table) override;
  Result<TableSchema> sketch(const std::string& table,
                             const std::vector<std::pair<std::string, Value>>& key,
                             const std::vector<std::pair<std::string, Value>>& others) override;
  Result<std::string> ddl_like(const TableSchema& table, const std::string& name) override;
  std::string with_new_parents(std::string ddl,
                               const std::map<std::string, std::string>& names) const override;
  Result<Value> settle(const ColumnSchema& column, Value value) const override;
  bool trigger_may_set(const TableSchema& table, const std::string& column) const override;
  Status create(const TableSchema& schema, bool with_indexes) override;
  Status create_index(const std::string& ddl) override;
  Status drop(const std::string& table) override;
  Status clear(const std::string& table) override;
  Status rename(const std::string& table, const std::string& to) override;
  Status retire(const std::vector<const Mapping*>& mappings, const std::string& rename_to,
                bool view) override;
  Status can_retire(const std::vector<const Mapping*>& mappings, const std::string& rename_to,
                    bool view) override;
  bool name_is_taken(const std::string& name) override;
  Result<std::int64_t> last_number(const std::string& table) override;
  Status raise_number(const std::string& table, std::int64_t number) override;
  Result<std::vector<Dangling>> dangling(const std::string& table) override;
  Status put_number_back(const std::string& table, std::int64_t number) override;
  Status revive(const std::string& table, const std::string& archived_as) override;
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

  std::string path_;
  Clock& clock_;
  std::shared_ptr<sqlite::IdleConnections> idle_ = std::make_shared<sqlite::IdleConnections>();
  std::mutex claim_mutex_;
  std::string claimed_migration_;
  std::string claimed_journal_;
};

}  // namespace whimbrel
