#include "stores/postgresql/postgresql_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "stores/postgresql/between.h"
#include "stores/postgresql/converted.h"
#include "stores/postgresql/dialect.h"
#include "stores/postgresql/inside.h"
#include "stores/postgresql/likeness.h"
#include "stores/postgresql/notes.h"
#include "stores/postgresql/orphans.h"
#include "stores/postgresql/partitions.h"
#include "stores/postgresql/prerequisites.h"
#include "stores/postgresql/rehearsal.h"
#include "stores/postgresql/retype.h"
#include "stores/postgresql/rows.h"
#include "stores/postgresql/schema.h"
#include "stores/postgresql/swap.h"
#include "stores/postgresql/types.h"
#include "stores/postgresql/unreferring.h"

namespace whimbrel {

using namespace postgresql;  // NOLINT: this is the store's own namespace

namespace {

Error no_links() {
  return Error{ErrorCode::refused, "PostgreSQL keeps no two tables in step by links",
               "say `sync: capture`"};
}

// Two calls at the same moment may both find it missing.
Status make_claims(Connection& connection) {
  return connection.execute(
      "CREATE SCHEMA IF NOT EXISTS whimbrel; CREATE TABLE IF NOT EXISTS whimbrel.claims ("
      "migration text PRIMARY KEY, journal text NOT NULL, records bigint)");
}

// Before a server looks for a deadlock, with a tenth of that to spare.
Result<Milliseconds> longest_harmless_wait(Connection& connection) {
  ASSIGN_OR_RETURN(const auto rows,
                   connection.query("SELECT setting::bigint * 9 / 10 FROM pg_settings WHERE name = "
                                    "'deadlock_timeout'"));
  return Milliseconds(std::max<std::int64_t>(std::stoll(*rows.at(0).at(0)), 50));
}

}  // namespace

Result<std::shared_ptr<Store>> PostgresqlStore::open(Settings settings, Clock& clock) {
  auto sessions = std::make_shared<Sessions>(std::move(settings));
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions->take_first());
  ASSIGN_OR_RETURN(const auto version,
                   connection->query("SELECT current_setting('server_version_num')::integer"));
  constexpr int oldest = 140'000;  // ranges of hidden numbers, digests of rows
  if (std::stoi(*version.at(0).at(0)) < oldest) {
    return Error{ErrorCode::refused, "this server is older than PostgreSQL 14",
                 "move it to a newer version first"};
  }
  const std::string identity = "postgresql:" + connection->place();
  return std::shared_ptr<Store>(
      new PostgresqlStore(std::move(sessions), identity, clock));  // NOLINT: private
}

Capabilities PostgresqlStore::capabilities() const {
  Capabilities all;
  all.capture = true;
  all.inside = true;
  all.queries = true;
  all.locks_tables = true;
  all.keeps_copies = true;
  // Tables in any order only where foreign keys stand back.
  if (sessions_->may_write_as_replica()) all.writers_max = 2;
  all.logs = true;
  return all;
}

const Dialect* PostgresqlStore::dialect() const { return &postgresql::dialect(); }

Status PostgresqlStore::change(const std::function<Status(Connection&)>& work) const {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  return with_lock_retries(clock_, *connection, [&] { return work(*connection); });
}

Result<std::unique_ptr<SnapshotReader>> PostgresqlStore::open_reader(const TableSchema& table) {
  return make_reader(sessions_, table);
}

Result<std::unique_ptr<SnapshotReader>> PostgresqlStore::open_reader_of_one_moment(
    const TableSchema& table) {
  return make_reader_of_one_moment(sessions_, table);
}

Result<std::unique_ptr<BatchWriter>> PostgresqlStore::open_writer(
    const TableSchema& table, const std::vector<std::string>& columns) {
  std::unique_ptr<Connection> first;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = first_.find(table.name); it != first_.end()) {
      first = std::move(*it->second).give_away();
      first_.erase(it);
    }
  }
  return make_writer(sessions_, table, columns, std::move(first));
}

bool PostgresqlStore::reaches(const Store& source) const {
  return dynamic_cast<const PostgresqlStore*>(&source) != nullptr;
}

bool PostgresqlStore::copies_inside(const Mapping& mapping, const Store& source) const {
  if (this == &source) return can_copy_inside(mapping);
  return reaches(source) && can_copy_between(mapping);
}

bool PostgresqlStore::takes_what_review_passes(const Mapping& mapping, const Store& source) const {
  if (!copies_inside(mapping, source) || !converts_all(mapping)) return false;
  if (this == &source) return true;
  // On another server a type of the same name may be another one, and so may the encoding.
  const bool has_own_types = std::ranges::any_of(mapping.target.columns, [](const auto& column) {
    return type_of(column.declared).is == TypeClass::other;
  });
  const std::string encoding = sessions_->encoding();
  return !has_own_types && !encoding.empty() && encoding != "SQL_ASCII" &&
         encoding == dynamic_cast<const PostgresqlStore&>(source).sessions_->encoding();
}

Result<std::unique_ptr<InsideCopier>> PostgresqlStore::open_inside(const Mapping& mapping,
                                                                   const Store& source) {
  if (this == &source) return make_inside(sessions_, mapping, limits_, clock_);
  const auto& from = dynamic_cast<const PostgresqlStore&>(source);
  return make_between(from.sessions_, sessions_, mapping, limits_, clock_);
}

Status PostgresqlStore::claim(const std::string& migration, const std::string& journal) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  TRY(make_claims(*connection));
  TRY(
      connection->run("INSERT INTO whimbrel.claims (migration, journal) VALUES ($1, $2) ON "
                      "CONFLICT DO NOTHING",
                      {migration, journal}));
  ASSIGN_OR_RETURN(
      const auto rows,
      connection->query("SELECT journal FROM whimbrel.claims WHERE migration = $1", {migration}));
  if (!rows.empty() && rows[0][0] == journal) return {};
  return Error{ErrorCode::conflict, "another journal drives " + migration + " in " + identity_,
               "go on from its state folder, or roll back there first"};
}

Result<std::string> PostgresqlStore::claimed_by(const std::string& migration) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  ASSIGN_OR_RETURN(const bool any, has_own(*connection, "claims"));
  if (!any) return std::string();
  ASSIGN_OR_RETURN(
      const auto rows,
      connection->query("SELECT journal FROM whimbrel.claims WHERE migration = $1", {migration}));
  return rows.empty() ? std::string() : *rows[0][0];
}

Status PostgresqlStore::mark(const std::string& migration, const std::string& journal,
                             std::int64_t records) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  const auto marked = connection->run(
      "UPDATE whimbrel.claims SET records = $3::bigint WHERE migration = $1 AND journal = $2",
      {migration, journal, std::to_string(records)});
  return marked.ok() ? Status() : Status(marked.error());
}

Result<std::optional<std::int64_t>> PostgresqlStore::marked(const std::string& migration,
                                                            const std::string& journal) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  ASSIGN_OR_RETURN(const bool any, has_own(*connection, "claims"));
  if (!any) return std::optional<std::int64_t>();
  ASSIGN_OR_RETURN(const auto rows,
                   connection->query("SELECT records FROM whimbrel.claims WHERE migration = $1 AND "
                                     "journal = $2 AND records IS NOT NULL",
                                     {migration, journal}));
  if (rows.empty()) return std::optional<std::int64_t>();
  return std::optional(std::int64_t{std::stoll(*rows[0][0])});
}

