#include "stores/sqlite/sqlite_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "base/counted.h"
#include "base/text.h"
#include "stores/sqlite/affinity.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/inside.h"
#include "stores/sqlite/likeness.h"
#include "stores/sqlite/objects.h"
#include "stores/sqlite/rehearsal.h"
#include "stores/sqlite/rows.h"
#include "stores/sqlite/schema.h"
#include "stores/sqlite/tokens.h"
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

Result<ConnectionPtr> SqliteStore::connect(Access access) const {
  const auto idle = access == Access::read ? idle_ : nullptr;
  std::unique_ptr<Connection> connection = idle == nullptr ? nullptr : idle->take();
  if (connection == nullptr) {
    ASSIGN_OR_RETURN(connection, Connection::open(path_, access));
  }
  return ConnectionPtr(connection.release(), GiveBack{idle});
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

// Under a write-ahead log a reader keeps no writer waiting; otherwise it would, for as long as it
// reads.
Result<std::unique_ptr<SnapshotReader>> SqliteStore::open_reader_of_one_moment(
    const TableSchema& table) {
  ASSIGN_OR_RETURN(auto connection, connect(Access::read));
  ASSIGN_OR_RETURN(const std::vector<Row> mode, connection->query("PRAGMA journal_mode", {}));
  const bool has_log = !mode.empty() && same(mode[0][0], Value::text("wal"));
  if (has_log) {
    TRY(connection->execute("BEGIN"));
    TRY(connection->query("SELECT 1 FROM sqlite_master LIMIT 1", {}));
  }
  return make_reader(std::move(connection), table);
}

Result<std::unique_ptr<SnapshotReader>> SqliteStore::open_reader_where(
    const TableSchema& table, std::span<const Condition> where) {
  ASSIGN_OR_RETURN(auto connection, connect(Access::read));
  return make_reader(std::move(connection), table, where);
}

Result<std::unique_ptr<BatchWriter>> SqliteStore::open_writer(
    const TableSchema& table, const std::vector<std::string>& columns) {
  ASSIGN_OR_RETURN(auto connection, connect(Access::write));
  return make_writer(std::move(connection), table, columns);
}

// Files that keep their texts otherwise cannot be attached to each other.
bool SqliteStore::reaches(const Store& source) const {
  const auto* other = dynamic_cast<const SqliteStore*>(&source);
  if (other == nullptr || other == this) return other != nullptr;
  const auto encoding_of = [](const SqliteStore& store) -> std::string {
    const auto connection = store.connect(Access::read);
    if (!connection.ok()) return "";
    const auto rows = connection.value()->query("PRAGMA encoding", {});
    return rows.ok() && !rows.value().empty() ? rows.value()[0][0].get<std::string>() : "";
  };
  return encoding_of(*this) == encoding_of(*other);
}

// A hard link is another name for the same file.
bool SqliteStore::is_same_place(const Store& other) const {
  const auto* file = dynamic_cast<const SqliteStore*>(&other);
  std::error_code failure;
  return file != nullptr &&
         (path_ == file->path_ || std::filesystem::equivalent(path_, file->path_, failure));
}

Result<std::unique_ptr<InsideCopier>> SqliteStore::open_inside(const Mapping& mapping,
                                                               const Store& source) {
  const auto* other = dynamic_cast<const SqliteStore*>(&source);
  assert_always(other != nullptr, "a store of another kind cannot be attached");
  ASSIGN_OR_RETURN(auto connection, connect(Access::write));
  const std::lock_guard lock(claim_mutex_);
  return make_inside(std::move(connection), other->path_ == path_ ? "" : other->path_, mapping,
                     {claimed_migration_, claimed_journal_}, clock_);
}

Status SqliteStore::claim(const std::string& migration, const std::string& journal) {
  TRY(in_transaction([&](Connection& connection) -> Status {
    TRY(
        connection.execute("CREATE TABLE IF NOT EXISTS whimbrel_claims (migration TEXT PRIMARY KEY,"
                           " journal TEXT NOT NULL, chunks INTEGER NOT NULL DEFAULT 0,"
                           " records INTEGER)"));
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

Result<std::string> SqliteStore::claimed_by(const std::string& migration) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  ASSIGN_OR_RETURN(const bool there, object_exists(*connection, "table", "whimbrel_claims"));
  if (!there) return std::string();
  ASSIGN_OR_RETURN(const auto rows,
                   connection->query("SELECT journal FROM whimbrel_claims WHERE migration = ?1",
                                     {Value::text(migration)}));
  return rows.empty() ? std::string() : rows[0][0].get<std::string>();
}

Status SqliteStore::mark(const std::string& migration, const std::string& journal,
                         std::int64_t records) {
  return in_transaction([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(const bool there, object_exists(connection, "table", "whimbrel_claims"));
    if (!there) return {};
    const auto marked = connection.run(
        "UPDATE whimbrel_claims SET records = ?3 WHERE migration = ?1 AND journal = ?2",
        {Value::text(migration), Value::text(journal), Value::integer(records)});
    return marked.ok() ? Status() : Status(marked.error());
  });
}

Result<std::optional<std::int64_t>> SqliteStore::marked(const std::string& migration,
                                                        const std::string& journal) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  ASSIGN_OR_RETURN(const bool there, object_exists(*connection, "table", "whimbrel_claims"));
  if (!there) return std::optional<std::int64_t>{};
  ASSIGN_OR_RETURN(const auto rows,
                   connection->query("SELECT records FROM whimbrel_claims WHERE migration = ?1 AND"
                                     " journal = ?2",
                                     {Value::text(migration), Value::text(journal)}));
  if (rows.empty() || rows[0][0].is_null()) return std::optional<std::int64_t>{};
  return std::optional(rows[0][0].get<std::int64_t>());
}

Status SqliteStore::disown(const std::string& migration, const std::string& journal) {
  return in_transaction([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(const bool there, object_exists(connection, "table", "whimbrel_claims"));
    if (!there) return {};
    const auto removed =
        connection.run("DELETE FROM whimbrel_claims WHERE migration = ?1 AND journal = ?2",
                       {Value::text(migration), Value::text(journal)});
    if (!removed.ok()) return removed.error();
    ASSIGN_OR_RETURN(const auto left,
                     connection.query("SELECT 1 FROM whimbrel_claims LIMIT 1", {}));
    return left.empty() ? connection.execute("DROP TABLE whimbrel_claims") : Status();
  });
}

Result<std::unique_ptr<Rehearsal>> SqliteStore::rehearse(const Mapping& mapping, bool) {
  return make_rehearsal(mapping);
}

Status SqliteStore::understands(const std::string& query) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  std::string_view rest;
  ASSIGN_OR_RETURN(const Statement statement, connection->prepare(query, &rest));
  const Tokens more = tokens_of(rest);
  if (std::ranges::all_of(more, [](std::string_view token) { return token == ";"; })) return {};
  return Error{ErrorCode::refused, "only its first statement would run: " + printable(query, 200),
               "say each in a check of its own"};
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

// Neither virtual ones nor those that these keep for themselves.
Result<std::vector<std::string>> SqliteStore::plain_tables() {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  ASSIGN_OR_RETURN(const std::vector<std::string> all, table_names(*connection));
  ASSIGN_OR_RETURN(const auto rows,
                   connection->query("SELECT name FROM pragma_table_list"
                                     " WHERE schema = 'main' AND type IN ('virtual', 'shadow')",
                                     {}));
  std::vector<std::string> plain;
  std::ranges::copy_if(all, std::back_inserter(plain), [&](const std::string& name) {
    return std::ranges::none_of(rows,
                                [&](const Row& row) { return row[0].get<std::string>() == name; });
  });
  return plain;
}

Result<TableSchema> SqliteStore::describe(const std::string& table) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  return sqlite::describe(*connection, table);
}

namespace {

// "LINE:COLUMN: " of an offset into a text.
std::string place_in(const std::string& text, std::size_t offset) {
  const std::string before = text.substr(0, offset);
  const std::size_t line_begin = before.rfind('\n');
  const std::size_t column = line_begin == std::string::npos ? offset : offset - line_begin - 1;
  return fmt::format("{}:{}: ", std::ranges::count(before, '\n') + 1, column + 1);
}

Error ddl_mistake(const std::string& ddl, std::size_t at, const std::string& what,
                  std::string hint) {
  return Error{ErrorCode::invalid_plan, place_in(ddl, std::min(at, ddl.size())) + what,
               std::move(hint)};
}

// Statement by statement, so that a mistake has its place, and nothing but shapes is made.
Status carry_out_ddl(Connection& connection, const std::string& ddl) {
  std::size_t at = 0;
  while (at < ddl.size()) {
    sqlite3_stmt* raw = nullptr;
    const char* tail = nullptr;
    const int code = sqlite3_prepare_v2(connection.raw(), ddl.c_str() + at,
                                        static_cast<int>(ddl.size() - at), &raw, &tail);
    const Statement statement(raw);
    if (code != SQLITE_OK) {
      const int offset = std::max(sqlite3_error_offset(connection.raw()), 0);
      return ddl_mistake(ddl, at + static_cast<std::size_t>(offset),
                         sqlite3_errmsg(connection.raw()), "");
    }
    const std::string text = statement == nullptr ? "" : sqlite3_sql(statement.get());
    const std::size_t begin = at;
    at = static_cast<std::size_t>(tail - ddl.c_str());
    if (statement == nullptr) continue;  // spaces and comments
    if (!begins_with_keyword(text, "CREATE")) {
      return ddl_mistake(ddl, ddl.find_first_not_of(" \t\r\n;", begin),
                         "the file may make the table, its indexes and triggers, and nothing else",
                         "rows come from the source; take this statement away");
    }
    if (!connection.step(statement.get()).ok()) {
      return ddl_mistake(ddl, ddl.find_first_not_of(" \t\r\n;", begin),
                         sqlite3_errmsg(connection.raw()), "");
    }
  }
  return {};
}

// Where the CREATE TABLE of `name` begins; 0 when that is not seen.
std::size_t place_of_table(const std::string& ddl, const std::string& name) {
  const Tokens tokens = tokens_of(ddl);
  std::size_t begin = 0;
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (ascii_iequals(tokens[i], "CREATE")) {
      begin = static_cast<std::size_t>(tokens[i].data() - ddl.data());
    }
    if (ascii_iequals(tokens[i], "TABLE")) {
      const std::size_t at =
          ascii_iequals(tokens[i + 1], "IF") && i + 4 < tokens.size() ? i + 4 : i + 1;
      if (ascii_iequals(tokens[at], name) || ascii_iequals(tokens[at], quote_name(name)))
        return begin;
    }
  }
  return 0;
}

}  // namespace

Result<TableSchema> SqliteStore::parse(const std::string& ddl, const std::string& table) {
  ASSIGN_OR_RETURN(const auto connection, Connection::in_memory());
  TRY(carry_out_ddl(*connection, ddl));
  ASSIGN_OR_RETURN(const std::vector<std::string> made, table_names(*connection));
  const bool wanted =
      std::ranges::any_of(made, [&](const std::string& one) { return ascii_iequals(one, table); });
  if (!wanted) {
    return Error{ErrorCode::invalid_plan,
                 made.empty() ? fmt::format("1:1: the file does not make `{}`", table)
                              : fmt::format("1:1: the file makes `{}`, and not `{}`",
                                            join(made, "`, `"), table),
                 fmt::format("it has to hold CREATE TABLE {} (…)", quote_name(table))};
  }
  for (const std::string& other : made) {
    if (ascii_iequals(other, table)) continue;
    return ddl_mistake(ddl, place_of_table(ddl, other),
                       fmt::format("the file also makes the table `{}`", other),
                       fmt::format("it has to make `{}` and its indexes, and nothing else", table));
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

Result<std::string> SqliteStore::ddl_like(const TableSchema& table, const std::string& name) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  return sqlite::ddl_like(table, name, [&connection](const std::string& index) {
    return object_exists(*connection, "index", index);
  });
}

// What SQLite cannot rename by itself stays: the plan's check for such references tells it.
std::string SqliteStore::with_new_parents(std::string ddl,
                                          const std::map<std::string, std::string>& names) const {
  Result<std::string> made = sqlite::with_new_parents(ddl, names);
  return made.ok() ? std::move(made).value() : ddl;
}

bool SqliteStore::trigger_may_set(const TableSchema& table, const std::string& column) const {
  return std::ranges::any_of(table.trigger_ddl, [&](const std::string& ddl) {
    return sqlite::any_sets(sqlite::tokens_of(ddl), table.name, column);
  });
}

Result<Value> SqliteStore::settle(const ColumnSchema& column, Value value) const {
  return sqlite::settle(affinity_of(column.declared), std::move(value));
}

Status SqliteStore::create(const TableSchema& schema, bool with_indexes) {
  return in_transaction([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(const bool there, object_exists(connection, "table", schema.name));
    if (there) return {};
    TRY(connection.execute(schema.create_ddl));
    if (!schema.key_index_ddl.empty()) TRY(connection.execute(schema.key_index_ddl));
    if (with_indexes) {
      for (const std::string& ddl : schema.index_ddl) TRY(connection.execute(ddl));
    }
    for (const std::string& ddl : schema.trigger_ddl) TRY(connection.execute(ddl));
    return {};
  });
}

// As SQLite keeps it in its catalogue: without the semicolon and what follows it.
static std::string statement_text(const std::string& ddl) {
  const std::size_t end = ddl.find_last_not_of(" \t\r\n;");
  return end == std::string::npos ? ddl : ddl.substr(0, end + 1);
}

Status SqliteStore::create_index(const std::string& ddl) {
  return in_transaction([&](Connection& connection) -> Status {
    // What is sorted in memory need not be merged from files.
    TRY(connection.execute("PRAGMA cache_size = -48000"));
    Status made = connection.execute(ddl);
    if (made.ok() || made.error().message.find("already exists") == std::string::npos) return made;
    // Made before, by this very statement; or the name belongs to something else.
    ASSIGN_OR_RETURN(
        const auto there,
        connection.query("SELECT 1 FROM sqlite_master WHERE type = 'index' AND sql = ?1",
                         {Value::text(statement_text(ddl))}));
    return there.empty() ? made : Status();
  });
}

Status SqliteStore::drop(const std::string& table) {
  return in_transaction([&](Connection& connection) {
    return connection.execute("DROP TABLE IF EXISTS " + quote_name(table));
  });
}

Status SqliteStore::clear(const std::string& table) {
  return in_transaction([&](Connection& connection) { return empty_table(connection, table); });
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
    if (column.hidden) continue;
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

namespace {

// Views, and triggers of other tables and views, by name: what a renaming takes along to the new
// name although it is meant for whatever is called by the old one.
struct Onlooker {
  std::string type;
  std::string name;
  std::string of;
  std::string sql;
};
Result<std::vector<Onlooker>> readers_beside(Connection& connection, const std::string& table) {
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE type IN"
                       " ('view', 'trigger') AND tbl_name <> ?1 COLLATE NOCASE"
                       " AND sql IS NOT NULL ORDER BY type DESC, rowid",
                       {Value::text(table)}));
  std::vector<Onlooker> readers;
  for (const Row& row : rows) {
    const auto at = [&](std::size_t i) { return row[i].get<std::string>(); };
    if (!at(1).starts_with(own_prefix)) readers.push_back({at(0), at(1), at(2), at(3)});
  }
  return readers;
}

bool names_table(const std::string& sql, const std::string& table) {
  const Tokens tokens = tokens_of(sql);
  return any_names(tokens.begin(), tokens.end(), table);
}

// Each that is no longer as it was is made again from its own words. A view takes its triggers with
// it.
Status restore_readers(Connection& connection, const std::vector<Onlooker>& before) {
  std::vector<std::string> made_anew;
  for (const Onlooker& one : before) {
    ASSIGN_OR_RETURN(const auto now,
                     connection.query("SELECT sql FROM sqlite_master WHERE type = ?1 AND name = ?2",
                                      {Value::text(one.type), Value::text(one.name)}));
    const bool gone = now.empty();
    if (!gone && now[0][0].get<std::string>() == one.sql) continue;
    const bool went_with_its_view = std::ranges::count(made_anew, one.of) > 0;
    if (gone && !went_with_its_view) continue;
    if (!gone) {
      TRY(connection.execute(
          fmt::format("DROP {} {}", ascii_upper(one.type), quote_name(one.name))));
    }
    TRY(connection.execute(one.sql));
    if (one.type == "view") made_anew.push_back(one.name);
  }
  return {};
}

// Foreign keys of other tables.
std::vector<std::string> references_to(Connection& connection,
                                       const std::vector<const Mapping*>& mappings) {
  std::set<std::string> going;
  for (const Mapping* mapping : mappings) going.insert(ascii_lower(mapping->source.name));
  std::vector<std::string> all;
  for (const Mapping* mapping : mappings) {
    const Result<TableSchema> there = sqlite::describe(connection, mapping->source.name);
    if (!there.ok()) continue;
    for (const std::string& table : there.value().referenced_by) {
      if (going.contains(ascii_lower(table))) continue;
      all.push_back(fmt::format("{} refers to {} by a foreign key", table, there.value().name));
    }
  }
  return all;
}

// Views and triggers that could use one of the tables, by its name.
Result<std::vector<std::pair<std::string, Onlooker>>> possible_users(
    Connection& connection, const std::vector<const Mapping*>& mappings) {
  std::vector<std::pair<std::string, Onlooker>> all;
  for (const Mapping* mapping : mappings) {
    const std::string& name = mapping->source.name;
    ASSIGN_OR_RETURN(std::vector<Onlooker> readers, readers_beside(connection, name));
    for (Onlooker& one : readers) {
      if (names_table(one.sql, name)) all.emplace_back(name, std::move(one));
    }
  }
  return all;
}

// Statements under which a view, or all triggers of a table, are looked at.
Result<std::vector<std::string>> uses_of(Connection& connection, const Onlooker& one) {
  if (one.type == "view") {
    return std::vector{fmt::format("SELECT * FROM {} LIMIT 0", quote_name(one.name))};
  }
  ASSIGN_OR_RETURN(const auto columns, connection.query("SELECT name FROM pragma_table_info(?1)",
                                                        {Value::text(one.of)}));
  std::vector<std::string> sets;
  for (const Row& row : columns) {
    const std::string name = quote_name(row[0].get<std::string>());
    sets.push_back(name + " = " + name);
  }
  const std::string table = quote_name(one.of);
  return std::vector{fmt::format("EXPLAIN DELETE FROM {}", table),
                     fmt::format("EXPLAIN INSERT INTO {} DEFAULT VALUES", table),
                     fmt::format("EXPLAIN UPDATE {} SET {}", table, join(sets, ", "))};
}

// Once they are dropped: what no longer works, of which SQLite says so only to whoever uses it. For
// a transaction that is rolled back: triggers of ours, which go first, would be looked at as well.
Result<std::vector<std::string>> broken_users(
    Connection& connection, const std::vector<std::pair<std::string, Onlooker>>& users) {
  std::vector<std::string> all;
  ASSIGN_OR_RETURN(
      const auto ours,
      connection.query("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name GLOB ?1",
                       {Value::text(std::string(own_prefix) + "*")}));
  for (const Row& row : ours) {
    if (users.empty()) break;
    TRY(connection.execute("DROP TRIGGER " + quote_name(row[0].get<std::string>())));
  }
  for (const auto& [name, one] : users) {
    ASSIGN_OR_RETURN(const bool is_there, object_exists(connection, one.type, one.name));
    if (!is_there) continue;  // it has gone with its table
    ASSIGN_OR_RETURN(const std::vector<std::string> uses, uses_of(connection, one));
    const bool is_broken = std::ranges::any_of(uses, [&](const std::string& sql) {
      const Result<Statement> used = connection.prepare(sql);
      const std::string told = used.ok() ? "" : ascii_lower(used.error().message);
      return told.find("no such table") != std::string::npos &&
             told.find(ascii_lower(name)) != std::string::npos;
    });
    if (!is_broken) continue;
    all.push_back(one.type == "view"
                      ? fmt::format("the view {} reads {}", one.name, name)
                      : fmt::format("the trigger {} of {} {} {}", one.name, one.of,
                                    writes_to(one.sql, name) ? "writes to" : "reads", name));
  }
  return all;
}

Status retire_all(Connection& connection, const std::vector<const Mapping*>& mappings,
                  const std::string& rename_to, bool view) {
  for (const Mapping* mapping : mappings) {
    const std::string& name = mapping->source.name;
    ASSIGN_OR_RETURN(const bool there, object_exists(connection, "table", name));
    if (!there) continue;
    ASSIGN_OR_RETURN(const std::vector<Onlooker> readers, readers_beside(connection, name));
    TRY(connection.execute(
        rename_to.empty()
            ? fmt::format("DROP TABLE {}", quote_name(name))
            : fmt::format("ALTER TABLE {} RENAME TO {}", quote_name(name), quote_name(rename_to))));
    if (!view) continue;
    ASSIGN_OR_RETURN(const std::string sql, view_sql(*mapping));
    TRY(connection.execute(sql));
    if (!rename_to.empty()) TRY(restore_readers(connection, readers));
  }
  return {};
}

}  // namespace

Status SqliteStore::retire(const std::vector<const Mapping*>& mappings,
                           const std::string& rename_to, bool view) {
  return in_transaction(
      [&](Connection& connection) { return retire_all(connection, mappings, rename_to, view); });
}

// Tried, and rolled back: what SQLite refuses (a view that is broken, a name that is taken) depends
// on everything else in the file.
Status SqliteStore::can_retire(const std::vector<const Mapping*>& mappings,
                               const std::string& rename_to, bool view) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::write));
  ASSIGN_OR_RETURN(const Transaction rolled_back, Transaction::begin(*connection, true));
  // A view that takes a table's name serves those that read it, and says itself that it takes no
  // rows.
  const bool drops = rename_to.empty();
  std::vector<std::string> broken;
  std::vector<std::pair<std::string, Onlooker>> users;
  if (drops) broken = references_to(*connection, mappings);
  if (drops && !view) {
    ASSIGN_OR_RETURN(users, possible_users(*connection, mappings));
  }
  Status tried = retire_all(*connection, mappings, rename_to, view);
  if (tried.ok()) {
    ASSIGN_OR_RETURN(const std::vector<std::string> more, broken_users(*connection, users));
    broken.insert(broken.end(), more.begin(), more.end());
  }
  if (!broken.empty()) {
    return Error{
        ErrorCode::refused,
        fmt::format("what needs the old tables would fail when it is used: {}", join(broken, "; ")),
        "let it use the new tables, or drop it, or say `finish: {keep_source: true}`"};
  }
  if (tried.ok() || tried.error().code == ErrorCode::unavailable) return tried;
  Error error = std::move(tried).error();
  error.code = ErrorCode::refused;
  return error;
}

