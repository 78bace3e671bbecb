// The store contract: what a database must be able to do to be migrated from or to.
//
// A store knows nothing of phases, plans or journals. Every call that changes something is
// idempotent: after a lost reply it can be made again. Errors: `unavailable` may pass,
// `outcome_unknown` may have happened, `conflict` means somebody else is at work.
// Threads: a Store may be used by several threads; a reader, writer or copier by one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/events.h"
#include "store/condition.h"
#include "store/dangling.h"
#include "store/queries.h"
#include "store/rights.h"
#include "transform/mapping.h"
#include "transform/spell.h"
#include "value/fingerprint.h"
#include "value/schema.h"
#include "value/value.h"

namespace whimbrel {

// Grows by fields. The planner refuses early when a plan asks for more than this.
struct Capabilities {
  bool dual = false;     // can keep two of its tables in step inside the writer's transaction
  bool capture = false;  // can tell which keys were written since a position
  bool inside = false;   // can copy and compare between two of its tables itself
  int compared_columns_max = 0;  // that `inside` can compare at once; 0: any
  int writers_max = 1;           // batches that gain from being written side by side
  bool queries = false;          // runs an application's own queries, and tells what room it takes
  bool compares_inside = true;   // where it copies inside, it compares there as well
  bool holds = true;             // can refuse the application's writes for a while
  bool keeps_copies = false;     // of its tables, in a schema of its own
  bool logs = false;             // what was done, in a table
  bool renames = true;           // a table can get another name
  // What was written since it was last asked is forgotten after so long; 0: never.
  Milliseconds remembers_for{0};
  bool counts_units = false;   // of capacity, in which limits may be said
  bool counts_changes = true;  // Applied tells a row that was so already from one it changed
  // A writer waits for its own table only, and a hold is a lock: it keeps everybody's writes out,
  // ends with the process, and is released as a whole.
  bool locks_tables = false;
};

// What a plan says of a store besides its URL.
struct StoreSettings {
  std::optional<Milliseconds> lock_timeout = {};       // of any lock that others wait behind
  std::optional<Milliseconds> statement_timeout = {};  // but of index builds and the like
};

// What the engine may use of a store that counts capacity; 0: as much as there is.
struct StoreLimits {
  double read_units_per_s = 0;
  double write_units_per_s = 0;
  double share = 0;  // of what a table has, where the two say nothing
  // What may lag behind before copying waits; unset: not looked at.
  std::optional<Milliseconds> replica_lag = {};
  std::optional<std::int64_t> wal_kept = {};  // bytes
};

// Rows with after < key <= through; no bound where unset.
struct KeyRange {
  std::optional<Row> after;
  std::optional<Row> through;
};
struct ChunkLimits {
  std::int64_t rows_max = 1000;
  std::int64_t bytes_max = std::int64_t{8} << 20;  // at least one row is read whatever its size
};

struct ChunkOfRows {
  std::vector<Row> rows;  // in the store's own order of keys, with all columns of the schema
  KeyRange range;         // `through` is unset when the table's end was reached
};

class SnapshotReader {
 public:
  virtual ~SnapshotReader() = default;
  virtual Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                         const ChunkLimits& limits) = 0;
  // The same for whoever does not need the rows in any order: several parts of the table at once,
  // where that is faster. Its positions are of its own kind.
  virtual Result<ChunkOfRows> scan_after(const std::optional<Row>& after,
                                         const ChunkLimits& limits) {
    return read_after(after, limits);
  }
  // One entry a key, in the same order; unset where there is no such row.
  virtual Result<std::vector<std::optional<Row>>> read_keys(std::span<const Row> keys) = 0;
  // Whether there are such rows, one entry a key.
  virtual Result<std::vector<bool>> has_keys(std::span<const Row> keys);
  virtual Result<std::int64_t> count() = 0;
};

struct Change {
  Row key;                 // of the written table
  std::optional<Row> row;  // aligned with the writer's columns; unset: the row is deleted
  // Set: only if the row (all columns; unset inside: no row) is still this one. Asked in the same
  // transaction.
  std::optional<std::optional<Row>> only_if = std::nullopt;
};
struct Applied {
  std::int64_t written = 0;  // rows inserted, changed or deleted
  std::int64_t skipped = 0;  // already as they should be; see Capabilities::counts_changes
  std::int64_t refused = 0;  // `only_if` was no longer true
  // Rows of the table that are not among the changes and hold a value that has to be unique:
  // nothing was applied. They may only be out of date: who applies adds their changes and tries
  // again.
  std::vector<Row> blocked_by;
  // Somebody else has written to the store since the writer's batch before, as far as it notices.
  bool others_write = false;
};