Status PostgresqlStore::disown(const std::string& migration, const std::string& journal) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  ASSIGN_OR_RETURN(const bool any, has_own(*connection, "claims"));
  if (any) {
    TRY(connection->run("DELETE FROM whimbrel.claims WHERE migration = $1 AND journal = $2",
                        {migration, journal}));
  }
  // A foreign key that some row breaks even now stays as it is: in force for new rows.
  {
    ASSIGN_OR_RETURN(const auto patient, sessions_->open());
    TRY(patient->patience(Milliseconds(0), sessions_->settings().lock_timeout));
    (void)with_lock_retries(clock_, *patient, [&] { return prove_references(*patient, "0"); }).ok();
  }
  return tidy_up(*connection);
}

namespace {

// Two schemas may have a table of one name.
std::string copy_name(const TableName& table) {
  const bool is_plain = table.schema.empty() || table.schema == "public";
  return is_plain ? table.table : table.schema + "." + table.table;
}

}  // namespace

// Both are read in one transaction that sees one moment, so that what is compared is what was
// copied. Only what has no digest of its own is compared as text.
Result<std::int64_t> PostgresqlStore::keep_copy(const std::string& table,
                                                const std::string& schema) {
  ASSIGN_OR_RETURN(const auto connection, sessions_->open());
  TRY(connection->patience(Milliseconds(0), sessions_->settings().lock_timeout));
  ASSIGN_OR_RETURN(const Place place, place_of(*connection, table));
  const std::string copy = quoted({schema, copy_name(place.name)});
  const std::string mark = "whimbrel: a copy of " + spelled(place.name);
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::begin(*connection, "ISOLATION LEVEL REPEATABLE READ"));
  TRY(connection->execute("CREATE SCHEMA IF NOT EXISTS " + quote_name(schema)));
  ASSIGN_OR_RETURN(const auto there,
                   connection->query("SELECT obj_description(to_regclass($1), 'pg_class'), "
                                     "to_regclass($1) IS NOT NULL",
                                     {copy}));
  if (there.at(0).at(1) == "t") {
    if (there.at(0).at(0) != mark) {
      return Error{ErrorCode::refused, "there is a table " + copy + " that is no copy of ours",
                   "name another schema for the backup, or move it away"};
    }
    TRY(connection->execute("DROP TABLE " + copy));  // of an earlier attempt
  }
  TRY(connection->execute(fmt::format("CREATE TABLE {} AS TABLE {}", copy, place.sql())));
  TRY(connection->execute(fmt::format("COMMENT ON TABLE {} IS {}", copy, quote_text(mark))));
  const auto digest = [](const std::string& of) {
    return fmt::format("SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {} t",
                       of);
  };
  ASSIGN_OR_RETURN(const auto before, connection->query(digest(place.sql())));
  ASSIGN_OR_RETURN(const auto after, connection->query(digest(copy)));
  if (before != after) {
    return Error{ErrorCode::data_mismatch, "the copy of " + table + " is not equal to it"};
  }
  TRY(transaction.commit());
  return std::int64_t{std::stoll(*after.at(0).at(0))};
}

Status PostgresqlStore::drop_copies(const std::vector<std::string>& tables,
                                    const std::string& schema) {
  return change([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(connection));
    for (const std::string& table : tables) {
      TRY(connection.execute("DROP TABLE IF EXISTS " +
                             quoted({schema, copy_name(split_name(table))})));
    }
    ASSIGN_OR_RETURN(
        const auto left,
        connection.query("SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON "
                         "n.oid = c.relnamespace WHERE n.nspname = $1)",
                         {schema}));
    if (left.at(0).at(0) == "f") {
      TRY(connection.execute("DROP SCHEMA IF EXISTS " + quote_name(schema)));
    }
    return transaction.commit();
  });
}

Status PostgresqlStore::log(const std::string& table, const LogLine& line) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  TableName name = split_name(table);
  if (name.schema.empty()) name.schema = "public";
  TRY(connection->execute(fmt::format(
      "CREATE TABLE IF NOT EXISTS {} (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, "
      "operation text NOT NULL, status text NOT NULL, message text, started_at timestamptz NOT "
      "NULL "
      "DEFAULT now(), completed_at timestamptz)",
      quoted(name))));
  const Cells values = {line.operation, line.status, line.message, to_iso8601(line.started),
                        line.completed ? Cell(to_iso8601(*line.completed)) : Cell()};
  ASSIGN_OR_RETURN(
      const std::int64_t ended,
      connection->run(fmt::format("UPDATE {} SET status = $2, message = $3, completed_at = "
                                  "$4::timestamptz WHERE operation = $1 AND completed_at IS NULL",
                                  quoted(name)),
                      {values[0], values[1], values[2], values[4]}));
  if (ended > 0) return {};
  const auto made = connection->run(
      fmt::format("INSERT INTO {} (operation, status, message, started_at, completed_at) VALUES "
                  "($1, $2, $3, $4::timestamptz, $5::timestamptz)",
                  quoted(name)),
      values);
  return made.ok() ? Status() : Status(made.error());
}

// By name, of our schema.
constexpr const char* own_tables =
    "^(claims|orphans(_.*)?|own|referring|respelled|retyped(_parts)?|spellings(_.*)?|to_enable|to_"
    "settle|"
    "log_.*)$";

// Our schema goes with the last that needs it.
Status PostgresqlStore::tidy_up(Connection& connection) const {
  TRY(drop_new_tables_of_none(connection));
  for (const char* table : {"retyped", "claims"}) {
    ASSIGN_OR_RETURN(const bool there, has_own(connection, table));
    if (!there) continue;
    ASSIGN_OR_RETURN(const auto rows, connection.query(fmt::format(
                                          "SELECT EXISTS (SELECT FROM whimbrel.{})", table)));
    if (rows.at(0).at(0) == "t") return {};
  }
  ASSIGN_OR_RETURN(const auto logs,
                   connection.query("SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = "
                                    "'whimbrel' AND tablename LIKE 'log\\_%')"));
  if (logs.at(0).at(0) == "t") return {};
  ASSIGN_OR_RETURN(
      const auto schemas,
      connection.query("SELECT quote_ident(n.nspname) FROM pg_namespace n WHERE "
                       "n.nspname ~ '^whimbrel_(new|old)_' AND NOT EXISTS (SELECT FROM "
                       "pg_class c WHERE c.relnamespace = n.oid)"));
  for (const Cells& schema : schemas) TRY(connection.execute("DROP SCHEMA " + *schema[0]));
  // Somebody may have had a schema of that name before us, or have made something of his in ours.
  ASSIGN_OR_RETURN(
      const auto kept,
      connection.query(
          "SELECT format('DROP %s whimbrel.%I', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' "
          "END, c.relname), c.relname ~ $1 FROM pg_class c WHERE c.relnamespace = "
          "to_regnamespace('whimbrel') AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 2",
          {own_tables}));
  const bool is_shared = std::ranges::any_of(kept, [](const Cells& row) { return row[1] == "f"; });
  if (!is_shared) return connection.execute("DROP SCHEMA IF EXISTS whimbrel CASCADE");
  for (const Cells& row : kept) {
    if (row[1] == "t") TRY(connection.execute(*row[0]));
  }
  return {};
}

