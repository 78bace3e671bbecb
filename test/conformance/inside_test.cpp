// The contract of what a store does itself: copying and comparing inside, claims, the trial of a
// row.
#include <fmt/format.h>

#include <algorithm>

#include "conformance/arena.h"

namespace whimbrel::conformance {
namespace {

constexpr int inside_row_count = 23;

class Inside : public Conformance {
 protected:
  void SetUp() override {
    if (lacks(&Capabilities::inside) || lacks(&Capabilities::compares_inside))
      GTEST_SKIP() << "this store compares nothing by itself";
    Conformance::SetUp();
    if (!arena_->computes_inside()) map_columns_as_they_are();
    ASSERT_TRUE(store().copies_inside(mapping_, store()));
  }
  void map_columns_as_they_are() {
    std::vector<std::pair<std::string, ExprPtr>> rules;
    const auto add = [&](const std::string& to, const std::string& from) {
      rules.emplace_back(to, make_expr(ColumnRef{from}));
    };
    for (const KeyColumn& column : shape().key) add(column.name, column.name);
    add(shape().state, shape().status);
    add(shape().document, shape().result);
    add(shape().amount, shape().amount);
    mapping_ = good(make_mapping(described(source()), described(target()), rules));
  }
  InsideCopy copy_all(std::int64_t rows_max) {
    const auto copier = good(store().open_inside(mapping_, store()));
    InsideCopy all;
    std::optional<Row> after;
    while (true) {
      const InsideCopy copy = good(copier->copy_after(after, {rows_max}));
      EXPECT_LE(copy.read, rows_max);
      EXPECT_EQ(copy.range.after.has_value(), after.has_value());
      all.read += copy.read;
      all.written += copy.written;
      if (!copy.range.through) return all;
      EXPECT_EQ(copy.read, rows_max);
      after = copy.range.through;
    }
  }
  InsideComparison compare_all(std::int64_t rows_max) {
    const auto copier = good(store().open_inside(mapping_, store()));
    InsideComparison all;
    std::optional<Row> after;
    while (true) {
      const InsideComparison chunk = good(copier->compare_after(after, std::nullopt, {rows_max}));
      EXPECT_LE(chunk.expected.rows(), rows_max);
      all.expected.merge(chunk.expected);
      all.found.merge(chunk.found);
      all.differing_rows += chunk.differing_rows;
      all.differing.insert(all.differing.end(), chunk.differing.begin(), chunk.differing.end());
      if (!chunk.range.through) return all;
      after = chunk.range.through;
    }
  }
};

TEST_P(Inside, CopyAsTheWayOutsideDoes) {
  insert_old_rows(inside_row_count);
  copy_outside();
  const std::vector<Row> outside = arena_->rows(target());
  for (const std::int64_t rows_max :
       {1, 2, 7, inside_row_count - 1, inside_row_count, inside_row_count + 1}) {
    good(catalog().clear(target()));
    const InsideCopy copy = copy_all(rows_max);
    EXPECT_EQ(copy.read, inside_row_count);
    EXPECT_EQ(copy.written, inside_row_count);
    std::vector<Row> inside = arena_->rows(target());
    ASSERT_EQ(inside.size(), outside.size());
    expect_in_step();
  }
}

TEST_P(Inside, CopyNothingOverWhatIsThere) {
  insert_old_rows(5);
  good(insert_new(1, "was here first", Value(), -1, Value::text("mine")));
  const InsideCopy copy = copy_all(2);
  EXPECT_EQ(copy.read, 5);
  EXPECT_EQ(copy.written, 4);
  EXPECT_TRUE(same(new_value(1, shape().state), Value::text("was here first")));
  EXPECT_EQ(copy_all(2).written, 0);
}

TEST_P(Inside, CopyOfAnEmptyTableIsAtItsEndAtOnce) {
  const InsideCopy copy = copy_all(10);
  EXPECT_EQ(copy.read, 0);
  EXPECT_EQ(compare_all(10).expected.rows(), 0);
}

TEST_P(Inside, CopyIsNoWriteOfTheApplication) {
  insert_old_rows(5);
  const bool linked = store().capabilities().dual;
  if (linked) link();
  const std::string begin = good(capture().start("feed", {target()}));
  copy_all(2);
  if (linked) EXPECT_TRUE(good(capture().written_on_new_side(the_link())).empty());
  for (const KeyChange& change : good(capture().read("feed", begin, 100)).changes)
    EXPECT_TRUE(change.own);
}

TEST_P(Inside, FindNoDifferenceWhereThereIsNone) {
  insert_old_rows(inside_row_count);
  copy_outside();
  for (const std::int64_t rows_max : {1, 4, inside_row_count, 1000}) {
    const InsideComparison comparison = compare_all(rows_max);
    EXPECT_EQ(comparison.differing_rows, 0);
    EXPECT_EQ(comparison.expected.rows(), inside_row_count);
    EXPECT_EQ(comparison.expected, comparison.found);
  }
}

TEST_P(Inside, CompareInTwoHalvesAsInOne) {
  insert_old_rows(inside_row_count);
  copy_outside();
  const auto copier = good(store().open_inside(mapping_, store()));
  const std::optional<Row> middle = good(copier->middle());
  if (!middle) return;  // this store cannot tell
  InsideComparison both;
  for (const bool first : {true, false}) {
    std::optional<Row> after = first ? std::nullopt : middle;
    const std::optional<Row> until = first ? middle : std::nullopt;
    do {
      const InsideComparison chunk = good(copier->compare_after(after, until, {4}));
      both.expected.merge(chunk.expected);
      both.found.merge(chunk.found);
      after = chunk.range.through;
    } while (after);
    EXPECT_EQ(both.expected.rows() < inside_row_count, first);
  }
  EXPECT_EQ(both.expected, compare_all(1000).expected);
  EXPECT_EQ(both.expected, both.found);
}

TEST_P(Inside, FindAChangedAndAMissingRow) {
  insert_old_rows(inside_row_count);
  copy_outside();
  good(update_new(7, {{shape().amount, number(-1)}}));
  good(arena_->erase(target(), target_key(12)));
  const InsideComparison comparison = compare_all(4);
  EXPECT_EQ(comparison.differing_rows, 2);
  EXPECT_EQ(comparison.found.rows(), inside_row_count - 1);
  EXPECT_FALSE(comparison.expected == comparison.found);
  for (const Row& wanted : {key(7), key(12)}) {
    EXPECT_TRUE(std::ranges::any_of(comparison.differing, [&](const Row& one) {
      return same(one, wanted);
    })) << show(wanted);
  }
}

TEST_P(Inside, TellANullFromAnEmptyText) {
  good(insert_old(1, Value::text(""), Value::text(""), 1));
  good(insert_old(2, Value(), Value(), 2));
  copy_all(10);
  expect_in_step();
  EXPECT_TRUE(same(new_value(1, shape().state), Value::text("")));
  good(update_new(1, {{shape().document, Value()}}));
  EXPECT_EQ(compare_all(10).differing_rows, 1);
}

// What only the new side holds is no difference.
TEST_P(Inside, CompareOnlyWhatTheMappingGives) {
  insert_old_rows(3);
  copy_outside();
  good(update_new(1, {{shape().new_only, Value::text("mine")}}));
  good(update_old(1, {{shape().old_only, Value::text("mine")}}));
  EXPECT_EQ(compare_all(10).differing_rows, 0);
}

RUN_OVER_EVERY_STORE(Inside);

// Where nothing is mapped, also a store that computes nothing may copy by itself.
class CopiesAsTheyAre : public Conformance {
 protected:
  Mapping onto_a_twin() {
    const std::string twin = source() + "_twin";
    const std::string ddl = good(catalog().ddl_like(mapping_.source, twin));
    good(catalog().create(good(catalog().parse(ddl, twin)), true));
    std::vector<std::pair<std::string, ExprPtr>> rules;
    for (const std::string& column : mapping_.source.column_names())
      rules.emplace_back(column, make_expr(ColumnRef{column}));
    return good(make_mapping(mapping_.source, described(twin), rules));
  }
};

TEST_P(CopiesAsTheyAre, HoldEveryRowAtEveryChunkSize) {
  if (!store().capabilities().inside) GTEST_SKIP() << "this store copies nothing by itself";
  const Result<std::string> ddl = catalog().ddl_like(mapping_.source, "twin");
  if (!ddl.ok() && store().dialect() == nullptr) return;  // nothing says what a twin is
  insert_old_rows(inside_row_count);
  if (!mapping_.source.rest_column.empty()) {
    good(update_old(3, {{"beside", Value::text("what no column names")}}));
  }
  const Mapping mapping = onto_a_twin();
  ASSERT_TRUE(store().copies_inside(mapping, store()));
  for (const std::int64_t rows_max : {1, 3, 8, inside_row_count, 1000}) {
    good(catalog().clear(mapping.target.name));
    const auto copier = good(store().open_inside(mapping, store()));
    std::int64_t read = 0;
    std::optional<Row> after;
    do {
      const InsideCopy copy = good(copier->copy_after(after, {rows_max}));
      EXPECT_LE(copy.read, rows_max);
      read += copy.read;
      after = copy.range.through;
    } while (after);
    good(copier->make_durable());
    EXPECT_EQ(read, inside_row_count);
    expect_same_rows(arena_->rows(mapping.target.name), arena_->rows(source()));
  }
}

RUN_OVER_EVERY_STORE(CopiesAsTheyAre);

// ---------------------------------------------------------------- claims

class Claims : public Conformance {};

TEST_P(Claims, HoldAnotherJournalOff) {
  good(store().claim("the move", "journal one"));
  good(store().claim("the move", "journal one"));
  const Status other = store().claim("the move", "journal two");
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, ErrorCode::conflict);
  good(store().claim("another move", "journal two"));
}

TEST_P(Claims, OutliveTheProcessThatMadeThem) {
  good(store().claim("the move", "journal one"));
  arena_->reopen();
  EXPECT_FALSE(store().claim("the move", "journal two").ok());
  good(store().claim("the move", "journal one"));
}

TEST_P(Claims, LeaveNothingWhenTheyAreGivenUp) {
  good(store().claim("the move", "journal one"));
  good(store().claim("another move", "journal two"));
  EXPECT_EQ(good(store().claimed_by("the move")), "journal one");
  good(store().disown("the move", "journal two"));
  EXPECT_EQ(good(store().claimed_by("the move")), "journal one") << "only its own is given up";
  good(store().disown("the move", "journal one"));
  good(store().disown("the move", "journal one"));
  EXPECT_EQ(good(store().claimed_by("the move")), "");
  EXPECT_FALSE(store().claim("another move", "journal three").ok()) << "it has its own";
  good(store().claim("the move", "journal two"));
  good(store().disown("the move", "journal two"));
  good(store().disown("another move", "journal two"));
  EXPECT_TRUE(arena_->leftovers().empty());
}

RUN_OVER_EVERY_STORE(Claims);

// ---------------------------------------------------------------- the trial of one row

class SelfTests : public Conformance {
 protected:
  void expect_nothing_changed(bool linked) {
    const std::vector<Row> old_rows = arena_->rows(source());
    const std::vector<Row> new_rows = arena_->rows(target());
    ASSERT_FALSE(old_rows.empty());
    EXPECT_NE(good(store().self_test(mapping_, linked, old_rows.front())), "");
    const auto equal = [](const Row& a, const Row& b) { return same(a, b); };
    EXPECT_TRUE(std::ranges::equal(old_rows, arena_->rows(source()), equal));
    EXPECT_TRUE(std::ranges::equal(new_rows, arena_->rows(target()), equal));
  }
};

TEST_P(SelfTests, LeaveNothing) {
  insert_old_rows(5);
  expect_nothing_changed(false);
  copy_outside();
  expect_nothing_changed(false);
  EXPECT_TRUE(arena_->leftovers().empty());
}

TEST_P(SelfTests, LeaveNothingThroughALink) {
  if (!store().capabilities().dual) GTEST_SKIP() << "this store links no tables";
  insert_old_rows(5);
  link();
  expect_nothing_changed(true);
  copy_outside();
  expect_nothing_changed(true);
  EXPECT_TRUE(good(capture().written_on_new_side(the_link())).empty());
  good(update_old(1, {{shape().amount, number(5)}}));
  expect_in_step();
}

RUN_OVER_EVERY_STORE(SelfTests);

}  // namespace
}  // namespace whimbrel::conformance
