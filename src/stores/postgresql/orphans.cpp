#include "stores/postgresql/orphans.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/counted.h"
#include "base/text.h"
#include "stores/postgresql/retype.h"
#include "stores/postgresql/rows.h"
#include "stores/postgresql/types.h"

namespace whimbrel::postgresql {

namespace {

// Which rows are meant is looked for without locking any of them; then those are locked and
// changed. `state`: new, listed, done, back.
constexpr const char* orphans_table_ddl =
    "CREATE TABLE IF NOT EXISTS whimbrel.orphans (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY "
    "KEY, of_table oid NOT NULL, list text NOT NULL, put_right text NOT NULL, bring_back text NOT "
    "NULL, look_back text NOT NULL, record text NOT NULL, state text NOT NULL DEFAULT 'new');\n";

// Rows of another table, or of the table itself, that refer to the row `t` of this one.
struct ReferredBy {
  std::string name;  // as a person reads it
  std::string rows;  // as SQL
};

// How two columns compare, as SQL of both.
using Compare = std::function<std::string(const std::string& column, const std::string& parent)>;

std::string are_equal(const std::string& column, const std::string& parent) {
  return fmt::format("{} = {}", column, parent);
}

// By foreign keys, and by columns without one that the plan names.
Result<std::vector<ReferredBy>> referred_by(Connection& connection, const std::string& oid,
                                            const AssumedKey& key, const Compare& compare) {
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(
          "SELECT n.nspname, c.relname, array(SELECT a.attname FROM unnest(f.conkey) WITH "
          "ORDINALITY k(n, i) JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.n "
          "ORDER BY k.i)::text[], array(SELECT a.attname FROM unnest(f.confkey) WITH ORDINALITY "
          "k(n, i) JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.n ORDER BY "
          "k.i)::text[] FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN "
          "pg_namespace n ON n.oid = c.relnamespace WHERE f.contype = 'f' AND f.conparentid = 0 "
          "AND f.confrelid = $1::oid ORDER BY f.conname",
          {oid}));
  std::vector<ReferredBy> all;
  for (const Cells& row : rows) {
    const TableName name{*row[0], *row[1]};
    const Cells columns = cells_of(*row[2]);
    const Cells parents = cells_of(*row[3]);
    std::vector<std::string> same;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      same.push_back(are_equal("r." + quote_name(*columns[i]), "t." + quote_name(*parents[i])));
    }
    all.push_back({spelled(name),
                   fmt::format("SELECT FROM {} r WHERE {}", quoted(name), join(same, " AND "))});
  }
  for (const ReferringColumn& one : key.referred_by) {
    ASSIGN_OR_RETURN(const Place place, place_of(connection, one.table));
    all.push_back({fmt::format("{}.{}", spelled(place.name), one.column),
                   fmt::format("SELECT FROM {} r WHERE {}", place.sql(),
                               compare("r." + quote_name(one.column),
                                       "t." + quote_name(one.parent_column)))});
  }
  return all;
}

std::string same_key(const TableSchema& table, const std::string& row, const std::string& other) {
  std::vector<std::string> same;
  for (const std::string& column : table.key) {
    same.push_back(fmt::format("{0}.{2} = {1}.{2}", row, other, quote_name(column)));
  }
  return join(same, " AND ");
}

std::string key_list(const TableSchema& table, const std::string& row) {
  std::vector<std::string> all;
  for (const std::string& column : table.key) all.push_back(row + "." + quote_name(column));
  return join(all, ", ");
}

// What the column becomes, as SQL.
Result<std::string> becomes(const AssumedKey& key, const std::string& type) {
  if (key.orphans != Orphans::assign) return "NULL::" + type;
  ASSIGN_OR_RETURN(const Cell cell, cell_of(key.assigned_there));
  return fmt::format("{}::{}", quote_text(cell.value_or("")), type);
}

