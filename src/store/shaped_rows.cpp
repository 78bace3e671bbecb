#include "store/shaped_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "store/looking_up.h"
#include "store/shaped_groups.h"

namespace whimbrel {

namespace {

constexpr ChunkLimits scan_limits{1000, std::int64_t{8} << 20};
bool is_wanted(const SourceShape& shape, const Row& row) {
  return std::ranges::all_of(shape.when,
                             [&](const Condition& one) { return holds(one, shape.table, row); });
}

class SourceReader final : public SnapshotReader {
 public:
  SourceReader(Store& base, const SourceShape& shape, std::unique_ptr<SnapshotReader> reader,
               LookingUp looking, std::shared_ptr<KnownKeys> known)
      : base_(base),
        shape_(shape),
        reader_(std::move(reader)),
        looking_(std::move(looking)),
        known_(std::move(known)),
        own_key_(positions_of(shape.table.key, shape.table)),
        key_(positions_of(shape.shaped.key, shape.shaped)) {}

  // In the order of the table itself, whose positions these are.
  Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                 const ChunkLimits& limits) override {
    ASSIGN_OR_RETURN(ChunkOfRows chunk, reader_->read_after(after, limits));
    std::erase_if(chunk.rows, [&](const Row& row) { return !is_wanted(shape_, row); });
    TRY(looking_.add_to(chunk.rows));
    TRY(add_made_keys(chunk.rows));
    TRY(remember(chunk.rows));
    if (known_ == nullptr || !shape_.has_made_key()) return chunk;
    std::vector<Row> keys;
    for (const Row& row : chunk.rows) keys.push_back(key_of(row, key_));
    TRY(refuse_second_owners(base_, shape_, *known_, keys));
    return chunk;
  }

