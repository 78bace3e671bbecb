#include "stores/postgresql/inside.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "stores/postgresql/rows.h"

namespace whimbrel::postgresql {

namespace {

// Pairs of types between which the server's cast says what settle() says. Between any others rows
// take the way through this program.
bool server_converts(const ColumnSchema& from, const ColumnSchema& to) {
  if (from.declared == to.declared) return true;
  const Type source = type_of(from.declared);
  const Type target = type_of(to.declared);
  const auto is_text = [](const Type& type) {
    return type.is == TypeClass::text || type.is == TypeClass::varchar;
  };
  const auto is_whole = [](const Type& type) {
    return type.is == TypeClass::int2 || type.is == TypeClass::int4 || type.is == TypeClass::int8;
  };
  if (is_text(source) && target.is == TypeClass::uuid) return true;
  // A cast cuts a text that is too long without a word.
  const bool takes_all =
      target.is == TypeClass::text || (target.is == TypeClass::varchar && target.length < 0);
  if (takes_all) return is_text(source) || is_whole(source) || source.is == TypeClass::uuid;
  if (source.is == TypeClass::uuid) return target.is == TypeClass::varchar && target.length >= 36;
  return is_whole(source) && is_whole(target);
}

// What is compared of a column: types whose equal values may look otherwise are compared as text.
std::string comparable(const std::string& sql, const ColumnSchema& column) {
  switch (type_of(column.declared).is) {
    case TypeClass::boolean:
    case TypeClass::int2:
    case TypeClass::int4:
    case TypeClass::int8:
    case TypeClass::bytea:
    case TypeClass::uuid:
    case TypeClass::date:
    case TypeClass::timestamp:
    case TypeClass::timestamp_tz:
      return sql;
    default:
      return "(" + sql + ")::text COLLATE \"C\"";
  }
}

class Inside final : public InsideCopier {
 public:
  Inside(std::shared_ptr<Sessions> sessions, const Mapping& mapping, const StoreLimits& limits,
         Clock& clock)
      : sessions_(std::move(sessions)),
        mapping_(mapping),
        limits_(limits),
        clock_(clock),
        source_(sessions_, mapping.source.name),
        target_(sessions_, mapping.target.name),
        reader_(make_reader(sessions_, mapping.source)),
        key_types_(key_types_of(mapping.source)) {}

  Status learn_row_size() {
    ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
    ASSIGN_OR_RETURN(const Place place, place_of(*connection, mapping_.source.name));
    ASSIGN_OR_RETURN(
        const auto rows,
        connection->query("SELECT (pg_table_size(oid) / greatest(reltuples, 1))::bigint FROM "
                          "pg_class WHERE oid = $1::oid",
                          {place.oid}));
    row_bytes_ = std::min<std::int64_t>(std::stoll(*rows.at(0).at(0)), 100'000);
    return {};
  }

  Result<InsideCopy> copy_after(const std::optional<Row>& after,
                                const ChunkLimits& limits) override {
    ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
    TRY(wait_for_those_behind(*connection));
    const Milliseconds since = clock_.monotonic();
    InsideCopy copy;
    copy.range.after = after;
    ASSIGN_OR_RETURN(copy.range.through, end_of(*connection, after, std::nullopt, limits));
    ASSIGN_OR_RETURN(const std::string source, source_.sql(*connection));
    ASSIGN_OR_RETURN(const std::string target, target_.sql(*connection));
    Cells parameters;
    ASSIGN_OR_RETURN(const std::string where, range_sql(copy.range, parameters));
    std::vector<std::string> columns;
    for (const ColumnRule& rule : mapping_.forward) columns.push_back(rule.column);
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(*connection));
    TRY(connection->execute(mark_own));
    TRY(connection->execute("SET CONSTRAINTS ALL IMMEDIATE"));  // a row says at once what it breaks
    const Result<std::vector<Cells>> copied = connection->query(
        fmt::format(
            "WITH of_source AS MATERIALIZED (SELECT {0}, {1} FROM {2} s WHERE {3}), copied AS "
            "(INSERT INTO {4} ({5}) OVERRIDING SYSTEM VALUE SELECT {6} FROM of_source "
            "ON CONFLICT ({7}) DO NOTHING RETURNING 1) "
            "SELECT count(*), (SELECT count(*) FROM copied), coalesce(bool_or(otherwise), "
            "false) FROM of_source",
            converted_list(), is_spelled_otherwise(), source, where, target, name_list(columns),
            join(numbered(columns.size()), ", "), name_list(mapping_.target.key)),
        parameters);
    if (!copied.ok()) {
      const std::string& state = connection->sqlstate();
      // A value that does not convert, or has to be unique: row by row it can be said which.
      if (!state.starts_with("22") && !state.starts_with("23")) return copied.error();
      copy.blocked = true;
      return copy;
    }
    if (copied.value().at(0).at(2) == "t") {
      copy.blocked = true;
      return copy;
    }
    TRY(transaction.commit());
    copy.read = std::stoll(*copied.value().at(0).at(0));
    copy.written = std::stoll(*copied.value().at(0).at(1));
    copy.bytes = copy.read * row_bytes_;
    copy.took = clock_.monotonic() - since;
    return copy;
  }

  Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                 const ChunkLimits& limits) override {
    return reader_->read_after(after, limits);
  }

