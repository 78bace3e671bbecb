#include "stores/sqlite/sqlite_store.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/text.h"
#include "stores/sqlite/affinity.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/inside.h"
#include "stores/sqlite/objects.h"
#include "stores/sqlite/rows.h"
#include "stores/sqlite/schema.h"
#include "stores/sqlite/triggers.h"

namespace whimbrel {

using namespace sqlite;  // NOLINT: this is the store's own namespace

Result<std::shared_ptr<Store>> SqliteStore::open(const std::string& path, Clock& clock) {
  std::error_code failure;
  const auto absolute = std::filesystem::weakly_canonical(path, failure);
  std::shared_ptr<SqliteStore> store(new SqliteStore(failure ? path : absolute.string(), clock));
  ASSIGN_OR_RETURN(const auto connection, store->connect(Access::read));
  // Reading the catalogue shows at once whether this is a database at all.
  ASSIGN_OR_RETURN(const auto names, table_names(*connection));
  return std::shared_ptr<Store>(std::move(store));
}

Result<std::unique_ptr<Connection>> SqliteStore::connect(Access access) const {
  return Connection::open(path_, access);
}

Status SqliteStore::in_transaction(const std::function<Status(Connection&)>& work) const {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::write));
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(*connection, true));
  TRY(work(*connection));
  return transaction.commit();
}

const Dialect* SqliteStore::dialect() const { return &sqlite::dialect(); }

Result<std::unique_ptr<SnapshotReader>> SqliteStore::open_reader(const TableSchema& table) {
  ASSIGN_OR_RETURN(auto connection, connect(Access::read));
  return make_reader(std::move(connection), table);
}

Result<std::unique_ptr<BatchWriter>> SqliteStore::open_writer(
    const TableSchema& table, const std::vector<std::string>& columns) {
  ASSIGN_OR_RETURN(auto connection, connect(Access::write));
  return make_writer(std::move(connection), table, columns);
}

Result<std::unique_ptr<InsideCopier>> SqliteStore::open_inside(const Mapping& mapping) {
  ASSIGN_OR_RETURN(auto connection, connect(Access::write));
  const std::lock_guard lock(claim_mutex_);
  return make_inside(std::move(connection), mapping, {claimed_migration_, claimed_journal_});
}

Status SqliteStore::claim(const std::string& migration, const std::string& journal) {
  TRY(in_transaction([&](Connection& connection) -> Status {
    TRY(
        connection.execute("CREATE TABLE IF NOT EXISTS whimbrel_claims (migration TEXT PRIMARY KEY,"
                           " journal TEXT NOT NULL, chunks INTEGER NOT NULL DEFAULT 0)"));
    const Row both = {Value::text(migration), Value::text(journal)};
    const auto added = connection.run(
        "INSERT OR IGNORE INTO whimbrel_claims (migration, journal) VALUES (?1, ?2)", both);
    if (!added.ok()) return added.error();
    ASSIGN_OR_RETURN(
        const auto rows,
        connection.query("SELECT 1 FROM whimbrel_claims WHERE migration = ?1 AND journal = ?2",
                         both));
    if (!rows.empty()) return {};
    return Error{
        ErrorCode::conflict,
        fmt::format("another journal drives {} in {}", migration, path_),
        "use the state folder it was started with (`--state`), or roll that one back first",
        "nothing was changed by this command",
        {},
        ""};
  }));
  const std::lock_guard lock(claim_mutex_);
  claimed_migration_ = migration;
  claimed_journal_ = journal;
  return {};
}

Status SqliteStore::disown(const std::string& migration) {
  return in_transaction([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(const bool there, object_exists(connection, "table", "whimbrel_claims"));
    if (!there) return {};
    const auto removed = connection.run("DELETE FROM whimbrel_claims WHERE migration = ?1",
                                        {Value::text(migration)});
    if (!removed.ok()) return removed.error();
    ASSIGN_OR_RETURN(const auto left,
                     connection.query("SELECT 1 FROM whimbrel_claims LIMIT 1", {}));
    return left.empty() ? connection.execute("DROP TABLE whimbrel_claims") : Status();
  });
}

Result<Value> SqliteStore::ask(const std::string& query) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  ASSIGN_OR_RETURN(const std::vector<Row> rows, connection->query(query, {}));
  if (rows.size() != 1 || rows[0].size() != 1) {
    return Error{ErrorCode::refused,
                 "a check has to give one row with one value: " + printable(query, 200)};
  }
  return rows[0][0];
}

Result<std::vector<std::string>> SqliteStore::tables() {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  return table_names(*connection);
}

Result<TableSchema> SqliteStore::describe(const std::string& table) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  return sqlite::describe(*connection, table);
}

Result<TableSchema> SqliteStore::parse(const std::string& ddl, const std::string& table) {
  ASSIGN_OR_RETURN(const auto connection, Connection::in_memory());
  if (Status made = connection->execute(ddl); !made.ok()) {
    Error error = std::move(made).error();
    error.code = ErrorCode::invalid_plan;
    if (error.message.starts_with(":memory:: ")) error.message.erase(0, 10);
    return error;
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> made, table_names(*connection));
  for (const std::string& other : made) {
    if (ascii_iequals(other, table)) continue;
    return Error{ErrorCode::invalid_plan, fmt::format("the file also makes the table `{}`", other),
                 fmt::format("it has to make `{}` and its indexes, and nothing else", table)};
  }
  return sqlite::describe(*connection, table);
}

