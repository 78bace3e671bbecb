// Feeds: triggers that append the key of every row the application writes. And holds: triggers
// that refuse its writes until a deadline which they carry themselves.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "base/text.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/objects.h"
#include "stores/sqlite/schema.h"
#include "stores/sqlite/sqlite_store.h"
#include "stores/sqlite/unique_index.h"

namespace whimbrel {

using namespace sqlite;  // NOLINT: this is the store's own namespace

namespace {

std::string log_name(const std::string& feed) { return own_name("feed " + feed, "log"); }
std::string witness_name(const std::string& feed) { return own_name("feed " + feed, "witness"); }
std::string feed_prefix(const std::string& feed) { return own_name("feed " + feed, ""); }
std::string hold_prefix(const std::string& table) { return own_name("hold " + table, ""); }

constexpr const char* holds_table = "whimbrel_holds";
constexpr const char* now_in_sql = "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)";

std::int64_t to_number(const std::string& text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// The log of a feed has room for the widest key of its tables.
std::vector<std::string> key_columns(std::size_t width) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < width; ++i) names.push_back(fmt::format("k{}", i + 1));
  return names;
}

std::string append_sql(const std::string& log, const TableSchema& table, const char* row,
                       int removed) {
  std::vector<std::string> values;
  for (const std::string& column : table.key) values.push_back(row + quote_name(column));
  return fmt::format("INSERT INTO {} (of, removed, {}) VALUES ({}, {}, {});", quote_name(log),
                     join(key_columns(table.key.size()), ", "),
                     *dialect().literal(Value::text(table.name)), removed, join(values, ", "));
}

// Rows that stand in the way by another unique index: OR REPLACE removes them, and fires no trigger
// for it unless the connection wants recursive triggers. They are told of before; whether they are
// gone is seen when their keys are read.
std::string append_replaced_sql(const std::string& log, const TableSchema& table) {
  std::string sql;
  for (const std::string& in_the_way : in_the_way_of(table, "NEW.")) {
    sql += fmt::format("INSERT INTO {} (of, removed, {}) SELECT {}, 0, {} FROM {} AS t WHERE {};",
                       quote_name(log), join(key_columns(table.key.size()), ", "),
                       *dialect().literal(Value::text(table.name)), name_list(table.key),
                       quote_name(table.name), in_the_way);
  }
  return sql;
}

std::string feed_trigger(const std::string& feed, const TableSchema& table,
                         const std::string& kind) {
  return feed_prefix(feed) + digest_hex(table.name).substr(0, 8) + kind;
}

std::vector<std::string> feed_kinds(const TableSchema& table) {
  if (in_the_way_of(table, "NEW.").empty()) return {"i", "d", "u", "k"};
  return {"i", "d", "u", "k", "ri", "ru"};
}

Status make_feed_triggers(Connection& connection, const std::string& feed,
                          const TableSchema& table) {
  const std::string log = log_name(feed);
  std::vector<std::string> differs;
  for (const std::string& column : table.key) {
    differs.push_back(
        fmt::format("OLD.{0} IS NOT NEW.{0} COLLATE BINARY OR typeof(OLD.{0}) <> typeof(NEW.{0})",
                    quote_name(column)));
  }
  const auto make = [&](const std::string& kind, const std::string& event, const std::string& when,
                        const std::string& body) {
    return connection.execute(
        fmt::format("CREATE TRIGGER IF NOT EXISTS {} {} ON {} WHEN {}{} BEGIN {} END",
                    quote_name(feed_trigger(feed, table, kind)), event, quote_name(table.name),
                    guard_is_off, when, body));
  };
  TRY(make("i", "AFTER INSERT", "", append_sql(log, table, "NEW.", 0)));
  TRY(make("d", "AFTER DELETE", "", append_sql(log, table, "OLD.", 1)));
  TRY(make("u", "AFTER UPDATE", "", append_sql(log, table, "NEW.", 0)));
  if (const std::string places = unique_columns(table); !places.empty()) {
    const std::string update = "BEFORE UPDATE OF " + places;
    TRY(make("ri", "BEFORE INSERT", "", append_replaced_sql(log, table)));
    TRY(make("ru", update, "", append_replaced_sql(log, table)));
  }
  return make("k", "AFTER UPDATE", " AND (" + join(differs, " OR ") + ")",
              append_sql(log, table, "OLD.", 1));
}

}  // namespace

