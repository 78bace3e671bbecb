#include "copy/pace.h"

#include <gtest/gtest.h>

namespace whimbrel {
namespace {

constexpr PaceBounds bounds{10, 1000, Milliseconds(20)};

TEST(ChunkPace, FindsTheSizeThatTakesTheWantedTime) {
  std::int64_t rows = 10;
  for (int i = 0; i < 50; ++i) rows = next_chunk_rows(rows, Milliseconds(rows / 20), bounds);
  EXPECT_NEAR(static_cast<double>(rows), 400, 60);
}

TEST(ChunkPace, StaysWithinItsBoundsWhateverItIsTold) {
  for (const std::int64_t rows : {1, 10, 500, 1000, 100000}) {
    for (const int ms : {0, 1, 19, 20, 21, 101, 1000000}) {
      const std::int64_t next = next_chunk_rows(rows, Milliseconds(ms), bounds);
      EXPECT_GE(next, 10);
      EXPECT_LE(next, 1000);
    }
  }
}

TEST(ChunkPace, AChunkThatIsFarTooSlowIsCutAtOnce) {
  EXPECT_EQ(next_chunk_rows(1000, Milliseconds(101), bounds), 100);
}

TEST(ChunkPace, ASmallBatchSizeOfThePlanIsKept) {
  EXPECT_EQ(next_chunk_rows(3, Milliseconds(0), {10, 3, Milliseconds(20)}), 3);
}

}  // namespace
}  // namespace whimbrel
