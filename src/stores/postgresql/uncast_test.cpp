#include "stores/postgresql/uncast.h"

#include <gtest/gtest.h>

namespace whimbrel::postgresql {
namespace {

const std::vector<std::string> columns = {"id", "of \"it\""};

TEST(Uncast, ComparesColumnsAsTheyAre) {
  EXPECT_EQ(uncast_comparisons("(((k.id)::text = (t.id)::text))", columns), "((k.id = t.id))");
  EXPECT_EQ(uncast_comparisons("((id)::text = (t.id)::text)", columns), "(id = t.id)");
  EXPECT_EQ(uncast_comparisons(R"(((a."of ""it""")::text = ("B".id)::text))", columns),
            R"((a."of ""it""" = "B".id))");
}

TEST(Uncast, LeavesEverythingElse) {
  for (const char* sql :
       {"((k.id)::text = (t.other)::text)", "((k.id)::text || 'x'::text)", "(t.id)::text AS id",
        "((t.id)::text = 'b'::text)", "('a'::text < (id)::text)",
        "lower((k.id)::text) = (t.id)::text", "((k.id)::text = ANY (ARRAY['a'::text]))",
        "'(k.id)::text = (t.id)::text'", "((k.id)::text < (t.id)::text)",
        "SELECT 1 WHERE ((k.id)::text = (t.id)::text) AND (EXISTS ( SELECT 1))",
        "((k.id)::text[] = (t.id)::text[])", "'", "\"", "(k.",
        "((f(k.id))::text = (t.id)::text)"}) {
    EXPECT_EQ(uncast_comparisons(sql, columns), sql);
  }
}

}  // namespace
}  // namespace whimbrel::postgresql