// Takes rows as a table would, without its triggers and foreign keys, in a place of its own.
class Rehearsal {
 public:
  virtual ~Rehearsal() = default;
  // The written columns of one row each; unset where the table would take it, else why not:
  // `conflict` for a value that one before it has and that has to be unique, else `refused`.
  virtual Result<std::vector<std::optional<Error>>> offer(std::span<const Row> rows) = 0;
  // Whether it remembers the keys of rows that were offered before.
  virtual bool notices_equal_keys() const { return false; }
  // Whether it compares rows with those that were offered before.
  virtual bool keeps_rows() const { return notices_equal_keys(); }
};

class BatchWriter {
 public:
  virtual ~BatchWriter() = default;
  // Upserts (of the writer's columns only) and deletes by key: all of them or none. Deletes go
  // first, so that a value may move from one row to another. Not reported by capture as the
  // application's writes.
  virtual Result<Applied> apply(std::span<const Change> changes) = 0;
};

struct InsideCopy {
  KeyRange range;
  std::int64_t read = 0;
  std::int64_t written = 0;
  std::int64_t bytes = 0;
  bool blocked = false;       // as Applied::blocked_by: nothing was copied
  Milliseconds took{0};       // while writers had to wait for it
  bool others_write = false;  // somebody else has written to the store since the chunk before
};
// Rows of the target that no row of the source stands for.
struct InsideStrangers {
  KeyRange range;         // of target keys
  std::vector<Row> keys;  // of the target
};
struct InsideComparison {
  KeyRange range;
  Fingerprint expected;        // of the source, through the mapping and the target's types
  Fingerprint found;           // of the target rows with these keys
  std::vector<Row> differing;  // source keys, all of them
  std::int64_t differing_rows = 0;
};

// Between two tables of one store, or from a store that it reaches: rows never leave it.
class InsideCopier {
 public:
  virtual ~InsideCopier() = default;
  // In the three below `after` is a position that an earlier range ended with: the store's own
  // affair, not a key. One that the store no longer understands means the beginning.
  //
  // Copies rows that the target does not have yet, in one transaction. When the machine loses its
  // power it may be undone again, until make_durable() returns.
  virtual Result<InsideCopy> copy_after(const std::optional<Row>& after,
                                        const ChunkLimits& limits) = 0;
  // The rows of a range that was blocked, for whoever writes them one by one.
  virtual Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                         const ChunkLimits& limits) = 0;
  // What was copied so far is there for good.
  virtual Status make_durable() = 0;
  // Both sides are read in one transaction, so what is linked is compared without lag.
  // `unavailable` when the position is lost: then all is to be compared again.
  // `until`: a position to end at.
  virtual Result<InsideComparison> compare_after(const std::optional<Row>& after,
                                                 const std::optional<Row>& until,
                                                 const ChunkLimits& limits) = 0;
  // A position with about as many rows before it as behind it; unset where the store cannot tell.
  virtual Result<std::optional<Row>> middle() = 0;
  // By the keys alone; `after` is a key of the target. Unset where the store cannot tell.
  virtual Result<std::optional<InsideStrangers>> strangers_after(const std::optional<Row>& after,
                                                                 const ChunkLimits& limits) = 0;
};

// Units a second that a table, or an index of it, is provisioned with.
struct Provision {
  std::int64_t read = 0;
  std::int64_t written = 0;
  friend bool operator==(const Provision&, const Provision&) = default;
};
// Of a table, under "", and of its indexes by name.
using Provisions = std::map<std::string, Provision>;

// A schema, a type or the like that tables need.
struct Prerequisite {
  std::string name;   // as a person says it, like "the type public.mood"
  std::string sql;    // makes it
  std::string there;  // a query that gives a true value where it is there
};

