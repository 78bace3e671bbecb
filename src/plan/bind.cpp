// A parsed plan meets the live schemas: every mistake with its place, before anything runs.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/text.h"
#include "plan/names.h"
#include "plan/new_ids.h"
#include "plan/open_tables.h"
#include "plan/plan_file.h"
#include "plan/shapes.h"
#include "plan/subset.h"
#include "plan/text_map.h"

namespace whimbrel {

const char* name_of(Sync sync) {
  switch (sync) {
    case Sync::dual:
      return "dual";
    case Sync::capture:
      return "capture";
    case Sync::none:
      break;
  }
  return "none";
}

std::vector<const RetypeSwitch*> retypes_of(const Migration& migration) {
  std::vector<const RetypeSwitch*> all;
  for (const SwitchPlan& one : migration.switches) {
    const auto* retype = std::get_if<RetypeSwitch>(&one.how);
    if (retype != nullptr) all.push_back(retype);
  }
  return all;
}

std::vector<std::string> source_tables(const Migration& migration, const Store& store) {
  std::vector<std::string> tables;
  for (const Move& move : migration.moves) {
    if (move.source.get() != &store) continue;
    std::string table = move.stored_source();
    if (std::ranges::count(tables, table) == 0) tables.push_back(std::move(table));
  }
  return tables;
}

namespace {

using Stores = std::map<std::string, std::shared_ptr<Store>>;

struct NameOfSetting {
  std::string operator()(const LambdaSwitch& one) const { return join(one.functions, ","); }
  std::string operator()(const ConcurrencySwitch& one) const {
    return "concurrency of " + join(one.functions, ",");
  }
  std::string operator()(const ParameterSwitch& one) const { return one.parameter; }
  std::string operator()(const HttpSwitch& one) const { return one.act.written; }
  template <class Other>
  std::string operator()(const Other& one) const {
    return one.written;
  }
};

// Whether values may be made by SQL in place of our own words.
bool are_spelled(const Store& source, const Store& target) {
  const auto spells = [](const Store& store) {
    return store.dialect() != nullptr && store.dialect()->spelling() != nullptr;
  };
  return spells(source) && spells(target);
}

void read_exactly(Mapping& mapping) {
  for (std::vector<ColumnRule>* rules : {&mapping.forward, &mapping.backward}) {
    for (ColumnRule& rule : *rules) rule.expr = reading_exactly(rule.expr);
  }
}

const std::string& first_of(const std::pair<std::string, std::size_t>& one) { return one.first; }

class Binder {
 public:
  Binder(const PlanFile& plan, const Stores& stores, const std::optional<KnownTables>& begun_with,
         Diagnostics& diagnostics)
      : plan_(plan), stores_(stores), begun_with_(begun_with), diagnostics_(diagnostics) {}

  void take_sources_as_they_were() { sources_as_they_were_ = true; }

  Result<Migration> bind() {
    migration_.name = plan_.migration;
    migration_.stores = stores_;
    migration_.limits = plan_.limits;
    migration_.backup = plan_.backup;
    if (!plan_.backup.schema.empty()) {
      for (const auto& [alias, store] : stores_) {
        if (store->capabilities().keeps_copies) continue;
        diagnostics_.add(plan_.stores.front().at,
                         fmt::format("`{}` has no schemas to keep a backup in", alias),
                         "say `backup: {to: \"file:backup\"}`");
      }
    }
    migration_.start_manually = plan_.start_manually;
    migration_.hold_none = plan_.hold_none;
    migration_.stragglers_quiet = plan_.stragglers_quiet;
    migration_.stragglers_stop = plan_.stragglers_stop;
    migration_.hours = plan_.hours;
    migration_.hold_max = plan_.hold_max;
    migration_.forecast_refuses = plan_.forecast_refuses;
    migration_.finish = plan_.finish;
    migration_.watch = plan_.watch;
    migration_.roll_back_on_failure = plan_.roll_back_on_failure;
    migration_.production = plan_.production;
    migration_.folder = plan_.folder;
    migration_.sync = plan_.sync.value_or(Sync::capture);
    if (!plan_.holds.empty() && migration_.sync == Sync::capture) hold_outlasts_silence();
    migration_.verifies_references = plan_.verifies_references;
    ASSIGN_OR_RETURN(
        entries_, tables_by_name(plan_, stores_, begun_with_, diagnostics_, migration_.not_taken));
    migration_.only_copies = plan_.only_copies();
    if (migration_.only_copies) learn_schemas();
    shapes_ = std::make_unique<Shapes>(stores_, entries_, plan_.sync == Sync::dual, diagnostics_);
    read_files_in_any_order();
    if (migration_.only_copies) {
      NewIds(plan_, entries_, schemas_, begun_with_.has_value(), diagnostics_)
          .look_for_unknown_tables([this](const std::string& name) { return is_left_out(name); });
    }
    for (const TableEntry& entry : entries_) TRY(table(entry));
    refer_like_the_source();
    shapes_->keep_apart();
    use_shapes();
    whole_rows_are_alone();
    TRY(retypes());
    connect_references();
    refer_as_the_source_does();
    if (!begun_with_ && !migration_.only_copies) new_tables_refer_to_new_ones();
    subset();
    for (const SwitchEntry& entry : plan_.switches) TRY(bind_switch(entry));
    std::vector<SwitchPlan> switches = std::exchange(migration_.switches, {});
    for (const SwitchEntry& entry : plan_.holds) TRY(bind_switch(entry));
    migration_.holds = std::exchange(migration_.switches, std::move(switches));
    holds_stay_apart();
    log_table();
    for (std::size_t i = 0; i < plan_.checks.size(); ++i) bind_check(i);
    tables_together();
    TRY(sync());
    resolve();
    return std::move(migration_);
  }

  void look_at_columns() {
    Result<std::vector<TableEntry>> entries =
        tables_by_name(plan_, stores_, begun_with_, diagnostics_, migration_.not_taken);
    if (!entries.ok()) return;
    entries_ = std::move(entries).value();
    if (plan_.only_copies()) learn_schemas();
    shapes_ = std::make_unique<Shapes>(stores_, entries_, plan_.sync == Sync::dual, diagnostics_);
    for (const TableEntry& entry : entries_) {
      const bool are_there = stores_.contains(entry.from.alias) && stores_.contains(entry.to.alias);
      const bool is_one =
          entry.from.alias == entry.to.alias && ascii_iequals(entry.from.table, entry.to.table);
      if (!are_there || is_one) continue;
      (void)table(entry).ok();  // a store that does not answer is told when the plan is mended
    }
  }

 private:
  Result<std::optional<TableSchema>> source_schema(const TableEntry& entry) {
    if (sources_as_they_were_) {
      const auto it = begun_with_->sources.find(entry.from.place());
      if (it != begun_with_->sources.end()) {
        ASSIGN_OR_RETURN(
            TableSchema then,
            stores_.at(entry.from.alias)->catalog().parse(it->second.ddl, entry.from.table));
        return std::optional<TableSchema>(std::move(then));
      }
    }
    if (const auto known = schemas_.find(&entry); known != schemas_.end()) {
      return std::optional<TableSchema>(known->second);
    }
    Result<TableSchema> schema = stores_.at(entry.from.alias)->catalog().describe(entry.from.table);
    if (schema.ok()) return std::optional<TableSchema>(std::move(schema).value());
    if (schema.error().code != ErrorCode::not_found && schema.error().code != ErrorCode::refused) {
      return std::move(schema).error();
    }
    // After the source was renamed by `finish` the plan still has to be readable: that is the
    // verbs' business, which do not bind then.
    diagnostics_.add(entry.from.at, schema.error().message, schema.error().hint);
    return std::optional<TableSchema>{};
  }

  // Whether a line with `{name}` could have this name, and does not take it.
  bool is_left_out(const std::string& name) const {
    return std::ranges::any_of(plan_.tables, [&](const TableEntry& entry) {
      const auto store = stores_.find(entry.from.alias);
      if (entry.names.empty() || store == stores_.end()) return false;
      const std::string table = with_replaced(entry.from.table, "{name}", name);
      return store->second->catalog().describe(table).ok();
    });
  }

  // What a copy has written is known by what its source was then, and is taken away without it.
  // Unset where the source that is there will do. The engine says what a run lacks.
  std::optional<TableSchema> as_it_was(const TableEntry& entry, const Result<TableSchema>& there) {
    const bool is_gone = !there.ok() && there.error().code == ErrorCode::not_found;
    if (!begun_with_ || (!there.ok() && !is_gone)) return std::nullopt;
    const auto known = begun_with_->sources.find(entry.from.place());
    const std::vector<std::string>* columns = columns_then(entry.from);
    if (known == begun_with_->sources.end() || columns == nullptr) return std::nullopt;
    const bool is_open = !is_gone && !there.value().rest_column.empty();
    const bool has_all = !is_gone && std::ranges::all_of(*columns, [&](const std::string& column) {
      return there.value().column_index(column) >= 0;
    });
    if (has_all || is_open) return std::nullopt;
    Result<TableSchema> then =
        stores_.at(entry.from.alias)->catalog().parse(known->second.ddl, entry.from.table);
    return then.ok() ? std::optional(std::move(then).value()) : std::nullopt;
  }

