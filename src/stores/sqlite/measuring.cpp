#include "stores/sqlite/measuring.h"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>

#include "base/text.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/schema.h"
#include "stores/sqlite/sqlite_store.h"
#include "stores/sqlite/tokens.h"

namespace whimbrel {
namespace sqlite {

namespace {

void wait_at_most(Connection& connection, Milliseconds patience) {
  const auto longest = std::min<std::int64_t>(patience.count(), std::numeric_limits<int>::max());
  sqlite3_busy_timeout(connection.raw(), static_cast<int>(longest));
}

Error not_a_reading_query(const std::string& sql, const std::string& why, std::string hint) {
  return Error{ErrorCode::refused, why + ": " + printable(sql, 200), std::move(hint),
               "nothing was run"};
}

struct Prepared {
  Statement statement;
  std::vector<std::string> parameters;  // by position, without the colon
};

// A pragma or an ATTACH reads as well, and changes what the next query meets.
bool asks(const std::string& sql) {
  return begins_with_keyword(sql, "SELECT") || begins_with_keyword(sql, "WITH") ||
         begins_with_keyword(sql, "VALUES");
}

Result<Statement> prepare_one(Connection& connection, const std::string& sql) {
  sqlite3_stmt* raw = nullptr;
  const char* tail = nullptr;
  const int code = sqlite3_prepare_v3(connection.raw(), sql.c_str(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, &tail);
  Statement statement(raw);
  if (code != SQLITE_OK) return connection.error("preparing " + printable(sql, 200));
  if (statement == nullptr) return not_a_reading_query(sql, "there is no query", "");
  sqlite3_stmt* second = nullptr;
  const int rest_code = sqlite3_prepare_v2(connection.raw(), tail, -1, &second, nullptr);
  const Statement rest(second);
  if (rest_code != SQLITE_OK || rest != nullptr) {
    return not_a_reading_query(sql, "a query is one statement", "take the second one away");
  }
  return statement;
}

Result<Prepared> prepare(Connection& connection, const ReadingQuery& query) {
  ASSIGN_OR_RETURN(Statement statement, prepare_one(connection, query.sql));
  if (!asks(query.sql) || sqlite3_stmt_readonly(statement.get()) == 0 ||
      sqlite3_column_count(statement.get()) == 0) {
    return not_a_reading_query(query.sql, "only queries that read are measured",
                               "begin with SELECT, WITH or VALUES");
  }
  std::vector<std::string> parameters;
  for (int i = 1; i <= sqlite3_bind_parameter_count(statement.get()); ++i) {
    const char* name = sqlite3_bind_parameter_name(statement.get(), i);
    const std::string bare = name == nullptr ? "" : name + 1;
    if (name == nullptr || *name != ':' || std::ranges::count(query.parameters, bare) == 0) {
      return not_a_reading_query(query.sql,
                                 fmt::format("the parameter {} has no values",
                                             name == nullptr ? fmt::format("{}", i) : name),
                                 "name parameters with a colon, like :name, and their values "
                                 "under `with:`");
    }
    parameters.push_back(bare);
  }
  return Prepared{std::move(statement), std::move(parameters)};
}

// What the lines of a query plan (https://www.sqlite.org/eqp.html) read whole: a scan, but of rows
// that the query has put together itself. `ends_early`: it stops at the first rows, where they need
// no sorting.
std::vector<std::string> scanned(const std::vector<std::string>& plan, bool ends_early) {
  // Names are told without quotes.
  const auto name_in = [](const std::string& line, const std::string& head) {
    std::size_t end = line.size();
    for (const char* behind : {" USING ", " VIRTUAL TABLE ", " LEFT-JOIN"}) {
      end = std::min(end, line.find(behind));
    }
    return line.starts_with(head) ? line.substr(head.size(), end - head.size()) : std::string();
  };
  std::vector<std::string> made;
  bool sorts = false;
  for (const std::string& line : plan) {
    for (const char* head : {"MATERIALIZE ", "CO-ROUTINE "}) made.push_back(name_in(line, head));
    sorts = sorts || line.starts_with("USE TEMP B-TREE");
  }
  std::vector<std::string> found;
  for (const std::string& line : plan) {
    std::string name = name_in(line, "SCAN ");
    const bool is_table = !name.empty() && name.front() != '(' && name != "CONSTANT ROW" &&
                          line.find(" VIRTUAL TABLE ") == std::string::npos &&
                          std::ranges::count(made, name) == 0;
    const bool goes_on = sorts || !ends_early;
    const bool is_new = std::ranges::count(found, name) == 0;
    if (is_table && goes_on && is_new) found.push_back(std::move(name));
  }
  return found;
}

class Runner final : public QueryRunner {
 public:
  Runner(std::unique_ptr<Connection> connection, std::vector<Prepared> queries)
      : connection_(std::move(connection)), queries_(std::move(queries)) {
    // A forgotten condition of a join makes a query that nobody would wait for.
    constexpr int steps_between_looks = 100'000;
    sqlite3_progress_handler(
        connection_->raw(), steps_between_looks,
        [](void* self) {
          return std::chrono::steady_clock::now() > static_cast<Runner*>(self)->until_ ? 1 : 0;
        },
        this);
  }

  Result<QueryAnswer> run(std::size_t query, const QueryValues& values) override {
    ASSIGN_OR_RETURN(sqlite3_stmt* const statement, bound(query, values));
    const int columns = sqlite3_column_count(statement);
    // An application looks at what it asked for: long values are on pages of their own.
    ASSIGN_OR_RETURN(const std::int64_t rows,
                     read(statement, std::numeric_limits<std::int64_t>::max(), [&] {
                       for (int i = 0; i < columns; ++i) {
                         const int type = sqlite3_column_type(statement, i);
                         const bool is_long = type == SQLITE_TEXT || type == SQLITE_BLOB;
                         if (is_long) (void)sqlite3_column_blob(statement, i);
                       }
                     }));
    return QueryAnswer{rows};
  }

  Result<std::vector<Row>> rows(std::size_t query, const QueryValues& values,
                                std::int64_t rows_max) override {
    ASSIGN_OR_RETURN(sqlite3_stmt* const statement, bound(query, values));
    std::vector<Row> found;
    const int columns = sqlite3_column_count(statement);
    const auto count =
        read(statement, rows_max, [&] { found.push_back(row_of(statement, 0, columns)); });
    if (!count.ok()) return count.error();
    return found;
  }

  Result<std::vector<std::string>> scans(std::size_t query) override {
    const std::string sql = sqlite3_sql(queries_.at(query).statement.get());
    ASSIGN_OR_RETURN(const auto steps, connection_->query("EXPLAIN QUERY PLAN " + sql, {}));
    std::vector<std::string> lines;
    for (const Row& step : steps) lines.push_back(step.back().get<std::string>());
    const Tokens tokens = tokens_of(sql);
    const auto has = [&](const char* keyword) {
      return std::ranges::any_of(
          tokens, [&](std::string_view token) { return ascii_iequals(token, keyword); });
    };
    return scanned(lines, has("LIMIT") && !has("WHERE") && !has("GROUP"));
  }

 private:
  Result<sqlite3_stmt*> bound(std::size_t query, const QueryValues& values) {
    const Prepared& prepared = queries_.at(query);
    sqlite3_stmt* statement = prepared.statement.get();
    int at = 0;
    for (const std::string& parameter : prepared.parameters) {
      const auto value = std::ranges::find(values, parameter, &QueryValues::value_type::first);
      TRY(bind(statement, ++at, value == values.end() ? Value() : value->second));
    }
    return statement;
  }

  template <class F>
  Result<std::int64_t> read(sqlite3_stmt* statement, std::int64_t rows_max, const F& look) {
    constexpr std::chrono::seconds patience{60};
    until_ = std::chrono::steady_clock::now() + patience;
    std::int64_t rows = 0;
    Result<bool> more = connection_->step(statement);
    while (more.ok() && more.value() && rows < rows_max) {
      ++rows;
      look();
      more = connection_->step(statement);
    }
    // Its code is that of the step, which is told already.
    const bool was_too_long = sqlite3_reset(statement) == SQLITE_INTERRUPT;
    if (was_too_long) {
      return Error{ErrorCode::unavailable,
                   fmt::format("the query had no answer after {} s", patience.count()),
                   "look at its conditions, and at what EXPLAIN QUERY PLAN says of it"};
    }
    if (!more.ok()) return std::move(more).error();
    return rows;
  }

  std::chrono::steady_clock::time_point until_;
  std::unique_ptr<Connection> connection_;
  std::vector<Prepared> queries_;  // last: statements go before their connection
};

class Probe final : public WriteProbe {
 public:
  Probe(ConnectionPtr connection, const TableSchema& table) : connection_(std::move(connection)) {
    const std::string key = name_list(table.key);
    std::string column = table.key.empty() ? "" : table.key.front();
    for (const ColumnSchema& one : table.columns) {
      if (one.generated || table.is_key(one.name)) continue;
      column = one.name;
      break;
    }
    update_ = fmt::format("UPDATE {0} SET {1} = {1} WHERE ({2}) IN (SELECT {2} FROM {0} LIMIT 1)",
                          quote_name(table.name), quote_name(column), key);
  }

  Status write() override {
    const Result<Transaction> transaction = Transaction::begin(*connection_, true);
    if (!transaction.ok()) return transaction.error();
    return connection_->execute(update_);  // never committed
  }

 private:
  ConnectionPtr connection_;
  std::string update_;
};

Result<std::vector<std::string>> indexes_of(Connection& connection, const std::string& table) {
  ASSIGN_OR_RETURN(const auto rows,
                   connection.query("SELECT name FROM sqlite_master WHERE type = 'index' AND "
                                    "tbl_name = ?1 COLLATE NOCASE",
                                    {Value::text(table)}));
  std::vector<std::string> names;
  for (const Row& row : rows) names.push_back(row[0].get<std::string>());
  return names;
}

Result<std::int64_t> number(Connection& connection, const std::string& sql, const Row& values) {
  ASSIGN_OR_RETURN(const auto rows, connection.query(sql, values));
  const bool is_number = !rows.empty() && rows[0][0].kind() == Kind::int64;
  if (is_number) return rows[0][0].get<std::int64_t>();
  const bool is_real = !rows.empty() && rows[0][0].kind() == Kind::real;
  return is_real ? static_cast<std::int64_t>(rows[0][0].get<double>()) : std::int64_t{0};
}

Result<std::int64_t> pages_of(Connection& connection, const std::string& name) {
  return number(connection,
                "SELECT sum(pgsize) FROM dbstat WHERE name = ?1 COLLATE NOCASE AND aggregate = 1",
                {Value::text(name)});
}

// What some of the rows take on average, in these columns.
Result<std::int64_t> bytes_of(Connection& connection, const TableSchema& table,
                              const std::vector<std::string>& columns, std::int64_t rows) {
  constexpr int overhead_bytes = 8;  // of a cell, about
  std::string sum = fmt::format("{}", overhead_bytes);
  for (const std::string& column : columns) {
    sum += fmt::format(" + ifnull(length(CAST({} AS BLOB)), 0)", quote_name(column));
  }
  return number(connection,
                fmt::format("SELECT avg(b) * ?1 FROM (SELECT {} AS b FROM {} LIMIT 1000)", sum,
                            quote_name(table.name)),
                {Value::integer(rows)});
}

}  // namespace

Result<std::unique_ptr<QueryRunner>> make_query_runner(std::unique_ptr<Connection> connection,
                                                       const std::vector<ReadingQuery>& queries,
                                                       Milliseconds patience) {
  wait_at_most(*connection, patience);
  std::vector<Prepared> prepared;
  for (const ReadingQuery& query : queries) {
    ASSIGN_OR_RETURN(Prepared one, prepare(*connection, query));
    prepared.push_back(std::move(one));
  }
  return std::unique_ptr<QueryRunner>(
      std::make_unique<Runner>(std::move(connection), std::move(prepared)));
}

std::unique_ptr<WriteProbe> make_write_probe(ConnectionPtr connection, const TableSchema& table,
                                             Milliseconds patience) {
  wait_at_most(*connection, patience);
  return std::make_unique<Probe>(std::move(connection), table);
}

Result<RoomTaken> estimate_room(Connection& connection, const TableSchema& table) {
  ASSIGN_OR_RETURN(
      const std::int64_t rows,
      number(connection, fmt::format("SELECT count(*) FROM {}", quote_name(table.name)), {}));
  RoomTaken room;
  room.exact = false;
  ASSIGN_OR_RETURN(room.table_bytes, bytes_of(connection, table, table.column_names(), rows));
  ASSIGN_OR_RETURN(const std::vector<std::string> indexes, indexes_of(connection, table.name));
  for (const std::string& index : indexes) {
    ASSIGN_OR_RETURN(const auto parts, connection.query("SELECT name FROM pragma_index_info(?1)",
                                                        {Value::text(index)}));
    std::vector<std::string> columns;
    for (const Row& part : parts) {
      if (!part[0].is_null()) columns.push_back(part[0].get<std::string>());
    }
    ASSIGN_OR_RETURN(const std::int64_t bytes, bytes_of(connection, table, columns, rows));
    room.index_bytes += bytes;
    ++room.indexes;
  }
  return room;
}

Result<RoomTaken> room_taken(Connection& connection, const TableSchema& table) {
  ASSIGN_OR_RETURN(const bool there, object_exists(connection, "table", table.name));
  if (!there) return Error{ErrorCode::not_found, "there is no table " + table.name};
  Result<std::int64_t> pages = pages_of(connection, table.name);
  const bool has_dbstat =
      pages.ok() || pages.error().message.find("no such table") == std::string::npos;
  if (!has_dbstat) return estimate_room(connection, table);
  if (!pages.ok()) return std::move(pages).error();
  RoomTaken room;
  room.table_bytes = pages.value();
  ASSIGN_OR_RETURN(const std::vector<std::string> indexes, indexes_of(connection, table.name));
  for (const std::string& index : indexes) {
    ASSIGN_OR_RETURN(const std::int64_t bytes, pages_of(connection, index));
    room.index_bytes += bytes;
    ++room.indexes;
  }
  return room;
}

}  // namespace sqlite

Result<std::unique_ptr<QueryRunner>> SqliteStore::open_queries(
    const std::vector<ReadingQuery>& queries, Milliseconds patience) {
  ASSIGN_OR_RETURN(auto connection, sqlite::Connection::open(path_, sqlite::Access::read));
  return sqlite::make_query_runner(std::move(connection), queries, patience);
}

Result<std::unique_ptr<WriteProbe>> SqliteStore::open_write_probe(const TableSchema& table,
                                                                  Milliseconds patience) {
  if (table.key.empty()) {
    return Error{ErrorCode::refused, table.name + " has no key to write one row by"};
  }
  ASSIGN_OR_RETURN(auto connection, connect(sqlite::Access::write));
  return sqlite::make_write_probe(std::move(connection), table, patience);
}

namespace {

// Where the file itself lies, and its journals: a link may lead there.
std::string folder_of(const std::string& path) {
  std::error_code none;
  const std::filesystem::path real = std::filesystem::weakly_canonical(path, none);
  return none ? "." : real.parent_path().string();
}

}  // namespace

std::optional<std::int64_t> SqliteStore::room_left() const {
  struct statvfs volume{};
  if (statvfs(folder_of(path_).c_str(), &volume) != 0) return std::nullopt;
  return static_cast<std::int64_t>(volume.f_bavail) * static_cast<std::int64_t>(volume.f_frsize);
}

// Beside the database stand its journals, which have to be made and taken away.
Status SqliteStore::may_write() const {
  const std::string folder = folder_of(path_);
  const bool is_there = access(path_.c_str(), F_OK) == 0;
  const bool file = !is_there || access(path_.c_str(), W_OK) == 0;
  if (file && access(folder.c_str(), W_OK | X_OK) == 0) return {};
  return Error{
      ErrorCode::refused, fmt::format("this user may not write to {}", file ? folder : path_),
      "the file and its folder must be writable by this user: beside the file SQLite keeps its "
      "journal; or run whimbrel as the user of the application",
      "nothing was changed"};
}

Result<RoomTaken> SqliteStore::room_taken(const TableSchema& table) {
  ASSIGN_OR_RETURN(const auto connection, connect(sqlite::Access::read));
  return sqlite::room_taken(*connection, table);
}

}  // namespace whimbrel
