// PostgreSQL as a store: the tables of one database.
//
// What is made in it lies in the schema `whimbrel` and is removed again; triggers are called
// whimbrel_…. Keys are noted by triggers in the writer's own transaction, writers are held by
// locks, and columns get another type in new tables beside the old ones (retype.h, swap.h).
// Threads: as the contract says; sessions are shared.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "store/store.h"
#include "stores/postgresql/connection.h"
#include "stores/postgresql/hold.h"
#include "stores/postgresql/likeness.h"
#include "stores/postgresql/names.h"
#include "stores/postgresql/retype.h"

namespace whimbrel {

class PostgresqlStore final : public Store,
                              private Catalog,
                              private Capture,
                              private Holds,
                              private Retyping {
 public:
  // `refused` where the server lets nobody in.
  static Result<std::shared_ptr<Store>> open(postgresql::Settings settings, Clock& clock);

  std::string identity() const override { return identity_; }
  Capabilities capabilities() const override;
  const Dialect* dialect() const override;
  Catalog& catalog() override { return *this; }
  std::string sql_name(const std::string& table) override;
  Capture& capture() override { return *this; }
  Holds& holds() override { return *this; }
  Retyping* retyping() override { return this; }
  Result<std::unique_ptr<SnapshotReader>> open_reader(const TableSchema& table) override;
  Result<std::unique_ptr<SnapshotReader>> open_reader_of_one_moment(
      const TableSchema& table) override;
  Result<std::unique_ptr<BatchWriter>> open_writer(
      const TableSchema& table, const std::vector<std::string>& columns) override;
  bool reaches(const Store& source) const override;
  bool copies_inside(const Mapping& mapping, const Store& source) const override;
  bool takes_what_review_passes(const Mapping& mapping, const Store& source) const override;
  Result<std::unique_ptr<InsideCopier>> open_inside(const Mapping& mapping,
                                                    const Store& source) override;
  void keep_within(const StoreLimits& limits) override { limits_ = limits; }
  Status claim(const std::string& migration, const std::string& journal) override;
  Result<std::string> claimed_by(const std::string& migration) override;
  Status mark(const std::string& migration, const std::string& journal,
              std::int64_t records) override;
  Result<std::optional<std::int64_t>> marked(const std::string& migration,
                                             const std::string& journal) override;
  Status disown(const std::string& migration, const std::string& journal) override;
  Result<std::int64_t> keep_copy(const std::string& table, const std::string& schema) override;
  Status drop_copies(const std::vector<std::string>& tables, const std::string& schema) override;
  Status log(const std::string& table, const LogLine& line) override;
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
  Result<std::vector<Finding>> review(const Mapping& mapping, bool dual) override;
  Result<std::vector<Finding>> review_target(const Mapping& mapping, bool dual) override;

 private:
  PostgresqlStore(std::shared_ptr<postgresql::Sessions> sessions, std::string identity,
                  Clock& clock)
      : sessions_(std::move(sessions)), identity_(std::move(identity)), clock_(clock) {}
  // DDL on tables that others use: short patience, asked again.
  Status change(const std::function<Status(postgresql::Connection&)>& work) const;
  Status tidy_up(postgresql::Connection& connection) const;

  // Catalog
  Result<std::vector<std::string>> tables() override;
  Result<TableSchema> describe(const std::string& table) override;
  Result<TableSchema> parse(const std::string& ddl, const std::string& table) override;
  Result<TableSchema> sketch(const std::string& table,
                             const std::vector<std::pair<std::string, Value>>& key,
                             const std::vector<std::pair<std::string, Value>>& others) override;
  Result<std::string> ddl_like(const TableSchema& table, const std::string& name) override;
  Result<std::vector<Prerequisite>> needs(const TableSchema& table) override;
  Result<bool> has(const Prerequisite& what) override;
  std::vector<std::string> references_like(
      const TableSchema& table, const std::string& name,
      const std::function<std::string(const ForeignKey&)>& parent_here) const override;
  Result<Value> settle(const ColumnSchema& column, Value value) const override;
  Status create(const TableSchema& schema, bool with_indexes) override;
  Status create_index(const std::string& ddl) override;
  Status complete(const TableSchema& schema) override;
  Status drop(const std::string& table) override;
  Status clear(const std::string& table) override;
  Status rename(const std::string& table, const std::string& to) override;
  std::string beside(const std::string& table, const std::string& name) const override;
  Status retire(const std::vector<const Mapping*>& mappings, const std::string& rename_to,
                bool view) override;
  Status can_retire(const std::vector<const Mapping*>& mappings, const std::string& rename_to,
                    bool view) override;
  bool name_is_taken(const std::string& name) override;
  Result<std::string> birth_of(const std::string& table) override;
  Result<std::vector<Dangling>> dangling(const std::string& table) override;
  Result<std::string> usual_schema() override;
  Result<std::int64_t> last_number(const std::string& table) override;
  Status raise_number(const std::string& table, std::int64_t number) override;
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
  Status keep_up(const std::string& feed) override;
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
  Status go_first(const std::string& table, TimePoint until) override;
  Status step_aside(const std::string& table) override;
  Result<std::vector<std::string>> transactions() override;
  // Retyping
  Result<std::vector<RetypedTable>> tables(const std::vector<RetypedColumn>& columns,
                                           const std::vector<std::string>& known) override;
  Result<std::optional<bool>> swapped(const std::vector<std::string>& sources) override;
  Status swap(const std::vector<std::string>& sources, bool back) override;
  void tell_who_keeps_waiting(Waiting told) override { waiting_ = std::move(told); }
  Status try_swap(const std::vector<std::string>& sources,
                  const std::vector<std::string>& index_ddl) override;
  Result<std::int64_t> put_right(const std::vector<std::string>& sources) override;
  Result<std::int64_t> bring_back(const std::vector<std::string>& sources) override;
  Status settle_the_rest(const std::vector<std::string>& sources) override;

  Result<TableSchema> parse_once(postgresql::Connection& connection, const std::string& ddl,
                                 const std::string& table);
  Status make_parsed(postgresql::Connection& connection, const std::string& ddl,
                     const postgresql::TableName& name);
  Result<postgresql::Dependents> dependents_not_made_anew(postgresql::Connection& connection,
                                                          const std::string& table);
  void remember_settled(const std::string& asked, const Value& said) const;
  std::string unbound_type(postgresql::Connection& connection, const ColumnSchema& column) const;
  using OrphansWork =
      std::function<Result<std::int64_t>(postgresql::Connection&, const std::vector<std::string>&)>;
  Result<std::int64_t> with_exchanged(const std::vector<std::string>& sources,
                                      const OrphansWork& work);

  std::shared_ptr<postgresql::Sessions> sessions_;
  std::string identity_;
  Clock& clock_;
  StoreLimits limits_;
  // The tables of a feed, as they were when it was first asked for here.
  Result<std::vector<TableSchema>> tables_of(const std::string& feed);
  Status follow_partitions_of(const std::string& feed, const TableSchema& table);
  Waiting waiting_;
  std::mutex mutex_;  // of what follows
  std::unique_ptr<postgresql::Hold> hold_;
  std::map<std::string, std::unique_ptr<postgresql::Hold>> first_;     // go_first(), by the table
  std::map<std::string, std::vector<TableSchema>> fed_;                // the tables of a feed
  std::vector<std::pair<postgresql::TableName, std::string>> parsed_;  // what parse() was given
  std::vector<std::vector<std::string>> together_;  // tables that change places together
  postgresql::Promised promised_;                   // what ddl_like() has said
  // What the server has said of values that only it understands; many come again.
  mutable std::mutex settled_mutex_;
  mutable std::unordered_map<std::string, Value> settled_;
  mutable std::unordered_map<std::string, std::string> unbound_;  // types, by what is declared
};

}  // namespace whimbrel