  // What was written into a table that is gone went with it, and is not to keep the rest from being
  // undone. The engine says what a run lacks.
  std::optional<TableSchema> target_as_it_was(const TableEntry& entry) {
    if (!begun_with_) return std::nullopt;
    const auto known = begun_with_->targets.find(entry.to.place());
    if (known == begun_with_->targets.end() || known->second.empty()) return std::nullopt;
    Result<TableSchema> then =
        stores_.at(entry.to.alias)->catalog().parse(known->second, entry.to.table);
    return then.ok() ? std::optional(std::move(then).value()) : std::nullopt;
  }

  // From the plan's DDL, from the source, or as it is there.
  Result<std::optional<TableSchema>> target_schema(const TableEntry& entry,
                                                   const TableSchema& source) {
    Catalog& catalog = stores_.at(entry.to.alias)->catalog();
    Result<TableSchema> there = catalog.describe(entry.to.table);
    if (!there.ok() && there.error().code == ErrorCode::unavailable) return there.error();
    if (!there.ok() && there.error().code != ErrorCode::not_found) {
      diagnostics_.add(entry.to.at, there.error().message, there.error().hint);
      return std::optional<TableSchema>{};
    }
    if (entry.create_like_source) return like_source(entry, source, std::move(there));
    if (!entry.create_file) {
      if (there.ok()) return std::optional<TableSchema>(std::move(there).value());
      if (std::optional<TableSchema> then = target_as_it_was(entry)) return then;
      if (!entry.is_whole) return std::optional<TableSchema>{};  // `create` may be what is misspelt
      diagnostics_.add(entry.to.at, there.error().message,
                       "name the file that makes it: `create: FILE.sql`" +
                           (there.error().hint.empty() ? "" : "; " + there.error().hint));
      return std::optional<TableSchema>{};
    }
    const std::filesystem::path path = std::filesystem::path(plan_.folder) / *entry.create_file;
    std::ifstream in(path, std::ios::binary);
    // Made already: the file is no longer needed, and may not be on this machine.
    if (!in && begun_with_ && there.ok()) {
      return std::optional<TableSchema>(std::move(there).value());
    }
    std::error_code ignored;
    if (!in && std::filesystem::exists(path, ignored)) {
      return Error{ErrorCode::unavailable,
                   fmt::format("the file {} is there and cannot be opened", *entry.create_file),
                   "it may not be readable by this user, or too many files are open: `ulimit -n`",
                   "nothing was changed",
                   {},
                   ""};
    }
    if (!in) {
      diagnostics_.add(
          entry.create_at, fmt::format("there is no file {}", *entry.create_file),
          "files a plan reads are relative to the plan; `exists` and `like-source` are words");
      return std::optional<TableSchema>{};
    }
    std::stringstream ddl;
    ddl << in.rdbuf();
    ddl_texts_ += ddl.str();
    if (!entry.create_varies) same_texts_ += ddl.str();
    Result<TableSchema> made = catalog.parse(ddl.str(), entry.to.table);
    if (!made.ok()) {
      diagnostics_.add(entry.create_at,
                       fmt::format("{}:{}", *entry.create_file, made.error().message),
                       made.error().hint);
      return std::optional<TableSchema>{};
    }
    TableSchema wanted = std::move(made).value();
    if (there.ok() && begun_with_) {
      TableSchema live = std::move(there).value();
      live.index_ddl = wanted.index_ddl;  // some of them may still have to be built
      live.reference_ddl = wanted.reference_ddl;
      return std::optional<TableSchema>(std::move(live));
    }
    if (there.ok()) {
      compare(entry, wanted, there.value(), *entry.create_file);
      wanted.triggers = there.value().triggers;
      wanted.trigger_ddl = there.value().trigger_ddl;
    }
    return std::optional<TableSchema>(std::move(wanted));
  }

  std::string kind_of(const std::string& alias) const {
    const auto entry = std::ranges::find(plan_.stores, alias, &StoreEntry::alias);
    return entry == plan_.stores.end() ? "" : entry->url.substr(0, entry->url.find(':'));
  }

  // Of columns that nothing on the new side is called after any more: the plain copy, or else what
  // is made of them.
  static std::map<std::string, std::string> new_names(const TableEntry& entry) {
    std::map<std::string, std::string> names;
    for (const bool plain : {true, false}) {
      for (const ColumnEntry& column : entry.columns) {
        const std::vector<std::string> from = columns_of(*column.expr);
        const bool is_plain = std::holds_alternative<ColumnRef>(column.expr->node);
        // Under `rest: copy` a column that others are only computed from moves under its own name.
        if (entry.rest == Rest::copy && copied_column(*column.expr).empty()) continue;
        if (from.size() == 1 && is_plain == plain) names.emplace(from.front(), column.target);
      }
    }
    for (const ColumnEntry& column : entry.columns) {
      const std::vector<std::string> from = columns_of(*column.expr);
      if (from == std::vector{column.target}) names.erase(column.target);
    }
    for (const NamedPlace& column : entry.same) names.erase(column.name);
    return names;
  }

  // Rows are written on the new side first, and the old tables go in the end.
  void new_tables_refer_to_new_ones() {
    for (const TableEntry& entry : entries_) {
      const auto move = std::ranges::find(migration_.moves, entry.as, &Move::name);
      if (move == migration_.moves.end()) continue;
      for (const ForeignKey& key : move->mapping.target.foreign_keys) {
        const auto parent = std::ranges::find_if(entries_, [&](const TableEntry& one) {
          return one.from.alias == entry.to.alias && ascii_iequals(one.from.table, key.parent) &&
                 one.from.place() != one.to.place();
        });
        const bool is_new_too = std::ranges::any_of(entries_, [&](const TableEntry& one) {
          return one.to.alias == entry.to.alias && ascii_iequals(one.to.table, key.parent);
        });
        if (parent == entries_.end() || is_new_too) continue;
        const bool by_file = entry.create_file.has_value();
        diagnostics_.add(
            by_file ? entry.create_at : entry.at,
            fmt::format("{} refers to {} by a foreign key, which is the old table: rows of the new "
                        "side are there later, and after `finish` never",
                        printable(entry.to.table), printable(key.parent)),
            by_file || !entry.create_like_source
                ? fmt::format("refer to {}", printable(parent->to.table))
                : fmt::format("make it by a file, `create: FILE`, in which it refers to {} or to "
                              "nothing",
                              printable(parent->to.table)));
      }
    }
  }

  // Whether the rows of an entry are found by the same columns where they go.
  static bool keeps(const TableEntry& entry, const std::vector<std::string>& columns) {
    if (!entry.group.empty() || !entry.when.empty()) return false;
    return std::ranges::all_of(columns, [&](const std::string& name) {
      const auto given = std::ranges::find_if(
          entry.columns, [&](const ColumnEntry& one) { return ascii_iequals(one.target, name); });
      if (given != entry.columns.end()) {
        const auto* copied =
            given->expr == nullptr ? nullptr : std::get_if<ColumnRef>(&given->expr->node);
        return copied != nullptr && ascii_iequals(copied->column, name);
      }
      return !entry.has_columns || std::ranges::any_of(entry.same, [&](const NamedPlace& one) {
        return ascii_iequals(one.name, name);
      });
    });
  }

  // What tables that the source refers to are called where this one goes; none of one that several
  // entries move, or that is found otherwise there.
  std::map<std::string, std::string> new_parents(const TableEntry& entry,
                                                 const TableSchema& source) const {
    std::map<std::string, std::string> names;
    for (const ForeignKey& key : source.foreign_keys) {
      const auto moves_it = [&](const TableEntry& one) {
        return one.from.alias == entry.from.alias && one.to.alias == entry.to.alias &&
               ascii_iequals(one.from.table, key.parent);
      };
      if (ascii_iequals(key.parent, source.name)) continue;
      if (std::ranges::count_if(entries_, moves_it) != 1) continue;
      const TableEntry& parent = *std::ranges::find_if(entries_, moves_it);
      const bool goes = !ascii_iequals(parent.to.table, key.parent);
      if (goes && keeps(parent, key.parent_columns)) names[key.parent] = parent.to.table;
    }
    return names;
  }