bool SqliteStore::name_is_taken(const std::string& name) {
  if (ascii_lower(name).starts_with("sqlite_")) return true;  // SQLite's own
  const auto connection = connect(Access::read);
  if (!connection.ok()) return false;
  const auto rows = connection.value()->query(
      "SELECT 1 FROM sqlite_master WHERE name = ?1 COLLATE NOCASE LIMIT 1", {Value::text(name)});
  return rows.ok() && !rows.value().empty();
}

Result<std::int64_t> SqliteStore::last_number(const std::string& table) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  ASSIGN_OR_RETURN(const bool any, object_exists(*connection, "table", "sqlite_sequence"));
  if (!any) return std::int64_t{0};
  ASSIGN_OR_RETURN(
      const auto rows,
      connection->query("SELECT seq FROM sqlite_sequence WHERE name = ?1 COLLATE NOCASE",
                        {Value::text(table)}));
  const auto* last = rows.empty() ? nullptr : rows[0][0].get_if<std::int64_t>();
  return last == nullptr ? 0 : *last;
}

Status SqliteStore::put_number_back(const std::string& table, std::int64_t number) {
  return in_transaction([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(const bool any, object_exists(connection, "table", "sqlite_sequence"));
    if (!any) return {};
    const auto set =
        number > 0
            ? connection.run("UPDATE sqlite_sequence SET seq = ?2 WHERE name = ?1 COLLATE NOCASE",
                             {Value::text(table), Value::integer(number)})
            : connection.run("DELETE FROM sqlite_sequence WHERE name = ?1 COLLATE NOCASE",
                             {Value::text(table)});
    return set.ok() ? Status() : Status(set.error());
  });
}

