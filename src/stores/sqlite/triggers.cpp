#include "stores/sqlite/triggers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "base/text.h"
#include "stores/sqlite/affinity.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/objects.h"
#include "stores/sqlite/schema.h"
#include "stores/sqlite/unique_index.h"

namespace whimbrel::sqlite {

namespace {

SpellColumn over(const std::string& row) {
  return [row](std::string_view column) { return row + quote_name(column); };
}

std::vector<ColumnRule> key_rules(const TableSchema& table, const std::vector<ColumnRule>& rules) {
  std::vector<ColumnRule> kept;
  for (const std::string& column : table.key) {
    for (const ColumnRule& rule : rules) {
      if (rule.column == column) kept.push_back(rule);
    }
  }
  return kept;
}

std::vector<std::string> columns_of_rules(const std::vector<ColumnRule>& rules) {
  std::vector<std::string> names;
  for (const ColumnRule& rule : rules) names.push_back(rule.column);
  return names;
}

// One direction: writes to `read` are carried to `written` by the rules.
struct Way {
  const TableSchema& read;
  const TableSchema& written;
  const std::vector<ColumnRule>& rules;
  std::string prefix;    // of the triggers' names
  std::string replaced;  // the table where keys wait that INSERT OR REPLACE may remove
  std::string note;      // SQL that notes a key: \1 is the row, \2 where it is from; or ""
  bool insert_missing;   // an update of a row that the other side lacks brings the whole row
  // A condition under which the key of a row (\1) leads to the other side and back again; "" when
  // every key does. Else the row is on this side only.
  std::string leads;

  std::string leads_from(const char* row) const {
    return leads.empty() ? "1" : substituted(leads, row, "");
  }
  // `when`, for rows of which this holds.
  std::string where_it_leads(const std::string& when, std::initializer_list<const char*> of) const {
    std::vector<std::string> parts;
    if (!when.empty()) parts.push_back(when);
    for (const char* row : of) {
      if (!leads.empty()) parts.push_back(leads_from(row));
    }
    return join(parts, " AND ");
  }

  std::string name(const std::string& kind) const { return quote_name(prefix + kind); }
  // Of one row, or of every row that a SELECT calls r.
  std::string noted(const char* row, const std::string& from = "") const {
    return substituted(note, row, from);
  }
  static std::string substituted(const std::string& text, const char* row,
                                 const std::string& from) {
    std::string sql;
    for (const char c : text) {
      if (c == '\1') {
        sql += row;
      } else if (c == '\2') {
        sql += from;
      } else {
        sql += c;
      }
    }
    return sql;
  }
  // Compared by bytes and type: a collation or 1 = 1.0 must not hide a change.
  static std::string changed(const std::string& column) {
    return fmt::format(
        "(OLD.{0} IS NOT NEW.{0} COLLATE BINARY OR typeof(OLD.{0}) <> typeof(NEW.{0}))",
        quote_name(column));
  }
  std::string key_changed() const {
    std::vector<std::string> parts;
    for (const std::string& column : read.key) parts.push_back(changed(column));
    return "(" + join(parts, " OR ") + ")";
  }
  std::string trigger(const std::string& kind, const std::string& event, const std::string& when,
                      const std::string& body) const {
    return fmt::format(
        "CREATE TRIGGER IF NOT EXISTS {} AFTER {} ON {} WHEN {}{} BEGIN {}; {} {}; END", name(kind),
        event, quote_name(read.name), guard_is_off, when.empty() ? "" : " AND " + when, guard_on,
        body, guard_off);
  }

  // Whether a column changed that this rule reads.
  std::string concerned(const ColumnRule& rule) const {
    std::vector<std::string> parts;
    for (const std::string& column : columns_of(*rule.expr)) parts.push_back(changed(column));
    return parts.empty() ? "0" : join(parts, " OR ");
  }