  // `there` is what stands in the target's place already.
  Result<std::optional<TableSchema>> like_source(const TableEntry& entry, const TableSchema& source,
                                                 Result<TableSchema> there) {
    if (kind_of(entry.from.alias) != kind_of(entry.to.alias)) {
      diagnostics_.add(entry.create_at, "a table is only made like one of the same kind of store",
                       "name the file that makes it: `create: FILE`");
      return std::optional<TableSchema>{};
    }
    // The target's store knows which names of indexes are free there.
    Catalog& catalog = stores_.at(entry.to.alias)->catalog();
    Result<std::string> ddl = catalog.ddl_like(source, entry.to.table);
    if (ddl.ok()) {
      ddl = catalog.with_new_names(std::move(ddl).value(), new_names(entry));
      const std::map<std::string, std::string> parents = new_parents(entry, source);
      if (!parents.empty()) ddl = catalog.with_new_parents(std::move(ddl).value(), parents);
    }
    Result<TableSchema> made =
        ddl.ok() ? catalog.parse(ddl.value(), entry.to.table) : Result<TableSchema>(ddl.error());
    if (!made.ok()) {
      diagnostics_.add(entry.create_at, made.error().message, made.error().hint);
      return std::optional<TableSchema>{};
    }
    TableSchema wanted = std::move(made).value();
    if (there.ok() && begun_with_) {
      TableSchema live = std::move(there).value();
      live.create_ddl = wanted.create_ddl;
      live.index_ddl = with_missing(std::move(live.index_ddl), wanted.index_ddl);
      return std::optional<TableSchema>(std::move(live));
    }
    if (there.ok()) {
      compare(entry, wanted, there.value(), source.name);
      for (const std::string& difference : catalog.differences(wanted, there.value())) {
        diagnostics_.add(entry.create_at,
                         fmt::format("{} is there already, and {}", entry.to.table, difference),
                         "drop the table, or say `create: exists`");
      }
    }
    return std::optional<TableSchema>(std::move(wanted));
  }

  // The indexes that are there, and those that still have to be built. Names are no help: the one
  // that is there has taken the name.
  static std::vector<std::string> with_missing(std::vector<std::string> there,
                                               const std::vector<std::string>& wanted) {
    const auto without_name = [](const std::string& ddl) {
      const std::size_t on = ascii_lower(ddl).find(" on ");
      return on == std::string::npos ? ddl : ddl.substr(on);
    };
    std::vector<std::string> unmatched;
    for (const std::string& ddl : there) unmatched.push_back(without_name(ddl));
    for (const std::string& ddl : wanted) {
      const auto same = std::ranges::find(unmatched, without_name(ddl));
      if (same == unmatched.end()) {
        there.push_back(ddl);
      } else {
        unmatched.erase(same);
      }
    }
    return there;
  }

  // "" when the column that is there, if any, is as wanted.
  static std::string difference_of(const ColumnSchema* there, const ColumnSchema& wanted,
                                   const std::string& model) {
    if (there == nullptr) return fmt::format("without the column `{}` of {}", wanted.name, model);
    const auto type = [](const std::string& declared) {
      return declared.empty() ? std::string("of no type") : declared;
    };
    if (!ascii_iequals(there->declared, wanted.declared)) {
      return fmt::format("and its column `{}` is {} where {} says {}", wanted.name,
                         type(there->declared), model, type(wanted.declared));
    }
    if (there->nullable == wanted.nullable) return "";
    return there->nullable ? fmt::format("and its column `{}` can be null where {} says NOT NULL",
                                         wanted.name, model)
                           : fmt::format("and its column `{}` is NOT NULL where {} lets it be null",
                                         wanted.name, model);
  }

  // `model`: what says how the table has to be, a file or another table.
  void compare(const TableEntry& entry, const TableSchema& wanted, const TableSchema& there,
               const std::string& model) {
    for (const ColumnSchema& column : wanted.columns) {
      const int at = there.column_index(column.name);
      const ColumnSchema* found = at < 0 ? nullptr : &there.columns[static_cast<std::size_t>(at)];
      const std::string difference = difference_of(found, column, model);
      if (difference.empty()) continue;
      diagnostics_.add(
          entry.create_at, fmt::format("{} is there already, {}", entry.to.table, difference),
          fmt::format("correct {}, or say `create: exists` to take the table as it is", model));
    }
    for (const ColumnSchema& column : there.columns) {
      if (wanted.column_index(column.name) < 0) {
        diagnostics_.add(
            entry.create_at,
            fmt::format("{} is there already, with a column `{}` that {} does not have",
                        entry.to.table, column.name, model),
            "drop the table, or say `create: exists`");
      }
    }
  }

  Status table(const TableEntry& as_written) {
    ASSIGN_OR_RETURN(std::optional<TableSchema> source, source_schema(as_written));
    if (!source) return {};
    const NewIds ids(plan_, entries_, schemas_, begun_with_.has_value(), diagnostics_);
    const NewIds::Found found = ids.of(as_written, *source);
    const TableEntry& entry = found.entry;
    ASSIGN_OR_RETURN(std::optional<TableSchema> target, target_schema(entry, *source));
    if (!target) return {};
    if (entry.health) health(*entry.health, entry.health_at, *source);
    ASSIGN_OR_RETURN(const bool is_open, shapes_->open_source(entry, *source));
    if (!is_open) return {};
    open_up(entry, *source, *target);
    const std::size_t known = diagnostics_.mistakes().size();
    std::vector<std::pair<std::string, ExprPtr>> columns = mapped(entry, *source, *target);
    if (!entry.is_whole) return {};  // what is missing may stand in what was not understood
    // A misspelt column is not mentioned either: the cause is enough.
    if (diagnostics_.mistakes().size() == known) {
      unmentioned(entry, *source, *target, columns);
      required(entry, *target, columns);
    }
    if (diagnostics_.mistakes().size() > known) return {};
    const std::string source_name = source->name;
    const std::string target_name = target->name;
    if (!target->rest_column.empty()) {
      for (auto& [name, expr] : columns) expr = with_documents(expr);
    }
    if (!shapes_->close(as_written, columns, *source, *target)) return {};
    Result<Mapping> mapping = make_mapping(*source, *target, columns, !migration_.only_copies);
    if (!mapping.ok()) {
      diagnostics_.add(entry.at, mapping.error().message, mapping.error().hint);
      return {};
    }
    Move move;
    move.index = static_cast<int>(migration_.moves.size());
    move.name = entry.as;
    move.has_conditions = !entry.when.empty();
    move.from = entry.from.alias + "/" + source_name;
    move.to = entry.to.alias + "/" + target_name;
    move.source = shapes_->store(entry.from.alias);
    move.target = shapes_->store(entry.to.alias);
    move.mapping = std::move(mapping).value();
    if (!are_spelled(*move.source, *move.target)) read_exactly(move.mapping);
    if (!migration_.only_copies) TRY(shapes_->lead_back(move, move.mapping));
    move.mapping.rest_must_be_empty = rest_must_be_empty(entry, *source, *target);
    move.creates_target = entry.create_file.has_value() || entry.create_like_source;
    move.indexes = entry.indexes;
    move.on_error = entry.on_error;
    move.on_conflict = entry.on_conflict;
    move.orphans = entry.orphans;
    move.orphans_to = entry.orphans_to;
    move.where = conditions(entry, move.mapping.source);
    move.limit = entry.limit;
    move.health = entry.health;  // no part of the digest
    move.among_others = migration_.only_copies;
    // A store that copies by itself sets no row aside: it writes what it makes of it.
    move.inside = !move.among_others && move.on_error == OnError::fail &&
                  move.target->copies_inside(move.mapping, *move.source);
    const int compared_max = move.target->capabilities().compared_columns_max;
    const auto compared = std::ssize(move.mapping.forward) + std::ssize(move.mapping.source.key);
    move.compares_inside = move.inside && move.target->capabilities().compares_inside &&
                           (compared_max == 0 || compared <= compared_max);
    if (entry.create_like_source) like_source_.push_back(move.index);
    migration_.moves.push_back(std::move(move));
    references_.push_back(found.references);
    return {};
  }

  // A file may refer to a table that another file of the plan makes, and a store remembers what it
  // has read: here those are read that can be, until no more can. Mistakes are told later.
  void read_files_in_any_order() {
    std::vector<const TableEntry*> left;
    for (const TableEntry& entry : entries_) {
      if (entry.create_file && stores_.contains(entry.to.alias)) left.push_back(&entry);
    }
    for (std::size_t before = left.size() + 1; left.size() < before && left.size() > 1;) {
      before = left.size();
      std::erase_if(left, [&](const TableEntry* entry) {
        std::ifstream in(std::filesystem::path(plan_.folder) / *entry->create_file,
                         std::ios::binary);
        std::stringstream ddl;
        ddl << in.rdbuf();
        Catalog& catalog = stores_.at(entry->to.alias)->catalog();
        return in && catalog.parse(ddl.str(), entry->to.table).ok();
      });
    }
  }

  // A table made like another refers to what became of the tables that the other one refers to.
  void refer_like_the_source() {
    for (const int index : like_source_) {
      Move& move = migration_.moves[static_cast<std::size_t>(index)];
      move.mapping.target.reference_ddl = move.target->catalog().references_like(
          move.mapping.source, move.mapping.target.name,
          [&](const ForeignKey& key) { return parent_here(move, key); });
    }
  }

  // A store that copies rows of any columns by itself writes whole ones, and no part of one that
  // another table has a part in as well.
  void whole_rows_are_alone() {
    for (Move& move : migration_.moves) {
      const bool is_alone = std::ranges::none_of(
          migration_.moves, [&](const Move& other) { return move.has_rows_beside(other); });
      move.inside = move.inside && (is_alone || move.mapping.target.rest_column.empty());
      move.compares_inside = move.compares_inside && move.inside;
    }
  }

