// An application's own queries, as far as they are measured.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "stores/postgresql/names.h"
#include "stores/postgresql/postgresql_store.h"
#include "stores/postgresql/types.h"

namespace whimbrel {
namespace postgresql {
namespace {

struct Prepared {
  std::string sql;                      // with `$1` instead of `:name`
  std::vector<std::string> parameters;  // by position
};

bool is_of_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Where a text, a quoted name or a comment that begins here ends; npos when none does.
std::size_t end_of_literal(const std::string& sql, std::size_t at) {
  const auto closed_by = [&](std::string_view end, std::size_t from) {
    const std::size_t found = sql.find(end, from);
    return found == std::string::npos ? sql.size() : found + end.size();
  };
  if (sql[at] == '\'' || sql[at] == '"') return closed_by(sql.substr(at, 1), at + 1);
  if (sql.compare(at, 2, "--") == 0) return closed_by("\n", at);
  if (sql.compare(at, 2, "/*") == 0) return closed_by("*/", at + 2);
  if (sql[at] == '$') {
    std::size_t tag_end = at + 1;
    while (tag_end < sql.size() && is_of_name(sql[tag_end])) ++tag_end;
    const bool opens = tag_end < sql.size() && sql[tag_end] == '$';
    if (opens) return closed_by(sql.substr(at, tag_end - at + 1), tag_end + 1);
  }
  return std::string::npos;
}

Result<Prepared> prepare(const ReadingQuery& query) {
  Prepared prepared;
  for (std::size_t at = 0; at < query.sql.size();) {
    if (const std::size_t end = end_of_literal(query.sql, at); end != std::string::npos) {
      prepared.sql += query.sql.substr(at, end - at);
      at = end;
      continue;
    }
    if (query.sql.compare(at, 2, "::") == 0) {
      prepared.sql += "::";
      at += 2;
      continue;
    }
    const bool begins = query.sql[at] == ':' && at + 1 < query.sql.size() &&
                        is_of_name(query.sql[at + 1]) &&
                        (at == 0 || !is_of_name(query.sql[at - 1]));
    if (!begins) {
      prepared.sql += query.sql[at++];
      continue;
    }
    std::size_t end = at + 1;
    while (end < query.sql.size() && is_of_name(query.sql[end])) ++end;
    const std::string name = query.sql.substr(at + 1, end - at - 1);
    if (std::ranges::count(query.parameters, name) == 0) {
      return Error{
          ErrorCode::refused,
          fmt::format("the parameter :{} has no values: {}", name, printable(query.sql, 200)),
          "name parameters with a colon, like :name, and their values under `with:`"};
    }
    auto known = std::ranges::find(prepared.parameters, name);
    if (known == prepared.parameters.end()) {
      prepared.parameters.push_back(name);
      known = std::prev(prepared.parameters.end());
    }
    prepared.sql += fmt::format("${}", known - prepared.parameters.begin() + 1);
    at = end;
  }
  return prepared;
}

// Every query in a transaction that only reads, so that none can write.
class Runner final : public QueryRunner {
 public:
  Runner(std::unique_ptr<Connection> connection, std::vector<Prepared> queries)
      : connection_(std::move(connection)), queries_(std::move(queries)) {}

  Result<QueryAnswer> run(std::size_t query, const QueryValues& values) override {
    ASSIGN_OR_RETURN(const Answer answer, ask(query, values));
    return QueryAnswer{PQntuples(answer.get())};
  }

  Result<std::vector<Row>> rows(std::size_t query, const QueryValues& values,
                                std::int64_t rows_max) override {
    ASSIGN_OR_RETURN(const Answer answer, ask(query, values));
    std::vector<Row> found;
    for (int i = 0; i < PQntuples(answer.get()) && i < rows_max; ++i) {
      Row row;
      for (int j = 0; j < PQnfields(answer.get()); ++j) {
        row.push_back(value_at(answer.get(), i, j));
      }
      found.push_back(std::move(row));
    }
    return found;
  }

  // On a small table the planner prefers to read it whole: what it does where that is made dear
  // tells whether an index could serve. The plan is the one for any parameters.
  Result<std::vector<std::string>> scans(std::size_t query) override {
    const Prepared& prepared = queries_.at(query);
    TRY(connection_->execute("PREPARE whimbrel_query AS " + prepared.sql));
    const Result<std::string> plan = explain(prepared.parameters.size());
    TRY(connection_->execute("DEALLOCATE whimbrel_query"));
    if (!plan.ok()) return plan.error();
    std::vector<std::string> found;
    const auto plans = nlohmann::json::parse(plan.value(), nullptr, false);
    if (!plans.is_array() || plans.empty()) return found;
    note_scans(plans[0].value("Plan", nlohmann::json::object()), false, found);
    return found;
  }