// Makes a row what the plan wants. The rows of `<record>_list` are locked by then.
Result<std::string> put_right_sql(const std::string& place, const std::string& record,
                                  const TableSchema& table, const AssumedKey& key,
                                  const std::string& type, const std::string& is_orphan) {
  if (key.orphans == Orphans::remove) {
    return fmt::format(
        "WITH gone AS (DELETE FROM {0} t USING {1}_list x WHERE {2} AND {3} RETURNING t.*) INSERT "
        "INTO {1} SELECT * FROM gone",
        place, record, same_key(table, "t", "x"), is_orphan);
  }
  ASSIGN_OR_RETURN(const std::string value, becomes(key, type));
  return fmt::format(
      "INSERT INTO {1} SELECT {4}, t.{5} FROM {0} t JOIN {1}_list x ON {2} WHERE {3}; UPDATE {0} t "
      "SET {5} = {6} FROM {1} x WHERE {2}",
      place, record, same_key(table, "t", "x"), is_orphan, key_list(table, "t"),
      quote_name(key.column), value);
}

// A trigger of the application may keep a row as it is, and says nothing.
std::string must_be_none(const std::string& rows) {
  const std::string message = "a trigger or a rule of the table keeps a row from coming back";
  return fmt::format(
      "DO LANGUAGE plpgsql {}",
      quote_text(fmt::format("BEGIN IF EXISTS ({}) THEN RAISE EXCEPTION USING MESSAGE = {}; END "
                             "IF; END",
                             rows, quote_text(message))));
}

// What brings the rows back, and a look whether it has.
struct WayBack {
  std::string statement;
  std::string look;
};
Result<WayBack> way_back(const std::string& place, const std::string& record,
                         const TableSchema& table, const AssumedKey& key, const std::string& type) {
  const std::string same = same_key(table, "t", "x");
  if (key.orphans == Orphans::remove) {
    std::vector<std::string> columns;
    for (const ColumnSchema& column : table.columns) {
      if (!column.generated) columns.push_back(quote_name(column.name));
    }
    const std::string missing =
        fmt::format("FROM {} x WHERE NOT EXISTS (SELECT FROM {} t WHERE {})", record, place, same);
    return WayBack{fmt::format("INSERT INTO {0} ({1}) OVERRIDING SYSTEM VALUE SELECT {1} {2}",
                               place, join(columns, ", "), missing),
                   must_be_none("SELECT " + missing)};
  }
  ASSIGN_OR_RETURN(const std::string value, becomes(key, type));
  // What it was may be the same, where the row is gone that a plan gives them to.
  const std::string there =
      fmt::format("{0} AND t.{1} IS NOT DISTINCT FROM {2} AND x.whimbrel_was IS DISTINCT FROM {2}",
                  same, quote_name(key.column), value);
  return WayBack{
      fmt::format("UPDATE {0} t SET {2} = x.whimbrel_was FROM {1} x WHERE {3}", place, record,
                  quote_name(key.column), there),
      must_be_none(fmt::format("SELECT FROM {} t JOIN {} x ON {}", place, record, there))};
}

// How a reference and a key compare before they have their new type: two spellings of a UUID are
// one.
std::string compared(const std::string& column, bool may_differ) {
  const std::string text = column + "::text";
  return may_differ ? digits_of(fmt::format("btrim({}, ' ')", text)) : text;
}

const char* what_becomes_of_them(Orphans orphans, bool is_one) {
  switch (orphans) {
    case Orphans::remove:
      return is_one ? "it is deleted" : "they are deleted";
    case Orphans::null:
      return is_one ? "it becomes null" : "they become null";
    case Orphans::assign:
      return is_one ? "it is given to another row" : "they are given to another row";
    case Orphans::fail:
    case Orphans::keep:
    case Orphans::reject:
      break;
  }
  return "";
}

class Review {
 public:
  Review(Connection& connection, const std::string& place, const Mapping& mapping,
         std::vector<Finding>& findings)
      : connection_(connection), place_(place), mapping_(mapping), findings_(findings) {}

