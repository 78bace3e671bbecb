#include "verify/diff.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace whimbrel {

namespace {

constexpr ChunkLimits chunk_limits{2000, std::int64_t{8} << 20};
constexpr std::size_t examples_max = 10;

int find(const TableSchema& table, const std::string& name) {
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    if (ascii_iequals(table.columns[i].name, name)) return static_cast<int>(i);
  }
  return -1;
}

std::vector<int> positions(const TableSchema& table, const std::vector<std::string>& names) {
  std::vector<int> at;
  for (const std::string& name : names) at.push_back(find(table, name));
  return at;
}

Row picked(const Row& row, const std::vector<int>& at) {
  Row out;
  for (const int i : at) out.push_back(row[static_cast<std::size_t>(i)]);
  return out;
}

class Diff {
 public:
  Diff(Store& left, TableSchema left_table, Store& right, TableSchema right_table)
      : left_(left),
        right_(right),
        left_table_(std::move(left_table)),
        right_table_(std::move(right_table)) {}

  Status match_columns(const std::vector<std::string>& wanted) {
    for (const std::string& name : wanted) {
      if (find(left_table_, name) >= 0 || find(right_table_, name) >= 0) continue;
      return Error{ErrorCode::not_found, fmt::format("neither table has a column `{}`", name),
                   did_you_mean(name, left_table_.column_names())};
    }
    const auto is_wanted = [&](const std::string& name) {
      return wanted.empty() || std::ranges::any_of(wanted, [&](const std::string& one) {
               return ascii_iequals(one, name);
             });
    };
    for (const ColumnSchema& column : left_table_.columns) {
      if (!is_wanted(column.name) || column.hidden) continue;
      const bool in_both = find(right_table_, column.name) >= 0;
      (in_both ? diff_.columns : diff_.only_left).push_back(column.name);
    }
    for (const ColumnSchema& column : right_table_.columns) {
      if (is_wanted(column.name) && !column.hidden && find(left_table_, column.name) < 0) {
        diff_.only_right.push_back(column.name);
      }
    }
    left_columns_ = positions(left_table_, diff_.columns);
    right_columns_ = positions(right_table_, diff_.columns);
    return {};
  }

  // Both tables are read by the same key; the one that lacks an index for it is only slower.
  Status match_keys() {
    const auto has_all = [](const TableSchema& table, const std::vector<std::string>& key) {
      return !key.empty() && std::ranges::count(positions(table, key), -1) == 0 &&
             key.front() != table.row_number();
    };
    if (has_all(right_table_, left_table_.key)) {
      key_ = left_table_.key;
    } else if (has_all(left_table_, right_table_.key)) {
      key_ = right_table_.key;
    } else {
      return Error{ErrorCode::refused,
                   fmt::format("rows of {} and {} cannot be told apart by the same columns",
                               left_table_.name, right_table_.name),
                   "one of them needs a primary key, or a unique index over columns that are NOT "
                   "NULL, whose columns both have"};
    }
    const auto own_names = [&](TableSchema& table) {
      table.key.clear();
      for (const int at : positions(table, key_)) {
        table.key.push_back(table.columns[static_cast<std::size_t>(at)].name);
      }
    };
    own_names(left_table_);
    own_names(right_table_);
    left_key_ = positions(left_table_, key_);
    right_key_ = positions(right_table_, key_);
    return {};
  }

  Status compare(const StopFlag& stop, Events& events) {
    ASSIGN_OR_RETURN(left_reader_, left_.open_reader(left_table_));
    ASSIGN_OR_RETURN(right_reader_, right_.open_reader(right_table_));
    ASSIGN_OR_RETURN(diff_.left_rows, left_reader_->count());
    ASSIGN_OR_RETURN(diff_.right_rows, right_reader_->count());
    for (const bool from_left : {true, false}) {
      SnapshotReader& reader = from_left ? *left_reader_ : *right_reader_;
      std::optional<Row> after;
      std::int64_t rows = 0;
      do {
        if (stop.requested()) return Error{ErrorCode::cancelled, "stopped as asked"};
        ASSIGN_OR_RETURN(const ChunkOfRows chunk, reader.read_after(after, chunk_limits));
        TRY(keys_tell_rows_apart(chunk.rows, from_left));
        TRY(from_left ? left_chunk(chunk.rows) : right_chunk(chunk.rows));
        rows += std::ssize(chunk.rows);
        events.emit(
            {"compared",
             {{"table", from_left ? left_table_.name : right_table_.name}, {"rows", rows}}});
        after = chunk.range.through;
      } while (after);
    }
    return {};
  }