class Catalog {
 public:
  virtual ~Catalog() = default;
  virtual Result<std::vector<std::string>> tables() = 0;
  // Those that hold rows of their own and nothing else; what a pattern in a plan may mean.
  virtual Result<std::vector<std::string>> plain_tables() { return tables(); }
  // not_found when there is no such table.
  virtual Result<TableSchema> describe(const std::string& table) = 0;
  // What `ddl` would make of `table`, without making it.
  virtual Result<TableSchema> parse(const std::string& ddl, const std::string& table) = 0;
  // The shape of a small table that holds such values under such a key, with its DDL. Makes
  // nothing.
  virtual Result<TableSchema> sketch(const std::string& table,
                                     const std::vector<std::pair<std::string, Value>>& key,
                                     const std::vector<std::pair<std::string, Value>>& others) = 0;
  // The DDL of a table `name` like `table`, with its defaults, constraints and indexes; what refers
  // to the table itself refers to the new one. Refused where this store cannot say it.
  virtual Result<std::string> ddl_like(const TableSchema& table, const std::string& name) = 0;
  // The DDL of a table `name` here for the rows of a table of another kind of store, where it is
  // not said in SQL. Refused where no such table can be.
  virtual Result<std::string> ddl_for(const TableSchema&, const std::string& /*name*/) {
    return Error{ErrorCode::refused, "tables of this store are made by SQL"};
  }
  // What has to be there before a table like this one of our own can be made in another store of
  // the same kind; in the order in which it is made.
  virtual Result<std::vector<Prerequisite>> needs(const TableSchema&) {
    return std::vector<Prerequisite>{};
  }
  virtual Result<bool> has(const Prerequisite&) { return true; }
  // The same, with the new name of each column that gets one. A store whose tables say all their
  // columns changes nothing: there it is the plan that has to keep to their names.
  virtual std::string with_new_names(std::string ddl,
                                     const std::map<std::string, std::string>&) const {
    return ddl;
  }
  // The same, where it refers to tables by the first of these names, by the second. A store that
  // makes references by themselves changes nothing.
  virtual std::string with_new_parents(std::string ddl,
                                       const std::map<std::string, std::string>&) const {
    return ddl;
  }
  // What makes the table `name` refer to others as `table` does, once all rows are there.
  // `parent_here` says what the table is called here that a foreign key names; "": there is none.
  virtual std::vector<std::string> references_like(
      const TableSchema&, const std::string&,
      const std::function<std::string(const ForeignKey&)>&) const {
    return {};
  }
  // What tables() writes before the names of tables that need no schema, like `public.`; else "".
  virtual Result<std::string> usual_schema() { return std::string(); }
  // How a table that is there differs from one that is wanted, beyond its columns; a sentence each.
  virtual std::vector<std::string> differences(const TableSchema&, const TableSchema&) const {
    return {};
  }
  // What a table that was made like `wanted` has not got of what does not concern its rows, because
  // the service does not offer it or the source did not tell it; a sentence each.
  virtual std::vector<std::string> unlike(const TableSchema&, const TableSchema&) const {
    return {};
  }
  // The value as this column would hold it; `refused` when it cannot without loss.
  virtual Result<Value> settle(const ColumnSchema& column, Value value) const = 0;
  // Whether a row as a whole can stand in the table, when each of its values can: `refused`, with
  // the kind of the obstacle as context. Asks nobody.
  virtual Status can_stand(const TableSchema&, const Row&) const { return {}; }
  // Whether a trigger of the table may give the column another value when we write a row: many note
  // so when a row was changed. False where no trigger fires for what we write.
  virtual bool trigger_may_set(const TableSchema&, const std::string&) const { return false; }
  // Does nothing when the table exists. Indexes are left out unless asked for.
  virtual Status create(const TableSchema& schema, bool with_indexes) = 0;
  virtual Status create_index(const std::string& ddl) = 0;
  // What has to wait until the rows of a table that we made are there. Idempotent.
  virtual Status complete(const TableSchema&) { return {}; }
  virtual Status drop(const std::string& table) = 0;
  // Deletes every row; the table stays.
  virtual Status clear(const std::string& table) = 0;
  virtual Status rename(const std::string& table, const std::string& to) = 0;
  // What describe() calls a table of this name that stands where `table` does.
  virtual std::string beside(const std::string&, const std::string& name) const { return name; }
  // The end of the old tables, all in one transaction: each is renamed, or dropped when
  // `rename_to` is empty; `view` puts a view with its name over the new table. Tables that are
  // no longer there as tables are done already.
  virtual Status retire(const std::vector<const Mapping*>& mappings, const std::string& rename_to,
                        bool view) = 0;
  // Whether retire() would go well now; leaves everything as it is.
  virtual Status can_retire(const std::vector<const Mapping*>&, const std::string&, bool) {
    return {};
  }
  // Whether a table cannot be called so, because something else is.
  virtual bool name_is_taken(const std::string& name) { return describe(name).ok(); }
  // What tells this table from another one that gets its name when it is dropped; before a `/` what
  // tells its database from a copy of it. "" where the store does not say. `not_found` when there
  // is no such table.
  virtual Result<std::string> birth_of(const std::string&) { return std::string(); }
  // Rows of this table, or of tables that refer to it, that refer to nothing; one for each pair of
  // tables. Reads every row of those tables.
  virtual Result<std::vector<Dangling>> dangling(const std::string&) {
    return std::vector<Dangling>{};
  }
  // The highest number that the store has ever given a row of this table by itself, where it
  // promises to give none twice; 0 where it gives none.
  virtual Result<std::int64_t> last_number(const std::string&) { return std::int64_t{0}; }
  // Numbers given from now on are higher than this one. Does nothing where none are given.
  virtual Status raise_number(const std::string&, std::int64_t) { return {}; }
  // As it was before we brought rows and took them away again.
  virtual Status put_number_back(const std::string&, std::int64_t) { return {}; }
  // Empty where the table takes whatever comes, and in a store that counts no units. `settled`:
  // waits until what somebody has asked for before is so.
  virtual Result<Provisions> provisions(const std::string&, bool /*settled*/) {
    return Provisions();
  }
  // Returns when it holds; what is so already is not asked for.
  virtual Status provision(const std::string&, const Provisions&) { return {}; }
  // The reverse of retire: a view called `table` goes, and the archive gets its name back; without
  // an archive (`archived_as` is empty) only the view goes. Does nothing when the table is there,
  // or when there is nothing to bring back.
  virtual Status revive(const std::string& table, const std::string& archived_as) = 0;
};