  // "" where it cannot be said which table that is, or where nothing keeps what it refers to apart.
  std::string parent_here(const Move& child, const ForeignKey& key) const {
    const TableSchema* parent = nullptr;
    int movers = 0;
    for (const Move& move : migration_.moves) {
      const bool moves_it = move.source == child.source && move.target == child.target &&
                            move.mapping.source.name == key.parent;
      if (!moves_it) continue;
      parent = &move.mapping.target;
      ++movers;
    }
    if (movers > 1) return "";
    Result<TableSchema> unmoved = Error{ErrorCode::not_found, ""};
    if (parent == nullptr) {
      unmoved = child.target->catalog().describe(key.parent);
      if (!unmoved.ok()) return "";
      parent = &unmoved.value();
    }
    const auto is_it = [&](std::vector<std::string> columns) {
      std::vector<std::string> wanted = key.parent_columns;
      std::ranges::sort(wanted);
      std::ranges::sort(columns);
      return columns == wanted;
    };
    const bool is_unique = is_it(parent->key) || std::ranges::any_of(parent->uniques, is_it);
    return is_unique ? parent->name : "";
  }

  // A store of which one table has a shape is the same store to all moves.
  void use_shapes() {
    if (!shapes_->any()) return;
    for (auto& [alias, store] : migration_.stores) {
      const std::shared_ptr<Store> shaped = shapes_->store(alias);
      for (Move& move : migration_.moves) {
        if (move.source == store) move.source = shaped;
        if (move.target == store) move.target = shaped;
      }
      store = shaped;
    }
    if (plan_.finish.view) {
      diagnostics_.add(plan_.view_at, "a view cannot show rows that have got another shape",
                       "leave `view:` out");
    }
    if (migration_.sync != Sync::dual) return;
    diagnostics_.add(plan_.sync_at, "rows that get another shape cannot be kept in step by links",
                     "say `sync: capture`");
  }

  // Columns that get another type: each table of the closure moves to one beside it, which takes
  // its name at the switch.
  Status retypes() {
    if (plan_.retypes.empty()) return {};
    migration_.retypes = true;
    const std::string& alias = plan_.retypes.front().table.alias;
    const std::shared_ptr<Store>& store = stores_.at(alias);
    std::vector<RetypedColumn> columns;
    for (const RetypeEntry& entry : plan_.retypes) {
      if (entry.table.alias != alias) {
        diagnostics_.add(entry.table.at, "a plan gives other types in one store",
                         "make a plan of its own for each store");
        return {};
      }
      ASSIGN_OR_RETURN(const bool known, retyped(entry, *store, columns));
      if (!known) return {};
    }
    std::vector<std::string> known;
    for (const std::string& from :
         begun_with_ ? begun_with_->in_order : std::vector<std::string>{}) {
      if (from.starts_with(alias + "/")) known.push_back(from.substr(alias.size() + 1));
    }
    Result<std::vector<RetypedTable>> tables = store->retyping()->tables(columns, known);
    if (!tables.ok()) {
      const ErrorCode code = tables.error().code;
      if (code != ErrorCode::refused && code != ErrorCode::not_found) return tables.error();
      diagnostics_.add(plan_.retypes.front().at, tables.error().message, tables.error().hint);
      return {};
    }
    RetypeSwitch swap{store, {}};
    for (RetypedTable& one : tables.value()) {
      swap.tables.push_back(one.source.name);
      TRY(retyped_table(alias, store, std::move(one), columns));
    }
    migration_.switches.push_back({"swap", std::move(swap)});
    return {};
  }

  // Also the columns that follow it without a foreign key.
  Result<bool> retyped(const RetypeEntry& entry, Store& store,
                       std::vector<RetypedColumn>& columns) {
    if (store.retyping() == nullptr) {
      diagnostics_.add(
          entry.table.at,
          fmt::format("`{}` cannot give columns another type in place", entry.table.alias),
          "make a table with the other types, and move the rows there: `tables:`");
      return false;
    }
    std::shared_ptr<const Spellings> listed;
    if (entry.map_file) {
      Result<TextMap> map =
          read_text_map((std::filesystem::path(plan_.folder) / *entry.map_file).string());
      if (!map.ok()) {
        diagnostics_.add(entry.on_invalid_at, map.error().message, map.error().hint);
        return false;
      }
      listed = map.value().meant;
      ddl_texts_ += map.value().text;
      same_texts_ += map.value().text;
    }
    const auto add = [&](const TableAddress& table, const std::string& column) {
      columns.push_back({table.table, column, entry.to, entry.normalises, listed});
      columns.back().made_by = entry.made_by;
      columns.back().leads_back = entry.leads_back;
      columns.back().reads = entry.column;
    };
    add(entry.table, entry.column);
    for (const RetypeEntry::Also& also : entry.also) {
      add(also.table, also.column);
      columns.back().refers_to = entry.table.table;
      columns.back().refers_to_column = entry.column;
      columns.back().orphans = entry.orphans;
      columns.back().orphans_to = entry.orphans_to;
    }
    const std::size_t known = diagnostics_.mistakes().size();
    const auto look = [&](const TableAddress& table, const std::string& column,
                          Place at) -> Status {
      const Result<TableSchema> there = store.catalog().describe(table.table);
      // A server that is away says nothing about the plan.
      if (!there.ok() && there.error().code == ErrorCode::unavailable) return there.error();
      if (!there.ok()) {
        diagnostics_.add(table.at, there.error().message, there.error().hint);
      } else if (there.value().column_index(column) < 0) {
        diagnostics_.add(
            at, fmt::format("{} has no column `{}`", there.value().name, printable(column)),
            did_you_mean(column, there.value().column_names()));
      }
      return {};
    };
    TRY(look(entry.table, entry.column, entry.column_at));
    for (const RetypeEntry::Also& also : entry.also) {
      TRY(look(also.table, also.column, also.table.at));
    }
    return diagnostics_.mistakes().size() == known;
  }

  // What a retyped column is made of and leads back by; both empty where the store casts.
  bool computed(const TableSchema& table, const std::string& column, const RetypedColumn& of,
                ColumnExprs& forward, ColumnExprs& backward) {
    if (of.made_by == nullptr) return false;
    const bool is_its_own = of.column == column && of.reads == column;
    for (const ExprPtr& expr : {of.made_by, of.leads_back}) {
      if (expr == nullptr || is_its_own) continue;
      for (const std::string& read : columns_of(*expr)) {
        if (read == of.reads) continue;
        diagnostics_.add(
            plan_.retypes.front().at,
            fmt::format("{}.{} gets its values the same way as {}, and that reads `{}`", table.name,
                        column, of.reads, printable(read)),
            "`using:` of a column that others refer to reads that column alone");
      }
    }
    forward.emplace_back(column, reading(of.made_by, column, of.reads));
    if (of.leads_back != nullptr) {
      backward.emplace_back(column, reading(of.leads_back, column, of.reads));
    }
    return true;
  }

  Status retyped_table(const std::string& alias, const std::shared_ptr<Store>& store,
                       RetypedTable table, const std::vector<RetypedColumn>& said) {
    ColumnExprs columns;
    ColumnExprs back;
    for (const ColumnSchema& column : table.source.columns) {
      const bool moves = !column.generated && table.target.column_index(column.name) >= 0;
      const auto of = std::ranges::find(table.columns, column.name, first_of);
      const bool is_computed = moves && of != table.columns.end() &&
                               computed(table.source, column.name, said[of->second], columns, back);
      if (!moves || is_computed) continue;
      const ExprPtr copied = make_expr(ColumnRef{column.name});
      const ExprPtr without_blanks = make_expr(CaseOf{TextCase::trim_end, copied});
      const bool was_filled = std::ranges::count(table.filled_before, column.name) > 0;
      const bool is_filled = std::ranges::count(table.filled_after, column.name) > 0;
      columns.emplace_back(column.name, was_filled ? without_blanks : copied);
      if (was_filled) back.emplace_back(column.name, copied);
      if (is_filled) back.emplace_back(column.name, without_blanks);
    }
    Move move;
    move.index = static_cast<int>(migration_.moves.size());
    const std::string& whole = table.source.name;
    const std::size_t dot = whole.rfind('.');
    move.name = dot == std::string::npos ? whole : whole.substr(dot + 1);
    const bool taken = std::ranges::count(migration_.moves, move.name, &Move::name) > 0;
    if (taken) move.name = whole;
    move.from = alias + "/" + whole;
    move.to = alias + "/" + table.target.name;
    move.source = store;
    move.target = store;
    std::vector<Respelling> respelled = std::move(table.respelled);
    Result<Mapping> mapping =
        make_mapping(std::move(table.source), std::move(table.target), columns, true, back);
    if (!mapping.ok()) {
      diagnostics_.add(plan_.retypes.front().at, mapping.error().message, mapping.error().hint);
      return {};
    }
    move.mapping = std::move(mapping).value();
    read_exactly(move.mapping);
    move.mapping.key_is_said =
        !move.mapping.key_is_copied && std::ranges::any_of(table.columns, [&](const auto& column) {
          return said[column.second].made_by != nullptr && move.mapping.source.is_key(column.first);
        });
    respell(move.mapping, std::move(respelled));
    move.creates_target = true;
    move.indexes = Indexes::after;
    move.inside = store->copies_inside(move.mapping, *store);
    move.compares_inside = move.inside && store->capabilities().compares_inside;
    migration_.moves.push_back(std::move(move));
    references_.emplace_back();
    return {};
  }