Result<TableSchema> SqliteStore::sketch(const std::string& table,
                                        const std::vector<std::pair<std::string, Value>>& key,
                                        const std::vector<std::pair<std::string, Value>>& others) {
  std::vector<std::string> columns;
  std::vector<std::string> names;
  const auto type = [](const Value& value) {
    if (value.kind() == Kind::int64 || value.kind() == Kind::boolean) return " INTEGER";
    return value.kind() == Kind::text ? " TEXT" : "";
  };
  for (const auto& [column, value] : key) {
    columns.push_back(quote_name(column) + type(value) + " NOT NULL");
    names.push_back(column);
  }
  for (const auto& [column, value] : others) columns.push_back(quote_name(column) + type(value));
  return parse(fmt::format("CREATE TABLE {} ({}, PRIMARY KEY ({}))", quote_name(table),
                           join(columns, ", "), name_list(names)),
               table);
}

Result<Value> SqliteStore::settle(const ColumnSchema& column, Value value) const {
  return sqlite::settle(affinity_of(column.declared), std::move(value));
}

Status SqliteStore::create(const TableSchema& schema, bool with_indexes) {
  return in_transaction([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(const bool there, object_exists(connection, "table", schema.name));
    if (there) return {};
    TRY(connection.execute(schema.create_ddl));
    if (with_indexes) {
      for (const std::string& ddl : schema.index_ddl) TRY(connection.execute(ddl));
    }
    for (const std::string& ddl : schema.trigger_ddl) TRY(connection.execute(ddl));
    return {};
  });
}

Status SqliteStore::create_index(const std::string& ddl) {
  return in_transaction([&](Connection& connection) -> Status {
    Status made = connection.execute(ddl);
    if (!made.ok() && made.error().message.find("already exists") != std::string::npos) return {};
    return made;
  });
}

Status SqliteStore::drop(const std::string& table) {
  return in_transaction([&](Connection& connection) {
    return connection.execute("DROP TABLE IF EXISTS " + quote_name(table));
  });
}

Status SqliteStore::clear(const std::string& table) {
  return in_transaction([&](Connection& connection) {
    return connection.execute("DELETE FROM " + quote_name(table));
  });
}

Status SqliteStore::rename(const std::string& table, const std::string& to) {
  return in_transaction([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(const bool there, object_exists(connection, "table", table));
    ASSIGN_OR_RETURN(const bool done, object_exists(connection, "table", to));
    if (!there && done) return {};
    return connection.execute(
        fmt::format("ALTER TABLE {} RENAME TO {}", quote_name(table), quote_name(to)));
  });
}

namespace {

// What the old table showed, read from the new one; what has no way back is null.
Result<std::string> view_sql(const Mapping& mapping) {
  ASSIGN_OR_RETURN(const std::vector<std::string> sql, spell_rules(mapping.backward, "t."));
  std::vector<std::string> columns;
  for (const ColumnSchema& column : mapping.source.columns) {
    std::string expression = "NULL";
    for (std::size_t i = 0; i < mapping.backward.size(); ++i) {
      if (mapping.backward[i].column == column.name) expression = sql[i];
    }
    columns.push_back(fmt::format("{} AS {}", expression, quote_name(column.name)));
  }
  return fmt::format("CREATE VIEW {} AS SELECT {} FROM {} AS t", quote_name(mapping.source.name),
                     join(columns, ", "), quote_name(mapping.target.name));
}

}  // namespace

Status SqliteStore::retire(const std::vector<const Mapping*>& mappings,
                           const std::string& rename_to, bool view) {
  return in_transaction([&](Connection& connection) -> Status {
    for (const Mapping* mapping : mappings) {
      const std::string& name = mapping->source.name;
      ASSIGN_OR_RETURN(const bool there, object_exists(connection, "table", name));
      if (!there) continue;
      TRY(connection.execute(rename_to.empty()
                                 ? fmt::format("DROP TABLE {}", quote_name(name))
                                 : fmt::format("ALTER TABLE {} RENAME TO {}", quote_name(name),
                                               quote_name(rename_to))));
      if (!view) continue;
      ASSIGN_OR_RETURN(const std::string sql, view_sql(*mapping));
      TRY(connection.execute(sql));
    }
    return {};
  });
}

Status SqliteStore::revive(const std::string& table, const std::string& archived_as) {
  return in_transaction([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(const bool there, object_exists(connection, "table", table));
    if (there) return {};
    TRY(connection.execute("DROP VIEW IF EXISTS " + quote_name(table)));
    if (archived_as.empty()) return {};
    ASSIGN_OR_RETURN(const bool archived, object_exists(connection, "table", archived_as));
    if (!archived) return {};
    return connection.execute(
        fmt::format("ALTER TABLE {} RENAME TO {}", quote_name(archived_as), quote_name(table)));
  });
}

}  // namespace whimbrel