// In a transaction that is rolled back.
Result<std::string> PostgresqlStore::self_test(const Mapping& mapping, bool,
                                               const Row& source_row) {
  ASSIGN_OR_RETURN(const Row image, map_row(mapping, source_row));
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  ASSIGN_OR_RETURN(const Place place, place_of(*connection, mapping.target.name));
  {
    ASSIGN_OR_RETURN(const Transaction transaction, Transaction::begin(*connection));
    TRY(write_as_own(*connection, *sessions_, place.sql()));
    std::vector<std::string> columns;
    std::vector<std::string> marks;
    Cells values;
    for (const ColumnRule& rule : mapping.forward) {
      const auto at = static_cast<std::size_t>(rule.index);
      ASSIGN_OR_RETURN(const Value value, settle(mapping.target.columns[at], image[at]));
      ASSIGN_OR_RETURN(Cell cell, cell_of(value));
      values.push_back(std::move(cell));
      columns.push_back(rule.column);
      marks.push_back(
          fmt::format("${}::text::{}", values.size(), mapping.target.columns[at].declared));
    }
    const Result<std::vector<Cells>> made =
        connection->query(fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({}) ON "
                                      "CONFLICT ({}) DO NOTHING RETURNING ctid",
                                      place.sql(), name_list(columns), join(marks, ", "),
                                      name_list(mapping.target.key)),
                          values);
    if (!made.ok()) return with_missing_right(made.error(), *connection, *sessions_);
    if (!made.value().empty()) {
      TRY(connection->run(fmt::format("DELETE FROM {} WHERE ctid = $1::tid", place.sql()),
                          {made.value()[0][0]}));
    }
  }
  return std::string("insert, delete");
}

namespace {

// A plan's own query is understood as its author's session would.
Result<Transaction> begin_as_the_role(Connection& connection) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(connection, "READ ONLY"));
  TRY(connection.query("SELECT set_config('search_path', $1, true)", {connection.search_path()}));
  return transaction;
}

}  // namespace

Status PostgresqlStore::understands(const std::string& query) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  ASSIGN_OR_RETURN(const Transaction transaction, begin_as_the_role(*connection));
  return connection->understands(query);
}

Result<Value> PostgresqlStore::ask(const std::string& query) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  ASSIGN_OR_RETURN(const Transaction transaction, begin_as_the_role(*connection));
  ASSIGN_OR_RETURN(const Answer answer, connection->ask(query, {}));
  if (PQnfields(answer.get()) != 1 || PQntuples(answer.get()) != 1) {
    return Error{ErrorCode::refused,
                 "the query gives not exactly one value: " + printable(query, 200)};
  }
  return value_at(answer.get(), 0, 0);
}

Result<RoomTaken> PostgresqlStore::room_taken(const TableSchema& table) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  ASSIGN_OR_RETURN(const Place place, place_of(*connection, table.name));
  ASSIGN_OR_RETURN(
      const auto rows,
      connection->query("SELECT sum(pg_table_size(t)), sum(pg_indexes_size(t)), "
                        "(SELECT count(*) FROM pg_index WHERE indrelid = $1::oid) FROM "
                        "(SELECT $1::oid UNION SELECT relid::oid FROM "
                        "pg_partition_tree($1::oid::regclass)) x(t)",
                        {place.oid}));
  RoomTaken room;
  room.table_bytes = std::stoll(*rows.at(0).at(0));
  room.index_bytes = std::stoll(*rows.at(0).at(1));
  room.indexes = std::stoll(*rows.at(0).at(2));
  return room;
}

// While a retype is under way a table may be called otherwise than it is known.
std::string PostgresqlStore::sql_name(const std::string& table) {
  const Result<ConnectionPtr> connection = sessions_->take();
  const Result<Place> place =
      connection.ok() ? place_of(*connection.value(), table) : Result<Place>(connection.error());
  return place.ok() ? place.value().sql() : quoted(split_name(table));
}

// ---------------------------------------------------------------- Catalog

Result<std::vector<std::string>> PostgresqlStore::tables() {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  ASSIGN_OR_RETURN(const auto rows,
                   connection->query(
                       "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = "
                       "c.relnamespace WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND "
                       "n.nspname NOT IN ('pg_catalog', 'information_schema', 'whimbrel') AND "
                       "n.nspname !~ '^(pg_toast|pg_temp|whimbrel_(new|old)_)' ORDER BY 1, 2"));
  std::vector<std::string> names;
  for (const Cells& row : rows) names.push_back(spelled({*row[0], *row[1]}));
  return names;
}

Result<std::string> PostgresqlStore::usual_schema() {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  ASSIGN_OR_RETURN(const std::string schema, postgresql::schema_of(*connection, {"", "t"}));
  std::string prefix = spelled({schema, "t"});
  prefix.pop_back();
  return prefix;
}

Result<TableSchema> PostgresqlStore::describe(const std::string& table) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  return postgresql::describe(*connection, table);
}

// Made, described, and rolled back.
namespace {

// A schema that is there for the length of a transaction that is rolled back.
std::string parsed_schema(const std::string& schema) {
  return "whimbrel_parsed_" + short_digest(schema);
}

bool is_of_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '$' || c == '"' || c == '.';
}

// A text that says its table's schema makes it there all the same: not where one may be already.
std::string to_be_parsed(std::string ddl, const TableName& name) {
  const std::string elsewhere =
      quote_name(parsed_schema(name.schema)) + "." + quote_name(name.table);
  std::vector<std::string> ways;
  for (const std::string& schema : {quote_name(name.schema), name.schema}) {
    for (const std::string& table : {quote_name(name.table), name.table}) {
      ways.push_back(schema + "." + table);
    }
  }
  for (const std::string& written : ways) {
    for (std::size_t at = ddl.find(written); at != std::string::npos;) {
      const std::size_t end = at + written.size();
      const bool is_whole =
          (at == 0 || !is_of_name(ddl[at - 1])) && (end == ddl.size() || !is_of_name(ddl[end]));
      if (is_whole) ddl.replace(at, written.size(), elsewhere);
      at = ddl.find(written, at + (is_whole ? elsewhere.size() : written.size()));
    }
  }
  return ddl;
}

// `schema`, in `as_said` as the server quotes it: what it says of the table later reads the same.
std::string in_schema(std::string ddl, const std::string& schema, const std::string& as_said) {
  const std::string name = parsed_schema(schema);
  for (const std::string& parsed : {quote_name(name), name}) {
    ddl = with_replaced(std::move(ddl), parsed + ".", as_said + ".");
  }
  return ddl;
}

// Names a table that is made by the same plan, and not there yet.
constexpr const char* no_such_table = "42P01";
constexpr const char* no_such_type = "42704";

Status with_parse_hint(const Connection& connection, Status made) {
  if (made.ok()) return made;
  const std::string& state = connection.sqlstate();
  Error error = std::move(made).error();
  if (state == no_such_type) {
    error.hint = "types, and functions of defaults and checks, are made by hand before the tables";
  } else if (state == no_such_table) {
    error.hint = "make it first, or move it in the same plan";
  }
  return error;
}

}  // namespace

