// What SQLite does with an application's queries, a probe that writes, and the room of a table.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <limits>

#include "conformance/sqlite_arena.h"
#include "measure/load.h"
#include "stores/sqlite/measuring.h"
#include "stores/sqlite/schema.h"
#include "stores/sqlite/sqlite_store.h"

namespace whimbrel {
namespace {

using sqlite::Access;
using sqlite::Connection;

constexpr Milliseconds patience{200};

class SqliteMeasuring : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("whimbrel_measuring_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    path_ = (folder_ / "app.db").string();
    std::filesystem::remove(path_);
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &raw), SQLITE_OK);
    sqlite3_close(raw);
    run("PRAGMA journal_mode = WAL");
    run("CREATE TABLE \"odd ' table\" (k TEXT PRIMARY KEY, \"v w\" TEXT, n INTEGER);"
        "CREATE INDEX by_n ON \"odd ' table\"(n);"
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000)"
        " INSERT INTO \"odd ' table\" SELECT 'k' || i, hex(zeroblob(40)), i % 10 FROM c");
    store_ = SqliteStore::open(path_, clock_).value();
    table_ = store_->catalog().describe("odd ' table").value();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void run(const std::string& sql) {
    const auto connection = Connection::open(path_, Access::write);
    ASSERT_TRUE(connection.ok());
    const Status done = connection.value()->execute(sql);
    ASSERT_TRUE(done.ok()) << to_text(done.error());
  }
  std::string refusal(const std::string& sql, const std::vector<std::string>& parameters = {}) {
    const auto runner = store_->open_queries({{sql, parameters}}, patience);
    return runner.ok() ? "" : runner.error().message;
  }

  SystemClock clock_;
  std::filesystem::path folder_;
  std::string path_;
  std::shared_ptr<Store> store_;
  TableSchema table_;
};

TEST_F(SqliteMeasuring, ValuesAreBoundByName) {
  const auto runner = store_->open_queries(
      {{"SELECT k FROM \"odd ' table\" WHERE n = :n AND k >= :k", {"k", "n"}}, {"SELECT 1", {}}},
      patience);
  ASSERT_TRUE(runner.ok()) << to_text(runner.error());
  const QueryValues values = {{"k", Value::text("")}, {"n", Value::integer(3)}};
  EXPECT_EQ(runner.value()->run(0, values).value().rows, 200);
  EXPECT_EQ(runner.value()->run(1, {}).value().rows, 1);
  EXPECT_EQ(runner.value()->run(0, {{"n", Value::integer(77)}}).value().rows, 0);
  const auto rows = runner.value()->rows(0, values, 2);
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(rows.value().size(), 2U);
}

TEST_F(SqliteMeasuring, OnlyOneReadingStatementIsTaken) {
  for (const char* writing :
       {"DELETE FROM \"odd ' table\"", "PRAGMA journal_mode = DELETE", "ATTACH 'x' AS y", "BEGIN",
        "WITH a AS (SELECT 1) DELETE FROM \"odd ' table\"", "VACUUM"}) {
    EXPECT_NE(refusal(writing), "") << writing;
  }
  EXPECT_NE(refusal("SELECT 1; SELECT 2"), "");
  EXPECT_NE(refusal("SELECT 1; DELETE FROM \"odd ' table\""), "");
  EXPECT_EQ(refusal("SELECT 1; -- and no more"), "");
  EXPECT_EQ(refusal("/* first */ WITH a AS (SELECT 1) SELECT * FROM a"), "");
  EXPECT_NE(refusal("SELECT ?"), "");
  EXPECT_NE(refusal("SELECT @n", {"n"}), "");
  EXPECT_NE(refusal("SELECT :n", {"m"}), "");
  EXPECT_NE(refusal(""), "");
}

TEST_F(SqliteMeasuring, WhatIsReadWholeIsNamed) {
  const auto scans = [this](const std::string& sql) {
    const auto runner = store_->open_queries({{sql, {"x"}}}, patience);
    EXPECT_TRUE(runner.ok()) << sql;
    return runner.value()->scans(0).value();
  };
  const std::vector<std::string> none;
  EXPECT_EQ(scans("SELECT * FROM \"odd ' table\" WHERE k = :x"), none);
  EXPECT_EQ(scans("SELECT * FROM \"odd ' table\" WHERE n = :x LIMIT 3"), none);
  EXPECT_EQ(scans("SELECT * FROM \"odd ' table\" ORDER BY n LIMIT 3"), none);
  EXPECT_EQ(scans("SELECT max(k) FROM \"odd ' table\""), none);
  EXPECT_EQ(scans("SELECT 1"), none);
  EXPECT_EQ(scans("WITH few AS MATERIALIZED (SELECT k FROM \"odd ' table\" WHERE n = :x) "
                  "SELECT * FROM few"),
            none);
  for (const char* whole :
       {"SELECT * FROM \"odd ' table\" AS odd WHERE \"v w\" = :x",
        "SELECT count(\"v w\") FROM \"odd ' table\" AS odd",
        "SELECT * FROM \"odd ' table\" AS odd ORDER BY \"v w\" LIMIT 3",
        "SELECT * FROM \"odd ' table\" AS odd WHERE \"v w\" = :x ORDER BY n LIMIT 3"}) {
    EXPECT_EQ(scans(whole), std::vector<std::string>{"odd"}) << whole;
  }
}

TEST_F(SqliteMeasuring, AQueryThatFailsCanBePutAgain) {
  const auto runner = store_->open_queries({{"SELECT abs(:n)", {"n"}}}, patience);
  ASSERT_TRUE(runner.ok());
  const Value lowest = Value::integer(std::numeric_limits<std::int64_t>::min());
  EXPECT_FALSE(runner.value()->run(0, {{"n", lowest}}).ok());
  EXPECT_EQ(runner.value()->run(0, {{"n", Value::integer(-1)}}).value().rows, 1);
}