  // Texts go the way there as they are meant, and the way back as they were.
  static void respell(Mapping& mapping, std::vector<Respelling> respelled) {
    for (Respelling& one : respelled) {
      one.source = mapping.source.column_index(one.column);
      one.target = mapping.target.column_index(one.column);
      one.is_one_of_several = one.is_one_of_several && mapping.source.key.size() > 1 &&
                              mapping.source.is_key(one.column);
      for (ColumnRule& rule : mapping.forward) {
        if (rule.column != one.column) continue;
        if (one.listed != nullptr) rule.expr = make_expr(Respelled{rule.expr, one.listed});
        if (one.takes_any) rule.expr = make_expr(CaseOf{TextCase::trim, rule.expr});
      }
      for (ColumnRule& rule : mapping.backward) {
        if (rule.column != one.column) continue;
        rule.expr = make_expr(Respelled{rule.expr, one.book});
        if (one.parent != nullptr) rule.expr = make_expr(Respelled{rule.expr, one.parent});
      }
    }
    // A column that came since the new table was made is not there: the switch will refuse.
    std::erase_if(respelled,
                  [](const Respelling& one) { return one.source < 0 || one.target < 0; });
    mapping.respelled = std::move(respelled);
  }

  // What cannot be described is told when its own table is bound.
  void learn_schemas() {
    for (const TableEntry& entry : entries_) {
      const auto store = stores_.find(entry.from.alias);
      if (store == stores_.end()) continue;
      Result<TableSchema> schema = store->second->catalog().describe(entry.from.table);
      if (std::optional<TableSchema> then = as_it_was(entry, schema)) schema = *std::move(then);
      if (schema.ok()) schemas_.emplace(&entry, std::move(schema).value());
    }
  }

  // A plan writes days, moments and UUIDs as text, which is neither above nor below nor equal to
  // any.
  void as_its_column_holds(const TableEntry& entry, const TableSchema& source, Condition& condition,
                           Place at) {
    const ColumnSchema& column =
        source.columns[static_cast<std::size_t>(source.column_index(condition.column))];
    const bool is_compared = condition.is != Condition::Is::begins_with;
    if (column.holds == Kind::boolean) {  // where 1 can mean nothing else
      for (Value& value : condition.values) {
        const auto* number = value.get_if<std::int64_t>();
        if (number != nullptr && (*number == 0 || *number == 1)) {
          value = Value(Value::Storage(*number == 1));
        }
      }
    }
    const bool is_padded = column.declared.starts_with("character(");
    if (!is_compared || (column.holds < Kind::uuid && !is_padded)) return;
    for (Value& value : condition.values) {
      if (value.kind() != Kind::text) continue;
      Result<Value> settled = stores_.at(entry.from.alias)->catalog().settle(column, value);
      if (settled.ok()) {
        value = std::move(settled).value();
      } else if (!is_padded) {
        diagnostics_.add(at,
                         fmt::format("{} is no value of `{}`, which is {}", show(value),
                                     column.name, column.declared),
                         "write it as the database does");
      }
    }
  }

  std::vector<Condition> conditions(const TableEntry& entry, const TableSchema& source) {
    std::vector<Condition> all;
    for (const auto& [condition, at] : entry.where) {
      all.push_back(condition);
      all.back().column = source.own_spelling(condition.column);
      if (!all.back().column.empty()) {
        as_its_column_holds(entry, source, all.back(), at);
        continue;
      }
      diagnostics_.no_column(at, source.name, condition.column, source.column_names());
    }
    return all;
  }

  // A row is looked up by its key, so only references to such keys can be followed.
  void connect_references() {
    for (Move& move : migration_.moves) {
      for (const NamedReference& one : references_[static_cast<std::size_t>(move.index)]) {
        const auto parent = std::ranges::find(migration_.moves, one.parent, &Move::name);
        const int column = move.mapping.source.column_index(one.column);
        if (parent == migration_.moves.end() || column < 0) continue;
        const std::vector<std::string>& key = parent->mapping.source.key;
        const bool is_by_key = key.size() == 1;
        const int becomes = moved_to(move.mapping, one.column);
        const bool is_read = std::ranges::any_of(
            move.mapping.forward, [&](const ColumnRule& rule) { return reads(rule, one.column); });
        if (is_read && !is_by_key) move.not_followed.push_back({one.said, parent->index});
        if (is_read && is_by_key) {
          const TableSchema& source = parent->mapping.source;
          const Kind of_key =
              source.columns[static_cast<std::size_t>(source.column_index(key.front()))].holds;
          move.references.push_back({one.said, column, becomes, one.place, parent->index, of_key});
        }
      }
      move.refuses_orphans =
          move.among_others && move.orphans == Orphans::fail && !move.references.empty();
    }
  }

  // The target refers to the targets of what its source refers to.
  void refer_as_the_source_does() {
    if (!plan_.ids) return;
    for (Move& move : migration_.moves) {
      for (const ForeignKey& key : move.mapping.source.foreign_keys) {
        const auto parent = std::ranges::find_if(migration_.moves, [&](const Move& other) {
          return other.source == move.source && ascii_iequals(other.stored_source(), key.parent);
        });
        std::vector<ForeignKey>& declared = move.mapping.target.foreign_keys;
        const bool is_declared =
            std::ranges::count(declared, key.columns, &ForeignKey::columns) > 0;
        if (parent == migration_.moves.end() || is_declared || key.columns.size() != 1) continue;
        if (move.mapping.target.column_index(key.columns.front()) < 0) continue;
        declared.push_back(
            {key.columns, parent->stored_target(), {key.parent_columns.front()}, "", ""});
      }
    }
  }

  void subset() {
    for (const SampleEntry& one : plan_.sample) {
      const auto move = std::ranges::find(migration_.moves, one.table, &Move::name);
      if (move != migration_.moves.end()) {
        move->sample = one.rows;
        continue;
      }
      std::vector<std::string> names;
      for (const Move& other : migration_.moves) names.push_back(other.name);
      const std::string near = did_you_mean(one.table, names);
      diagnostics_.add(one.at,
                       fmt::format("no table of the plan is called `{}`", printable(one.table)),
                       near.empty() ? "its tables: " + join(names, ", ") : near);
    }
    const bool wants_one = std::ranges::any_of(
        migration_.moves, [](const Move& move) { return move.limit || move.sample; });
    if (!wants_one) return;
    const auto shared = std::make_shared<Subset>();
    for (Move& move : migration_.moves) move.subset = shared;
  }

  static bool reads(const ColumnRule& rule, const std::string& column) {
    const std::vector<std::string> columns = columns_of(*rule.expr);
    return std::ranges::count(columns, column) > 0;
  }

  static int moved_to(const Mapping& mapping, const std::string& column) {
    const auto it = std::ranges::find_if(mapping.forward, [&](const ColumnRule& rule) {
      return copied_column(*rule.expr) == column;
    });
    return it == mapping.forward.end() ? -1 : it->index;
  }

  // In a table that is open any name may be one of a value.
  void health(const HealthPlan& health, Place at, const TableSchema& source) {
    if (!source.rest_column.empty()) return;
    std::vector<std::string> names = {health.newest, health.groups};
    for (const auto& [name, values] : health.stuck) names.push_back(name);
    for (const std::string& name : names) {
      if (name.empty() || !source.own_spelling(name).empty()) continue;
      diagnostics_.no_column(at, source.name, name, source.column_names());
    }
  }

  std::vector<std::pair<std::string, ExprPtr>> mapped(const TableEntry& entry,
                                                      const TableSchema& source,
                                                      const TableSchema& target) {
    std::vector<std::pair<std::string, ExprPtr>> columns;
    const auto write = [&](const std::string& name, Place at) -> std::optional<std::string> {
      const std::string column = target.own_spelling(name);
      if (column.empty() && lost(entry.to, name, at)) return std::nullopt;
      if (column.empty()) {
        diagnostics_.no_column(at, target.name, name, target.column_names());
        return std::nullopt;
      }
      if (target.columns[static_cast<std::size_t>(target.column_index(column))].generated) {
        diagnostics_.add(at, fmt::format("{}.{} is computed by the database", target.name, column),
                         "leave it out of the mapping");
        return std::nullopt;
      }
      const bool twice =
          std::ranges::any_of(columns, [&](const auto& one) { return one.first == column; });
      if (twice) {
        diagnostics_.add(at,
                         fmt::format("`{}` is mapped twice: names are matched without regard to "
                                     "case",
                                     column),
                         "keep one of them");
        return std::nullopt;
      }
      return column;
    };
    for (const ColumnEntry& column : entry.columns) {
      const auto name = write(column.target, column.name_at);
      for (const std::string& read : columns_of(*column.expr)) {
        if (source.column_index(read) >= 0 || lost(entry.from, read, column.at)) continue;
        diagnostics_.no_column(column.at, source.name, read, source.column_names());
      }
      if (name) columns.emplace_back(*name, column.expr);
    }
    for (const NamedPlace& same : entry.same) {
      const auto name = write(same.name, same.at);
      const std::string read = source.own_spelling(same.name);
      if (read.empty() && lost(entry.from, same.name, same.at)) continue;
      if (read.empty()) {
        const std::string near = did_you_mean(same.name, source.column_names());
        diagnostics_.add(
            same.at, fmt::format("{} has no column `{}`", source.name, printable(same.name)), near);
      } else if (name) {
        columns.emplace_back(*name, make_expr(ColumnRef{read}));
      }
    }
    return columns;
  }