  Result<std::string> assignments(const std::vector<ColumnRule>& some) const {
    ASSIGN_OR_RETURN(const std::vector<std::string> sql, spell_rules(some, "NEW."));
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < some.size(); ++i) {
      parts.push_back(quote_name(some[i].column) + " = " + sql[i]);
    }
    return join(parts, ", ");
  }
  // Columns of the key always, others where a column changed that they depend on.
  Result<std::string> assignments_where_concerned(const std::vector<ColumnRule>& some) const {
    ASSIGN_OR_RETURN(const std::vector<std::string> sql, spell_rules(some, "NEW."));
    std::vector<std::string> sets;
    for (std::size_t i = 0; i < some.size(); ++i) {
      const std::string column = quote_name(some[i].column);
      sets.push_back(written.is_key(some[i].column)
                         ? fmt::format("{} = {}", column, sql[i])
                         : fmt::format("{0} = CASE WHEN {1} THEN {2} ELSE {0} END", column,
                                       concerned(some[i]), sql[i]));
    }
    return join(sets, ", ");
  }
  Result<std::string> insert_whole(const std::string& tail) const {
    ASSIGN_OR_RETURN(const std::vector<std::string> sql, spell_rules(rules, "NEW."));
    return fmt::format("INSERT INTO {} ({}) SELECT {} WHERE {};", quote_name(written.name),
                       name_list(columns_of_rules(rules)), join(sql, ", "), tail);
  }

  // No upsert: see the writer of rows.
  Result<std::string> on_insert() const {
    // A key can be the same and spelled otherwise: by a collation, or as 1 and 1.0.
    std::vector<ColumnRule> others;
    for (const ColumnRule& rule : rules) {
      const bool is_key = written.is_key(rule.column);
      const ColumnSchema& column = written.columns[static_cast<std::size_t>(rule.index)];
      const bool can_be_spelled_anew =
          is_key && (!column.collation.empty() || affinity_of(column.declared) == Affinity::blob);
      if (!is_key || can_be_spelled_anew) others.push_back(rule);
    }
    ASSIGN_OR_RETURN(const std::string match, match_key(written, rules, "", "NEW."));
    ASSIGN_OR_RETURN(const std::string insert,
                     insert_whole(fmt::format("NOT EXISTS (SELECT 1 FROM {} WHERE {})",
                                              quote_name(written.name), match)));
    std::string update;
    if (!others.empty()) {
      ASSIGN_OR_RETURN(const std::string sets, assignments(others));
      update = fmt::format("UPDATE {} SET {} WHERE {}; ", quote_name(written.name), sets, match);
    }
    return trigger("insert", "INSERT", where_it_leads("", {"NEW."}),
                   update + insert + noted("NEW."));
  }

  Result<std::string> on_delete() const {
    ASSIGN_OR_RETURN(const std::string match, match_key(written, rules, "", "OLD."));
    return trigger(
        "delete", "DELETE", where_it_leads("", {"OLD."}),
        fmt::format("DELETE FROM {} WHERE {};", quote_name(written.name), match) + noted("OLD."));
  }

  // The row moves to its new key, with the columns that changed besides.
  Result<std::string> on_key_change() const {
    ASSIGN_OR_RETURN(const std::string sets, assignments_where_concerned(rules));
    ASSIGN_OR_RETURN(const std::string match, match_key(written, rules, "", "OLD."));
    ASSIGN_OR_RETURN(const std::string match_new, match_key(written, rules, "", "NEW."));
    ASSIGN_OR_RETURN(const std::string insert,
                     insert_whole(fmt::format("NOT EXISTS (SELECT 1 FROM {} WHERE {})",
                                              quote_name(written.name), match_new)));
    // A row that the other side does not have yet took the place of one that it has.
    const std::string make_room =
        fmt::format("DELETE FROM {0} WHERE {1} AND NOT EXISTS (SELECT 1 FROM {0} WHERE {2});",
                    quote_name(written.name), match_new, match);
    return trigger("key", "UPDATE", where_it_leads(key_changed(), {"OLD.", "NEW."}),
                   fmt::format("{} UPDATE OR REPLACE {} SET {} WHERE {}; {}", make_room,
                               quote_name(written.name), sets, match, insert) +
                       noted("OLD.") + noted("NEW."));
  }

