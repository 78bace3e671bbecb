#include "conformance/postgresql_arena.h"

#include <fmt/format.h>

#include <cstdlib>
#include <stdexcept>

#include "base/text.h"
#include "store/sql_names.h"
#include "stores/postgresql/postgresql_store.h"
#include "stores/postgresql/types.h"

namespace whimbrel::conformance {

namespace {

constexpr const char* owner = "whimbrel_conformance";
postgresql::Settings settings() {
  const char* url = std::getenv("WHIMBREL_POSTGRESQL_URL");
  if (url == nullptr) {
    throw std::runtime_error("WHIMBREL_POSTGRESQL_URL: test/postgresql/conformance.py starts one");
  }
  return {.url = url};
}

template <class T>
T value_or_throw(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(to_text(result.error()));
  return std::move(result).value();
}

void expect(const Status& status) {
  if (!status.ok()) throw std::runtime_error(to_text(status.error()));
}

std::unique_ptr<postgresql::Connection> session(const std::string& sql) {
  auto made = value_or_throw(postgresql::Connection::open(settings()));
  expect(made->execute(sql));
  return made;
}

postgresql::Connection& application() {
  static const auto only = session(
      "SET lock_timeout = 30; SET DateStyle = 'SQL, DMY'; SET TimeZone = 'Asia/Kathmandu'; "
      "SET bytea_output = 'escape'; SET extra_float_digits = 0");
  return *only;
}

postgresql::Connection& eyes() {
  static const auto only = session("");
  return *only;
}

}  // namespace

PostgresqlArena::PostgresqlArena(const Shape& shape, const PostgresqlSetting& setting)
    : shape_(shape), setting_(setting), application_(application()), eyes_(eyes()) {
  run_each(
      "SELECT format('DROP SCHEMA %I CASCADE', nspname) FROM pg_namespace WHERE nspname !~ '^pg_' "
      "AND nspname <> 'information_schema'");
  expect(eyes_.execute("CREATE SCHEMA public"));
  expect(eyes_.execute("CREATE SCHEMA IF NOT EXISTS " + quote_name(setting.schema)));
  if (!setting.is_superuser) make_owner();
  create(shape.source, false);
  create(shape.target, true);
  reopen();
}

void PostgresqlArena::make_owner() {
  run_each(fmt::format(
      "SELECT 'CREATE ROLE {0} LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = "
      "'{0}') "
      "UNION ALL SELECT format('GRANT CREATE ON DATABASE %I TO {0}', current_database()) "
      "UNION ALL SELECT 'GRANT USAGE, CREATE ON SCHEMA public TO {0}'",
      owner));
}

void PostgresqlArena::create(const std::string& table, bool is_new) {
  std::vector<std::string> parts;
  std::vector<std::string> names;
  for (const KeyColumn& column : shape_.key) {
    const bool is_inserted = is_new && parts.empty() && shape_.key_is_inserted;
    const bool is_retyped = is_new && !column.target_type.empty();
    const std::string& type = is_retyped ? column.target_type : column.type;
    parts.push_back(quote_name(column.name) + " " + (is_inserted ? "text" : type) + " NOT NULL");
    names.push_back(column.name);
  }
  const auto add = [&](const std::string& name, const std::string& type) {
    parts.push_back(quote_name(name) + " " + type);
  };
  if (is_new) {
    add(shape_.state, fmt::format("text CONSTRAINT \"not refused\" CHECK ({} <> 'refused')",
                                  quote_name(shape_.state)));
    add(shape_.document, "text");
    add(shape_.amount, "bigint");
    add(shape_.new_only, "bytea");
  } else {
    add(shape_.status, "text");
    add(shape_.result, "text");
    add(shape_.amount, "bigint");
    add(shape_.old_only, "text DEFAULT 'not told'");
  }
  const std::string columns = join(parts, ", ");
  const std::string key = fmt::format("PRIMARY KEY ({})", name_list(names));
  if (setting_.is_partitioned) {
    // One is older than its parent, as where a table was made a partition of another.
    expect(eyes_.execute(fmt::format(
        "CREATE TABLE {0}_0 ({1}); CREATE TABLE {0} ({1}, {2}) PARTITION BY HASH ({3}); "
        "ALTER TABLE {0} ATTACH PARTITION {0}_0 FOR VALUES WITH (MODULUS 2, REMAINDER 0); "
        "CREATE TABLE {0}_1 PARTITION OF {0} FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
        table, columns, key, quote_name(names[0]))));
  } else {
    expect(eyes_.execute(fmt::format("CREATE TABLE {} ({}, {})", table, columns, key)));
  }
  if (!setting_.is_superuser)
    expect(eyes_.execute(fmt::format("ALTER TABLE {} OWNER TO {}", table, owner)));
}

void PostgresqlArena::reopen() {
  store_.reset();
  postgresql::Settings wanted = settings();
  if (!setting_.is_superuser) wanted.url += fmt::format("?user={}", owner);
  store_ = value_or_throw(PostgresqlStore::open(wanted, clock_));
}

std::vector<Row> PostgresqlArena::ask(const std::string& sql) {
  const postgresql::Answer answer = value_or_throw(eyes_.ask(sql, {}));
  std::vector<Row> rows(static_cast<std::size_t>(PQntuples(answer.get())));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (int column = 0; column < PQnfields(answer.get()); ++column)
      rows[i].push_back(postgresql::value_at(answer.get(), static_cast<int>(i), column));
  }
  return rows;
}