// Emits `made_unlike` for each thing that unlike() names of a table that was made like `wanted`;
// `made` is its name in the store; `known_as` is what it is called to a person.
Status tell_unlike(Catalog& catalog, const TableSchema& wanted, const std::string& made,
                   const std::string& known_as, Events& events);

struct KeyChange {
  std::string table;
  Row key;
  // Written by a BatchWriter of ours, not by the application. Once the application has written this
  // key, too, a store may call any change of it the application's.
  bool own = false;
  bool removed = false;  // the row was deleted; it may have come back since
  bool expired = false;  // by the store itself, because its time was over: by no application
};
struct ChangeBatch {
  // In commit order, those of one key at least; the same key may come again.
  std::vector<KeyChange> changes;
  std::string position;  // where to read on
  bool at_end = false;   // everything committed before the call has been read
  // How many notes of the feed these changes stand for, of which `waiting` counts.
  std::int64_t notes() const { return shown ? *shown : std::ssize(changes); }
  std::optional<std::int64_t> shown = std::nullopt;  // set where one note is several changes
};

// Two tables of one store that are kept in step, in both directions.
struct Link {
  std::string id;
  const Mapping* mapping = nullptr;
  bool made_target = true;  // on unlink the target is dropped; else it is emptied again
};

// What stands on a pair of tables that is not this link's own.
struct OtherUse {
  bool linked = false;                  // kept in step with a third table
  bool noted = false;                   // writes are noted in a feed
  std::vector<std::string> migrations;  // that are at work in the store, as they call themselves
};

// What was done, for people who look into a table.
struct LogLine {
  std::string operation;
  std::string status;  // "running", "completed", "failed", "rolled_back"
  std::string message;
  TimePoint started{};
  std::optional<TimePoint> completed = {};
};

// Receives pairs the new side has written, while nobody can write; see unlink.
class PairSink {
 public:
  virtual ~PairSink() = default;
  virtual Status pair(const Link& link, const std::optional<Row>& source, const Row& target) = 0;
  // The new side wrote this key, and the row is no longer there.
  virtual Status gone(const Link& link, const Row& target_key) = 0;
  virtual Status flush() = 0;
};