  using Columns = std::vector<const ColumnSchema*>;

  // A trigger a column, so that only what an UPDATE names costs anything, and only columns that
  // depend on it are touched: every index that is not concerned stays as it is. In a wide table
  // several columns share one, because SQLite compiles each trigger that an UPDATE may need, and
  // each costs as much as the table is wide.
  Result<std::string> on_update(const Columns& group, int number) const {
    std::vector<ColumnRule> dependent;
    for (const ColumnRule& rule : rules) {
      const std::vector<std::string> reads = columns_of(*rule.expr);
      const bool depends = std::ranges::any_of(
          group, [&](const auto* one) { return std::ranges::count(reads, one->name) > 0; });
      if (depends) dependent.push_back(rule);
    }
    if (dependent.empty()) return std::string();
    std::string sets;
    if (group.size() == 1) {
      ASSIGN_OR_RETURN(sets, assignments(dependent));
    } else {
      ASSIGN_OR_RETURN(sets, assignments_where_concerned(dependent));
    }
    ASSIGN_OR_RETURN(const std::string match, match_key(written, rules, "", "NEW."));
    std::vector<std::string> changes;
    std::vector<std::string> names;
    for (const ColumnSchema* column : group) {
      changes.push_back(changed(column->name));
      names.push_back(column->name);
    }
    // No UPDATE names a computed column.
    const bool any_computed =
        std::ranges::any_of(group, [](const auto* c) { return c->generated; });
    return trigger(
        fmt::format("update{}", number), any_computed ? "UPDATE" : "UPDATE OF " + name_list(names),
        where_it_leads("(" + join(changes, " OR ") + ") AND NOT " + key_changed(), {"NEW."}),
        fmt::format("UPDATE {} SET {} WHERE {};", quote_name(written.name), sets, match));
  }

  // Rows whose key leads nowhere are noted, and are on this side only.
  Status spell_strange(std::vector<std::string>& out) const {
    const std::string old_leads = leads_from("OLD.");
    const std::string new_leads = leads_from("NEW.");
    ASSIGN_OR_RETURN(const std::string match_old, match_key(written, rules, "", "OLD."));
    ASSIGN_OR_RETURN(const std::string match_new, match_key(written, rules, "", "NEW."));
    ASSIGN_OR_RETURN(const std::string insert,
                     insert_whole(fmt::format("{} AND NOT EXISTS (SELECT 1 FROM {} WHERE {})",
                                              new_leads, quote_name(written.name), match_new)));
    out.push_back(trigger("strange_insert", "INSERT", "NOT " + new_leads, noted("NEW.")));
    out.push_back(trigger("strange_delete", "DELETE", "NOT " + old_leads, noted("OLD.")));
    out.push_back(
        trigger("strange_key", "UPDATE",
                fmt::format("{} AND NOT ({} AND {})", key_changed(), old_leads, new_leads),
                fmt::format("DELETE FROM {} WHERE {} AND {}; {}", quote_name(written.name),
                            match_old, old_leads, insert) +
                    noted("OLD.") + noted("NEW.")));
    return {};
  }

  // A row that was not there when the copy passed, or is still to be copied.
  Result<std::string> on_missing() const {
    ASSIGN_OR_RETURN(const std::string match, match_key(written, rules, "", "NEW."));
    const std::string missing =
        fmt::format("NOT EXISTS (SELECT 1 FROM {} WHERE {})", quote_name(written.name), match);
    ASSIGN_OR_RETURN(const std::string insert, insert_whole(missing));
    return trigger("missing", "UPDATE", "NOT " + key_changed() + " AND " + missing, insert);
  }

  std::vector<Columns> groups() const {
    constexpr std::size_t separate_max = 100;
    constexpr std::size_t groups_max = 32;
    Columns all;
    for (const ColumnSchema& column : read.columns) {
      if (!read.is_key(column.name)) all.push_back(&column);
    }
    const std::size_t size =
        all.size() <= separate_max ? 1 : (all.size() + groups_max - 1) / groups_max;
    std::vector<Columns> out;
    for (Columns& together : classes(all)) {
      const bool is_full = out.empty() || out.back().size() >= size;
      if (is_full) out.emplace_back();
      out.back().insert(out.back().end(), together.begin(), together.end());
    }
    return out;
  }

