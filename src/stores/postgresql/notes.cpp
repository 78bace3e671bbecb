#include "stores/postgresql/notes.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "stores/postgresql/names.h"
#include "stores/postgresql/rows.h"
#include "stores/postgresql/schema.h"
#include "stores/postgresql/types.h"

namespace whimbrel::postgresql {

namespace {

std::string log_name(const std::string& feed) { return "log_" + short_digest(feed); }
std::string log_of(const std::string& feed) { return "whimbrel." + log_name(feed); }
std::string trigger_name(const std::string& feed) { return "whimbrel_note_" + short_digest(feed); }
std::string function_name(const std::string& feed, const std::string& table) {
  return "whimbrel.note_" + short_digest(feed + '\n' + table);
}

// Whether the text of such a value depends on settings of the session that writes it.
bool depends_on_settings(const TableSchema& table) {
  return std::ranges::any_of(table.key, [&](const std::string& name) {
    const auto at = static_cast<std::size_t>(table.column_index(name));
    switch (type_of(table.columns[at].declared).is) {
      case TypeClass::boolean:
      case TypeClass::int2:
      case TypeClass::int4:
      case TypeClass::int8:
      case TypeClass::numeric:
      case TypeClass::text:
      case TypeClass::varchar:
      case TypeClass::bpchar:
      case TypeClass::uuid:
        return false;
      default:
        return true;
    }
  });
}

// A note of a table's own name: the function is made for one table.
std::string note(const std::string& feed, const TableSchema& table, const std::string& removed,
                 const std::string& key) {
  return fmt::format(
      "INSERT INTO {} (of_table, removed, own, key) VALUES ({}, {}, "
      "pg_catalog.current_setting('whimbrel.own', true) IS NOT DISTINCT FROM 'on', {});",
      log_of(feed), quote_text(table.name), removed, key);
}

// Whoever writes needs no right on our schema: the function has its owner's.
std::string function_ddl(const std::string& feed, const TableSchema& table) {
  const std::string settings =
      depends_on_settings(table)
          ? " SET TimeZone = 'UTC' SET DateStyle = 'ISO, MDY' SET IntervalStyle = 'postgres'"
            " SET extra_float_digits = 1 SET bytea_output = 'hex'"
          : "";
  const std::string old_key = key_array(table, "OLD");
  const std::string new_key = key_array(table, "NEW");
  // TRUNCATE happens to a table under whatever name it has then, and to all of a partitioned one.
  std::string keys;  // for format(), where a percent sign means something
  for (const char c : quote_text(table.name) + ", true, false, " + key_array(table, "t")) {
    keys += c;
    if (c == '%') keys += c;
  }
  const std::string emptied = fmt::format(
      "INSERT INTO {} (of_table, removed, own, key) SELECT {} FROM %s %I.%I t", log_of(feed), keys);
  const std::string sql = fmt::format(
      "BEGIN "
      "IF TG_OP = 'TRUNCATE' THEN EXECUTE pg_catalog.format({0}, (SELECT CASE relkind WHEN 'p' "
      "THEN '' ELSE 'ONLY' END FROM pg_catalog.pg_class WHERE oid = TG_RELID), TG_TABLE_SCHEMA, "
      "TG_TABLE_NAME); RETURN NULL; END IF; "
      "IF TG_OP = 'DELETE' THEN {1} RETURN NULL; END IF; "
      "IF TG_OP = 'UPDATE' THEN IF {2} IS DISTINCT FROM {3} THEN {1} END IF; END IF; "
      "{4} RETURN NULL; END",
      quote_text(emptied), note(feed, table, "true", old_key), old_key, new_key,
      note(feed, table, "false", new_key));
  return fmt::format(
      "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
      "SET search_path = pg_catalog, pg_temp{} AS {}",
      function_name(feed, table.name), settings, quote_text(sql));
}

// "A;B;xid;seq": a window between two snapshots and how far it was read; or "A" alone.
struct Position {
  std::string from;
  std::string to;  // "" when no window is open
  std::string xid = "0";
  std::string seq = "0";
};
Position position_of(const std::string& text) {
  if (text.empty() || text == "0") return {first_position, "", "0", "0"};
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ';') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  if (parts.size() < 4) return {parts[0], "", "0", "0"};
  return {parts[0], parts[1], parts[2], parts[3]};
}

}  // namespace

Result<bool> has_log(Connection& connection, const std::string& feed) {
  return has_own(connection, log_name(feed));
}

// In the database's own tablespace: where the notes have no room, the application cannot write.
Status make_log(Connection& connection, const std::string& feed) {
  return connection.execute(fmt::format(
      "SELECT set_config('default_tablespace', '', true); CREATE SCHEMA IF NOT EXISTS whimbrel; "
      "CREATE TABLE IF NOT EXISTS {0} (xid xid8 NOT NULL DEFAULT pg_current_xact_id(), "
      "seq bigint GENERATED ALWAYS AS IDENTITY, of_table text NOT NULL, removed boolean NOT NULL, "
      "own boolean NOT NULL, key text[] NOT NULL); "
      "CREATE INDEX IF NOT EXISTS log_{1}_read ON {0} (xid, seq)",
      log_of(feed), short_digest(feed)));
}

