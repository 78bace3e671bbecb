// The contract of feeds and holds.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "conformance/arena.h"

namespace whimbrel::conformance {
namespace {

// ---------------------------------------------------------------- feeds

class Feeds : public Conformance {
 protected:
  std::string start() { return good(capture().start("feed", {source(), target()})); }
  // Everything from a position on, some changes at a time.
  std::vector<KeyChange> read_from(std::string position, std::int64_t changes_max = 1000) {
    std::vector<KeyChange> all;
    while (true) {
      ChangeBatch batch = good(capture().read("feed", position, changes_max));
      EXPECT_LE(std::ssize(batch.changes), changes_max);
      for (KeyChange& change : batch.changes) all.push_back(std::move(change));
      if (batch.at_end) return all;
      EXPECT_NE(batch.position, position) << "a read that is not at the end has to go on";
      position = batch.position;
    }
  }
  static std::vector<KeyChange> of_application(std::vector<KeyChange> changes) {
    std::erase_if(changes, [](const KeyChange& change) { return change.own; });
    return changes;
  }
  static bool tells(const std::vector<KeyChange>& changes, const std::string& table, const Row& key,
                    bool removed) {
    return std::ranges::any_of(changes, [&](const KeyChange& change) {
      return change.table == table && same(change.key, key) && change.removed == removed;
    });
  }
};

TEST_P(Feeds, TellEveryWriteOfTheApplication) {
  insert_old_rows(3);
  const std::string begin = start();
  good(insert_old(5, Value(), Value(), 5));
  good(update_old(1, {{shape().amount, number(99)}}));
  good(arena_->erase(source(), key(2)));
  good(insert_new(7, "new", Value(), 7, Value()));
  const std::vector<KeyChange> changes = of_application(read_from(begin));
  EXPECT_TRUE(tells(changes, source(), key(5), false));
  EXPECT_TRUE(tells(changes, source(), key(1), false));
  EXPECT_TRUE(tells(changes, source(), key(2), true));
  EXPECT_TRUE(tells(changes, target(), target_key(7), false));
  EXPECT_FALSE(tells(changes, source(), key(0), false)) << "nobody wrote it since the start";
}

TEST_P(Feeds, TellWritesInTheirOrder) {
  const std::string begin = start();
  for (int i = 0; i < 8; ++i) good(insert_old(i, Value(), Value(), i));
  const std::vector<KeyChange> changes = read_from(begin, 3);
  ASSERT_EQ(changes.size(), 8U);
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(same(changes[static_cast<std::size_t>(i)].key, key(i)));
}

TEST_P(Feeds, TellOurOwnWritesAsOursOrNotAtAll) {
  insert_old_rows(5);
  const std::string begin = start();
  copy_outside();
  EXPECT_TRUE(of_application(read_from(begin)).empty());
  const std::string position = good(capture().read("feed", begin, 1000)).position;
  good(update_new(1, {{shape().state, Value::text("by the application")}}));
  EXPECT_EQ(of_application(read_from(position)).size(), 1U);
  const std::vector<KeyChange> told = of_application(read_from(begin));
  EXPECT_TRUE(tells(told, target(), target_key(1), false));
  for (const KeyChange& change : told)
    EXPECT_TRUE(change.table == target() && same(change.key, target_key(1))) << show(change.key);
  if (arena_->knows_own_writes_for_good()) EXPECT_EQ(told.size(), 1U);
}

TEST_P(Feeds, TellWhatWeDeleteAsOursToo) {
  insert_old_rows(4);
  copy_outside();
  const std::string begin = start();
  const auto writer = good(store().open_writer(mapping_.target, mapping_.target.key));
  good(writer->apply(std::vector<Change>{{target_key(1), std::nullopt, std::nullopt}}));
  good(arena_->erase(target(), target_key(2)));
  const std::vector<KeyChange> changes = of_application(read_from(begin));
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_TRUE(tells(changes, target(), target_key(2), true));
}

TEST_P(Feeds, TellEachWriteOnceInTheOrderOfItsKey) {
  const std::string begin = start();
  good(insert_old(1, Value(), Value(), 1));
  good(insert_old(2, Value(), Value(), 1));
  good(update_old(1, {{shape().amount, number(2)}}));
  good(arena_->erase(source(), key(1)));
  good(update_old(2, {{shape().amount, number(2)}}));
  good(insert_old(1, Value(), Value(), 3));
  good(arena_->erase(source(), key(2)));
  for (const std::int64_t changes_max : {1, 2, 100}) {
    std::vector<bool> of_one;
    std::vector<bool> of_two;
    for (const KeyChange& change : read_from(begin, changes_max)) {
      EXPECT_EQ(change.table, source());
      EXPECT_FALSE(change.own);
      (same(change.key, key(1)) ? of_one : of_two).push_back(change.removed);
    }
    EXPECT_EQ(of_one, (std::vector{false, false, true, false}));
    EXPECT_EQ(of_two, (std::vector{false, false, true}));
  }
}

TEST_P(Feeds, GoOnWhereTheReaderStopped) {
  const std::string begin = start();
  good(insert_old(1, Value(), Value(), 1));
  const ChangeBatch first = good(capture().read("feed", begin, 100));
  EXPECT_TRUE(first.at_end);
  EXPECT_EQ(first.changes.size(), 1U);
  EXPECT_TRUE(good(capture().read("feed", first.position, 100)).changes.empty());
  good(insert_old(2, Value(), Value(), 2));
  const ChangeBatch second = good(capture().read("feed", first.position, 100));
  ASSERT_EQ(second.changes.size(), 1U);
  EXPECT_TRUE(same(second.changes[0].key, key(2)));
  EXPECT_EQ(good(capture().read("feed", begin, 100)).changes.size(), 2U)
      << "a position can be read again";
}

TEST_P(Feeds, CountWhatWaitsBehindAPosition) {
  const std::string begin = start();
  EXPECT_EQ(good(capture().waiting("feed", begin)), 0);
  for (int i = 0; i < 5; ++i) good(insert_old(i, Value(), Value(), i));
  EXPECT_EQ(good(capture().waiting("feed", begin)), 5);
  const std::string behind = good(capture().read("feed", begin, 2)).position;
  EXPECT_EQ(good(capture().waiting("feed", behind)), 3);
  good(insert_old(5, Value(), Value(), 5));
  EXPECT_EQ(good(capture().waiting("feed", behind)), 4);
}

TEST_P(Feeds, OutliveTheProcessThatStartedThem) {
  const std::string begin = start();
  good(insert_old(1, Value(), Value(), 1));
  const std::string position = good(capture().read("feed", begin, 100)).position;
  arena_->reopen();
  good(insert_old(2, Value(), Value(), 2));
  EXPECT_EQ(read_from(position).size(), 1U);
  EXPECT_EQ(read_from(begin).size(), 2U);
}

TEST_P(Feeds, TellAllThatWasWrittenBeforeTheirEnd) {
  const std::string begin = start();
  for (int i = 0; i < 5; ++i) good(insert_old(i, Value(), Value(), i));
  const std::string position = good(capture().read("feed", begin, 2)).position;
  good(insert_new(7, "new", Value(), 7, Value()));
  good(capture().end("feed"));
  good(capture().end("feed"));
  arena_->reopen();
  EXPECT_TRUE(good(capture().feed_is_whole("feed", {source(), target()})));
  EXPECT_EQ(of_application(read_from(position)).size(), 4U);
  EXPECT_EQ(of_application(read_from(begin)).size(), 6U);
  good(capture().stop("feed"));
  const std::string anew = start();
  good(insert_old(5, Value(), Value(), 5));
  EXPECT_EQ(of_application(read_from(anew)).size(), 1U);
}

TEST_P(Feeds, LoseNothingWhenTheyAreStartedAgain) {
  const std::string begin = start();
  good(insert_old(1, Value(), Value(), 1));
  EXPECT_EQ(start(), begin);
  good(insert_old(2, Value(), Value(), 2));
  EXPECT_EQ(read_from(begin).size(), 2U);
}

TEST_P(Feeds, DoNotHearEachOther) {
  const std::string begin = start();
  good(capture().start("another", {source()}));
  good(insert_old(1, Value(), Value(), 1));
  EXPECT_EQ(read_from(begin).size(), 1U);
  good(capture().stop("another"));
  good(insert_old(2, Value(), Value(), 2));
  EXPECT_EQ(read_from(begin).size(), 2U);
}

TEST_P(Feeds, OutliveTheOneThatWasStartedBefore) {
  start();
  const std::string begin = good(capture().start("another", {source()}));
  good(insert_old(1, Value(), Value(), 1));
  good(capture().stop("feed"));
  good(insert_old(2, Value(), Value(), 2));
  EXPECT_TRUE(good(capture().feed_is_whole("another", {source()})));
  const ChangeBatch batch = good(capture().read("another", begin, 100));
  EXPECT_EQ(batch.changes.size(), 2U);
  good(capture().stop("another"));
  EXPECT_TRUE(arena_->leftovers().empty());
}

TEST_P(Feeds, AreMendedByStartingThemAgain) {
  const std::string begin = start();
  EXPECT_TRUE(good(capture().feed_is_whole("feed", {source(), target()})));
  good(insert_old(1, Value(), Value(), 1));
  std::string position = good(capture().read("feed", begin, 100)).position;
  arena_->drop_capture();
  EXPECT_FALSE(good(capture().feed_is_whole("feed", {source(), target()})));
  start();
  EXPECT_TRUE(good(capture().feed_is_whole("feed", {source(), target()})));
  arena_->reopen();
  good(insert_old(2, Value(), Value(), 2));
  const std::vector<KeyChange> changes = read_from(position);
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_TRUE(same(changes[0].key, key(2)));
  good(capture().stop("feed"));
  EXPECT_TRUE(arena_->leftovers().empty());
}

TEST_P(Feeds, LeaveNothingWhenTheyAreStopped) {
  const std::string begin = start();
  good(insert_old(1, Value(), Value(), 1));
  good(capture().stop("feed"));
  good(capture().stop("feed"));
  EXPECT_TRUE(arena_->leftovers().empty());
  good(insert_old(2, Value(), Value(), 2));
  const Result<ChangeBatch> read = capture().read("feed", begin, 100);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, ErrorCode::position_lost);
}

RUN_OVER_EVERY_STORE(Feeds);

// ---------------------------------------------------------------- holds

class HeldTables : public Conformance {
 protected:
  void SetUp() override {
    if (lacks(&Capabilities::holds)) GTEST_SKIP() << "this store holds no writers";
    Conformance::SetUp();
  }
  void hold(std::int64_t ms) {
    good(store().holds().hold({source()}, arena_->now() + Milliseconds(ms)));
  }
  bool held() { return good(store().holds().held({source()})); }
  bool can_write() { return update_old(1, {{shape().amount, number(++amount_)}}).ok(); }

