// The contract of readers, writers and the catalog.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
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

TEST_P(Readers, CoverEveryRowOnceAtEveryChunkSize) {
  insert_old_rows(row_count);
  const std::vector<Row> in_order = read_all({});
  expect_same_rows(in_order, arena_->rows(source()));
  for (const std::int64_t rows_max : {1, 2, 3, 7, row_count - 1, row_count, row_count + 1}) {
    const std::vector<Row> read = read_all({rows_max});
    ASSERT_EQ(read.size(), in_order.size()) << rows_max << " rows a chunk";
    for (std::size_t i = 0; i < read.size(); ++i) ASSERT_TRUE(same(read[i], in_order[i]));
  }
}

TEST_P(Readers, ScanEveryRowOnceWhoeverGoesOn) {
  insert_old_rows(row_count);
  for (const std::int64_t rows_max : {1, 7, 1000}) {
    std::vector<Row> all;
    std::optional<Row> after;
    do {
      const auto reader = good(store().open_reader(mapping_.source));
      const ChunkOfRows chunk = good(reader->scan_after(after, {rows_max}));
      EXPECT_LE(std::ssize(chunk.rows), rows_max);
      all.insert(all.end(), chunk.rows.begin(), chunk.rows.end());
      after = chunk.range.through;
      // As the journal keeps it.
      if (after) after = good(row_from_canonical(canonical(*after)));
    } while (after);
    expect_same_rows(all, arena_->rows(source()));
  }
}

TEST_P(Readers, StopAChunkWhenItsBytesAreEnough) {
  insert_old_rows(row_count);
  for (const std::int64_t bytes_max : {0, 1, 40, 200, 1'000'000}) {
    expect_same_rows(read_all({1000, bytes_max}), arena_->rows(source()));
  }
}