  Result<std::vector<std::optional<Row>>> read_keys(std::span<const Row> keys) override {
    if (shape_.has_made_key()) return read_made_keys(keys);
    std::vector<Row> own;
    for (const Row& key : keys) own.push_back(own_key_of(shape_, key));
    ASSIGN_OR_RETURN(std::vector<std::optional<Row>> rows, reader_->read_keys(own));
    std::vector<Row> found;
    std::vector<std::size_t> of;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!rows[i] || !is_wanted(shape_, *rows[i]) || !is_known_as(*rows[i], keys[i])) continue;
      found.push_back(*std::move(rows[i]));
      of.push_back(i);
    }
    TRY(looking_.add_to(found));
    // It will be written under the key that it has now, whoever has told of it.
    TRY(remember(found));
    std::vector<std::optional<Row>> shaped(keys.size());
    for (std::size_t i = 0; i < found.size(); ++i) shaped[of[i]] = std::move(found[i]);
    return shaped;
  }

  Result<std::int64_t> count() override {
    if (shape_.when.empty()) return reader_->count();
    std::int64_t rows = 0;
    TRY(each_row(base_, shape_, {}, [&](const Row&) {
      ++rows;
      return Status();
    }));
    return rows;
  }

 private:
  Status add_made_keys(std::vector<Row>& rows) const {
    if (!shape_.has_made_key()) return {};
    for (Row& row : rows) {
      ASSIGN_OR_RETURN(Row key, key_in_shape(shape_, row));
      std::ranges::move(key, std::back_inserter(row));
    }
    return {};
  }

  // Of the rows that have been read under a key those are looked at again that may have it still.
  Result<std::vector<std::optional<Row>>> read_made_keys(std::span<const Row> keys) {
    ASSIGN_OR_RETURN(std::vector<Row> rows, rows_once_under(keys));
    TRY(looking_.add_to(rows));
    TRY(add_made_keys(rows));
    TRY(remember(rows));
    std::map<Row, Row, RowLess> by_key;
    for (Row& row : rows) {
      Row key = key_of(row, key_);
      by_key.try_emplace(std::move(key), std::move(row));
    }
    std::vector<std::optional<Row>> found(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (const auto it = by_key.find(keys[i]); it != by_key.end()) found[i] = it->second;
    }
    return found;
  }

  // Without looked-up values. Where nothing has been remembered all rows are read.
  Result<std::vector<Row>> rows_once_under(std::span<const Row> keys) {
    std::vector<Row> rows;
    if (known_ == nullptr) {
      const std::set<Row, RowLess> asked(keys.begin(), keys.end());
      TRY(each_row(base_, shape_, {}, [&](Row row) -> Status {
        ASSIGN_OR_RETURN(const Row key, key_in_shape(shape_, row));
        if (asked.contains(key)) rows.push_back(std::move(row));
        return {};
      }));
      return rows;
    }
    std::set<Row, RowLess> own;
    for (const Row& key : keys) {
      ASSIGN_OR_RETURN(const std::vector<Row> known, known_->known_under(shape_.shaped.name, key));
      own.insert(known.begin(), known.end());
    }
    const std::vector<Row> asked(own.begin(), own.end());
    ASSIGN_OR_RETURN(auto there, reader_->read_keys(asked));
    for (std::optional<Row>& row : there) {
      if (row && is_wanted(shape_, *row)) rows.push_back(*std::move(row));
    }
    return rows;
  }

  bool is_known_as(const Row& row, const Row& shaped_key) const {
    for (std::size_t i = own_key_.size(); i < key_.size(); ++i) {
      if (!reads_alike(row[static_cast<std::size_t>(key_[i])], shaped_key[i])) return false;
    }
    return true;
  }

  Status remember(const std::vector<Row>& rows) {
    if (known_ == nullptr || !shape_.may_change_keys() || rows.empty()) return {};
    std::vector<KnownKeys::Known> keys;
    for (const Row& row : rows) keys.push_back({key_of(row, own_key_), key_of(row, key_)});
    return known_->note(shape_.shaped.name, keys);
  }

  Store& base_;
  const SourceShape& shape_;
  std::unique_ptr<SnapshotReader> reader_;
  LookingUp looking_;
  std::shared_ptr<KnownKeys> known_;
  std::vector<int> own_key_;
  std::vector<int> key_;
};

// Which rows of a table are of a shape.
class Membership {
 public:
  // `table`: as the rows are read, with all columns that mark them.
  Membership(const TargetShape& shape, const TableSchema& table)
      : shape_(shape), key_(positions_of(table.key, table)) {
    for (const Mark& mark : shape.marks) marked_at_.push_back(table.column_index(mark.column));
  }
  bool has(const Row& row) const {
    return shape_.has(key_of(row, key_)) && foreign_mark(row) == nullptr;
  }
  // What keeps a row with a key of the shape from being of it.
  const Mark* foreign_mark(const Row& row) const {
    for (std::size_t i = 0; i < marked_at_.size(); ++i) {
      const Value& is = row[static_cast<std::size_t>(marked_at_[i])];
      if (!is_equal(shape_.marks[i].value, is)) return &shape_.marks[i];
    }
    return nullptr;
  }

 private:
  const TargetShape& shape_;
  std::vector<int> key_;
  std::vector<int> marked_at_;
};

class TargetReader final : public SnapshotReader {
 public:
  TargetReader(const TargetShape& shape, const TableSchema& table,
               std::unique_ptr<SnapshotReader> reader)
      : rows_(shape, table), reader_(std::move(reader)) {}

  Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                 const ChunkLimits& limits) override {
    ASSIGN_OR_RETURN(ChunkOfRows chunk, reader_->read_after(after, limits));
    std::erase_if(chunk.rows, [&](const Row& row) { return !rows_.has(row); });
    return chunk;
  }
  Result<std::vector<std::optional<Row>>> read_keys(std::span<const Row> keys) override {
    ASSIGN_OR_RETURN(auto rows, reader_->read_keys(keys));
    for (std::optional<Row>& row : rows) {
      if (row && !rows_.has(*row)) row.reset();
    }
    return rows;
  }
  Result<std::int64_t> count() override {
    std::int64_t rows = 0;
    std::optional<Row> after;
    do {
      ASSIGN_OR_RETURN(const ChunkOfRows chunk, read_after(after, scan_limits));
      rows += std::ssize(chunk.rows);
      after = chunk.range.through;
    } while (after);
    return rows;
  }

 private:
  Membership rows_;
  std::unique_ptr<SnapshotReader> reader_;
};

