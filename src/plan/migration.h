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
enum class Orphans { fail, keep };  // rows that refer to rows that are not there
enum class Indexes { online, after };

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
  std::vector<std::string> state;  // exit 0: switched, 1: not, else unknown; may be empty
  std::string folder;              // where the commands are started
};
struct SwitchPlan {
  std::string name;
  std::variant<RowSwitch, CommandSwitch> how;
};

enum class CheckAt { before, held, after, watch };
struct CheckPlan {
  std::string name;
  CheckAt at = CheckAt::after;
  std::string sql;                   // the first store that understands it is asked
  std::optional<Value> expect;       // sql: the value itself
  std::optional<double> below;       // sql: a number below this
  std::vector<std::string> command;  // else: exit 0 is good
  std::string folder;
};

struct LimitsPlan {
  std::optional<std::int64_t> batch_size;  // rows a chunk, at most
  std::optional<std::int64_t> rows_per_s;
  int workers = 2;
};

struct BackupPlan {
  bool source = false;
  bool target = false;
  std::string folder;  // absolute, or below the state folder
};

struct FinishPlan {
  Milliseconds after{0};
  std::string rename_source_to;  // "": the source is dropped unless kept
  bool keep_source = true;
  bool view = false;
  std::optional<Milliseconds> drop_after;
};

struct Migration {
  std::string name;
  std::string digest;
  std::string resolved;  // the plan as JSON, variables filled in, secrets left out
  std::map<std::string, std::shared_ptr<Store>> stores;
  std::vector<Move> moves;
  Sync sync = Sync::dual;
  LimitsPlan limits;
  BackupPlan backup;
  bool start_manually = false;
  Milliseconds hold_max{1000};    // under `sync: none` the whole window
  bool forecast_refuses = false;  // a window that is forecast to be too short is not begun
  std::vector<SwitchPlan> switches;
  std::vector<CheckPlan> checks;
  FinishPlan finish;
  bool roll_back_on_failure = false;
  bool production = false;  // `protect: production`
  std::string folder;       // of the plan file: commands start here
  // Columns that somebody added to a source under `rest: forbid` since it began: nothing moves
  // them.
  std::vector<std::string> added_since;
};

}  // namespace whimbrel
