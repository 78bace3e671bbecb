#include "stores/dynamodb/partiql.h"

#include <gtest/gtest.h>

namespace whimbrel::dynamodb {
namespace {

TEST(Selection, KnowsTableAndIndex) {
  const Selection whole(R"(SELECT * FROM "a-b.c" WHERE id = ?)");
  EXPECT_EQ(whole.table(), "a-b.c");
  EXPECT_EQ(whole.index(), "");
  const Selection by(R"(select "from", x FROM t."by mail" WHERE m = 'FROM x')");
  EXPECT_EQ(by.table(), "t");
  EXPECT_EQ(by.index(), "by mail");
}

TEST(Selection, FindsByItsPartitionKey) {
  for (const char* condition :
       {"pk = ?", "pk=?", "\"pk\" = ?", "pk IN [?, ?]", "pk in (?)", "sk = ? AND pk = ?",
        "pk = ? AND (a = 1 OR b = 2)", "pk = ? OR pk = ?",
        "(pk = ? AND a = 1) OR (b = 2 AND pk = ?)", "sk BETWEEN ? AND ? AND pk = ?",
        "begins_with(sk, 'x') AND pk = ? ORDER BY sk DESC"}) {
    EXPECT_TRUE(Selection(std::string("SELECT * FROM t WHERE ") + condition).finds_by("pk"))
        << condition;
  }
}

TEST(Selection, ReadsEverythingElseWhole) {
  EXPECT_FALSE(Selection("SELECT * FROM t").finds_by("pk"));
  for (const char* condition : {"sk = ?", "pk > ?", "pk <> ?", "pk = ? OR a = 1", "NOT pk = ?",
                                "NOT (pk = ?)", "a = 'pk = 1'", "pk BETWEEN ? AND ?",
                                "begins_with(pk, 'x')", "PK = ?", "a = 1 ORDER BY pk"}) {
    EXPECT_FALSE(Selection(std::string("SELECT * FROM t WHERE ") + condition).finds_by("pk"))
        << condition;
  }
}

}  // namespace
}  // namespace whimbrel::dynamodb