  std::int64_t amount_ = 0;
};

TEST_P(HeldTables, RefuseEveryWriteOfTheApplication) {
  insert_old_rows(3);
  const std::vector<Row> before = arena_->rows(source());
  hold(60'000);
  EXPECT_TRUE(held());
  EXPECT_FALSE(can_write());
  EXPECT_FALSE(insert_old(7, Value(), Value(), 7).ok());
  EXPECT_FALSE(arena_->erase(source(), key(1)).ok());
  EXPECT_TRUE(std::ranges::equal(before, arena_->rows(source()),
                                 [](const Row& a, const Row& b) { return same(a, b); }));
  EXPECT_TRUE(insert_new(7, "not held", Value(), 7, Value()).ok());
}

TEST_P(HeldTables, LetGoByThemselvesAtTheDeadline) {
  insert_old_rows(3);
  const TimePoint until = arena_->now() + Milliseconds(300);
  good(store().holds().hold({source()}, until));
  while (!can_write()) {
    ASSERT_LT(arena_->now(), until + Milliseconds(5000));
    arena_->let_pass(Milliseconds(20));
  }
  EXPECT_GE(arena_->now(), until - Milliseconds(5));
  EXPECT_FALSE(held());
  good(store().holds().release({source()}));
  EXPECT_TRUE(arena_->leftovers().empty());
}

TEST_P(HeldTables, LetGoWhenTheyAreReleased) {
  insert_old_rows(3);
  hold(60'000);
  arena_->reopen();
  EXPECT_EQ(held(), !store().capabilities().locks_tables)
      << "another process knows of it, and a lock ends with its own";
  good(store().holds().release({source()}));
  good(store().holds().release({source()}));
  EXPECT_FALSE(held());
  EXPECT_TRUE(can_write());
  EXPECT_TRUE(arena_->leftovers().empty());
}

TEST_P(HeldTables, CanBeHeldLonger) {
  insert_old_rows(3);
  hold(1);
  hold(60'000);
  arena_->let_pass(Milliseconds(30));
  EXPECT_TRUE(held());
  EXPECT_FALSE(can_write());
}

TEST_P(HeldTables, AreHeldOnlyIfAllOfThemAre) {
  hold(60'000);
  EXPECT_FALSE(good(store().holds().held({source(), target()})));
  good(store().holds().hold({source(), target()}, arena_->now() + Milliseconds(60'000)));
  EXPECT_TRUE(good(store().holds().held({source(), target()})));
  good(store().holds().release({source()}));
  EXPECT_FALSE(held());
  EXPECT_EQ(good(store().holds().held({target()})), !store().capabilities().locks_tables);
  good(store().holds().release({source(), target()}));
  EXPECT_TRUE(arena_->leftovers().empty());
}

TEST_P(HeldTables, TakeOurOwnWrites) {
  if (store().capabilities().locks_tables) GTEST_SKIP() << "a lock keeps our own writes out, too";
  insert_old_rows(3);
  good(store().holds().hold({target()}, arena_->now() + Milliseconds(60'000)));
  copy_outside();
  expect_in_step();
  EXPECT_FALSE(insert_new(7, "by the application", Value(), 7, Value()).ok());
}

RUN_OVER_EVERY_STORE(HeldTables);

}  // namespace
}  // namespace whimbrel::conformance
