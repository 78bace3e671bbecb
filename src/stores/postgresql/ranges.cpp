#include "stores/postgresql/ranges.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace whimbrel::postgresql {

namespace {
constexpr std::int64_t row_bytes_max = 100'000;
}  // namespace

// Of a table that nobody has analysed a few rows say how large they are.
Status Ranges::learn_row_size(Connection& connection) {
  ASSIGN_OR_RETURN(const std::string sql, place(connection));
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(
          fmt::format("SELECT CASE WHEN reltuples > 0 AND relkind = 'r' THEN (pg_table_size(oid) / "
                      "reltuples)::bigint ELSE (SELECT avg(pg_column_size(t.*))::bigint FROM "
                      "(SELECT * FROM {} LIMIT 100) t) END FROM pg_class WHERE oid = "
                      "$1::text::regclass",
                      sql),
          {sql}));
  row_bytes_ = std::min<std::int64_t>(std::stoll(rows.at(0).at(0).value_or("0")), row_bytes_max);
  return {};
}

Result<std::optional<Row>> Ranges::end_of(Connection& connection, const std::optional<Row>& after,
                                          const std::optional<Row>& until,
                                          const ChunkLimits& limits) {
  ASSIGN_OR_RETURN(const std::string sql, place(connection));
  Cells parameters;
  ASSIGN_OR_RETURN(const std::string where_sql, where({after, until}, parameters));
  const std::int64_t fit = row_bytes_ > 0 ? limits.bytes_max / row_bytes_ + 1 : limits.rows_max;
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(
          fmt::format("SELECT {0} FROM {1} {2} WHERE {3} ORDER BY {0} OFFSET {4} "
                      "LIMIT 1",
                      key_list(), sql, qualifier_.substr(0, qualifier_.size() - 1), where_sql,
                      std::max<std::int64_t>(std::min(limits.rows_max, fit), 1) - 1),
          parameters));
  if (rows.empty()) return std::optional<Row>();
  return std::optional(key_of(rows[0]));
}

Result<std::string> Ranges::where(const KeyRange& range, Cells& parameters) const {
  return within(table_, qualifier_, range, parameters);
}

Result<std::string> Ranges::where_as_text(const KeyRange& range) const {
  return within_as_text(table_, qualifier_, range);
}

std::string Ranges::key_list() const {
  std::vector<std::string> all;
  for (const std::string& name : table_.key) all.push_back(qualifier_ + quote_name(name));
  return join(all, ", ");
}

}  // namespace whimbrel::postgresql