Status make_trigger(Connection& connection, const std::string& feed, const TableSchema& table) {
  ASSIGN_OR_RETURN(const Place place, place_of(connection, table.name));
  ASSIGN_OR_RETURN(const bool there, has_trigger(connection, feed, place.oid));
  if (there) return {};
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(connection));
  const std::string name = trigger_name(feed);
  TRY(connection.execute(function_ddl(feed, table)));
  // By this name whoever reads the notes finds the table again.
  TRY(connection.execute(fmt::format("COMMENT ON FUNCTION {}() IS {}",
                                     function_name(feed, table.name), quote_text(table.name))));
  // ALWAYS: also for whoever writes as a replica does.
  TRY(connection.execute(fmt::format(
      "DROP TRIGGER IF EXISTS {0} ON {1}; DROP TRIGGER IF EXISTS {0}_all ON {1}; "
      "CREATE TRIGGER {0} AFTER INSERT OR UPDATE OR DELETE ON {1} FOR EACH ROW EXECUTE FUNCTION "
      "{2}(); CREATE TRIGGER {0}_all BEFORE TRUNCATE ON {1} FOR EACH STATEMENT EXECUTE FUNCTION "
      "{2}(); ALTER TABLE {1} ENABLE ALWAYS TRIGGER {0}; ALTER TABLE {1} ENABLE ALWAYS TRIGGER "
      "{0}_all",
      name, place.sql(), function_name(feed, table.name))));
  TRY(transaction.commit());
  return watch_partitions(connection, feed, table);
}

Status note_rows(Connection& connection, const std::string& feed, const TableSchema& table,
                 const std::string& partition) {
  return connection.execute(fmt::format(
      "INSERT INTO {} (of_table, removed, own, key) SELECT {}, false, false, {} FROM {} "
      "t",
      log_of(feed), quote_text(table.name), key_array(table, "t"), partition));
}

Status watch_partitions(Connection& connection, const std::string& feed, const TableSchema& table) {
  if (table.partitioned_by.empty()) return {};
  ASSIGN_OR_RETURN(const Place place, place_of(connection, table.name));
  const std::string name = trigger_name(feed) + "_part";
  ASSIGN_OR_RETURN(const auto rows,
                   connection.query("SELECT relid::regclass FROM pg_partition_tree($1::oid::"
                                    "regclass) WHERE level > 0 AND NOT EXISTS (SELECT FROM "
                                    "pg_trigger WHERE tgrelid = relid AND tgname = $2::text AND "
                                    "tgenabled = 'A') ORDER BY level, relid",
                                    {place.oid, name}));
  for (const Cells& row : rows) {
    TRY(connection.execute(fmt::format(
        "DROP TRIGGER IF EXISTS {0} ON {1}; CREATE TRIGGER {0} BEFORE TRUNCATE ON {1} FOR EACH "
        "STATEMENT EXECUTE FUNCTION {2}(); ALTER "
        "TABLE {1} ENABLE ALWAYS TRIGGER {0}",
        name, *row[0], function_name(feed, table.name))));
  }
  return {};
}

Status drop_trigger(Connection& connection, const std::string& feed, const std::string& oid) {
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(
          "SELECT format('DROP TRIGGER %I ON %I.%I', t.tgname, n.nspname, c.relname), "
          "format('DROP FUNCTION IF EXISTS %s', t.tgfoid::regprocedure) "
          "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n "
          "ON n.oid = c.relnamespace WHERE t.tgrelid = $1::oid AND t.tgname IN ($2::text, "
          "$2 || '_all') UNION ALL SELECT format('DROP TRIGGER %I ON %s', t.tgname, "
          "t.tgrelid::regclass), format('DROP FUNCTION IF EXISTS %s', t.tgfoid::regprocedure) FROM "
          "pg_trigger t WHERE t.tgname = $2 || '_part' AND t.tgfoid IN (SELECT tgfoid FROM "
          "pg_trigger WHERE tgrelid = $1::oid AND tgname IN ($2::text, $2 || '_all'))",
          {oid, trigger_name(feed)}));
  if (rows.empty()) return {};
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(connection));
  for (const Cells& row : rows) TRY(connection.execute(*row[0]));
  TRY(connection.execute(*rows[0][1]));
  return transaction.commit();
}

Status drop_log(Connection& connection, const std::string& feed) {
  return connection.execute("DROP TABLE IF EXISTS " + log_of(feed));
}

