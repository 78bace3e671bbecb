#include "store/shape.h"

#include <gtest/gtest.h>

#include "store/image.h"

namespace whimbrel {
namespace {

ExprPtr text(const std::string& value) { return make_expr(Constant{Value::text(value)}); }
ExprPtr column(const std::string& name) { return make_expr(ColumnRef{name}); }
KeyPattern joined(std::vector<ExprPtr> parts) {
  return pattern_of(*make_expr(Template{std::move(parts)}));
}

TEST(KeyPattern, ATemplateFitsWhatItCanMake) {
  const KeyPattern pattern = joined({text("A#"), column("x"), text("#B#"), column("y")});
  EXPECT_TRUE(fits(pattern, Value::text("A#1#B#2")));
  EXPECT_TRUE(fits(pattern, Value::text("A##B#")));
  EXPECT_FALSE(fits(pattern, Value::text("A#1#C#2")));
  EXPECT_FALSE(fits(pattern, Value::text("B#1#B#2")));
  EXPECT_FALSE(fits(pattern, Value::integer(1)));
}

TEST(KeyPattern, ItsPiecesDoNotOverlap) {
  const KeyPattern pattern = joined({text("ab"), column("x"), text("ba")});
  EXPECT_FALSE(fits(pattern, Value::text("aba")));
  EXPECT_TRUE(fits(pattern, Value::text("abba")));
}

TEST(KeyPattern, AConstantFitsItselfByValue) {
  const KeyPattern pattern = pattern_of(*make_expr(Constant{Value::integer(1)}));
  EXPECT_TRUE(fits(pattern, Value(Value::Storage(Decimal{"1"}))));
  EXPECT_FALSE(fits(pattern, Value::text("1")));
}

TEST(KeyPattern, ApartByBeginningsEndsAndConstants) {
  const KeyPattern users = joined({text("USER#"), column("id")});
  const KeyPattern all = pattern_of(*column("id"));
  EXPECT_TRUE(are_apart(users, joined({text("ROLE#"), column("id")})));
  EXPECT_FALSE(are_apart(users, joined({text("USER#X#"), column("id")})));
  EXPECT_FALSE(are_apart(users, all));
  EXPECT_TRUE(are_apart(joined({column("id"), text("#a")}), joined({column("id"), text("#b")})));
  EXPECT_FALSE(are_apart(users, pattern_of(*text("USER#1"))));
  EXPECT_TRUE(are_apart(users, pattern_of(*text("X"))));
  EXPECT_TRUE(are_apart(pattern_of(*text("Y")), pattern_of(*text("X"))));
}

TableSchema table(const std::string& name, const std::vector<std::string>& columns,
                  const std::vector<std::string>& key) {
  TableSchema schema;
  schema.name = name;
  for (const std::string& one : columns) {
    schema.columns.emplace_back();
    schema.columns.back().name = one;
    schema.columns.back().holds = Kind::text;
  }
  schema.key = key;
  return schema;
}

TEST(JoinedKey, IsCutAgainWhereItWasJoined) {
  const ExprPtr key = make_expr(
      Template{{text("A#"), column("x"), text("#B#"), column("y"), text("#C#"), column("z")}});
  const Result<Mapping> mapping = make_mapping(table("old", {"x", "y", "z"}, {"x", "y", "z"}),
                                               table("new", {"k"}, {"k"}), {{"k", key}});
  ASSERT_TRUE(mapping.ok()) << mapping.error().message;
  EXPECT_TRUE(mapping.value().key_is_joined);
  const Row row = {Value::text("1"), Value::text(""), Value::text("3#C")};
  const Result<Row> there = map_key(mapping.value(), row);
  ASSERT_TRUE(there.ok());
  EXPECT_EQ(show(there.value()), "'A#1#B##C#3#C'");
  const Result<Row> back = unmap_key(mapping.value(), there.value());
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(same(back.value(), row)) << show(back.value());
}

TEST(JoinedKey, InsertsWithNothingBetweenThemAreNoKey) {
  const ExprPtr key = make_expr(Template{{column("x"), column("y")}});
  const Result<Mapping> mapping =
      make_mapping(table("old", {"x", "y"}, {"x", "y"}), table("new", {"k"}, {"k"}), {{"k", key}});
  ASSERT_FALSE(mapping.ok());
  EXPECT_EQ(mapping.error().code, ErrorCode::refused);
}

}  // namespace
}  // namespace whimbrel
