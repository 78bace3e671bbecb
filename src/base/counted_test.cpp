#include "base/counted.h"

#include <gtest/gtest.h>

namespace whimbrel {
namespace {

TEST(Counted, OneIsOneAndAllOthersAreSeveral) {
  EXPECT_EQ(rows_text(0), "0 rows");
  EXPECT_EQ(rows_text(1), "1 row");
  EXPECT_EQ(rows_text(2), "2 rows");
  EXPECT_EQ(rows_text(1'234'567), "1,234,567 rows");
  EXPECT_EQ(counted(1, "problem"), "1 problem");
  EXPECT_EQ(counted(3, "column"), "3 columns");
}

}  // namespace
}  // namespace whimbrel