  Status make_durable() override { return {}; }

  Result<InsideComparison> compare_after(const std::optional<Row>& after,
                                         const std::optional<Row>& until,
                                         const ChunkLimits& limits) override {
    constexpr std::size_t differing_max = 100;
    ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
    InsideComparison comparison;
    comparison.range.after = after;
    ASSIGN_OR_RETURN(comparison.range.through, end_of(*connection, after, until, limits));
    ASSIGN_OR_RETURN(const std::string source, source_.sql(*connection));
    ASSIGN_OR_RETURN(const std::string target, target_.sql(*connection));
    KeyRange range = comparison.range;
    if (!range.through) range.through = until;
    Cells parameters;
    ASSIGN_OR_RETURN(const std::string where, range_sql(range, parameters));
    std::vector<std::string> expected;
    std::vector<std::string> found;
    for (const ColumnRule& rule : mapping_.forward) {
      const ColumnSchema& column = column_of(mapping_.target, rule.column);
      expected.push_back(comparable(converted(rule), column));
      found.push_back(comparable("t." + quote_name(rule.column), column));
    }
    // One statement, so one snapshot of both sides.
    const std::string joined = fmt::format(
        "SELECT {} AS key, "
        "hash_record_extended(ROW({}), 0) AS expected, "
        "CASE WHEN t.ctid IS NOT NULL THEN hash_record_extended(ROW({}), 0) END AS found, "
        "t.ctid IS NULL OR ROW({}) IS DISTINCT FROM ROW({}) AS differs "
        "FROM {} s LEFT JOIN {} t ON {} WHERE {}",
        key_array(mapping_.source, "s"), join(expected, ", "), join(found, ", "),
        join(expected, ", "), join(found, ", "), source, target, same_key(), where);
    ASSIGN_OR_RETURN(
        const auto rows,
        connection->query(
            fmt::format("WITH pairs AS MATERIALIZED ({}) SELECT count(*), count(found), "
                        "count(*) FILTER (WHERE differs), coalesce(sum(expected), 0), "
                        "coalesce(sum(found), 0), coalesce(bit_xor(expected), 0), "
                        "coalesce(bit_xor(found), 0), (SELECT array_agg(key::text) FROM (SELECT "
                        "key FROM pairs WHERE differs LIMIT {}) d) FROM pairs",
                        joined, differing_max),
            parameters));
    const Cells& all = rows.at(0);
    comparison.expected = Fingerprint::of(std::stoll(*all[0]), *all[3], std::stoll(*all[5]));
    comparison.found = Fingerprint::of(std::stoll(*all[1]), *all[4], std::stoll(*all[6]));
    comparison.differing_rows = std::stoll(*all[2]);
    if (all[7]) {
      for (const Cell& one : cells_of(*all[7])) {
        comparison.differing.push_back(row_of(key_types_, cells_of(one.value_or("{}"))));
      }
    }
    return comparison;
  }

