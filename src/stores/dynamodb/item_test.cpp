#include "stores/dynamodb/item.h"

#include <gtest/gtest.h>

#include "stores/dynamodb/rows.h"
#include "stores/dynamodb/table.h"

namespace whimbrel::dynamodb {
namespace {

constexpr const char* definition = R"({"create":{
  "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"},
                          {"AttributeName":"at","AttributeType":"N"}],
  "KeySchema":[{"AttributeName":"at","KeyType":"RANGE"},{"AttributeName":"id","KeyType":"HASH"}]}})";

TableSchema table() { return schema_of(definition, "things").value(); }

// Through a reply and back, as an item would go.
std::string through(const std::string& item) {
  const TableSchema schema = table();
  ItemReader reader(schema);
  const Result<std::optional<Row>> row = reader.one("{\"Item\":" + item + "}");
  if (!row.ok()) return row.error().message;
  const Result<std::string> back = item_of(schema, schema.column_names(), *row.value());
  return back.ok() ? back.value() : back.error().message;
}

TEST(DynamoItem, KeysComeFirstWhateverTheOrderInTheSchema) {
  EXPECT_EQ(table().key, (std::vector<std::string>{"id", "at"}));
  EXPECT_EQ(table().rest_column, "*");
  EXPECT_EQ(table().columns.size(), 3u);
}

TEST(DynamoItem, EveryTypeComesBackAsItWas) {
  const std::string item =
      R"({"id":{"S":"a\"b\\\u0001é🜁"},"at":{"N":"1.5"},"b":{"B":"AAH/"},"empty":{"S":""},)"
      R"("f":{"BOOL":false},"l":{"L":[{"N":"1"},{"M":{"x":{"SS":["q"]}}},{"L":[]}]},)"
      R"("m":{"M":{"":{"S":"v"},"n":{"NULL":true}}},"no":{"NULL":true},"ns":{"NS":["1","2.5"]},)"
      R"("ss":{"SS":["","a","b"]},"zb":{"BS":["AA==","/w=="]}})";
  EXPECT_EQ(through(item), item);
}

TEST(DynamoItem, SetsAndNumbersHaveOneForm) {
  const TableSchema schema = table();
  ItemReader reader(schema);
  const auto read = [&](const char* rest) {
    return *reader.one(std::string(R"({"Item":{"id":{"S":"a"},"at":{"N":"1.0"},)") + rest + "}}")
                .value();
  };
  EXPECT_TRUE(same(read(R"("x":{"NS":["2.5","1"]})"), read(R"("x":{"NS":["1","2.5"]})")));
  EXPECT_TRUE(same(read(R"("x":{"SS":["b","a"]})"), read(R"("x":{"SS":["a","b"]})")));
  EXPECT_FALSE(same(read(R"("x":{"NULL":true})"), read(R"("y":{"S":""})")));
  EXPECT_FALSE(same(read(R"("x":{"S":"1"})"), read(R"("x":{"N":"1"})")));
}

TEST(DynamoItem, ANullThatIsStatedIsNotAnAttributeThatIsMissing) {
  const TableSchema schema = table();
  ItemReader reader(schema);
  const Row row =
      *reader.one(R"({"Item":{"id":{"S":"a"},"at":{"N":"1"},"x":{"NULL":true}}})").value();
  const Row none = *reader.one(R"({"Item":{"id":{"S":"a"},"at":{"N":"1"}}})").value();
  EXPECT_FALSE(same(row, none));
  EXPECT_NE(item_digest(schema, row), item_digest(schema, none));
}

TEST(DynamoItem, WhatDynamoDbCannotHoldIsRefused) {
  EXPECT_FALSE(settled(Value::real(std::numeric_limits<double>::infinity())).ok());
  EXPECT_FALSE(settled(Value::text("\xff\xfe")).ok());
  for (const char* number :
       {"NaN", "Infinity", "1e999", "123456789012345678901234567890123456789"}) {
    const Value wrong(Value::Storage(Decimal{number}));
    EXPECT_FALSE(settled(wrong).ok()) << number;
    EXPECT_FALSE(settled(Value(Value::Storage(List{{wrong}}))).ok()) << number;
    EXPECT_FALSE(settled(Value(Value::Storage(Map{{{"a", wrong}}}))).ok()) << number;
    EXPECT_FALSE(settled(Value(Value::Storage(NumberSet{{number}}))).ok()) << number;
  }
  const Value spelled(Value::Storage(List{{Value(Value::Storage(Decimal{"1.50"}))}}));
  EXPECT_EQ(show(settled(spelled).value()), show(spelled));
  const ColumnSchema key{"id", "S", false, false, false, "", Kind::text};
  EXPECT_FALSE(settled_key(key, Value::text("")).ok());
  EXPECT_FALSE(settled_key(key, Value::integer(1)).ok());
  EXPECT_FALSE(settled_key(key, Value()).ok());
  EXPECT_TRUE(settled_key(key, Value::text("x")).ok());
}

TEST(DynamoItem, ASortKeyHasHalfTheRoomOfAPartitionKey) {
  const auto schema = schema_of(R"({"create":{
    "AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"},
                            {"AttributeName":"s","AttributeType":"S"},
                            {"AttributeName":"g","AttributeType":"S"}],
    "KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"s","KeyType":"RANGE"}],
    "GlobalSecondaryIndexes":[{"IndexName":"by_g","Projection":{"ProjectionType":"ALL"},
      "KeySchema":[{"AttributeName":"g","KeyType":"HASH"},
                   {"AttributeName":"p","KeyType":"RANGE"}]}]}})",
                                "things")
                          .value();
  const auto takes = [&](const char* name, std::size_t bytes) {
    const auto at = static_cast<std::size_t>(schema.column_index(name));
    return settled_key(schema.columns[at], Value::text(std::string(bytes, 'k'))).ok();
  };
  EXPECT_TRUE(takes("g", 2048) && takes("s", 1024) && takes("p", 1024));
  EXPECT_FALSE(takes("g", 2049) || takes("s", 1025) || takes("p", 1025));
}

TEST(DynamoItem, AnAttributeThatWouldBeWrittenTwiceIsRefused) {
  const TableSchema schema = table();
  const Row row = {Value::text("a"), Value::integer(1),
                   Value(Value::Storage(Map{{{"id", Value::text("b")}}}))};
  EXPECT_FALSE(item_of(schema, schema.column_names(), row).ok());
}

TEST(DynamoItem, DamagedRepliesAreErrors) {
  const TableSchema schema = table();
  ItemReader reader(schema);
  for (const char* body : {"", "{", "[]", R"({"Item":{"id":"x"}})", R"({"Item":{"id":{"S":1}}})",
                           R"({"Item":{"id":{"Q":"x"}}})", R"({"Item":{"b":{"B":"***"}}})"}) {
    const Result<std::optional<Row>> row = reader.one(body);
    EXPECT_TRUE(!row.ok() || !row.value()) << body;
  }
}

}  // namespace
}  // namespace whimbrel::dynamodb