  Status look_at(const AssumedKey& key) {
    const auto respelled = std::ranges::find(mapping_.respelled, key.column, &Respelling::column);
    may_differ_ = respelled != mapping_.respelled.end() && respelled->takes_any;
    ASSIGN_OR_RETURN(const Place parent, place_of(connection_, key.parent));
    const auto where = [&](const std::string& text) {
      return fmt::format("EXISTS (SELECT FROM {} p WHERE {} = {})", parent.sql(),
                         compared("p." + quote_name(key.parent_column), may_differ_), text);
    };
    const std::string is_orphan =
        fmt::format("t.{} IS NOT NULL AND NOT {}", quote_name(key.column),
                    where(compared("t." + quote_name(key.column), may_differ_)));
    const std::string orphans = fmt::format("FROM {} t WHERE {}", place_, is_orphan);
    TRY(can_be_done(key, where));
    ASSIGN_OR_RETURN(const auto rows,
                     connection_.query(fmt::format("SELECT count(*), min(t.{}::text) {}",
                                                   quote_name(key.column), orphans)));
    const std::int64_t count = std::stoll(*rows.at(0).at(0));
    if (count == 0) return {};
    if (key.orphans == Orphans::remove) TRY(nothing_refers_to_them(key, orphans));
    if (key.orphans == Orphans::null || key.orphans == Orphans::assign) {
      TRY(they_are_taken(key, is_orphan));
    }
    const bool is_one = count == 1;
    const std::string what =
        fmt::format("{} of {}.{} {} to no row of {}, like {}", rows_text(count),
                    mapping_.source.name, key.column, is_one ? "refers" : "refer", key.parent,
                    show(Value::text(rows[0][1].value_or(""))));
    if (!are_put_right(key)) {
      findings_.push_back({Finding::Weight::refusal, "orphans", what,
                           "correct or delete them, or say what becomes of them: `orphans: keep`, "
                           "`null`, `delete` or {assign: VALUE}"});
    } else {
      findings_.push_back(
          {Finding::Weight::note, "orphans",
           fmt::format("{}: {} after the switch, and a rollback brings {} back", what,
                       what_becomes_of_them(key.orphans, is_one), is_one ? "it" : "them"),
           ""});
    }
    return {};
  }

 private:
  void refuse(const AssumedKey& key, const std::string& why, const std::string& hint) {
    findings_.push_back({Finding::Weight::refusal, "orphans_cannot",
                         fmt::format("{}.{} {}", mapping_.source.name, key.column, why), hint});
  }

  // Whatever there is of them.
  Status can_be_done(const AssumedKey& key, const std::function<std::string(std::string)>& where) {
    if (key.orphans != Orphans::null && key.orphans != Orphans::assign) return {};
    const TableSchema& table = mapping_.source;
    if (table.is_key(key.column)) {
      refuse(key, "is a part of the key: a row that is given another one is another row",
             "say `orphans: delete`, or correct them");
      return {};
    }
    if (key.orphans == Orphans::null) {
      if (!column_of(table, key.column).nullable) {
        refuse(key, "is never null", "say `orphans: delete`, or {assign: VALUE}");
      }
      return {};
    }
    ASSIGN_OR_RETURN(const Cell cell, cell_of(key.assigned));
    const std::string text = quote_text(cell.value_or(""));
    ASSIGN_OR_RETURN(
        const auto there,
        connection_.query("SELECT " + where(may_differ_ ? digits_of(text) : text + "::text")));
    if (there.at(0).at(0) != "t") {
      refuse(
          key,
          fmt::format("cannot refer to {}, which is no row of {}", show(key.assigned), key.parent),
          "name a row that is there");
    }
    const auto has_it = [&](const std::vector<std::string>& unique) {
      return std::ranges::count(unique, key.column) > 0;
    };
    if (std::ranges::any_of(table.uniques, has_it)) {
      refuse(key, "is unique, by itself or with others: rows could not refer to the same",
             "say `orphans: null` or `delete`");
    }
    return {};
  }