// Where a key does not say whose row it is: no row of others is written over, and none deleted.
class MarkedWriter final : public BatchWriter {
 public:
  MarkedWriter(const TargetShape& shape, std::unique_ptr<SnapshotReader> reader,
               std::unique_ptr<BatchWriter> writer)
      : shape_(shape),
        rows_(shape, shape.table),
        reader_(std::move(reader)),
        writer_(std::move(writer)) {}

  Result<Applied> apply(std::span<const Change> changes) override {
    std::vector<Row> keys;
    for (const Change& change : changes) keys.push_back(change.key);
    ASSIGN_OR_RETURN(const auto there, reader_->read_keys(keys));
    std::vector<Change> ours;
    Applied left_alone;
    for (std::size_t i = 0; i < changes.size(); ++i) {
      const Mark* mark = there[i] ? rows_.foreign_mark(*there[i]) : nullptr;
      if (mark == nullptr) {
        ours.push_back(changes[i]);
      } else if (changes[i].row) {
        return taken(keys[i], *mark);
      } else {
        ++left_alone.skipped;
      }
    }
    if (ours.empty()) return left_alone;
    ASSIGN_OR_RETURN(Applied applied, writer_->apply(ours));
    applied.skipped += left_alone.skipped;
    return applied;
  }

 private:
  Error taken(const Row& key, const Mark& mark) const {
    return Error{ErrorCode::refused,
                 fmt::format("{} has a row with the key {} already, and it is another's: its `{}` "
                             "is not {}",
                             shape_.table.name, show(key), mark.column, spelled_out(mark.value)),
                 "it is not written over; `whimbrel analyze` names all rows that would get the "
                 "same key: give one of the two another"};
  }

  const TargetShape& shape_;
  Membership rows_;
  std::unique_ptr<SnapshotReader> reader_;
  std::unique_ptr<BatchWriter> writer_;
};

class NoWriter final : public BatchWriter {
 public:
  Result<Applied> apply(std::span<const Change> changes) override {
    Applied applied;
    applied.skipped = std::ssize(changes);
    return applied;
  }
};

class SourceWriter final : public BatchWriter {
 public:
  SourceWriter(const SourceShape& shape, std::unique_ptr<SnapshotReader> reader,
               std::unique_ptr<BatchWriter> writer, std::vector<std::size_t> written,
               std::vector<int> written_at)
      : shape_(shape),
        reader_(std::move(reader)),
        writer_(std::move(writer)),
        written_(std::move(written)),
        written_at_(std::move(written_at)),
        key_(positions_of(shape.shaped.key, shape.shaped)) {}

  Result<Applied> apply(std::span<const Change> changes) override {
    TRY(stay_in_the_shape(changes));
    std::vector<Change> own;
    Applied left_alone;
    ASSIGN_OR_RETURN(const std::vector<bool> is_anothers, are_of_another_row(changes));
    for (std::size_t i = 0; i < changes.size(); ++i) {
      if (is_anothers[i]) {
        ++left_alone.skipped;
        continue;
      }
      own.push_back(own_change(changes[i]));
    }
    if (own.empty()) return left_alone;
    ASSIGN_OR_RETURN(Applied applied, writer_->apply(own));
    applied.skipped += left_alone.skipped;
    for (Row& key : applied.blocked_by) {
      ASSIGN_OR_RETURN(const auto now, shaped_key_of_row(key));
      if (now) key = *now;
    }
    return applied;
  }

