// Plans bound to live tables: what is made like the source, and tables whose rows may have any
// values.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "plan/plan_file.h"
#include "stores/memory/memory_store.h"
#include "stores/sqlite/connection.h"
#include "stores/sqlite/sqlite_store.h"

namespace whimbrel {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct Bound {
  Migration migration;
  std::string error;
};

Bound bind(const std::string& text, const std::map<std::string, std::shared_ptr<Store>>& stores,
           const std::optional<KnownTables>& begun_with = std::nullopt) {
  Diagnostics diagnostics("plan.yaml", text);
  const PlanFile plan = parse_plan({"plan.yaml", text}, {}, diagnostics);
  Bound bound;
  Result<Migration> migration = bind_plan(plan, stores, begun_with, diagnostics);
  if (!diagnostics.empty()) {
    bound.error = to_text(diagnostics.error());
  } else if (!migration.ok()) {
    bound.error = to_text(migration.error());
  } else {
    bound.migration = std::move(migration).value();
  }
  return bound;
}

class LikeSource : public testing::Test {
 protected:
  LikeSource()
      : folder_(fs::temp_directory_path() / ("whimbrel-bind-" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
    fs::remove(path());
    run("CREATE TABLE old (id INTEGER PRIMARY KEY, name TEXT NOT NULL, day TEXT)");
    run("CREATE INDEX old_day ON old (day)");
    run("CREATE INDEX old_name ON old (name)");
    store_ = SqliteStore::open(path(), clock_).value();
  }
  ~LikeSource() override { fs::remove_all(folder_); }

  std::string path() const { return (folder_ / "a.db").string(); }
  void run(const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path().c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sql;
    sqlite3_close(db);
  }
  Bound bound(const std::optional<KnownTables>& begun_with = std::nullopt) {
    return bind(
        "whimbrel: 1\nmigration: m\nstores: {db: \"sqlite:a\", other: \"memory:m\"}\n"
        "tables: [{from: db/old, to: db/new, create: like-source}]\n",
        {{"db", store_}}, begun_with);
  }

  fs::path folder_;
  SystemClock clock_;
  std::shared_ptr<Store> store_;
};

TEST_F(LikeSource, ATableIsMadeAsTheOldOneIs) {
  const Bound now = bound();
  ASSERT_EQ(now.error, "");
  ASSERT_EQ(now.migration.moves.size(), 1U);
  const Move& move = now.migration.moves[0];
  EXPECT_TRUE(move.creates_target);
  EXPECT_EQ(move.mapping.target.name, "new");
  EXPECT_EQ(move.mapping.target.column_names(), (Names{"id", "name", "day"}));
  EXPECT_EQ(move.mapping.target.index_ddl.size(), 2U);
  EXPECT_EQ(move.mapping.forward.size(), 3U);
}

TEST_F(LikeSource, OneThatIsThereAndDiffersIsAMistake) {
  run("CREATE TABLE new (id INTEGER PRIMARY KEY, name TEXT, more TEXT)");
  const Bound now = bound();
  EXPECT_TRUE(has(
      now.error, "new is there already, and its column `name` can be null where old says NOT NULL"))
      << now.error;
  EXPECT_TRUE(has(now.error, "new is there already, with a column `more` that old does not have"));
  EXPECT_TRUE(has(now.error, "drop the table, or say `create: exists`"));
  EXPECT_TRUE(has(now.error, "at plan.yaml:4:"));
}

TEST_F(LikeSource, IndexesThatAreStillToBeBuiltAreKnownLater) {
  const Bound first = bound();
  run("CREATE TABLE new (id INTEGER PRIMARY KEY, name TEXT NOT NULL, day TEXT)");
  run(first.migration.moves.at(0).mapping.target.index_ddl.at(0));
  const Bound later = bound(KnownTables{});
  ASSERT_EQ(later.error, "");
  EXPECT_EQ(later.migration.moves.at(0).mapping.target.index_ddl,
            first.migration.moves.at(0).mapping.target.index_ddl);
  EXPECT_EQ(later.migration.digest, first.migration.digest);
}

TEST_F(LikeSource, IsOnlyForStoresOfOneKind) {
  SystemClock clock;
  const Bound now = bind(
      "whimbrel: 1\nmigration: m\nstores: {db: \"sqlite:a\", other: \"memory:m\"}\n"
      "tables: [{from: db/old, to: other/new, create: like-source}]\n",
      {{"db", store_}, {"other", std::make_shared<MemoryStore>("m", clock)}});
  EXPECT_TRUE(has(now.error, "only made like one of the same kind of store")) << now.error;
}

TableSchema open_table(const std::string& name, const Names& columns) {
  TableSchema schema;
  schema.name = name;
  for (const std::string& column : columns) {
    ColumnSchema one;
    one.name = column;
    schema.columns.push_back(one);
  }
  schema.key = {columns.front()};
  schema.rest_column = "*";
  return schema;
}

class OpenTable : public testing::Test {
 protected:
  OpenTable() : store_(std::make_shared<MemoryStore>("m", clock_)) {
    store_->add_table(open_table("a", {"id", "by_user", "*"}));
    store_->add_table(open_table("b", {"id", "by_user", "*"}));
    TableSchema closed = open_table("c", {"id", "name"});
    closed.rest_column.clear();
    store_->add_table(closed);
  }
  Bound bound(const std::string& table) {
    return bind(
        "whimbrel: 1\nmigration: m\nstores: {db: \"memory:m\"}\ntables: [{" + table + "}]\n",
        {{"db", store_}});
  }
  // "target=what it is made of", in order.
  static Names rules(const Bound& bound) {
    Names all;
    for (const Move& move : bound.migration.moves) {
      for (const ColumnRule& rule : move.mapping.forward) {
        all.push_back(rule.column + "=" + describe(*rule.expr));
      }
    }
    return all;
  }