namespace {

// The table has no numbers by which the database could name its rows.
std::string rows_that_refer_to_nothing(const TableSchema& child, const ForeignKey& key,
                                       const std::string& keys) {
  std::vector<std::string> are_there;
  std::vector<std::string> are_equal;
  for (std::size_t i = 0; i < key.columns.size(); ++i) {
    are_there.push_back("c." + quote_name(key.columns[i]) + " IS NOT NULL");
    are_equal.push_back("p." + quote_name(key.parent_columns[i]) + " = c." +
                        quote_name(key.columns[i]));
  }
  return fmt::format(
      "SELECT {} FROM {} AS c WHERE {} AND NOT EXISTS (SELECT 1 FROM {} AS p WHERE {}) ORDER BY 1 "
      "LIMIT {}",
      keys, quote_name(child.name), join(are_there, " AND "), quote_name(key.parent),
      join(are_equal, " AND "), Dangling::looked_at_max);
}

// By the rows' numbers: how many rows refer to nothing in each parent, and the first of their keys.
// Nothing where the table has no such numbers, or a parent is not there.
std::optional<std::vector<Dangling>> dangling_by_number(Connection& connection,
                                                        const std::string& child,
                                                        const std::string& keys) {
  const Result<std::vector<Row>> rows = connection.query(
      fmt::format("SELECT parent, rows, key FROM (SELECT f.parent, {0} AS key, count(*) OVER "
                  "(PARTITION BY f.parent) AS rows, row_number() OVER (PARTITION BY f.parent ORDER "
                  "BY {0}) AS at FROM pragma_foreign_key_check(?1) AS f JOIN {1} AS c ON c.rowid = "
                  "f.rowid) WHERE at <= {2} ORDER BY parent, at",
                  keys, quote_name(child), Dangling::looked_at_max),
      {Value::text(child)});
  if (!rows.ok()) return std::nullopt;
  std::map<std::string, std::pair<std::int64_t, std::vector<std::string>>> by_parent;
  for (const Row& row : rows.value()) {
    auto& [count, named] = by_parent[row[0].get<std::string>()];
    count = row[1].get<std::int64_t>();
    named.push_back(row[2].get<std::string>());
  }
  std::vector<Dangling> told;
  for (const auto& [parent, found] : by_parent) {
    told.push_back(Dangling::of(child, parent, found.first, found.second));
  }
  return told;
}

// Rows of `child` that refer to nothing, with their keys as far as they can be named.
Result<std::vector<Dangling>> dangling_of(Connection& connection, const std::string& child) {
  ASSIGN_OR_RETURN(const TableSchema schema, sqlite::describe(connection, child));
  std::vector<std::string> parts;
  for (const std::string& column : schema.key)
    parts.push_back(fmt::format("coalesce(CAST(c.{} AS TEXT), 'null')", quote_name(column)));
  const std::string keys = join(parts, " || ',' || ");
  if (!parts.empty()) {
    if (const auto all = dangling_by_number(connection, child, keys)) return *all;
  }
  ASSIGN_OR_RETURN(
      const std::vector<Row> parents,
      connection.query("SELECT parent, count(*) FROM pragma_foreign_key_check(?1) GROUP BY 1",
                       {Value::text(child)}));
  std::vector<Dangling> told;
  for (const Row& parent : parents) {
    const std::string& of = parent[0].get<std::string>();
    std::vector<std::string> named;
    for (const ForeignKey& key : schema.foreign_keys) {
      if (parts.empty() || !ascii_iequals(key.parent, of)) continue;
      const Result<std::vector<Row>> rows =
          connection.query(rows_that_refer_to_nothing(schema, key, keys), {});
      if (!rows.ok()) continue;  // a parent that is not there: all of them are meant
      for (const Row& row : rows.value()) named.push_back(row[0].get<std::string>());
    }
    told.push_back(Dangling::of(child, of, parent[1].get<std::int64_t>(), named));
  }
  return told;
}

}  // namespace