  // What a constraint of the other side looks at together has to change there in one statement: in
  // between the row may be one that it refuses, or one that stands in another's way.
  std::vector<Columns> classes(const Columns& all) const {
    std::vector<std::size_t> of(all.size());
    std::iota(of.begin(), of.end(), std::size_t{0});
    for (const std::vector<std::string>& bound : columns_bound_together(written)) {
      std::optional<std::size_t> first;
      for (const ColumnRule& rule : rules) {
        if (std::ranges::count(bound, rule.column) == 0) continue;
        const std::vector<std::string> reads = columns_of(*rule.expr);
        for (std::size_t i = 0; i < all.size(); ++i) {
          if (std::ranges::count(reads, all[i]->name) == 0) continue;
          if (!first) first = of[i];
          std::ranges::replace(of, std::size_t{of[i]}, *first);
        }
      }
    }
    std::map<std::size_t, Columns> by_class;
    for (std::size_t i = 0; i < all.size(); ++i) by_class[of[i]].push_back(all[i]);
    std::vector<Columns> out;
    for (auto& [number, columns] : by_class) out.push_back(std::move(columns));
    return out;
  }

  Status spell(std::vector<std::string>& out) const {
    ASSIGN_OR_RETURN(std::string insert, on_insert());
    ASSIGN_OR_RETURN(std::string erase, on_delete());
    ASSIGN_OR_RETURN(std::string key, on_key_change());
    out.push_back(std::move(insert));
    out.push_back(std::move(erase));
    out.push_back(std::move(key));
    int number = 0;
    for (const Columns& group : groups()) {
      ASSIGN_OR_RETURN(std::string update, on_update(group, ++number));
      if (!update.empty()) out.push_back(std::move(update));
    }
    if (!leads.empty()) TRY(spell_strange(out));
    if (insert_missing) {
      ASSIGN_OR_RETURN(std::string missing, on_missing());
      out.push_back(std::move(missing));
    }
    if (!note.empty())
      out.push_back(trigger("touch", "UPDATE", "NOT " + key_changed(), noted("NEW.")));
    return in_the_way_of(read, "NEW.").empty() ? Status() : spell_replaced(out);
  }

  // INSERT OR REPLACE and UPDATE OR REPLACE remove a row that stands in their way by another unique
  // index, and fire no trigger for it unless the connection wants recursive triggers. So whoever
  // may stand in the way is noted before, and afterwards the other side lets go of who is gone.
  Status spell_replaced(std::vector<std::string>& out) const {
    const auto equal = [&](const std::vector<std::string>& columns, const std::string& left,
                           const std::string& right) {
      std::vector<std::string> parts;
      for (const std::string& column : columns) {
        parts.push_back(left + quote_name(column) + " = " + right + quote_name(column));
      }
      return join(parts, " AND ");
    };
    const std::string insert = "INSERT";
    const std::string update = "UPDATE OF " + unique_columns(read);
    for (const std::string& event : {insert, update}) {
      std::string notes = fmt::format("DELETE FROM {};", quote_name(replaced));
      for (const std::string& in_the_way : in_the_way_of(read, "NEW.")) {
        notes +=
            fmt::format(" INSERT INTO {} SELECT {} FROM {} WHERE {}{};", quote_name(replaced),
                        name_list(read.key), quote_name(read.name), in_the_way,
                        event == insert ? "" : " AND NOT (" + equal(read.key, "", "OLD.") + ")");
      }
      out.push_back(
          fmt::format("CREATE TRIGGER IF NOT EXISTS {} BEFORE {} ON {} WHEN {} BEGIN {} END",
                      name(event == insert ? "noted_insert" : "noted_update"), event,
                      quote_name(read.name), guard_is_off, notes));
    }
    const std::string gone =
        fmt::format("FROM {} AS r WHERE NOT EXISTS (SELECT 1 FROM {} AS s WHERE {})",
                    quote_name(replaced), quote_name(read.name), equal(read.key, "s.", "r."));
    const std::vector<ColumnRule> keys = key_rules(written, rules);
    ASSIGN_OR_RETURN(const std::vector<std::string> sql, spell_rules(keys, "r."));
    std::vector<std::string> values;
    for (const std::string& one : sql) values.push_back("+(" + one + ")");
    std::string sweep =
        fmt::format("DELETE FROM {} WHERE ({}) IN (SELECT {} {}{});", quote_name(written.name),
                    name_list(written.key), join(values, ", "), gone,
                    leads.empty() ? "" : " AND " + leads_from("r."));
    sweep += noted("r.", fmt::format(" FROM (SELECT DISTINCT r.* {}) AS r", gone));
    sweep += fmt::format(" DELETE FROM {};", quote_name(replaced));
    const std::string any = fmt::format("EXISTS (SELECT 1 FROM {})", quote_name(replaced));
    out.push_back(trigger("swept_insert", insert, any, sweep));
    out.push_back(trigger("swept_update", update, any, sweep));
    return {};
  }
};

}  // namespace