  SystemClock clock_;
  std::shared_ptr<MemoryStore> store_;
};

TEST_F(OpenTable, RestCopyTakesAllThereIs) {
  const Bound now = bound("from: db/a, to: db/b");
  ASSERT_EQ(now.error, "");
  EXPECT_EQ(rules(now), (Names{"id=id", "by_user=by_user", "*=*"}));
  EXPECT_FALSE(now.migration.moves[0].mapping.rest_must_be_empty);
  EXPECT_TRUE(now.migration.moves[0].mapping.losses.empty());
  EXPECT_TRUE(now.migration.moves[0].mapping.new_only.empty());
}

TEST_F(OpenTable, WhatIsRenamedIsNotInTheRest) {
  const Bound now = bound("from: db/a, to: db/b, rest: copy, columns: {label: title}");
  ASSERT_EQ(now.error, "");
  EXPECT_EQ(rules(now), (Names{"label=title", "id=id", "by_user=by_user", "*=*"}));
}

TEST_F(OpenTable, RestDropLeavesItBehind) {
  const Bound now = bound("from: db/a, to: db/b, rest: drop, columns: {id: id, label: title}");
  ASSERT_EQ(now.error, "");
  EXPECT_EQ(rules(now), (Names{"id=id", "label=title"}));
}

TEST_F(OpenTable, RestForbidIsForTheEngineToSee) {
  const Bound now = bound("from: db/a, to: db/b, same: [id, by_user], columns: {label: title}");
  ASSERT_EQ(now.error, "");
  EXPECT_EQ(rules(now), (Names{"label=title", "id=id", "by_user=by_user"}));
  EXPECT_TRUE(now.migration.moves[0].mapping.rest_must_be_empty);
}

TEST_F(OpenTable, AClosedTargetTakesWhatItHasColumnsFor) {
  const Bound now = bound("from: db/a, to: db/c, rest: copy, columns: {name: by_user}");
  ASSERT_EQ(now.error, "");
  EXPECT_EQ(rules(now), (Names{"name=by_user", "id=id"}));
  EXPECT_TRUE(now.migration.moves[0].mapping.rest_must_be_empty);
}

TEST_F(OpenTable, AClosedSourceFillsAnOpenTarget) {
  const Bound now = bound("from: db/c, to: db/b");
  ASSERT_EQ(now.error, "");
  EXPECT_EQ(rules(now), (Names{"id=id", "name=name"}));
}

TEST_F(OpenTable, HealthIsNoPartOfTheDigest) {
  const Bound plain = bound("from: db/a, to: db/b");
  const Bound healthy = bound("from: db/a, to: db/b, health: {newest: at}");
  ASSERT_EQ(healthy.error, "");
  EXPECT_EQ(plain.migration.digest, healthy.migration.digest);
  EXPECT_TRUE(
      has(bound("from: db/c, to: db/b, health: {newest: nmae}").error, "did you mean `name`?"));
}

TEST_F(OpenTable, ASwitchThatNeedsNoStoreIsNamedByWhatItChanges) {
  const Bound now = bind(
      "whimbrel: 1\nmigration: m\nstores: {db: \"memory:m\"}\ntables: [{from: db/a, to: db/b}]\n"
      "cutover: {switches: [{lambda: [f, g], unset: [A]}, {ssm: /p, set: x}, {ssm: /p, set: y}]}\n",
      {{"db", store_}});
  ASSERT_EQ(now.error, "");
  ASSERT_EQ(now.migration.switches.size(), 3U);
  EXPECT_EQ(now.migration.switches[0].name, "f,g");
  EXPECT_EQ(now.migration.switches[1].name, "/p");
  EXPECT_EQ(now.migration.switches[2].name, "/p-2");
}

TEST_F(OpenTable, AnEnvFileThatIsNotThereIsAMistake) {
  const Bound now = bind(
      "whimbrel: 1\nmigration: m\nstores: {db: \"memory:m\"}\ntables: [{from: db/a, to: db/b}]\n"
      "cutover: {switches: [{env_file: nowhere.env, unset: [A]}]}\n",
      {{"db", store_}});
  EXPECT_TRUE(has(now.error, "there is no file nowhere.env")) << now.error;
}

}  // namespace
}  // namespace whimbrel