Result<std::string> SqliteStore::start(const std::string& feed,
                                       const std::vector<std::string>& tables) {
  TRY(in_transaction([&](Connection& connection) -> Status {
    TRY(make_guard(connection));
    std::vector<TableSchema> schemas;
    std::size_t width = 1;
    for (const std::string& name : tables) {
      ASSIGN_OR_RETURN(TableSchema schema, sqlite::describe(connection, name));
      width = std::max(width, schema.key.size());
      schemas.push_back(std::move(schema));
    }
    TRY(connection.execute(
        fmt::format("CREATE TABLE IF NOT EXISTS {} (seq INTEGER PRIMARY KEY, of TEXT NOT NULL,"
                    " removed INTEGER NOT NULL, {})",
                    quote_name(log_name(feed)), join(key_columns(width), ", "))));
    for (const TableSchema& schema : schemas) TRY(make_feed_triggers(connection, feed, schema));
    const auto is_numbered = [](const TableSchema& table) { return !table.row_number().empty(); };
    if (std::ranges::any_of(schemas, is_numbered)) {
      TRY(make_witness(connection, witness_name(feed)));
    }
    return {};
  }));
  return std::string("0");
}

Result<bool> SqliteStore::feed_is_whole(const std::string& feed,
                                        const std::vector<std::string>& tables) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  ASSIGN_OR_RETURN(bool whole, object_exists(*connection, "table", log_name(feed)));
  for (const std::string& name : tables) {
    const Result<TableSchema> described = sqlite::describe(*connection, name);
    if (!described.ok() && described.error().code == ErrorCode::not_found) return false;
    ASSIGN_OR_RETURN(const TableSchema table, described);
    if (!table.row_number().empty()) {
      ASSIGN_OR_RETURN(const bool stands, witness_stands(*connection, witness_name(feed)));
      whole = whole && stands;
    }
    for (const std::string& kind : feed_kinds(table)) {
      ASSIGN_OR_RETURN(const bool there,
                       object_exists(*connection, "trigger", feed_trigger(feed, table, kind)));
      whole = whole && there;
    }
  }
  return whole;
}

Status SqliteStore::stop(const std::string& feed) {
  return in_transaction([&](Connection& connection) -> Status {
    TRY(drop_triggers(connection, feed_prefix(feed)));
    for (const std::string& name : {log_name(feed), witness_name(feed)}) {
      TRY(connection.execute("DROP TABLE IF EXISTS " + quote_name(name)));
    }
    return drop_guard_if_unused(connection);
  });
}

// One writer at a time, and nothing is deleted from a log: the sequence is the order of commits.
Result<ChangeBatch> SqliteStore::read(const std::string& feed, const std::string& position,
                                      std::int64_t changes_max) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  ASSIGN_OR_RETURN(const bool there, object_exists(*connection, "table", log_name(feed)));
  if (!there) return Error{ErrorCode::position_lost, "the change log " + feed + " is gone"};
  ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      connection->query(fmt::format("SELECT * FROM {} WHERE seq > ?1 ORDER BY seq LIMIT ?2",
                                    quote_name(log_name(feed))),
                        {Value::integer(to_number(position)), Value::integer(changes_max)}));
  ChangeBatch batch;
  batch.position = position;
  std::map<std::string, std::size_t> widths;
  for (const Row& row : rows) {
    KeyChange change;
    change.table = row[1].get<std::string>();
    change.removed = row[2].get<std::int64_t>() != 0;
    if (!widths.contains(change.table)) {
      const Result<TableSchema> schema = sqlite::describe(*connection, change.table);
      const bool is_gone = !schema.ok() && schema.error().code == ErrorCode::not_found;
      if (!schema.ok() && !is_gone) return schema.error();
      // How wide its key was nobody knows any more; it still tells how many rows were written.
      widths[change.table] = is_gone ? row.size() - 3 : schema.value().key.size();
    }
    change.key.assign(row.begin() + 3,
                      row.begin() + 3 + static_cast<std::ptrdiff_t>(widths[change.table]));
    batch.position = fmt::format("{}", row[0].get<std::int64_t>());
    batch.changes.push_back(std::move(change));
  }
  batch.at_end = std::ssize(rows) < changes_max;
  return batch;
}

