#include "transform/ids.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/effort_test.h"
#include "transform/mask.h"

namespace whimbrel {
namespace {

IdRecipe recipe(const std::string& table, IdFormat format) {
  return {{table, std::nullopt, "prod"}, format, ""};
}

std::string text_of(const Result<Value>& value) {
  if (!value.ok()) return "error: " + value.error().message;
  if (value.value().is_null()) return "null";
  if (const auto* json = value.value().get_if<Json>()) return json->text;
  const auto* text = value.value().get_if<std::string>();
  return text != nullptr ? *text : show(value.value());
}

Result<Value> replaced(const IdPlace& place, const Value& value) {
  return with_ids_replaced(place, value, [](const Value& old) -> Result<Value> {
    const auto* text = old.get_if<std::string>();
    return Value::text("<" + (text != nullptr ? *text : show(old)) + ">");
  });
}

Value map(std::vector<std::pair<std::string, Value>> fields) {
  return Value(Value::Storage(Map{std::move(fields)}));
}
Value list(std::vector<Value> items) { return Value(Value::Storage(List{std::move(items)})); }

// A text around an id of a table whose keys are numbers.
TEST(AsKey, IsANumberThatIsSpelledAsOne) {
  for (const char* text : {"0", "3", "-3", "2.5", "-2.5", "0.5", "12345678901234567890"}) {
    EXPECT_EQ(as_key(Value::text(text), Kind::decimal).kind(), Kind::decimal) << text;
  }
  for (const char* text : {"", "-", "-0", "007", "2.50", "2.", ".5", "1.5.2", "1e3", "x"}) {
    EXPECT_EQ(as_key(Value::text(text), Kind::decimal).kind(), Kind::text) << text;
  }
  EXPECT_EQ(as_key(Value::text("3"), Kind::text).kind(), Kind::text);
}

// The guide's vectors; test/regress/ids.py computes them apart from this program.
TEST(NewId, IsAsTheGuideSays) {
  const struct {
    const char* table;
    Value id;
    const char* in_groups;
    const char* uuid;
    const char* hex;
  } known[] = {
      {"customers", Value::integer(1), "xw1x2n18-kgxk387f", "80450cc8-c5bf-861c-849e-1b06e91c044b",
       "80450cc8c5bf861c849e1b06e91c044b"},
      {"orders", Value::text("a-17"), "msbzi7qz-szsb2vlk", "012ee110-f8fd-86bb-9c80-d8990e2d1778",
       "012ee110f8fd46bb5c80d8990e2d1778"},
      {"Contacts", Value::text("é漢🜁"), "kvmh2pca-fl7wz7bd", "aa3bea79-9505-85ca-9393-b4958ef8bbc9",
       "aa3bea799505a5cad393b4958ef8bbc9"},
  };
  for (const auto& one : known) {
    EXPECT_EQ(text_of(new_id(recipe(one.table, IdFormat::groups), one.id)), one.in_groups);
    EXPECT_EQ(text_of(new_id(recipe(one.table, IdFormat::uuid), one.id)), one.uuid);
    EXPECT_EQ(text_of(new_id(recipe(one.table, IdFormat::hex), one.id)), one.hex);
  }
  IdRecipe prefixed = recipe("customers", IdFormat::groups);
  prefixed.prefix = "cus_";
  EXPECT_EQ(text_of(new_id(prefixed, Value::integer(1))), "cus_xw1x2n18-kgxk387f");
}

TEST(NewId, PartsDoNotRunTogether) {
  const IdRecipe one{{"ab", std::nullopt}, IdFormat::hex, ""};
  const IdRecipe other{{"a", std::nullopt}, IdFormat::hex, ""};
  EXPECT_NE(text_of(new_id(one, Value::text("c"))), text_of(new_id(other, Value::text("bc"))));
}

TEST(NewId, OfNullIsNullAndBytesHaveNone) {
  EXPECT_EQ(text_of(new_id(recipe("t", IdFormat::hex), Value())), "null");
  EXPECT_FALSE(new_id(recipe("t", IdFormat::hex), Value::bytes("\x01")).ok());
}

TEST(IdPlace, InTextIsBetweenItsPrefixAndItsSuffix) {
  const IdPlace place{{}, "P#", "#X"};
  EXPECT_EQ(text_of(replaced(place, Value::text("P#12#X"))), "P#<12>#X");
  for (const char* other : {"P##X", "Q#12#X", "P#12", "#X", "P#X", ""}) {
    EXPECT_EQ(text_of(replaced(place, Value::text(other))), other);
  }
  EXPECT_EQ(text_of(replaced(place, Value::integer(12))), "12");
}

TEST(IdPlace, InJsonLeavesEveryOtherByte) {
  const IdPlace place{{"items", "[]", "id"}, "", ""};
  const std::string text =
      R"( { "id":"no", "items" : [ {"id":"a","n":1.50},{"n":12345678901234567890.10, "id" : 7 } , {"id":null}, [], "id" ] } )";
  EXPECT_EQ(
      text_of(replaced(place, Value::text(text))),
      R"( { "id":"no", "items" : [ {"id":"<a>","n":1.50},{"n":12345678901234567890.10, "id" : "<7>" } , {"id":null}, [], "id" ] } )");
  EXPECT_EQ(text_of(replaced(place, Value::json(text))),
            text_of(replaced(place, Value::text(text))));
}

TEST(IdPlace, InJsonNamesAndTextsAreDecoded) {
  const IdPlace place{{"a\"b"}, "", ""};
  EXPECT_EQ(text_of(replaced(place, Value::text(R"({"a\"b":"x\u0041\"","c":"\\"})"))),
            R"({"a\"b":"<xA\">","c":"\\"})");
}

TEST(IdPlace, InJsonAtTheTopIsAListOfIds) {
  const IdPlace place{{"[]"}, "", ""};
  EXPECT_EQ(text_of(replaced(place, Value::text(R"(["a", "b",3])"))), R"(["<a>", "<b>","<3>"])");
  EXPECT_EQ(text_of(replaced(place, Value::text("[]"))), "[]");
  EXPECT_EQ(text_of(replaced(place, Value::text("17"))), "17");
}

TEST(IdPlace, InATextThatIsNoJsonIsRefused) {
  const Result<Value> made = replaced({{"a"}, "", ""}, Value::text("{a: 1"));
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::refused);
  EXPECT_TRUE(replaced({{"a"}, "", ""}, Value()).ok());
}

TEST(IdPlace, InListsMapsAndSets) {
  const Value value =
      map({{"ids", Value(Value::Storage(TextSet{{"b", "a"}}))},
           {"lines", list({map({{"id", Value::text("x")}}), Value::text("id"), Value()})}});
  const Result<Value> lines = replaced({{"lines", "[]", "id"}, "", ""}, value);
  ASSERT_TRUE(lines.ok());
  const Result<std::vector<Value>> ids =
      ids_in({{"lines", "[]", "id"}, "", ""}, lines.value(), Kind::null);
  ASSERT_TRUE(ids.ok());
  ASSERT_EQ(ids.value().size(), 1U);
  EXPECT_EQ(text_of(ids.value().front()), "<x>");
  const Result<Value> set = replaced({{"ids", "[]"}, "", ""}, value);
  ASSERT_TRUE(set.ok());
  const auto& members = set.value().get<Map>().fields.front().second.get<TextSet>().members;
  EXPECT_EQ(members, (std::vector<std::string>{"<a>", "<b>"}));
}

TEST(ColumnPath, IsAColumnAndSteps) {
  const Result<ColumnPath> path = column_path("items[].product.id");
  ASSERT_TRUE(path.ok());
  EXPECT_EQ(path.value().column, "items");
  EXPECT_EQ(path.value().steps, (std::vector<std::string>{"[]", "product", "id"}));
  for (const char* wrong : {"", ".a", "a..b", "a[", "a[0]", "a.", "[]x", "a[]b"}) {
    EXPECT_FALSE(column_path(wrong).ok()) << wrong;
  }
}

TEST(Mask, GivesTheSameForTheSameAndKeepsTheFormat) {
  EXPECT_EQ(text_of(masked(MaskAs::phone, Value::text("+49 (30) 123-45 67"))),
            text_of(masked(MaskAs::phone, Value::text("+49 (30) 123-45 67"))));
  const std::string phone = text_of(masked(MaskAs::phone, Value::text("+49 (30) 123-45 67")));
  EXPECT_EQ(phone.size(), std::string("+49 (30) 123-45 67").size());
  EXPECT_EQ(phone.substr(0, 1) + phone.substr(3, 2) + phone.substr(7, 2), "+ () ");
  const std::string mail = text_of(masked(MaskAs::email, Value::text("Ada@corp.org")));
  EXPECT_EQ(mail.substr(16), "@example.com");
  EXPECT_EQ(text_of(masked(MaskAs::name, Value::text("Ann O'Neil"))).size(), 10U);
  EXPECT_EQ(text_of(masked(MaskAs::name, Value::text("é"))).size(), 1U);
  EXPECT_EQ(text_of(masked(MaskAs::email, Value::text(""))), "");
  EXPECT_EQ(text_of(masked(MaskAs::phone, Value::text("1 ext. 2"))).substr(1, 6), " ext. ");
  EXPECT_FALSE(masked(MaskAs::phone, Value::real(1.5)).ok());
}

TEST(Mask, LeavesNothingReadableAmongPhoneNumbers) {
  for (const char* text :
       {"none", "ask Ada Moor", "ada@corp.org", "٠٣٠١٢٣٤٥٦٧", "０３０１２３", "☎ Ada"}) {
    const std::string made = text_of(masked(MaskAs::phone, Value::text(text)));
    EXPECT_EQ(made, text_of(masked(MaskAs::phone, Value::text(text))));
    EXPECT_EQ(made.find("Ada"), std::string::npos) << made;
    EXPECT_NE(made, text);
    EXPECT_FALSE(std::ranges::any_of(made, [](char c) {
      return static_cast<unsigned char>(c) > 0x7f;
    })) << made;
  }
}

TEST(Mask, MakesNoTwoPhoneNumbersEqual) {
  for (int digits = 1; digits <= effort(4, 5); ++digits) {
    std::set<std::string> made;
    int count = 1;
    for (int i = 0; i < digits; ++i) count *= 10;
    for (int i = 0; i < count; ++i) {
      std::string text = std::to_string(count + i).substr(1);
      made.insert(text_of(masked(MaskAs::phone, Value::text(text))));
    }
    EXPECT_EQ(static_cast<int>(made.size()), count);
  }
  std::set<std::int64_t> numbers;
  for (std::int64_t i = 1000; i < 3000; ++i) {
    const Result<Value> made = masked(MaskAs::phone, Value::integer(i));
    ASSERT_TRUE(made.ok());
    numbers.insert(made.value().get<std::int64_t>());
  }
  EXPECT_EQ(numbers.size(), 2000U);
}

}  // namespace
}  // namespace whimbrel