Result<std::vector<Dangling>> SqliteStore::dangling(const std::string& table) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  ASSIGN_OR_RETURN(
      const std::vector<Row> children,
      connection->query("SELECT DISTINCT m.name FROM sqlite_master AS m, "
                        "pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table' AND "
                        "(f.\"table\" = ?1 COLLATE NOCASE OR m.name = ?1 COLLATE NOCASE)",
                        {Value::text(table)}));
  std::vector<Dangling> told;
  for (const Row& child : children) {
    ASSIGN_OR_RETURN(const std::vector<Dangling> of_child,
                     dangling_of(*connection, child[0].get<std::string>()));
    told.insert(told.end(), of_child.begin(), of_child.end());
  }
  return told;
}

Status SqliteStore::raise_number(const std::string& table, std::int64_t number) {
  if (number <= 0) return {};  // it looks at its rows by itself
  return in_transaction([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(const bool any, object_exists(connection, "table", "sqlite_sequence"));
    if (!any) return {};
    ASSIGN_OR_RETURN(const TableSchema schema, sqlite::describe(connection, table));
    if (!gives_each_number_once(schema)) return {};
    const Row both = {Value::text(schema.name), Value::integer(number)};
    ASSIGN_OR_RETURN(
        const std::int64_t known,
        connection.run("UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1", both));
    if (known > 0) return {};
    const auto added =
        connection.run("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", both);
    return added.ok() ? Status() : Status(added.error());
  });
}

