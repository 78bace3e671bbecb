// DynamoDB as a store: the tables of one account in one region.
//
// Items keep what a plan does not name in one column (see item.h). What changes is told by the
// tables' streams, read into a spool in the state folder; a stream that others use is read and
// never touched. There are no holds and no links: writers are told by switches.
// Threads: as the contract says; each reader, writer and copier has connections of its own.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "aws/client.h"
#include "base/clock.h"
#include "store/store.h"
#include "stores/dynamodb/pace.h"
#include "stores/dynamodb/spool.h"

namespace whimbrel {

class DynamoStore final : public Store, private Catalog, private Capture, private Holds {
 public:
  // `address` is what follows `dynamodb:`: [REGION][?profile=…&role_arn=…&endpoint=…].
  static Result<std::shared_ptr<Store>> open(const std::string& address, Clock& clock);

  std::string identity() const override;
  Capabilities capabilities() const override;
  const Dialect* dialect() const override { return nullptr; }
  Catalog& catalog() override { return *this; }
  Capture& capture() override { return *this; }
  Holds& holds() override { return *this; }
  Status work_in(const std::string& folder) override;
  Result<std::optional<std::string>> keep_backup(const std::string& table,
                                                 const std::string& name) override;
  Rights rights_for(TableUse use, const std::string& table) const override;
  UnitMeter unit_meter(const TableSchema& table) const override;
  std::unique_ptr<RowText> row_text(const TableSchema& table) const override;
  Result<bool> keep_points_in_time(const std::string& table) override;
  Result<std::string> restore_native(const NativeRestore& wanted, bool dry) override;
  Result<std::unique_ptr<QueryRunner>> open_queries(const std::vector<ReadingQuery>& queries,
                                                    Milliseconds patience) override;
  Result<RoomTaken> room_taken(const TableSchema& table) override;
  Result<std::unique_ptr<SnapshotReader>> open_reader(const TableSchema& table) override;
  Result<std::unique_ptr<SnapshotReader>> open_reader_where(
      const TableSchema& table, std::span<const Condition> where) override;
  Result<std::unique_ptr<BatchWriter>> open_writer(
      const TableSchema& table, const std::vector<std::string>& columns) override;
  bool reaches(const Store& source) const override;
  bool copies_inside(const Mapping& mapping, const Store& source) const override;
  Result<std::unique_ptr<InsideCopier>> open_inside(const Mapping& mapping,
                                                    const Store& source) override;
  void keep_within(const StoreLimits& limits) override;
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
  Result<std::vector<Finding>> review(const Mapping& mapping, bool dual) override;

  // For its own readers and writers.
  std::unique_ptr<aws::Client> connect(dynamodb::Pace* pace) const;
  dynamodb::Pace& pace(const std::string& table, bool writes);
  dynamodb::Spool* spool() const { return spool_.get(); }
  Clock& clock() const { return clock_; }
  // The partition key of a table, or of an index of it; "" where there is no such index.
  Result<std::string> hash_key(const std::string& table, const std::string& index);

 private:
  using Spool = dynamodb::Spool;
  DynamoStore(std::shared_ptr<aws::Access> access, Clock& clock);