  Result<std::optional<Row>> middle() override { return std::optional<Row>(); }

  // By an index of the source only where both keys are of the same types.
  Result<std::optional<InsideStrangers>> strangers_after(const std::optional<Row>& after,
                                                         const ChunkLimits& limits) override {
    for (std::size_t i = 0; i < mapping_.target.key.size(); ++i) {
      const ColumnSchema& target = column_of(mapping_.target, mapping_.target.key[i]);
      const std::optional<std::string> source = source_of(mapping_.target.key[i]);
      if (!source || column_of(mapping_.source, *source).declared != target.declared) {
        return std::optional<InsideStrangers>();
      }
    }
    ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
    ASSIGN_OR_RETURN(const std::string source, source_.sql(*connection));
    ASSIGN_OR_RETURN(const std::string target, target_.sql(*connection));
    const std::vector<Type> types = key_types_of(mapping_.target);
    std::vector<std::string> keys;
    for (const std::string& name : mapping_.target.key) keys.push_back("t." + quote_name(name));
    Cells parameters;
    std::string where = "true";
    if (after) {
      ASSIGN_OR_RETURN(where, after_key(mapping_.target, "t.", *after, parameters));
    }
    const std::int64_t rows_max = limits.rows_max * 10;  // keys alone are small
    ASSIGN_OR_RETURN(
        const auto rows,
        connection->query(
            fmt::format("SELECT {}, NOT EXISTS (SELECT FROM {} s WHERE {}) FROM {} t WHERE {} "
                        "ORDER BY {} LIMIT {}",
                        join(keys, ", "), source, same_key(), target, where, join(keys, ", "),
                        rows_max),
            parameters));
    InsideStrangers strangers;
    strangers.range.after = after;
    Row key;
    for (const Cells& cells : rows) {
      key = row_of(types, cells);
      if (cells.back() == "t") strangers.keys.push_back(key);
    }
    if (std::ssize(rows) == rows_max) strangers.range.through = key;
    return std::optional(std::move(strangers));
  }

 private:
  // Asks now and then; ends early when the process is asked to stop.
  Status wait_for_those_behind(Connection& connection) {
    constexpr Milliseconds ask_every{2'000};
    constexpr Milliseconds pause{1'000};
    if (!limits_.replica_lag && !limits_.wal_kept) return {};
    if (asked_ && clock_.monotonic() - *asked_ < ask_every) return {};
    while (true) {
      ASSIGN_OR_RETURN(
          const auto rows,
          connection.query(
              "SELECT coalesce((SELECT max(extract(epoch FROM replay_lag) * 1000)::bigint FROM "
              "pg_stat_replication), 0), coalesce((SELECT max(pg_wal_lsn_diff("
              "pg_current_wal_lsn(), restart_lsn))::bigint FROM pg_replication_slots), 0)"));
      asked_ = clock_.monotonic();
      const bool lags =
          limits_.replica_lag && std::stoll(*rows.at(0).at(0)) > limits_.replica_lag->count();
      const bool keeps = limits_.wal_kept && std::stoll(*rows.at(0).at(1)) > *limits_.wal_kept;
      if (!lags && !keeps) return {};
      clock_.sleep_for(pause);
      if (clock_.monotonic() - *asked_ < pause / 2) return {};
    }
  }

  // The source column that a column of the target is copied from.
  std::optional<std::string> source_of(const std::string& column) const {
    for (const ColumnRule& rule : mapping_.forward) {
      const auto* copied = std::get_if<ColumnRef>(&rule.expr->node);
      if (rule.column == column && copied != nullptr) return copied->column;
    }
    return std::nullopt;
  }

  std::string converted(const ColumnRule& rule) const {
    const std::string& from = std::get<ColumnRef>(rule.expr->node).column;
    const std::string sql = "s." + quote_name(from);
    const ColumnSchema& target = column_of(mapping_.target, rule.column);
    return column_of(mapping_.source, from).declared == target.declared
               ? sql
               : "(" + sql + ")::" + target.declared;
  }
  std::string converted_list() const {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < mapping_.forward.size(); ++i) {
      all.push_back(fmt::format("{} AS v{}", converted(mapping_.forward[i]), i));
    }
    return join(all, ", ");
  }
  static std::vector<std::string> numbered(std::size_t count) {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < count; ++i) all.push_back(fmt::format("v{}", i));
    return all;
  }
  // Whether a text of the row would not be the same text afterwards.
  std::string is_spelled_otherwise() const {
    std::vector<std::string> all;
    for (const Respelling& one : mapping_.respelled) {
      const ColumnSchema& target = mapping_.target.columns[static_cast<std::size_t>(one.target)];
      all.push_back(fmt::format("(s.{0})::{1}::text <> s.{0}::text", quote_name(one.column),
                                target.declared));
    }
    return (all.empty() ? "false" : join(all, " OR ")) + " AS otherwise";
  }
  std::string same_key() const {
    std::vector<std::string> parts;
    for (const ColumnRule& rule : mapping_.forward) {
      if (!mapping_.target.is_key(rule.column)) continue;
      parts.push_back(fmt::format("t.{} = {}", quote_name(rule.column), converted(rule)));
    }
    return join(parts, " AND ");
  }

