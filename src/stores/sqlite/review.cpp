// What SQLite knows about a pair of tables that the plan does not say.
#include <fmt/format.h>

#include <algorithm>

#include "base/counted.h"
#include "base/text.h"
#include "store/image.h"
#include "stores/sqlite/affinity.h"
#include "stores/sqlite/calls.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/objects.h"
#include "stores/sqlite/rows.h"
#include "stores/sqlite/schema.h"
#include "stores/sqlite/sqlite_store.h"
#include "stores/sqlite/tokens.h"
#include "stores/sqlite/triggers.h"
#include "stores/sqlite/unique_index.h"

namespace whimbrel {

using namespace sqlite;  // NOLINT: this is the store's own namespace

namespace {

using Weight = Finding::Weight;

// The second name in `CREATE [UNIQUE] INDEX [IF NOT EXISTS] NAME ON TABLE`, without its quotes.
std::string name_made_by(const std::string& ddl) {
  const Tokens tokens = tokens_of(ddl);
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (!ascii_iequals(tokens[i + 1], "ON")) continue;
    const std::string_view name = tokens[i];
    if (is_word(name) || name.size() < 2) return std::string(name);
    std::string inner;
    for (std::size_t at = 1; at + 1 < name.size(); ++at) {
      inner += name[at];
      if (name[at] == name.front() && name[at + 1] == name.front()) ++at;
    }
    return inner;
  }
  return "";
}

class Review {
 public:
  explicit Review(const Mapping& mapping) : mapping_(mapping) {}

  void add(Weight weight, const char* code, std::string message, std::string hint = "") {
    findings_.push_back({weight, code, std::move(message), std::move(hint)});
  }
  std::vector<Finding> take() { return std::move(findings_); }

  // Rows whose key is null cannot be told apart, nor found again.
  Status null_keys(Connection& connection) {
    std::vector<std::string> tests;
    for (const std::string& column : mapping_.source.key)
      tests.push_back(quote_name(column) + " IS NULL");
    ASSIGN_OR_RETURN(
        const auto rows,
        connection.query(fmt::format("SELECT count(*) FROM {} WHERE {}",
                                     quote_name(mapping_.source.name), join(tests, " OR ")),
                         {}));
    const std::int64_t count = rows.at(0).at(0).get<std::int64_t>();
    if (count > 0) {
      add(Weight::refusal, "null_key",
          fmt::format("{} of {} {} key", rows_text(count), mapping_.source.name,
                      count == 1 ? "has a null in its" : "have a null in their"),
          "give them a key, or delete them: rows without a key cannot be told apart");
    }
    return {};
  }

  // Spelled texts are bytes of UTF-8; a file can keep its texts otherwise.
  Status encoding(Connection& connection) {
    ASSIGN_OR_RETURN(const auto rows, connection.query("PRAGMA encoding", {}));
    const std::string& name = rows.at(0).at(0).get<std::string>();
    if (name == "UTF-8") return {};
    add(Weight::refusal, "encoding",
        fmt::format("this file keeps its texts as {}, and only UTF-8 is supported", name),
        "write it into a new file with `sqlite3 OLD .dump | sqlite3 NEW`: that one has UTF-8");
    return {};
  }

  // Keys that the new side tells apart must not be one key on the old side, nor the other way
  // round: rows would become one, or live on beside each other, without a word.
  void keys_are_told_apart_alike() {
    for (const std::string& column : mapping_.target.key) {
      const ColumnSchema& to =
          mapping_.target.columns[static_cast<std::size_t>(mapping_.target.column_index(column))];
      const ColumnRule* rule = rule_of(column);
      if (rule == nullptr) continue;
      for (const std::string& name : columns_of(*rule->expr)) {
        const ColumnSchema& from =
            mapping_.source.columns[static_cast<std::size_t>(mapping_.source.column_index(name))];
        if (!from.collation.empty() && !ascii_iequals(from.collation, to.collation)) {
          add(Weight::refusal, "key_collation",
              fmt::format(
                  "{}.{} is compared by {}, and {}.{} by {}: two rows of the new side could "
                  "be one on the old side",
                  mapping_.source.name, from.name, from.collation, mapping_.target.name, column,
                  to.collation.empty() ? "BINARY" : to.collation),
              fmt::format("say `COLLATE {}` for the new column as well", from.collation));
        }
        if (from.collation.empty() && !to.collation.empty() &&
            !ascii_iequals(to.collation, "BINARY")) {
          add(Weight::refusal, "key_collation",
              fmt::format("{}.{} is compared by {}, and {}.{} by BINARY: two rows of the old side "
                          "could be one on the new side",
                          mapping_.target.name, column, to.collation, mapping_.source.name,
                          from.name),
              "give both keys the same collation");
        }
        const bool holds_anything = affinity_of(to.declared) == Affinity::blob;
        if (holds_anything && affinity_of(from.declared) != Affinity::blob) {
          add(Weight::refusal, "key_type",
              fmt::format(
                  "{}.{} has no type and would hold 1 and '1' as two keys, which are one in "
                  "{}.{}",
                  mapping_.target.name, column, mapping_.source.name, from.name),
              mapping_.target.strict && affinity_of(from.declared) == Affinity::numeric
                  ? "take STRICT away from the new table, and declare it NUMERIC"
                  : fmt::format("declare it {} as well", from.declared));
        }
      }
      const auto* mapped = std::get_if<MapValues>(&rule->expr->node);
      if (mapped != nullptr && (mapped->keep_others || mapped->otherwise)) {
        add(Weight::refusal, "key_mapped",
            fmt::format(
                "the key {}.{} is mapped, and values that the map does not name stay as they "
                "are: two of them could become one",
                mapping_.target.name, column),
            "leave the key as it is, and map it in a column of its own");
      }
    }
  }

