#include "stores/sqlite/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include "base/text.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/objects.h"
#include "stores/sqlite/unique_index.h"

namespace whimbrel::sqlite {

namespace {

// Columns are read as those of "s": a name in quotes that no column has is a text for SQLite.
std::string key_condition(const TableSchema& table, int first_parameter) {
  std::vector<std::string> parts;
  for (const std::string& column : table.key) {
    parts.push_back(fmt::format("s.{} = ?{}", quote_name(column), first_parameter++));
  }
  return join(parts, " AND ");
}

std::string select_by_key(const TableSchema& table) {
  return fmt::format("SELECT {} FROM {} AS s WHERE {}", qualified_list(table.column_names(), "s."),
                     quote_name(table.name), key_condition(table, 1));
}

// What SQLite is asked of a condition; "" where it sees things otherwise, or nothing is gained. The
// plus keeps it from another order than the key's, and from converting what is compared.
std::string condition_sql(const Condition& condition, Row& parameters) {
  const char* comparison = condition.is == Condition::Is::one_of        ? "="
                           : condition.is == Condition::Is::at_least    ? ">="
                           : condition.is == Condition::Is::above       ? ">"
                           : condition.is == Condition::Is::at_most     ? "<="
                           : condition.is == Condition::Is::below       ? "<"
                           : condition.is == Condition::Is::begins_with ? ">="
                                                                        : nullptr;
  constexpr std::size_t values_max = 200;
  if (comparison == nullptr || condition.values.size() > values_max) return "";
  std::vector<std::string> any;
  for (const Value& value : condition.values) {
    if (value.kind() != Kind::text && value.kind() != Kind::int64) return "";
    any.push_back(fmt::format("+s.{} COLLATE BINARY {} ?{}", quote_name(condition.column),
                              comparison, parameters.size() + any.size() + 1));
  }
  parameters.insert(parameters.end(), condition.values.begin(), condition.values.end());
  return "(" + join(any, " OR ") + ")";
}

class Reader final : public SnapshotReader {
 public:
  Reader(ConnectionPtr connection, const TableSchema& table, std::span<const Condition> where)
      : connection_(std::move(connection)), table_(table), conditions_(where.begin(), where.end()) {
    key_ = positions_of(table_.key, table_);
  }

  Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                 const ChunkLimits& limits) override {
    Row parameters;
    KeyRange range{after, std::nullopt};
    if (!conditions_.empty()) {
      ASSIGN_OR_RETURN(range.through, end_of_scan(after, limits));
    }
    std::string where = range_sql(table_.key, "s.", range, parameters);
    for (const Condition& condition : conditions_) {
      const std::string asked = condition_sql(condition, parameters);
      if (!asked.empty()) where += " AND " + asked;
    }
    const std::string sql = fmt::format(
        "SELECT {} FROM {} AS s WHERE {} ORDER BY {}", qualified_list(table_.column_names(), "s."),
        quote_name(table_.name), where, qualified_list(table_.key, "s."));
    ASSIGN_OR_RETURN(const Statement statement, connection_->prepare(sql));
    int at = 0;
    for (const Value& value : parameters) TRY(bind(statement.get(), ++at, value));
    ChunkOfRows chunk;
    chunk.range.after = after;
    std::int64_t bytes = 0;
    while (true) {
      ASSIGN_OR_RETURN(const bool more, connection_->step(statement.get()));
      if (!more) {
        chunk.range.through = std::move(range.through);
        return chunk;
      }
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
    if (by_key_ == nullptr) {
      ASSIGN_OR_RETURN(by_key_, connection_->prepare(select_by_key(table_)));
    }
    std::vector<std::optional<Row>> rows(keys.size());
    TRY(each_key(by_key_.get(), keys, [&](std::size_t at) {
      rows[at] = row_of(by_key_.get(), 0, static_cast<int>(table_.columns.size()));
    }));
    return rows;
  }

  Result<std::vector<bool>> has_keys(std::span<const Row> keys) override {
    if (has_key_ == nullptr) {
      ASSIGN_OR_RETURN(has_key_, connection_->prepare(fmt::format("SELECT 1 FROM {} AS s WHERE {}",
                                                                  quote_name(table_.name),
                                                                  key_condition(table_, 1))));
    }
    std::vector<bool> all(keys.size(), false);
    TRY(each_key(has_key_.get(), keys, [&](std::size_t at) { all[at] = true; }));
    return all;
  }

  Result<std::int64_t> count() override {
    ASSIGN_OR_RETURN(const std::vector<Row> rows,
                     connection_->query("SELECT count(*) FROM " + quote_name(table_.name), {}));
    return rows.at(0).at(0).get<std::int64_t>();
  }

 private:
  // Where few rows are wanted, looking for them is not to hold the lock for the whole table.
  Result<std::optional<Row>> end_of_scan(const std::optional<Row>& after,
                                         const ChunkLimits& limits) {
    constexpr std::int64_t times = 20;
    return key_at(*connection_, table_.key, quote_name(table_.name), after,
                  limits.rows_max * times);
  }

  // Those that are found. In the order of the keys, so that a page is read once and not again and
  // again. A transaction saves taking the file's locks for each key; in a short one nobody waits
  // long.
  Status each_key(sqlite3_stmt* statement, std::span<const Row> keys,
                  const std::function<void(std::size_t at)>& look) {
    constexpr std::size_t keys_at_once = 64;
    std::vector<std::size_t> order(keys.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, RowLess(), [&](std::size_t at) -> const Row& { return keys[at]; });
    for (std::size_t begin = 0; begin < order.size(); begin += keys_at_once) {
      ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(*connection_, false));
      for (std::size_t i = begin; i < std::min(begin + keys_at_once, order.size()); ++i) {
        sqlite3_reset(statement);  // a lock of somebody else may have ended the last call
        int at = 0;
        for (const Value& value : keys[order[i]]) TRY(bind(statement, ++at, value));
        ASSIGN_OR_RETURN(const bool found, connection_->step(statement));
        if (found) look(order[i]);
        sqlite3_reset(statement);
      }
      TRY(transaction.commit());
    }
    return {};
  }