  void unmentioned(const TableEntry& entry, const TableSchema& source, const TableSchema& target,
                   std::vector<std::pair<std::string, ExprPtr>>& columns) {
    std::set<std::string> mentioned;
    std::set<std::string> moved;  // by a bare name: `rest: copy` leaves these out
    std::set<std::string> written;
    for (const auto& [name, expr] : columns) {
      written.insert(name);
      for (const std::string& read : columns_of(*expr)) mentioned.insert(read);
      if (const std::string copied = copied_column(*expr); !copied.empty()) moved.insert(copied);
    }
    look_for_lost(entry, source, mentioned);
    for (const ColumnSchema& column : source.columns) {
      if (shapes_->has_made(column.name)) continue;  // for a value of the plan, which names it
      if (column.name == source.rest_column) {  // the engine looks into it where it must be empty
        const bool moves = entry.rest == Rest::copy && !target.rest_column.empty() &&
                           !mentioned.contains(column.name) &&
                           !written.contains(target.rest_column);
        if (moves) columns.emplace_back(target.rest_column, make_expr(ColumnRef{column.name}));
        continue;
      }
      if (column.hidden) {  // a row keeps its number where the target has nothing better either
        const std::string number = target.row_number();
        const bool moves =
            !number.empty() && !mentioned.contains(column.name) && !written.contains(number);
        if (moves) columns.emplace_back(number, make_expr(ColumnRef{column.name}));
        continue;
      }
      if (is_new(entry.from, column.name)) {
        // Under `rest: copy` it would have moved, had it been there.
        const bool moves = entry.rest != Rest::drop && !column.generated;
        if (moves) migration_.added_since.push_back(source.name + "." + column.name);
        continue;
      }
      if (entry.rest == Rest::forbid && !mentioned.contains(column.name) && !column.generated) {
        diagnostics_.add(
            entry.rest_at,
            fmt::format("nothing mentions the column `{}` of {}", column.name, source.name),
            "map it, add it to `same`, or say `rest: drop` to leave such columns behind");
      }
      if (entry.rest != Rest::copy || moved.contains(column.name) || written.contains(column.name))
        continue;
      const std::string name = target.own_spelling(column.name);
      if (name.empty() && lost(entry.to, column.name, entry.rest_at)) continue;
      if (name.empty()) {
        diagnostics_.add(entry.rest_at,
                         fmt::format("`rest: copy` moves `{}`, and {} has no such column",
                                     column.name, target.name),
                         "map it, or say `rest: drop`");
      } else if (!target.columns[static_cast<std::size_t>(target.column_index(name))].generated) {
        columns.emplace_back(name, make_expr(ColumnRef{column.name}));
      }
    }
  }

  void required(const TableEntry& entry, const TableSchema& target,
                const std::vector<std::pair<std::string, ExprPtr>>& columns) {
    for (const ColumnSchema& column : target.columns) {
      const bool written =
          std::ranges::any_of(columns, [&](const auto& one) { return one.first == column.name; });
      const bool may_lack = column.nullable || column.has_default || column.generated;
      if (written || may_lack || column.hidden) continue;  // a missing key is told of as such
      diagnostics_.add(
          entry.to.at,
          fmt::format("{}.{} is NOT NULL without a default, and the plan does not give it a value",
                      target.name, column.name),
          fmt::format("add `{}:` under `columns`", column.name));
    }
  }

  const std::vector<std::string>* columns_then(const TableAddress& table) const {
    if (!begun_with_) return nullptr;
    const auto it = begun_with_->columns.find(table.place());
    return it == begun_with_->columns.end() ? nullptr : &it->second;
  }
  // Added by somebody since the migration began: it does not move.
  bool is_new(const TableAddress& table, const std::string& column) const {
    const auto* then = columns_then(table);
    return then != nullptr && std::ranges::count(*then, column) == 0;
  }
  // Taken away or renamed by somebody since.
  bool lost(const TableAddress& table, const std::string& column, Place at) {
    const auto* then = columns_then(table);
    const bool was_there = then != nullptr && std::ranges::any_of(*then, [&](const auto& name) {
                             return ascii_iequals(name, column);
                           });
    if (!was_there) return false;
    diagnostics_.add(
        at,
        fmt::format("{} had the column `{}` when this migration began, and somebody has "
                    "dropped or renamed it since",
                    table.table, column),
        fmt::format("give the column its name back (ALTER TABLE {} RENAME COLUMN …), "
                    "then say the same command again",
                    table.table));
    return true;
  }

  // Under `rest: copy` nothing names them, and without a word they would stay behind.
  void look_for_lost(const TableEntry& entry, const TableSchema& source,
                     const std::set<std::string>& mentioned) {
    const auto* then = columns_then(entry.from);
    const bool is_open = !source.rest_column.empty();  // where any column may be
    if (then == nullptr || entry.rest != Rest::copy || is_open) return;
    for (const std::string& column : *then) {
      const bool is_there = !source.own_spelling(column).empty() || column == source.rest_column;
      if (!is_there && !mentioned.contains(column)) lost(entry.from, column, entry.rest_at);
    }
  }

  // By the first store that understands it, as when it is asked.
  Status understood_by_one(const std::string& sql) const {
    Status refused;
    for (const auto& [alias, store] : stores_) {
      Status understood = store->understands(sql);
      if (understood.ok()) return understood;
      if (refused.ok()) refused = std::move(understood);
    }
    return refused;
  }

  void bind_check(std::size_t index) {
    CheckPlan check = plan_.checks[index];
    if (!check.sql.empty() && !begun_with_) {
      const Status understood = understood_by_one(check.sql);
      // A table of the new side need not be there yet.
      const bool later = check.at != CheckAt::before && !understood.ok() &&
                         understood.error().message.find("no such") != std::string::npos;
      if (!understood.ok() && !later) {
        diagnostics_.add(plan_.check_places[index],
                         "the store does not understand this check: " + understood.error().message,
                         "try it by hand first");
      }
    }
    migration_.checks.push_back(std::move(check));
  }

  // Two names for one database: each side would take the other's locks for somebody else's.
  void same_places() {
    for (auto one = stores_.begin(); one != stores_.end(); ++one) {
      for (auto other = std::next(one); other != stores_.end(); ++other) {
        const bool is_one = one->second->identity() != other->second->identity() &&
                            one->second->is_same_place(*other->second);
        if (!is_one) continue;
        const auto entry = std::ranges::find(plan_.stores, other->first, &StoreEntry::alias);
        diagnostics_.add(
            entry == plan_.stores.end() ? Place{} : entry->at,
            fmt::format("`{}` and `{}` are one database under two names", one->first, other->first),
            "use one of them for both tables");
      }
    }
  }

  // What no table shows by itself: two that end in one, and what would be moved twice.
  void tables_together() {
    const auto place_of = [](const std::shared_ptr<Store>& store, const std::string& table) {
      return store->identity() + "/" + ascii_lower(table);
    };
    std::map<std::string, std::string> sources;
    for (const Move& move : migration_.moves) {
      sources.emplace(place_of(move.source, move.stored_source()), move.name);
    }
    same_places();
    for (const Move& move : migration_.moves) {
      const std::string target = place_of(move.target, move.stored_target());
      const auto entry = std::ranges::find(plan_.tables, move.name, &TableEntry::as);
      const Place at = entry == plan_.tables.end() ? Place{} : entry->to.at;
      if (target == place_of(move.source, move.stored_source())) {
        diagnostics_.add(at, "source and target are the same table, by two names of one store",
                         "name another table, or another database");
      } else if (const auto it = sources.find(target); it != sources.end()) {
        diagnostics_.add(at, fmt::format("{} is the source of `{}` as well", move.to, it->second),
                         "move one after the other, in two migrations");
      }
    }
    archive_name();
    if (migration_.finish.view && !begun_with_) view();
  }