  // In this store: another one may keep its triggers still.
  void triggers_that_fire(bool dual) {
    for (const std::string& trigger : mapping_.target.triggers) {
      add(dual ? Weight::warning : Weight::note, "trigger",
          fmt::format("the trigger {} on {} fires for rows that are carried over", trigger,
                      mapping_.target.name));
    }
  }

  // The new table does the same by the same columns.
  bool has_its_like(const ForeignKey& key) const {
    return std::ranges::any_of(mapping_.target.foreign_keys, [&](const ForeignKey& other) {
      const bool does_the_same = ascii_iequals(other.on_delete, key.on_delete) &&
                                 ascii_iequals(other.on_update, key.on_update) &&
                                 other.columns.size() == key.columns.size();
      for (std::size_t i = 0; does_the_same && i < key.columns.size(); ++i) {
        const auto rule = std::ranges::find_if(mapping_.forward, [&](const ColumnRule& one) {
          return ascii_iequals(one.column, other.columns[i]);
        });
        const auto* from =
            rule == mapping_.forward.end() ? nullptr : std::get_if<ColumnRef>(&rule->expr->node);
        if (from == nullptr || !ascii_iequals(from->column, key.columns[i])) return false;
      }
      return does_the_same;
    });
  }

  // A row that one side deletes takes others with it there; the triggers of a link stand still for
  // what our own write sets off.
  void cascades_only_on_the_old_side() {
    for (const ForeignKey& key : mapping_.source.foreign_keys) {
      if (!key.acts() || has_its_like(key)) continue;
      ForeignKey deleting = key;
      deleting.on_update.clear();
      const bool on_delete = deleting.acts();
      add(Weight::warning, "cascade_on_the_old_side",
          fmt::format("{} refers to {} with ON {} {}: where foreign keys are on, a row of {} that "
                      "the new side {} takes rows of {} with it, and the new side keeps them as "
                      "they were until a rollback brings them back",
                      mapping_.source.name, key.parent, on_delete ? "DELETE" : "UPDATE",
                      on_delete ? key.on_delete : key.on_update, key.parent,
                      on_delete ? "deletes" : "gives another key", mapping_.source.name),
          "declare the same for the new tables, or say `sync: capture`");
    }
  }

  void silent_conflicts() {
    for (const TableSchema* table : {&mapping_.source, &mapping_.target}) {
      if (table->on_conflict.empty()) continue;
      add(Weight::refusal, "silent_conflict",
          fmt::format(
              "a constraint of {} says ON CONFLICT {}: rows that a trigger carries over would "
              "remove others, or not arrive, without a word",
              table->name, table->on_conflict),
          "say `sync: capture`: then whimbrel's own statements overrule that");
    }
  }

  // Statements are compiled and not run: an index may want a collation, or a trigger a function,
  // that only the application's own connections know.
  void writes_are_understood(Connection& connection, const TableSchema& table) {
    std::vector<std::string> columns;
    for (const ColumnSchema& column : table.columns) {
      if (!column.generated && !column.hidden) columns.push_back(quote_name(column.name));
    }
    if (columns.empty()) return;
    const std::string name = quote_name(table.name);
    std::vector<std::string> nulls(columns.size(), "NULL");
    for (const std::string& sql :
         {fmt::format("INSERT INTO {} ({}) VALUES ({})", name, join(columns, ", "),
                      join(nulls, ", ")),
          fmt::format("UPDATE {} SET {} = NULL", name, join(columns, " = NULL, ")),
          fmt::format("DELETE FROM {}", name)}) {
      const auto compiled = connection.prepare(sql);
      if (compiled.ok()) continue;
      add(Weight::refusal, "write_not_understood",
          fmt::format("rows of {} cannot be written from here: {}", table.name,
                      compiled.error().message),
          "an index or trigger of the table needs what only the application's own connections "
          "have; "
          "drop it until the migration is finished");
      return;
    }
  }