  // Checks, and unique indexes over some rows, an expression or nulls, may refuse them afterwards:
  // they go into a temporary table, with the other rows where those matter.
  Status they_are_taken(const AssumedKey& key, const std::string& is_orphan) {
    constexpr const char* tried = "pg_temp.whimbrel_orphans";
    const TableSchema& table = mapping_.source;
    ASSIGN_OR_RETURN(const Place place, place_of(connection_, table.name));
    ASSIGN_OR_RETURN(
        const auto uniques,
        connection_.query(
            "SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_attribute a ON "
            "a.attrelid = i.indrelid AND a.attname = $2 WHERE i.indrelid = $1::oid AND "
            "i.indisunique AND i.indisvalid AND (i.indpred IS NOT NULL OR i.indexprs IS NOT NULL "
            "OR to_jsonb(i)->>'indnullsnotdistinct' = 'true') AND (a.attnum = ANY (i.indkey) OR "
            "EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = "
            "i.indexrelid AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))",
            {place.oid, key.column}));
    std::string made = fmt::format(
        "CREATE TEMPORARY TABLE whimbrel_orphans (LIKE {} INCLUDING CONSTRAINTS INCLUDING "
        "GENERATED)",
        place_);
    for (const Cells& row : uniques) {
      if (const auto ddl = index_for(*row[0], place.name, tried)) made += "; " + *ddl;
    }
    std::string value = "NULL";
    if (key.orphans == Orphans::assign) {
      ASSIGN_OR_RETURN(const Cell cell, cell_of(key.assigned));
      value = quote_text(cell.value_or(""));
    }
    std::vector<std::string> columns;
    std::vector<std::string> values;
    for (const ColumnSchema& column : table.columns) {
      if (column.generated) continue;
      const std::string name = quote_name(column.name);
      columns.push_back(name);
      values.push_back(column.name != key.column
                           ? "t." + name
                           : fmt::format("CASE WHEN {} THEN {}::{} ELSE t.{} END", is_orphan, value,
                                         column.declared, name));
    }
    ASSIGN_OR_RETURN(const Transaction transaction, Transaction::begin(connection_));
    Status taken = connection_.execute(made);
    if (!taken.ok() && connection_.sqlstate() == "42501") return {};
    TRY(taken);
    taken = connection_.execute(fmt::format("INSERT INTO {} ({}) SELECT {} FROM {} t WHERE {}",
                                            tried, join(columns, ", "), join(values, ", "), place_,
                                            uniques.empty() ? is_orphan : "true"));
    if (taken.ok() || !connection_.refuses_a_value()) return taken;
    std::string said = taken.error().message;
    const std::string_view own = "new row for relation \"whimbrel_orphans\" ";
    if (const std::size_t at = said.find(own); at != std::string::npos) said.erase(at, own.size());
    refuse(key, "cannot become what `orphans:` says: " + said,
           "say something else, or correct the constraint");
    return {};
  }

  Status nothing_refers_to_them(const AssumedKey& key, const std::string& orphans) {
    ASSIGN_OR_RETURN(const Place place, place_of(connection_, mapping_.source.name));
    const auto compare = [&](const std::string& column, const std::string& parent) {
      return are_equal(compared(column, may_differ_), compared(parent, may_differ_));
    };
    ASSIGN_OR_RETURN(const auto keys, referred_by(connection_, place.oid, key, compare));
    for (const ReferredBy& one : keys) {
      ASSIGN_OR_RETURN(
          const auto rows,
          connection_.query(fmt::format("SELECT count(*) {} AND EXISTS ({})", orphans, one.rows)));
      const std::int64_t count = std::stoll(*rows.at(0).at(0));
      if (count == 0) continue;
      refuse(key,
             fmt::format("refers to nothing in {} that {} refers to: they cannot be deleted",
                         rows_text(count), one.name),
             "delete what refers to them first, or say `orphans: null`");
    }
    return {};
  }

  Connection& connection_;
  const std::string& place_;
  const Mapping& mapping_;
  std::vector<Finding>& findings_;
  bool may_differ_ = false;
};

// Names in triggers of the application mean what they mean to it.
Result<Transaction> begin_as_application(Connection& connection) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(connection));
  TRY(connection.query("SELECT set_config('search_path', $1, true)", {connection.search_path()}));
  return transaction;
}

}  // namespace

std::string digits_of(const std::string& text) {
  return fmt::format("lower(translate({}, '{{}}-', ''))", text);
}

bool are_put_right(const AssumedKey& key) {
  return key.orphans == Orphans::null || key.orphans == Orphans::remove ||
         key.orphans == Orphans::assign;
}

