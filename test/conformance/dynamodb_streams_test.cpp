// What becomes of a feed whose stream is somebody else's, or remembers no longer what was not read.
#include "conformance/dynamodb_arena.h"

namespace whimbrel::conformance {
namespace {

class DynamoStreams : public Conformance {
 protected:
  DynamoArena& dynamo() { return static_cast<DynamoArena&>(*arena_); }
  std::string start() { return good(capture().start("feed", {source()})); }
  Result<ChangeBatch> read(const std::string& position) {
    return capture().read("feed", position, 100);
  }
  void expect_read_and_not_ended() {
    const std::string begin = start();
    good(insert_old(1, Value(), Value(), 1));
    EXPECT_EQ(good(read(begin)).changes.size(), 1U);
    good(capture().stop("feed"));
    EXPECT_TRUE(dynamo().has_stream(source()));
  }
};

TEST_P(DynamoStreams, OfOthersAreReadAndNeverEnded) {
  dynamo().begin_stream(source());
  expect_read_and_not_ended();
}

TEST_P(DynamoStreams, OfOthersInTheirPlaceAreReadAndNeverEnded) {
  start();
  dynamo().drop_capture();
  dynamo().begin_stream(source());
  EXPECT_FALSE(good(capture().feed_is_whole("feed", {source()})));
  expect_read_and_not_ended();
}

TEST_P(DynamoStreams, ThatWereNotReadForADayAreLostUntilTheyAreMended) {
  const std::string begin = start();
  good(insert_old(1, Value(), Value(), 1));
  const std::string position = good(read(begin)).position;
  dynamo().clock().shift(Milliseconds(25 * 3'600'000));
  EXPECT_FALSE(good(capture().feed_is_whole("feed", {source()})));
  const Result<ChangeBatch> lost = read(position);
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.error().code, ErrorCode::position_lost);
  start();
  EXPECT_TRUE(good(capture().feed_is_whole("feed", {source()})));
  EXPECT_TRUE(good(read(position)).at_end);
  good(capture().stop("feed"));
  EXPECT_FALSE(dynamo().has_stream(source())) << "it is still ours";
}

INSTANTIATE_TEST_SUITE_P(Over, DynamoStreams,
                         ::testing::ValuesIn(std::vector<Setup>{every_store().front()}),
                         name_of_setup);

}  // namespace
}  // namespace whimbrel::conformance
