#include "value/value.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/random.h"
#include "value/fingerprint.h"

namespace whimbrel {
namespace {

Value random_value(Random& random, int depth) {
  switch (random.below(depth > 3 ? 12 : 14)) {
    case 0:
      return {};
    case 1:
      return Value(Value::Storage(random.chance(50)));
    case 2:
      return Value::integer(static_cast<std::int64_t>(random.next()));
    case 3:
      return Value::real(std::bit_cast<double>(random.next()));
    case 4:
      return Value(Value::Storage(Decimal{"12345678901234567890123456789012345678"}));
    case 5:
      return Value(Value::Storage(TextSet{{"a", "b"}}));
    case 12: {
      List list;
      for (std::int64_t i = random.below(4); i > 0; --i) {
        list.items.push_back(random_value(random, depth + 1));
      }
      return Value(Value::Storage(std::move(list)));
    }
    case 13: {
      Map map;
      map.fields.emplace_back("k", random_value(random, depth + 1));
      return Value(Value::Storage(std::move(map)));
    }
    default: {
      std::string text;
      for (std::int64_t i = random.below(20); i > 0; --i)
        text += static_cast<char>(random.below(256));
      return random.chance(50) ? Value::text(text) : Value::bytes(text);
    }
  }
}

TEST(Values, TheCanonicalFormCanBeReadBack) {
  Random random(1);
  for (int i = 0; i < 20000; ++i) {
    const Row row = {random_value(random, 0), random_value(random, 0)};
    const std::string bytes = canonical(row);
    const Result<Row> back = row_from_canonical(bytes);
    ASSERT_TRUE(back.ok());
    ASSERT_EQ(canonical(back.value()), bytes);
  }
}

TEST(Values, CutOrChangedBytesAreAnErrorAndNeverACrash) {
  Random random(2);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = canonical({random_value(random, 0)});
    if (random.chance(50)) {
      bytes.resize(static_cast<std::size_t>(random.below(static_cast<std::int64_t>(bytes.size()))));
    } else {
      bytes[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(bytes.size())))] =
          static_cast<char>(random.below(256));
    }
    (void)row_from_canonical(bytes);
  }
}

TEST(Values, WhatDiffersHasADifferentForm) {
  EXPECT_FALSE(same(Value::text(""), Value()));
  EXPECT_FALSE(same(Value::text("1"), Value::integer(1)));
  EXPECT_FALSE(same(Value::text("a"), Value::bytes("a")));
  EXPECT_FALSE(same(Value::real(0.0), Value::real(-0.0)));
  EXPECT_FALSE(same(Value::real(1.0), Value::integer(1)));
  EXPECT_FALSE(
      same(Row{Value::text("a"), Value::text("")}, Row{Value::text(""), Value::text("a")}));
  EXPECT_TRUE(same(Value::real(std::numeric_limits<double>::quiet_NaN()),
                   Value::real(-std::numeric_limits<double>::quiet_NaN())));
}

TEST(Fingerprints, FindADoubledAndASwappedRow) {
  Fingerprint once;
  once.add({Value::integer(1)});
  once.add({Value::integer(2)});
  Fingerprint other_order;
  other_order.add({Value::integer(2)});
  other_order.add({Value::integer(1)});
  EXPECT_EQ(once, other_order);
  Fingerprint doubled = once;
  doubled.add({Value::integer(1)});
  EXPECT_FALSE(once == doubled);
}

}  // namespace
}  // namespace whimbrel