Status SqliteStore::revive(const std::string& table, const std::string& archived_as) {
  return in_transaction([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(const bool there, object_exists(connection, "table", table));
    if (there) return {};
    ASSIGN_OR_RETURN(const std::vector<Onlooker> readers, readers_beside(connection, table));
    TRY(connection.execute("DROP VIEW IF EXISTS " + quote_name(table)));
    if (archived_as.empty()) return {};
    ASSIGN_OR_RETURN(const bool archived, object_exists(connection, "table", archived_as));
    if (!archived) return {};
    // Nothing is called so for a moment, and SQLite renames no table while a view reads nothing.
    std::vector<Onlooker> aside;
    for (const Onlooker& one : readers) {
      // What names the archive goes with it: renaming the table says the new name there as well.
      if (one.name == table || one.of == table || names_table(one.sql, archived_as)) continue;
      aside.push_back(one);
      TRY(connection.execute(
          fmt::format("DROP {} IF EXISTS {}", ascii_upper(one.type), quote_name(one.name))));
    }
    TRY(connection.execute(
        fmt::format("ALTER TABLE {} RENAME TO {}", quote_name(archived_as), quote_name(table))));
    for (const Onlooker& one : aside) TRY(connection.execute(one.sql));
    return {};
  });
}

}  // namespace whimbrel