 private:
  // A row for which the conditions do not hold is not of the shape: it is not written over, and
  // none becomes one.
  Status stay_in_the_shape(std::span<const Change> changes) {
    if (shape_.when.empty()) return {};
    std::vector<Row> keys;
    for (const Change& change : changes) keys.push_back(own_key_of(shape_, change.key));
    ASSIGN_OR_RETURN(const auto rows, reader_->read_keys(keys));
    for (std::size_t i = 0; i < changes.size(); ++i) {
      if (!changes[i].row) continue;
      if (rows[i] && !is_wanted(shape_, *rows[i])) {
        return Error{
            ErrorCode::refused,
            fmt::format("{} has a row with the key {} that the plan's conditions leave out",
                        shape_.table.name, show(keys[i])),
            "it is not written over; give one of the two another key"};
      }
      Row now = rows[i] ? *rows[i] : Row(shape_.table.columns.size());
      for (std::size_t j = 0; j < keys[i].size(); ++j) {
        now[static_cast<std::size_t>(shape_.table.column_index(shape_.table.key[j]))] = keys[i][j];
      }
      for (std::size_t j = 0; j < written_.size(); ++j) {
        now[static_cast<std::size_t>(written_at_[j])] = (*changes[i].row)[written_[j]];
      }
      if (!is_wanted(shape_, now)) {
        return Error{ErrorCode::refused,
                     fmt::format("the row with the key {} would no longer be one that the plan's "
                                 "conditions take from {}",
                                 show(keys[i]), shape_.table.name),
                     "it would stay behind there without its item"};
      }
    }
    return {};
  }

  // A row that has another key of the shape by now, or is not of it, is not the one that is to go.
  Result<std::vector<bool>> are_of_another_row(std::span<const Change> changes) {
    std::vector<bool> all(changes.size(), false);
    if (!shape_.has_longer_key() && shape_.when.empty()) return all;
    std::vector<Row> keys;
    for (const Change& change : changes) keys.push_back(own_key_of(shape_, change.key));
    ASSIGN_OR_RETURN(const auto rows, reader_->read_keys(keys));
    for (std::size_t i = 0; i < changes.size(); ++i) {
      if (changes[i].row || !rows[i]) continue;
      all[i] = !is_wanted(shape_, *rows[i]);
      for (std::size_t part = shape_.table.key.size(); part < key_.size(); ++part) {
        const Value& now = (*rows[i])[static_cast<std::size_t>(key_[part])];
        all[i] = all[i] || !reads_alike(now, changes[i].key[part]);
      }
    }
    return all;
  }

  Result<std::optional<Row>> shaped_key_of_row(const Row& own_key) {
    const std::vector<Row> keys = {own_key};
    ASSIGN_OR_RETURN(const auto rows, reader_->read_keys(keys));
    if (!rows[0]) return std::optional<Row>();
    return std::optional<Row>(key_of(*rows[0], key_));
  }

  Change own_change(const Change& change) const {
    Change own{own_key_of(shape_, change.key), std::nullopt};
    if (change.row) {
      own.row.emplace();
      for (const std::size_t at : written_) own.row->push_back((*change.row)[at]);
    }
    if (change.only_if) {
      own.only_if.emplace(*change.only_if);
      if (*own.only_if) (*own.only_if)->resize(shape_.table.columns.size());
    }
    return own;
  }

  const SourceShape& shape_;
  std::unique_ptr<SnapshotReader> reader_;
  std::unique_ptr<BatchWriter> writer_;
  std::vector<std::size_t> written_;  // which of the columns given are the table's own
  std::vector<int> written_at_;       // and where these are in the table
  std::vector<int> key_;
};