class Capture {
 public:
  virtual ~Capture() = default;
  // A durable feed of the keys written to the tables from now on; the position before the first.
  // Starting it again gives the first position. What was started is removed by `stop`.
  virtual Result<std::string> start(const std::string& feed,
                                    const std::vector<std::string>& tables) = 0;
  virtual Status stop(const std::string& feed) = 0;
  // Whether everything that `start` has made is still there: others can drop it, or rebuild a table
  // without it, and then writes go unnoticed. Starting it again mends it, from then on.
  virtual Result<bool> feed_is_whole(const std::string& feed,
                                     const std::vector<std::string>& tables) = 0;
  virtual Result<ChangeBatch> read(const std::string& feed, const std::string& position,
                                   std::int64_t changes_max) = 0;
  // How many changes wait behind this position: those noted until now, so that following can end
  // also where writers are faster.
  virtual Result<std::int64_t> waiting(const std::string& feed, const std::string& position) = 0;
  // Parts of tables that came or went as a whole (partitions) are noted, or are on the other side
  // as well, from here on: to be called before rows are compared, by whichever process. Idempotent.
  virtual Status keep_up(const std::string&) { return {}; }
  // Takes in what the store remembers only for a while; to be called now and then while nobody
  // reads the feed. Quick, and never needed where a feed is kept until it is stopped.
  virtual Status listen(const std::string&) { return {}; }
  // Before the feed is stopped for good: from now on `read` says that it is at the end only behind
  // everything that was written before this call; what is written later may go unnoticed. Quick,
  // idempotent, and nothing to do where a change can be read as soon as it is made.
  virtual Status end(const std::string&) { return {}; }
  // From now on every write to one table is carried to the other in the writer's transaction.
  virtual Status link(const std::vector<Link>& links) = 0;
  // The same question about links.
  virtual Result<bool> links_are_whole(const std::vector<Link>& links) = 0;
  // Whether another migration is at work on one of these two tables: what is written by one set of
  // links is not seen by another, nor by a feed.
  virtual Result<OtherUse> used_by_others(const Link& link) = 0;
  // Hands every pair the new side wrote to the sink, then removes the links and the targets that
  // we made, all in one transaction.
  virtual Status unlink(const std::vector<Link>& links, PairSink& sink) = 0;
  // Ends the link and keeps both tables.
  virtual Status cut(const std::vector<Link>& links) = 0;
  // Target keys that the application wrote on the new side while linked.
  virtual Result<std::vector<Row>> written_on_new_side(const Link& link) = 0;
  // Sets columns of this target row as the new side's own; false when it is no longer this row.
  virtual Result<bool> put_back(const Link& link, const Row& target_row,
                                const std::vector<std::pair<std::string, Value>>& columns) = 0;
};

// Refuses the application's writes until a deadline, and then lets go by itself, whoever lives.
class Holds {
 public:
  virtual ~Holds() = default;
  virtual Status hold(const std::vector<std::string>& tables, TimePoint until) = 0;
  virtual Result<bool> held(const std::vector<std::string>& tables) = 0;
  virtual Status release(const std::vector<std::string>& tables) = 0;
  // For a table with a switch's row, before others are held: whoever keeps that row until he has
  // written waits here, and not with the row in his hand before a table that is held. The next
  // writer of the table goes first; `step_aside` lets everybody go on without one. Only as far as
  // the store can, for a part of the time until `until`, when it ends by itself.
  virtual Status go_first(const std::string& table, TimePoint until) {
    (void)table;
    (void)until;
    return {};
  }
  virtual Status step_aside(const std::string& table) {
    (void)table;
    return {};
  }
  // Where a held write waits instead of being refused: the transactions of others that are open
  // now, of which each may have asked whom to write to before a switch, and write after it. By
  // names that no two transactions have.
  virtual Result<std::vector<std::string>> transactions() { return std::vector<std::string>{}; }
};