void PostgresqlArena::run_each(const std::string& sql) {
  for (const Row& row : ask(sql)) expect(eyes_.execute(row[0].get<std::string>()));
}

Status PostgresqlArena::run(const std::string& sql, const Row& parameters) {
  postgresql::Cells cells;
  for (const Value& value : parameters) {
    ASSIGN_OR_RETURN(postgresql::Cell cell, postgresql::cell_of(value));
    cells.push_back(std::move(cell));
  }
  TRY(application_.run(sql, cells));
  return {};
}

Status PostgresqlArena::insert(const std::string& table, const std::vector<Named>& values) {
  std::vector<std::string> columns;
  std::vector<std::string> marks;
  Row parameters;
  for (const auto& [column, value] : values) {
    parameters.push_back(value);
    columns.push_back(column);
    marks.push_back(fmt::format("${}", parameters.size()));
  }
  return run(
      fmt::format("INSERT INTO {} ({}) VALUES ({})", table, name_list(columns), join(marks, ", ")),
      parameters);
}

std::string PostgresqlArena::where_key(std::size_t first_parameter) const {
  std::vector<std::string> parts;
  for (const KeyColumn& column : shape_.key)
    parts.push_back(fmt::format("{} = ${}", quote_name(column.name), first_parameter++));
  return join(parts, " AND ");
}

Status PostgresqlArena::update(const std::string& table, const Row& key,
                               const std::vector<Named>& values) {
  std::vector<std::string> sets;
  Row parameters;
  for (const auto& [column, value] : values) {
    parameters.push_back(value);
    sets.push_back(fmt::format("{} = ${}", quote_name(column), parameters.size()));
  }
  const std::string where = where_key(parameters.size() + 1);
  parameters.insert(parameters.end(), key.begin(), key.end());
  return run(fmt::format("UPDATE {} SET {} WHERE {}", table, join(sets, ", "), where), parameters);
}

Status PostgresqlArena::erase(const std::string& table, const Row& key) {
  return run(fmt::format("DELETE FROM {} WHERE {}", table, where_key(1)), key);
}

std::vector<Row> PostgresqlArena::rows(const std::string& table) {
  return ask("SELECT * FROM " + table);
}

void PostgresqlArena::drop_capture() {
  run_each(
      "SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) FROM pg_trigger WHERE "
      "tgparentid = 0 AND NOT tgisinternal");
}

std::vector<std::string> PostgresqlArena::leftovers() {
  std::vector<std::string> found;
  for (const Row& row : ask(fmt::format(
           "WITH schemas AS (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> "
           "'information_schema') "
           "SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname ~ 'whimbrel' UNION ALL "
           "SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgparentid = 0 AND NOT tgisinternal "
           "UNION ALL SELECT 'function ' || f.oid::regprocedure FROM pg_proc f JOIN schemas s ON "
           "s.oid = f.pronamespace UNION ALL SELECT 'table ' || t.oid::regclass FROM pg_class t "
           "JOIN schemas s ON s.oid = t.relnamespace WHERE t.relkind IN ('r', 'p') AND NOT "
           "t.relispartition AND t.oid NOT IN ({}::regclass, {}::regclass)",
           postgresql::quote_text(shape_.source), postgresql::quote_text(shape_.target)))) {
    found.push_back(row[0].get<std::string>());
  }
  return found;
}

