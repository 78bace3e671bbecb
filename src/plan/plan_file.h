// A plan as it is written: parsed and checked in itself, before any store is opened.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/text.h"
#include "plan/diagnostics.h"
#include "plan/measures.h"
#include "plan/migration.h"

namespace whimbrel {

struct StoreEntry {
  std::string alias;
  std::string url;
  std::string written;  // the URL before variables are filled in
  Place at;
  StoreSettings settings = {};
};
struct TableAddress {
  std::string alias;
  std::string table;
  Place at;

  // By which a table is known: names are matched without regard to ASCII case.
  std::string place() const { return ascii_lower(alias + "/" + table); }
};
// A value of another table of the plan, found by its key.
struct NamedPlace {
  std::string name;
  Place at;
};
struct LookupEntry {
  std::string column;  // that the shape has for it
  std::string take;
  std::string table;  // as the plan calls it
  std::vector<NamedPlace> by;
  Place at;
};
// What several rows hold, as one document: of a row its value, or a document of several.
struct CollectEntry {
  std::vector<NamedPlace> values;
  std::string by;
  bool is_of_documents = false;
};
struct ColumnEntry {
  std::string target;
  ExprPtr expr;   // of what is looked up or collected: of the column that the shape has for it
  Place at;       // of the value
  Place name_at;  // of the target's name
  std::vector<LookupEntry> lookups = {};
  std::optional<CollectEntry> collect = {};
};
enum class Rest { forbid, copy, drop };

// Ids computed from the old ones (`ids:`), and the columns that refer to them.
struct IdsEntry {
  enum class Part { name, id, text };
  std::string column;
  IdFormat format = IdFormat::groups;
  std::string prefix;
  std::vector<std::pair<Part, std::string>> from;
  Place at;
};
struct ReferenceEntry {
  std::string table;  // a table's name, or a pattern with `*`
  std::string column;
  std::string parent;
  Place at;
  Place parent_at;
  // What a text has before and behind the id.
  std::string prefix = {};
  std::string suffix = {};
};

// So many rows of a table, with all that they need and all that belongs to them.
struct SampleEntry {
  std::string table;
  std::int64_t rows = 0;
  Place at;
};
struct MaskEntry {
  std::string path;
  MaskAs as;
  Place at;
};

struct TableEntry {
  std::string as;
  bool is_called = false;  // `as` is said, and not made of an address
  // `from` and `to` hold `{name}`: one table for each of these, patterns among them.
  std::vector<NamedPlace> names;
  bool keeps_ids = false;
  TableAddress from;
  TableAddress to;
  std::optional<std::string> create_file;  // relative to the plan
  bool create_varies = false;              // variables are part of its name
  bool create_like_source = false;
  Place create_at;
  std::vector<ColumnEntry> columns;
  bool has_columns = false;
  std::vector<NamedPlace> same;
  Rest rest = Rest::copy;
  Place rest_at;
  Place at;
  bool is_whole = true;                           // else a mistake in it has left something out
  std::vector<NamedPlace> group;                  // rows with the same values in these are one
  std::vector<std::pair<Condition, Place>> when;  // of an item
  int item = 0;  // of the row: the first leads back to it, the others only follow from it
  Indexes indexes = Indexes::online;
  OnError on_error = OnError::fail;
  OnConflict on_conflict = OnConflict::fail;
  Orphans orphans = Orphans::fail;
  Value orphans_to;  // `orphans: {assign: …}`
  std::vector<std::pair<Condition, Place>> where;
  std::optional<std::int64_t> limit;
  std::vector<MaskEntry> masks;
  std::optional<HealthPlan> health;
  Place health_at;
};
// A column that gets another type in place, with all that refer to it.
struct RetypeEntry {
  struct Also {  // refers without a foreign key
    TableAddress table;
    std::string column;
  };
  TableAddress table;
  std::string column;
  std::string to;
  std::vector<Also> also;
  bool normalises = false;                   // `on_invalid: normalise`
  std::optional<std::string> map_file = {};  // `on_invalid: {map: FILE}`
  Place on_invalid_at;
  Orphans orphans = Orphans::fail;  // of `also`
  Value orphans_to;                 // `orphans: {assign: …}`
  bool rewrites = false;            // `method: rewrite`: nothing notes writes before its window
  Place method_at;
  ExprPtr made_by;     // `using`; null: the store's own cast
  ExprPtr leads_back;  // `inverse`; null: what follows from `using`
  Place at;
  Place column_at;
  Place made_by_at;
  Place leads_back_at;
};
struct RowSwitchEntry {
  TableAddress table;
  std::vector<std::pair<std::string, Value>> key;
  std::vector<std::pair<std::string, Value>> set;
  bool create = false;
};
struct SwitchEntry {
  Place at;
  std::optional<RowSwitchEntry> row;
  std::optional<SettingSwitch> setting;  // else, and without a row, the command
  CommandSwitch command;
};

struct PlanFile {
  std::string path;    // of the file
  std::string folder;  // absolute, of the file
  std::string migration;
  std::string resolved;  // JSON, variables filled in
  std::vector<StoreEntry> stores;
  std::vector<TableEntry> tables;
  std::vector<RetypeEntry> retypes;
  std::optional<IdsEntry> ids;
  std::vector<ReferenceEntry> references;
  std::vector<SampleEntry> sample;
  bool verifies_references = false;
  std::optional<Sync> sync;
  Place sync_at;
  LimitsPlan limits;
  BackupPlan backup;
  bool start_manually = false;
  bool hold_none = false;
  Place hold_at;
  Milliseconds stragglers_quiet{10'000};
  bool stragglers_stop = true;
  std::optional<HoursPlan> hours;
  Place cutover_at;
  Milliseconds hold_max{1000};
  bool has_hold_max = false;  // said by `max_hold` or by `window`
  bool has_window = false;
  Place window_at;
  bool forecast_refuses = false;
  std::vector<SwitchEntry> switches;
  std::vector<SwitchEntry> holds;
  std::vector<CheckPlan> checks;  // without their store
  std::vector<Place> check_places;
  MeasuresPlan measures;  // what is measured and judged; never part of the digest
  WatchPlan watch;
  FinishPlan finish;
  Place rename_at;
  Place view_at;
  bool roll_back_on_failure = false;
  bool production = false;
  bool needs_rehearsal = false;
  std::string as_written;  // digest of what the file says, before variables and variants
  bool dry_run = false;
  std::string log_level = "info";
  std::string log_file;
  std::optional<TableAddress> log_table;

  // New ids, or not every row moves, or not every key is free: a copy among rows of others, after
  // which nobody is led from one side to the other.
  bool only_copies() const {
    return ids || !sample.empty() || std::ranges::any_of(tables, [](const TableEntry& table) {
             return !table.where.empty() || table.limit || !table.masks.empty() ||
                    table.on_conflict != OnConflict::fail ||
                    (table.orphans != Orphans::fail && table.orphans != Orphans::keep);
           });
  }
};

struct PlanSource {
  std::string path;
  std::string text;
};

// invalid_plan when the file cannot be read.
Result<PlanSource> read_plan(const std::string& path);
// `variables` come from --var; then defaults of `vars:`, then the environment. Mistakes go to
// `diagnostics`; what could be understood is returned.
PlanFile parse_plan(const PlanSource& source, const std::map<std::string, std::string>& variables,
                    Diagnostics& diagnostics);
// Only the name of the migration, for verbs that need neither stores nor their variables.
Result<std::string> migration_name(const PlanSource& source,
                                   const std::map<std::string, std::string>& variables);

// What a migration knew of its tables when it began, by alias/table in lower case. Later the tables
// may have more columns, which do not move; and what only a beginning needs is not asked for again.
struct KnownTables {
  struct Source {
    std::string address;  // as it is spelled
    std::string ddl;
  };
  std::map<std::string, std::vector<std::string>> columns;
  std::map<std::string, Source> sources;
  std::map<std::string, std::string> targets;  // their DDL
  std::vector<std::string> in_order;           // the addresses of the sources, as they are spelled
};

// Against the live stores, by alias. All mistakes go to `diagnostics`; errors are those of stores.
Result<Migration> bind_plan(const PlanFile& plan,
                            const std::map<std::string, std::shared_ptr<Store>>& stores,
                            const std::optional<KnownTables>& begun_with, Diagnostics& diagnostics);
// Of a plan with mistakes in its grammar: those in its tables and columns as well, as far as the
// rest of it can be understood. Says nothing of a table that cannot be looked at.
void look_at_columns(const PlanFile& plan,
                     const std::map<std::string, std::shared_ptr<Store>>& stores,
                     Diagnostics& diagnostics);
// After `finish` the old tables are gone: bound with their DDL of then.
Result<Migration> bind_finished_plan(const PlanFile& plan,
                                     const std::map<std::string, std::shared_ptr<Store>>& stores,
                                     const KnownTables& begun_with, Diagnostics& diagnostics);

// The plan for the way back, new → old through the inverse, as text; and the DDL of the old tables
// by file name, which the plan reads from `folder` (relative to where the plan will lie). What the
// grammar cannot say is said in comments.
struct ReversePlan {
  std::string text;
  std::map<std::string, std::string> files;
};
// Whether tables get another shape: items, groups, lookups, several in one or one in several.
bool is_reshaped(const PlanFile& plan);
// For a plan that is not reshaped.
ReversePlan reverse_plan(const PlanFile& plan, const Migration& migration,
                         const std::string& folder);

// The JSON Schema of a plan.
std::string plan_schema();

}  // namespace whimbrel
