// A checked plan, bound to the stores it speaks of: what the engine carries out.
//
// Immutable once made. `digest` covers the resolved plan and the identity of the stores, never
// credentials.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "plan/http_check.h"
#include "plan/watch_plan.h"
#include "store/condition.h"
#include "store/own_rows.h"
#include "store/store.h"
#include "transform/mapping.h"

namespace whimbrel {

enum class Sync {
  dual,     // the store keeps both sides equal
  capture,  // a feed of keys from the first read on
  none,     // nothing before the window; in it everything is compared
};
const char* name_of(Sync sync);
enum class OnError { fail, reject };
// A column of the source holds keys of rows of another move.
struct Reference {
  std::string said;  // as the plan spells it, or the column's name
  int column = -1;   // of the source
  int becomes = -1;  // the column of the target that it is moved to; none where it is computed
  IdPlace place;
  int parent = -1;           // the move; its source has a key of one column
  Kind of_key = Kind::null;  // what that key holds, where the store says it
};
// One that nothing can be looked up by: the other table's key has several columns.
struct UnfollowedReference {
  std::string said;
  int parent = -1;
};
enum class Indexes { online, after };

// What tells whether the application is well (`health:`), by columns of the source.
struct HealthPlan {
  std::string newest;  // a column with a time; "" when the plan does not say
  std::string groups;  // a column whose values are counted
  // Rows with one of these values in each of the columns, whose `newest` is older than that.
  std::vector<std::pair<std::string, std::vector<Value>>> stuck;
  Milliseconds stuck_for{0};
};

class Subset;

struct Move {
  int index = 0;
  std::string name;  // the plan's `as`, else the source table
  std::string from;  // alias/table, as a person reads it
  std::string to;
  std::shared_ptr<Store> source;
  std::shared_ptr<Store> target;
  Mapping mapping;
  bool creates_target = false;   // the plan gives its DDL; else it must exist
  bool inside = false;           // one store can copy it without moving rows
  bool compares_inside = false;  // and compare it
  Indexes indexes = Indexes::online;
  OnError on_error = OnError::fail;
  Orphans orphans = Orphans::fail;
  // A copy into a table in which others have rows as well: `own` says which are this migration's.
  bool among_others = false;
  // Under `orphans: fail`, and the rows may be others than those that were analyzed.
  bool refuses_orphans = false;
  OnConflict on_conflict = OnConflict::fail;
  Value orphans_to = {};
  std::vector<Condition> where = {};
  std::optional<std::int64_t> limit = {};    // rows, of those that `where` leaves
  std::optional<std::int64_t> sample = {};   // rows, with what they need and what belongs to them
  bool has_conditions = false;               // `when:` leaves rows to other moves
  std::shared_ptr<Subset> subset = nullptr;  // where the plan has a limit or a sample
  std::vector<Reference> references = {};
  std::vector<UnfollowedReference> not_followed = {};
  std::shared_ptr<OwnBook> own = nullptr;  // opened with the state folder
  std::optional<HealthPlan> health = {};

