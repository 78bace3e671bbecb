// A parsed plan meets the live schemas: every mistake with its place, before anything runs.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/text.h"
#include "plan/plan_file.h"

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

namespace {

using Stores = std::map<std::string, std::shared_ptr<Store>>;

class Binder {
 public:
  Binder(const PlanFile& plan, const Stores& stores, const std::optional<KnownColumns>& begun_with,
         Diagnostics& diagnostics)
      : plan_(plan), stores_(stores), begun_with_(begun_with), diagnostics_(diagnostics) {}

  void use(const std::map<std::string, std::string>& old_ddl) { old_ddl_ = &old_ddl; }

  Result<Migration> bind() {
    migration_.name = plan_.migration;
    migration_.stores = stores_;
    migration_.limits = plan_.limits;
    migration_.backup = plan_.backup;
    migration_.start_manually = plan_.start_manually;
    migration_.hold_max = plan_.hold_max;
    migration_.forecast_refuses = plan_.forecast_refuses;
    migration_.finish = plan_.finish;
    migration_.roll_back_on_failure = plan_.roll_back_on_failure;
    migration_.production = plan_.production;
    migration_.folder = plan_.folder;
    migration_.sync = plan_.sync.value_or(Sync::capture);
    for (const TableEntry& entry : plan_.tables) TRY(table(entry));
    for (const SwitchEntry& entry : plan_.switches) TRY(bind_switch(entry));
    for (std::size_t i = 0; i < plan_.checks.size(); ++i) bind_check(i);
    tables_together();
    TRY(sync());
    resolve();
    return std::move(migration_);
  }

  void look_at_columns() {
    for (const TableEntry& entry : plan_.tables) {
      const bool are_there = stores_.contains(entry.from.alias) && stores_.contains(entry.to.alias);
      const bool is_one =
          entry.from.alias == entry.to.alias && ascii_iequals(entry.from.table, entry.to.table);
      if (!are_there || is_one) continue;
      (void)table(entry).ok();  // a store that does not answer is told when the plan is mended
    }
  }