  Status names_are_free(Connection& connection) {
    for (const std::string& ddl : mapping_.target.index_ddl) {
      const std::string name = name_made_by(ddl);
      ASSIGN_OR_RETURN(const auto rows,
                       connection.query("SELECT type, tbl_name FROM sqlite_master WHERE name = ?1 "
                                        "COLLATE NOCASE",
                                        {Value::text(name)}));
      const bool is_own =
          !rows.empty() && ascii_iequals(rows[0][1].get<std::string>(), mapping_.target.name);
      if (rows.empty() || is_own) continue;
      add(Weight::refusal, "index_name_taken",
          fmt::format("the index {} of {} cannot be made: there is another {} of that name, of {}",
                      name, mapping_.target.name, rows[0][0].get<std::string>(),
                      rows[0][1].get<std::string>()),
          "give the new index another name");
    }
    ASSIGN_OR_RETURN(
        const auto rows,
        connection.query("SELECT type FROM sqlite_master WHERE name = ?1 COLLATE NOCASE "
                         "AND type <> 'table'",
                         {Value::text(mapping_.target.name)}));
    if (!rows.empty()) {
      add(Weight::refusal, "table_name_taken",
          fmt::format("the table {} cannot be made: there is another {} of that name",
                      mapping_.target.name, rows[0][0].get<std::string>()),
          "give the new table another name");
    }
    return {};
  }

  // A trigger must never make a write fail that the application could make before.
  void writes_that_would_fail() {
    for (const TableSchema* table : {&mapping_.source, &mapping_.target}) {
      if (!ascii_iequals(table->name, "old") && !ascii_iequals(table->name, "new")) continue;
      add(Weight::refusal, "table_called_old_or_new",
          fmt::format("a trigger cannot tell the table `{}` from the word {}", table->name,
                      ascii_upper(table->name)),
          "say `sync: capture`, or give the table another name first");
    }
    for (const ColumnRule& rule : mapping_.forward) {
      const ColumnSchema& column = mapping_.target.columns[static_cast<std::size_t>(rule.index)];
      if (!spell(*rule.expr, sqlite::dialect(), [](std::string_view c) { return quote_name(c); })) {
        add(Weight::refusal, "not_total",
            fmt::format("`{}` ({}) can refuse a value, and a trigger must not", rule.column,
                        describe(*rule.expr)),
            "say `sync: capture`: then such rows are refused or set aside outside of the write");
      }
      if (!column.nullable && may_be_null(*rule.expr, mapping_.source)) {
        add(Weight::refusal, "null_into_not_null",
            fmt::format("{}.{} is NOT NULL, and {} can be null: an old writer's INSERT would fail",
                        mapping_.target.name, rule.column, describe(*rule.expr)),
            fmt::format("add `if_null:` to `{}`", rule.column));
      }
    }
    if (mapping_.target.has_checks) {
      add(Weight::refusal, "target_check",
          fmt::format("{} has a CHECK: a write to {} that breaks it would fail",
                      mapping_.target.name, mapping_.source.name),
          "drop the CHECK until the migration is finished, or say `sync: capture`");
    }
    if (mapping_.target.strict) types_of_target();
    for (const std::string& unique : mapping_.target.other_uniques) {
      add(Weight::refusal, "target_unique",
          fmt::format(
              "{} has the unique index {} over an expression or some rows only, and {} does "
              "not promise that: a write could fail",
              mapping_.target.name, unique, mapping_.source.name),
          "make that index after the migration is finished, or say `sync: capture`");
    }
    expressions_of_target();
    triggers_that_refuse();
    triggers_that_write_their_table();
    key_of_target();
    for (const auto& unique : mapping_.target.uniques) unique_of_target(unique);
    for (const auto& unique : mapping_.source.uniques) unique_of_source(unique);
    for (const std::string& unique : mapping_.source.other_uniques) other_unique_of_source(unique);
    for (const ColumnSchema& column : mapping_.target.columns) computed_not_null(column);
    for (const ForeignKey& key : mapping_.target.foreign_keys) foreign_key_of_target(key);
  }

