#include "conformance/sqlite_arena.h"

#include <fmt/format.h>
#include <unistd.h>

#include <stdexcept>

#include "base/text.h"
#include "stores/sqlite/connection.h"
#include "stores/sqlite/sqlite_store.h"

namespace whimbrel::conformance {

namespace {

std::filesystem::path fresh_folder() {
  static int count = 0;
  const auto folder = std::filesystem::temp_directory_path() /
                      fmt::format("whimbrel_conformance_{}_{}", ::getpid(), ++count);
  std::filesystem::create_directories(folder);
  return folder;
}

std::vector<std::string> key_names(const Shape& shape) {
  std::vector<std::string> names;
  for (const KeyColumn& column : shape.key) names.push_back(quoted(column.name));
  return names;
}

std::string ddl(const Shape& shape, const std::string& table,
                const std::vector<std::string>& columns, bool inserted) {
  std::vector<std::string> parts;
  for (const KeyColumn& column : shape.key) {
    const bool first = parts.empty();
    parts.push_back(quoted(column.name) + " " + (inserted && first ? "TEXT" : column.type) +
                    " NOT NULL");
  }
  parts.insert(parts.end(), columns.begin(), columns.end());
  parts.push_back("PRIMARY KEY (" + join(key_names(shape), ", ") + ")");
  return fmt::format("CREATE TABLE {} ({}){}", quoted(table), join(parts, ", "),
                     shape.without_rowid ? " WITHOUT ROWID" : "");
}

}  // namespace

std::string quoted(const std::string& identifier) {
  std::string out = "\"";
  for (const char c : identifier) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string source_ddl(const Shape& shape) {
  return ddl(
      shape, shape.source,
      {quoted(shape.status) + " TEXT", quoted(shape.result) + " TEXT",
       quoted(shape.amount) + " INTEGER", quoted(shape.old_only) + " TEXT DEFAULT 'not told'"},
      false);
}

std::string target_ddl(const Shape& shape) {
  return ddl(shape, shape.target,
             {quoted(shape.state) + " TEXT NOT NULL", quoted(shape.document) + " TEXT",
              quoted(shape.amount) + " INTEGER", quoted(shape.new_only) + " BLOB"},
             shape.key_is_inserted);
}

SqliteArena::SqliteArena(const Shape& shape, const ApplicationSettings& settings)
    : folder_(fresh_folder()), file_(folder_ / "application.db") {
  sqlite3* raw = nullptr;
  sqlite3_open(file_.c_str(), &raw);
  application_.reset(raw);
  sqlite3_busy_timeout(raw, 5000);
  ask("PRAGMA journal_mode = " + settings.journal_mode);
  ask(fmt::format("PRAGMA recursive_triggers = {:d}", settings.recursive_triggers));
  ask(fmt::format("PRAGMA foreign_keys = {:d}", settings.foreign_keys));
  ask("PRAGMA synchronous = OFF");
  for (const std::string& sql : {source_ddl(shape), target_ddl(shape)}) {
    if (const Status made = run(sql); !made.ok()) throw std::runtime_error(to_text(made.error()));
  }
  reopen();
}

SqliteArena::~SqliteArena() {
  store_.reset();
  application_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void SqliteArena::reopen() {
  auto opened = SqliteStore::open(file_.string(), clock_);
  if (!opened.ok()) throw std::runtime_error(to_text(opened.error()));
  store_ = std::move(opened).value();
}

std::vector<Row> SqliteArena::ask(const std::string& sql, const Row& parameters) {
  sqlite3_stmt* raw = nullptr;
  const auto fail = [&] {
    return std::runtime_error(sql + ": " + sqlite3_errmsg(application_.get()));
  };
  if (sqlite3_prepare_v2(application_.get(), sql.c_str(), -1, &raw, nullptr) != SQLITE_OK)
    throw fail();
  const sqlite::Statement statement(raw);
  int at = 0;
  for (const Value& value : parameters) {
    if (!sqlite::bind(raw, ++at, value).ok()) throw fail();
  }
  std::vector<Row> rows;
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(raw)) == SQLITE_ROW)
    rows.push_back(sqlite::row_of(raw, 0, sqlite3_column_count(raw)));
  if (code != SQLITE_DONE) throw fail();
  return rows;
}

Status SqliteArena::run(const std::string& sql, const Row& parameters) {
  try {
    ask(sql, parameters);
    return {};
  } catch (const std::runtime_error& failure) {
    return Error{ErrorCode::refused, failure.what()};
  }
}

Status SqliteArena::insert(const std::string& table, const std::vector<Named>& values) {
  std::vector<std::string> columns;
  std::vector<std::string> marks;
  Row parameters;
  for (const auto& [column, value] : values) {
    parameters.push_back(value);
    columns.push_back(quoted(column));
    marks.push_back(fmt::format("?{}", parameters.size()));
  }
  return run(fmt::format("INSERT INTO {} ({}) VALUES ({})", quoted(table), join(columns, ", "),
                         join(marks, ", ")),
             parameters);
}

std::string SqliteArena::where_key(const std::string& table, std::size_t first_parameter) {
  std::vector<std::string> parts;
  for (const Row& column : ask("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk",
                               {Value::text(table)})) {
    parts.push_back(
        fmt::format("{} = ?{}", quoted(column[0].get<std::string>()), first_parameter++));
  }
  return join(parts, " AND ");
}

Status SqliteArena::update(const std::string& table, const Row& key,
                           const std::vector<Named>& values) {
  std::vector<std::string> sets;
  Row parameters;
  for (const auto& [column, value] : values) {
    parameters.push_back(value);
    sets.push_back(fmt::format("{} = ?{}", quoted(column), parameters.size()));
  }
  const std::string where = where_key(table, parameters.size() + 1);
  parameters.insert(parameters.end(), key.begin(), key.end());
  return run(fmt::format("UPDATE {} SET {} WHERE {}", quoted(table), join(sets, ", "), where),
             parameters);
}

Status SqliteArena::erase(const std::string& table, const Row& key) {
  return run(fmt::format("DELETE FROM {} WHERE {}", quoted(table), where_key(table, 1)), key);
}

std::vector<Row> SqliteArena::rows(const std::string& table) {
  return ask("SELECT * FROM " + quoted(table));
}

void SqliteArena::drop_capture() {
  for (const Row& row : ask("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
    ask("DROP TRIGGER " + quoted(row[0].get<std::string>()));
}

std::vector<std::string> SqliteArena::leftovers() {
  std::vector<std::string> names;
  for (const Row& row :
       ask("SELECT type || ' ' || name FROM sqlite_master WHERE name LIKE '%whimbrel%'"
           " OR tbl_name LIKE '%whimbrel%' OR type = 'trigger'")) {
    names.push_back(row[0].get<std::string>());
  }
  return names;
}

}  // namespace whimbrel::conformance