// Other tables of the plan may be referred to: as far as their texts are known they are made first,
// without what they refer to themselves where that is not there.
Status PostgresqlStore::make_parsed(Connection& connection, const std::string& ddl,
                                    const TableName& name) {
  std::vector<std::pair<TableName, std::string>> known;
  {
    const std::lock_guard lock(mutex_);
    known = parsed_;
  }
  std::erase_if(known, [&](const auto& one) {
    return one.first.schema == name.schema && one.first.table == name.table;
  });
  std::string text = to_be_parsed(ddl, name);
  // Referring to a table that serves would lock it for a moment.
  const bool may_refer = ascii_lower(ddl).find("references") != std::string::npos;
  if (known.empty() || !may_refer) {
    TRY(connection.execute("SAVEPOINT whimbrel_parse"));
    const Status alone = connection.execute(text);
    if (alone.ok() || connection.sqlstate() != no_such_table) {
      return with_parse_hint(connection, alone);
    }
    TRY(connection.execute("ROLLBACK TO SAVEPOINT whimbrel_parse"));
  }
  std::set<std::string> made = {name.schema};
  for (const auto& [other, other_ddl] : known) {
    if (made.insert(other.schema).second) {
      TRY(connection.execute("CREATE SCHEMA " + quote_name(parsed_schema(other.schema))));
    }
    const auto looks_into = [&](const std::string& schema) {
      return connection.execute(fmt::format("SET LOCAL search_path = {}, {}, pg_catalog",
                                            quote_name(parsed_schema(schema)), quote_name(schema)));
    };
    TRY(looks_into(other.schema));
    std::string other_text = other_ddl;
    for (const auto& [any, unused] : known) other_text = to_be_parsed(std::move(other_text), any);
    for (const std::string& as : {other_text, without_foreign_keys(other_text)}) {
      TRY(connection.execute("SAVEPOINT whimbrel_parse"));
      if (connection.execute(as).ok()) break;
      TRY(connection.execute("ROLLBACK TO SAVEPOINT whimbrel_parse"));
    }
    text = to_be_parsed(std::move(text), other);
    TRY(looks_into(name.schema));
  }
  return with_parse_hint(connection, connection.execute(text));
}

// The table may be there already: so it is made where nobody else has one.
Result<TableSchema> PostgresqlStore::parse(const std::string& ddl, const std::string& table) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  std::optional<TableSchema> parsed;
  TRY(with_lock_retries(clock_, *connection, [&]() -> Status {
    ASSIGN_OR_RETURN(parsed, parse_once(*connection, ddl, table));
    return {};
  }));
  return *std::move(parsed);
}

Result<TableSchema> PostgresqlStore::parse_once(Connection& connection, const std::string& ddl,
                                                const std::string& table) {
  ASSIGN_OR_RETURN(const Transaction transaction, Transaction::begin(connection));
  const TableName name = split_name(table);
  ASSIGN_OR_RETURN(const std::string schema, schema_of(connection, name));
  ASSIGN_OR_RETURN(const auto there,
                   connection.query("SELECT FROM pg_namespace WHERE nspname = $1", {schema}));
  if (there.empty() && ascii_lower(ddl).find("create schema") == std::string::npos) {
    return Error{ErrorCode::not_found, "there is no schema " + printable(schema),
                 "make it first: CREATE SCHEMA " + quote_name(schema)};
  }
  TRY(connection.execute(
      fmt::format("CREATE SCHEMA {0}; SET LOCAL search_path = {0}, {1}, pg_catalog",
                  quote_name(parsed_schema(schema)), quote_name(schema))));
  {
    // Also when it cannot be read yet: the next may refer to it.
    const std::lock_guard lock(mutex_);
    std::erase_if(parsed_, [&](const auto& one) {
      return one.first.schema == schema && one.first.table == name.table;
    });
    parsed_.emplace_back(TableName{schema, name.table}, ddl);
  }
  TRY(make_parsed(connection, ddl, {schema, name.table}));
  TRY(connection.execute("SET LOCAL search_path = pg_catalog"));
  Result<TableSchema> made =
      postgresql::describe(connection, spelled({parsed_schema(schema), name.table}));
  const bool says_its_schema = !made.ok() && made.error().code == ErrorCode::not_found;
  if (says_its_schema) made = postgresql::describe(connection, spelled({schema, name.table}));
  if (!made.ok()) return made;
  TableSchema parsed = std::move(made).value();
  ASSIGN_OR_RETURN(const auto quoted_schema, connection.query("SELECT quote_ident($1)", {schema}));
  const std::string& in = *quoted_schema.at(0).at(0);
  parsed.name = spelled({schema, name.table});
  parsed.create_ddl = in_schema(std::move(parsed.create_ddl), schema, in);
  parsed.key_index_ddl = in_schema(std::move(parsed.key_index_ddl), schema, in);
  for (std::string& index : parsed.index_ddl) index = in_schema(std::move(index), schema, in);
  const std::lock_guard lock(mutex_);
  for (ForeignKey& key : parsed.foreign_keys) {
    TableName parent = split_name(key.parent);
    if (parent.schema == parsed_schema(schema)) {
      parent.schema = schema;
    } else {
      const auto known = std::ranges::find_if(parsed_, [&](const auto& one) {
        return parsed_schema(one.first.schema) == parent.schema;
      });
      if (known == parsed_.end()) continue;
      parent.schema = known->first.schema;
    }
    key.parent = spelled(parent);
  }
  parsed.reference_ddl =
      references_of(parsed, parsed.name, [](const ForeignKey& key) { return key.parent; });
  return parsed;
}

Result<TableSchema> PostgresqlStore::sketch(
    const std::string& table, const std::vector<std::pair<std::string, Value>>& key,
    const std::vector<std::pair<std::string, Value>>& others) {
  std::vector<std::string> columns;
  std::vector<std::string> keys;
  const auto add = [&](const auto& pairs, const char* constraint) {
    for (const auto& [name, value] : pairs) {
      const char* type = value.kind() == Kind::int64     ? "bigint"
                         : value.kind() == Kind::boolean ? "boolean"
                         : value.kind() == Kind::real    ? "double precision"
                         : value.kind() == Kind::json    ? "jsonb"
                                                         : "text";
      columns.push_back(fmt::format("{} {}{}", quote_name(name), type, constraint));
    }
  };
  add(key, " NOT NULL");
  add(others, "");
  for (const auto& [name, value] : key) keys.push_back(name);
  return parse(fmt::format("CREATE TABLE {} ({}, PRIMARY KEY ({}))", quoted(split_name(table)),
                           join(columns, ", "), name_list(keys)),
               table);
}

Result<std::string> PostgresqlStore::ddl_like(const TableSchema& table, const std::string& name) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  const std::lock_guard lock(mutex_);
  return postgresql::ddl_like(*connection, table, name, promised_);
}

Result<std::vector<Prerequisite>> PostgresqlStore::needs(const TableSchema& table) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  return postgresql::needs(*connection, table.name);
}

Result<bool> PostgresqlStore::has(const Prerequisite& what) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  ASSIGN_OR_RETURN(const auto rows, connection->query(what.there));
  return rows.at(0).at(0) == "t";
}

std::vector<std::string> PostgresqlStore::references_like(
    const TableSchema& table, const std::string& name,
    const std::function<std::string(const ForeignKey&)>& parent_here) const {
  return references_of(table, name, parent_here);
}

Result<std::int64_t> PostgresqlStore::last_number(const std::string& table) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  return postgresql::last_number(*connection, table);
}

Status PostgresqlStore::raise_number(const std::string& table, std::int64_t number) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  return postgresql::raise_number(*connection, table, number);
}

Status PostgresqlStore::put_number_back(const std::string& table, std::int64_t number) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  return postgresql::put_number_back(*connection, table, number);
}

Result<std::string> PostgresqlStore::birth_of(const std::string& table) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  ASSIGN_OR_RETURN(const postgresql::Place place, postgresql::place_of(*connection, table));
  const auto rows = connection->query(
      "SELECT format('%s.%s', (SELECT system_identifier FROM pg_control_system()), oid) FROM "
      "pg_database WHERE datname = current_database()");
  if (!rows.ok() || rows.value().empty()) return std::string();  // who may not ask does not know
  return rows.value().front()[0].value_or("") + "/" + place.oid;
}