  // What an expression gives wherever it is not null; unset where that depends on the row.
  std::optional<Affinity> gives(const Expr& expr) const {
    if (const auto* column = std::get_if<ColumnRef>(&expr.node)) {
      const auto& from = mapping_.source.columns[static_cast<std::size_t>(column->index)];
      if (!mapping_.source.strict || from.declared.empty()) return std::nullopt;
      return affinity_of(from.declared);
    }
    if (const auto* constant = std::get_if<Constant>(&expr.node)) {
      const Kind kind = constant->value.kind();
      return kind == Kind::int64 || kind == Kind::boolean ? Affinity::integer
             : kind == Kind::real                         ? Affinity::real
             : kind == Kind::bytes                        ? Affinity::blob
                                                          : Affinity::text;
    }
    if (const auto* cast = std::get_if<Cast>(&expr.node)) {
      return cast->to == CastTo::integer ? Affinity::integer
             : cast->to == CastTo::real  ? Affinity::real
             : cast->to == CastTo::bytes ? Affinity::blob
                                         : Affinity::text;
    }
    if (const auto* with_default = std::get_if<IfNull>(&expr.node)) {
      const auto one = gives(*with_default->of);
      return one == gives(*with_default->otherwise) ? one : std::nullopt;
    }
    const bool is_text = std::holds_alternative<Template>(expr.node) ||
                         std::holds_alternative<CaseOf>(expr.node) ||
                         std::holds_alternative<Split>(expr.node) || gives_json(expr);
    return is_text ? std::optional(Affinity::text) : std::nullopt;
  }

  // A STRICT column refuses what is not of its type; ANY (no type here) refuses nothing.
  void types_of_target() {
    std::vector<std::string> odd;
    for (const ColumnRule& rule : mapping_.forward) {
      const ColumnSchema& to = mapping_.target.columns[static_cast<std::size_t>(rule.index)];
      const auto kind = gives(*rule.expr);
      const Affinity wanted = affinity_of(to.declared);
      const bool widens = kind == Affinity::integer && wanted == Affinity::real;
      if (to.declared.empty() || kind == wanted || widens) continue;
      odd.push_back(fmt::format("{} ({}) into {}", rule.column, describe(*rule.expr), to.declared));
    }
    if (odd.empty()) return;
    add(Weight::refusal, "target_strict",
        fmt::format("{} is STRICT, and a value of another type would make a write fail: {}",
                    mapping_.target.name, join(odd, ", ")),
        fmt::format("make {} STRICT after the migration, or say `sync: capture`",
                    mapping_.target.name));
  }

  // The one column of an INTEGER PRIMARY KEY takes whole numbers and nothing else.
  void alias_of_target(const ColumnSchema& to) {
    if (!has_rowid_alias(mapping_.target)) return;
    const auto* copied = copied_from(to.name);
    if (copied != nullptr && has_rowid_alias(mapping_.source)) return;
    add(Weight::refusal, "target_rowid",
        fmt::format("{}.{} takes whole numbers only, and {}'s key can be something else than a "
                    "whole number: such a write would fail",
                    mapping_.target.name, to.name, mapping_.source.name),
        "declare it INT PRIMARY KEY NOT NULL, or say `sync: capture`");
  }

  // What an index or a computed column calculates is calculated within each write.
  void expressions_of_target() {
    std::vector<std::string> known = mapping_.source.index_ddl;
    known.push_back(mapping_.source.create_ddl);
    const auto source_name = [this](std::string_view word) -> std::string {
      const ColumnRef* copied = copied_from(std::string(word));
      return copied == nullptr ? std::string(word) : copied->column;
    };
    std::vector<std::string> texts = mapping_.target.index_ddl;
    if (mapping_.target.key_index_ddl != "") texts.push_back(mapping_.target.key_index_ddl);
    for (const std::string& ddl : texts) {
      for (const std::string& call : calls_that_can_fail(indexed_part(ddl), source_name, known)) {
        add(Weight::refusal, "index_can_fail",
            fmt::format("the index {} of {} computes {}, which can fail: so could a write to {}",
                        name_made_by(ddl), mapping_.target.name, call, mapping_.source.name),
            "make that index after the migration is finished, or say `sync: capture`");
      }
    }
    if (std::ranges::none_of(mapping_.target.columns, &ColumnSchema::generated)) return;
    for (const std::string& call :
         calls_that_can_fail(computed_part(mapping_.target.create_ddl), source_name, known)) {
      add(Weight::refusal, "computed_can_fail",
          fmt::format("a column of {} computes {}, which can fail: so could a write to {}",
                      mapping_.target.name, call, mapping_.source.name),
          "say `sync: capture`: then such rows are refused or set aside outside of the write");
    }
  }