Result<std::string> orphans_ddl(Connection& connection, const std::string& oid,
                                const TableSchema& table, const AssumedKey& key,
                                const std::string& type) {
  ASSIGN_OR_RETURN(const Place here, place_of(connection, table.name));
  ASSIGN_OR_RETURN(const Place parent, place_of(connection, key.parent));
  const std::string place = here.sql();
  const std::string record = "whimbrel.orphans_" + short_digest(place + "." + key.column);
  std::string is_orphan =
      fmt::format("t.{0} IS NOT NULL AND NOT EXISTS (SELECT FROM {1} p WHERE p.{2} = t.{0})",
                  quote_name(key.column), parent.sql(), quote_name(key.parent_column));
  const bool goes = key.orphans == Orphans::remove;
  if (goes) {
    // What would go along with it, be refused, or refer to nothing itself.
    ASSIGN_OR_RETURN(const auto keys, referred_by(connection, oid, key, are_equal));
    for (const ReferredBy& one : keys) is_orphan += fmt::format(" AND NOT EXISTS ({})", one.rows);
  }
  const std::string list = fmt::format(
      "CREATE TABLE {1}_list AS SELECT {2} FROM {0} t WHERE {3}; CREATE TABLE {1} AS SELECT {4} "
      "FROM {0} t WITH NO DATA",
      place, record, key_list(table, "t"), is_orphan,
      goes ? "t.*"
           : fmt::format("{}, t.{} AS whimbrel_was", key_list(table, "t"), quote_name(key.column)));
  ASSIGN_OR_RETURN(const std::string put_right,
                   put_right_sql(place, record, table, key, type, is_orphan));
  ASSIGN_OR_RETURN(const WayBack back, way_back(place, record, table, key, type));
  const std::string lock = fmt::format("PERFORM FROM {} t JOIN {}_list x ON {} FOR UPDATE OF t",
                                       place, record, same_key(table, "t", "x"));
  return fmt::format(
      "{}INSERT INTO whimbrel.orphans (of_table, list, put_right, bring_back, look_back, record) "
      "VALUES ({}, {}, {}, {}, {}, {});\n",
      orphans_table_ddl, oid, quote_text(list),
      quote_text(fmt::format("DO LANGUAGE plpgsql {}; {}; DROP TABLE {}_list",
                             quote_text("BEGIN " + lock + "; END"), put_right, record)),
      quote_text(back.statement), quote_text(back.look), quote_text(record));
}

namespace {
// What was noted down for these tables, as far as `which` holds; nothing where none was.
Result<std::vector<Cells>> noted_of(Connection& connection, const std::vector<std::string>& oids,
                                    const std::string& columns, const std::string& which) {
  ASSIGN_OR_RETURN(const bool any, has_own(connection, "orphans"));
  if (!any) return std::vector<Cells>();
  return connection.query(
      fmt::format("SELECT {} FROM whimbrel.orphans WHERE of_table = ANY ($1::oid[]) AND {}",
                  columns, which),
      {array_of(Cells(oids.begin(), oids.end()))});
}

Result<std::int64_t> count_rows(Connection& connection, const std::string& table) {
  ASSIGN_OR_RETURN(const auto rows, connection.query("SELECT count(*) FROM " + table));
  return std::int64_t{std::stoll(*rows.at(0).at(0))};
}
}  // namespace

Result<std::int64_t> put_orphans_right(Connection& connection,
                                       const std::vector<std::string>& oids) {
  std::int64_t changed = 0;
  ASSIGN_OR_RETURN(const auto rows, noted_of(connection, oids, "id, state, list, put_right, record",
                                             "state IN ('new', 'listed') ORDER BY id"));
  const auto step = [&](const Cell& id, const std::string& sql,
                        const std::string& state) -> Status {
    ASSIGN_OR_RETURN(Transaction transaction, begin_as_application(connection));
    TRY(connection.execute(sql));
    TRY(connection.run("UPDATE whimbrel.orphans SET state = $2 WHERE id = $1::bigint",
                       {id, state}));
    return transaction.commit();
  };
  for (const Cells& row : rows) {
    if (row[1] == "new") TRY(step(row[0], *row[2], "listed"));
    TRY(step(row[0], *row[3], "done"));
    ASSIGN_OR_RETURN(const std::int64_t rows_of_one, count_rows(connection, *row[4]));
    changed += rows_of_one;
  }
  return changed;
}