Result<std::vector<std::string>> spell_rules(const std::vector<ColumnRule>& rules,
                                             const std::string& row) {
  std::vector<std::string> all;
  for (const ColumnRule& rule : rules) {
    const std::optional<std::string> sql = spell(*rule.expr, dialect(), over(row));
    if (!sql) {
      return Error{ErrorCode::refused,
                   fmt::format("`{}` ({}) cannot be computed by a trigger without ever failing",
                               rule.column, describe(*rule.expr)),
                   "say `sync: capture`"};
    }
    all.push_back(*sql);
  }
  return all;
}

Result<std::string> match_key(const TableSchema& table, const std::vector<ColumnRule>& rules,
                              const std::string& qualifier, const std::string& row) {
  const std::vector<ColumnRule> keys = key_rules(table, rules);
  ASSIGN_OR_RETURN(const std::vector<std::string> sql, spell_rules(keys, row));
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    // The plus takes the affinity off, so that the key column's own is applied and its index used.
    parts.push_back(fmt::format("{}{} = +({})", qualifier, quote_name(keys[i].column), sql[i]));
  }
  return join(parts, " AND ");
}

std::string link_prefix(const Link& link) {
  return own_name(link.mapping->source.name + "\n" + link.mapping->target.name, "");
}

std::string touched_table(const Link& link) { return link_prefix(link) + "touched"; }
std::string witness_table(const Link& link) { return link_prefix(link) + "witness"; }

namespace {

std::string replaced_table(const Link& link, const char* way) {
  return link_prefix(link) + "replaced_" + way;
}

// The key columns of a table without their types: what is put in stays as it is.
std::string key_ddl(const std::string& name, const TableSchema& table, bool unique) {
  std::vector<std::string> parts;
  for (const std::string& column : table.key) {
    const ColumnSchema& schema =
        table.columns[static_cast<std::size_t>(table.column_index(column))];
    parts.push_back(quote_name(column) +
                    (schema.collation.empty() ? "" : " COLLATE " + quote_name(schema.collation)));
  }
  if (unique) parts.push_back("PRIMARY KEY (" + name_list(table.key) + ")");
  return fmt::format("CREATE TABLE IF NOT EXISTS {} ({})", quote_name(name), join(parts, ", "));
}

}  // namespace

std::vector<std::string> link_tables(const Link& link) {
  return {touched_table(link), replaced_table(link, "forward"), replaced_table(link, "backward"),
          witness_table(link)};
}

std::vector<std::string> link_tables_ddl(const Link& link) {
  const TableSchema& source = link.mapping->source;
  const TableSchema& target = link.mapping->target;
  std::vector<std::string> ddl = {key_ddl(touched_table(link), target, true)};
  if (!in_the_way_of(source, "").empty()) {
    ddl.push_back(key_ddl(replaced_table(link, "forward"), source, false));
  }
  if (!in_the_way_of(target, "").empty()) {
    ddl.push_back(key_ddl(replaced_table(link, "backward"), target, false));
  }
  return ddl;
}

