#include "stores/sqlite/rows.h"

#include <fmt/format.h>

#include "base/text.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/objects.h"

namespace whimbrel::sqlite {

namespace {

std::string key_condition(const TableSchema& table, int first_parameter) {
  std::vector<std::string> parts;
  for (const std::string& column : table.key) {
    parts.push_back(fmt::format("{} = ?{}", quote_name(column), first_parameter++));
  }
  return join(parts, " AND ");
}

std::string select_by_key(const TableSchema& table) {
  return fmt::format("SELECT {} FROM {} WHERE {}", name_list(table.column_names()),
                     quote_name(table.name), key_condition(table, 1));
}

class Reader final : public SnapshotReader {
 public:
  Reader(std::unique_ptr<Connection> connection, const TableSchema& table)
      : connection_(std::move(connection)), table_(table) {
    for (const std::string& name : table_.key) key_.push_back(table_.column_index(name));
  }

  Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                 const ChunkLimits& limits) override {
    Row parameters;
    const std::string where = range_sql(table_.key, "", {after, std::nullopt}, parameters);
    const std::string sql =
        fmt::format("SELECT {} FROM {} WHERE {} ORDER BY {}", name_list(table_.column_names()),
                    quote_name(table_.name), where, name_list(table_.key));
    ASSIGN_OR_RETURN(const Statement statement, connection_->prepare(sql));
    int at = 0;
    for (const Value& value : parameters) TRY(bind(statement.get(), ++at, value));
    ChunkOfRows chunk;
    chunk.range.after = after;
    std::int64_t bytes = 0;
    while (true) {
      ASSIGN_OR_RETURN(const bool more, connection_->step(statement.get()));
      if (!more) return chunk;
      if (std::ssize(chunk.rows) >= limits.rows_max ||
          (bytes >= limits.bytes_max && !chunk.rows.empty())) {
        chunk.range.through = key_of(chunk.rows.back(), key_);
        return chunk;
      }
      chunk.rows.push_back(row_of(statement.get(), 0, static_cast<int>(table_.columns.size())));
      bytes += size_of(chunk.rows.back());
    }
  }

  Result<std::vector<std::optional<Row>>> read_keys(std::span<const Row> keys) override {
    ASSIGN_OR_RETURN(const Statement statement, connection_->prepare(select_by_key(table_)));
    std::vector<std::optional<Row>> rows;
    for (const Row& key : keys) {
      sqlite3_reset(statement.get());
      int at = 0;
      for (const Value& value : key) TRY(bind(statement.get(), ++at, value));
      ASSIGN_OR_RETURN(const bool found, connection_->step(statement.get()));
      rows.push_back(
          found ? std::optional(row_of(statement.get(), 0, static_cast<int>(table_.columns.size())))
                : std::nullopt);
    }
    return rows;
  }

  Result<std::int64_t> count() override {
    ASSIGN_OR_RETURN(const std::vector<Row> rows,
                     connection_->query("SELECT count(*) FROM " + quote_name(table_.name), {}));
    return rows.at(0).at(0).get<std::int64_t>();
  }

 private:
  std::unique_ptr<Connection> connection_;
  TableSchema table_;
  std::vector<int> key_;
};

class Writer final : public BatchWriter {
 public:
  Writer(std::unique_ptr<Connection> connection, const TableSchema& table,
         std::vector<std::string> columns)
      : connection_(std::move(connection)), table_(table), columns_(std::move(columns)) {}

  Result<Applied> apply(std::span<const Change> changes) override {
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(*connection_, true));
    ASSIGN_OR_RETURN(const bool guarded, has_guard(*connection_));
    if (guarded) TRY(connection_->execute(guard_on));
    ASSIGN_OR_RETURN(const Statement select, connection_->prepare(select_by_key(table_)));
    ASSIGN_OR_RETURN(const Statement erase, connection_->prepare(fmt::format(
                                                "DELETE FROM {} WHERE {}", quote_name(table_.name),
                                                key_condition(table_, 1))));
    ASSIGN_OR_RETURN(const Statement upsert, connection_->prepare(upsert_sql()));
    Applied applied;
    for (const bool deletes : {true, false}) {
      for (const Change& change : changes) {
        if (change.row.has_value() != deletes) {
          TRY(apply_one(change, select.get(), deletes ? erase.get() : upsert.get(), applied));
        }
      }
    }
    if (guarded) TRY(connection_->execute(guard_off));
    TRY(transaction.commit());
    return applied;
  }

 private:
  std::string upsert_sql() const {
    std::vector<std::string> marks;
    std::vector<std::string> sets;
    for (const std::string& column : columns_) {
      marks.push_back(fmt::format("?{}", marks.size() + 1));
      if (!table_.is_key(column)) {
        sets.push_back(fmt::format("{0} = excluded.{0}", quote_name(column)));
      }
    }
    const std::string then = sets.empty() ? "NOTHING" : "UPDATE SET " + join(sets, ", ");
    return fmt::format("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO {}",
                       quote_name(table_.name), name_list(columns_), join(marks, ", "),
                       name_list(table_.key), then);
  }

  Result<std::optional<Row>> current(const Row& key, sqlite3_stmt* select) {
    sqlite3_reset(select);
    int at = 0;
    for (const Value& value : key) TRY(bind(select, ++at, value));
    ASSIGN_OR_RETURN(const bool found, connection_->step(select));
    std::optional<Row> row;
    if (found) row = row_of(select, 0, static_cast<int>(table_.columns.size()));
    sqlite3_reset(select);
    return row;
  }

  Status apply_one(const Change& change, sqlite3_stmt* select, sqlite3_stmt* write,
                   Applied& applied) {
    ASSIGN_OR_RETURN(const std::optional<Row> before, current(change.key, select));
    if (change.only_if) {
      const std::optional<Row>& wanted = *change.only_if;
      if (before.has_value() != wanted.has_value() || (before && !same(*before, *wanted))) {
        ++applied.refused;
        return {};
      }
    }
    if (unchanged(before, change)) {
      ++applied.skipped;
      return {};
    }
    sqlite3_reset(write);
    int at = 0;
    for (const Value& value : change.row ? *change.row : change.key) TRY(bind(write, ++at, value));
    const Result<bool> stepped = connection_->step(write);
    sqlite3_reset(write);
    if (!stepped.ok()) return Error(stepped.error()).within("writing key " + show(change.key));
    ++applied.written;
    return {};
  }

  bool unchanged(const std::optional<Row>& before, const Change& change) const {
    if (!before || !change.row) return !before && !change.row;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const auto at = static_cast<std::size_t>(table_.column_index(columns_[i]));
      if (!same((*before)[at], (*change.row)[i])) return false;
    }
    return true;
  }

  std::unique_ptr<Connection> connection_;
  TableSchema table_;
  std::vector<std::string> columns_;
};

}  // namespace

std::unique_ptr<SnapshotReader> make_reader(std::unique_ptr<Connection> connection,
                                            const TableSchema& table) {
  return std::make_unique<Reader>(std::move(connection), table);
}

std::unique_ptr<BatchWriter> make_writer(std::unique_ptr<Connection> connection,
                                         const TableSchema& table,
                                         const std::vector<std::string>& columns) {
  return std::make_unique<Writer>(std::move(connection), table, columns);
}

Result<std::optional<Row>> read_key(Connection& connection, const TableSchema& table,
                                    const Row& key) {
  ASSIGN_OR_RETURN(std::vector<Row> rows, connection.query(select_by_key(table), key));
  if (rows.empty()) return std::optional<Row>{};
  return std::optional<Row>(std::move(rows.front()));
}

}  // namespace whimbrel::sqlite
