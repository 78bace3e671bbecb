#include "stores/postgresql/uncast.h"

#include <gtest/gtest.h>

namespace whimbrel::postgresql {
namespace {

const std::vector<std::string> columns = {"id", "of \"it\""};

TEST(Uncast, ComparesColumnsAsTheyAre) {
  EXPECT_EQ(uncast_comparisons("(((k.id)::text = (t.id)::text))", columns).sql, "((k.id = t.id))");
  EXPECT_EQ(uncast_comparisons("((id)::text = (t.id)::text)", columns).sql, "(id = t.id)");
  EXPECT_EQ(uncast_comparisons(R"(((a."of ""it""")::text = ("B".id)::text))", columns).sql,
            R"((a."of ""it""" = "B".id))");
}

TEST(Uncast, SearchesForThemAsTheyAre) {
  EXPECT_EQ(uncast_comparisons("((k.id)::text IN ( SELECT u.id FROM u WHERE ((u.id)::text <> "
                               "(k.id)::text)))",
                               columns)
                .sql,
            "(k.id IN ( SELECT u.id FROM u WHERE (u.id <> k.id)))");
  EXPECT_EQ(uncast_comparisons("(NOT ((id)::text = ANY ( SELECT u.id FROM u)))", columns).sql,
            "(NOT (id = ANY ( SELECT u.id FROM u)))");
}

TEST(Uncast, LeavesEverythingElse) {
  for (const char* sql :
       {"((k.id)::text = (t.other)::text)", "((k.id)::text || 'x'::text)", "(t.id)::text AS id",
        "((t.id)::text = 'b'::text)", "('a'::text < (id)::text)",
        "lower((k.id)::text) = (t.id)::text", "((k.id)::text = ANY (ARRAY['a'::text]))",
        "'(k.id)::text = (t.id)::text'", "((k.id)::text < (t.id)::text)",
        "((k.id)::text[] = (t.id)::text[])", "'", "\"", "(k.",
        "((f(k.id))::text = (t.id)::text)"}) {
    EXPECT_EQ(uncast_comparisons(sql, columns).sql, sql);
  }
}

}  // namespace
}  // namespace whimbrel::postgresql
