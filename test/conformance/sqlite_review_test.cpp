// What SQLite says about a pair of tables before anything starts, and what it refuses to do.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "conformance/sqlite_arena.h"
#include "stores/sqlite/sqlite_store.h"

namespace whimbrel::conformance {
namespace {

class SqliteReview : public Conformance {
 protected:
  SqliteArena& sql() { return static_cast<SqliteArena&>(*arena_); }
  void run(const std::string& statement, const Row& parameters = {}) {
    good(sql().run(statement, parameters));
  }
  // The tables as a test wants them.
  void remake(const std::string& old_ddl, const std::string& new_ddl) {
    run("DROP TABLE old_rows");
    run("DROP TABLE new_rows");
    run(old_ddl);
    run(new_ddl);
    set_up_mapping();
  }
  std::vector<std::string> refusals(bool dual) {
    std::vector<std::string> codes;
    for (const Finding& finding : good(store().review(mapping_, dual))) {
      if (finding.weight != Finding::Weight::refusal) continue;
      EXPECT_NE(finding.message, "");
      EXPECT_NE(finding.hint, "") << finding.code;
      codes.push_back(finding.code);
    }
    return codes;
  }
};

constexpr const char* plain_old =
    "CREATE TABLE old_rows (id TEXT PRIMARY KEY NOT NULL, status TEXT, result TEXT, amount "
    "INTEGER, old_only TEXT)";
constexpr const char* plain_new =
    "CREATE TABLE new_rows (id TEXT PRIMARY KEY NOT NULL, state TEXT NOT NULL, document TEXT, "
    "amount INTEGER,"
    " new_only TEXT)";

std::string with(std::string ddl, const std::string& what, const std::string& instead) {
  const std::size_t at = ddl.find(what);
  return ddl.replace(at, what.size(), instead);
}

TEST_P(SqliteReview, HasNothingAgainstAPlainPair) {
  remake(plain_old, plain_new);
  insert_old_rows(5);
  EXPECT_EQ(join(refusals(true), ", "), "");
  EXPECT_EQ(join(refusals(false), ", "), "");
}

TEST_P(SqliteReview, RefusesRowsWithoutAKey) {
  remake(with(plain_old, " NOT NULL", ""), with(plain_new, " NOT NULL", ""));
  run("INSERT INTO old_rows (id) VALUES (NULL), ('a'), (NULL)");
  EXPECT_EQ(join(refusals(true), ", "), "null_key");
  EXPECT_EQ(join(refusals(false), ", "), "null_key");
}

struct Hazard {
  const char* what;
  std::string old_ddl;
  std::string new_ddl;
  const char* code;  // refused under dual, and only there; "" when it is none
};

TEST_P(SqliteReview, RefusesUnderDualWhatCouldMakeAWriteOfTheApplicationFail) {
  const std::string old_ddl = plain_old;
  const std::string new_ddl = plain_new;
  const std::vector<Hazard> hazards = {
      {"a null into NOT NULL", old_ddl, with(new_ddl, "amount INTEGER", "amount INTEGER NOT NULL"),
       "null_into_not_null"},
      {"no null to come", with(old_ddl, "amount INTEGER", "amount INTEGER NOT NULL DEFAULT 0"),
       with(new_ddl, "amount INTEGER", "amount INTEGER NOT NULL"), ""},
      {"a check", old_ddl, with(new_ddl, "amount INTEGER", "amount INTEGER CHECK (amount > 0)"),
       "target_check"},
      {"a strict target", old_ddl, new_ddl + " STRICT", "target_strict"},
      {"both strict", old_ddl + " STRICT", new_ddl + " STRICT", ""},
      {"a unique column", old_ddl, with(new_ddl, "amount INTEGER", "amount INTEGER UNIQUE"),
       "target_unique"},
      {"unique on both sides", with(old_ddl, "amount INTEGER", "amount INTEGER UNIQUE"),
       with(new_ddl, "amount INTEGER", "amount INTEGER UNIQUE"), ""},
      {"a reference", old_ddl,
       with(new_ddl, "amount INTEGER", "amount INTEGER REFERENCES others (id)"),
       "target_foreign_key"},
      {"a reference on both sides",
       with(old_ddl, "amount INTEGER", "amount INTEGER REFERENCES others (id)"),
       with(new_ddl, "amount INTEGER", "amount INTEGER REFERENCES others (id)"), ""},
      {"no way back into NOT NULL", with(old_ddl, "old_only TEXT", "old_only TEXT NOT NULL"),
       new_ddl, "no_way_back"},
      {"a default instead of a way back",
       with(old_ddl, "old_only TEXT", "old_only TEXT NOT NULL DEFAULT ''"), new_ddl, ""},
  };
  run("CREATE TABLE others (id INTEGER PRIMARY KEY)");
  for (const Hazard& hazard : hazards) {
    remake(hazard.old_ddl, hazard.new_ddl);
    EXPECT_EQ(join(refusals(true), ", "), hazard.code) << hazard.what;
    const std::string back = hazard.code == std::string("no_way_back") ? hazard.code : "";
    EXPECT_EQ(join(refusals(false), ", "), back) << hazard.what;
  }
}

TEST_P(SqliteReview, RefusesUnderDualWhatATriggerCannotSpell) {
  remake(plain_old, plain_new);
  const auto column = [](const char* name) { return make_expr(ColumnRef{name}); };
  mapping_ = good(make_mapping(mapping_.source, mapping_.target,
                               {{"id", column("id")},
                                {"state", make_expr(Constant{Value::text("open")})},
                                {"amount", make_expr(Cast{column("status"), CastTo::integer})}}));
  EXPECT_EQ(join(refusals(true), ", "), "not_total");
  EXPECT_EQ(join(refusals(false), ", "), "");
  EXPECT_FALSE(capture().link({the_link()}).ok());
  EXPECT_TRUE(arena_->leftovers().empty()) << "what is refused leaves nothing";
}

TEST_P(SqliteReview, SpeaksOfTriggersViewsAndReferences) {
  remake(plain_old, plain_new);
  run("CREATE TRIGGER t1 AFTER DELETE ON old_rows BEGIN SELECT 1; END");
  run("CREATE TRIGGER t2 AFTER DELETE ON new_rows BEGIN SELECT 1; END");
  run("CREATE VIEW v AS SELECT * FROM old_rows");
  run("CREATE TABLE children (parent TEXT REFERENCES old_rows (id))");
  set_up_mapping();
  std::vector<std::string> codes;
  for (const Finding& finding : good(store().review(mapping_, true))) codes.push_back(finding.code);
  EXPECT_EQ(std::ranges::count(codes, "trigger"), 1);
  // Whether one of the target fires is known to the store that has it.
  for (const Finding& finding : good(store().review_target(mapping_, true))) {
    codes.push_back(finding.code);
  }
  EXPECT_EQ(std::ranges::count(codes, "trigger"), 2);
  EXPECT_EQ(std::ranges::count(codes, "view"), 1);
  EXPECT_EQ(std::ranges::count(codes, "referenced"), 1);
}

// Literals in triggers are bytes of UTF-8, and so is what Between looks at.
TEST_P(SqliteReview, RefusesAFileThatKeepsItsTextsInUtf16) {
  const std::filesystem::path file = sql().file().parent_path() / "utf16.db";
  sqlite3* raw = nullptr;
  sqlite3_open(file.c_str(), &raw);
  const std::string ddl =
      std::string("PRAGMA encoding = 'UTF-16';") + plain_old + ";" + plain_new + ";";
  EXPECT_EQ(sqlite3_exec(raw, ddl.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(raw);
  SystemClock clock;
  const std::shared_ptr<Store> other = good(SqliteStore::open(file.string(), clock));
  std::vector<std::string> codes;
  for (const Finding& finding : good(other->review(mapping_, false))) codes.push_back(finding.code);
  EXPECT_EQ(std::ranges::count(codes, "encoding"), 1);
}

// ---------------------------------------------------------------- what it does only so far

TEST_P(SqliteReview, TrialFindsATriggerThatSwallowsRows) {
  insert_old_rows(3);
  run("CREATE TRIGGER swallow BEFORE INSERT ON new_rows BEGIN SELECT RAISE(IGNORE); END");
  const Result<std::string> tried =
      store().self_test(mapping_, false, arena_->rows(source()).front());
  ASSERT_FALSE(tried.ok());
  EXPECT_EQ(tried.error().code, ErrorCode::refused);
  EXPECT_TRUE(arena_->rows(target()).empty());
}

TEST_P(SqliteReview, QuestionsAreAnsweredAndNeverWrite) {
  insert_old_rows(3);
  EXPECT_TRUE(same(good(store().ask("SELECT count(*) FROM old_rows")), Value::integer(3)));
  for (const char* question :
       {"SELECT id FROM old_rows", "SELECT 1, 2", "SELECT 1 WHERE false", "no SQL at all",
        "DELETE FROM old_rows RETURNING 1", "INSERT INTO old_rows (id) VALUES ('x') RETURNING 1"}) {
    const Result<Value> answer = store().ask(question);
    ASSERT_FALSE(answer.ok()) << question;
    EXPECT_EQ(answer.error().code, ErrorCode::refused) << question;
  }
  EXPECT_EQ(arena_->rows(source()).size(), 3U);
}

TEST_P(SqliteReview, ChunksOfARunnerWhoseClaimIsGoneAreNotWritten) {
  insert_old_rows(5);
  good(store().claim("the move", "journal one"));
  const auto copier = good(store().open_inside(mapping_, store()));
  EXPECT_EQ(good(copier->copy_after(std::nullopt, {2})).written, 2);
  arena_->reopen();
  good(store().disown("the move", "journal one"));
  good(store().claim("the move", "journal two"));
  const Result<InsideCopy> copy = copier->copy_after(std::nullopt, {5});
  ASSERT_FALSE(copy.ok());
  EXPECT_EQ(copy.error().code, ErrorCode::conflict);
  EXPECT_EQ(arena_->rows(target()).size(), 2U);
}

TEST_P(SqliteReview, BatchesAreWrittenWholeOrNotAtAll) {
  const auto writer = good(store().open_writer(mapping_.target, {"id", "state"}));
  const auto change = [&](int i, Value state) {
    Row values = target_key(i);
    values.push_back(std::move(state));
    return Change{target_key(i), std::move(values), std::nullopt};
  };
  for (const Value& bad : {Value(), Value::real(std::numeric_limits<double>::quiet_NaN())}) {
    const Result<Applied> applied =
        writer->apply(std::vector<Change>{change(1, Value::text("good")), change(2, bad)});
    ASSERT_FALSE(applied.ok());
    EXPECT_EQ(applied.error().code, ErrorCode::refused);
    EXPECT_TRUE(arena_->rows(target()).empty());
  }
  EXPECT_EQ(good(writer->apply(std::vector<Change>{change(1, Value::text("good"))})).written, 1);
}

// A value may move from one row to another in one batch, whatever the order of the changes.
TEST_P(SqliteReview, BatchesDeleteFirst) {
  run("CREATE UNIQUE INDEX one_amount ON new_rows (amount)");
  good(insert_new(1, "one", Value(), 1, Value()));
  const auto writer = good(store().open_writer(mapping_.target, {"id", "state", "amount"}));
  Row values = target_key(2);
  values.push_back(Value::text("two"));
  values.push_back(Value::integer(1));
  const std::vector<Change> changes = {{target_key(2), values, std::nullopt},
                                       {target_key(1), std::nullopt, std::nullopt}};
  EXPECT_EQ(good(writer->apply(changes)).written, 2);
}

TEST_P(SqliteReview, RetiredTablesCanLiveOnAsAView) {
  insert_old_rows(5);
  copy_outside();
  const std::string question = "SELECT id, result, amount FROM old_rows ORDER BY id";
  const std::vector<Row> before = sql().ask(question);
  good(catalog().retire({&mapping_}, "", true));
  good(catalog().retire({&mapping_}, "", true));
  const std::vector<Row> after = sql().ask(question);
  EXPECT_TRUE(
      std::ranges::equal(before, after, [](const Row& a, const Row& b) { return same(a, b); }));
}

INSTANTIATE_TEST_SUITE_P(Over, SqliteReview,
                         ::testing::Values(Setup{"sqlite_wal_text_key", every_shape().front(),
                                                 [](const Shape& shape) -> std::unique_ptr<Arena> {
                                                   return std::make_unique<SqliteArena>(
                                                       shape, ApplicationSettings{});
                                                 }}),
                         name_of_setup);

}  // namespace
}  // namespace whimbrel::conformance