TEST_F(SqliteMeasuring, AProbeLeavesNothing) {
  run("CREATE TABLE noted (x); CREATE TRIGGER t AFTER UPDATE ON \"odd ' table\" BEGIN INSERT INTO"
      " noted VALUES (1); END");
  const auto probe = store_->open_write_probe(table_, patience);
  ASSERT_TRUE(probe.ok());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(probe.value()->write().ok());
  EXPECT_EQ(store_->ask("SELECT count(*) FROM noted").value().get<std::int64_t>(), 0);
}

TEST_F(SqliteMeasuring, AProbeNoticesAHoldAndALock) {
  const auto probe = store_->open_write_probe(table_, patience);
  ASSERT_TRUE(probe.ok());
  ASSERT_TRUE(store_->holds().hold({table_.name}, clock_.now() + Milliseconds(60'000)).ok());
  EXPECT_FALSE(probe.value()->write().ok());
  ASSERT_TRUE(store_->holds().release({table_.name}).ok());
  EXPECT_TRUE(probe.value()->write().ok());
  const auto other = Connection::open(path_, Access::write);
  ASSERT_TRUE(other.ok() && other.value()->execute("BEGIN IMMEDIATE").ok());
  const Status waited = probe.value()->write();
  ASSERT_FALSE(waited.ok());
  EXPECT_EQ(waited.error().code, ErrorCode::unavailable);
}

TEST_F(SqliteMeasuring, RoomIsThatOfItsPagesAndAnEstimateIsNear) {
  const auto room = store_->room_taken(table_);
  ASSERT_TRUE(room.ok()) << to_text(room.error());
  EXPECT_EQ(room.value().indexes, 2);  // by_n and the key's own
  const auto connection = Connection::open(path_, Access::read);
  const auto estimate = sqlite::estimate_room(*connection.value(), table_);
  ASSERT_TRUE(estimate.ok()) << to_text(estimate.error());
  EXPECT_FALSE(estimate.value().exact);
  EXPECT_EQ(estimate.value().indexes, 2);
  if (!room.value().exact) GTEST_SKIP() << "this SQLite has no dbstat";
  const auto pages = store_->ask("SELECT page_count FROM pragma_page_count()");
  EXPECT_LE(room.value().table_bytes + room.value().index_bytes,
            pages.value().get<std::int64_t>() * 4096);
  const double ratio = static_cast<double>(estimate.value().table_bytes) /
                       static_cast<double>(room.value().table_bytes);
  EXPECT_GT(ratio, 0.5);
  EXPECT_LT(ratio, 2);
  TableSchema missing = table_;
  missing.name = "nobody";
  EXPECT_EQ(store_->room_taken(missing).error().code, ErrorCode::not_found);
}

class ThreadsMeasuring : public SqliteMeasuring {};

TEST_F(ThreadsMeasuring, EveryConnectionAsksUntilTheTimeIsOver) {
  const std::vector<MeasuredQuery> queries = {
      {"by_n",
       "SELECT k FROM \"odd ' table\" WHERE n = :n",
       "SELECT 1",
       {{"n", {Value::integer(1), Value::integer(2)}}},
       {},
       {}},
      {"fails", "SELECT abs(-9223372036854775807 - 1)", "SELECT 1", {}, {}, {}}};
  for (const int connections : {1, 8}) {
    ThreadExecutor executor(connections + 1);
    const StopFlag stop;
    LoadSettings settings;
    settings.duration = Milliseconds(300);
    settings.connections = connections;
    settings.writes = true;
    const auto outcome =
        put_load(*store_, Side::old_side, queries, {table_}, settings, clock_, executor, stop);
    ASSERT_TRUE(outcome.ok()) << to_text(outcome.error());
    const LoadOutcome& value = outcome.value();
    EXPECT_GT(value.queries[0].took.count(), 0);
    EXPECT_EQ(value.queries[0].rows, value.queries[0].took.count() * 200);
    EXPECT_EQ(value.queries[0].failed(), 0);
    EXPECT_EQ(value.queries[1].took.count(), 0);
    EXPECT_GT(value.queries[1].failed(), 0);
    EXPECT_EQ(value.queries[1].errors.size(), 1U);
    ASSERT_TRUE(value.probe);
    EXPECT_GT(value.probe->took.count(), 0);
  }
}

TEST_F(ThreadsMeasuring, ARateIsKeptAndWhatIsNotServedIsCounted) {
  const std::vector<MeasuredQuery> quick = {{"q", "SELECT 1", "SELECT 1", {}, {}, {}}};
  ThreadExecutor executor(2);
  const StopFlag stop;
  LoadSettings settings;
  settings.duration = Milliseconds(500);
  settings.connections = 2;
  settings.rate_per_s = 100;
  const auto kept =
      put_load(*store_, Side::old_side, quick, {}, settings, clock_, executor, stop).value();
  EXPECT_EQ(kept.queries[0].took.count() + kept.unserved, 50);
  // A hundred million steps cannot be done ten thousand times in half a second.
  const std::vector<MeasuredQuery> slow = {
      {"q",
       "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 100000)"
       " SELECT count(*) FROM c",
       "SELECT 1",
       {},
       {},
       {}}};
  settings.rate_per_s = 20'000;
  const auto late =
      put_load(*store_, Side::old_side, slow, {}, settings, clock_, executor, stop).value();
  EXPECT_EQ(late.queries[0].took.count() + late.unserved, 10'000);
  EXPECT_GT(late.unserved, 0);
}

}  // namespace
}  // namespace whimbrel