 private:
  Result<std::optional<TableSchema>> source_schema(const TableEntry& entry) {
    if (old_ddl_ != nullptr) {
      const auto it = old_ddl_->find(ascii_lower(entry.from.alias + "/" + entry.from.table));
      if (it != old_ddl_->end()) {
        ASSIGN_OR_RETURN(
            TableSchema then,
            stores_.at(entry.from.alias)->catalog().parse(it->second, entry.from.table));
        return std::optional<TableSchema>(std::move(then));
      }
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

  // From the plan's DDL, from the source, or as it is there.
  Result<std::optional<TableSchema>> target_schema(const TableEntry& entry,
                                                   const TableSchema& source) {
    Catalog& catalog = stores_.at(entry.to.alias)->catalog();
    Result<TableSchema> there = catalog.describe(entry.to.table);
    if (!there.ok() && there.error().code != ErrorCode::not_found) {
      diagnostics_.add(entry.to.at, there.error().message, there.error().hint);
      return std::optional<TableSchema>{};
    }
    if (entry.create_like_source) {
      diagnostics_.not_yet(entry.create_at, "create: like-source for this store");
      return std::optional<TableSchema>{};
    }
    if (!entry.create_file) {
      if (there.ok()) return std::optional<TableSchema>(std::move(there).value());
      if (!entry.is_whole) return std::optional<TableSchema>{};  // `create` may be what is misspelt
      diagnostics_.add(entry.to.at, there.error().message,
                       "name the file that makes it: `create: FILE.sql`" +
                           (there.error().hint.empty() ? "" : "; " + there.error().hint));
      return std::optional<TableSchema>{};
    }
    const std::filesystem::path path = std::filesystem::path(plan_.folder) / *entry.create_file;
    std::ifstream in(path, std::ios::binary);
    if (!in) {
      diagnostics_.add(
          entry.create_at, fmt::format("there is no file {}", *entry.create_file),
          "files a plan reads are relative to the plan; `exists` and `like-source` are words");
      return std::optional<TableSchema>{};
    }
    std::stringstream ddl;
    ddl << in.rdbuf();
    ddl_texts_ += ddl.str();
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
      return std::optional<TableSchema>(std::move(live));
    }
    if (there.ok()) compare(entry, wanted, there.value());
    (void)source;
    return std::optional<TableSchema>(std::move(wanted));
  }

  void compare(const TableEntry& entry, const TableSchema& wanted, const TableSchema& there) {
    for (const ColumnSchema& column : wanted.columns) {
      const int at = there.column_index(column.name);
      const bool equal =
          at >= 0 &&
          ascii_iequals(there.columns[static_cast<std::size_t>(at)].declared, column.declared) &&
          there.columns[static_cast<std::size_t>(at)].nullable == column.nullable;
      if (equal) continue;
      diagnostics_.add(entry.create_at,
                       fmt::format("{} is there already, and its column `{}` is not as {} says",
                                   entry.to.table, column.name, *entry.create_file),
                       "drop the table, or say `create: exists`");
    }
    for (const ColumnSchema& column : there.columns) {
      if (wanted.column_index(column.name) < 0) {
        diagnostics_.add(
            entry.create_at,
            fmt::format("{} is there already, with a column `{}` that {} does not have",
                        entry.to.table, column.name, *entry.create_file),
            "drop the table, or say `create: exists`");
      }
    }
  }

  Status table(const TableEntry& entry) {
    ASSIGN_OR_RETURN(const std::optional<TableSchema> source, source_schema(entry));
    if (!source) return {};
    ASSIGN_OR_RETURN(const std::optional<TableSchema> target, target_schema(entry, *source));
    if (!target) return {};
    const std::size_t known = diagnostics_.mistakes().size();
    std::vector<std::pair<std::string, ExprPtr>> columns = mapped(entry, *source, *target);
    if (!entry.is_whole) return {};  // what is missing may stand in what was not understood
    // A misspelt column is not mentioned either: the cause is enough.
    if (diagnostics_.mistakes().size() == known) {
      unmentioned(entry, *source, *target, columns);
      required(entry, *target, columns);
    }
    if (diagnostics_.mistakes().size() > known) return {};
    Result<Mapping> mapping = make_mapping(*source, *target, columns);
    if (!mapping.ok()) {
      diagnostics_.add(entry.at, mapping.error().message, mapping.error().hint);
      return {};
    }
    Move move;
    move.index = static_cast<int>(migration_.moves.size());
    move.name = entry.as;
    move.from = entry.from.alias + "/" + source->name;
    move.to = entry.to.alias + "/" + target->name;
    move.source = stores_.at(entry.from.alias);
    move.target = stores_.at(entry.to.alias);
    move.mapping = std::move(mapping).value();
    move.creates_target = entry.create_file.has_value();
    move.indexes = entry.indexes;
    move.on_error = entry.on_error;
    move.orphans = entry.orphans;
    move.inside = move.target->reaches(*move.source) && spells(move);
    const int compared_max = move.target->capabilities().compared_columns_max;
    const auto compared = std::ssize(move.mapping.forward) + std::ssize(move.mapping.source.key);
    move.compares_inside = move.inside && (compared_max == 0 || compared <= compared_max);
    migration_.moves.push_back(std::move(move));
    return {};
  }

  static bool spells(const Move& move) {
    const Dialect* dialect = move.target->dialect();
    return dialect != nullptr &&
           std::ranges::all_of(move.mapping.forward, [&](const ColumnRule& rule) {
             return spell(*rule.expr, *dialect,
                          [&](std::string_view c) { return dialect->quote(c); })
                 .has_value();
           });
  }

  // Names are matched as the store matches them: without regard to ASCII case.
  static std::string own_spelling(const TableSchema& schema, const std::string& name) {
    for (const ColumnSchema& column : schema.columns) {
      if (column.name == name) return name;
    }
    for (const ColumnSchema& column : schema.columns) {
      if (ascii_iequals(column.name, name)) return column.name;
    }
    return "";
  }

  std::vector<std::pair<std::string, ExprPtr>> mapped(const TableEntry& entry,
                                                      const TableSchema& source,
                                                      const TableSchema& target) {
    std::vector<std::pair<std::string, ExprPtr>> columns;
    const auto write = [&](const std::string& name, Place at) -> std::optional<std::string> {
      const std::string column = own_spelling(target, name);
      if (column.empty() && lost(entry.to, name, at)) return std::nullopt;
      if (column.empty()) {
        const std::string near = did_you_mean(name, target.column_names());
        diagnostics_.add(at, fmt::format("{} has no column `{}`", target.name, printable(name)),
                         near.empty() ? "its columns: " + join(target.column_names(), ", ") : near);
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
        const std::string near = did_you_mean(read, source.column_names());
        diagnostics_.add(column.at,
                         fmt::format("{} has no column `{}`", source.name, printable(read)),
                         near.empty() ? "its columns: " + join(source.column_names(), ", ") : near);
      }
      if (name) columns.emplace_back(*name, column.expr);
    }
    for (const NamedPlace& same : entry.same) {
      const auto name = write(same.name, same.at);
      const std::string read = own_spelling(source, same.name);
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
      const auto* bare = std::get_if<ColumnRef>(&expr->node);
      const auto* with_default = std::get_if<IfNull>(&expr->node);
      if (bare == nullptr && with_default != nullptr)
        bare = std::get_if<ColumnRef>(&with_default->of->node);
      if (bare != nullptr) moved.insert(bare->column);
    }
    for (const ColumnSchema& column : source.columns) {
      if (column.hidden) {  // a row keeps its number where the target has nothing better either
        const std::string number = target.row_number();
        const bool moves =
            !number.empty() && !mentioned.contains(column.name) && !written.contains(number);
        if (moves) columns.emplace_back(number, make_expr(ColumnRef{column.name}));
        continue;
      }
      if (is_new(entry.from, column.name)) {
        const bool moves = entry.rest == Rest::forbid && !column.generated;
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
      const std::string name = own_spelling(target, column.name);
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
    const auto it = begun_with_->find(ascii_lower(table.alias + "/" + table.table));
    return it == begun_with_->end() ? nullptr : &it->second;
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

  // What no table shows by itself: two that end in one, and what would be moved twice.
  void tables_together() {
    const auto place_of = [](const std::shared_ptr<Store>& store, const std::string& table) {
      return store->identity() + "/" + ascii_lower(table);
    };
    std::map<std::string, std::string> targets;
    std::map<std::string, std::string> sources;
    for (const Move& move : migration_.moves) {
      sources[place_of(move.source, move.mapping.source.name)] = move.name;
    }
    for (const Move& move : migration_.moves) {
      const std::string target = place_of(move.target, move.mapping.target.name);
      const auto entry = std::ranges::find(plan_.tables, move.name, &TableEntry::as);
      const Place at = entry == plan_.tables.end() ? Place{} : entry->to.at;
      if (target == place_of(move.source, move.mapping.source.name)) {
        diagnostics_.add(at, "source and target are the same table, by two names of one store",
                         "name another table, or another database");
      } else if (const auto it = sources.find(target); it != sources.end()) {
        diagnostics_.add(at, fmt::format("{} is the source of `{}` as well", move.to, it->second),
                         "move one after the other, in two migrations");
      }
      if (const auto [it, fresh] = targets.emplace(target, move.name); !fresh) {
        diagnostics_.add(at, fmt::format("{} is the target of `{}` as well", move.to, it->second),
                         "rows of two tables in one are not yet of this release");
      }
      if (ascii_lower(move.mapping.target.name).starts_with("whimbrel_")) {
        diagnostics_.add(at, "names that begin with `whimbrel_` are kept for what whimbrel makes",
                         "choose another name");
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
    const std::string& name = migration_.finish.rename_source_to;
    if (name.empty() || begun_with_ || migration_.moves.empty()) return;
    if (!migration_.moves.front().source->catalog().describe(name).ok()) return;
    diagnostics_.add(plan_.rename_at, fmt::format("there is a table `{}` already", name),
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

  Status bind_switch(const SwitchEntry& entry) {
    SwitchPlan plan;
    if (!entry.row) {
      plan.name = entry.command.run.empty() ? "command" : entry.command.run.front();
      plan.how = entry.command;
      unique_name(plan);
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
      diagnostics_.add(entry.at, fmt::format("a switch must name the key of {}: {}", schema.name,
                                             join(schema.key, ", ")));
      return {};
    }
    RowSwitch row{store, schema, {}, {}, entry.row->create};
    for (const auto& [column, value] : entry.row->key) {
      ASSIGN_OR_RETURN(Value settled, settle(*store, schema, column, value));
      row.key.emplace_back(column, std::move(settled));
      plan.name += (plan.name.empty() ? "" : ",") + show(value, 40);
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

  static Result<Value> settle(const Store& store, const TableSchema& schema,
                              const std::string& column, const Value& value) {
    const auto at = static_cast<std::size_t>(schema.column_index(column));
    return const_cast<Store&>(store).catalog().settle(schema.columns[at],
                                                      value);  // NOLINT: settle is const
  }

  void unique_name(SwitchPlan plan) {
    const auto same_name = std::ranges::count(migration_.switches, plan.name, &SwitchPlan::name);
    if (same_name > 0) plan.name += fmt::format("-{}", same_name + 1);
    migration_.switches.push_back(std::move(plan));
  }

  Status sync() {
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
      if (!begun_with_) TRY(used_by_nobody_else(move));
    }
    return {};
  }

  // Links of two migrations on one table do not see each other's writes, and a feed does not see
  // those of links: rows would be lost without a sign.
  Status used_by_nobody_else(const Move& move) const {
    const Link link{move.name, &move.mapping, true};
    for (const std::shared_ptr<Store>& store : {move.source, move.target}) {
      ASSIGN_OR_RETURN(const OtherUse use, store->capture().used_by_others(link));
      const bool dual = migration_.sync == Sync::dual;
      if (!use.linked && !(dual && use.noted)) continue;
      const std::string who = use.migrations.empty() ? "" : ": " + join(use.migrations, ", ");
      return Error{
          ErrorCode::refused,
          fmt::format("another migration is at work on {} or {}{}", move.from, move.to, who),
          dual ? "finish it or roll it back first; links of two migrations on one table "
                 "do not see each other's writes"
               : "finish it or roll it back first; what its links write would not be "
                 "noted here",
          "nothing was changed"};
    }
    return {};
  }

  // The digest covers the plan as resolved, the files it reads, and which stores they are.
  void resolve() {
    nlohmann::json resolved = nlohmann::json::parse(plan_.resolved, nullptr, false);
    for (const auto& [alias, store] : stores_) resolved["stores"][alias] = store->identity();
    for (const char* judged_later : {"queries", "criteria", "advisory", "dry_run"})
      resolved.erase(judged_later);
    // How long writers may be held can be changed at any time.
    if (resolved.contains("cutover") && resolved["cutover"].is_object()) {
      for (const char* how_long : {"max_hold", "window"}) resolved["cutover"].erase(how_long);
    }
    if (!ddl_texts_.empty()) resolved["files"] = digest_hex(ddl_texts_);
    migration_.resolved = resolved.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    migration_.digest = digest_hex(migration_.resolved);
  }

  const PlanFile& plan_;
  const Stores& stores_;
  const std::optional<KnownColumns>& begun_with_;
  const std::map<std::string, std::string>* old_ddl_ = nullptr;
  Diagnostics& diagnostics_;
  Migration migration_;
  std::string ddl_texts_;
};

}  // namespace

Result<Migration> bind_plan(const PlanFile& plan, const Stores& stores,
                            const std::optional<KnownColumns>& begun_with,
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
                                     const std::map<std::string, std::string>& old_ddl,
                                     Diagnostics& diagnostics) {
  const std::optional<KnownColumns> begun = KnownColumns{};
  Binder binder(plan, stores, begun, diagnostics);
  binder.use(old_ddl);
  return binder.bind();
}

}  // namespace whimbrel