// A column that is to have another type in place, as a plan says it.
struct RetypedColumn {
  std::string table;
  std::string column;
  std::string to;  // a type as the store spells it
  // Texts that the new type spells otherwise: these are meant. See Respelling.
  bool takes_any_spelling = false;
  std::shared_ptr<const Spellings> listed = nullptr;
  // The table and its column that this one refers to without a foreign key; "" where to none.
  std::string refers_to = {};
  std::string refers_to_column = {};
  Orphans orphans = Orphans::fail;  // what becomes of a value that is not found there
  Value orphans_to = {};
  // What becomes of a value and what leads back from it, both over a column that is called `reads`;
  // null: the store's own cast, and what follows from the other.
  ExprPtr made_by = nullptr;
  ExprPtr leads_back = nullptr;
  std::string reads = {};
};
// A table that is made anew beside the old one with other types, and takes its name at the switch.
// Both keep the names they have here, for whoever asks the store, as long as it is under way.
struct RetypedTable {
  TableSchema source;
  TableSchema target;
  std::vector<Respelling> respelled;  // of its columns that were texts
  // Its columns that get another type, and which of the plan's columns says how.
  std::vector<std::pair<std::string, std::size_t>> columns;
  // Those of which the old type, or the new one, fills its values up with blanks that count for
  // nothing, and the other does not.
  std::vector<std::string> filled_before = {};
  std::vector<std::string> filled_after = {};
};

// A store that can give columns another type while the application writes.
class Retyping {
 public:
  virtual ~Retyping() = default;
  // The tables with these columns and all that refer to them, parents first. `refused` for what
  // cannot be done at all, with the reason.
  // `known`: those that it was begun with, in their order; empty before.
  virtual Result<std::vector<RetypedTable>> tables(const std::vector<RetypedColumn>& columns,
                                                   const std::vector<std::string>& known) = 0;
  // Whether the new tables have the old ones' names; unset when some have and some have not.
  virtual Result<std::optional<bool>> swapped(const std::vector<std::string>& sources) = 0;
  // Exchanges the names and all that depends on the tables, in one transaction; a hold that was
  // taken before ends with it. `back`: the other way round. Idempotent.
  virtual Status swap(const std::vector<std::string>& sources, bool back) = 0;
  // Whom to tell who keeps swap() waiting, each time before it goes on waiting.
  using Waiting = std::function<void(const Error& who)>;
  virtual void tell_who_keeps_waiting(Waiting told) = 0;
  // Carries out the exchange there and takes it back, to learn whether it would go well; indexes
  // that the new tables do not have yet are made for it, so these are better small. `unavailable`
  // says nothing: somebody was in the way.
  virtual Status try_swap(const std::vector<std::string>& sources,
                          const std::vector<std::string>& index_ddl) = 0;
  // After the exchange: what a plan wants of rows that refer to nothing (RetypedColumn::orphans)
  // becomes of them in the new tables, as the application would do it. Gives how many. Idempotent.
  virtual Result<std::int64_t> put_right(const std::vector<std::string>& sources) = 0;
  // It is as it was again, in the same way. To be called before the way back is drained; nothing
  // is put right afterwards. Idempotent.
  virtual Result<std::int64_t> bring_back(const std::vector<std::string>& sources) = 0;
  // What could not be settled at once after an exchange, tried again: it changes nothing about who
  // serves. The error says what is left.
  virtual Status settle_the_rest(const std::vector<std::string>& sources) = 0;
};

// What a store is to make again from what it keeps itself.
struct NativeRestore {
  std::string backup = {};           // a name or address; unset where `at` or `latest` is meant
  std::string table = {};            // of which; "" where the backup's name says it
  std::optional<TimePoint> at = {};  // as the table was at this moment
  bool latest = false;               // as it was at the last moment that can be had
  std::string as = {};               // the table that is made; "": a name like the old one's
};

// One thing a colleague would say before it starts.
struct Finding {
  enum class Weight { note, warning, refusal };
  Weight weight = Weight::note;
  std::string code;  // stable, for scripts: "null_key"
  std::string message;
  std::string hint;
};

// Units of capacity that a row takes: to be read once, and to be written with its indexes.
struct Units {
  double read = 0;
  double written = 0;
  double dollars_read = 0;  // at the list price of the service's first region
  double dollars_written = 0;

  Units& operator+=(const Units& other) {
    read += other.read;
    written += other.written;
    dollars_read += other.dollars_read;
    dollars_written += other.dollars_written;
    return *this;
  }
};
using UnitMeter = std::function<Units(const Row&)>;

// Rows as lines of text in a format of the store's own, so that its own tools read an archive as
// well. Threads: one at a time.
class RowText {
 public:
  virtual ~RowText() = default;
  virtual std::string format() const = 0;  // as the store calls it
  virtual Result<std::string> line(const Row& row) = 0;
  // data_mismatch for a line that is no row of the table.
  virtual Result<Row> row(const std::string& line) = 0;
};