// What a store may be asked for, so that it need not read the rows of others.
std::vector<Condition> asked_of(const TargetShape& shape) {
  std::vector<Condition> all;
  for (std::size_t i = 0; i < shape.key.size(); ++i) {
    const KeyPattern& pattern = shape.key[i];
    const std::string& column = shape.table.key[i];
    if (pattern.constant && !pattern.constant->is_null()) {
      all.push_back({column, Condition::Is::one_of, {*pattern.constant}});
    } else if (!pattern.literals.empty() && !pattern.literals.front().empty()) {
      all.push_back({column, Condition::Is::begins_with, {Value::text(pattern.literals.front())}});
    }
  }
  for (const Mark& mark : shape.marks) {
    all.push_back({mark.column, Condition::Is::one_of, {mark.value}});
  }
  return all;
}

}  // namespace

Row own_key_of(const SourceShape& shape, const Row& shaped_key) {
  return {shaped_key.begin(), shaped_key.begin() + std::ssize(shape.table.key)};
}

bool reads_alike(const Value& one, const Value& other) {
  if (same(one, other)) return true;
  if (one.is_null() || other.is_null()) return false;
  const Result<std::string> a = faithful_text_of(one);
  const Result<std::string> b = faithful_text_of(other);
  return a.ok() && b.ok() && a.value() == b.value();
}

Status each_row(Store& base, const SourceShape& shape, std::vector<Condition> where,
                const std::function<Status(Row row)>& see) {
  where.insert(where.end(), shape.when.begin(), shape.when.end());
  ASSIGN_OR_RETURN(const auto reader, base.open_reader_where(shape.table, where));
  std::optional<Row> after;
  do {
    ASSIGN_OR_RETURN(ChunkOfRows chunk, reader->read_after(after, scan_limits));
    for (Row& row : chunk.rows) {
      if (is_wanted(shape, row)) TRY(see(std::move(row)));
    }
    after = chunk.range.through;
  } while (after);
  return {};
}

Result<std::unique_ptr<SnapshotReader>> open_shaped_reader(Store& base, const SourceShape& shape,
                                                           std::shared_ptr<KnownKeys> known,
                                                           std::span<const Condition> where) {
  if (shape.is_grouped()) return open_grouped_reader(base, shape, std::move(known));
  std::vector<Condition> asked(where.begin(), where.end());
  asked.insert(asked.end(), shape.when.begin(), shape.when.end());
  ASSIGN_OR_RETURN(auto reader, base.open_reader_where(shape.table, asked));
  ASSIGN_OR_RETURN(LookingUp looking, LookingUp::open(base, shape));
  return std::unique_ptr<SnapshotReader>(std::make_unique<SourceReader>(
      base, shape, std::move(reader), std::move(looking), std::move(known)));
}

Result<std::unique_ptr<BatchWriter>> open_shaped_writer(Store& base, const SourceShape& shape,
                                                        const std::vector<std::string>& columns) {
  if (!shape.is_written_back) return std::unique_ptr<BatchWriter>(std::make_unique<NoWriter>());
  if (shape.is_grouped()) return open_grouped_writer(base, shape, columns);
  std::vector<std::string> own;
  std::vector<std::size_t> written;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (shape.table.column_index(columns[i]) < 0) continue;
    own.push_back(columns[i]);
    written.push_back(i);
  }
  ASSIGN_OR_RETURN(auto reader, base.open_reader(shape.table));
  ASSIGN_OR_RETURN(auto writer, base.open_writer(shape.table, own));
  return std::unique_ptr<BatchWriter>(
      std::make_unique<SourceWriter>(shape, std::move(reader), std::move(writer),
                                     std::move(written), positions_of(own, shape.table)));
}