 private:
  Result<std::string> explain(std::size_t parameters) {
    ASSIGN_OR_RETURN(const Transaction transaction, Transaction::begin(*connection_));
    TRY(connection_->execute("SET LOCAL enable_seqscan = off"));
    TRY(connection_->execute("SET LOCAL plan_cache_mode = force_generic_plan"));
    const std::vector<std::string> nulls(parameters, "NULL");
    ASSIGN_OR_RETURN(const auto rows,
                     connection_->query("EXPLAIN (FORMAT JSON) EXECUTE whimbrel_query" +
                                        (nulls.empty() ? "" : "(" + join(nulls, ", ") + ")")));
    return rows.empty() ? std::string() : rows[0][0].value_or("");
  }

  // `limited`: a node above stops when it has rows enough.
  static void note_scans(const nlohmann::json& node, bool limited,
                         std::vector<std::string>& found) {
    const std::string type = node.value("Node Type", "");
    const bool by_index = type == "Index Scan" || type == "Index Only Scan";
    const bool filters = node.contains("Filter");
    const bool is_whole = type == "Seq Scan" || (by_index && !node.contains("Index Cond"));
    const std::string table = node.value("Relation Name", "");
    const bool is_new = std::ranges::count(found, table) == 0;
    if (is_whole && !table.empty() && is_new && (filters || !limited)) found.push_back(table);
    // Sorting and grouping need all rows, whatever stands above them.
    const bool gathers = type == "Sort" || type == "Aggregate" || type == "Hash";
    for (const nlohmann::json& child : node.value("Plans", nlohmann::json::array())) {
      note_scans(child, (limited || type == "Limit") && !gathers, found);
    }
  }

  Result<Answer> ask(std::size_t query, const QueryValues& values) {
    const Prepared& prepared = queries_.at(query);
    Cells cells;
    for (const std::string& parameter : prepared.parameters) {
      const auto value = std::ranges::find(values, parameter, &QueryValues::value_type::first);
      ASSIGN_OR_RETURN(Cell cell, cell_of(value == values.end() ? Value() : value->second));
      cells.push_back(std::move(cell));
    }
    return connection_->ask(prepared.sql, cells);
  }

  std::unique_ptr<Connection> connection_;
  std::vector<Prepared> queries_;
};

class Probe final : public WriteProbe {
 public:
  Probe(std::unique_ptr<Connection> connection, std::string update)
      : connection_(std::move(connection)), update_(std::move(update)) {}

  Status write() override {
    ASSIGN_OR_RETURN(const Transaction transaction, Transaction::begin(*connection_));
    return connection_->execute(update_);  // never committed
  }

 private:
  std::unique_ptr<Connection> connection_;
  std::string update_;
};

}  // namespace
}  // namespace postgresql

using namespace postgresql;  // NOLINT: this is the store's own namespace

Result<std::unique_ptr<QueryRunner>> PostgresqlStore::open_queries(
    const std::vector<ReadingQuery>& queries, Milliseconds patience) {
  ASSIGN_OR_RETURN(auto connection, sessions_->open());
  TRY(connection->patience(sessions_->settings().statement_timeout, patience));
  TRY(connection->execute("SET default_transaction_read_only = on"));
  TRY(connection->query("SELECT set_config('search_path', $1, false)",
                        {connection->search_path()}));
  std::vector<Prepared> prepared;
  for (const ReadingQuery& query : queries) {
    ASSIGN_OR_RETURN(Prepared one, prepare(query));
    if (Status understood = connection->understands(one.sql); !understood.ok()) {
      Error error = std::move(understood).error();
      error.message += ": " + printable(query.sql, 200);
      return error;
    }
    prepared.push_back(std::move(one));
  }
  return std::unique_ptr<QueryRunner>(
      std::make_unique<Runner>(std::move(connection), std::move(prepared)));
}

Result<std::unique_ptr<WriteProbe>> PostgresqlStore::open_write_probe(const TableSchema& table,
                                                                      Milliseconds patience) {
  if (table.key.empty()) {
    return Error{ErrorCode::refused, table.name + " has no key to write one row by"};
  }
  ASSIGN_OR_RETURN(auto connection, sessions_->open());
  TRY(connection->patience(sessions_->settings().statement_timeout, patience));
  ASSIGN_OR_RETURN(const Place place, place_of(*connection, table.name));
  std::string column = table.key.front();
  for (const ColumnSchema& one : table.columns) {
    if (one.generated || table.is_key(one.name)) continue;
    column = one.name;
    break;
  }
  return std::unique_ptr<WriteProbe>(std::make_unique<Probe>(
      std::move(connection),
      fmt::format("UPDATE {0} SET {1} = {1} WHERE ({2}) IN (SELECT {2} FROM {0} LIMIT 1)",
                  place.sql(), quote_name(column), name_list(table.key))));
}

}  // namespace whimbrel
