// The contract of readers, writers and the catalog.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "conformance/arena.h"

namespace whimbrel::conformance {
namespace {

constexpr int row_count = 23;

// ---------------------------------------------------------------- reading

class Readers : public Conformance {
 protected:
  // All rows, chunk by chunk; each chunk as the limits say.
  std::vector<Row> read_all(const ChunkLimits& limits) {
    const auto reader = good(store().open_reader(mapping_.source));
    std::vector<Row> all;
    std::optional<Row> after;
    while (true) {
      const ChunkOfRows chunk = good(reader->read_after(after, limits));
      EXPECT_EQ(chunk.range.after.has_value(), after.has_value());
      EXPECT_LE(std::ssize(chunk.rows), limits.rows_max);
      std::int64_t bytes_before_the_last = 0;
      for (const Row& row : chunk.rows) {
        if (&row != &chunk.rows.back()) bytes_before_the_last += size_of(row);
        all.push_back(row);
      }
      EXPECT_TRUE(chunk.rows.size() <= 1 || bytes_before_the_last < limits.bytes_max);
      if (!chunk.range.through) return all;
      EXPECT_FALSE(chunk.rows.empty());
      EXPECT_TRUE(same(*chunk.range.through, key_of(chunk.rows.back(), mapping_.source_key)));
      after = chunk.range.through;
    }
  }
};

void expect_each_once(const std::vector<Row>& read, const std::vector<Row>& stored) {
  const std::multiset<Row, RowLess> left(read.begin(), read.end());
  const std::multiset<Row, RowLess> right(stored.begin(), stored.end());
  EXPECT_EQ(left.size(), right.size());
  EXPECT_TRUE(
      std::ranges::equal(left, right, [](const Row& a, const Row& b) { return same(a, b); }));
}

TEST_P(Readers, CoverEveryRowOnceAtEveryChunkSize) {
  insert_old_rows(row_count);
  const std::vector<Row> in_order = read_all({});
  expect_each_once(in_order, arena_->rows(source()));
  for (const std::int64_t rows_max : {1, 2, 3, 7, row_count - 1, row_count, row_count + 1}) {
    const std::vector<Row> read = read_all({rows_max});
    ASSERT_EQ(read.size(), in_order.size()) << rows_max << " rows a chunk";
    for (std::size_t i = 0; i < read.size(); ++i) ASSERT_TRUE(same(read[i], in_order[i]));
  }
}

TEST_P(Readers, StopAChunkWhenItsBytesAreEnough) {
  insert_old_rows(row_count);
  for (const std::int64_t bytes_max : {0, 1, 40, 200, 1'000'000}) {
    expect_each_once(read_all({1000, bytes_max}), arena_->rows(source()));
  }
}

TEST_P(Readers, ReadARowThatIsLargerThanAChunk) {
  good(insert_old(0, Value::text("small"), Value(), 0));
  good(insert_old(1, Value::text(std::string(3'000'000, 'x')), Value(), 1));
  good(insert_old(2, Value::text("small"), Value(), 2));
  expect_each_once(read_all({1000, 1000}), arena_->rows(source()));
}

TEST_P(Readers, OfAnEmptyTableAreAtItsEndAtOnce) {
  const auto reader = good(store().open_reader(mapping_.source));
  const ChunkOfRows chunk = good(reader->read_after(std::nullopt, {}));
  EXPECT_TRUE(chunk.rows.empty());
  EXPECT_FALSE(chunk.range.after.has_value());
  EXPECT_FALSE(chunk.range.through.has_value());
  EXPECT_EQ(good(reader->count()), 0);
}

TEST_P(Readers, GoOnBehindAKeyThatIsGone) {
  insert_old_rows(row_count);
  const auto reader = good(store().open_reader(mapping_.source));
  const ChunkOfRows first = good(reader->read_after(std::nullopt, {5}));
  good(arena_->erase(source(), *first.range.through));
  std::vector<Row> all(first.rows.begin(), first.rows.end() - 1);
  const ChunkOfRows rest = good(reader->read_after(first.range.through, {}));
  all.insert(all.end(), rest.rows.begin(), rest.rows.end());
  expect_each_once(all, arena_->rows(source()));
}

TEST_P(Readers, SeeWhatWasWrittenAfterTheyWereOpened) {
  const auto reader = good(store().open_reader(mapping_.source));
  EXPECT_EQ(good(reader->count()), 0);
  good(insert_old(1, Value(), Value(), 1));
  EXPECT_EQ(good(reader->count()), 1);
  EXPECT_EQ(good(reader->read_after(std::nullopt, {})).rows.size(), 1U);
}

TEST_P(Readers, AnswerForKeysInTheOrderOfTheQuestion) {
  insert_old_rows(10);
  const auto reader = good(store().open_reader(mapping_.source));
  const std::vector<Row> keys = {key(7), key(50), key(0), key(7), key(3)};
  const auto rows = good(reader->read_keys(keys));
  ASSERT_EQ(rows.size(), keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    ASSERT_EQ(rows[i].has_value(), i != 1);
    if (rows[i]) {
      EXPECT_TRUE(same(key_of(*rows[i], mapping_.source_key), keys[i]));
    }
  }
  EXPECT_TRUE(good(reader->read_keys({})).empty());
  EXPECT_EQ(good(reader->count()), 10);
}

RUN_OVER_EVERY_STORE(Readers);

// ---------------------------------------------------------------- writing

class Writers : public Conformance {
 protected:
  Row values(int i, const std::string& state, Value amount) {
    Row row = target_key(i);
    row.push_back(Value::text(state));
    row.push_back(std::move(amount));
    return row;
  }
  Change upsert(int i, const std::string& state, std::int64_t amount) {
    return {target_key(i), values(i, state, Value::integer(amount)), std::nullopt};
  }
  Change removal(int i) { return {target_key(i), std::nullopt, std::nullopt}; }
  std::unique_ptr<BatchWriter> writer() {
    std::vector<std::string> columns = mapping_.target.key;
    columns.push_back(shape().state);
    columns.push_back(shape().amount);
    return good(store().open_writer(mapping_.target, columns));
  }
  Applied apply(const std::vector<Change>& changes) { return good(writer()->apply(changes)); }
};

TEST_P(Writers, InsertChangeAndDelete) {
  Applied applied = apply({upsert(1, "one", 1), upsert(2, "two", 2)});
  EXPECT_EQ(applied.written, 2);
  applied = apply({upsert(1, "one again", 1), removal(2), upsert(3, "three", 3)});
  EXPECT_EQ(applied.written, 3);
  EXPECT_TRUE(same(new_value(1, shape().state), Value::text("one again")));
  EXPECT_FALSE(new_row(2).has_value());
  EXPECT_TRUE(same(new_value(3, shape().amount), Value::integer(3)));
}

TEST_P(Writers, DoNothingTheSecondTime) {
  const std::vector<Change> changes = {upsert(1, "one", 1), upsert(2, "two", 2), removal(3)};
  const auto open = writer();
  EXPECT_EQ(good(open->apply(changes)).written, 2);
  const std::vector<Row> before = arena_->rows(target());
  const Applied again = good(open->apply(changes));
  EXPECT_EQ(again.written, 0);
  EXPECT_EQ(again.skipped, 3);
  EXPECT_TRUE(std::ranges::equal(before, arena_->rows(target()),
                                 [](const Row& a, const Row& b) { return same(a, b); }));
}

TEST_P(Writers, TouchOnlyTheirOwnColumns) {
  good(insert_new(1, "as it was", Value::text("{\"a\":1}"), 1, Value::bytes("kept")));
  apply({upsert(1, "changed", 2)});
  EXPECT_TRUE(same(new_value(1, shape().state), Value::text("changed")));
  EXPECT_TRUE(same(new_value(1, shape().document), Value::text("{\"a\":1}")));
  EXPECT_TRUE(same(new_value(1, shape().new_only), Value::bytes("kept")));
}

TEST_P(Writers, TellANullFromAnEmptyTextAndAZero) {
  apply({{target_key(1), values(1, "", Value()), std::nullopt}});
  EXPECT_TRUE(same(new_value(1, shape().state), Value::text("")));
  EXPECT_TRUE(new_value(1, shape().amount).is_null());
  const Applied applied = apply({upsert(1, "", 0)});
  EXPECT_EQ(applied.written, 1);
  EXPECT_TRUE(same(new_value(1, shape().amount), Value::integer(0)));
}

TEST_P(Writers, AskForTheRowOfBeforeInTheSameBreath) {
  apply({upsert(1, "one", 1)});
  const Row now = *new_row(1);
  Row other = now;
  other.back() = Value::text("somebody was here");
  Change change = upsert(1, "changed", 9);
  change.only_if = std::optional<Row>(other);
  Applied applied = apply({change});
  EXPECT_EQ(applied.refused, 1);
  EXPECT_EQ(applied.written, 0);
  EXPECT_TRUE(same(*new_row(1), now));
  change.only_if = std::optional<Row>(now);
  EXPECT_EQ(apply({change}).written, 1);

  Change fresh = upsert(2, "two", 2);
  fresh.only_if = std::optional<Row>();
  EXPECT_EQ(apply({fresh}).written, 1);
  EXPECT_EQ(apply({fresh}).refused, 1);  // now there is one
  Change gone = removal(2);
  gone.only_if = std::optional<Row>();
  EXPECT_EQ(apply({gone}).refused, 1);
  EXPECT_TRUE(new_row(2).has_value());
}

TEST_P(Writers, WriteThousandsAtOnce) {
  std::vector<Change> changes;
  std::set<Row, RowLess> keys;
  for (int i = 0; i < 100; ++i) {
    if (keys.insert(target_key(i)).second) changes.push_back(upsert(i, std::string(2000, 's'), i));
  }
  EXPECT_EQ(apply(changes).written, std::ssize(changes));
  EXPECT_EQ(arena_->rows(target()).size(), changes.size());
}

RUN_OVER_EVERY_STORE(Writers);

// ---------------------------------------------------------------- the catalog

class Catalogs : public Conformance {};

TEST_P(Catalogs, DescribeWhatIsThereAndNameWhatIsNot) {
  const TableSchema schema = good(catalog().describe(source()));
  EXPECT_EQ(schema.name, source());
  ASSERT_EQ(schema.key.size(), shape().key.size());
  for (std::size_t i = 0; i < schema.key.size(); ++i) EXPECT_EQ(schema.key[i], shape().key[i].name);
  EXPECT_EQ(schema.columns.size(), shape().key.size() + 4);
  EXPECT_TRUE(schema.columns.back().nullable);
  EXPECT_FALSE(schema.columns.front().nullable);
  const Result<TableSchema> missing = catalog().describe("no such table");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  const std::vector<std::string> tables = good(catalog().tables());
  EXPECT_EQ(std::ranges::count(tables, source()), 1);
  EXPECT_EQ(std::ranges::count(tables, target()), 1);
}

TEST_P(Catalogs, DropAndMakeTheSameTableAgain) {
  const TableSchema schema = good(catalog().describe(target()));
  good(catalog().drop(target()));
  good(catalog().drop(target()));
  EXPECT_EQ(std::ranges::count(good(catalog().tables()), target()), 0);
  good(catalog().create(schema, true));
  good(insert_new(1, "kept", Value(), 1, Value()));
  good(catalog().create(schema, true));  // does nothing, as it is there
  EXPECT_EQ(arena_->rows(target()).size(), 1U);
  const TableSchema made = good(catalog().describe(target()));
  EXPECT_EQ(made.key, schema.key);
  EXPECT_EQ(made.column_names(), schema.column_names());
}

TEST_P(Catalogs, ClearLeavesAnEmptyTable) {
  good(insert_new(1, "one", Value(), 1, Value()));
  good(catalog().clear(target()));
  good(catalog().clear(target()));
  EXPECT_TRUE(arena_->rows(target()).empty());
  EXPECT_TRUE(catalog().describe(target()).ok());
}

TEST_P(Catalogs, RenameOnceHoweverOftenItIsAsked) {
  insert_old_rows(3);
  const std::string to = "renamed \"rows\" {}";
  good(catalog().rename(source(), to));
  good(catalog().rename(source(), to));
  EXPECT_FALSE(catalog().describe(source()).ok());
  EXPECT_EQ(arena_->rows(to).size(), 3U);
  EXPECT_FALSE(catalog().rename("no such table", "neither").ok());
}

TEST_P(Catalogs, RetireTheOldTableOnceHoweverOftenItIsAsked) {
  insert_old_rows(3);
  good(catalog().retire({&mapping_}, "archived rows", false));
  good(catalog().retire({&mapping_}, "archived rows", false));
  EXPECT_EQ(arena_->rows("archived rows").size(), 3U);
  EXPECT_FALSE(catalog().describe(source()).ok());
  EXPECT_TRUE(catalog().describe(target()).ok());
}

TEST_P(Catalogs, RetireByDroppingToo) {
  insert_old_rows(3);
  good(catalog().retire({&mapping_}, "", false));
  good(catalog().retire({&mapping_}, "", false));
  EXPECT_FALSE(catalog().describe(source()).ok());
}

TEST_P(Catalogs, SettleGivesWhatIsReadBack) {
  const TableSchema schema = good(catalog().describe(target()));
  good(insert_new(1, "state", Value::text("{}"), 12, Value::bytes("\x01")));
  const Row row = *new_row(1);
  for (std::size_t i = 0; i < row.size(); ++i) {
    EXPECT_TRUE(same(good(catalog().settle(schema.columns[i], row[i])), row[i]));
  }
}

RUN_OVER_EVERY_STORE(Catalogs);

}  // namespace
}  // namespace whimbrel::conformance