  // A view with the old name shows the new table as the old one was.
  void view() {
    for (const Move& move : migration_.moves) {
      if (move.source != move.target) {
        diagnostics_.add(plan_.view_at,
                         fmt::format("a view in {} cannot read {} in another store",
                                     move.from.substr(0, move.from.find('/')), move.to),
                         "leave `view` out");
        continue;
      }
      const Dialect* dialect = move.source->dialect();
      for (const ColumnRule& rule : move.mapping.backward) {
        const bool spelled =
            dialect != nullptr &&
            spell(*rule.expr, *dialect, [&](std::string_view c) { return dialect->quote(c); });
        if (spelled) continue;
        diagnostics_.add(
            plan_.view_at,
            fmt::format("the view would have to compute `{}` ({}), and the store cannot",
                        rule.column, describe(*rule.expr)),
            "leave `view` out, or map that column otherwise");
      }
    }
  }

  void archive_name() {
    std::string& name = migration_.finish.rename_source_to;
    if (name.empty() || migration_.moves.empty()) return;
    const Move& archived = migration_.moves.front();
    name = archived.source->catalog().beside(archived.mapping.source.name, name);
    if (begun_with_) return;
    for (const Move& move : migration_.moves) {
      if (move.source->capabilities().renames) continue;
      diagnostics_.add(plan_.rename_at,
                       fmt::format("{} cannot give a table another name",
                                   move.from.substr(0, move.from.find('/'))),
                       "leave `rename_source_to` out; `finish` archives a table before it goes");
      return;
    }
    const bool is_a_target = std::ranges::any_of(migration_.moves, [&](const Move& move) {
      return move.target == migration_.moves.front().source &&
             ascii_iequals(move.mapping.target.name, name);
    });
    const bool taken = migration_.moves.front().source->catalog().name_is_taken(name);
    if (!taken && !is_a_target) return;
    diagnostics_.add(plan_.rename_at,
                     fmt::format("the archive cannot be called `{}`: the name is taken", name),
                     "the archive needs a name of its own");
  }

  // A row switch changes a row that is there, unless it may make it.
  Status row_is_there(const SwitchEntry& entry, const RowSwitch& row) {
    if (row.create || begun_with_) return {};
    ASSIGN_OR_RETURN(const auto reader, row.store->open_reader(row.table));
    std::vector<Row> keys(1);
    for (const std::string& column : row.table.key) {
      for (const auto& [name, value] : row.key) {
        if (name == column) keys[0].push_back(value);
      }
    }
    ASSIGN_OR_RETURN(const auto rows, reader->read_keys(keys));
    if (!rows[0]) {
      diagnostics_.add(entry.at,
                       fmt::format("{} has no row with the key {}", row.table.name, show(keys[0])),
                       "insert it, or say `create: true` to have it made");
    }
    return {};
  }

  void log_table() {
    if (!plan_.log_table) return;
    migration_.log_store = stores_.at(plan_.log_table->alias);
    migration_.log_table = plan_.log_table->table;
    if (migration_.log_store->capabilities().logs) return;
    diagnostics_.add(plan_.log_table->at,
                     fmt::format("`{}` keeps no table of what was done", plan_.log_table->alias),
                     "leave `table` out: `log: {file: …}` is kept in any case");
  }

  void bind_setting(const SwitchEntry& entry) {
    SwitchPlan plan;
    plan.name = std::visit(NameOfSetting{}, *entry.setting);
    if (const auto* file = std::get_if<EnvFileSwitch>(&*entry.setting)) {
      std::error_code ignored;
      if (!begun_with_ && !std::filesystem::is_regular_file(file->path, ignored)) {
        diagnostics_.add(entry.at, fmt::format("there is no file {}", printable(file->written)),
                         "the path is relative to the plan; a file of KEY=VALUE lines is wanted");
      }
    }
    std::visit([&](const auto& how) { plan.how = how; }, *entry.setting);
    unique_name(std::move(plan));
  }

  Status bind_switch(const SwitchEntry& entry) {
    SwitchPlan plan;
    if (entry.setting) {
      bind_setting(entry);
      return {};
    }
    if (!entry.row) {
      plan.name = entry.command.run.empty() ? "command" : entry.command.run.front();
      plan.how = entry.command;
      unique_name(plan);
      return {};
    }
    const std::string place = entry.row->table.place();
    const bool moves = std::ranges::any_of(entries_, [&](const TableEntry& one) {
      return one.from.place() == place || one.to.place() == place;
    });
    if (moves && !begun_with_) {
      diagnostics_.add(entry.row->table.at,
                       fmt::format("the switch is a row of {}, which this plan moves: what it says "
                                   "would be taken for a change of the application",
                                   printable(entry.row->table.table)),
                       "put the row into a table of its own, or leave that table out");
      return {};
    }
    const std::shared_ptr<Store>& store = stores_.at(entry.row->table.alias);
    Result<TableSchema> table = store->catalog().describe(entry.row->table.table);
    if (!table.ok() && table.error().code == ErrorCode::not_found && entry.row->create) {
      table = store->catalog().sketch(entry.row->table.table, entry.row->key, entry.row->set);
    }
    if (!table.ok()) {
      if (table.error().code != ErrorCode::not_found) return std::move(table).error();
      diagnostics_.add(
          entry.row->table.at, "the switch's table is missing: " + table.error().message,
          table.error().hint.empty() ? "say `create: true` to have it made" : table.error().hint);
      return {};
    }
    const TableSchema& schema = table.value();
    for (const auto* pairs : {&entry.row->key, &entry.row->set}) {
      for (const auto& [column, value] : *pairs) {
        if (schema.column_index(column) >= 0) continue;
        diagnostics_.add(entry.at, fmt::format("{} has no column `{}`", schema.name, column),
                         did_you_mean(column, schema.column_names()));
        return {};
      }
    }
    std::vector<std::string> named;
    for (const auto& [column, value] : entry.row->key) named.push_back(column);
    std::vector<std::string> key = schema.key;
    std::ranges::sort(named);
    std::ranges::sort(key);
    if (named != key) {
      diagnostics_.add(
          entry.at,
          fmt::format("a switch must name the key of {}: {}", schema.name, join(schema.key, ", ")),
          fmt::format("like key: {{{}: …}}", join(schema.key, ": …, ")));
      return {};
    }
    if (!can_hold_switch(entry, schema)) return {};
    for (const auto& [column, value] : entry.row->key) {
      if (!value.is_null()) continue;
      diagnostics_.add(entry.at, fmt::format("the key of a switch is never null: `{}`", column),
                       "give it a value by which the row is found again");
      return {};
    }
    RowSwitch row{store, schema, {}, {}, entry.row->create};
    for (const auto& [column, value] : entry.row->key) {
      ASSIGN_OR_RETURN(Value settled, settle(*store, schema, column, value));
      row.key.emplace_back(column, std::move(settled));
      plan.name += (plan.name.empty() ? "" : ",") + spelled_out(value, 40);
    }
    for (const auto& [column, value] : entry.row->set) {
      ASSIGN_OR_RETURN(Value settled, settle(*store, schema, column, value));
      row.set.emplace_back(column, std::move(settled));
    }
    std::erase(plan.name, '\'');
    TRY(row_is_there(entry, row));
    plan.how = std::move(row);
    unique_name(plan);
    return {};
  }

  // A row switch is written at the worst of moments: what the table would refuse is told now.
  bool can_hold_switch(const SwitchEntry& entry, const TableSchema& schema) {
    for (const auto& [column, value] : entry.row->set) {
      const auto at = static_cast<std::size_t>(schema.column_index(column));
      const ColumnSchema& one = schema.columns[at];
      if (one.generated) {
        diagnostics_.add(
            entry.at,
            fmt::format("{}.{} is computed, and the switch would set it", schema.name, column),
            "set the columns that it is computed from");
        return false;
      }
      if (!value.is_null() || one.nullable) continue;
      diagnostics_.add(entry.at,
                       fmt::format("{}.{} is NOT NULL, and the switch would set it to null",
                                   schema.name, column),
                       "give it a value");
      return false;
    }
    if (!entry.row->create) return true;
    for (const ColumnSchema& column : schema.columns) {
      const bool given = std::ranges::any_of(
          entry.row->set, [&](const auto& one) { return one.first == column.name; });
      if (given || column.nullable || column.has_default || column.generated ||
          schema.is_key(column.name)) {
        continue;
      }
      diagnostics_.add(entry.at,
                       fmt::format("{}.{} is NOT NULL without a default, and the switch would make "
                                   "its row without it",
                                   schema.name, column.name),
                       fmt::format("add `{}:` to `set`", column.name));
      return false;
    }
    return true;
  }

  static Result<Value> settle(const Store& store, const TableSchema& schema,
                              const std::string& column, const Value& value) {
    const auto at = static_cast<std::size_t>(schema.column_index(column));
    return const_cast<Store&>(store).catalog().settle(schema.columns[at],
                                                      value);  // NOLINT: settle is const
  }