  // Who may stand in the way of an OR REPLACE is noted before the write, and such a trigger would
  // write between the note and the write.
  void triggers_that_write_their_table() {
    for (const TableSchema* table : {&mapping_.source, &mapping_.target}) {
      if (in_the_way_of(*table, "").empty()) continue;
      for (std::size_t i = 0; i < table->trigger_ddl.size(); ++i) {
        const Tokens tokens = tokens_of(table->trigger_ddl[i]);
        const auto begin =
            std::ranges::find_if(tokens, [](auto word) { return ascii_iequals(word, "BEGIN"); });
        const bool is_before = std::any_of(tokens.begin(), begin,
                                           [](auto word) { return ascii_iequals(word, "BEFORE"); });
        if (!is_before || !any_names(begin, tokens.end(), table->name)) continue;
        add(Weight::refusal, "trigger_writes_its_table",
            fmt::format("the trigger {} on {} may write {} itself before each write: which row an "
                        "OR REPLACE removes could not be told beside it",
                        table->triggers[i], table->name, table->name),
            "say `sync: capture`");
      }
    }
  }

  // What a trigger of the target writes elsewhere is part of each write to the source.
  void triggers_that_write_elsewhere(Connection& connection) {
    for (std::size_t i = 0; i < mapping_.target.trigger_ddl.size(); ++i) {
      const Tokens tokens = tokens_of(mapping_.target.trigger_ddl[i]);
      const auto begin =
          std::ranges::find_if(tokens, [](auto word) { return ascii_iequals(word, "BEGIN"); });
      for (auto word = begin; word != tokens.end() && word + 1 != tokens.end(); ++word) {
        if (!ascii_iequals(*word, "INTO") && !ascii_iequals(*word, "UPDATE")) continue;
        const std::string name = unquoted(*(word + 1));
        const Result<TableSchema> table = sqlite::describe(connection, name);
        if (!table.ok() || !may_refuse(table.value())) continue;
        add(Weight::refusal, "target_trigger_writes",
            fmt::format("the trigger {} on {} writes to {} within each write to {}, and its "
                        "constraints could refuse that",
                        mapping_.target.triggers[i], mapping_.target.name, name,
                        mapping_.source.name),
            "make that trigger after the migration is finished, or say `sync: capture`");
        break;
      }
    }
  }

  static bool may_refuse(const TableSchema& table) {
    const bool may_lack_nothing = std::ranges::any_of(table.columns, [&](const auto& column) {
      const bool is_numbered = has_rowid_alias(table) && table.is_key(column.name);
      return !column.nullable && !column.hidden && !is_numbered;
    });
    return may_lack_nothing || !table.uniques.empty() || !table.other_uniques.empty() ||
           !table.foreign_keys.empty() || !checks_of(table.create_ddl).empty();
  }

  void triggers_that_refuse() {
    for (std::size_t i = 0; i < mapping_.target.trigger_ddl.size(); ++i) {
      const Tokens tokens = tokens_of(mapping_.target.trigger_ddl[i]);
      const bool raises = std::ranges::any_of(
          tokens, [](std::string_view one) { return ascii_iequals(one, "RAISE"); });
      if (!raises) continue;
      add(Weight::refusal, "target_trigger_raises",
          fmt::format("the trigger {} on {} would run within each write to {}, and could refuse it",
                      mapping_.target.triggers[i], mapping_.target.name, mapping_.source.name),
          "make that trigger after the migration is finished, or say `sync: capture`");
    }
  }

  // Whether two values that `from` tells apart can be equal in `to`; "" if not, else how.
  std::string merged_by(const ColumnSchema& from, const ColumnSchema& to) const {
    if (!to.collation.empty() && !ascii_iequals(from.collation, to.collation)) {
      return fmt::format("compared by {}", to.collation);
    }
    const Affinity was = affinity_of(from.declared);
    const Affinity is = affinity_of(to.declared);
    const bool anything = was == Affinity::blob && !ascii_iequals(from.declared, "BLOB");
    if (is == Affinity::text && anything) return "TEXT, where 1 and '1' are one";
    if (is == Affinity::real && (was == Affinity::integer || was == Affinity::numeric)) {
      return fmt::format("{}, where whole numbers beyond 2^53 become one", to.declared);
    }
    if (is != Affinity::text && is != Affinity::blob && (was == Affinity::text || anything)) {
      return fmt::format("{}, where '1' and '01' are one", to.declared);
    }
    return "";
  }

