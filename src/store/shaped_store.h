// A store as a plan reshapes its tables: tables in another shape stand beside the real ones.
//
// Everything that has no shape goes through as it is. Whoever asks for the store of rows that are
// in a shape asks this one; backups and queries concern the tables themselves. Threads: as the
// store itself, once all shapes are known.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "store/known_keys.h"
#include "store/shape.h"
#include "store/store.h"

namespace whimbrel {

class ShapedStore final : public Store {
 public:
  explicit ShapedStore(std::shared_ptr<Store> base);
  ~ShapedStore() override;

  // Before anything else is asked. The name of the shape is that of its `shaped`.
  void add(SourceShape shape);
  void add(TargetShape shape);

  const Store& plain() const override { return base_->plain(); }
  std::string stored_as(const std::string& table) const override;
  bool shares_keys(const TableSchema& table) const override;
  Result<std::vector<OwnKey>> own_keys(const TableSchema& table,
                                       std::span<const Row> keys) override;
  bool stands_for_nothing(const TableSchema& table, const Row& row) const override;

  std::string identity() const override { return base_->identity(); }
  Capabilities capabilities() const override { return base_->capabilities(); }
  bool is_same_place(const Store& other) const override {
    return base_->is_same_place(other.plain());
  }
  const Dialect* dialect() const override { return base_->dialect(); }
  Catalog& catalog() override;
  std::string sql_name(const std::string& table) override;
  Capture& capture() override;
  Holds& holds() override;
  Retyping* retyping() override { return base_->retyping(); }
  // The store itself has been told by whoever opened it.
  Status work_in(const std::string& folder) override;
  void keep_within(const StoreLimits& limits) override { base_->keep_within(limits); }
  Result<std::unique_ptr<SnapshotReader>> open_reader(const TableSchema& table) override;
  Result<std::unique_ptr<SnapshotReader>> open_reader_where(
      const TableSchema& table, std::span<const Condition> where) override;
  Result<std::unique_ptr<BatchWriter>> open_writer(
      const TableSchema& table, const std::vector<std::string>& columns) override;
  bool reaches(const Store& source) const override { return base_->reaches(source.plain()); }
  bool copies_inside(const Mapping& mapping, const Store& source) const override;
  bool takes_what_review_passes(const Mapping& mapping, const Store& source) const override {
    return copies_inside(mapping, source) &&
           base_->takes_what_review_passes(mapping, source.plain());
  }
  Result<std::unique_ptr<InsideCopier>> open_inside(const Mapping& mapping,
                                                    const Store& source) override;
  Status claim(const std::string& migration, const std::string& journal) override;
  Result<std::string> claimed_by(const std::string& migration) override;
  Status mark(const std::string& migration, const std::string& journal,
              std::int64_t records) override;
  Result<std::optional<std::int64_t>> marked(const std::string& migration,
                                             const std::string& journal) override;
  Result<std::int64_t> keep_copy(const std::string& table, const std::string& schema) override;
  Result<std::optional<std::string>> keep_backup(const std::string& table,
                                                 const std::string& name) override;
  Rights rights_for(TableUse use, const std::string& table) const override;
  UnitMeter unit_meter(const TableSchema& table) const override;
  std::unique_ptr<RowText> row_text(const TableSchema& table) const override;
  Result<bool> keep_points_in_time(const std::string& table) override;
  Result<std::string> restore_native(const NativeRestore& wanted, bool dry) override {
    return base_->restore_native(wanted, dry);
  }
  Status drop_copies(const std::vector<std::string>& tables, const std::string& schema) override;
  Status log(const std::string& table, const LogLine& line) override;
  Status disown(const std::string& migration, const std::string& journal) override;
  Result<std::string> self_test(const Mapping& mapping, bool linked,
                                const Row& source_row) override;
  Result<std::unique_ptr<Rehearsal>> rehearse(const Mapping& mapping, bool with_others) override;
  Status understands(const std::string& query) override { return base_->understands(query); }
  Result<Value> ask(const std::string& query) override { return base_->ask(query); }
  Result<std::unique_ptr<QueryRunner>> open_queries(const std::vector<ReadingQuery>& queries,
                                                    Milliseconds patience) override;
  Result<std::unique_ptr<WriteProbe>> open_write_probe(const TableSchema& table,
                                                       Milliseconds patience) override;
  Result<RoomTaken> room_taken(const TableSchema& table) override;
  std::optional<std::int64_t> room_left() const override;
  Status may_write() const override;
  Result<std::vector<Finding>> review(const Mapping& mapping, bool dual) override;
  Result<std::vector<Finding>> review_target(const Mapping& mapping, bool dual) override;

 private:
  class Tables;
  class Feeds;
  class Locks;

  const SourceShape* source(const std::string& name) const;
  const TargetShape* target(const std::string& name) const;
  // Each once, by the names that the store knows them by.
  std::vector<std::string> stored_as(const std::vector<std::string>& tables) const;
  TableSchema stored(TableSchema table) const;
  // With the target as the store knows it.
  Mapping with_stored_target(const Mapping& mapping) const;

  std::shared_ptr<Store> base_;
  std::map<std::string, std::shared_ptr<const SourceShape>> sources_;
  std::map<std::string, std::shared_ptr<const TargetShape>> targets_;
  std::shared_ptr<KnownKeys> known_;
  std::unique_ptr<Tables> tables_;
  std::unique_ptr<Feeds> feeds_;
  std::unique_ptr<Locks> locks_;
};

}  // namespace whimbrel