  ConnectionPtr connection_;
  Statement by_key_;
  Statement has_key_;
  TableSchema table_;
  std::vector<Condition> conditions_;
  std::vector<int> key_;
};

class Writer final : public BatchWriter {
 public:
  Writer(ConnectionPtr connection, const TableSchema& table, std::vector<std::string> columns)
      : connection_(std::move(connection)), table_(table), columns_(std::move(columns)) {
    key_ = positions_of(table_.key, table_);
  }

  Result<Applied> apply(std::span<const Change> changes) override {
    ASSIGN_OR_RETURN(const bool others_write, connection_->somebody_else_has_written());
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(*connection_, true));
    ASSIGN_OR_RETURN(const bool guarded, has_guard(*connection_));
    if (guarded) TRY(connection_->execute(guard_on));
    ASSIGN_OR_RETURN(Batch batch, prepare(changes));
    for (const bool deletes : {true, false}) {
      for (const Change& change : changes) {
        if (change.row.has_value() != deletes) TRY(apply_one(change, batch));
      }
    }
    if (!batch.applied.blocked_by.empty()) {
      Applied blocked;
      const std::set<Row, RowLess> keys(batch.applied.blocked_by.begin(),
                                        batch.applied.blocked_by.end());
      blocked.blocked_by.assign(keys.begin(), keys.end());
      return blocked;  // and everything is rolled back
    }
    TRY(put_down(batch));
    if (guarded) TRY(connection_->execute(guard_off));
    TRY(transaction.commit());
    batch.applied.others_write = others_write;
    return batch.applied;
  }

 private:
  struct Batch {
    Statement select;
    Statement erase;
    Statement update;
    Statement update_key;  // where the key is equal by a collation only
    Statement insert;
    Statement insert_whole;                 // of all stored columns
    std::set<Row, RowLess> waiting;         // keys whose change is still to come
    std::map<Row, Row, RowLess> taken_out;  // whole rows that stood in the way of others
    std::set<Row, RowLess> blocked;         // keys of changes that have not found room themselves
    Applied applied;
  };

  Result<Batch> prepare(std::span<const Change> changes) {
    Batch batch;
    ASSIGN_OR_RETURN(batch.select, connection_->prepare(select_by_key(table_)));
    ASSIGN_OR_RETURN(batch.erase, connection_->prepare(fmt::format("DELETE FROM {} AS s WHERE {}",
                                                                   quote_name(table_.name),
                                                                   key_condition(table_, 1))));
    ASSIGN_OR_RETURN(batch.update, connection_->prepare(update_sql(false)));
    ASSIGN_OR_RETURN(batch.update_key, connection_->prepare(update_sql(true)));
    ASSIGN_OR_RETURN(batch.insert, connection_->prepare(insert_sql(columns_)));
    ASSIGN_OR_RETURN(batch.insert_whole, connection_->prepare(insert_sql(stored_columns())));
    if (table_.uniques.empty() && table_.other_uniques.empty()) return batch;
    for (const Change& change : changes) {
      if (change.row) batch.waiting.insert(change.key);
    }
    return batch;
  }

