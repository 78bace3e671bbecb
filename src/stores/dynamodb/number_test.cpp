#include "stores/dynamodb/number.h"

#include <gtest/gtest.h>

namespace whimbrel::dynamodb {
namespace {

std::string normal(const char* text) {
  const Result<std::string> number = normal_number(text);
  return number.ok() ? number.value() : "refused";
}

TEST(DynamoNumber, HasOneSpelling) {
  EXPECT_EQ(normal("1.0"), "1");
  EXPECT_EQ(normal("1e2"), "100");
  EXPECT_EQ(normal("-0"), "0");
  EXPECT_EQ(normal("0.000"), "0");
  EXPECT_EQ(normal("00012"), "12");
  EXPECT_EQ(normal("+5"), "5");
  EXPECT_EQ(normal("1.50"), "1.5");
  EXPECT_EQ(normal(".5"), "0.5");
  EXPECT_EQ(normal("-12.340E1"), "-123.4");
  EXPECT_EQ(normal("0.00012"), "0.00012");
}

TEST(DynamoNumber, KeepsThirtyEightDigitsAndRefusesMore) {
  EXPECT_EQ(normal("12345678901234567890123456789012345678"),
            "12345678901234567890123456789012345678");
  EXPECT_EQ(normal("0.12345678901234567890123456789012345678"),
            "0.12345678901234567890123456789012345678");
  EXPECT_EQ(normal("123456789012345678901234567890123456789"), "refused");
}

TEST(DynamoNumber, LeavesZerosAtTheEndsOutOfTheCount) {
  EXPECT_EQ(normal("1000000000000000000000000000000000000000000000"), "1E45");
  EXPECT_EQ(normal("1E-130"), "1E-130");
  EXPECT_EQ(normal("9.99E+125"), "9.99E125");
}

TEST(DynamoNumber, ASpellingOfItsOwnIsReadBackTheSame) {
  for (const char* text :
       {"1E45", "-2.5E-100", "9.9999999999999999999999999999999999999E125", "7"}) {
    EXPECT_EQ(normal(normal(text).c_str()), normal(text));
  }
}

TEST(DynamoNumber, RefusesWhatIsNone) {
  for (const char* text : {"", "-", ".", "e5", "1e", "1e+", "0x10", "1_0", " 1", "1 ", "NaN",
                           "Infinity", "1.2.3", "1e1.5", "1E126", "1E-131", "--1"}) {
    EXPECT_EQ(normal(text), "refused") << text;
  }
}

}  // namespace
}  // namespace whimbrel::dynamodb
