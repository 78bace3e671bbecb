#include "base/clock.h"

#include <gtest/gtest.h>

namespace whimbrel {
namespace {

TEST(Clock, ReadsTheMomentsThatItWrites) {
  const TimePoint moment(Milliseconds(1'763'669'703'123));
  EXPECT_EQ(from_iso8601(to_iso8601(moment)), moment);
  EXPECT_EQ(from_iso8601("1969-12-31T23:59:59.5Z"), TimePoint(Milliseconds(-500)));
  EXPECT_EQ(from_iso8601("2026-11-20T22:15:03+02:00"), from_iso8601("2026-11-20T20:15:03Z"));
  EXPECT_EQ(from_iso8601("2026-11-20T14:45:03-05:30"), from_iso8601("2026-11-20T20:15:03Z"));
}

TEST(Clock, TakesNoMomentForAnotherOne) {
  for (const char* text : {"", "2026-11-20", "2026-11-20T20:15:03", "2026-11-20T20:15Z",
                           "2026-11-20T20:15:03Zulu", "2026-11-20T20:15:03+2", "yesterday"}) {
    EXPECT_FALSE(from_iso8601(text)) << text;
  }
}

}  // namespace
}  // namespace whimbrel