// ---------------------------------------------------------------- shapes

namespace {

template <class T>
Value as(std::string text) {
  return Value(Value::Storage(T{std::move(text)}));
}

std::string uuid_text(int i) {
  return fmt::format("{:08x}-0000-4000-8000-00000000{:04x}", 0x9e3779b9U * static_cast<unsigned>(i),
                     i);
}

Row text_key(int i) {
  static const std::vector<std::string> odd = {"",      "ä", "Z",   "a b", "{x}",  "it's",
                                               "\"q\"", "%", "A#1", "\n",  "NULL", "a\\b"};
  return text_key_of(i, odd);
}

Row composite_key(int i) {
  return {Value::text(std::string(1, static_cast<char>((i % 2 == 0 ? 'a' : 'A') + i % 3))),
          Value::integer(shuffled(i))};
}

Row uuid_key(int i) { return {as<Uuid>(uuid_text(i))}; }

Row retyped_key(int i) { return {Value::text(uuid_text(i)), Value::integer(shuffled(i))}; }

// What a session's settings spell.
Row moment_key(int i) {
  return {as<TimestampTz>(fmt::format("2026-03-{:02} 01:{:02}:00.5+00", i % 28 + 1, i % 60)),
          Value::bytes(std::string{static_cast<char>(shuffled(i)), '\0', '\xff'})};
}

// What a cast to text spells otherwise than the server does.
Row padded_key(int i) {
  return {Value::text(fmt::format("{:<6}", fmt::format("k{}", i % 4))),
          as<Decimal>(fmt::format("{}.{}0", shuffled(i) - 50, i % 10)),
          Value::text(fmt::format("10.0.0.{}", i))};
}

}  // namespace

std::vector<Setup> every_store() {
  std::vector<Setup> all;
  const auto add = [&](const char* name, const PostgresqlSetting& setting, const char* source,
                       const char* target, std::vector<KeyColumn> key,
                       Row (*key_at)(int)) -> Shape& {
    Shape shape;
    shape.name = name;
    shape.source = source;
    shape.target = target;
    shape.key = std::move(key);
    shape.key_at = key_at;
    all.push_back({std::string("postgresql_") + name, std::move(shape),
                   [setting](const Shape& of) -> std::unique_ptr<Arena> {
                     return std::make_unique<PostgresqlArena>(of, setting);
                   }});
    return all.back().shape;
  };
  const auto add_public = [&](const char* name, std::vector<KeyColumn> key, Row (*key_at)(int),
                              const PostgresqlSetting& setting = {}) -> Shape& {
    return add(name, setting, "public.old_rows", "public.new_rows", std::move(key), key_at);
  };
  add_public("text_key", {{"id", "text"}}, text_key).key_is_inserted = true;
  add_public("integer_key", {{"id", "bigint GENERATED BY DEFAULT AS IDENTITY"}}, integer_key);
  add_public("composite_key",
             {{"region", "character varying(4) COLLATE \"en-x-icu\""}, {"number", "integer"}},
             composite_key);
  add_public("uuid_key", {{"id", "uuid"}}, uuid_key, {.is_superuser = false});
  add_public("retyped_key", {{"id", "text", "uuid"}, {"number", "integer", "bigint"}}, retyped_key,
             {.is_superuser = false});
  add_public("moment_key", {{"at", "timestamp with time zone"}, {"code", "bytea"}}, moment_key);
  add_public("padded_key", {{"code", "character(6)"}, {"price", "numeric(8,2)"}, {"host", "inet"}},
             padded_key);
  add_public("partitioned_key", {{"region", "text"}, {"number", "integer"}}, composite_key,
             {.is_partitioned = true});
  Shape& odd = add("odd_names", {.schema = "Odd \"schema\".%"},
                   "\"Odd \"\"schema\"\".%\".\"old {rows} of 'us'\"",
                   "\"Odd \"\"schema\"\".%\".\"select \"\"New\"\"\"",
                   {{"the \"id\"", "text"}, {"order", "integer"}}, composite_key);
  name_oddly(odd);
  odd.document = "Do%c's \\";
  return all;
}

}  // namespace whimbrel::conformance
