#include "stores/dynamodb/splice.h"

#include <gtest/gtest.h>

#include "store/image.h"
#include "stores/dynamodb/dynamodb_store.h"
#include "stores/dynamodb/table.h"

namespace whimbrel::dynamodb {
namespace {

constexpr const char* source_definition = R"({"create":{
  "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],
  "KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}})";
constexpr const char* target_definition = R"({"create":{
  "AttributeDefinitions":[{"AttributeName":"key","AttributeType":"S"},
                          {"AttributeName":"kind","AttributeType":"S"}],
  "KeySchema":[{"AttributeName":"key","KeyType":"HASH"}],
  "GlobalSecondaryIndexes":[{"IndexName":"by-kind","KeySchema":[
    {"AttributeName":"kind","KeyType":"HASH"}],"Projection":{"ProjectionType":"ALL"}}]}})";

TableSchema with(TableSchema table, const std::vector<std::string>& columns) {
  for (const std::string& name : columns) {
    if (table.column_index(name) >= 0) continue;
    ColumnSchema column;
    column.name = name;
    table.columns.push_back(column);
  }
  return table;
}

ExprPtr column(const std::string& name) { return make_expr(ColumnRef{name}); }

class DynamoSplice : public testing::Test {
 protected:
  DynamoSplice()
      : store_(DynamoStore::open("eu-central-1?endpoint=http://127.0.0.1:9", clock_).value()) {}

  // The key and an attribute get other names, one is computed, one has to be a key of an index.
  static ColumnExprs columns() {
    return {
        {"key", column("id")},
        {"when", column("at")},
        {"label", make_expr(Template{{make_expr(CaseOf{TextCase::upper, column("what")}),
                                      make_expr(Constant{Value::text(" of ")}), column("id")}})},
        {"kind", column("type")},
        {"*", column("*")}};
  }
  static Mapping mapping(const ColumnExprs& columns) {
    return make_mapping(
               with(schema_of(source_definition, "from").value(), {"at", "what", "type", "same"}),
               with(schema_of(target_definition, "to").value(), {"when", "label"}), columns, false)
        .value();
  }

  // The item that comes of it, read again, or why none does.
  std::string spliced(const Mapping& mapping, std::string item) {
    ItemSplicer splicer(mapping, store_->catalog());
    item.reserve(item.size() + simdjson::SIMDJSON_PADDING);
    simdjson::ondemand::parser parser;
    simdjson::ondemand::document document =
        parser.iterate(item.data(), item.size(), item.capacity());
    std::string json = "before ";
    const Status made = splicer.append(document.get_object(), json);
    if (!made.ok()) return to_text(made.error());
    return as_read(mapping.target, json.substr(7));
  }
  // The same by rows.
  std::string by_rows(const Mapping& mapping, const std::string& item) {
    ItemReader reader(mapping.source);
    const Row row = *reader.one("{\"Item\":" + item + "}").value();
    const Result<Row> image = image_of(mapping, row, store_->catalog());
    if (!image.ok()) return "refused";
    const Result<std::string> json = item_of(mapping.target, written_columns(mapping.forward),
                                             written_values(mapping.forward, image.value()));
    return json.ok() ? as_read(mapping.target, json.value()) : "refused";
  }
  static std::string as_read(const TableSchema& table, const std::string& json) {
    ItemReader reader(table);
    const Result<std::optional<Row>> row = reader.one("{\"Item\":" + json + "}");
    if (!row.ok()) return "no JSON: " + json;
    return item_of(table, table.column_names(), *row.value()).value();
  }

  SystemClock clock_;
  std::shared_ptr<Store> store_;
};

TEST_F(DynamoSplice, MakesTheItemThatRowsMake) {
  const Mapping all = mapping(columns());
  ASSERT_TRUE(ItemSplicer::can(all));
  ColumnExprs without_rest = columns();
  without_rest.pop_back();
  const Mapping some = mapping(without_rest);
  ASSERT_TRUE(ItemSplicer::can(some));
  const std::string escaped = R"({"id":{"S":"a\"b\\é"},"what":{"S":"q\n"},"x\"y":{"S":"\u00e9"}})";
  const std::string odd =
      R"({"id":{"S":"a"},"at":{"M":{"n":{"N":"1.50"}}},"what" : { "N" : "1.0" },)"
      R"("l":{"L":[{"NULL":true}]},"b":{"B":"AAH/"},"ns":{"NS":["2","1"]}})";
  for (const std::string& item :
       {std::string(R"({"id":{"S":"a"},"at":{"N":"1.50"},"what":{"S":"x"},"type":{"S":"t"}})"),
        std::string(R"({"id":{"S":"a"}})"), escaped, odd,
        std::string(R"({"rest":{"S":""},"id":{"S":"é"},"same":{"SS":["b","a"]}})"),
        std::string(R"({"id":{"S":"a"},"what":{"NULL":true}})")}) {
    EXPECT_EQ(spliced(all, item), by_rows(all, item)) << item;
    EXPECT_EQ(spliced(some, item), by_rows(some, item)) << item;
    EXPECT_NE(by_rows(all, item), "refused") << item;
  }
}

TEST_F(DynamoSplice, RefusesWhatRowsRefuseAndNamesTheKey) {
  const Mapping all = mapping(columns());
  for (const char* item :
       {R"({"id":{"S":"k1"},"label":{"S":"mine"}})", R"({"id":{"S":"k1"},"type":{"N":"7"}})",
        R"({"id":{"S":"k1"},"when":{"S":"x"}})", R"({"id":{"S":"k1"},"what":{"L":[]}})"}) {
    EXPECT_EQ(by_rows(all, item), "refused") << item;
    EXPECT_NE(spliced(all, item).find("k1"), std::string::npos) << spliced(all, item);
  }
  Mapping closed = mapping(columns());
  closed.rest_must_be_empty = true;
  EXPECT_NE(spliced(closed, R"({"id":{"S":"k1"},"other":{"S":"x"}})").find("`other`"),
            std::string::npos);
}

TEST_F(DynamoSplice, AnItemThatGrowsTooLargeIsRefused) {
  ColumnExprs twice = columns();
  twice[2].second = make_expr(Template{{column("what"), column("what")}});
  const Mapping all = mapping(twice);
  const std::string item =
      R"({"id":{"S":"k1"},"what":{"S":")" + std::string(250'000, 'x') + R"("}})";
  EXPECT_NE(spliced(all, item).find("409,600"), std::string::npos);
}

TEST_F(DynamoSplice, KeysThatAreComputedGoByRows) {
  ColumnExprs all = columns();
  all[0].second = make_expr(Template{{make_expr(Constant{Value::text("ID#")}), column("id")}});
  EXPECT_FALSE(ItemSplicer::can(mapping(all)));
}

}  // namespace
}  // namespace whimbrel::dynamodb
