// Queries of an application in PartiQL, as they are measured.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "stores/dynamodb/dynamodb_store.h"
#include "stores/dynamodb/item.h"
#include "stores/dynamodb/partiql.h"

namespace whimbrel {

using nlohmann::json;

namespace {

struct Prepared {
  std::string statement;                // with `?` for each parameter
  std::vector<std::string> parameters;  // in the order of the marks
};

bool begins_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_of_name(char c) { return begins_name(c) || (c >= '0' && c <= '9'); }

// The service counts parameters instead of naming them.
Result<Prepared> prepare(const ReadingQuery& query) {
  const std::size_t first = query.sql.find_first_not_of(" \t\r\n(");
  const bool reads =
      first != std::string::npos && ascii_iequals(query.sql.substr(first, 6), "select");
  if (!reads) {
    return Error{ErrorCode::refused, "only a SELECT is measured: " + printable(query.sql, 200),
                 "a statement that writes would change the application's data"};
  }
  Prepared prepared;
  char quote = 0;
  for (std::size_t at = 0; at < query.sql.size(); ++at) {
    const char c = query.sql[at];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == ':' && at + 1 < query.sql.size() && begins_name(query.sql[at + 1])) {
      std::size_t end = at + 1;
      while (end < query.sql.size() && is_of_name(query.sql[end])) ++end;
      prepared.parameters.push_back(query.sql.substr(at + 1, end - at - 1));
      if (std::ranges::count(query.parameters, prepared.parameters.back()) == 0) {
        return Error{ErrorCode::refused,
                     fmt::format("the parameter :{} has no values: {}", prepared.parameters.back(),
                                 printable(query.sql, 200)),
                     "name parameters with a colon, like :name, and their values under `with:`"};
      }
      prepared.statement += '?';
      at = end - 1;
      continue;
    }
    prepared.statement += c;
  }
  return prepared;
}

class Runner final : public QueryRunner {
 public:
  Runner(DynamoStore& store, std::unique_ptr<aws::Client> client, std::vector<Prepared> queries)
      : store_(store),
        client_(std::move(client)),
        queries_(std::move(queries)),
        items_(one_map()) {}

  Result<QueryAnswer> run(std::size_t query, const QueryValues& values) override {
    QueryAnswer answer;
    TRY(each_page(query, values, [&](const std::vector<Row>& rows, double read_units) {
      answer.rows += std::ssize(rows);
      answer.read_units += read_units;
      return true;
    }));
    return answer;
  }

  // Each row is one document: items of one answer need not have the same attributes.
  Result<std::vector<Row>> rows(std::size_t query, const QueryValues& values,
                                std::int64_t rows_max) override {
    std::vector<Row> all;
    TRY(each_page(query, values, [&](const std::vector<Row>& rows, double) {
      const auto room = std::min<std::int64_t>(rows_max - std::ssize(all), std::ssize(rows));
      all.insert(all.end(), rows.begin(), rows.begin() + room);
      return std::ssize(all) < rows_max;
    }));
    return all;
  }

  Result<std::vector<std::string>> scans(std::size_t query) override {
    const dynamodb::Selection selection(queries_.at(query).statement);
    ASSIGN_OR_RETURN(const std::string hash, store_.hash_key(selection.table(), selection.index()));
    if (selection.finds_by(hash)) return std::vector<std::string>{};
    return std::vector<std::string>{selection.table() +
                                    (selection.index().empty() ? "" : "." + selection.index())};
  }

 private:
  static TableSchema one_map() {
    TableSchema table;
    table.rest_column = dynamodb::rest_name;
    table.columns.push_back({dynamodb::rest_name, "", true, false, false, "", Kind::map});
    return table;
  }

  Status each_page(std::size_t query, const QueryValues& values,
                   const std::function<bool(const std::vector<Row>&, double)>& goes_on) {
    const Prepared& prepared = queries_.at(query);
    std::string parameters;
    for (const std::string& name : prepared.parameters) {
      const auto value = std::ranges::find(values, name, &QueryValues::value_type::first);
      ASSIGN_OR_RETURN(const Value settled,
                       dynamodb::settled(value == values.end() ? Value() : value->second));
      parameters += parameters.empty() ? "" : ",";
      if (settled.is_null()) {
        parameters += R"({"NULL":true})";
      } else {
        dynamodb::append_value(parameters, settled);
      }
    }
    std::string body = R"({"ReturnConsumedCapacity":"TOTAL","Statement":)" +
                       dynamodb::in_quotes(prepared.statement);
    if (!parameters.empty()) body += R"(,"Parameters":[)" + parameters + "]";
    std::string next;
    do {
      const std::string asked =
          body + (next.empty() ? "" : R"(,"NextToken":)" + dynamodb::in_quotes(next)) + "}";
      ASSIGN_OR_RETURN(const aws::Reply reply,
                       client_->send_one({"ExecuteStatement", asked, true}));
      if (!reply.ok()) return client_->to_error(reply, "ExecuteStatement");
      ASSIGN_OR_RETURN(const dynamodb::Page page, items_.scan_page(reply.body));
      const json parsed = json::parse(reply.body, nullptr, false);
      const json consumed =
          parsed.is_object() ? parsed.value("ConsumedCapacity", json::object()) : json::object();
      const bool is_counted = consumed.is_object() && consumed.contains("CapacityUnits") &&
                              consumed["CapacityUnits"].is_number();
      const double units = is_counted ? consumed["CapacityUnits"].get<double>() : 0.0;
      if (!goes_on(page.rows, units)) return {};
      next = parsed.is_object() ? parsed.value("NextToken", "") : "";
    } while (!next.empty());
    return {};
  }

  DynamoStore& store_;
  std::unique_ptr<aws::Client> client_;
  std::vector<Prepared> queries_;
  dynamodb::ItemReader items_;
};

}  // namespace

Result<std::unique_ptr<QueryRunner>> DynamoStore::open_queries(
    const std::vector<ReadingQuery>& queries, Milliseconds) {
  std::vector<Prepared> prepared;
  for (const ReadingQuery& query : queries) {
    ASSIGN_OR_RETURN(Prepared one, prepare(query));
    prepared.push_back(std::move(one));
  }
  return std::unique_ptr<QueryRunner>(
      std::make_unique<Runner>(*this, connect(nullptr), std::move(prepared)));
}

Result<std::string> DynamoStore::hash_key(const std::string& table, const std::string& index) {
  ASSIGN_OR_RETURN(const json there, describe_table(table));
  json keys = index.empty() ? there.value("KeySchema", json::array()) : json::array();
  for (const char* kind : {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"}) {
    for (const json& one : there.value(kind, json::array())) {
      if (!index.empty() && one.value("IndexName", "") == index) keys = one["KeySchema"];
    }
  }
  for (const json& key : keys) {
    if (key.value("KeyType", "") == "HASH") return key.value("AttributeName", "");
  }
  return std::string();
}

// As the service says, which looks every six hours.
Result<RoomTaken> DynamoStore::room_taken(const TableSchema& table) {
  ASSIGN_OR_RETURN(const json there, describe_table(table.name));
  RoomTaken room;
  room.table_bytes = there.value("TableSizeBytes", std::int64_t{0});
  for (const char* kind : {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"}) {
    for (const json& index : there.value(kind, json::array())) {
      room.index_bytes += index.value("IndexSizeBytes", std::int64_t{0});
      ++room.indexes;
    }
  }
  room.exact = false;
  return room;
}

}  // namespace whimbrel
