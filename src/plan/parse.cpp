// From YAML to a PlanFile: everything that can be judged without a store.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/text.h"
#include "plan/parse_check.h"
#include "plan/parse_copies.h"
#include "plan/parse_http_check.h"
#include "plan/parse_measures.h"
#include "plan/parse_reshape.h"
#include "plan/parse_retype.h"
#include "plan/parse_setting.h"
#include "plan/parse_value.h"
#include "plan/parse_watch.h"
#include "plan/plan_file.h"
#include "plan/variants.h"

namespace whimbrel {

namespace {

const std::vector<std::string> top_keys = {
    "whimbrel",   "migration",  "vars",     "variant",     "dry_run",  "log",
    "stores",     "tables",     "sync",     "limits",      "verify",   "backup",
    "cutover",    "checks",     "queries",  "criteria",    "advisory", "finish",
    "protect",    "on_failure", "on_error", "on_conflict", "orphans",  "ids",
    "references", "sample",     "retype",   "watch",       "rehearsal"};

// What a variant may say: all but which variant it is.
std::vector<std::string> variant_keys() {
  std::vector<std::string> keys = top_keys;
  std::erase(keys, "whimbrel");
  std::erase(keys, "variant");
  return keys;
}

// What a YAML tree says, however it is laid out.
std::string without_comments(const YAML::Node& node) {
  const auto in_quotes = [](const std::string& text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  // A number in quotes is a text.
  if (node.IsScalar()) return node.Tag() + in_quotes(node.Scalar());
  if (!node.IsMap() && !node.IsSequence()) return "null";
  std::string text;
  for (const auto& item : node) {
    text += node.IsMap() ? without_comments(item.first) + ":" + without_comments(item.second) + ","
                         : without_comments(item) + ",";
  }
  return node.IsMap() ? "{" + text + "}" : "[" + text + "]";
}

class Parser {
 public:
  Parser(const PlanSource& source, const std::map<std::string, std::string>& variables,
         Diagnostics& diagnostics)
      : reader_(diagnostics, variables), diagnostics_(diagnostics) {
    std::error_code ignored;
    plan_.path = source.path;
    plan_.folder = std::filesystem::absolute(source.path, ignored).parent_path().string();
  }

  PlanFile parse(const std::string& text) {
    const YAML::Node written = reader_.load(text);
    if (!written.IsDefined()) return plan_;
    plan_.as_written = digest_hex(without_comments(written));
    variables(YamlReader::child(written, "vars"));  // the variant's name may be one of them
    const YAML::Node root = with_variant(reader_, written, variant_keys());
    reader_.check_keys(root, "a plan", top_keys);
    head(root);
    stores(YamlReader::child(root, "stores"));
    plan_.ids = parse_ids(reader_, YamlReader::child(root, "ids"));
    plan_.references = parse_references(reader_, YamlReader::child(root, "references"));
    plan_.sample = parse_sample(reader_, YamlReader::child(root, "sample"));
    plan_.retypes = parse_retype(reader_, YamlReader::child(root, "retype"),
                                 [this](const YAML::Node& node) { return address(node); });
    tables(root);
    settings(root);
    backup(YamlReader::child(root, "backup"));
    cutover(YamlReader::child(root, "cutover"));
    checks(YamlReader::child(root, "checks"));
    plan_.watch = parse_watch(reader_, YamlReader::child(root, "watch"));
    finish(YamlReader::child(root, "finish"));
    agree();
    nlohmann::json resolved_plan = resolved(root);
    if (diagnostics_.empty()) {
      hide_values(YamlReader::child(root, "cutover"), "switches", resolved_plan);
      hide_values(YamlReader::child(root, "cutover"), "hold", resolved_plan);
      hide_what_is_sent(YamlReader::child(root, "checks"), resolved_plan["checks"]);
      for (const char* part : {"switches", "hold"}) {
        const YAML::Node all = YamlReader::child(YamlReader::child(root, "cutover"), part);
        if (all.IsDefined()) hide_what_is_sent(all, resolved_plan["cutover"][part]);
      }
    }
    plan_.resolved = resolved_plan.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return std::move(plan_);
  }

  std::string only_name(const std::string& text) {
    YAML::Node root = reader_.load(text);
    if (!root.IsDefined()) return "";
    variables(YamlReader::child(root, "vars"));
    if (a_variant_renames(root)) root.reset(with_variant(reader_, root, variant_keys()));
    return reader_.text_at(root, "migration").value_or("");
  }

 private:
  void head(const YAML::Node& root) {
    const YAML::Node version = YamlReader::child(root, "whimbrel");
    if (!version.IsDefined()) {
      diagnostics_.add({1, 1, 1}, "the plan does not say which grammar it is written in",
                       "begin with `whimbrel: 1`");
    } else if (reader_.text(version) != "1") {
      diagnostics_.add(YamlReader::place(version),
                       fmt::format("this release reads `whimbrel: 1`, and the plan is written in "
                                   "`whimbrel: {}`",
                                   printable(reader_.text(version), 20)),
                       "`whimbrel version` says which release this is");
    }
    variables(YamlReader::child(root, "vars"));
    const YAML::Node name = YamlReader::child(root, "migration");
    if (!name.IsDefined()) {
      diagnostics_.add({1, 1, 1}, "the plan has no name", "add `migration: a-name`");
      return;
    }
    plan_.migration = reader_.text(name);
    const bool safe = std::ranges::all_of(plan_.migration, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '-' || c == '_' || c == '.';
    });
    if (plan_.migration.empty() || !safe || plan_.migration.front() == '.') {
      diagnostics_.add(YamlReader::place(name),
                       fmt::format("`{}` cannot name a migration", printable(plan_.migration)),
                       "letters, digits, - _ and . only: it becomes the name of a folder");
    }
  }

  void variables(const YAML::Node& vars) {
    if (!vars.IsDefined() || !reader_.check_keys(vars, "`vars`", {})) return;
    for (const auto& entry : vars) {
      const std::string name = entry.first.Scalar();
      if (!reader_.check_keys(entry.second, "`" + name + "`", {"default", "one_of", "environment"}))
        continue;
      if (reader_.word_at(entry.second, "environment", {"first"}))
        reader_.ask_environment_first(name);
      if (const YAML::Node preset = YamlReader::child(entry.second, "default");
          preset.IsDefined()) {
        reader_.set_default(name, preset.IsNull() ? "" : preset.Scalar());
      }
      const std::vector<std::string> words = reader_.texts_at(entry.second, "one_of");
      if (words.empty()) continue;
      const std::optional<std::string> value = reader_.variable(name);
      if (!value) {
        diagnostics_.add(YamlReader::place(entry.first),
                         fmt::format("the variable {} is not set, and must be one of {}", name,
                                     join(words, ", ")),
                         fmt::format("say `--var {}={}`", name, words.front()));
        reader_.is_told_unset(name);
      } else if (std::ranges::count(words, *value) == 0) {
        diagnostics_.add(YamlReader::place(entry.first),
                         fmt::format("{} is `{}`, and must be one of {}", name, printable(*value),
                                     join(words, ", ")));
      }
    }
  }

  void stores(const YAML::Node& node) {
    if (!node.IsDefined()) {
      diagnostics_.add({1, 1, 1}, "the plan names no stores", "add `stores: {name: URL}`");
      return;
    }
    if (!reader_.check_keys(node, "`stores`", {}, {}, "a name and a URL each, like {app: URL}"))
      return;
    if (node.size() == 0) {
      diagnostics_.add(YamlReader::place(node), "the plan names no stores",
                       "add `stores: {name: URL}`");
    }
    for (const auto& entry : node) {
      StoreEntry store{entry.first.Scalar(), "", "", YamlReader::place(entry.second)};
      if (entry.second.IsMap()) {
        reader_.check_keys(entry.second, "`" + store.alias + "`",
                           {"url", "lock_timeout", "statement_timeout"});
        store.settings.lock_timeout = reader_.duration_at(entry.second, "lock_timeout");
        store.settings.statement_timeout = reader_.duration_at(entry.second, "statement_timeout");
        store.url = reader_.text_at(entry.second, "url").value_or("");
        const YAML::Node url = YamlReader::child(entry.second, "url");
        store.written = url.IsDefined() && url.IsScalar() ? url.Scalar() : "";
      } else {
        store.url = reader_.text(entry.second);
        store.written = entry.second.IsScalar() ? entry.second.Scalar() : "";
      }
      plan_.stores.push_back(std::move(store));
    }
  }

  std::optional<TableAddress> address(const YAML::Node& node) {
    const std::string text = reader_.text(node);
    const std::size_t slash = text.find('/');
    TableAddress address{"", "", YamlReader::place(node)};
    if (slash == std::string::npos || slash == 0 || slash + 1 == text.size()) {
      diagnostics_.add(address.at, fmt::format("`{}` is no table of a store", printable(text)),
                       "write ALIAS/TABLE, with the alias from `stores:`");
      return std::nullopt;
    }
    address.alias = text.substr(0, slash);
    address.table = text.substr(slash + 1);
    address.table = std::string(without_quotes(address.table));
    std::vector<std::string> aliases;
    for (const StoreEntry& store : plan_.stores) aliases.push_back(store.alias);
    if (aliases.empty()) return std::nullopt;  // told already
    if (std::ranges::count(aliases, address.alias) == 0) {
      const std::string near = did_you_mean(address.alias, aliases);
      diagnostics_.add(address.at, fmt::format("no store is called `{}`", printable(address.alias)),
                       near.empty() ? "`stores:` has " + join(aliases, ", ") : near);
      return std::nullopt;
    }
    return address;
  }

  void tables(const YAML::Node& root) {
    const YAML::Node node = YamlReader::child(root, "tables");
    if (const YAML::Node retype = YamlReader::child(root, "retype"); retype.IsDefined()) {
      if (!node.IsDefined()) return;
      diagnostics_.add(YamlReader::place(node), "a plan has `tables:` or `retype:`, not both",
                       "make two plans of it");
      return;
    }
    if (!node.IsDefined() || !node.IsSequence() || node.size() == 0) {
      diagnostics_.add(node.IsDefined() ? YamlReader::place(node) : Place{1, 1, 1},
                       "the plan moves no tables",
                       "add `tables:` with a list of {from: ALIAS/TABLE, to: ALIAS/TABLE}");
      return;
    }
    default_on_error_ = reader_.word_at(root, "on_error", {"fail", "reject"}).value_or("fail");
    default_on_conflict_ = parse_on_conflict(reader_, root, OnConflict::fail);
    default_orphans_ = parse_orphans(reader_, root, {Orphans::fail, {}});
    std::set<std::string> names;
    for (const YAML::Node& item : node) {
      table(item);
      if (plan_.tables.empty()) continue;
      const TableEntry& last = plan_.tables.back();
      if (!last.names.empty()) continue;  // as many tables, which are called otherwise
      if (!names.insert(last.as).second && last.at.line == YamlReader::place(item).line) {
        diagnostics_.add(last.at, fmt::format("two tables are called `{}`", last.as),
                         "give one of them `as:`");
      }
    }
  }

  // `names:` and the `{name}` that they are put into.
  void names(const YAML::Node& node, TableEntry& entry) {
    const auto has_place = [](const TableAddress& address) {
      return address.table.find("{name}") != std::string::npos;
    };
    const YAML::Node names = YamlReader::child(node, "names");
    if (!names.IsDefined()) {
      if (has_place(entry.from) || has_place(entry.to)) {
        diagnostics_.add(entry.from.at, "`{name}` needs `names:`",
                         "a list of names and patterns, like [orders, \"Back*\"]");
      }
      return;
    }
    for (const TableAddress* address : {&entry.from, &entry.to}) {
      if (has_place(*address)) continue;
      diagnostics_.add(address->at, "`names:` are put where `{name}` stands, and it stands nowhere",
                       "like ALIAS/{name}-production");
    }
    if (!names.IsSequence() || names.size() == 0) {
      diagnostics_.add(YamlReader::place(names), "`names` must be a list",
                       "of names and patterns, like [orders, \"Back*\"]");
      return;
    }
    for (const YAML::Node& one : names) {
      entry.names.push_back({reader_.text(one), YamlReader::place(one)});
    }
  }

  void table(const YAML::Node& node) {
    const std::size_t known = diagnostics_.mistakes().size();
    if (!reader_.check_keys(node, "a table",
                            {"as", "from", "to", "create", "columns", "same", "rest", "indexes",
                             "on_error", "on_conflict", "orphans", "health", "names", "id", "where",
                             "limit", "mask", "items", "group"})) {
      return;
    }
    TableEntry entry;
    entry.at = YamlReader::place(node);
    for (const char* side : {"from", "to"}) {
      if (!YamlReader::child(node, side).IsDefined()) {
        diagnostics_.add(entry.at, fmt::format("a table needs `{}:`", side), "like ALIAS/TABLE");
        return;
      }
    }
    const auto from = address(YamlReader::child(node, "from"));
    const auto to = address(YamlReader::child(node, "to"));
    if (from) entry.from = *from;
    if (to) entry.to = *to;
    if (from && to && from->alias == to->alias && ascii_iequals(from->table, to->table)) {
      diagnostics_.add(to->at, "source and target are the same table");
    }
    if (to && ascii_lower(to->table).starts_with("whimbrel_")) {
      diagnostics_.add(to->at,
                       "names that begin with `whimbrel_` are kept for what a migration makes for "
                       "itself",
                       "name another target");
    }
    const std::optional<std::string> as = reader_.text_at(node, "as");
    entry.as = as.value_or(entry.from.table);
    entry.is_called = as.has_value();
    if (const YAML::Node create = YamlReader::child(node, "create"); create.IsDefined()) {
      entry.create_at = YamlReader::place(create);
      const std::string how = reader_.text(create);
      if (how == "like-source") {
        entry.create_like_source = true;
      } else if (how != "exists") {
        entry.create_file = how;
        entry.create_varies = create.IsScalar() && create.Scalar().find("${") != std::string::npos;
      }
    }
    names(node, entry);
    entry.keeps_ids = reader_.word_at(node, "id", {"keep", "new"}) == "keep";
    what_becomes_of_columns(node, entry);
    entry.group = parse_group(reader_, YamlReader::child(node, "group"));
    if (reader_.word_at(node, "indexes", {"online", "after"}).value_or("online") == "after") {
      entry.indexes = Indexes::after;
    }
    const std::string on_error =
        reader_.word_at(node, "on_error", {"fail", "reject"}).value_or(default_on_error_);
    entry.on_error = on_error == "reject" ? OnError::reject : OnError::fail;
    entry.on_conflict = parse_on_conflict(reader_, node, default_on_conflict_);
    std::tie(entry.orphans, entry.orphans_to) = parse_orphans(reader_, node, default_orphans_);
    entry.where = parse_where(reader_, YamlReader::child(node, "where"));
    entry.limit = parse_rows(reader_, node, "limit");
    entry.masks = parse_masks(reader_, YamlReader::child(node, "mask"));
    entry.health = health(YamlReader::child(node, "health"));
    entry.health_at = YamlReader::place(YamlReader::child(node, "health"));
    const YAML::Node items = YamlReader::child(node, "items");
    const bool sets_parts_aside =
        entry.on_error == OnError::reject &&
        (!entry.group.empty() || (items.IsSequence() && items.size() > 1));
    if (sets_parts_aside) {
      diagnostics_.add(entry.at,
                       fmt::format("under `{}` a row cannot be set aside as a whole",
                                   entry.group.empty() ? "items" : "group"),
                       "say `on_error: fail` for this table: part of the row would move, and part "
                       "would stay");
    }
    entry.is_whole = diagnostics_.mistakes().size() == known;
    if (!from || !to) return;
    if (items.IsDefined()) {
      one_row_as_items(items, entry);
    } else {
      plan_.tables.push_back(std::move(entry));
    }
  }

  void what_becomes_of_columns(const YAML::Node& node, TableEntry& entry) {
    const YAML::Node columns_node = YamlReader::child(node, "columns");
    entry.has_columns = columns_node.IsDefined();
    entry.rest = entry.has_columns ? Rest::forbid : Rest::copy;
    columns(columns_node, entry);
    same(YamlReader::child(node, "same"), entry);
    const YAML::Node rest = YamlReader::child(node, "rest");
    entry.rest_at = rest.IsDefined() ? YamlReader::place(rest) : YamlReader::place(node);
    if (const auto word = reader_.word_at(node, "rest", {"forbid", "copy", "drop"})) {
      entry.rest = *word == "forbid" ? Rest::forbid : *word == "copy" ? Rest::copy : Rest::drop;
    }
  }

  // Each item is a table of its own to the engine; the first one leads back to the row.
  void one_row_as_items(const YAML::Node& items, const TableEntry& table) {
    if (!items.IsSequence() || items.size() == 0) {
      diagnostics_.add(YamlReader::place(items), "`items` must be a list",
                       "like [{columns: {…}}, {when: {present: role}, columns: {…}}]");
      return;
    }
    if (table.has_columns || !table.same.empty() || !table.group.empty()) {
      diagnostics_.add(table.at, "under `items` each item has its own `columns`, `same` and `rest`",
                       "put them into the items; a group of rows is one item");
      return;
    }
    int number = 0;
    for (const YAML::Node& item : items) {
      const std::size_t known = diagnostics_.mistakes().size();
      TableEntry entry = table;
      entry.at = YamlReader::place(item);
      if (!reader_.check_keys(item, "an item", {"when", "columns", "same", "rest"})) continue;
      what_becomes_of_columns(item, entry);
      entry.when = parse_when(reader_, YamlReader::child(item, "when"));
      entry.item = number++;
      entry.is_whole = table.is_whole && diagnostics_.mistakes().size() == known;
      if (entry.item > 0) entry.as += fmt::format("#{}", entry.item + 1);
      plan_.tables.push_back(std::move(entry));
    }
  }

  void columns(const YAML::Node& node, TableEntry& entry) {
    if (!node.IsDefined() ||
        !reader_.check_keys(node, "`columns`", {}, {},
                            "like {new_name: old_name}; names that stay go into `same: […]`"))
      return;
    for (const auto& item : node) {
      ColumnEntry column;
      column.target = item.first.IsScalar() ? item.first.Scalar() : "";
      column.name_at = YamlReader::place(item.first);
      column.at = YamlReader::place(item.second);
      if (item.second.IsMap()) column.at.length = 6;
      if (is_collected(item.second)) {
        parse_collected(reader_, item.second, entry.as, column);
      } else {
        reader_.put_lookups_into(&column.lookups);
        column.expr = parse_value(reader_, item.second);
        reader_.put_lookups_into(nullptr);
      }
      if (column.expr) entry.columns.push_back(std::move(column));
    }
  }

  void same(const YAML::Node& node, TableEntry& entry) {
    if (!node.IsDefined()) return;
    if (!node.IsSequence()) {
      diagnostics_.add(YamlReader::place(node), "`same` must be a list of column names");
      return;
    }
    for (const YAML::Node& item : node) {
      const std::string name = reader_.text(item);
      const Place at = YamlReader::place(item);
      for (const ColumnEntry& column : entry.columns) {
        if (column.target == name) {
          diagnostics_.add(
              at, fmt::format("`{}` is mapped twice: under `columns` and under `same`", name),
              "keep one of them");
        }
      }
      for (const NamedPlace& other : entry.same) {
        if (other.name == name)
          diagnostics_.add(at, fmt::format("`{}` is said twice in `same`", name));
      }
      entry.same.push_back({name, at});
    }
  }

  std::optional<HealthPlan> health(const YAML::Node& node) {
    if (!node.IsDefined() || !reader_.check_keys(node, "`health`", {"newest", "groups", "stuck"})) {
      return std::nullopt;
    }
    HealthPlan health;
    health.newest = reader_.text_at(node, "newest").value_or("");
    health.groups = reader_.text_at(node, "groups").value_or("");
    const YAML::Node stuck = YamlReader::child(node, "stuck");
    if (!stuck.IsDefined() || !reader_.check_keys(stuck, "`stuck`", {"where", "for"})) {
      return health;
    }
    const YAML::Node where = YamlReader::child(stuck, "where");
    if (!where.IsDefined() || !YamlReader::child(stuck, "for").IsDefined()) {
      diagnostics_.add(YamlReader::place(stuck), "`stuck` needs `where:` and `for:`",
                       "like {where: {status: [waiting]}, for: 1h}");
      return health;
    }
    if (health.newest.empty()) {
      diagnostics_.add(YamlReader::place(stuck), "`stuck` needs `newest:`",
                       "the column that tells how old a row is");
    }
    health.stuck_for = reader_.duration_at(stuck, "for").value_or(Milliseconds(0));
    if (!reader_.check_keys(where, "`where`", {})) return health;
    for (const auto& item : where) {
      std::vector<Value> values;
      if (item.second.IsSequence()) {
        for (const YAML::Node& one : item.second) values.push_back(reader_.value(one));
      } else {
        values.push_back(reader_.value(item.second));
      }
      if (values.empty()) {
        diagnostics_.add(YamlReader::place(item.second), "a list of values is wanted");
      }
      health.stuck.emplace_back(reader_.text(item.first), std::move(values));
    }
    return health;
  }

  // After what may be used of it.
  void raise(const YAML::Node& node) {
    if (!node.IsDefined() || !reader_.check_keys(node, "`raise`", {"rcu", "wcu"})) return;
    LimitsPlan& limits = plan_.limits;
    limits.raise.read = reader_.whole_at(node, "rcu", 1).value_or(0);
    limits.raise.written = reader_.whole_at(node, "wcu", 1).value_or(0);
    const auto is_of_use = [&](const char* unit, std::int64_t paid, double most) {
      if (most <= 0 || static_cast<double>(paid) <= most) return;
      diagnostics_.add(
          YamlReader::place(YamlReader::child(node, unit)),
          fmt::format("{} units a second would be paid for, and `limits: {}` allows {}", paid, unit,
                      most),
          "raise it to what is allowed, or allow more");
    };
    is_of_use("rcu", limits.raise.read, limits.rcu);
    is_of_use("wcu", limits.raise.written, limits.wcu);
  }

  void limits(const YAML::Node& node) {
    if (!node.IsDefined() ||
        !reader_.check_keys(node, "`limits`",
                            {"batch_size", "workers", "rows_per_s", "rcu", "wcu", "share", "raise",
                             "replica_lag", "wal_kept"})) {
      return;
    }
    plan_.limits.batch_size = reader_.whole_at(node, "batch_size", 1);
    plan_.limits.rows_per_s = reader_.whole_at(node, "rows_per_s", 1);
    plan_.limits.workers = static_cast<int>(reader_.whole_at(node, "workers", 1).value_or(2));
    plan_.limits.replica_lag = reader_.duration_at(node, "replica_lag");
    plan_.limits.wal_kept = reader_.bytes_at(node, "wal_kept");
    plan_.limits.rcu = reader_.amount_at(node, "rcu").value_or(0);
    plan_.limits.wcu = reader_.amount_at(node, "wcu").value_or(0);
    raise(YamlReader::child(node, "raise"));
    if (const auto share = reader_.text_at(node, "share")) {
      const std::optional<double> per_cent = parse_per_cent(*share);
      if (per_cent && *per_cent > 0 && *per_cent <= 100) {
        plan_.limits.share = *per_cent / 100;
      } else {
        diagnostics_.add(YamlReader::place(YamlReader::child(node, "share")),
                         "`share` must be a percentage, up to 100%", "like `share: 50%`");
      }
    }
  }

  void settings(const YAML::Node& root) {
    plan_.dry_run = reader_.flag_at(root, "dry_run").value_or(false);
    if (const auto sync = reader_.word_at(root, "sync", {"dual", "capture", "none"})) {
      plan_.sync = *sync == "dual" ? Sync::dual : *sync == "capture" ? Sync::capture : Sync::none;
      plan_.sync_at = YamlReader::place(YamlReader::child(root, "sync"));
    }
    limits(YamlReader::child(root, "limits"));
    if (const YAML::Node verify = YamlReader::child(root, "verify");
        verify.IsDefined() && reader_.check_keys(verify, "`verify`", {"full", "references"})) {
      plan_.verifies_references = reader_.flag_at(verify, "references").value_or(false);
      if (!reader_.flag_at(verify, "full").value_or(true)) {
        diagnostics_.add(YamlReader::place(verify), "what is not compared is not switched over",
                         "leave `verify` out, or say `full: true`");
      }
    }
    if (const YAML::Node log = YamlReader::child(root, "log");
        log.IsDefined() && reader_.check_keys(log, "`log`", {"level", "file", "table"})) {
      if (const YAML::Node table = YamlReader::child(log, "table"); table.IsDefined()) {
        plan_.log_table = address(table);
      }
      plan_.log_level =
          reader_.word_at(log, "level", {"debug", "info", "warning", "error"}).value_or("info");
      plan_.log_file = reader_.text_at(log, "file").value_or("");
    }
    if (reader_.word_at(root, "protect", {"production"})) plan_.production = true;
    if (reader_.word_at(root, "rehearsal", {"required"})) plan_.needs_rehearsal = true;
    plan_.roll_back_on_failure =
        reader_.word_at(root, "on_failure", {"stop", "rollback"}) == "rollback";
    plan_.measures = parse_measures(reader_, root);
  }

  void backup(const YAML::Node& node) {
    if (!node.IsDefined()) return;
    if (node.IsScalar()) {
      if (reader_.text(node) != "none") {
        diagnostics_.add(YamlReader::place(node), "`backup` is `none` or a map",
                         "like {of: [source], to: \"file:backup\"}");
      }
      return;
    }
    if (!reader_.check_keys(node, "`backup`", {"of", "to", "point_in_time"})) return;
    plan_.backup.source = !YamlReader::child(node, "of").IsDefined();
    for (const std::string& side : reader_.texts_at(node, "of")) {
      if (side == "source") {
        plan_.backup.source = true;
      } else if (side == "target") {
        plan_.backup.target = true;
      } else {
        diagnostics_.add(YamlReader::place(YamlReader::child(node, "of")),
                         fmt::format("`{}` is neither source nor target", printable(side)));
      }
    }
    const YAML::Node to = YamlReader::child(node, "to");
    if (!to.IsDefined()) {
      diagnostics_.add(YamlReader::place(node), "`backup` needs `to:`",
                       "like \"file:backup\", below the state folder");
    } else if (to.IsSequence() && to.size() > 0) {
      for (const YAML::Node& one : to) backup_place(one, plan_.backup);
    } else {
      backup_place(to, plan_.backup);
    }
    const auto point_in_time = reader_.word_at(node, "point_in_time", {"enable"});
    plan_.backup.point_in_time = point_in_time.has_value();
  }

  // The first place of each kind is taken.
  void backup_place(const YAML::Node& node, BackupPlan& backup) {
    const std::string url = reader_.text(node);
    const auto take = [&](std::string_view scheme, std::string& place) {
      if (!url.starts_with(scheme) || url.size() == scheme.size()) return false;
      if (place.empty()) place = url.substr(scheme.size());
      return true;
    };
    if (url.starts_with("s3:")) {
      bucket(node, url, backup);
      return;
    }
    if (take("file:", backup.place) || take("schema:", backup.schema)) return;
    if (take("native:", backup.native)) {
      if (backup.native.find("{table}") != std::string::npos) return;
      diagnostics_.add(YamlReader::place(node), "several tables cannot have one backup",
                       "put `{table}` into its name, like \"native:before-{table}-{date}\"");
    } else {
      diagnostics_.add(YamlReader::place(node),
                       fmt::format("`{}` is no place for a backup", printable(url)),
                       "like \"file:backup\", below the state folder, or \"s3://BUCKET/PREFIX\"");
    }
  }

  void bucket(const YAML::Node& node, const std::string& url, BackupPlan& backup) {
    const std::size_t begin = std::string_view("s3://").size();
    const bool has_bucket =
        url.starts_with("s3://") && url.size() > begin && url[begin] != '/' && url[begin] != '?';
    if (has_bucket && url.substr(0, url.find('?')).find("//", begin) == std::string::npos) {
      if (backup.place.empty()) backup.place = url;
      return;
    }
    diagnostics_.add(YamlReader::place(node), fmt::format("`{}` names no bucket", printable(url)),
                     "like \"s3://BUCKET/PREFIX\"");
  }

  void cutover(const YAML::Node& node) {
    if (!node.IsDefined()) return;
    if (node.IsScalar()) {
      const std::string word = reader_.text(node);
      plan_.start_manually = word == "manual";
      if (word != "manual" && word != "auto") {
        diagnostics_.add(YamlReader::place(node),
                         fmt::format("`cutover` cannot be `{}`", printable(word)),
                         "auto, manual, or a map");
      }
      return;
    }
    plan_.cutover_at = YamlReader::place(node);
    if (!reader_.check_keys(
            node, "`cutover`",
            {"start", "max_hold", "window", "hold", "stragglers", "hours", "switches"})) {
      return;
    }
    hold(node);
    hours(YamlReader::child(node, "hours"));
    window(YamlReader::child(node, "window"));
    plan_.start_manually = reader_.word_at(node, "start", {"auto", "manual"}) == "manual";
    if (const auto longest = reader_.duration_at(node, "max_hold")) {
      if (plan_.has_window) {
        diagnostics_.add(YamlReader::place(YamlReader::child(node, "max_hold")),
                         "`max_hold` and `window` say the same", "keep `window: {max: …}`");
      } else {
        plan_.hold_max = *longest;
        plan_.has_hold_max = true;
      }
    }
    if (plan_.hold_max < Milliseconds(10)) {
      diagnostics_.add(YamlReader::place(YamlReader::child(node, "max_hold")),
                       "nothing can be switched in so short a time");
    }
    const YAML::Node switches = YamlReader::child(node, "switches");
    if (!switches.IsDefined()) return;
    if (!switches.IsSequence()) {
      diagnostics_.add(YamlReader::place(switches), "`switches` must be a list");
      return;
    }
    for (const YAML::Node& item : switches) one_switch(item, plan_.switches);
  }

  void hold(const YAML::Node& node) {
    const YAML::Node how = YamlReader::child(node, "hold");
    if (how.IsDefined()) plan_.hold_at = YamlReader::place(how);
    if (how.IsDefined() && how.IsSequence()) {
      for (const YAML::Node& item : how) {
        one_switch(item, plan_.holds);
        if (!YamlReader::child(item, "row").IsDefined()) continue;
        diagnostics_.add(
            YamlReader::place(item), "a row holds nobody when whimbrel dies",
            "a store with rows holds writers itself: leave `hold` out; or name "
            "`lambda`, `lambda_concurrency`, `env_file`, `ssm`, `s3`, `file`, `http` or "
            "`command`");
      }
    } else if (reader_.word_at(node, "hold", {"none"})) {
      plan_.hold_none = true;
    }
    const YAML::Node stragglers = YamlReader::child(node, "stragglers");
    if (!stragglers.IsDefined()) return;
    if (!plan_.hold_none) {
      diagnostics_.add(YamlReader::place(stragglers),
                       "where writers are held nobody writes to the old side later",
                       "add `hold: none`, or leave `stragglers` out");
    }
    if (!reader_.check_keys(stragglers, "`stragglers`", {"quiet", "conflicts"})) return;
    plan_.stragglers_quiet =
        reader_.duration_at(stragglers, "quiet").value_or(plan_.stragglers_quiet);
    plan_.stragglers_stop =
        reader_.word_at(stragglers, "conflicts", {"stop", "keep_new"}) != "keep_new";
  }

  // "22:00-05:00".
  void hours(const YAML::Node& node) {
    if (!node.IsDefined()) return;
    const std::string text = reader_.text(node);
    const std::size_t dash = text.find('-');
    const std::optional<int> from = minute_of_day(text.substr(0, dash));
    const std::optional<int> to =
        dash == std::string::npos ? std::nullopt : minute_of_day(text.substr(dash + 1));
    if (from && to && *from != *to) {
      plan_.hours = HoursPlan{*from, *to};
    } else {
      diagnostics_.add(YamlReader::place(node), "`hours` must be two times of the day",
                       "like \"22:00-05:00\", in quotes");
    }
  }

  static std::optional<int> minute_of_day(const std::string& text) {
    const auto digit = [&](std::size_t at) { return text[at] - '0'; };
    for (const std::size_t at : {0U, 1U, 3U, 4U}) {
      if (text.size() != 5 || text[at] < '0' || text[at] > '9') return std::nullopt;
    }
    const int hour = digit(0) * 10 + digit(1);
    const int minute = digit(3) * 10 + digit(4);
    if (text[2] != ':' || minute > 59 || hour * 60 + minute > 24 * 60) return std::nullopt;
    return hour * 60 + minute;
  }

  void window(const YAML::Node& node) {
    if (!node.IsDefined() || !reader_.check_keys(node, "`window`", {"max", "forecast"})) return;
    plan_.has_window = plan_.has_hold_max = true;
    plan_.window_at = YamlReader::place(node);
    plan_.forecast_refuses = reader_.word_at(node, "forecast", {"refuse", "warn"}) == "refuse";
    if (!YamlReader::child(node, "max").IsDefined()) {
      diagnostics_.add(plan_.window_at, "a window needs `max:`", "like {max: 30m}");
    }
    plan_.hold_max = reader_.duration_at(node, "max").value_or(Milliseconds(1000));
  }

  void rewrites_agree() {
    const auto one = std::ranges::find(plan_.retypes, true, &RetypeEntry::rewrites);
    if (one == plan_.retypes.end()) return;
    const auto other = std::ranges::find(plan_.retypes, false, &RetypeEntry::rewrites);
    if (other != plan_.retypes.end()) {
      diagnostics_.add(one->method_at, "all tables change places together, by one method",
                       "say `method: rewrite` for each column, or for none");
    }
    if (plan_.sync && plan_.sync != Sync::none) {
      diagnostics_.add(plan_.sync_at, "under `method: rewrite` nothing notes what is written",
                       "leave `sync` out, or say `method: shadow_table`");
    } else if (!plan_.has_window) {
      diagnostics_.add(one->method_at,
                       "`method: rewrite` compares and exchanges the tables while writers are "
                       "held, and the plan does not say for how long they may be",
                       "add `cutover: {window: {max: 30m}}`, or leave `method` out");
      return;
    }
    plan_.sync = Sync::none;
  }

  // What is right by itself and wrong together.
  void agree() {
    rewrites_agree();
    const bool none = plan_.sync == Sync::none;
    if (none && !plan_.has_window && !plan_.only_copies()) {
      diagnostics_.add(plan_.sync_at,
                       "under `sync: none` everything is compared while writers are held, and the "
                       "plan does not say for how long they may be",
                       "add `cutover: {window: {max: 30m}}`, or say `sync: capture`");
    }
    if (plan_.sync == Sync::dual && plan_.has_window) {
      diagnostics_.add(plan_.window_at,
                       "under `sync: dual` nobody is held, and no window is needed",
                       "leave `window` out");
    }
    if (plan_.hold_none && plan_.sync.value_or(Sync::capture) != Sync::capture) {
      diagnostics_.add(plan_.hold_at,
                       none ? "under `sync: none` writers have to be held while all is compared"
                            : "under `sync: dual` nobody is held anyway, and nothing comes late",
                       none ? "say `sync: capture`" : "leave `hold` out");
    }
  }

  void one_switch(const YAML::Node& node, std::vector<SwitchEntry>& entries) {
    SwitchEntry entry;
    entry.at = YamlReader::place(node);
    if (YamlReader::child(node, "row").IsDefined()) {
      if (!reader_.check_keys(node, "a switch", {"row", "key", "set", "create"}, {"unset"})) return;
      RowSwitchEntry row;
      const auto table_address = address(YamlReader::child(node, "row"));
      if (!table_address) return;
      row.table = *table_address;
      row.key = pairs(node, "key");
      row.set = pairs(node, "set");
      row.create = reader_.flag_at(node, "create").value_or(false);
      entry.row = std::move(row);
    } else if (YamlReader::child(node, "command").IsDefined()) {
      if (!reader_.check_keys(node, "a switch", {"command", "undo", "state"})) return;
      entry.command = {reader_.texts_at(node, "command"), reader_.texts_at(node, "undo"),
                       reader_.texts_at(node, "state"), plan_.folder, reader_.secrets()};
      if (entry.command.run.empty()) {
        diagnostics_.add(entry.at, "the command has no words",
                         "like `command: [program, argument]`");
      }
      if (entry.command.undo.empty()) {
        diagnostics_.add(entry.at, "a command needs `undo:`",
                         "a switch that cannot go back closes the way back");
      }
    } else if (is_setting(node)) {
      entry.setting = parse_setting(reader_, node, plan_.folder);
      if (!entry.setting) return;
    } else {
      reader_.check_keys(node, "a switch",
                         {"row", "command", "lambda", "lambda_concurrency", "env_file", "ssm", "s3",
                          "file", "http", "set", "unset"});
      return;
    }
    entries.push_back(std::move(entry));
  }

  std::vector<std::pair<std::string, Value>> pairs(const YAML::Node& map, const std::string& key) {
    std::vector<std::pair<std::string, Value>> all;
    const YAML::Node node = YamlReader::child(map, key);
    if (!node.IsDefined() || !node.IsMap() || node.size() == 0) {
      diagnostics_.add(YamlReader::place(map), fmt::format("a row switch needs `{}:`", key),
                       "like {column: value}");
      return all;
    }
    reader_.check_keys(node, "`" + key + "`", {});
    for (const auto& item : node) all.emplace_back(item.first.Scalar(), reader_.value(item.second));
    return all;
  }

  void checks(const YAML::Node& node) {
    if (!node.IsDefined()) return;
    if (!node.IsSequence()) {
      diagnostics_.add(YamlReader::place(node), "`checks` must be a list");
      return;
    }
    std::vector<std::string> tables;
    for (const TableEntry& table : plan_.tables) tables.push_back(table.as);
    for (const YAML::Node& item : node) {
      std::optional<CheckPlan> check = parse_check(reader_, item, tables, plan_.folder);
      if (!check) continue;
      plan_.checks.push_back(std::move(*check));
      const YAML::Node sql = YamlReader::child(item, "sql");
      plan_.check_places.push_back(YamlReader::place(sql.IsDefined() ? sql : item));
    }
  }

  void finish(const YAML::Node& node) {
    // An old table of which nobody knows is of no use.
    plan_.finish.keep_source = plan_.retypes.empty();
    if (!node.IsDefined() ||
        !reader_.check_keys(node, "`finish`",
                            {"after", "rename_source_to", "view", "drop_after", "keep_source",
                             "keep_backup", "backup", "clean_checks"})) {
      return;
    }
    plan_.finish.after = reader_.duration_at(node, "after").value_or(Milliseconds(0));
    plan_.finish.clean_checks = reader_.whole_at(node, "clean_checks", 0).value_or(0);
    plan_.finish.rename_source_to = reader_.text_at(node, "rename_source_to").value_or("");
    plan_.view_at = YamlReader::place(YamlReader::child(node, "view"));
    plan_.rename_at = YamlReader::place(YamlReader::child(node, "rename_source_to"));
    plan_.finish.view = reader_.flag_at(node, "view").value_or(false);
    plan_.finish.drop_after = reader_.duration_at(node, "drop_after");
    plan_.finish.keep_source = reader_.flag_at(node, "keep_source").value_or(plan_.retypes.empty());
    if (const YAML::Node backup = YamlReader::child(node, "backup"); backup.IsDefined()) {
      if (backup.IsSequence()) {
        for (const YAML::Node& one : backup) backup_place(one, plan_.finish.backup);
      } else {
        backup_place(backup, plan_.finish.backup);
      }
      if (!plan_.finish.backup.schema.empty()) {
        diagnostics_.add(YamlReader::place(backup), "`finish` keeps no backup in a schema",
                         "like \"file:archive\", \"s3://BUCKET/archive\", or "
                         "\"native:archive-{table}-{date}\"");
      }
    }
    plan_.finish.keep_backup = reader_.flag_at(node, "keep_backup").value_or(true);
    const bool frees_name = !plan_.finish.rename_source_to.empty() || !plan_.finish.keep_source;
    if (plan_.finish.view && !frees_name) {
      diagnostics_.add(YamlReader::place(YamlReader::child(node, "view")),
                       "a view cannot take the old table's name while the table keeps it",
                       "add `rename_source_to:`, or `keep_source: false`");
    }
    if (!plan_.finish.rename_source_to.empty() && plan_.tables.size() > 1) {
      diagnostics_.add(YamlReader::place(YamlReader::child(node, "rename_source_to")),
                       "one name for several tables");
    }
  }

  nlohmann::json resolved(const YAML::Node& node) {
    if (node.IsMap()) {
      nlohmann::json object = nlohmann::json::object();
      for (const auto& entry : node) {
        if (entry.first.IsScalar()) object[entry.first.Scalar()] = resolved(entry.second);
      }
      return object;
    }
    if (node.IsSequence()) {
      nlohmann::json array = nlohmann::json::array();
      for (const YAML::Node& item : node) array.push_back(resolved(item));
      return array;
    }
    if (!node.IsScalar()) return nullptr;
    const std::size_t known = diagnostics_.mistakes().size();
    const std::string text = reader_.text(node);
    if (diagnostics_.mistakes().size() > known) return nullptr;  // noted before
    return masked(without_passwords(text), reader_.secrets());
  }

  // What a variable gives to an application's settings may be a secret. A few digits of its digest
  // are enough to notice that the plan has changed.
  void hide_values(const YAML::Node& cutover, const char* part, nlohmann::json& resolved_plan) {
    const YAML::Node switches = YamlReader::child(cutover, part);
    if (!switches.IsDefined() || !switches.IsSequence()) return;
    for (std::size_t i = 0; i < switches.size(); ++i) {
      const YAML::Node set = YamlReader::child(switches[i], "set");
      if (!is_setting(switches[i]) || !set.IsDefined()) continue;
      nlohmann::json& values = resolved_plan["cutover"][part][i]["set"];
      if (set.IsScalar()) hide_value(set, values);
      if (!set.IsMap()) continue;
      for (const auto& item : set) {
        if (item.first.IsScalar()) hide_value(item.second, values[item.first.Scalar()]);
      }
    }
  }
  static void hide_value(const YAML::Node& written, nlohmann::json& value) {
    const bool is_variable = written.IsScalar() && written.Scalar().find("${") != std::string::npos;
    if (!is_variable || !value.is_string()) return;
    value = "variable " + digest_hex(value.get<std::string>()).substr(0, 8);
  }

  YamlReader reader_;
  Diagnostics& diagnostics_;
  PlanFile plan_;
  std::string default_on_error_ = "fail";
  OnConflict default_on_conflict_ = OnConflict::fail;
  OrphansAndValue default_orphans_{Orphans::fail, {}};
};

}  // namespace

Result<PlanSource> read_plan(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::error_code ignored;
  if (!in || std::filesystem::is_directory(path, ignored)) {
    return Error{ErrorCode::invalid_plan, fmt::format("there is no plan file {}", path),
                 "check the path; `whimbrel --help` shows the verbs"};
  }
  std::stringstream text;
  text << in.rdbuf();
  return PlanSource{path, text.str()};
}

PlanFile parse_plan(const PlanSource& source, const std::map<std::string, std::string>& variables,
                    Diagnostics& diagnostics) {
  return Parser(source, variables, diagnostics).parse(source.text);
}

Result<std::string> migration_name(const PlanSource& source,
                                   const std::map<std::string, std::string>& variables) {
  Diagnostics diagnostics(source.path, source.text);
  std::string name = Parser(source, variables, diagnostics).only_name(source.text);
  if (!diagnostics.empty()) return diagnostics.error();
  return name;
}

}  // namespace whimbrel