  TableDiff take() { return std::move(diff_); }

 private:
  // A table may have nulls in its key, and the key may be only the other table's.
  Status keys_tell_rows_apart(const std::vector<Row>& rows, bool from_left) const {
    const TableSchema& table = from_left ? left_table_ : right_table_;
    Row before;
    for (const Row& row : rows) {
      Row key = picked(row, from_left ? left_key_ : right_key_);
      const bool has_null = std::ranges::any_of(key, &Value::is_null);
      if (!has_null && !same(key, before)) {
        before = std::move(key);
        continue;
      }
      return Error{ErrorCode::refused,
                   has_null ? fmt::format("{} has a row with a null in its key ({})", table.name,
                                          join(table.key, ", "))
                            : fmt::format("{} has several rows with the same {}", table.name,
                                          join(table.key, ", ")),
                   "rows that cannot be told apart cannot be compared"};
    }
    return {};
  }

  void differs(const Row& key, std::string what) {
    if (diff_.examples.size() < examples_max)
      diff_.examples.push_back({show(key), std::move(what)});
  }

  Status left_chunk(const std::vector<Row>& rows) {
    std::vector<Row> keys;
    for (const Row& row : rows) keys.push_back(picked(row, left_key_));
    ASSIGN_OR_RETURN(const auto found, right_reader_->read_keys(keys));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!found[i]) {
        ++diff_.missing_right;
        differs(keys[i], "only left");
        continue;
      }
      const std::string columns = differing_columns(rows[i], *found[i]);
      if (columns.empty()) continue;
      ++diff_.differing;
      differs(keys[i], columns);
    }
    return {};
  }

  Status right_chunk(const std::vector<Row>& rows) {
    std::vector<Row> keys;
    for (const Row& row : rows) keys.push_back(picked(row, right_key_));
    ASSIGN_OR_RETURN(const auto found, left_reader_->read_keys(keys));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (found[i]) continue;
      ++diff_.missing_left;
      differs(keys[i], "only right");
    }
    return {};
  }

  std::string differing_columns(const Row& left, const Row& right) const {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < left_columns_.size(); ++i) {
      const auto at = static_cast<std::size_t>(right_columns_[i]);
      const Value& one = left[static_cast<std::size_t>(left_columns_[i])];
      if (same(one, right[at])) continue;
      const Result<Value> settled = right_.catalog().settle(right_table_.columns[at], one);
      if (!settled.ok() || !same(settled.value(), right[at])) names.push_back(diff_.columns[i]);
    }
    return join(names, ", ");
  }

  Store& left_;
  Store& right_;
  TableSchema left_table_;
  TableSchema right_table_;
  std::vector<std::string> key_;
  std::vector<int> left_key_;
  std::vector<int> right_key_;
  std::vector<int> left_columns_;
  std::vector<int> right_columns_;
  std::unique_ptr<SnapshotReader> left_reader_;
  std::unique_ptr<SnapshotReader> right_reader_;
  TableDiff diff_;
};

}  // namespace

Result<TableDiff> diff_tables(Store& left, const std::string& left_table, Store& right,
                              const std::string& right_table,
                              const std::vector<std::string>& columns, const StopFlag& stop,
                              Events& events) {
  const auto describe = [](Store& store, const std::string& table) -> Result<TableSchema> {
    Result<TableSchema> schema = store.catalog().describe(table);
    if (schema.ok()) return schema;
    return std::move(schema).error().within("looking into " + store.identity());
  };
  ASSIGN_OR_RETURN(TableSchema left_schema, describe(left, left_table));
  ASSIGN_OR_RETURN(TableSchema right_schema, describe(right, right_table));
  Diff diff(left, std::move(left_schema), right, std::move(right_schema));
  TRY(diff.match_columns(columns));
  TRY(diff.match_keys());
  TRY(diff.compare(stop, events));
  return diff.take();
}

}  // namespace whimbrel