Result<std::vector<Dangling>> PostgresqlStore::dangling(const std::string& table) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  return postgresql::dangling(*connection, table);
}

Result<Value> PostgresqlStore::settle(const ColumnSchema& column, Value value) const {
  ASSIGN_OR_RETURN(std::optional<Value> known, settled(column, value));
  if (known) return *std::move(known);
  ASSIGN_OR_RETURN(const Cell cell, cell_of(value));
  const std::string asked = column.declared + '\0' + cell.value_or("");
  {
    const std::lock_guard lock(settled_mutex_);
    if (const auto it = settled_.find(asked); it != settled_.end()) return it->second;
  }
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  // A cast rounds, and cuts off, what has too many digits or characters; a REAL is meant to be.
  const std::string unbound = value.kind() == Kind::real ? "" : unbound_type(*connection, column);
  const std::string is_whole =
      unbound.empty() ? "true"
                      : fmt::format("$1::text::{0}::{1} IS NOT DISTINCT FROM $1::text::{1}",
                                    column.declared, unbound);
  const auto rows =
      // As its output function says it: a cast of inet to text would add a mask.
      connection->query(
          fmt::format("SELECT format('%s', $1::text::{}), {}", column.declared, is_whole), {cell});
  if (rows.ok() && rows.value().at(0).at(1) == "f") {
    return Error{ErrorCode::refused,
                 fmt::format("`{}` is {} and would hold {} for {}", column.name, column.declared,
                             printable(rows.value()[0][0].value_or("null")), show(value))};
  }
  if (rows.ok()) {
    Value said = value_of(type_of(column.declared), rows.value().at(0).at(0));
    remember_settled(asked, said);
    return said;
  }
  if (rows.error().code == ErrorCode::unavailable) return rows.error();
  return Error{ErrorCode::refused, fmt::format("`{}` is {} and cannot hold {}", column.name,
                                               column.declared, show(value))};
}

// The type of a column without what bounds its values, where that can be compared with it; "" else.
std::string PostgresqlStore::unbound_type(Connection& connection,
                                          const ColumnSchema& column) const {
  {
    const std::lock_guard lock(settled_mutex_);
    if (const auto it = unbound_.find(column.declared); it != unbound_.end()) return it->second;
  }
  std::string type;
  const auto rows = connection.query(fmt::format(
      "WITH RECURSIVE d(oid) AS (SELECT pg_typeof(NULL::{})::oid UNION ALL SELECT t.typbasetype "
      "FROM pg_type t JOIN d ON d.oid = t.oid WHERE t.typtype = 'd') SELECT format_type(t.oid, -1) "
      "FROM d JOIN pg_type t ON t.oid = d.oid WHERE t.typtype <> 'd'",
      column.declared));
  if (rows.ok() && rows.value().size() == 1 && rows.value()[0][0]) type = *rows.value()[0][0];
  const bool compares =
      !type.empty() &&
      connection.query(fmt::format("SELECT NULL::{0} IS NOT DISTINCT FROM NULL::{0}", type)).ok();
  if (!compares) type.clear();
  const std::lock_guard lock(settled_mutex_);
  return unbound_.emplace(column.declared, type).first->second;
}

void PostgresqlStore::remember_settled(const std::string& asked, const Value& said) const {
  constexpr std::size_t length_max = 200;
  constexpr std::size_t known_max = 10'000;
  if (asked.size() > length_max) return;
  const std::lock_guard lock(settled_mutex_);
  if (settled_.size() >= known_max) settled_.clear();
  settled_.emplace(asked, said);
}

namespace {
// Within the caller's transaction.
Status make_table(Connection& connection, const TableSchema& schema, bool with_indexes) {
  const TableName name = split_name(schema.name);
  if (!name.schema.empty()) {
    TRY(connection.execute("SET LOCAL search_path = " + quote_name(name.schema) + ", pg_catalog"));
  } else {
    TRY(connection.query("SELECT set_config('search_path', $1, true)", {connection.search_path()}));
  }
  TRY(connection.execute(schema.create_ddl));
  if (!schema.key_index_ddl.empty()) TRY(connection.execute(schema.key_index_ddl));
  if (!with_indexes) return {};
  for (const std::string& ddl : schema.index_ddl) TRY(connection.execute(ddl));
  return {};
}
}  // namespace

Status PostgresqlStore::create(const TableSchema& schema, bool with_indexes) {
  if (!schema.reference_ddl.empty() && !sessions_->may_write_as_replica()) {
    return Error{ErrorCode::refused,
                 "this role cannot carry rows over in an order of their own, and " + schema.name +
                     " is to have foreign keys",
                 "GRANT SET ON PARAMETER session_replication_role TO it (from PostgreSQL 15), use "
                 "a superuser, or give a file without REFERENCES in `create:`"};
  }
  return change([&](Connection& connection) -> Status {
    const Result<Place> there = place_of(connection, schema.name);
    if (there.ok()) return {};
    if (there.error().code != ErrorCode::not_found) return there.error();
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(connection));
    TRY(make_table(connection, schema, with_indexes));
    return transaction.commit();
  });
}

// The table's own text says it, or, where it is to be made, a table that is made and taken back.
Result<std::unique_ptr<Rehearsal>> PostgresqlStore::rehearse(const Mapping& mapping,
                                                             bool with_others) {
  Demands demands;
  {
    ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
    ASSIGN_OR_RETURN(const Transaction transaction, Transaction::begin(*connection));
    Result<Place> place = place_of(*connection, mapping.target.name);
    if (!place.ok()) {
      if (place.error().code != ErrorCode::not_found) return place.error();
      if (!make_table(*connection, mapping.target, true).ok()) return std::unique_ptr<Rehearsal>();
      TRY(connection->execute("SET LOCAL search_path = pg_catalog"));
      place = place_of(*connection, mapping.target.name);
      if (!place.ok()) return place.error();
    }
    ASSIGN_OR_RETURN(demands, demands_of(*connection, place.value().sql(), mapping, with_others));
  }
  if (!demands.has_checks && demands.unique_ddl.empty()) return std::unique_ptr<Rehearsal>();
  ASSIGN_OR_RETURN(auto connection, sessions_->open());
  TRY(connection->patience(Milliseconds(0), sessions_->settings().lock_timeout));
  return make_rehearsal(std::move(connection), demands, mapping);
}

namespace {
// Of an index, or of a constraint that has one.
bool is_there_already(const std::string& sqlstate) {
  return sqlstate == "42P07" || sqlstate == "42710" || sqlstate == "42P16";
}
}  // namespace

Status PostgresqlStore::create_index(const std::string& ddl) {
  ASSIGN_OR_RETURN(const auto connection, sessions_->open());
  TRY(connection->patience(Milliseconds(0), sessions_->settings().lock_timeout));
  return with_lock_retries(clock_, *connection, [&]() -> Status {
    const Status made = connection->execute(ddl);
    return made.ok() || is_there_already(connection->sqlstate()) ? Status() : made;
  });
}

// So that whoever reads it first has figures to plan with.
Status PostgresqlStore::complete(const TableSchema& schema) {
  ASSIGN_OR_RETURN(const auto connection, sessions_->open());
  TRY(connection->patience(Milliseconds(0), sessions_->settings().lock_timeout));
  ASSIGN_OR_RETURN(const Place place, place_of(*connection, schema.name));
  TRY(with_lock_retries(clock_, *connection,
                        [&] { return connection->execute("ANALYZE " + place.sql()); }));
  return with_lock_retries(clock_, *connection, [&] { return refer(*connection, schema); });
}

