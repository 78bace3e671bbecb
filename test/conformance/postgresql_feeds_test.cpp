// What the contract leaves to a store that has TRUNCATE.
#include "conformance/postgresql_arena.h"

namespace whimbrel::conformance {
namespace {

class Truncates : public Conformance {
 protected:
  PostgresqlArena& application() { return dynamic_cast<PostgresqlArena&>(*arena_); }
};

TEST_P(Truncates, AreToldRowByRow) {
  insert_old_rows(5);
  const std::string begin = good(capture().start("feed", {source()}));
  good(application().run("TRUNCATE " + source()));
  const ChangeBatch batch = good(capture().read("feed", begin, 100));
  EXPECT_EQ(batch.changes.size(), 5U);
  for (const KeyChange& change : batch.changes) {
    EXPECT_TRUE(change.removed);
    EXPECT_FALSE(change.own);
  }
  EXPECT_TRUE(arena_->rows(source()).empty());
}

RUN_OVER_EVERY_STORE(Truncates);

}  // namespace
}  // namespace whimbrel::conformance
