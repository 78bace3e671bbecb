#include "copy/copy.h"

#include <gtest/gtest.h>

#include "base/held_clock_test.h"
#include "stores/memory/memory_store.h"

namespace whimbrel {
namespace {

class Counting final : public Events {
 public:
  void emit(const Event&) override { ++events; }
  std::atomic<int> events{0};
};

TableSchema table(const std::string& name) {
  TableSchema schema;
  schema.name = name;
  schema.columns = {{"k", "", true, false, false, ""}, {"v", "", true, false, false, ""}};
  schema.key = {"k"};
  return schema;
}

Move move_of(const std::shared_ptr<MemoryStore>& store, int index) {
  Move move;
  move.index = index;
  move.name = "old" + std::to_string(index);
  move.source = move.target = store;
  const auto column = [](const char* name) { return make_expr(ColumnRef{name}); };
  move.mapping = make_mapping(table(move.name), table("new" + std::to_string(index)),
                              {{"k", column("k")}, {"v", column("v")}})
                     .value();
  return move;
}

// Four tables side by side share the journal, the events and the store.
TEST(ThreadsCopy, TablesCopiedSideBySideAllArriveWhole) {
  SystemClock clock;
  const auto store = std::make_shared<MemoryStore>("m", clock);
  std::vector<Move> moves;
  for (int i = 0; i < 4; ++i) {
    moves.push_back(move_of(store, i));
    store->add_table(moves.back().mapping.source);
    store->add_table(moves.back().mapping.target);
    for (int row = 0; row < 300; ++row) {
      ASSERT_TRUE(store
                      ->put("old" + std::to_string(i),
                            {{"k", Value::integer(row)}, {"v", Value::text("x")}})
                      .ok());
    }
  }
  const auto journal = Journal::in_memory(clock);
  ASSERT_TRUE(journal.ok());
  Counting events;
  const LimitsPlan limits{7, std::nullopt, 4};
  RowRate rate(clock);
  std::vector<Task> tasks;
  for (const Move& move : moves) {
    auto copy = std::make_shared<Copy>(
        std::span(&move, 1), move, true, limits, rate, *journal.value(), clock, events,
        [](const Move&, const Row&, const Error&) { return Status(); });
    tasks.push_back([copy] { return copy->step(); });
  }
  ASSERT_TRUE(ThreadExecutor(4).run(std::move(tasks)).ok());
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(store->rows("new" + std::to_string(i)).size(), 300U);
    EXPECT_TRUE(journal.value()->state().copies.at(i).at_end);
    EXPECT_EQ(journal.value()->state().copies.at(i).written, 300);
  }
  EXPECT_EQ(events.events, 4 * 43);
}

TEST(CopyResume, ContinuesAfterTheLastJournaledChunk) {
  SystemClock clock;
  const auto store = std::make_shared<MemoryStore>("m", clock);
  const Move move = move_of(store, 0);
  store->add_table(move.mapping.source);
  store->add_table(move.mapping.target);
  for (int row = 0; row < 100; ++row) {
    ASSERT_TRUE(store->put("old0", {{"k", Value::integer(row)}}).ok());
  }
  const auto journal = Journal::in_memory(clock);
  NoEvents events;
  const LimitsPlan limits{10, std::nullopt, 1};
  const auto reject = [](const Move&, const Row&, const Error&) { return Status(); };
  for (int i = 0; i < 3; ++i) {  // three lives of one chunk each
    RowRate rate(clock);
    Copy copy({&move, 1}, move, true, limits, rate, *journal.value(), clock, events, reject);
    ASSERT_TRUE(copy.step().ok());
  }
  EXPECT_EQ(store->rows("new0").size(), 30U);
  EXPECT_EQ(journal.value()->state().copies.at(0).chunks, 3);
}

// Each would be one batch, and none would wait for the one before it.
TEST(CopyRate, SmallTablesKeepTheRateTogether) {
  HeldClock clock;
  const auto store = std::make_shared<MemoryStore>("m", clock);
  const auto journal = Journal::in_memory(clock);
  NoEvents events;
  const LimitsPlan limits{1000, 100, 1};
  RowRate rate(clock);
  constexpr int tables = 5;
  constexpr int rows = 20;
  for (int i = 0; i < tables; ++i) {
    const Move move = move_of(store, i);
    store->add_table(move.mapping.source);
    store->add_table(move.mapping.target);
    for (int row = 0; row < rows; ++row) {
      ASSERT_TRUE(store->put("old" + std::to_string(i), {{"k", Value::integer(row)}}).ok());
    }
    Copy copy({&move, 1}, move, true, limits, rate, *journal.value(), clock, events,
              [](const Move&, const Row&, const Error&) { return Status(); });
    while (copy.step().value() == Step::again) {
    }
  }
  // Nobody waits behind the last.
  EXPECT_GE(clock.monotonic(), Milliseconds((tables - 1) * rows * 10));
  EXPECT_LE(clock.monotonic(), Milliseconds(tables * rows * 10));
}

TEST(CopyRate, ABatchIsAQuarterOfASecondsWorth) {
  EXPECT_EQ(RowRate::rows_max(1000, std::nullopt), 1000);
  EXPECT_EQ(RowRate::rows_max(1000, 100), 25);
  EXPECT_EQ(RowRate::rows_max(1000, 1), 1);
  EXPECT_EQ(RowRate::rows_max(10, 1'000'000), 10);
}

}  // namespace
}  // namespace whimbrel