Result<bool> has_trigger(Connection& connection, const std::string& feed, const std::string& oid) {
  // Somebody may have disabled them on a partition only.
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query("SELECT count(*) FILTER (WHERE tgrelid = $1::oid AND tgname IN ($2::text, "
                       "$2::text || '_all') AND tgenabled = 'A'), count(*) FILTER (WHERE tgenabled "
                       "<> 'A') FROM pg_trigger WHERE tgname IN ($2::text, $2::text || '_all', "
                       "$2::text || '_part') AND (tgrelid = $1::oid OR tgrelid IN (SELECT relid "
                       "FROM pg_partition_tree($1::oid::regclass)))",
                       {oid, trigger_name(feed)}));
  return rows.at(0).at(0) == "2" && rows[0][1] == "0";
}

Result<std::vector<std::string>> watched_by(Connection& connection, const std::string& feed) {
  ASSIGN_OR_RETURN(const auto rows,
                   connection.query("SELECT DISTINCT tgrelid FROM pg_trigger WHERE tgname IN "
                                    "($1::text, $1::text || '_all') AND tgparentid = 0",
                                    {trigger_name(feed)}));
  std::vector<std::string> oids;
  for (const Cells& row : rows) oids.push_back(*row[0]);
  return oids;
}

Result<std::vector<TableSchema>> tables_noted(Connection& connection, const std::string& feed) {
  ASSIGN_OR_RETURN(const auto rows,
                   connection.query("SELECT DISTINCT obj_description(tgfoid, 'pg_proc') FROM "
                                    "pg_trigger WHERE tgname = $1::text",
                                    {trigger_name(feed)}));
  std::vector<TableSchema> tables;
  for (const Cells& row : rows) {
    ASSIGN_OR_RETURN(TableSchema table, describe(connection, row[0].value_or("")));
    tables.push_back(std::move(table));
  }
  return tables;
}

Result<ChangeBatch> read_notes(Connection& connection, const std::string& feed,
                               const std::string& position, std::int64_t changes_max,
                               const std::vector<TableSchema>& tables) {
  Position at = position_of(position);
  ASSIGN_OR_RETURN(const bool there, has_log(connection, feed));
  if (!there) return Error{ErrorCode::position_lost, "the notes of " + feed + " are gone"};
  ChangeBatch batch;
  // A window that an earlier call has opened first, then what came since.
  while (true) {
    const bool opens = at.to.empty();
    if (opens) {
      ASSIGN_OR_RETURN(const auto now, connection.query("SELECT pg_current_snapshot()"));
      at.to = *now.at(0).at(0);
    }
    const std::int64_t wanted = changes_max - std::ssize(batch.changes);
    ASSIGN_OR_RETURN(
        const auto rows,
        connection.query(
            fmt::format("SELECT xid, seq, of_table, removed, own, key FROM {} WHERE "
                        "xid >= pg_snapshot_xmin($1::pg_snapshot) AND "
                        "(xid, seq) > ($3::text::xid8, $4::bigint) AND "
                        "NOT pg_visible_in_snapshot(xid, $1::pg_snapshot) AND "
                        "pg_visible_in_snapshot(xid, $2::pg_snapshot) ORDER BY xid, seq LIMIT {}",
                        log_of(feed), wanted),
            {at.from, at.to, at.xid, at.seq}));
    for (const Cells& row : rows) {
      const auto table = std::ranges::find(tables, *row[2], &TableSchema::name);
      at.xid = *row[0];
      at.seq = *row[1];
      if (table == tables.end()) continue;
      KeyChange change{*row[2], {}, row[4] == "t", row[3] == "t"};
      const Cells key = cells_of(*row[5]);
      for (std::size_t i = 0; i < table->key.size(); ++i) {
        const auto column = static_cast<std::size_t>(table->column_index(table->key[i]));
        change.key.push_back(value_of(type_of(table->columns[column].declared), key.at(i)));
      }
      batch.changes.push_back(std::move(change));
    }
    if (std::ssize(rows) == wanted) {
      batch.position = join({at.from, at.to, at.xid, at.seq}, ";");
      return batch;
    }
    at = {at.to, "", "0", "0"};
    if (!opens) continue;
    batch.at_end = true;
    batch.position = at.from;
    return batch;
  }
}

Result<std::int64_t> notes_waiting(Connection& connection, const std::string& feed,
                                   const std::string& position) {
  const Position at = position_of(position);
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(
          fmt::format("SELECT count(*) FROM {} WHERE xid >= pg_snapshot_xmin($1::pg_snapshot) AND "
                      "NOT pg_visible_in_snapshot(xid, $1::pg_snapshot) AND NOT "
                      "(pg_visible_in_snapshot(xid, $2::pg_snapshot) AND (xid, seq) <= "
                      "($3::text::xid8, $4::bigint))",
                      log_of(feed)),
          {at.from, at.to.empty() ? at.from : at.to, at.xid, at.seq}));
  return std::int64_t{std::stoll(*rows.at(0).at(0))};
}

}  // namespace whimbrel::postgresql