  // Keys that differ on the old side must not be one on the new side.
  void key_of_target() {
    for (const std::string& column : mapping_.target.key) {
      const ColumnSchema& to =
          mapping_.target.columns[static_cast<std::size_t>(mapping_.target.column_index(column))];
      alias_of_target(to);
      const auto* copied = copied_from(column);
      if (copied != nullptr && to.collation.empty() && !has_rowid_alias(mapping_.target)) {
        const std::string how =
            merged_by(mapping_.source.columns[static_cast<std::size_t>(copied->index)], to);
        if (!how.empty()) {
          add(Weight::refusal, "target_key_type",
              fmt::format("{}.{} is {}: keys that differ in {} would become one row",
                          mapping_.target.name, column, how, mapping_.source.name),
              "give both keys the same type, or say `sync: capture`");
        }
      }
      if (to.collation.empty()) continue;
      const bool same_collation =
          copied != nullptr &&
          ascii_iequals(mapping_.source.columns[static_cast<std::size_t>(copied->index)].collation,
                        to.collation);
      if (same_collation) continue;
      add(Weight::refusal, "target_key_collation",
          fmt::format("{}.{} is compared by {}: keys that differ in {} would become one row",
                      mapping_.target.name, column, to.collation, mapping_.source.name),
          "give both keys the same collation, or say `sync: capture`");
    }
  }

  void unique_of_target(const std::vector<std::string>& unique) {
    std::vector<std::string> sources;
    for (const std::string& column : unique) {
      const auto* copied = copied_from(column);
      if (copied != nullptr) sources.push_back(copied->column);
    }
    std::ranges::sort(sources);
    const bool is_known = std::ranges::any_of(mapping_.source.uniques, [&](auto known) {
      std::ranges::sort(known);
      return known == sources;
    });
    std::string how;
    for (const std::string& column : is_known ? unique : std::vector<std::string>()) {
      const ColumnSchema& from =
          mapping_.source.columns[static_cast<std::size_t>(copied_from(column)->index)];
      how = merged_by(
          from,
          mapping_.target.columns[static_cast<std::size_t>(mapping_.target.column_index(column))]);
      if (!how.empty()) {
        how = fmt::format(" with {} {}", column, how);
        break;
      }
    }
    if (is_known && how.empty()) return;
    add(Weight::refusal, "target_unique",
        fmt::format("{} is unique over ({}){}, and {} does not promise that: a write could fail",
                    mapping_.target.name, join(unique, ", "), how, mapping_.source.name),
        "make that index after the migration is finished, or say `sync: capture`");
  }

  // What the new side may write and the old side may not.
  void unique_of_source(const std::vector<std::string>& unique) {
    std::vector<std::string> targets;
    for (const std::string& column : unique) {
      const auto rule = std::ranges::find(mapping_.backward, column, &ColumnRule::column);
      const ColumnSchema& schema =
          mapping_.source.columns[static_cast<std::size_t>(mapping_.source.column_index(column))];
      // A row made on the new side has a null there, which is equal to nothing.
      if (rule == mapping_.backward.end() && schema.nullable && !schema.has_default) return;
      if (rule == mapping_.backward.end()) continue;
      const auto* copied = std::get_if<ColumnRef>(&rule->expr->node);
      if (copied == nullptr) continue;
      const auto at = static_cast<std::size_t>(copied->index);
      if (merged_by(mapping_.target.columns[at], schema).empty()) {
        targets.push_back(copied->column);
      }
    }
    if (is_unique_among(mapping_.target, targets)) return;
    add(Weight::warning, "source_unique",
        fmt::format("{} is unique over ({}), and {} does not promise that: a write on the new side "
                    "that breaks it fails until the migration is finished, and under OR REPLACE "
                    "pushes another row of the old side aside until a rollback looks for it",
                    mapping_.source.name, join(unique, ", "), mapping_.target.name),
        "make such an index on the new table, or say `sync: capture`");
  }

  void other_unique_of_source(const std::string& unique) {
    const auto text_of = [](const std::string& ddl) {
      const std::string lower = ascii_lower(ddl);
      const std::size_t open = lower.find('(');
      return open == std::string::npos ? lower : lower.substr(open);
    };
    std::string wanted;
    for (const std::string& ddl : mapping_.source.index_ddl) {
      if (ascii_iequals(name_made_by(ddl), unique)) wanted = text_of(ddl);
    }
    for (const std::string& ddl : mapping_.target.index_ddl) {
      if (!wanted.empty() && text_of(ddl) == wanted && ascii_upper(ddl).find("UNIQUE") < 16) return;
    }
    add(Weight::warning, "source_unique",
        fmt::format("{} has the unique index {} over an expression or some rows only, and {} does "
                    "not promise that: a write on the new side that breaks it fails until the "
                    "migration is finished, and under OR REPLACE pushes another row of the old "
                    "side aside until a rollback looks for it",
                    mapping_.source.name, unique, mapping_.target.name),
        "make such an index on the new table, or say `sync: capture`");
  }

  void computed_not_null(const ColumnSchema& column) {
    if (!column.generated || column.nullable) return;
    add(Weight::refusal, "computed_not_null",
        fmt::format(
            "{}.{} is computed and NOT NULL: where it comes out as null a write to {} would "
            "fail",
            mapping_.target.name, column.name, mapping_.source.name),
        "take NOT NULL off until the migration is finished, or say `sync: capture`");
  }