namespace {
// Policies and rules of new tables that go as well; they are dropped one by one.
Status drop_what_reads_it(Connection& connection, const std::string& oid,
                          const std::vector<RetypedPair>& pairs) {
  Cells going;
  for (const RetypedPair& pair : pairs) {
    if (!pair.swapped && pair.target_oid != oid) going.emplace_back(pair.target_oid);
  }
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(
          "SELECT format('DROP POLICY %I ON %s', p.polname, p.polrelid::regclass) FROM pg_policy p "
          "WHERE p.polrelid = ANY ($2::oid[]) AND EXISTS (SELECT FROM pg_depend d WHERE d.classid "
          "= 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass AND "
          "d.refobjid = $1::oid) UNION ALL SELECT format('DROP RULE %I ON %s', r.rulename, "
          "r.ev_class::regclass) FROM pg_rewrite r WHERE r.ev_class = ANY ($2::oid[]) AND EXISTS "
          "(SELECT FROM pg_depend d WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid "
          "AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1::oid)",
          {oid, array_of(going)}));
  for (const Cells& row : rows) TRY(connection.execute(*row[0]));
  return {};
}
}  // namespace

Status PostgresqlStore::drop(const std::string& table) {
  TRY(change([&](Connection& connection) -> Status {
    const Result<Place> place = place_of(connection, table);
    if (!place.ok()) {
      return place.error().code == ErrorCode::not_found ? Status() : Status(place.error());
    }
    ASSIGN_OR_RETURN(const std::vector<RetypedPair> pairs, retyped_pairs(connection));
    const auto pair = std::ranges::find(pairs, table, &RetypedPair::target);
    if (pair != pairs.end() && pair->swapped) {
      return Error{ErrorCode::refused, pair->source + " is the new table now, and is not dropped",
                   "look at whimbrel.retyped before anything else", "both tables are there"};
    }
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(connection));
    TRY(stop_references_to(connection, place.value().oid));
    if (pair != pairs.end()) TRY(drop_what_reads_it(connection, place.value().oid, pairs));
    TRY(connection.execute("DROP TABLE " + place.value().sql()));
    if (pair != pairs.end()) TRY(forget_pair(connection, pair->source));
    return transaction.commit();
  }));
  sessions_->names_have_changed();
  if (!is_new_table(table)) return {};
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  return tidy_up(*connection);
}

Status PostgresqlStore::clear(const std::string& table) {
  return change([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(const Place place, place_of(connection, table));
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(connection));
    TRY(write_as_own(connection, *sessions_, place.sql()));
    TRY(stop_references_to(connection, place.oid));
    TRY(connection.execute("DELETE FROM " + place.sql()));
    return transaction.commit();
  });
}

Status PostgresqlStore::rename(const std::string& table, const std::string& to) {
  return change([&](Connection& connection) -> Status {
    const Result<Place> place = place_of(connection, table);
    if (!place.ok()) {
      const bool is_done = place.error().code == ErrorCode::not_found &&
                           place_of(connection, beside(table, to)).ok();
      return is_done ? Status() : Status(place.error());
    }
    return connection.execute(fmt::format("ALTER TABLE {} RENAME TO {}", place.value().sql(),
                                          quote_name(split_name(to).table)));
  });
}

// An old table stays in its schema when it is renamed.
std::string PostgresqlStore::beside(const std::string& table, const std::string& name) const {
  return spelled({split_name(table).schema, split_name(name).table});
}

namespace {
Error no_view() {
  return Error{ErrorCode::refused, "a view in the old table's place is not made in PostgreSQL",
               "leave `view` out"};
}

// Within the transaction that is open.
Status retire_all(Connection& connection, const std::vector<const Mapping*>& mappings,
                  const std::string& rename_to) {
  std::vector<std::string> gone;
  Cells going;
  ASSIGN_OR_RETURN(const std::vector<RetypedPair> pairs, retyped_pairs(connection));
  for (const Mapping* mapping : mappings) {
    // When it is done already, the old name is that of the table that serves.
    const bool is_retype = is_new_table(mapping->target.name);
    const auto pair = std::ranges::find(pairs, mapping->source.name, &RetypedPair::source);
    if (is_retype && (pair == pairs.end() || !pair->swapped)) continue;
    const Result<Place> place = place_of(connection, mapping->source.name);
    if (!place.ok() && place.error().code == ErrorCode::not_found) continue;
    if (!place.ok()) return place.error();
    if (rename_to.empty()) {
      gone.push_back(place.value().sql());
      going.emplace_back(place.value().oid);
    } else {
      const TableName now{place.value().name.schema, split_name(rename_to).table};
      const std::string known = split_name(mapping->source.name).schema;
      TRY(connection.execute(
          fmt::format("ALTER TABLE {} RENAME TO {}", place.value().sql(), quote_name(now.table))));
      if (now.schema != known && !known.empty()) {
        TRY(connection.execute(
            fmt::format("ALTER TABLE {} SET SCHEMA {}", quoted(now), quote_name(known))));
      }
    }
    if (is_retype) TRY(forget_pair(connection, mapping->source.name));
  }
  if (gone.empty()) return {};
  TRY(keep_sequences_of_others(connection, going));
  return connection.execute("DROP TABLE " + join(gone, ", "));
}
}  // namespace

Status PostgresqlStore::retire(const std::vector<const Mapping*>& mappings,
                               const std::string& rename_to, bool view) {
  if (view) return no_view();
  TRY(change([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(connection));
    TRY(retire_all(connection, mappings, rename_to));
    return transaction.commit();
  }));
  sessions_->names_have_changed();
  return {};
}

bool PostgresqlStore::name_is_taken(const std::string& name) { return describe(name).ok(); }

Status PostgresqlStore::revive(const std::string& table, const std::string& archived_as) {
  if (archived_as.empty() || describe(table).ok() || !describe(archived_as).ok()) return {};
  return rename(archived_as, table);
}

// ---------------------------------------------------------------- Capture

Result<std::string> PostgresqlStore::start(const std::string& feed,
                                           const std::vector<std::string>& tables) {
  TRY(change([&](Connection& connection) { return make_log(connection, feed); }));
  for (const std::string& table : tables) {
    ASSIGN_OR_RETURN(const TableSchema schema, describe(table));
    TRY(change([&](Connection& connection) { return make_trigger(connection, feed, schema); }));
  }
  return std::string(first_position);
}

Status PostgresqlStore::stop(const std::string& feed) {
  std::vector<std::string> oids;
  TRY(change([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(oids, watched_by(connection, feed));
    return {};
  }));
  for (const std::string& oid : oids) {
    TRY(change([&](Connection& connection) { return drop_trigger(connection, feed, oid); }));
  }
  {
    const std::lock_guard lock(mutex_);
    fed_.erase(feed);  // begun again, it may watch others
  }
  return change([&](Connection& connection) -> Status {
    TRY(drop_log(connection, feed));
    return tidy_up(connection);
  });
}

Result<bool> PostgresqlStore::feed_is_whole(const std::string& feed,
                                            const std::vector<std::string>& tables) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  ASSIGN_OR_RETURN(const bool log, has_log(*connection, feed));
  if (!log) return false;
  for (const std::string& table : tables) {
    const Result<Place> place = place_of(*connection, table);
    if (!place.ok() && place.error().code == ErrorCode::not_found) return false;
    if (!place.ok()) return place.error();
    ASSIGN_OR_RETURN(const bool there, has_trigger(*connection, feed, place.value().oid));
    if (!there) return false;
  }
  return true;
}