class Store {
 public:
  virtual ~Store() = default;
  // The same for the same database, however it is reached; holds no secret.
  virtual std::string identity() const = 0;
  virtual Capabilities capabilities() const = 0;
  // Whether `other`, under whatever name, is the same database.
  virtual bool is_same_place(const Store& other) const { return identity() == other.identity(); }
  // The store itself, where this one shows its tables in another shape.
  virtual const Store& plain() const { return *this; }
  // The table that holds the rows of this one: itself, unless it is shown in another shape.
  virtual std::string stored_as(const std::string& table) const { return table; }
  // Whether the same key could be that of a row of this table and of one of another that is stored
  // in the same: whoever writes has to see to it.
  virtual bool shares_keys(const TableSchema&) const { return false; }
  // Where rows of this table are known by more than their own key: the own key of each, and as what
  // the row that has it stands there now, if it is there. Empty where keys are the table's own.
  struct OwnKey {
    Row key;
    std::optional<Row> now;
  };
  virtual Result<std::vector<OwnKey>> own_keys(const TableSchema&, std::span<const Row>) {
    return std::vector<OwnKey>{};
  }
  // Whether a row of this table stands for no row at all: written so, it is not there when read.
  virtual bool stands_for_nothing(const TableSchema&, const Row&) const { return false; }
  virtual const Dialect* dialect() const = 0;  // null when the store speaks no SQL
  virtual Catalog& catalog() = 0;
  // A table by the name that SQL knows it by right now; "" when the store speaks no SQL.
  virtual std::string sql_name(const std::string& table) {
    return dialect() == nullptr ? "" : dialect()->quote_table(table);
  }
  virtual Capture& capture() = 0;
  virtual Holds& holds() = 0;
  // Null where it cannot give columns another type in place.
  virtual Retyping* retyping() { return nullptr; }
  // The migration's state folder: for a store that has to remember something beside its database.
  virtual Status work_in(const std::string&) { return {}; }
  // Before the first reader or writer is opened.
  virtual void keep_within(const StoreLimits&) {}
  virtual Result<std::unique_ptr<SnapshotReader>> open_reader(const TableSchema& table) = 0;
  // All of its rows are those of one moment, where the store can hold one for that long: between
  // two calls of another reader a value may move from one row to the next.
  virtual Result<std::unique_ptr<SnapshotReader>> open_reader_of_one_moment(
      const TableSchema& table) {
    return open_reader(table);
  }
  // One whose `read_after` may leave out rows for which a condition does not hold, as far as the
  // store can be asked: whoever reads looks again. Its `read_keys` and `count` leave out none.
  virtual Result<std::unique_ptr<SnapshotReader>> open_reader_where(const TableSchema& table,
                                                                    std::span<const Condition>) {
    return open_reader(table);
  }
  virtual Result<std::unique_ptr<BatchWriter>> open_writer(
      const TableSchema& table, const std::vector<std::string>& columns) = 0;
  // Whether it can read the tables of `source` itself: its own, where it can copy inside at all.
  virtual bool reaches(const Store& source) const {
    return this == &source && capabilities().inside;
  }
  // Whether it can carry out this mapping from a table of `source` by itself: where it reaches it,
  // and its dialect spells every rule.
  virtual bool copies_inside(const Mapping& mapping, const Store& source) const;
  // From a table of `source`, which it reaches, to one of its own.
  virtual Result<std::unique_ptr<InsideCopier>> open_inside(const Mapping& mapping,
                                                            const Store& source) = 0;
  // Says which journal drives this migration here; `conflict` when another one does. Chunks
  // record themselves under it in their own transaction.
  virtual Status claim(const std::string& migration, const std::string& journal) = 0;
  // The journal that drives this migration here, by claim(); "" when none does.
  virtual Result<std::string> claimed_by(const std::string& migration) = 0;
  // Notes how far the journal is that has the claim; with it an older copy of either is noticed.
  virtual Status mark(const std::string& migration, const std::string& journal,
                      std::int64_t records) = 0;
  // Unset where this journal has no claim, or has never marked it.
  virtual Result<std::optional<std::int64_t>> marked(const std::string& migration,
                                                     const std::string& journal) = 0;
  // A copy of a table as it is in one moment, in a schema that is made where it is missing, and
  // compared with it; gives the rows. One that is there already stays. `refused` where
  // `capabilities().keeps_copies` is false.
  virtual Result<std::int64_t> keep_copy(const std::string& table, const std::string& schema);
  // A backup of the store's own kind, complete when it returns; what it is known by. Unset where
  // the store has no such thing. One of this name that is there already is taken for it.
  virtual Result<std::optional<std::string>> keep_backup(const std::string& table,
                                                         const std::string& name);
  // What a role needs for this; empty where the store names no such permissions.
  virtual Rights rights_for(TableUse use, const std::string& table) const;
  // Of a store that is paid by what rows take; empty for others.
  virtual UnitMeter unit_meter(const TableSchema& table) const;
  // Null where the store has no format of its own.
  virtual std::unique_ptr<RowText> row_text(const TableSchema& table) const;
  // From now on the table can be restored to any moment; false where the store has no such thing.
  virtual Result<bool> keep_points_in_time(const std::string& table);
  // Makes a table from a backup of the store's own kind, or from one moment of a table, beside what
  // is there; gives its name when it can be read. Asked again, it waits for the table that it has
  // begun. `refused` where the store has no such thing or the name is taken, not_found where there
  // is no such backup. `dry`: only looks whether it could.
  virtual Result<std::string> restore_native(const NativeRestore& wanted, bool dry);
  // Such copies go, and the schema when nothing else is left in it.
  virtual Status drop_copies(const std::vector<std::string>& tables, const std::string& schema);
  // A line in a table of what was done, which is made where it is missing; the line of the same
  // operation that was begun and not ended is ended by it. `completed`: unset while it runs.
  virtual Status log(const std::string& table, const LogLine& line);
  // Removes what claim() has left for this journal; another journal's claim stays.
  virtual Status disown(const std::string& migration, const std::string& journal) = 0;
  // Inserts, reads, changes and deletes what becomes of one row of the source, in a transaction
  // that is rolled back, through the link where there is one. Gives what was tried, for the report.
  virtual Result<std::string> self_test(const Mapping& mapping, bool linked,
                                        const Row& source_row) = 0;
  // Nothing where a table of this shape takes every row. Uses space on the disk of temporary files.
  // `with_others`: rows of others will be offered as well, so that what has to be unique is asked
  // of the table, whatever the source promises.
  virtual Result<std::unique_ptr<Rehearsal>> rehearse(const Mapping& mapping, bool with_others) = 0;
  // Whether `ask` would understand the query; it is not run.
  virtual Status understands(const std::string& query) = 0;
  // The one value that a reading query gives, for checks a plan asks for. `refused` when the
  // store speaks no SQL, or the query would write.
  virtual Result<Value> ask(const std::string& query) = 0;
  // For queries that a plan wants to have measured; `capabilities().queries` says whether a store
  // can. `refused` for a query that would write, or whose parameters are not these. Waits for
  // locks of others no longer than `patience`.
  virtual Result<std::unique_ptr<QueryRunner>> open_queries(
      const std::vector<ReadingQuery>& queries, Milliseconds patience);
  virtual Result<std::unique_ptr<WriteProbe>> open_write_probe(const TableSchema& table,
                                                               Milliseconds patience);
  virtual Result<RoomTaken> room_taken(const TableSchema& table);
  // Bytes that are free where the rows are put; nothing where only the server knows.
  virtual std::optional<std::int64_t> room_left() const { return std::nullopt; }
  // `refused` where this user may read the store and not write to it. Changes nothing.
  virtual Status may_write() const { return {}; }
  // What this store knows about the pair that a plan cannot: keys with nulls, values that would
  // not fit, triggers and views that would be surprised. Changes nothing.
  virtual Result<std::vector<Finding>> review(const Mapping& mapping, bool dual) = 0;
  // Whether review() of `source` names every row that this mapping cannot bring here: then nobody
  // has to read them all.
  virtual bool takes_what_review_passes(const Mapping&, const Store& /*source*/) const {
    return false;
  }
  // The same of the store that is written to.
  virtual Result<std::vector<Finding>> review_target(const Mapping&, bool) {
    return std::vector<Finding>{};
  }
};

// Capture::put_back for a store whose own writes need no further note.
Result<bool> put_back_by_writing(Store& store, const Mapping& mapping, const Row& target_row,
                                 const std::vector<std::pair<std::string, Value>>& columns);

}  // namespace whimbrel