Result<std::unique_ptr<SnapshotReader>> open_shaped_reader(Store& base, const TargetShape& shape,
                                                           TableSchema table,
                                                           std::span<const Condition> where) {
  table.name = shape.table.name;
  std::vector<Condition> asked(where.begin(), where.end());
  const std::vector<Condition> ours = asked_of(shape);
  asked.insert(asked.end(), ours.begin(), ours.end());
  ASSIGN_OR_RETURN(auto reader, base.open_reader_where(table, asked));
  return std::unique_ptr<SnapshotReader>(
      std::make_unique<TargetReader>(shape, table, std::move(reader)));
}

Result<std::unique_ptr<BatchWriter>> open_shaped_writer(Store& base, const TargetShape& shape,
                                                        const std::vector<std::string>& columns) {
  ASSIGN_OR_RETURN(auto writer, base.open_writer(shape.table, columns));
  ASSIGN_OR_RETURN(auto reader, base.open_reader(shape.table));
  return std::unique_ptr<BatchWriter>(
      std::make_unique<MarkedWriter>(shape, std::move(reader), std::move(writer)));
}

Result<Row> key_in_shape(const SourceShape& shape, const Row& row) {
  if (!shape.has_made_key()) {
    return key_of(row,
                  positions_of(shape.is_grouped() ? shape.group : shape.shaped.key, shape.table));
  }
  Row key;
  for (const MadePart& part : shape.made) {
    Result<Value> value = evaluate(*part.value, row);
    if (value.ok()) value = part.settled(std::move(value).value());
    if (!value.ok() && value.error().code != ErrorCode::refused) return std::move(value).error();
    key.push_back(value.ok() ? std::move(value).value() : Value());
  }
  return key;
}

Status refuse_second_owners(Store& base, const SourceShape& shape, KnownKeys& known,
                            std::span<const Row> shaped_keys) {
  if (!shape.has_made_key()) return {};
  std::unique_ptr<SnapshotReader> reader;
  for (const Row& key : shaped_keys) {
    if (std::ranges::any_of(key, &Value::is_null)) continue;
    ASSIGN_OR_RETURN(const std::vector<Row> own, known.known_under(shape.shaped.name, key));
    if (own.size() < 2) continue;
    if (reader == nullptr) {
      ASSIGN_OR_RETURN(reader, base.open_reader(shape.table));
    }
    ASSIGN_OR_RETURN(const auto rows, reader->read_keys(own));
    std::vector<std::size_t> owners;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!rows[i] || !is_wanted(shape, *rows[i])) continue;
      ASSIGN_OR_RETURN(const Row now, key_in_shape(shape, *rows[i]));
      if (same(now, key)) owners.push_back(i);
    }
    if (owners.size() < 2) continue;
    return Error{
        ErrorCode::refused,
        fmt::format("the rows {} and {} of {} would both get the item {}", show(own[owners[0]]),
                    show(own[owners[1]]), shape.table.name, show(key)),
        "one of the two would be lost: correct one, and run again"};
  }
  return {};
}

Result<std::vector<std::optional<Row>>> shaped_keys_of(Store& base, const SourceShape& shape,
                                                       std::span<const Row> own_keys) {
  ASSIGN_OR_RETURN(const auto reader, base.open_reader(shape.table));
  ASSIGN_OR_RETURN(const auto rows, reader->read_keys(own_keys));
  std::vector<std::optional<Row>> keys(own_keys.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i] || !is_wanted(shape, *rows[i])) continue;
    ASSIGN_OR_RETURN(keys[i], key_in_shape(shape, *rows[i]));
  }
  return keys;
}

namespace {

// The rows of a shape that look one of some rows up, whose keys are `changed`. Where keys are
// compared otherwise than by bytes only the store knows which row a value means; a value that means
// none may have meant one that is gone.
class LookersUp {
 public:
  static Result<LookersUp> open(Store& base, const SourceShape& shape, const LookedUp& what,
                                std::set<Row, RowLess>& found) {
    LookersUp all{base, shape, what, found};
    if (all.is_compared_otherwise()) {
      ASSIGN_OR_RETURN(all.other_, base.open_reader(what.table));
    }
    return all;
  }