  // Whether a row that one of them lets be is refused, changed or removed by the other.
  bool is_kept_otherwise(const ForeignKey& key, const ForeignKey& known) const {
    const auto action = [](const std::string& text) {
      return text.empty() ? std::string("NO ACTION") : ascii_upper(text);
    };
    const auto is_deferred = [](const TableSchema& table) {
      return ascii_lower(table.create_ddl).find("initially deferred") != std::string::npos;
    };
    for (std::size_t i = 0; i < key.parent_columns.size(); ++i) {
      const std::string& here = key.parent_columns[i];
      const std::string& there = known.parent_columns[i];
      if (!here.empty() && !there.empty() && !ascii_iequals(here, there)) return true;
    }
    return action(key.on_delete) != action(known.on_delete) ||
           action(key.on_update) != action(known.on_update) ||
           (is_deferred(mapping_.source) && !is_deferred(mapping_.target));
  }

  void foreign_key_of_target(const ForeignKey& key) {
    bool always_null = true;
    std::vector<std::string> sources;
    for (const std::string& column : key.columns) {
      const ColumnRule* rule = rule_of(column);
      const auto* constant = rule == nullptr ? nullptr : std::get_if<Constant>(&rule->expr->node);
      always_null =
          always_null && (rule == nullptr || (constant != nullptr && constant->value.is_null()));
      const auto* copied = copied_from(column);
      sources.push_back(copied == nullptr ? "" : copied->column);
    }
    for (const ForeignKey& known : mapping_.source.foreign_keys) {
      if (!ascii_iequals(known.parent, key.parent) || known.columns != sources) continue;
      if (!is_kept_otherwise(key, known)) return;
      add(Weight::refusal, "target_foreign_key",
          fmt::format("{} refers to {} otherwise than {} does: where foreign keys are on, a write "
                      "could fail, or remove a row that {} keeps",
                      mapping_.target.name, key.parent, mapping_.source.name, mapping_.source.name),
          "declare the same columns, ON DELETE, ON UPDATE and DEFERRABLE for both, or say "
          "`sync: capture`");
      return;
    }
    if (always_null) return;
    add(Weight::refusal, "target_foreign_key",
        fmt::format(
            "{} refers to {}, and {} does not: a write could fail where foreign keys are on",
            mapping_.target.name, key.parent, mapping_.source.name),
        "add the foreign key after the migration is finished, or say `sync: capture`");
  }

  // What the new application will notice on the way back.
  void way_back(bool dual) {
    if (mapping_.key_goes_one_way) return;
    for (const ColumnSchema& column : mapping_.source.columns) {
      if (column.nullable || column.generated) continue;
      const auto rule = std::ranges::find(mapping_.backward, column.name, &ColumnRule::column);
      if (rule == mapping_.backward.end()) {
        if (column.has_default) continue;
        add(Weight::refusal, "no_way_back",
            fmt::format("{}.{} is NOT NULL without a default, and nothing leads back to it: {}",
                        mapping_.source.name, column.name,
                        dual ? "every INSERT on the new side would fail"
                             : "no row made on the new side could be brought back"),
            "map it, or give it a default");
      } else if (!dual && may_be_null(*rule->expr, mapping_.target)) {
        add(Weight::note, "null_on_the_way_back",
            fmt::format("{}.{} is NOT NULL, and {} can be null on the new side: such a row cannot "
                        "go back as it is; a rollback keeps what does not fit and says so",
                        mapping_.source.name, column.name, describe(*rule->expr)));
      } else if (dual && may_be_null(*rule->expr, mapping_.target)) {
        add(Weight::warning, "null_on_the_way_back",
            fmt::format(
                "{}.{} is NOT NULL, and {} can be null on the new side: such a write would fail "
                "until the migration is finished",
                mapping_.source.name, column.name, describe(*rule->expr)));
      }
    }
    if (dual && mapping_.source.has_checks) {
      add(Weight::warning, "source_check",
          fmt::format(
              "{} has a CHECK: a write on the new side that breaks it fails until the migration is "
              "finished",
              mapping_.source.name));
    }
  }