// Partitions that came and went are no rows that somebody has written.
Status PostgresqlStore::follow_partitions_of(const std::string& feed, const TableSchema& table) {
  return change([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(const std::vector<RetypedPair> pairs, retyped_pairs(connection));
    for (const RetypedPair& pair : pairs) {
      if ((pair.swapped ? pair.target : pair.source) != table.name) continue;
      ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(connection));
      ASSIGN_OR_RETURN(const std::vector<std::string> came, follow_partitions(connection, pair));
      for (const std::string& partition : came) {
        TRY(note_rows(connection, feed, table, partition));
      }
      TRY(transaction.commit());
    }
    return watch_partitions(connection, feed, table);
  });
}

Result<std::vector<TableSchema>> PostgresqlStore::tables_of(const std::string& feed) {
  {
    const std::lock_guard lock(mutex_);
    const auto it = fed_.find(feed);
    if (it != fed_.end() && !it->second.empty()) return it->second;
  }
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  ASSIGN_OR_RETURN(std::vector<TableSchema> tables, tables_noted(*connection, feed));
  const std::lock_guard lock(mutex_);
  return fed_[feed] = std::move(tables);
}

Status PostgresqlStore::keep_up(const std::string& feed) {
  ASSIGN_OR_RETURN(const std::vector<TableSchema> tables, tables_of(feed));
  for (const TableSchema& table : tables) {
    if (!table.partitioned_by.empty()) TRY(follow_partitions_of(feed, table));
  }
  return {};
}

Result<ChangeBatch> PostgresqlStore::read(const std::string& feed, const std::string& position,
                                          std::int64_t changes_max) {
  ASSIGN_OR_RETURN(const std::vector<TableSchema> tables, tables_of(feed));
  TRY(keep_up(feed));
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  return read_notes(*connection, feed, position, changes_max, tables);
}

Result<std::int64_t> PostgresqlStore::waiting(const std::string& feed,
                                              const std::string& position) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  return notes_waiting(*connection, feed, position);
}

Status PostgresqlStore::link(const std::vector<Link>&) { return no_links(); }
Result<OtherUse> PostgresqlStore::used_by_others(const Link&) { return OtherUse{}; }
Result<bool> PostgresqlStore::links_are_whole(const std::vector<Link>&) { return no_links(); }
Status PostgresqlStore::unlink(const std::vector<Link>&, PairSink&) { return no_links(); }
Status PostgresqlStore::cut(const std::vector<Link>&) { return no_links(); }
Result<std::vector<Row>> PostgresqlStore::written_on_new_side(const Link&) { return no_links(); }
Result<bool> PostgresqlStore::put_back(const Link& link, const Row& target_row,
                                       const std::vector<std::pair<std::string, Value>>& columns) {
  return put_back_by_writing(*this, *link.mapping, target_row, columns);
}

// ---------------------------------------------------------------- Holds

// Whoever has read a table that is to change places and then waits to write it keeps the exchange
// waiting, and the server ends one of two that wait for each other: after a while, so the hold ends
// before.
Status PostgresqlStore::hold(const std::vector<std::string>& tables, TimePoint until) {
  {
    const std::lock_guard lock(mutex_);
    hold_.reset();
  }
  {
    ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
    ASSIGN_OR_RETURN(const std::vector<RetypedPair> pairs, retyped_pairs(*connection));
    const bool will_change_places = std::ranges::any_of(pairs, [&](const RetypedPair& pair) {
      return std::ranges::count(tables, pair.swapped ? pair.target : pair.source) > 0;
    });
    if (will_change_places) {
      ASSIGN_OR_RETURN(const Milliseconds longest, longest_harmless_wait(*connection));
      until = std::min(until, clock_.now() + longest);
    }
  }
  bool is_first = false;
  {
    const std::lock_guard lock(mutex_);
    for (const std::string& table : tables) first_.erase(table);
    is_first = !first_.empty();
  }
  // An application that writes first and asks the switch then would wait for us as we for it.
  const TimePoint now = clock_.now();
  auto taken =
      Hold::take(*sessions_, tables, is_first ? now + (until - now) / 3 : until, until, clock_);
  if (!taken.ok() && is_first && taken.error().code == ErrorCode::unavailable) {
    {
      const std::lock_guard lock(mutex_);
      first_.clear();
    }
    taken = Hold::take(*sessions_, tables, until, until, clock_);
  }
  if (!taken.ok()) return taken.error();
  const std::lock_guard lock(mutex_);
  hold_ = std::move(taken).value();
  return {};
}

Status PostgresqlStore::go_first(const std::string& table, TimePoint until) {
  TRY(step_aside(table));  // of an attempt that failed
  // Whoever has it for longer keeps the switch waiting, and nobody else.
  const TimePoint now = clock_.now();
  ASSIGN_OR_RETURN(auto first, Hold::begin(*sessions_, now + (until - now) / 4, clock_));
  Connection& connection = first->connection();
  const Result<Place> place = place_of(connection, table);
  if (!place.ok() || !first->lock(tables_in({place.value().sql()}, "EXCLUSIVE")).ok()) return {};
  const Milliseconds left = until - clock_.now();
  TRY(connection.execute(fmt::format("SET LOCAL idle_in_transaction_session_timeout = {}",
                                     std::max<std::int64_t>(left.count(), 1))));
  const std::lock_guard lock(mutex_);
  first_[table] = std::move(first);
  return {};
}

Status PostgresqlStore::step_aside(const std::string& table) {
  const std::lock_guard lock(mutex_);
  first_.erase(table);
  return {};
}

Result<bool> PostgresqlStore::held(const std::vector<std::string>& tables) {
  const std::lock_guard lock(mutex_);
  return hold_ != nullptr && hold_->is_there() &&
         std::ranges::all_of(tables, [&](const auto& table) { return hold_->is_of(table); });
}

Status PostgresqlStore::release(const std::vector<std::string>& tables) {
  const std::lock_guard lock(mutex_);
  const bool holds_any = hold_ != nullptr && std::ranges::any_of(tables, [&](const auto& table) {
                           return hold_->is_of(table);
                         });
  if (holds_any) hold_.reset();
  return {};
}

Result<std::vector<std::string>> PostgresqlStore::transactions() {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  ASSIGN_OR_RETURN(
      const auto rows,
      connection->query("SELECT format('%s@%s', pid, xact_start) FROM pg_stat_activity WHERE "
                        "datname = current_database() AND backend_type = 'client backend' AND "
                        "xact_start IS NOT NULL AND pid <> pg_backend_pid() AND application_name "
                        "<> 'whimbrel'"));
  std::vector<std::string> all;
  for (const Cells& row : rows) all.push_back(row[0].value_or(""));
  return all;
}

// ---------------------------------------------------------------- Retyping

Result<std::vector<RetypedTable>> PostgresqlStore::tables(const std::vector<RetypedColumn>& columns,
                                                          const std::vector<std::string>& known) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  ASSIGN_OR_RETURN(std::vector<RetypedTable> all,
                   retyped_tables(*connection, *sessions_, columns, known));
  std::vector<std::string> names;
  for (const RetypedTable& one : all) names.push_back(one.source.name);
  const std::lock_guard lock(mutex_);
  together_.push_back(std::move(names));
  return all;
}