  Result<nlohmann::json> ask_table(const std::string& operation, const nlohmann::json& request);
  Result<std::string> backup_called(const std::string& table, const std::string& name);
  Result<std::string> only_backup_called(const NativeRestore& wanted);
  Result<nlohmann::json> request_to_restore(const NativeRestore& wanted);
  Result<nlohmann::json> describe_table(const std::string& table);
  Status describe_surroundings(const std::string& arn, const std::string& table,
                               nlohmann::json& definition);
  Result<bool> keeps_points_in_time(const std::string& table);
  static bool is_unknown_call(const Error& error);
  Status wait_until_active(const std::string& table, Milliseconds longest = Milliseconds(600'000));
  // `is_so` is asked of what DescribeTable says.
  Status wait_until(const std::string& table, Milliseconds longest,
                    const std::function<bool(const nlohmann::json&)>& is_so);
  // `at_work`: it has a limit, which stays where the new one cannot be known.
  void limit(dynamodb::Pace& pace, const std::string& table, bool writes, bool at_work);
  // `is_so` is asked of what DescribeTable says, where the request is refused.
  Status bring_about(const std::string& operation, const nlohmann::json& request,
                     const std::function<bool(const Result<nlohmann::json>&)>& is_so);
  Status set_stream(const std::string& table, bool enabled);
  Status switch_off(const std::string& feed, const dynamodb::FollowedTable& followed);
  Error no_table(const std::string& table);
  Result<Spool*> need_spool() const;

  // Catalog
  Result<std::vector<std::string>> tables() override;
  Result<TableSchema> describe(const std::string& table) override;
  Result<std::string> birth_of(const std::string& table) override;
  Result<TableSchema> parse(const std::string& ddl, const std::string& table) override;
  Result<TableSchema> sketch(const std::string& table,
                             const std::vector<std::pair<std::string, Value>>& key,
                             const std::vector<std::pair<std::string, Value>>& others) override;
  Result<std::string> ddl_like(const TableSchema& table, const std::string& name) override;
  Result<std::string> ddl_for(const TableSchema& other, const std::string& name) override;
  std::string with_new_names(std::string ddl,
                             const std::map<std::string, std::string>& names) const override;
  std::vector<std::string> differences(const TableSchema& wanted,
                                       const TableSchema& there) const override;
  std::vector<std::string> unlike(const TableSchema& wanted,
                                  const TableSchema& there) const override;
  Result<Value> settle(const ColumnSchema& column, Value value) const override;
  Status can_stand(const TableSchema& table, const Row& row) const override;
  Status create(const TableSchema& schema, bool with_indexes) override;
  Status complete(const TableSchema& schema) override;
  Status create_index(const std::string& ddl) override;
  Status drop(const std::string& table) override;
  Status clear(const std::string& table) override;
  Status rename(const std::string& table, const std::string& to) override;
  Status retire(const std::vector<const Mapping*>& mappings, const std::string& rename_to,
                bool view) override;
  Status can_retire(const std::vector<const Mapping*>& mappings, const std::string& rename_to,
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
  Status listen(const std::string& feed) override;
  Status end(const std::string& feed) override;
  Status link(const std::vector<Link>& links) override;
  Result<bool> links_are_whole(const std::vector<Link>& links) override;
  Result<OtherUse> used_by_others(const Link& link) override;
  Status unlink(const std::vector<Link>& links, PairSink& sink) override;
  Status cut(const std::vector<Link>& links) override;
  Result<std::vector<Row>> written_on_new_side(const Link& link) override;
  Result<bool> put_back(const Link& link, const Row& target_row,
                        const std::vector<std::pair<std::string, Value>>& columns) override;

  // Holds
  Status hold(const std::vector<std::string>& tables, TimePoint until) override;
  Result<bool> held(const std::vector<std::string>& tables) override;
  Status release(const std::vector<std::string>& tables) override;

  // feeds.cpp
  struct OpenShard {
    std::string iterator;
    int empty_pages = 0;
    Milliseconds empty_since{0};
  };
  struct Followed {
    dynamodb::FollowedTable about;
    std::vector<std::string> key;
    std::map<std::string, dynamodb::ShardPlace> places;
    std::map<std::string, OpenShard> open;
    std::optional<Milliseconds> listed_at;
    std::optional<Milliseconds> in_doubt_since;  // a parent that no listing names
    bool listed = false;
  };
  struct Feed {
    std::mutex mutex;
    std::unique_ptr<aws::Client> client;
    std::map<std::string, Followed> tables;
  };
  Result<std::shared_ptr<Feed>> open_feed(const std::string& feed);
  Result<bool> reaches_back_to_places(const std::string& feed,
                                      const dynamodb::FollowedTable& table);
  Status list_shards(Feed& feed, Followed& table);
  Status open_iterators(Feed& feed, Followed& table);
  Result<bool> absorb(const aws::Reply& reply, const Feed& feed, const Followed& table,
                      std::int64_t looked_ms, dynamodb::ShardPlace& place, OpenShard& shard,
                      Spool::Progress& progress);
  Result<bool> take_in(const std::string& name, Feed& feed, Followed& table);
  Result<bool> look_at(const std::string& name, Feed& feed, Followed& table);
  // One look at every open shard; true when all that was written before the call is kept.
  Result<bool> take_in_all(const std::string& name, Feed& feed);
  Status mark_own(std::vector<KeyChange>& changes);

  std::shared_ptr<aws::Access> access_;
  Clock& clock_;
  StoreLimits limits_;  // under `mutex_`, as the next
  std::int64_t times_limited_ = 0;
  mutable std::mutex mutex_;  // of what follows
  std::unique_ptr<aws::Client> client_;
  std::map<std::string, std::shared_ptr<dynamodb::Pace>> paces_;
  std::map<std::string, std::shared_ptr<Feed>> feeds_;
  std::unique_ptr<Spool> spool_;
};

}  // namespace whimbrel
