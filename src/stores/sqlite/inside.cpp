#include "stores/sqlite/inside.h"

#include <fmt/format.h>

#include "base/text.h"
#include "store/image.h"
#include "stores/sqlite/affinity.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/objects.h"
#include "stores/sqlite/triggers.h"

namespace whimbrel::sqlite {

namespace {

class Inside final : public InsideCopier {
 public:
  Inside(std::unique_ptr<Connection> connection, const Mapping& mapping, Claim claim)
      : connection_(std::move(connection)), mapping_(mapping), claim_(std::move(claim)) {}

  Status spell() {
    ASSIGN_OR_RETURN(expressions_, spell_rules(mapping_.forward, "s."));
    ASSIGN_OR_RETURN(match_, match_key(mapping_.target, mapping_.forward, "t.", "s."));
    for (const ColumnRule& rule : mapping_.forward) {
      const auto at = static_cast<std::size_t>(rule.index);
      affinities_.push_back(affinity_of(mapping_.target.columns[at].declared));
    }
    return {};
  }

  Result<InsideCopy> copy_after(const std::optional<Row>& after,
                                const ChunkLimits& limits) override {
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(*connection_, true));
    InsideCopy copy;
    ASSIGN_OR_RETURN(copy.range, range_after(after, limits));
    ASSIGN_OR_RETURN(const bool guarded, has_guard(*connection_));
    if (guarded) TRY(connection_->execute(guard_on));
    Row parameters;
    const std::string where = range_sql(mapping_.source.key, "s.", copy.range, parameters);
    const std::string sql = fmt::format(
        "INSERT INTO {} ({}) SELECT {} FROM {} AS s WHERE {} ORDER BY {} ON CONFLICT ({}) DO "
        "NOTHING",
        quote_name(mapping_.target.name), name_list(written_columns(mapping_.forward)),
        join(expressions_, ", "), quote_name(mapping_.source.name), where,
        qualified_list(mapping_.source.key, "s."), name_list(mapping_.target.key));
    const Result<std::int64_t> inserted = connection_->run(sql, parameters);
    if (!inserted.ok()) {
      copy.blocked = sqlite3_extended_errcode(connection_->raw()) == SQLITE_CONSTRAINT_UNIQUE;
      if (!copy.blocked) return inserted.error();
      return copy;
    }
    copy.written = inserted.value();
    ASSIGN_OR_RETURN(const std::vector<Row> counted,
                     connection_->query(fmt::format("SELECT count(*) FROM {} AS s WHERE {}",
                                                    quote_name(mapping_.source.name), where),
                                        parameters));
    copy.read = counted.at(0).at(0).get<std::int64_t>();
    TRY(record_chunk());
    if (guarded) TRY(connection_->execute(guard_off));
    TRY(transaction.commit());
    return copy;
  }

  Result<InsideComparison> compare_after(const std::optional<Row>& after,
                                         const ChunkLimits& limits) override {
    ASSIGN_OR_RETURN(const Transaction transaction, Transaction::begin(*connection_, false));
    InsideComparison comparison;
    ASSIGN_OR_RETURN(comparison.range, range_after(after, limits));
    Row parameters;
    const std::string where = range_sql(mapping_.source.key, "s.", comparison.range, parameters);
    const std::string sql = fmt::format(
        "SELECT {}, {}, t.{} IS NOT NULL, {} FROM {} AS s LEFT JOIN {} AS t ON {} WHERE {} ORDER "
        "BY {}",
        qualified_list(mapping_.source.key, "s."), join(expressions_, ", "),
        quote_name(mapping_.target.key.front()),
        qualified_list(written_columns(mapping_.forward), "t."), quote_name(mapping_.source.name),
        quote_name(mapping_.target.name), match_, where, qualified_list(mapping_.source.key, "s."));
    ASSIGN_OR_RETURN(const Statement statement, connection_->prepare(sql));
    int at = 0;
    for (const Value& value : parameters) TRY(bind(statement.get(), ++at, value));
    while (true) {
      ASSIGN_OR_RETURN(const bool more, connection_->step(statement.get()));
      if (!more) return comparison;
      compare_row(statement.get(), comparison);
    }
  }

 private:
  Result<KeyRange> range_after(const std::optional<Row>& after, const ChunkLimits& limits) {
    ASSIGN_OR_RETURN(const std::optional<Row> through,
                     key_at(*connection_, mapping_.source, after, limits.rows_max));
    return KeyRange{after, through};
  }

  // One row of the join: key, expressions, whether there is a target row, target columns.
  void compare_row(sqlite3_stmt* statement, InsideComparison& comparison) {
    const int keys = static_cast<int>(mapping_.source.key.size());
    const int columns = static_cast<int>(mapping_.forward.size());
    const bool there = sqlite3_column_int(statement, keys + columns) != 0;
    expected_.clear();
    found_.clear();
    bool settled = true;
    for (int i = 0; i < columns; ++i) {
      Result<Value> value =
          settle(affinities_[static_cast<std::size_t>(i)], column(statement, keys + i));
      settled = settled && value.ok();
      if (value.ok()) append_canonical(expected_, value.value());
      if (there) append_canonical(found_, column(statement, keys + columns + 1 + i));
    }
    comparison.expected.add(expected_);
    if (there) comparison.found.add(found_);
    if (there && settled && expected_ == found_) return;
    ++comparison.differing_rows;
    comparison.differing.push_back(row_of(statement, 0, keys));
  }

  // The chunk says in the same transaction whose it is: two runners on two journals are noticed.
  Status record_chunk() {
    if (claim_.migration.empty()) return {};
    ASSIGN_OR_RETURN(
        const std::int64_t rows,
        connection_->run("UPDATE whimbrel_claims SET chunks = chunks + 1"
                         " WHERE migration = ?1 AND journal = ?2",
                         {Value::text(claim_.migration), Value::text(claim_.journal)}));
    if (rows == 1) return {};
    return Error{ErrorCode::conflict, "another journal drives this migration in this database",
                 "find the other runner; only one may go on"};
  }

  std::unique_ptr<Connection> connection_;
  const Mapping& mapping_;
  Claim claim_;
  std::vector<std::string> expressions_;
  std::string match_;
  std::vector<Affinity> affinities_;
  std::string expected_;
  std::string found_;
};

}  // namespace

Result<std::unique_ptr<InsideCopier>> make_inside(std::unique_ptr<Connection> connection,
                                                  const Mapping& mapping, Claim claim) {
  auto inside = std::make_unique<Inside>(std::move(connection), mapping, std::move(claim));
  TRY(inside->spell());
  return std::unique_ptr<InsideCopier>(std::move(inside));
}

}  // namespace whimbrel::sqlite