Result<std::int64_t> SqliteStore::waiting(const std::string& feed, const std::string& position) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  ASSIGN_OR_RETURN(const bool there, object_exists(*connection, "table", log_name(feed)));
  if (!there) return Error{ErrorCode::position_lost, "the change log " + feed + " is gone"};
  ASSIGN_OR_RETURN(const auto rows,
                   connection->query(fmt::format("SELECT count(*) FROM {} WHERE seq > ?1",
                                                 quote_name(log_name(feed))),
                                     {Value::integer(to_number(position))}));
  return rows.at(0).at(0).get<std::int64_t>();
}

Status SqliteStore::hold(const std::vector<std::string>& tables, TimePoint until) {
  return in_transaction([&](Connection& connection) -> Status {
    TRY(make_guard(connection));
    TRY(connection.execute(
        fmt::format("CREATE TABLE IF NOT EXISTS {} (name TEXT PRIMARY KEY, until INTEGER NOT NULL)",
                    holds_table)));
    ASSIGN_OR_RETURN(const std::vector<Row> clock,
                     connection.query(fmt::format("SELECT {}", now_in_sql), {}));
    const auto now = clock.at(0).at(0).get<std::int64_t>();
    const std::int64_t length = std::max<std::int64_t>(until.time_since_epoch().count() - now, 0);
    for (const std::string& table : tables) {
      const auto noted =
          connection.run(fmt::format("INSERT OR REPLACE INTO {} VALUES (?1, ?2)", holds_table),
                         {Value::text(table), Value::integer(until.time_since_epoch().count())});
      if (!noted.ok()) return noted.error();
      for (const char* event : {"INSERT", "UPDATE", "DELETE"}) {
        const std::string name = quote_name(hold_prefix(table) + event);
        TRY(connection.execute("DROP TRIGGER IF EXISTS " + name));
        // A clock that was set back ends the hold as well.
        TRY(connection.execute(fmt::format(
            "CREATE TRIGGER {} BEFORE {} ON {} WHEN {} AND {} < (SELECT until FROM {} WHERE "
            "name = {}) AND {} > {}"
            " BEGIN SELECT RAISE(ABORT, 'whimbrel holds writes for a moment: try again'); END",
            name, event, quote_name(table), guard_is_off, now_in_sql, holds_table,
            *sqlite::dialect().literal(Value::text(table)), now_in_sql, now - length)));
      }
    }
    return {};
  });
}

Result<bool> SqliteStore::held(const std::vector<std::string>& tables) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  ASSIGN_OR_RETURN(const bool any, object_exists(*connection, "table", holds_table));
  if (!any) return tables.empty();
  for (const std::string& table : tables) {
    ASSIGN_OR_RETURN(
        const auto rows,
        connection->query(
            fmt::format("SELECT 1 FROM {} WHERE name = ?1 AND {} < until", holds_table, now_in_sql),
            {Value::text(table)}));
    if (rows.empty()) return false;
  }
  return true;
}

Status SqliteStore::release(const std::vector<std::string>& tables) {
  return in_transaction([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(const bool any, object_exists(connection, "table", holds_table));
    if (!any) return {};
    for (const std::string& table : tables) {
      TRY(drop_triggers(connection, hold_prefix(table)));
      const auto removed = connection.run(
          fmt::format("DELETE FROM {} WHERE name = ?1", holds_table), {Value::text(table)});
      if (!removed.ok()) return removed.error();
    }
    ASSIGN_OR_RETURN(const auto left,
                     connection.query(fmt::format("SELECT 1 FROM {} LIMIT 1", holds_table), {}));
    if (left.empty()) TRY(connection.execute(fmt::format("DROP TABLE {}", holds_table)));
    return drop_guard_if_unused(connection);
  });
}

}  // namespace whimbrel