// What hangs on one of several tables that change places together.
Result<Dependents> PostgresqlStore::dependents_not_made_anew(Connection& connection,
                                                             const std::string& table) {
  std::vector<std::string> names = {table};
  {
    const std::lock_guard lock(mutex_);
    for (const auto& group : together_) {
      if (std::ranges::count(group, table) > 0) names = group;
    }
  }
  std::vector<std::string> oids;
  for (const std::string& name : names) {
    const Result<Place> place = place_of(connection, name);
    if (place.ok()) oids.push_back(place.value().oid);
  }
  ASSIGN_OR_RETURN(const Place place, place_of(connection, table));
  ASSIGN_OR_RETURN(Dependents own, dependents_of(connection, {place.oid}));
  ASSIGN_OR_RETURN(const Dependents all, dependents_of(connection, oids));
  // What lies between two of them is made anew with both.
  std::erase_if(own.refused,
                [&](const std::string& one) { return std::ranges::count(all.refused, one) == 0; });
  return own;
}

namespace {

Result<std::vector<RetypedPair>> pairs_with(Connection& connection,
                                            const std::vector<std::string>& sources) {
  ASSIGN_OR_RETURN(std::vector<RetypedPair> pairs, retyped_pairs(connection));
  std::erase_if(pairs, [&](const RetypedPair& pair) {
    return std::ranges::count(sources, pair.source) == 0;
  });
  return pairs;
}

}  // namespace

Result<std::optional<bool>> PostgresqlStore::swapped(const std::vector<std::string>& sources) {
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  ASSIGN_OR_RETURN(const auto pairs, pairs_with(*connection, sources));
  const auto swapped = std::ranges::count(pairs, true, &RetypedPair::swapped);
  if (swapped == 0) return std::optional(false);
  return swapped == std::ssize(pairs) ? std::optional(true) : std::optional<bool>();
}

Status PostgresqlStore::swap(const std::vector<std::string>& sources, bool back) {
  ASSIGN_OR_RETURN(const std::optional<bool> now, swapped(sources));
  if (now != !back) {
    std::unique_ptr<Hold> hold;
    {
      const std::lock_guard lock(mutex_);
      hold = std::move(hold_);
    }
    std::vector<RetypedPair> pairs;
    {
      ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
      ASSIGN_OR_RETURN(pairs, pairs_with(*connection, sources));
    }
    if (pairs.empty()) return {};
    if (hold == nullptr || !hold->is_there()) {
      return Error{ErrorCode::unavailable, "the writers are not held any more"};
    }
    const auto with_who = [&](Error error, std::vector<std::string> places) {
      for (const RetypedPair& pair : pairs) places.push_back(quoted(split_name(pair.source)));
      return naming_blockers(std::move(error), *sessions_, places, "ACCESS EXCLUSIVE");
    };
    hold->before_each_pause([&](Error error) {
      if (waiting_) waiting_(with_who(std::move(error), hold->asked_for()));
    });
    Status done = swap_tables(*hold, pairs, back, SwapFor::good);
    const bool kept_waiting = hold->was_kept_waiting();
    const std::vector<std::string> places = hold->asked_for();
    hold.reset();
    sessions_->names_have_changed();
    if (!done.ok() && kept_waiting) return with_who(std::move(done).error(), places);
    TRY(done);
  }
  // What is left to settle changes nothing about who serves: it is tried again before the end. A
  // server that comes back soon is waited for, and nobody is held meanwhile.
  constexpr Milliseconds away_max{10'000};
  Milliseconds pause{50};
  for (const TimePoint until = clock_.now() + away_max; clock_.now() < until;) {
    const Status settled = settle_the_rest(sources);
    if (settled.ok() || settled.error().code != ErrorCode::unavailable) break;
    clock_.sleep_for(pause);
    pause = std::min(pause * 2, Milliseconds(2000));
  }
  return {};
}

Status PostgresqlStore::settle_the_rest(const std::vector<std::string>& sources) {
  ASSIGN_OR_RETURN(const auto connection, sessions_->open());
  TRY(connection->patience(Milliseconds(0), sessions_->settings().lock_timeout));
  return with_lock_retries(clock_, *connection,
                           [&] { return settle_after_swap(*connection, sources); });
}

Status PostgresqlStore::try_swap(const std::vector<std::string>& sources,
                                 const std::vector<std::string>& index_ddl) {
  std::vector<RetypedPair> pairs;
  {
    ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
    ASSIGN_OR_RETURN(pairs, pairs_with(*connection, sources));
  }
  std::erase_if(pairs, [](const RetypedPair& pair) { return pair.swapped; });
  if (pairs.empty()) return {};
  constexpr Milliseconds at_most{10'000};
  // A lock taken here and raised later would keep a transaction waiting that has read and wants to
  // write, and be kept waiting by it.
  ASSIGN_OR_RETURN(const auto hold, Hold::begin(*sessions_, clock_.now() + at_most, clock_));
  for (const std::string& ddl : index_ddl) {
    TRY(hold->connection().execute("SAVEPOINT whimbrel_index"));
    const Status made = hold->connection().execute(ddl);
    const bool there = is_there_already(hold->connection().sqlstate());
    if (!made.ok() && !there) return made;
    TRY(hold->connection().execute(made.ok() ? "RELEASE whimbrel_index"
                                             : "ROLLBACK TO whimbrel_index"));
  }
  return swap_tables(*hold, pairs, false, SwapFor::a_look);
}

// With the numbers of the old tables, where the new ones have their names.
Result<std::int64_t> PostgresqlStore::with_exchanged(const std::vector<std::string>& sources,
                                                     const OrphansWork& work) {
  ASSIGN_OR_RETURN(const auto connection, sessions_->open());
  TRY(connection->patience(Milliseconds(0), sessions_->settings().lock_timeout));
  ASSIGN_OR_RETURN(const std::vector<RetypedPair> pairs, pairs_with(*connection, sources));
  std::vector<std::string> oids;
  for (const RetypedPair& pair : pairs) {
    if (pair.swapped) oids.push_back(pair.source_oid);
  }
  std::int64_t rows = 0;
  TRY(with_lock_retries(clock_, *connection, [&]() -> Status {
    ASSIGN_OR_RETURN(const std::int64_t changed, work(*connection, oids));
    rows += changed;
    return {};
  }));
  return rows;
}

Result<std::int64_t> PostgresqlStore::put_right(const std::vector<std::string>& sources) {
  return with_exchanged(sources, put_orphans_right);
}

Result<std::int64_t> PostgresqlStore::bring_back(const std::vector<std::string>& sources) {
  return with_exchanged(sources, [&](Connection& connection, const std::vector<std::string>& oids) {
    return bring_orphans_back(connection, *sessions_, oids);
  });
}

// A view or a key of somebody else's may hang on an old table: tried, and rolled back.
Status PostgresqlStore::can_retire(const std::vector<const Mapping*>& mappings,
                                   const std::string& rename_to, bool view) {
  if (view) return no_view();
  std::vector<std::string> sources;
  for (const Mapping* mapping : mappings) sources.push_back(mapping->source.name);
  TRY(settle_the_rest(sources));
  Status tried = change([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(const Transaction rolled_back, Transaction::begin(connection));
    return retire_all(connection, mappings, rename_to);
  });
  if (tried.ok() || tried.error().code == ErrorCode::unavailable ||
      tried.error().code == ErrorCode::cancelled) {
    return tried;
  }
  Error error = std::move(tried).error();
  error.code = ErrorCode::refused;
  return error;
}

}  // namespace whimbrel