  Status look(std::span<const Row> changed) {
    // Where the two have other types, a value of the one means one of the other, and the store
    // cannot be asked for it.
    const ColumnSchema& key = other_column(0);
    const ColumnSchema& by = shape_.table.columns[static_cast<std::size_t>(by_.front())];
    if (other_ != nullptr || by.declared != key.declared) {
      return changed.empty() ? Status() : look_among(changed, {});
    }
    for (std::size_t from = 0; from < changed.size(); from += keys_asked_at_once) {
      const auto some = changed.subspan(from, std::min(keys_asked_at_once, changed.size() - from));
      Condition asked{what_.by.front(), Condition::Is::one_of, {}};
      for (const Row& row : some) asked.values.push_back(row.front());
      TRY(look_among(some, {std::move(asked)}));
    }
    return {};
  }

 private:
  LookersUp(Store& base, const SourceShape& shape, const LookedUp& what,
            std::set<Row, RowLess>& found)
      : base_(base),
        shape_(shape),
        what_(what),
        found_(found),
        by_(positions_of(what.by, shape.table)),
        other_key_(positions_of(what.table.key, what.table)) {}

  const ColumnSchema& other_column(std::size_t part) const {
    return what_.table.columns[static_cast<std::size_t>(other_key_[part])];
  }
  bool is_compared_otherwise() const {
    for (std::size_t i = 0; i < other_key_.size(); ++i) {
      if (!other_column(i).collation.empty()) return true;
    }
    return false;
  }

  Status look_among(std::span<const Row> changed, std::vector<Condition> where) {
    const std::set<Row, RowLess> asked(changed.begin(), changed.end());
    TRY(each_row(base_, shape_, std::move(where), [&](const Row& row) -> Status {
      ASSIGN_OR_RETURN(auto meant, looked_up_key(base_.catalog(), what_, key_of(row, by_)));
      if (!meant) return {};
      if (other_ == nullptr && !asked.contains(*meant)) return {};
      ASSIGN_OR_RETURN(Row key, key_in_shape(shape_, row));
      if (other_ == nullptr) {
        found_.insert(std::move(key));
        return {};
      }
      by_meaning_[*std::move(meant)].push_back(std::move(key));
      return by_meaning_.size() < keys_at_once ? Status() : resolve(asked);
    }));
    return resolve(asked);
  }

  Status resolve(const std::set<Row, RowLess>& asked) {
    if (by_meaning_.empty()) return {};
    std::vector<Row> meant;
    for (const auto& [key, rows] : by_meaning_) meant.push_back(key);
    ASSIGN_OR_RETURN(const auto there, other_->read_keys(meant));
    for (std::size_t i = 0; i < meant.size(); ++i) {
      if (there[i] && !asked.contains(key_of(*there[i], other_key_))) continue;
      std::ranges::move(by_meaning_[meant[i]], std::inserter(found_, found_.end()));
    }
    by_meaning_.clear();
    return {};
  }

  static constexpr std::size_t keys_at_once = 1000;

  Store& base_;
  const SourceShape& shape_;
  const LookedUp& what_;
  std::set<Row, RowLess>& found_;
  std::vector<int> by_;
  std::vector<int> other_key_;
  std::unique_ptr<SnapshotReader> other_;  // where keys are compared otherwise
  std::map<Row, std::vector<Row>, RowLess> by_meaning_;
};

}  // namespace

Result<std::vector<Row>> keys_that_look_up(Store& base, const SourceShape& shape,
                                           const std::string& table, std::span<const Row> keys) {
  std::set<Row, RowLess> found;
  for (const LookedUp& one : shape.looked_up) {
    if (one.table.name != table) continue;
    ASSIGN_OR_RETURN(LookersUp rows, LookersUp::open(base, shape, one, found));
    TRY(rows.look(keys));
  }
  return std::vector<Row>(found.begin(), found.end());
}

}  // namespace whimbrel