  Result<std::string> range_sql(const KeyRange& range, Cells& parameters) const {
    std::string where = "true";
    if (range.after) {
      ASSIGN_OR_RETURN(where, after_key(mapping_.source, "s.", *range.after, parameters));
    }
    if (range.through) {
      ASSIGN_OR_RETURN(const std::string behind,
                       after_key(mapping_.source, "s.", *range.through, parameters));
      where += " AND NOT " + behind;
    }
    return where;
  }

  // The key `rows_max` further on; unset when the end comes first. `until` ends a range as well.
  Result<std::optional<Row>> end_of(Connection& connection, const std::optional<Row>& after,
                                    const std::optional<Row>& until, const ChunkLimits& limits) {
    ASSIGN_OR_RETURN(const std::string source, source_.sql(connection));
    Cells parameters;
    ASSIGN_OR_RETURN(const std::string where, range_sql({after, until}, parameters));
    const std::int64_t fit = row_bytes_ > 0 ? limits.bytes_max / row_bytes_ + 1 : limits.rows_max;
    ASSIGN_OR_RETURN(
        const auto rows,
        connection.query(fmt::format("SELECT {0} FROM {1} s WHERE {2} ORDER BY {0} OFFSET {3} "
                                     "LIMIT 1",
                                     name_list(mapping_.source.key), source, where,
                                     std::max<std::int64_t>(std::min(limits.rows_max, fit), 1) - 1),
                         parameters));
    if (rows.empty()) return std::optional<Row>();
    return std::optional(row_of(key_types_, rows[0]));
  }

  std::shared_ptr<Sessions> sessions_;
  const Mapping& mapping_;
  StoreLimits limits_;
  Clock& clock_;
  std::optional<Milliseconds> asked_;
  Located source_;
  Located target_;
  std::unique_ptr<SnapshotReader> reader_;
  std::vector<Type> key_types_;
  std::int64_t row_bytes_ = 0;
};

}  // namespace

bool can_copy_inside(const Mapping& mapping) {
  // What is spelled otherwise on the new side is noted row by row.
  const bool notes_spellings = std::ranges::any_of(mapping.respelled, [](const Respelling& one) {
    return one.takes_any || one.listed != nullptr;
  });
  return !notes_spellings && std::ranges::all_of(mapping.forward, [&](const ColumnRule& rule) {
    const auto* copied = std::get_if<ColumnRef>(&rule.expr->node);
    return copied != nullptr && mapping.source.column_index(copied->column) >= 0 &&
           server_converts(column_of(mapping.source, copied->column),
                           column_of(mapping.target, rule.column));
  });
}

Result<std::unique_ptr<InsideCopier>> make_inside(std::shared_ptr<Sessions> sessions,
                                                  const Mapping& mapping, const StoreLimits& limits,
                                                  Clock& clock) {
  auto inside = std::make_unique<Inside>(std::move(sessions), mapping, limits, clock);
  TRY(inside->learn_row_size());
  return std::unique_ptr<InsideCopier>(std::move(inside));
}

}  // namespace whimbrel::postgresql