namespace {

// Rows that were away while a row was deleted that they refer to by a foreign key with CASCADE
// would have gone with it. Only keys that all rows had to meet.
Result<std::int64_t> take_what_would_have_gone(Connection& connection, const std::string& oid) {
  ASSIGN_OR_RETURN(const bool any, has_own(connection, "to_settle"));
  const std::string is_to_be_proven =
      any ? " OR EXISTS (SELECT FROM whimbrel.to_settle s WHERE s.statement LIKE 'ALTER TABLE % "
            "VALIDATE CONSTRAINT %' AND to_regclass(substring(s.statement FROM '^ALTER TABLE (.*) "
            "VALIDATE CONSTRAINT \"')) = k.conrelid AND right(s.statement, length(k.conname) + 2) "
            "= "
            "'\"' || k.conname || '\"')"
          : "";
  ASSIGN_OR_RETURN(
      const auto statements,
      connection.query(
          "SELECT format('DELETE FROM %s t WHERE %s AND NOT EXISTS (SELECT FROM %s p WHERE %s)', "
          "k.conrelid::regclass, string_agg(format('t.%I IS NOT NULL', a.attname), ' AND '), "
          "k.confrelid::regclass, string_agg(format('p.%I = t.%I', b.attname, a.attname), ' AND "
          "')) FROM pg_constraint k CROSS JOIN LATERAL unnest(k.conkey, k.confkey) u(here, there) "
          "JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.here JOIN pg_attribute "
          "b ON b.attrelid = k.confrelid AND b.attnum = u.there WHERE k.contype = 'f' AND "
          "k.confdeltype = 'c' AND k.conparentid = 0 AND k.conrelid = "
          // They are brought back where the application looks.
          "coalesce((SELECT target_oid FROM whimbrel.retyped WHERE source_oid = $1::oid AND "
          "swapped), $1::oid) AND (k.convalidated" +
              is_to_be_proven + ") GROUP BY k.oid",
          {oid}));
  std::int64_t gone = 0;
  for (const Cells& row : statements) {
    ASSIGN_OR_RETURN(const std::int64_t rows, connection.run(*row[0]));
    gone += rows;
  }
  return gone;
}

}  // namespace

Result<std::int64_t> bring_orphans_back(Connection& connection, Sessions& sessions,
                                        const std::vector<std::string>& oids) {
  std::int64_t changed = 0;
  ASSIGN_OR_RETURN(const auto rows,
                   noted_of(connection, oids, "id, state, bring_back, record, look_back, of_table",
                            "state <> 'back' ORDER BY id DESC"));
  for (const Cells& row : rows) {
    ASSIGN_OR_RETURN(Transaction transaction, begin_as_application(connection));
    // A trigger of the application would do once more what it has done long ago; ours note it.
    if (sessions.may_write_as_replica()) {
      TRY(connection.execute("SET LOCAL session_replication_role = replica"));
    }
    std::int64_t back = 0;
    if (row[1] == "done") {
      ASSIGN_OR_RETURN(back, connection.run(*row[2]));
      TRY(connection.execute(*row[4]));
      ASSIGN_OR_RETURN(const std::int64_t gone, take_what_would_have_gone(connection, *row[5]));
      back -= gone;
    }
    TRY(connection.execute(fmt::format("DROP TABLE IF EXISTS {0}, {0}_list", *row[3])));
    TRY(connection.run("UPDATE whimbrel.orphans SET state = 'back' WHERE id = $1::bigint",
                       {row[0]}));
    TRY(transaction.commit());
    changed += back;
  }
  return changed;
}

Status forget_orphans(Connection& connection, const std::string& oid) {
  ASSIGN_OR_RETURN(const bool any, has_own(connection, "orphans"));
  if (!any) return {};
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query("DELETE FROM whimbrel.orphans WHERE of_table = $1::oid RETURNING record",
                       {oid}));
  for (const Cells& row : rows) {
    TRY(connection.execute(fmt::format("DROP TABLE IF EXISTS {0}, {0}_list", *row[0])));
  }
  return {};
}

Status review_orphans(Connection& connection, const std::string& place, const Mapping& mapping,
                      std::vector<Finding>& findings) {
  Review review(connection, place, mapping, findings);
  for (const AssumedKey& key : mapping.source.assumed_keys) TRY(review.look_at(key));
  return {};
}

}  // namespace whimbrel::postgresql
