#include "value/json_value.h"

#include <gtest/gtest.h>

#include <limits>

namespace whimbrel {
namespace {

TEST(JsonValue, EveryNumberComesBackAsItIsWritten) {
  for (const char* text : {"0", "-1", "1.5", "1.50", "18446744073709551615", "9223372036854775808",
                           "12345678901234567890123.456", "1E+30", "0.1", "-0.0"}) {
    const std::optional<Value> value = value_of_json(text);
    ASSERT_TRUE(value) << text;
    EXPECT_EQ(json_text_of(*value).value(), text);
  }
  EXPECT_EQ(value_of_json("1.5")->kind(), Kind::real);
  EXPECT_EQ(value_of_json("1.50")->kind(), Kind::decimal);
  EXPECT_EQ(value_of_json("9223372036854775807")->kind(), Kind::int64);
  EXPECT_EQ(value_of_json("9223372036854775808")->kind(), Kind::decimal);
}

TEST(JsonValue, DocumentsAreInOneOrderWithoutSpaces) {
  const auto value =
      value_of_json(R"( {"b": [1, {"z": null, "a": "ü\"\u0001"}], "a": 1, "a": 2} )");
  ASSERT_TRUE(value);
  EXPECT_EQ(json_text_of(*value).value(), R"({"a":2,"b":[1,{"a":"ü\"\u0001","z":null}]})");
  EXPECT_FALSE(value_of_json("{"));
  EXPECT_FALSE(value_of_json(""));
  EXPECT_EQ(json_text_of(Value::json("{ \"x\" : 1.50 }")).value(), R"({"x":1.50})");
}

TEST(JsonValue, WhatJsonHasNoWordsForIsRefused) {
  EXPECT_FALSE(json_text_of(Value::bytes("x")).ok());
  EXPECT_FALSE(json_text_of(Value::text("\xff")).ok());
  EXPECT_FALSE(json_text_of(Value::real(std::numeric_limits<double>::infinity())).ok());
  EXPECT_FALSE(json_text_of(Value(Value::Storage(TextSet{{"a"}}))).ok());
  EXPECT_FALSE(json_text_of(Value(Value::Storage(Decimal{"NaN"}))).ok());
}

}  // namespace
}  // namespace whimbrel
