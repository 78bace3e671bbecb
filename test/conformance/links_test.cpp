// The contract of links: two tables kept in step, both ways, inside the application's own writes.
#include <fmt/format.h>

#include <algorithm>

#include "conformance/arena.h"

namespace whimbrel::conformance {
namespace {

// Writes down what unlink hands over; can be told to fail.
class Witness final : public PairSink {
 public:
  explicit Witness(std::function<void()> at_flush = {}) : at_flush_(std::move(at_flush)) {}
  Status pair(const Link&, const std::optional<Row>& source, const Row& target) override {
    pairs.emplace_back(source, target);
    return {};
  }
  Status gone(const Link&, const Row& target_key) override {
    lost.push_back(target_key);
    return {};
  }
  Status flush() override {
    if (at_flush_) at_flush_();
    if (fails) return Error{ErrorCode::unavailable, "the disk is full"};
    return {};
  }

  std::vector<std::pair<std::optional<Row>, Row>> pairs;
  std::vector<Row> lost;
  bool fails = false;

 private:
  std::function<void()> at_flush_;
};

class Links : public Conformance {
 protected:
  void SetUp() override {
    if (lacks(&Capabilities::dual)) GTEST_SKIP() << "this store links no tables";
    Conformance::SetUp();
  }
  // Linked before or after the rows came, as the engine does: then they are copied.
  void link_with_rows(int count) {
    insert_old_rows(count);
    link();
    copy_outside();
    expect_in_step();
  }
  std::vector<Row> written_on_new_side() {
    std::vector<Row> keys = good(capture().written_on_new_side(the_link()));
    std::ranges::sort(keys, RowLess());
    return keys;
  }
  void expect_written_on_new_side(std::vector<Row> keys) {
    std::ranges::sort(keys, RowLess());
    const std::vector<Row> found = written_on_new_side();
    EXPECT_TRUE(
        std::ranges::equal(found, keys, [](const Row& a, const Row& b) { return same(a, b); }))
        << found.size() << " keys";
  }
};

// ---------------------------------------------------------------- the old application

TEST_P(Links, CarryAnInsertOnTheOldSide) {
  link();
  good(insert_old(1, Value::text("open"), Value::text("a \"result\""), 1));
  good(insert_old(2, Value(), Value(), 2));
  expect_in_step();
  EXPECT_TRUE(same(new_value(2, shape().state), Value::text("pending")));
  EXPECT_TRUE(new_value(2, shape().document).is_null());
}

TEST_P(Links, CarryAnUpdateOfOneColumnOnTheOldSide) {
  link_with_rows(5);
  good(update_old(1, {{shape().result, Value::text("another")}}));
  expect_in_step();
  good(update_old(1, {{shape().result, Value()}}));
  expect_in_step();
  good(update_old(2, {{shape().status, Value()}, {shape().amount, Value::integer(-1)}}));
  expect_in_step();
}

TEST_P(Links, CarryADeleteOnTheOldSide) {
  link_with_rows(5);
  good(arena_->erase(source(), key(3)));
  expect_in_step();
  EXPECT_EQ(arena_->rows(target()).size(), 4U);
}

TEST_P(Links, BringARowThatWasNotCopiedYetWithItsFirstUpdate) {
  insert_old_rows(5);
  link();
  good(update_old(2, {{shape().amount, Value::integer(77)}}));
  EXPECT_EQ(arena_->rows(target()).size(), 1U);
  EXPECT_TRUE(same(new_value(2, shape().state), Value::text("status 2")));
  good(arena_->erase(source(), key(3)));  // nothing there to delete, and no reason to fail
  copy_outside();
  expect_in_step();
}

TEST_P(Links, LeaveAloneWhatOnlyTheNewSideHolds) {
  link_with_rows(3);
  good(update_new(1, {{shape().new_only, Value::text("mine")}}));
  good(update_old(1, {{shape().amount, Value::integer(50)}}));
  good(update_old(1, {{shape().status, Value::text("moved")}}));
  EXPECT_TRUE(same(new_value(1, shape().new_only), Value::text("mine")));
  expect_in_step();
}

// A document that the new side has enriched stays so until the old side changes its part.
TEST_P(Links, CarryOnlyTheColumnsThatChanged) {
  link_with_rows(3);
  const Value rich = Value::text("{\"result\":\"result \\\"1\\\"\",\"more\":true}");
  good(update_new(1, {{shape().document, rich}}));
  EXPECT_TRUE(same(old_value(1, shape().result), Value::text("result \"1\"")));
  good(update_old(1, {{shape().amount, Value::integer(50)}}));
  EXPECT_TRUE(same(new_value(1, shape().document), rich));
  EXPECT_TRUE(same(new_value(1, shape().amount), Value::integer(50)));
}

// ---------------------------------------------------------------- the new application

TEST_P(Links, CarryAnInsertOnTheNewSide) {
  link();
  good(insert_new(1, "open", Value::text("{\"result\":\"made new\"}"), 7, Value::text("mine")));
  EXPECT_TRUE(same(old_value(1, shape().status), Value::text("open")));
  EXPECT_TRUE(same(old_value(1, shape().result), Value::text("made new")));
  EXPECT_TRUE(same(old_value(1, shape().amount), Value::integer(7)));
  EXPECT_TRUE(same(new_value(1, shape().new_only), Value::text("mine")));
  EXPECT_EQ(arena_->rows(target()).size(), 1U);
}

TEST_P(Links, CarryAnUpdateOfOneColumnOnTheNewSide) {
  link_with_rows(5);
  const Row before = *old_row(2);
  good(update_new(2, {{shape().state, Value::text("done")}}));
  Row expected = before;
  expected[static_cast<std::size_t>(mapping_.source.column_index(shape().status))] =
      Value::text("done");
  EXPECT_TRUE(same(*old_row(2), expected)) << show(*old_row(2));
}

TEST_P(Links, CarryADeleteOnTheNewSide) {
  link_with_rows(5);
  good(arena_->erase(target(), target_key(3)));
  EXPECT_FALSE(old_row(3).has_value());
  EXPECT_EQ(arena_->rows(source()).size(), 4U);
}

TEST_P(Links, LeaveAloneWhatOnlyTheOldSideHolds) {
  link_with_rows(3);
  good(update_new(1, {{shape().state, Value::text("done")}, {shape().amount, Value::integer(5)}}));
  EXPECT_TRUE(same(old_value(1, shape().old_only), Value::text("only old 1")));
}

TEST_P(Links, TakeWhatIsNoDocumentForOneWithoutTheOldValue) {
  link_with_rows(3);
  good(update_new(1, {{shape().document, Value::text("no JSON at all")}}));
  EXPECT_TRUE(old_value(1, shape().result).is_null());
}

// ---------------------------------------------------------------- no echo

TEST_P(Links, DoNotWriteADefaultBackOverTheNullItCameFrom) {
  link();
  good(insert_old(1, Value(), Value(), 1));
  EXPECT_TRUE(old_value(1, shape().status).is_null());
  good(update_old(1, {{shape().amount, Value::integer(2)}}));
  EXPECT_TRUE(old_value(1, shape().status).is_null());
  good(update_new(1, {{shape().amount, Value::integer(3)}}));
  EXPECT_TRUE(old_value(1, shape().status).is_null()) << "the new side did not touch the state";
  good(update_new(1, {{shape().state, Value::text("done")}}));
  EXPECT_TRUE(same(old_value(1, shape().status), Value::text("done")));
}

TEST_P(Links, CountOnlyTheApplicationsWritesOnTheNewSide) {
  link_with_rows(6);
  good(update_old(1, {{shape().amount, Value::integer(1)}}));
  good(insert_old(7, Value(), Value(), 7));
  good(arena_->erase(source(), key(2)));
  expect_written_on_new_side({});
  good(update_new(3, {{shape().new_only, Value::text("mine")}}));
  good(update_new(3, {{shape().state, Value::text("twice")}}));
  good(arena_->erase(target(), target_key(4)));
  good(insert_new(8, "new", Value(), 8, Value()));
  expect_written_on_new_side({target_key(3), target_key(4), target_key(8)});
  arena_->reopen();
  expect_written_on_new_side({target_key(3), target_key(4), target_key(8)});
}

TEST_P(Links, AreMadeOnceHoweverOftenTheyAreAskedFor) {
  link_with_rows(3);
  good(update_new(1, {{shape().new_only, Value::text("mine")}}));
  link();
  expect_written_on_new_side({target_key(1)});
  good(update_old(1, {{shape().amount, Value::integer(5)}}));
  expect_in_step();
}

// ---------------------------------------------------------------- the end of a link

TEST_P(Links, HandEveryPairOfTheNewSideOverWhenTheyEnd) {
  link_with_rows(6);
  good(update_new(1, {{shape().new_only, Value::text("mine")}}));
  good(arena_->erase(target(), target_key(2)));
  good(insert_new(8, "made new", Value(), 8, Value()));
  const std::vector<Row> old_before = arena_->rows(source());
  Witness witness;
  good(capture().unlink({the_link()}, witness));
  ASSERT_EQ(witness.pairs.size(), 2U);
  for (const auto& [old_one, new_one] : witness.pairs) {
    ASSERT_TRUE(old_one.has_value());
    const Row new_key = key_of(new_one, mapping_.target_key);
    EXPECT_TRUE(same(new_key, target_key(1)) || same(new_key, target_key(8)));
    EXPECT_TRUE(same(
        good(target_key_of(mapping_, key_of(*old_one, mapping_.source_key), catalog())), new_key));
  }
  ASSERT_EQ(witness.lost.size(), 1U);
  EXPECT_TRUE(same(witness.lost[0], target_key(2)));
  EXPECT_FALSE(catalog().describe(target()).ok()) << "we made it, so it goes";
  EXPECT_TRUE(arena_->leftovers().empty());
  const std::vector<Row> old_after = arena_->rows(source());
  EXPECT_TRUE(std::ranges::equal(old_before, old_after, [](const Row& a, const Row& b) {
    return same(a, b);
  })) << "the old side keeps what was carried to it";
  good(update_old(1, {{shape().amount, Value::integer(6)}}));
}

TEST_P(Links, EmptyATargetThatWasThereBefore) {
  link_with_rows(4);
  Link kept = the_link();
  kept.made_target = false;
  Witness witness;
  good(capture().unlink({kept}, witness));
  EXPECT_TRUE(arena_->rows(target()).empty());
  EXPECT_EQ(arena_->rows(source()).size(), 4U);
  EXPECT_TRUE(arena_->leftovers().empty());
}

TEST_P(Links, EndOnceHoweverOftenItIsAsked) {
  link_with_rows(4);
  Witness witness;
  good(capture().unlink({the_link()}, witness));
  good(capture().unlink({the_link()}, witness));
  EXPECT_TRUE(witness.pairs.empty());
  EXPECT_EQ(arena_->rows(source()).size(), 4U);
}

TEST_P(Links, StayWhenTheirPairsCannotBeKept) {
  link_with_rows(4);
  good(update_new(1, {{shape().new_only, Value::text("mine")}}));
  Witness witness;
  witness.fails = true;
  EXPECT_FALSE(capture().unlink({the_link()}, witness).ok());
  expect_written_on_new_side({target_key(1)});
  good(update_old(2, {{shape().amount, Value::integer(5)}}));
  expect_in_step();
  EXPECT_TRUE(same(new_value(1, shape().new_only), Value::text("mine")));
}

TEST_P(Links, KeepBothTablesWhenTheyAreCut) {
  link_with_rows(4);
  good(update_new(1, {{shape().new_only, Value::text("mine")}}));
  good(capture().cut({the_link()}));
  good(capture().cut({the_link()}));
  EXPECT_TRUE(arena_->leftovers().empty());
  EXPECT_EQ(arena_->rows(source()).size(), 4U);
  EXPECT_EQ(arena_->rows(target()).size(), 4U);
  good(update_old(2, {{shape().amount, Value::integer(1000)}}));
  EXPECT_FALSE(same(new_value(2, shape().amount), Value::integer(1000)));
  good(update_new(3, {{shape().amount, Value::integer(2000)}}));
  EXPECT_FALSE(same(old_value(3, shape().amount), Value::integer(2000)));
}

// ---------------------------------------------------------------- putting back

TEST_P(Links, PutBackWhatTheNewSideHadAsItsOwn) {
  link_with_rows(4);
  const Row old_before = *old_row(1);
  const Row now = *new_row(1);
  EXPECT_TRUE(good(capture().put_back(
      the_link(), now,
      {{shape().new_only, Value::text("kept")}, {shape().amount, Value::integer(4711)}})));
  EXPECT_TRUE(same(new_value(1, shape().new_only), Value::text("kept")));
  EXPECT_TRUE(same(new_value(1, shape().amount), Value::integer(4711)));
  EXPECT_TRUE(same(*old_row(1), old_before)) << "what is put back was carried once already";
  expect_written_on_new_side({target_key(1)});
  EXPECT_FALSE(
      good(capture().put_back(the_link(), now, {{shape().new_only, Value::text("again")}})))
      << "it is no longer this row";
  EXPECT_TRUE(same(new_value(1, shape().new_only), Value::text("kept")));
}

RUN_OVER_EVERY_STORE(Links);

}  // namespace
}  // namespace whimbrel::conformance
