#include "stores/postgresql/inside.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "stores/postgresql/brake.h"
#include "stores/postgresql/converted.h"
#include "stores/postgresql/ranges.h"

namespace whimbrel::postgresql {

namespace {

class Inside final : public InsideCopier {
 public:
  Inside(std::shared_ptr<Sessions> sessions, const Mapping& mapping, const StoreLimits& limits,
         Clock& clock)
      : sessions_(std::move(sessions)),
        mapping_(mapping),
        clock_(clock),
        brake_(limits, clock),
        ranges_(sessions_, mapping.source, "s."),
        target_(sessions_, mapping.target.name),
        reader_(make_reader(sessions_, mapping.source)) {}

  Status learn_row_size() {
    ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
    return ranges_.learn_row_size(*connection);
  }

  Result<InsideCopy> copy_after(const std::optional<Row>& after,
                                const ChunkLimits& limits) override {
    ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
    TRY(brake_.wait(*connection));
    const Milliseconds since = clock_.monotonic();
    InsideCopy copy;
    copy.range.after = after;
    ASSIGN_OR_RETURN(copy.range.through, ranges_.end_of(*connection, after, std::nullopt, limits));
    ASSIGN_OR_RETURN(const std::string source, ranges_.place(*connection));
    ASSIGN_OR_RETURN(const std::string target, target_.sql(*connection));
    Cells parameters;
    ASSIGN_OR_RETURN(const std::string where, ranges_.where(copy.range, parameters));
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
    copy.bytes = copy.read * ranges_.row_bytes();
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
    ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
    InsideComparison comparison;
    comparison.range.after = after;
    ASSIGN_OR_RETURN(comparison.range.through, ranges_.end_of(*connection, after, until, limits));
    ASSIGN_OR_RETURN(const std::string source, ranges_.place(*connection));
    ASSIGN_OR_RETURN(const std::string target, target_.sql(*connection));
    KeyRange range = comparison.range;
    if (!range.through) range.through = until;
    Cells parameters;
    ASSIGN_OR_RETURN(const std::string where, ranges_.where(range, parameters));
    std::vector<std::string> expected;
    std::vector<std::string> found;
    for (const ColumnRule& rule : mapping_.forward) {
      const ColumnSchema& column = column_of(mapping_.target, rule.column);
      expected.push_back(comparable(converted(mapping_, rule), column));
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
                        "coalesce(bit_xor(found), 0), array_agg(key::text) FILTER (WHERE "
                        "differs) FROM pairs",
                        joined),
            parameters));
    const Cells& all = rows.at(0);
    comparison.expected = Fingerprint::of(std::stoll(*all[0]), *all[3], std::stoll(*all[5]));
    comparison.found = Fingerprint::of(std::stoll(*all[1]), *all[4], std::stoll(*all[6]));
    comparison.differing_rows = std::stoll(*all[2]);
    if (all[7]) {
      for (const Cell& one : cells_of(*all[7])) {
        comparison.differing.push_back(ranges_.key_of(cells_of(one.value_or("{}"))));
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
      const std::optional<std::string> source = source_of(mapping_, mapping_.target.key[i]);
      if (!source || column_of(mapping_.source, *source).declared != target.declared) {
        return std::optional<InsideStrangers>();
      }
    }
    ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
    ASSIGN_OR_RETURN(const std::string source, ranges_.place(*connection));
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
  std::string converted_list() const {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < mapping_.forward.size(); ++i) {
      all.push_back(fmt::format("{} AS v{}", converted(mapping_, mapping_.forward[i]), i));
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
      parts.push_back(fmt::format("t.{} = {}", quote_name(rule.column), converted(mapping_, rule)));
    }
    return join(parts, " AND ");
  }

  std::shared_ptr<Sessions> sessions_;
  const Mapping& mapping_;
  Clock& clock_;
  Brake brake_;
  Ranges ranges_;
  Located target_;
  std::unique_ptr<SnapshotReader> reader_;
};

}  // namespace

bool can_copy_inside(const Mapping& mapping) {
  // What is spelled otherwise on the new side is noted row by row.
  const bool notes_spellings = std::ranges::any_of(mapping.respelled, [](const Respelling& one) {
    return one.takes_any || one.listed != nullptr;
  });
  return !notes_spellings && server_converts(mapping);
}

Result<std::unique_ptr<InsideCopier>> make_inside(std::shared_ptr<Sessions> sessions,
                                                  const Mapping& mapping, const StoreLimits& limits,
                                                  Clock& clock) {
  auto inside = std::make_unique<Inside>(std::move(sessions), mapping, limits, clock);
  TRY(inside->learn_row_size());
  return std::unique_ptr<InsideCopier>(std::move(inside));
}

}  // namespace whimbrel::postgresql
