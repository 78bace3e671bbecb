#include <gtest/gtest.h>

#include "transform/expr.h"

namespace whimbrel {
namespace {

Value number(const char* text) { return Value(Value::Storage(Decimal{text})); }

std::string mapped(const Value& value) {
  MapValues node{make_expr(Constant{value}),
                 {{Value::integer(1), Value::text("one")},
                  {Value::real(1.5), Value::text("and a half")},
                  {Value::text("1"), Value::text("a text")}},
                 Value::text("other"),
                 false};
  const Result<Value> made = evaluate(Expr{std::move(node)}, {});
  return made.ok() ? made.value().get<std::string>() : made.error().message;
}

// A plan's numbers are whole or real, a store may have only one kind of number.
TEST(MapOfValues, FindsANumberHoweverItIsHeld) {
  EXPECT_EQ(mapped(Value::integer(1)), "one");
  EXPECT_EQ(mapped(number("1.0")), "one");
  EXPECT_EQ(mapped(number("1")), "one");
  EXPECT_EQ(mapped(Value(Value::Storage(true))), "one");
  EXPECT_EQ(mapped(Value::real(1.5)), "and a half");
  EXPECT_EQ(mapped(number("1.5")), "and a half");
}

TEST(MapOfValues, TellsNumbersFromTextsAndFromNeighbours) {
  EXPECT_EQ(mapped(Value::text("1")), "a text");
  EXPECT_EQ(mapped(Value::text("1.0")), "other");
  EXPECT_EQ(mapped(number("2")), "other");
  EXPECT_EQ(mapped(number("1.50000000000000000000001")), "other");
  EXPECT_EQ(mapped(number("99999999999999999999")), "other");
}

}  // namespace
}  // namespace whimbrel