  // A hold is put back as it was found: what a switch has set there meanwhile would be lost.
  void holds_stay_apart() {
    const auto named = [](const SwitchPlan& plan) {
      std::set<std::string> names;
      const auto add = [&](const std::string& of, const NamedValues& values) {
        for (const auto& [name, value] : values.set) names.insert(of + " " + name);
        for (const std::string& name : values.unset) names.insert(of + " " + name);
      };
      if (const auto* lambda = std::get_if<LambdaSwitch>(&plan.how)) {
        for (const std::string& function : lambda->functions) add(function, lambda->values);
      } else if (const auto* file = std::get_if<EnvFileSwitch>(&plan.how)) {
        add(file->path, file->values);
      } else {
        names.insert(plan.name);
      }
      return names;
    };
    for (std::size_t i = 0; i < migration_.holds.size(); ++i) {
      for (const SwitchPlan& one : migration_.switches) {
        const std::set<std::string> switched = named(one);
        for (const std::string& name : named(migration_.holds[i])) {
          if (!switched.contains(name)) continue;
          diagnostics_.add(plan_.holds[i].at,
                           fmt::format("`{}` is set by a hold and by a switch", name),
                           "a hold is put back as it was found: give each a name of its own");
        }
      }
    }
  }

  void unique_name(SwitchPlan plan) {
    const auto same_name = std::ranges::count(migration_.switches, plan.name, &SwitchPlan::name);
    if (same_name > 0) plan.name += fmt::format("-{}", same_name + 1);
    migration_.switches.push_back(std::move(plan));
  }

  // Nothing written on the new side could find its row on the old one.
  void nobody_is_switched() {
    const std::string why =
        plan_.ids ? "new ids lead nowhere back, so this is a copy"
                  : "`where`, `limit`, `sample`, `mask`, `on_conflict` or `orphans` make "
                    "this a copy";
    if (migration_.sync != Sync::none) {
      diagnostics_.add(plan_.sync_at, why + ", which follows nobody while it runs",
                       "say `sync: none`");
    }
    if (!plan_.switches.empty()) {
      diagnostics_.add(plan_.switches.front().at, why + ", after which nobody is switched over",
                       "leave `switches` out");
    }
  }

  Status sync() {
    const bool makes_ids = std::ranges::any_of(migration_.moves, [](const Move& move) {
      return std::ranges::any_of(move.mapping.forward, [&](const ColumnRule& rule) {
        return move.mapping.target.is_key(rule.column) &&
               !std::holds_alternative<ColumnRef>(rule.expr->node);
      });
    });
    if (plan_.ids && !makes_ids && !migration_.moves.empty()) {
      diagnostics_.add(
          plan_.ids->at,
          fmt::format("no table has a key column `{}` that would get a new id", plan_.ids->column),
          "name the column under `ids: {column: …}`, or leave `ids` out");
    }
    if (migration_.only_copies) {
      nobody_is_switched();
      return {};
    }
    for (const Move& move : migration_.moves) {
      const bool one_store = move.source == move.target;
      if (migration_.sync == Sync::dual && (!one_store || !move.source->capabilities().dual)) {
        diagnostics_.add(plan_.sync_at,
                         "`sync: dual` needs both tables in one store that can link them",
                         "say `sync: capture`");
        return {};
      }
      const bool can_capture =
          move.source->capabilities().capture && move.target->capabilities().capture;
      if (migration_.sync != Sync::dual && !can_capture) {
        diagnostics_.add(plan_.sync_at, "these stores cannot tell what changes while it moves");
        return {};
      }
      if (!can_hold(move)) return {};
      if (!begun_with_) TRY(used_by_nobody_else(move));
    }
    return {};
  }

  // Links need no hold, and `hold: none` does without.
  bool can_hold(const Move& move) {
    if (migration_.sync == Sync::dual || migration_.hold_none) return true;
    if (!migration_.holds.empty()) return true;
    if (move.source->capabilities().holds && move.target->capabilities().holds) return true;
    const bool none = migration_.sync == Sync::none;
    diagnostics_.add(none ? plan_.sync_at : plan_.cutover_at,
                     fmt::format("{} cannot refuse an application's writes for a while",
                                 move.source->capabilities().holds ? move.to : move.from),
                     none ? "say what holds the application, like `hold: [{lambda: NAME, set: "
                            "{READ_ONLY: \"true\"}}]`; or `sync: capture` and `hold: none`: late "
                            "writes to the old side are carried over"
                          : "say `cutover: {hold: none}`: late writes to the old side are carried "
                            "over until it has been quiet; or what holds the application, like "
                            "`hold: [{lambda: NAME, set: {READ_ONLY: \"true\"}}]`");
    return false;
  }

  // Links of two migrations on one table do not see each other's writes, and a feed does not see
  // those of links: rows would be lost without a sign.
  Status used_by_nobody_else(const Move& move) const {
    const Link link{move.name, &move.mapping, true};
    for (const std::shared_ptr<Store>& store : {move.source, move.target}) {
      ASSIGN_OR_RETURN(const OtherUse use, store->capture().used_by_others(link));
      const bool dual = migration_.sync == Sync::dual;
      if (!use.linked && !use.noted) continue;
      // It began after this process had looked for its journal, or it has another one.
      if (use.migrations == std::vector{migration_.name}) {
        return Error{ErrorCode::refused,
                     fmt::format("another runner is at work on {}, or it was begun with another "
                                 "state folder",
                                 migration_.name),
                     "let it end, or name its folder: `--state`", "nothing was changed"};
      }
      const std::string who = use.migrations.empty() ? "" : ": " + join(use.migrations, ", ");
      return Error{
          ErrorCode::refused,
          fmt::format("another migration is at work on {} or {}{}", move.from, move.to, who),
          dual ? "finish it or roll it back first; links of two migrations on one table "
                 "do not see each other's writes"
               : "finish it or roll it back first; what it carries back would not be noted here",
          "nothing was changed"};
    }
    return {};
  }

  // Who is held by a setting heeds it when he likes: nobody may have written for a second, and half
  // of a short hold is kept for the switches.
  void hold_outlasts_silence() {
    constexpr Milliseconds least{3'000};
    constexpr Milliseconds usual{30'000};
    if (!plan_.has_hold_max) migration_.hold_max = usual;
    if (migration_.hold_max >= least) return;
    diagnostics_.add(plan_.hold_at,
                     fmt::format("nothing can be switched within {}: where a setting holds the "
                                 "application it is watched for a second whether it still writes",
                                 to_duration_text(migration_.hold_max)),
                     "say `max_hold: 3s` or more; without it, it is 30s");
  }

  // The digest covers the plan as resolved, the files it reads, and which stores they are.
  void resolve() {
    nlohmann::json resolved = nlohmann::json::parse(plan_.resolved, nullptr, false);
    for (const auto& [alias, store] : stores_) resolved["stores"][alias] = store->identity();
    for (const char* judged_later : {"queries", "criteria", "advisory", "dry_run", "watch", "log"})
      resolved.erase(judged_later);
    // How long writers may be held, and when, can be changed at any time.
    if (resolved.contains("cutover") && resolved["cutover"].is_object()) {
      for (const char* how_long : {"max_hold", "window", "hours"}) {
        resolved["cutover"].erase(how_long);
      }
    }
    for (auto& table : resolved["tables"]) {
      if (table.is_object()) table.erase("health");
    }
    if (!ddl_texts_.empty()) resolved["files"] = digest_hex(ddl_texts_);
    migration_.resolved = resolved.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    migration_.digest = digest_hex(migration_.resolved);
    migration_.as_written = digest_hex(plan_.as_written + same_texts_);
  }

  const PlanFile& plan_;
  const Stores& stores_;
  const std::optional<KnownTables>& begun_with_;
  bool sources_as_they_were_ = false;
  Diagnostics& diagnostics_;
  Migration migration_;
  std::vector<TableEntry> entries_;
  std::unique_ptr<Shapes> shapes_;
  std::vector<std::vector<NamedReference>> references_;  // by move
  std::vector<int> like_source_;                         // moves whose target is made like it
  SourceSchemas schemas_;                                // of a copy
  std::string ddl_texts_;
  std::string same_texts_;  // of files that are the same whatever the variables are
};

}  // namespace

Result<Migration> bind_plan(const PlanFile& plan, const Stores& stores,
                            const std::optional<KnownTables>& begun_with,
                            Diagnostics& diagnostics) {
  return Binder(plan, stores, begun_with, diagnostics).bind();
}

void look_at_columns(const PlanFile& plan, const Stores& stores, Diagnostics& diagnostics) {
  Diagnostics more(diagnostics.file(), "");
  Binder(plan, stores, std::nullopt, more).look_at_columns();
  // What is wrong at one place is told once: the mistake of grammar is the cause.
  const std::vector<Mistake> known = diagnostics.mistakes();
  for (const Mistake& mistake : more.mistakes()) {
    const bool is_told = std::ranges::any_of(known, [&](const Mistake& one) {
      return one.at.line == mistake.at.line && one.at.column == mistake.at.column;
    });
    if (!is_told) diagnostics.add(mistake.at, mistake.message, mistake.hint);
  }
}

Result<Migration> bind_finished_plan(const PlanFile& plan, const Stores& stores,
                                     const KnownTables& begun_with, Diagnostics& diagnostics) {
  const std::optional<KnownTables> begun = begun_with;
  Binder binder(plan, stores, begun, diagnostics);
  binder.take_sources_as_they_were();
  return binder.bind();
}

}  // namespace whimbrel