  // The tables that hold the rows, where the engine sees them in another shape.
  std::string stored_source() const { return source->stored_as(mapping.source.name); }
  std::string stored_target() const { return target->stored_as(mapping.target.name); }
  bool source_is_reshaped() const { return stored_source() != mapping.source.name; }
  // Where one table becomes several: by the same keys.
  bool is_made_of_the_rows_of(const Move& other) const {
    return other.index != index && &other.source->plain() == &source->plain() &&
           other.stored_source() == stored_source() &&
           other.mapping.source.key == mapping.source.key;
  }
  // Whether another move has its rows in the same table.
  bool has_rows_beside(const Move& other) const {
    return other.index != index && other.target->identity() == target->identity() &&
           other.stored_target() == stored_target();
  }
};

struct RowSwitch {
  std::shared_ptr<Store> store;
  TableSchema table;
  std::vector<std::pair<std::string, Value>> key;
  std::vector<std::pair<std::string, Value>> set;
  bool create = false;
};
struct CommandSwitch {
  std::vector<std::string> run;
  std::vector<std::string> undo;
  std::vector<std::string> state;         // exit 0: switched, 1: not, else unknown; may be empty
  std::string folder;                     // where the commands are started
  std::vector<std::string> secrets = {};  // that its words hold, and nobody is told
};
// Names that get values, and names that go. A value may be a secret: it is told to nobody.
struct NamedValues {
  std::vector<std::pair<std::string, std::string>> set;
  std::vector<std::string> unset;
};
struct EnvFileSwitch {  // KEY=VALUE lines
  std::string path;     // absolute
  std::string written;  // as the plan says it
  NamedValues values;
};
struct LambdaSwitch {  // environment variables of functions
  std::vector<std::string> functions;
  NamedValues values;
};
struct ParameterSwitch {  // of AWS Systems Manager
  std::string parameter;
  std::string value;
};
struct ConcurrencySwitch {  // reserved for functions of Lambda
  std::vector<std::string> functions;
  std::int64_t reserved = 0;
};
struct ObjectSwitch {  // of S3, the whole object
  std::string bucket;
  std::string key;
  std::string written;
  std::string text;
};
struct HttpSwitch {
  HttpCheckPlan act;
  HttpCheckPlan undo;
  std::optional<HttpCheckPlan> state;  // answers as it says where it is switched
  std::vector<std::string> secrets;    // that are told to nobody
};
struct FileSwitch {  // the whole file
  std::string path;  // absolute
  std::string written;
  std::string text;
};
// New tables take the names of the old ones.
struct RetypeSwitch {
  std::shared_ptr<Store> store;
  std::vector<std::string> tables;  // the old ones
};
// Those that need no store.
using SettingSwitch = std::variant<EnvFileSwitch, LambdaSwitch, ParameterSwitch, FileSwitch,
                                   ConcurrencySwitch, ObjectSwitch, HttpSwitch>;
struct SwitchPlan {
  std::string name;
  std::variant<RowSwitch, CommandSwitch, EnvFileSwitch, LambdaSwitch, ParameterSwitch, FileSwitch,
               ConcurrencySwitch, ObjectSwitch, HttpSwitch, RetypeSwitch>
      how;
};

enum class CheckAt { before, held, after, watch };
struct CheckPlan {
  std::string name;
  CheckAt at = CheckAt::after;
  std::string sql;                   // the first store that understands it is asked
  std::optional<Value> expect;       // sql: the value itself
  std::optional<double> below;       // sql: a number below this
  std::vector<std::string> command;  // else: exit 0 is good
  std::vector<std::string> secrets;  // that are told to nobody
  std::string folder;
  std::optional<HttpCheckPlan> http;  // else
  std::string new_rows;  // else: a Move's name; the application has written a row of it
  // new_rows: waited for so long; http: asked again for so long; metric: looked at for so long
  Milliseconds within{300'000};
  std::string metric;     // else: "NAMESPACE NAME", below `below`
  std::string metric_of;  // of this resource; "": of all
};

// What tables are to be provisioned with at least, in units a second, while they are copied; 0: as
// they are.
struct RaisedCapacity {
  std::int64_t read = 0;     // the old ones
  std::int64_t written = 0;  // the new ones, with their indexes
};

// A copy reads the table alone; what is written goes to every index as well.
inline Provisions raised(Provisions provisions, const RaisedCapacity& wanted, bool is_source) {
  for (auto& [name, one] : provisions) {
    if (is_source && name.empty()) one.read = std::max(one.read, wanted.read);
    if (!is_source) one.written = std::max(one.written, wanted.written);
  }
  return provisions;
}

struct LimitsPlan {
  std::optional<std::int64_t> batch_size;  // rows a chunk, at most
  std::optional<std::int64_t> rows_per_s;
  int workers = 2;
  // For a store that counts capacity; 0: not said.
  double rcu = 0;    // units of reading a second
  double wcu = 0;    // of writing
  double share = 0;  // of what the tables have, 0 to 1
  RaisedCapacity raise = {};
  std::optional<Milliseconds> replica_lag = {};  // of any replica, at most
  std::optional<std::int64_t> wal_kept = {};     // bytes that a slot may keep back, at most
};

// What each store of the plan has to keep to.
inline StoreLimits store_limits(const LimitsPlan& limits) {
  return {limits.rcu, limits.wcu, limits.share, limits.replica_lag, limits.wal_kept};
}

struct BackupPlan {
  bool source = false;
  bool target = false;
  std::string place;   // a folder, absolute or below the state folder, or s3://BUCKET/PREFIX
  std::string schema;  // instead of a place: of the tables' own database
  // Before the place: the store's own backups, under this name with `{table}` and `{date}`; where
  // it has none, the place is taken.
  std::string native;
  bool point_in_time = false;  // switched on where the store has it

  bool is_wanted() const { return !place.empty() || !schema.empty() || !native.empty(); }
};

// From one time of the day to another, in minutes since midnight of the machine's own time zone.
struct HoursPlan {
  int from = 0;
  int to = 0;  // before `from`: on the next day
};

struct FinishPlan {
  Milliseconds after{0};
  std::string rename_source_to;  // "": the source is dropped unless kept
  bool keep_source = true;
  bool view = false;
  std::int64_t clean_checks = 0;  // in a row, by `watch`
  std::optional<Milliseconds> drop_after;
  bool keep_backup = true;
  BackupPlan backup = {};  // of the old tables, whether they are dropped or stay
};

struct Migration {
  std::string name;
  std::string as_written;  // digest of plan and files that all variants share
  std::string digest;
  std::string resolved;  // the plan as JSON, variables filled in, secrets left out
  std::map<std::string, std::shared_ptr<Store>> stores;
  std::vector<Move> moves;
  bool retypes = false;  // every move gives columns other types in place
  Sync sync = Sync::dual;
  LimitsPlan limits;
  BackupPlan backup;
  bool start_manually = false;
  bool hold_none = false;  // nobody is held: late writes to the old side are carried over
  Milliseconds stragglers_quiet{10'000};  // until the old side has been quiet for so long
  bool stragglers_stop = true;            // a key that both sides wrote; else the new one is kept
  std::optional<HoursPlan> hours;         // the switch is not begun outside of them
  Milliseconds hold_max{1000};            // under `sync: none` the whole window
  bool forecast_refuses = false;          // a window that is forecast to be too short is not begun
  std::vector<SwitchPlan> switches;
  std::vector<SwitchPlan> holds;  // keep the application from writing, where the store cannot
  std::vector<CheckPlan> checks;
  WatchPlan watch;
  FinishPlan finish;
  bool roll_back_on_failure = false;
  bool production = false;  // `protect: production`
  // New ids lead nowhere back, or not every row moves: a copy, after which nobody is switched over.
  bool only_copies = false;
  bool verifies_references = false;
  std::string folder;  // of the plan file: commands start here
  // Where the store keeps a table of what was done, as the plan says it; null without.
  std::shared_ptr<Store> log_store = nullptr;
  std::string log_table = {};
  // Columns that somebody added to a source under `rest: forbid` since it began: nothing moves
  // them.
  std::vector<std::string> added_since;
  // alias/table: could stand for `{name}`, and is neither taken nor left out by a word of the plan.
  std::vector<std::string> not_taken;
};

std::vector<const RetypeSwitch*> retypes_of(const Migration& migration);
// The tables of this store that rows move from, each once.
std::vector<std::string> source_tables(const Migration& migration, const Store& store);

}  // namespace whimbrel
