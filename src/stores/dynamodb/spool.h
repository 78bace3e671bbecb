// What a DynamoDB side has to remember beside the journal: a file of its own in the state folder.
//
// A stream remembers a day; what was read of it is kept here until the migration ends, so that a
// copy may take longer. With it lie the places in each shard, which streams are ours, what we wrote
// ourselves (so that it is not taken for the application's when it comes back by the stream), and
// who drives the migration. Everything goes with the state folder to another machine.
// Threads: any; one mutex.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "stores/dynamodb/item.h"
#include "stores/sqlite/connection.h"
#include "value/value.h"

namespace whimbrel::dynamodb {

struct FollowedTable {
  std::string table;
  std::string stream;           // its ARN; "" before it is known
  bool made_by_us = false;      // the stream: it is ended with the feed
  std::int64_t since_ms = 0;    // wall clock, when the feed began
  std::int64_t read_at_ms = 0;  // when all of it was read last
  std::int64_t ended_ms = 0;    // when it was asked for its end; 0: it goes on
};
struct ShardPlace {
  std::string shard;
  std::string parent;
  std::string sequence;  // of the last record that is kept; "": none yet
  bool ended = false;
};
using OwnWrite = std::pair<Row, std::string>;  // key, digest of the item; "": it is deleted

struct SpooledChange {
  std::int64_t id = 0;
  std::string table;
  Row key;
  Removal removal = Removal::none;
};

class Spool {
 public:
  static Result<std::unique_ptr<Spool>> open(const std::string& path);

  // With another stream than before the places in its shards are forgotten.
  Status follow(const std::string& feed, const FollowedTable& table);
  Result<std::vector<FollowedTable>> followed(const std::string& feed);
  // Feeds that follow this table.
  Result<bool> is_followed(const std::string& table);
  Status forget(const std::string& feed);
  // A stream that is ours belongs to the other feeds that follow the table; false: there are none.
  Result<bool> hand_over(const std::string& feed, const std::string& table);
  // That nothing follows in the stream which is followed now; the first time counts.
  Status end(const std::string& feed, const FollowedTable& table, std::int64_t at_ms);

  Result<std::vector<ShardPlace>> shards(const std::string& feed, const std::string& table);
  // All of it or nothing.
  struct Progress {
    std::string table;
    std::vector<ShardPlace> shards;
    std::vector<std::pair<Row, Removal>> changes;  // by key
    std::int64_t read_at_ms = 0;                   // 0: not all of it was read
  };
  Status keep(const std::string& feed, const Progress& progress);
  Result<std::int64_t> count_after(const std::string& feed, std::int64_t after);
  Result<std::vector<SpooledChange>> changes(const std::string& feed, std::int64_t after,
                                             std::int64_t changes_max);

  // What we wrote last under these keys. Whoever is killed between the intention and the note has
  // written it or not: until then each may be there, also what was before.
  Status intend_own(const std::string& table, const std::vector<OwnWrite>& writes);
  Status note_own(const std::string& table, const std::vector<OwnWrite>& written);
  // One entry a key: nothing where nothing is noted, else every digest that may be there.
  Result<std::vector<std::vector<std::string>>> own(const std::string& table,
                                                    const std::vector<Row>& keys);
  Status forget_own(const std::string& table, const std::vector<Row>& keys);

  Result<std::string> claimed_by(const std::string& migration);
  Status claim(const std::string& migration, const std::string& journal);
  Status mark(const std::string& migration, std::int64_t records);
  Result<std::optional<std::int64_t>> marked(const std::string& migration);
  Status disown(const std::string& migration);

 private:
  explicit Spool(std::unique_ptr<sqlite::Connection> connection)
      : connection_(std::move(connection)) {}
  Status run(const std::string& sql, const Row& parameters);

  std::mutex mutex_;
  std::unique_ptr<sqlite::Connection> connection_;
};

}  // namespace whimbrel::dynamodb