  // Both take the values in the order of the written columns. No ON CONFLICT: SQLite 3.40 gives
  // `excluded` the wrong type where a computed column comes before, and a table can be called so.
  std::string update_sql(bool with_key) const {
    std::vector<std::string> sets;
    std::vector<std::string> matches;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string pair = fmt::format("{} = ?{}", quote_name(columns_[i]), i + 1);
      const bool is_key = table_.is_key(columns_[i]);
      if (is_key) matches.push_back("s." + pair);
      if (!is_key || with_key) sets.push_back(pair);
    }
    if (sets.empty()) return "SELECT 1";  // a row is its key
    // OR ABORT overrules what a constraint says of conflicts: nothing gives way in silence.
    return fmt::format("UPDATE OR ABORT {} AS s SET {} WHERE {}", quote_name(table_.name),
                       join(sets, ", "), join(matches, " AND "));
  }

  std::string insert_sql(const std::vector<std::string>& names) const {
    std::vector<std::string> marks;
    for (std::size_t i = 0; i < names.size(); ++i) marks.push_back(fmt::format("?{}", i + 1));
    return fmt::format("INSERT OR ABORT INTO {} ({}) VALUES ({})", quote_name(table_.name),
                       name_list(names), join(marks, ", "));
  }

  std::vector<std::string> stored_columns() const {
    std::vector<std::string> names;
    for (const ColumnSchema& column : table_.columns) {
      if (!column.generated) names.push_back(column.name);
    }
    return names;
  }

  Result<std::optional<Row>> current(const Row& key, Batch& batch) {
    if (const auto it = batch.taken_out.find(key); it != batch.taken_out.end()) {
      return std::optional<Row>(it->second);
    }
    sqlite3_stmt* select = batch.select.get();
    sqlite3_reset(select);
    int at = 0;
    for (const Value& value : key) TRY(bind(select, ++at, value));
    ASSIGN_OR_RETURN(const bool found, connection_->step(select));
    std::optional<Row> row;
    if (found) row = row_of(select, 0, static_cast<int>(table_.columns.size()));
    sqlite3_reset(select);
    return row;
  }

  Status apply_one(const Change& change, Batch& batch) {
    ASSIGN_OR_RETURN(const std::optional<Row> before, current(change.key, batch));
    batch.waiting.erase(change.key);
    if (change.only_if) {
      const std::optional<Row>& wanted = *change.only_if;
      if (before.has_value() != wanted.has_value() || (before && !same(*before, *wanted))) {
        ++batch.applied.refused;
        return {};
      }
    }
    if (unchanged(before, change)) {
      ++batch.applied.skipped;
      return {};
    }
    Status written = write(change, before, batch);
    if (!written.ok()) return std::move(written).error().within("writing key " + show(change.key));
    ++batch.applied.written;
    return {};
  }

  Status write(const Change& change, const std::optional<Row>& before, Batch& batch) {
    if (!change.row) return run(batch.erase.get(), change.key);
    const Row* values = &*change.row;
    Row whole;
    sqlite3_stmt* statement = batch.insert.get();
    if (before) {
      const bool same_key = same(key_of(*before, key_), change.key);
      statement = same_key ? batch.update.get() : batch.update_key.get();
    }
    if (const auto it = batch.taken_out.find(change.key); it != batch.taken_out.end()) {
      whole = whole_row(it->second, *values);
      values = &whole;
      statement = batch.insert_whole.get();
      batch.taken_out.erase(it);
    }
    Status done = run(statement, *values);
    if (done.ok() || sqlite3_extended_errcode(connection_->raw()) != SQLITE_CONSTRAINT_UNIQUE) {
      return done;
    }
    // A value moves from one row to another, and this one is its new place.
    ASSIGN_OR_RETURN(const bool moved, make_room(change, before, batch));
    if (!moved) return done;
    if (batch.applied.blocked_by.empty()) return run(statement, *values);
    batch.blocked.insert(change.key);
    return {};
  }

  // Those whose own change is still to come are taken out until then; the others are named. False
  // when nobody is found in the way who could make room.
  Result<bool> make_room(const Change& change, const std::optional<Row>& before, Batch& batch) {
    bool found = false;
    Row wanted;
    for (std::size_t i = 0; i < table_.columns.size(); ++i) {
      const auto it = std::ranges::find(columns_, table_.columns[i].name);
      if (it != columns_.end()) {
        wanted.push_back((*change.row)[static_cast<std::size_t>(it - columns_.begin())]);
      } else {
        wanted.push_back(before ? (*before)[i] : Value());
      }
    }
    std::vector<std::string>& questions = before ? in_the_way_ : in_the_way_of_a_new_one_;
    if (questions.empty()) questions = spell_in_the_way(!before);
    for (const std::string& sql : questions) {
      ASSIGN_OR_RETURN(const std::vector<Row> keys, connection_->query(sql, wanted));
      for (const Row& key : keys) {
        if (same(key, change.key)) continue;
        found = true;
        if (batch.blocked.contains(key)) continue;  // it goes when it has found room
        if (!batch.waiting.contains(key)) {
          batch.applied.blocked_by.push_back(key);
          continue;
        }
        ASSIGN_OR_RETURN(std::optional<Row> row, current(key, batch));
        if (!row) continue;
        TRY(run(batch.erase.get(), key));
        batch.taken_out[key] = *std::move(row);
      }
    }
    return found;
  }

  // Takes a whole row; a new one has its defaults where nothing is written. The conditions name
  // columns of the table without saying of which row: where they stand there is no other one.
  std::vector<std::string> spell_in_the_way(bool is_new) const {
    std::vector<std::string> values;
    for (std::size_t i = 0; i < table_.columns.size(); ++i) {
      const ColumnSchema& column = table_.columns[i];
      const bool has_default =
          is_new && !column.default_sql.empty() && std::ranges::count(columns_, column.name) == 0;
      const std::string value = has_default
                                    ? fmt::format("coalesce(?{}, ({}))", i + 1, column.default_sql)
                                    : fmt::format("?{}", i + 1);
      values.push_back(value + " AS " + quote_name(column.name));
    }
    const std::string table = quote_name(table_.name);
    std::vector<std::string> all;
    for (const std::string& condition : in_the_way_of(table_, "whimbrel_new.", InTheWay::exactly)) {
      all.push_back(fmt::format(
          "SELECT {} FROM (SELECT {}) AS whimbrel_new CROSS JOIN {} AS s WHERE ({}) IN (SELECT {} "
          "FROM {} WHERE {})",
          qualified_list(table_.key, "s."), join(values, ", "), table,
          qualified_list(table_.key, "s."), qualified_list(table_.key, table + "."), table,
          condition));
    }
    return all;
  }

  // Rows that were taken out and whose change did not want them changed go back as they were.
  Status put_down(Batch& batch) {
    for (const auto& [key, row] : batch.taken_out) {
      TRY(run(batch.insert_whole.get(), whole_row(row, {})));
    }
    return {};
  }

  // The stored columns of a row, with the written ones replaced when there are values for them.
  Row whole_row(const Row& row, const Row& values) const {
    Row out;
    for (const ColumnSchema& column : table_.columns) {
      if (column.generated) continue;
      const auto it = std::ranges::find(columns_, column.name);
      const bool replaced = it != columns_.end() && !values.empty();
      out.push_back(replaced ? values[static_cast<std::size_t>(it - columns_.begin())]
                             : row[static_cast<std::size_t>(table_.column_index(column.name))]);
    }
    return out;
  }

  Status run(sqlite3_stmt* statement, const Row& values) {
    sqlite3_reset(statement);
    int at = 0;
    for (const Value& value : values) TRY(bind(statement, ++at, value));
    const Result<bool> stepped = connection_->step(statement);
    Status done = stepped.ok() ? Status() : Status(stepped.error());
    if (stepped.ok()) sqlite3_reset(statement);
    return done;
  }

  bool unchanged(const std::optional<Row>& before, const Change& change) const {
    if (!before || !change.row) return !before && !change.row;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const auto at = static_cast<std::size_t>(table_.column_index(columns_[i]));
      if (!same((*before)[at], (*change.row)[i])) return false;
    }
    return true;
  }

  ConnectionPtr connection_;
  TableSchema table_;
  std::vector<std::string> columns_;
  std::vector<int> key_;
  std::vector<std::string> in_the_way_;
  std::vector<std::string> in_the_way_of_a_new_one_;
};

}  // namespace

std::unique_ptr<SnapshotReader> make_reader(ConnectionPtr connection, const TableSchema& table,
                                            std::span<const Condition> where) {
  return std::make_unique<Reader>(std::move(connection), table, where);
}

std::unique_ptr<BatchWriter> make_writer(ConnectionPtr connection, const TableSchema& table,
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