namespace {

// As this column would hold it: a text that looks like a number becomes one in a column of numbers,
// any other stays a text, but not as the number of a row.
std::string stored_in(const TableSchema& table, const ColumnSchema& column,
                      const std::string& sql) {
  const Affinity affinity = affinity_of(column.declared);
  if (affinity == Affinity::blob) return sql;
  if (affinity == Affinity::text) {
    return fmt::format(
        "(SELECT CASE WHEN typeof(x) IN ('integer', 'real') THEN CAST(x AS TEXT) ELSE x END FROM "
        "(SELECT {} AS x))",
        sql);
  }
  const bool is_row_number = has_rowid_alias(table) && table.is_key(column.name);
  const char* as = affinity == Affinity::real ? "REAL" : is_row_number ? "INTEGER" : "NUMERIC";
  return fmt::format(
      "(SELECT CASE WHEN CAST(x AS NUMERIC) = +x THEN CAST(x AS {}) ELSE {} END FROM "
      "(SELECT {} AS x))",
      as, is_row_number ? "NULL" : "x", sql);
}

// Whether the key of a row of the target (\1) is one that the mapping can have made: it leads to a
// key of the source, and from there to itself. "" when keys are copied, or when SQL cannot tell.
std::string key_leads_back(const Mapping& mapping) {
  std::vector<std::string> parts;
  for (const ColumnRule& rule : key_rules(mapping.target, mapping.forward)) {
    if (std::holds_alternative<ColumnRef>(rule.expr->node)) continue;
    bool is_spelled = true;
    const auto from_target = [&](std::string_view column) -> std::string {
      for (const ColumnRule& back : mapping.backward) {
        if (back.column != column) continue;
        const auto sql = whimbrel::spell(*back.expr, dialect(), over("\1"));
        is_spelled = is_spelled && sql.has_value();
        const auto at = static_cast<std::size_t>(back.index);
        return stored_in(mapping.source, mapping.source.columns[at], sql.value_or("NULL"));
      }
      return "NULL";
    };
    const auto there_and_back = whimbrel::spell(*rule.expr, dialect(), from_target);
    if (!there_and_back || !is_spelled) return "";
    parts.push_back(
        fmt::format("\1{} IS ({}) COLLATE BINARY", quote_name(rule.column), *there_and_back));
  }
  return parts.empty() ? std::string() : "(" + join(parts, " AND ") + ")";
}

}  // namespace

Result<std::vector<std::string>> link_triggers(const Link& link) {
  const Mapping& mapping = *link.mapping;
  std::vector<std::string> matches;
  std::vector<std::string> values;
  for (const std::string& column : mapping.target.key) {
    matches.push_back(fmt::format("{0} = \1{0}", quote_name(column)));
    values.push_back("\1" + quote_name(column));
  }
  // No OR IGNORE: an application's own OR clause would take its place.
  const std::string note =
      fmt::format(" INSERT INTO {0} SELECT {1}\2 WHERE NOT EXISTS (SELECT 1 FROM {0} WHERE {2});",
                  quote_name(touched_table(link)), join(values, ", "), join(matches, " AND "));
  const std::string prefix = link_prefix(link);
  const Way forward{mapping.source,
                    mapping.target,
                    mapping.forward,
                    prefix + "forward_",
                    replaced_table(link, "forward"),
                    "",
                    true,
                    ""};
  std::string leads = key_leads_back(mapping);
  const Way backward{mapping.target,
                     mapping.source,
                     mapping.backward,
                     prefix + "backward_",
                     replaced_table(link, "backward"),
                     note,
                     false,
                     std::move(leads)};
  std::vector<std::string> all;
  TRY(forward.spell(all));
  TRY(backward.spell(all));
  return all;
}

}  // namespace whimbrel::sqlite