  void surroundings() {
    for (const TableSchema* table : {&mapping_.source, &mapping_.target}) {
      if (table->row_number().empty()) continue;
      add(Weight::note, "row_number",
          fmt::format(
              "{} has no key: its rows are told apart by {}; when VACUUM numbers them anew, "
              "the next command notices and compares every row",
              table->name, table->key.front()),
          "");
    }
    for (const TableSchema* table : {&mapping_.source, &mapping_.target}) {
      for (const std::string& unique : not_understood(*table)) {
        add(Weight::warning, "replace_unnoticed",
            fmt::format(
                "a row of {} that INSERT OR REPLACE removes through the unique index {} goes "
                "unnoticed, unless the application sets PRAGMA recursive_triggers = ON",
                table->name, unique),
            "`whimbrel verify` finds such rows, `--repair` removes them");
      }
    }
    for (const std::string& trigger : mapping_.source.triggers) {
      add(Weight::note, "trigger",
          fmt::format(
              "the trigger {} on {} stays with it, and fires for rows that are brought back",
              trigger, mapping_.source.name));
    }
    for (const std::string& trigger : mapping_.source.written_by) {
      add(Weight::warning, "trigger",
          fmt::format("the {} writes to {}, and goes on doing so after the switch", trigger,
                      mapping_.source.name),
          "let it write to the new table at the switch; `finish` does not drop the old one under "
          "it");
    }
    for (const std::string& view : mapping_.source.views) {
      add(Weight::note, "view",
          fmt::format("the view {} goes on reading {}", view, mapping_.source.name));
    }
    for (const std::string& table : mapping_.source.referenced_by) {
      add(Weight::warning, "referenced",
          fmt::format("{} refers to {} by a foreign key: that stays with the old table", table,
                      mapping_.source.name));
    }
    for (const ColumnSchema& column : mapping_.source.columns) {
      const bool is_key = mapping_.source.is_key(column.name);
      if (is_key && !column.collation.empty()) {
        add(Weight::note, "collation",
            fmt::format("keys of {} are compared by {}, inside the database", mapping_.source.name,
                        column.collation));
      }
    }
    for (const ColumnRule& rule : mapping_.forward) {
      const auto* copied = std::get_if<ColumnRef>(&rule.expr->node);
      if (copied == nullptr) continue;
      const auto from =
          affinity_of(mapping_.source.columns[static_cast<std::size_t>(copied->index)].declared);
      const auto to =
          affinity_of(mapping_.target.columns[static_cast<std::size_t>(rule.index)].declared);
      // Of a table of another kind of store the words mean something else.
      const bool holds_text =
          mapping_.target.columns[static_cast<std::size_t>(rule.index)].holds == Kind::text;
      if (from == Affinity::real && to == Affinity::integer) {
        add(Weight::warning, "real_into_integer",
            fmt::format("{}.{} is a number with a fraction and {}.{} is {}: it moves as it is, "
                        "neither rounded nor counted in other units",
                        mapping_.source.name, copied->column, mapping_.target.name, rule.column,
                        mapping_.target.columns[static_cast<std::size_t>(rule.index)].declared));
      }
      if (from == Affinity::text && to != Affinity::text && to != Affinity::blob && !holds_text) {
        add(Weight::warning, "text_into_number",
            fmt::format(
                "{}.{} is text and {}.{} is {}: a text that looks like a number becomes one",
                mapping_.source.name, copied->column, mapping_.target.name, rule.column,
                mapping_.target.columns[static_cast<std::size_t>(rule.index)].declared));
      }
    }
  }

 private:
  const ColumnRule* rule_of(const std::string& column) const {
    const auto it = std::ranges::find(mapping_.forward, column, &ColumnRule::column);
    return it == mapping_.forward.end() ? nullptr : &*it;
  }
  const ColumnRef* copied_from(const std::string& column) const {
    const ColumnRule* rule = rule_of(column);
    return rule == nullptr ? nullptr : std::get_if<ColumnRef>(&rule->expr->node);
  }

  const Mapping& mapping_;
  std::vector<Finding> findings_;
};

}  // namespace

Result<std::vector<Finding>> SqliteStore::review(const Mapping& mapping, bool dual) {
  Review review(mapping);
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  TRY(review.encoding(*connection));
  TRY(review.null_keys(*connection));
  review.keys_are_told_apart_alike();
  review.writes_are_understood(*connection, mapping.source);
  if (dual) {
    review.silent_conflicts();
    review.cascades_only_on_the_old_side();
    review.writes_that_would_fail();
    review.triggers_that_write_elsewhere(*connection);
  }
  review.way_back(dual);
  review.surroundings();
  return review.take();
}

Result<std::vector<Finding>> SqliteStore::review_target(const Mapping& mapping, bool dual) {
  Review review(mapping);
  review.triggers_that_fire(dual);
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  TRY(review.encoding(*connection));
  TRY(review.names_are_free(*connection));
  const Result<TableSchema> there = sqlite::describe(*connection, mapping.target.name);
  if (there.ok()) review.writes_are_understood(*connection, there.value());
  return review.take();
}

}  // namespace whimbrel
