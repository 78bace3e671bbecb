#include "stores/postgresql/inside.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "stores/postgresql/brake.h"
#include "stores/postgresql/converted.h"
#include "stores/postgresql/digests.h"

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
        target_ranges_(sessions_, mapping.target, "t."),
        target_(sessions_, mapping.target.name),
        reader_(make_reader(sessions_, mapping.source)),
        same_order_(same_order_as_uuids(mapping)) {}

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
    TRY(connection->execute("SAVEPOINT whimbrel_copy"));
    const std::string from = fmt::format("{} s WHERE {}", source, where);
    const Result<std::int64_t> copied = connection->run(
        fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}", target,
                    name_list(columns), join(values_or_refusals(), ", "), from),
        parameters);
    if (copied.ok()) {
      copy.read = copied.value();
      copy.written = copied.value();
    } else if (connection->sqlstate() == "23505") {
      // Some are there from before, or two want the same.
      TRY(connection->execute("ROLLBACK TO whimbrel_copy"));
      ASSIGN_OR_RETURN(const auto counted,
                       connection->query("SELECT count(*) FROM " + from, parameters));
      const Result<std::int64_t> others = connection->run(
          fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} ON CONFLICT "
                      "({}) DO NOTHING",
                      target, name_list(columns), join(values_or_refusals(), ", "), from,
                      name_list(mapping_.target.key)),
          parameters);
      if (!others.ok()) return blocked(*connection, others.error(), std::move(copy));
      copy.read = std::stoll(*counted.at(0).at(0));
      copy.written = others.value();
    } else {
      return blocked(*connection, copied.error(), std::move(copy));
    }
    TRY(transaction.commit());
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
    if (same_order_) {
      ASSIGN_OR_RETURN(const bool equal,
                       have_equal_digests(*connection, range, Digests::rows, comparison));
      if (equal) return comparison;
    }
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

  Result<std::optional<InsideStrangers>> strangers_after(const std::optional<Row>& after,
                                                         const ChunkLimits& limits) override {
    ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
    const std::int64_t rows_max = limits.rows_max * 10;  // keys alone are small
    // Beside writers keys come and go: a smaller range may be equal where a large one is not.
    constexpr std::int64_t span_min = 500;
    span_ = std::clamp(span_, span_min, std::max(rows_max, span_min));
    while (same_order_) {
      InsideStrangers none;
      none.range.after = after;
      ASSIGN_OR_RETURN(none.range.through, target_ranges_.end_of(*connection, after, std::nullopt,
                                                                 {span_, limits.bytes_max * 10}));
      InsideComparison comparison;
      ASSIGN_OR_RETURN(const bool equal,
                       have_equal_digests(*connection, none.range, Digests::keys, comparison));
      if (equal) {
        span_ *= 2;
        return std::optional(std::move(none));
      }
      if (span_ == span_min) break;
      span_ = std::max(span_ / 4, span_min);
    }
    if (!keys_have_equal_types()) return std::optional<InsideStrangers>();
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
  // A value that does not convert, or has to be unique: row by row it can be said which.
  static Result<InsideCopy> blocked(const Connection& connection, const Error& error,
                                    InsideCopy copy) {
    if (!connection.refuses_a_value()) return error;
    copy.blocked = true;
    return copy;
  }

  // Both sides in one statement, so in one snapshot.
  Result<bool> have_equal_digests(Connection& connection, const KeyRange& range, Digests of,
                                  InsideComparison& comparison) {
    ASSIGN_OR_RETURN(Digested expected,
                     digested_source(connection, mapping_, ranges_, range, of, DigestBy::record));
    ASSIGN_OR_RETURN(const Digested found, digested_target(connection, mapping_, target_ranges_,
                                                           range, of, DigestBy::record));
    // The same values, numbered alike.
    ASSIGN_OR_RETURN(const auto rows,
                     connection.query(fmt::format("SELECT * FROM ({}) a CROSS JOIN ({}) b",
                                                  expected.whole(), found.whole()),
                                      expected.parameters));
    const std::span<const Cell> cells = rows.at(0);
    comparison.expected = fingerprint_of(cells.first(3));
    comparison.found = fingerprint_of(cells.subspan(3));
    return comparison.expected == comparison.found;
  }

  // What is written. A text that would not be the same text afterwards is no value of its column,
  // and says so.
  std::vector<std::string> values_or_refusals() const {
    std::vector<std::string> all;
    for (const ColumnRule& rule : mapping_.forward) {
      std::string value = converted(mapping_, rule);
      const auto spelled = std::ranges::find(mapping_.respelled, rule.column, &Respelling::column);
      if (spelled != mapping_.respelled.end()) {
        const std::string text = "s." + quote_name(spelled->column) + "::text";
        value = fmt::format(
            "CASE WHEN ({0})::text = {1} THEN {0} ELSE ({1} || ' is spelled "
            "otherwise')::{2} END",
            value, text, column_of(mapping_.target, rule.column).declared);
        value = fmt::format("CASE WHEN {} IS NOT NULL THEN {} END", text, value);
      }
      all.push_back(std::move(value));
    }
    return all;
  }
  // Else no index of the source finds a key of the target.
  bool keys_have_equal_types() const {
    for (std::size_t i = 0; i < mapping_.target.key.size(); ++i) {
      const ColumnSchema& target = column_of(mapping_.target, mapping_.target.key[i]);
      const std::optional<std::string> source = source_of(mapping_, mapping_.target.key[i]);
      if (!source || column_of(mapping_.source, *source).declared != target.declared) {
        return false;
      }
    }
    return true;
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
  Ranges target_ranges_;
  Located target_;
  std::unique_ptr<SnapshotReader> reader_;
  bool same_order_;
  std::int64_t span_ = std::int64_t{1} << 40;  // rows of a range whose keys are compared at once
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
