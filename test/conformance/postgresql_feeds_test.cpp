// What a feed tells of a table that is emptied, and what a review says that it cannot.
#include <algorithm>

#include "conformance/postgresql_arena.h"

namespace whimbrel::conformance {
namespace {

class PostgresqlFeeds : public Conformance {
 protected:
  PostgresqlArena& application() { return static_cast<PostgresqlArena&>(*arena_); }
  bool is_warned_of(const std::string& code) {
    return std::ranges::count(good(store().review(mapping_, false)), code, &Finding::code) > 0;
  }
};

TEST_P(PostgresqlFeeds, TellEveryRowThatATruncateTakes) {
  insert_old_rows(5);
  const std::string begin = good(capture().start("feed", {source()}));
  good(application().run("TRUNCATE " + source()));
  const ChangeBatch batch = good(capture().read("feed", begin, 100));
  EXPECT_EQ(batch.changes.size(),
            application().is_partitioned() ? 10U : 5U);  // each part tells it too
  for (const KeyChange& change : batch.changes) {
    EXPECT_TRUE(change.removed);
    EXPECT_FALSE(change.own);
  }
  EXPECT_TRUE(arena_->rows(source()).empty());
}

TEST_P(PostgresqlFeeds, TellEveryRowOfAPartitionThatIsEmptiedAlone) {
  if (!application().is_partitioned()) return;
  insert_old_rows(5);
  const std::string begin = good(capture().start("feed", {source()}));
  good(application().run(
      "DO $$ DECLARE one regclass; BEGIN FOR one IN SELECT inhrelid FROM "
      "pg_inherits WHERE inhparent = '" +
      source() + "'::regclass LOOP EXECUTE 'TRUNCATE ' || one; END LOOP; END $$"));
  EXPECT_EQ(good(capture().read("feed", begin, 100)).changes.size(), 5U);
  EXPECT_TRUE(arena_->rows(source()).empty());
  good(capture().stop("feed"));
}

TEST_P(PostgresqlFeeds, SayBeforehandWhatIsWrittenPastThem) {
  EXPECT_EQ(is_warned_of("has_partitions"), application().is_partitioned());
  EXPECT_FALSE(is_warned_of("is_inherited"));
  if (application().is_partitioned()) return;  // nothing inherits from it
  good(application().run("CREATE TABLE public.heir () INHERITS (" + source() + ")"));
  EXPECT_TRUE(is_warned_of("is_inherited"));
}

RUN_OVER_EVERY_STORE(PostgresqlFeeds);

}  // namespace
}  // namespace whimbrel::conformance