TEST_P(Readers, ReadARowThatIsLargerThanAChunk) {
  for (int i = 0; i < 8; ++i) {
    const std::string text(i % 2 == 0 ? arena_->long_text_bytes() : 10, 'x');
    good(insert_old(i, Value::text(text), Value(), i));
  }
  expect_same_rows(read_all({1000, 1000}), arena_->rows(source()));
  expect_same_rows(read_all({}), arena_->rows(source()));
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
  expect_same_rows(all, arena_->rows(source()));
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

TEST_P(Readers, AnswerForManyKeysAtOnce) {
  insert_old_rows(row_count);
  std::vector<Row> keys;
  for (int i = 100; i >= 0; --i) keys.push_back(key(i));
  const auto rows = good(good(store().open_reader(mapping_.source))->read_keys(keys));
  ASSERT_EQ(rows.size(), keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    ASSERT_EQ(rows[i].has_value(), i + row_count > 100) << i;
    if (rows[i]) EXPECT_TRUE(same(key_of(*rows[i], mapping_.source_key), keys[i]));
  }
}

// A store that cannot be asked so gives all of them.
TEST_P(Readers, LeaveOutNoRowForWhichTheConditionsHold) {
  insert_old_rows(row_count);
  const std::vector<Condition> where = {
      {shape().amount, Condition::Is::at_least, {Value::integer(70)}},
      {shape().status, Condition::Is::begins_with, {Value::text("status 1")}}};
  const auto wanted = [&](const Row& row) {
    return std::ranges::all_of(
        where, [&](const Condition& one) { return holds(one, mapping_.source, row); });
  };
  const auto reader = good(store().open_reader_where(mapping_.source, where));
  std::vector<Row> found;
  std::optional<Row> after;
  do {
    const ChunkOfRows chunk = good(reader->read_after(after, {3}));
    std::ranges::copy_if(chunk.rows, std::back_inserter(found), wanted);
    after = chunk.range.through;
  } while (after);
  std::vector<Row> all = arena_->rows(source());
  std::erase_if(all, std::not_fn(wanted));
  EXPECT_FALSE(all.empty());
  expect_same_rows(found, all);
  EXPECT_EQ(good(reader->count()), row_count);
  EXPECT_TRUE(good(reader->read_keys(std::vector<Row>{key(0)}))[0].has_value());
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
    return {target_key(i), values(i, state, number(amount)), std::nullopt};
  }
  Change removal(int i) { return {target_key(i), std::nullopt, std::nullopt}; }
  std::unique_ptr<BatchWriter> writer() {
    std::vector<std::string> columns = mapping_.target.key;
    columns.push_back(shape().state);
    columns.push_back(shape().amount);
    return good(store().open_writer(mapping_.target, columns));
  }
  std::unique_ptr<BatchWriter> whole_writer() {
    return good(store().open_writer(mapping_.target, mapping_.target.column_names()));
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
  EXPECT_TRUE(same(new_value(3, shape().amount), number(3)));
}

TEST_P(Writers, DoNothingTheSecondTime) {
  const std::vector<Change> changes = {upsert(1, "one", 1), upsert(2, "two", 2), removal(3)};
  const auto open = writer();
  const Applied first = good(open->apply(changes));
  EXPECT_EQ(first.written + first.skipped, 3);
  const std::vector<Row> before = arena_->rows(target());
  const Applied again = good(open->apply(changes));
  EXPECT_EQ(again.written + again.skipped, 3);
  EXPECT_EQ(again.refused, 0);
  if (store().capabilities().counts_changes) {
    EXPECT_EQ(first.written, 2);
    EXPECT_EQ(again.written, 0);
  }
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
  EXPECT_TRUE(same(new_value(1, shape().amount), number(0)));
}

TEST_P(Writers, AskForTheRowOfBeforeInTheSameBreath) {
  apply({upsert(1, "one", 1)});
  const Row now = *new_row(1);
  Row other = now;
  other[static_cast<std::size_t>(mapping_.target.column_index(shape().new_only))] =
      Value::text("somebody was here");
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
  const Applied again = apply({fresh});  // now there is one, and it is as it should be
  EXPECT_EQ(again.written, 0);
  EXPECT_EQ(again.refused + again.skipped, 1);
  if (store().capabilities().counts_changes) EXPECT_EQ(again.refused, 1);
  fresh.row = values(2, "another two", number(2));
  EXPECT_EQ(apply({fresh}).refused, 1);
  EXPECT_TRUE(same(new_value(2, shape().state), Value::text("two")));
  Change gone = removal(2);
  gone.only_if = std::optional<Row>();
  EXPECT_EQ(apply({gone}).refused, 1);
  EXPECT_TRUE(new_row(2).has_value());
}

// Not only the columns that are written count, nor only as many as an expression has room for.
TEST_P(Writers, AskForTheRowOfBeforeHoweverLargeItIs) {
  good(insert_new(1, "one", Value::text(std::string(arena_->long_text_bytes(), 'x')), 1, Value()));
  Change change = upsert(1, "changed", 2);
  change.only_if = new_row(1);
  good(update_new(1, {{shape().new_only, Value::bytes("mine")}}));
  EXPECT_EQ(apply({change}).refused, 1);
  EXPECT_TRUE(same(new_value(1, shape().state), Value::text("one")));
  change.only_if = new_row(1);
  EXPECT_EQ(apply({change}).written, 1);
}

TEST_P(Writers, AskForValuesThatNoColumnNames) {
  if (mapping_.target.rest_column.empty()) return;  // there are none
  for (const bool is_whole : {false, true}) {
    good(insert_new(1, "one", Value(), 1, Value()));
    good(update_new(1, {{"beside", Value::text("the first")}}));
    const Row before = *new_row(1);
    Row row = before;
    row[static_cast<std::size_t>(mapping_.target.column_index(shape().state))] = Value::text("new");
    const std::unique_ptr<BatchWriter> open = is_whole ? whole_writer() : writer();
    const Change change = {target_key(1), is_whole ? row : values(1, "new", number(1)), before};
    good(update_new(1, {{"one more", Value::text("the application's")}}));
    EXPECT_EQ(good(open->apply(std::vector{change})).refused, 1);
    EXPECT_TRUE(same(new_value(1, shape().state), Value::text("one")));
    good(update_new(1, {{"one more", Value()}, {"beside", Value::text("the second")}}));
    EXPECT_EQ(good(open->apply(std::vector{change})).refused, 1);
    good(update_new(1, {{"beside", Value::text("the first")}}));
    EXPECT_EQ(good(open->apply(std::vector{change})).written, 1);
    EXPECT_TRUE(same(*new_row(1), row)) << show(*new_row(1));
    good(arena_->erase(target(), target_key(1)));
  }
}

TEST_P(Writers, ReplaceTheValuesThatNoColumnNamesAsOne) {
  const std::string rest = mapping_.target.rest_column;
  if (rest.empty()) return;  // there are none
  good(insert_new(1, "one", Value(), 1, Value::bytes("kept")));
  good(update_new(1, {{"beside", Value::text("goes")}, {"one more", Value::text("changes")}}));
  std::vector<std::string> columns = mapping_.target.key;
  columns.push_back(rest);
  Row row = target_key(1);
  row.emplace_back(Value::Storage(Map{{{"one more", Value::text("changed")}}}));
  good(good(store().open_writer(mapping_.target, columns))
           ->apply(std::vector<Change>{{target_key(1), row, std::nullopt}}));
  EXPECT_TRUE(same(new_value(1, rest), row.back())) << show(*new_row(1));
  EXPECT_TRUE(same(new_value(1, shape().new_only), Value::bytes("kept")));
}

TEST_P(Writers, DeleteBeforeTheyWrite) {
  good(insert_new(1, "old", Value(), 1, Value::bytes("goes")));
  apply({upsert(1, "new", 2), removal(1)});
  EXPECT_TRUE(same(new_value(1, shape().state), Value::text("new")));
  EXPECT_TRUE(new_value(1, shape().new_only).is_null());
}

TEST_P(Writers, WriteWholeRows) {
  good(insert_new(0, "first", Value::text("{\"a\":1}"), 1, Value::bytes(std::string("\0b", 2))));
  std::vector<Row> wanted;
  std::vector<Change> changes;
  for (int i = 1; i < 60; ++i) {
    Row row = *new_row(0);
    const Row own_key = target_key(i);
    for (std::size_t at = 0; at < own_key.size(); ++at)
      row[static_cast<std::size_t>(mapping_.target_key[at])] = own_key[at];
    row[static_cast<std::size_t>(mapping_.target.column_index(shape().amount))] =
        i % 5 == 0 ? Value() : number(i);
    changes.push_back({own_key, row, std::nullopt});
    wanted.push_back(std::move(row));
  }
  changes.push_back(removal(0));
  const std::unique_ptr<BatchWriter> open = whole_writer();
  for (int time = 0; time < 2; ++time) {
    const Applied applied = good(open->apply(changes));
    EXPECT_EQ(applied.written + applied.skipped, std::ssize(changes));
    expect_same_rows(arena_->rows(target()), wanted);
  }
}

TEST_P(Writers, RefuseWhatTheTableDoesNotTake) {
  const std::optional<Value> bad = arena_->refused_state();
  if (!bad) return;  // this table takes everything
  Row row = values(2, "", number(2));
  row[row.size() - 2] = *bad;
  const Result<Applied> applied =
      writer()->apply(std::vector<Change>{upsert(1, "one", 1), {target_key(2), row, std::nullopt}});
  ASSERT_FALSE(applied.ok());
  EXPECT_EQ(applied.error().code, ErrorCode::refused) << to_text(applied.error());
  EXPECT_FALSE(new_row(2).has_value());
  const Applied rest = apply({upsert(1, "one", 1), upsert(3, "three", 3)});
  EXPECT_EQ(rest.written + rest.skipped, 2);
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

// ---------------------------------------------------------------- rows that are set aside

class Rehearsals : public Conformance {};

TEST_P(Rehearsals, NameTheRowsThatTheTableWouldRefuse) {
  const std::unique_ptr<Rehearsal> rehearsal = good(store().rehearse(mapping_, false));
  const std::optional<Value> bad = arena_->refused_state();
  if (rehearsal == nullptr || !bad) return;  // this table takes what a plan checks beforehand
  insert_old_rows(4);
  std::vector<Row> rows;
  for (int i = 0; i < 4; ++i) {
    Row image = good(image_of(mapping_, *old_row(i), catalog()));
    if (i == 2) image[static_cast<std::size_t>(mapping_.target.column_index(shape().state))] = *bad;
    rows.push_back(written_values(mapping_.forward, image));
  }
  const auto outcomes = good(rehearsal->offer(rows));
  ASSERT_EQ(outcomes.size(), rows.size());
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    EXPECT_EQ(outcomes[i].has_value(), i == 2) << (outcomes[i] ? to_text(*outcomes[i]) : "");
  }
  EXPECT_EQ(outcomes[2]->code, ErrorCode::refused);
  EXPECT_TRUE(arena_->rows(target()).empty());
}

RUN_OVER_EVERY_STORE(Rehearsals);

// ---------------------------------------------------------------- the catalog

class Catalogs : public Conformance {};

TEST_P(Catalogs, DescribeWhatIsThereAndNameWhatIsNot) {
  const TableSchema schema = good(catalog().describe(source()));
  EXPECT_EQ(schema.name, source());
  ASSERT_EQ(schema.key.size(), shape().key.size());
  for (std::size_t i = 0; i < schema.key.size(); ++i) EXPECT_EQ(schema.key[i], shape().key[i].name);
  EXPECT_EQ(mapping_.source.columns.size(),
            shape().key.size() + 4 + (schema.rest_column.empty() ? 0 : 1));
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
  if (!store().capabilities().renames) GTEST_SKIP() << "this store renames nothing";
  insert_old_rows(3);
  const std::string to = catalog().beside(source(), "renamed \"rows\" {}");
  good(catalog().rename(source(), to));
  good(catalog().rename(source(), to));
  EXPECT_FALSE(catalog().describe(source()).ok());
  EXPECT_EQ(arena_->rows(to).size(), 3U);
  EXPECT_FALSE(catalog().rename("no such table", "neither").ok());
}

TEST_P(Catalogs, RetireTheOldTableOnceHoweverOftenItIsAsked) {
  if (!store().capabilities().renames) GTEST_SKIP() << "this store renames nothing";
  insert_old_rows(3);
  const std::string archive = catalog().beside(source(), "archived rows");
  good(catalog().can_retire({&mapping_}, archive, false));
  good(catalog().retire({&mapping_}, archive, false));
  good(catalog().retire({&mapping_}, archive, false));
  EXPECT_EQ(arena_->rows(archive).size(), 3U);
  EXPECT_FALSE(catalog().describe(source()).ok());
  EXPECT_TRUE(catalog().describe(target()).ok());
}

TEST_P(Catalogs, BringARetiredTableBackUnderItsName) {
  if (!store().capabilities().renames) GTEST_SKIP() << "this store renames nothing";
  insert_old_rows(3);
  const std::string archive = catalog().beside(source(), "archived rows");
  EXPECT_FALSE(catalog().name_is_taken(archive));
  good(catalog().retire({&mapping_}, archive, false));
  EXPECT_TRUE(catalog().name_is_taken(archive));
  good(catalog().revive(source(), archive));
  good(catalog().revive(source(), archive));
  EXPECT_EQ(arena_->rows(source()).size(), 3U);
  EXPECT_FALSE(catalog().name_is_taken(archive));
}

TEST_P(Catalogs, SayBeforehandThatTheyCannotRename) {
  if (store().capabilities().renames) return;
  insert_old_rows(3);
  for (const Status& answer : {catalog().rename(source(), "archived_rows"),
                               catalog().can_retire({&mapping_}, "archived_rows", false),
                               catalog().retire({&mapping_}, "archived_rows", false)}) {
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, ErrorCode::refused);
  }
  EXPECT_EQ(arena_->rows(source()).size(), 3U);
}

TEST_P(Catalogs, RetireByDroppingToo) {
  insert_old_rows(3);
  good(catalog().can_retire({&mapping_}, "", false));
  EXPECT_EQ(arena_->rows(source()).size(), 3U);
  good(catalog().retire({&mapping_}, "", false));
  good(catalog().retire({&mapping_}, "", false));
  EXPECT_FALSE(catalog().describe(source()).ok());
}

TEST_P(Catalogs, SettleGivesWhatIsReadBack) {
  const TableSchema& schema = mapping_.target;
  good(insert_new(1, "state", Value::text("{}"), 12, Value::bytes("\x01")));
  const Row row = *new_row(1);
  for (std::size_t i = 0; i < row.size(); ++i) {
    EXPECT_TRUE(same(good(catalog().settle(schema.columns[i], row[i])), row[i]));
  }
}

RUN_OVER_EVERY_STORE(Catalogs);

}  // namespace
}  // namespace whimbrel::conformance
