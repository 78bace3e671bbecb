#include "discover/starter.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/clock.h"
#include "discover/plan_text.h"
#include "discover/settings_text.h"
#include "discover/tables.h"
#include "plan/plan_file.h"
#include "stores/memory/memory_store.h"

namespace whimbrel {
namespace {

TableSchema table(const std::string& name, const std::vector<std::string>& columns) {
  TableSchema schema;
  schema.name = name;
  for (const std::string& column : columns) {
    ColumnSchema one;
    one.name = column;
    one.holds = Kind::text;
    schema.columns.push_back(one);
  }
  schema.columns.front().nullable = false;
  schema.key = {columns.front()};
  return schema;
}

struct World {
  SystemClock clock;
  std::shared_ptr<MemoryStore> old_side = std::make_shared<MemoryStore>("old", clock);
  std::shared_ptr<MemoryStore> new_side = std::make_shared<MemoryStore>("new", clock);

  Result<Starter> starter(const std::string& old_url = "any:old", bool two = true) {
    StarterRequest request;
    request.sides.push_back({old_side, old_url, ""});
    if (two) request.sides.push_back({new_side, "any:new", ""});
    request.migration = "m";
    return write_starter(request);
  }
};

PlanFile parsed(const std::string& text, std::string* mistakes = nullptr) {
  Diagnostics diagnostics("plan.yaml", text);
  PlanFile plan = parse_plan({"plan.yaml", text}, {}, diagnostics);
  const std::string said = diagnostics.empty() ? "" : to_text(diagnostics.error());
  if (mistakes != nullptr) {
    *mistakes = said;
  } else {
    EXPECT_EQ(said, "") << text;
  }
  return plan;
}

const std::vector<std::string> odd_names = {
    "select", "a b",   "it's", "q\"uote", "\"quoted\"", "true",  "null",      "~",
    "1",      "1e5",   "- x",  "k: v",    "#c",         "{x}",   "${HOME}",   "$",
    "}{",     "größe", "*a",   "&a",      "!t",         "| x",   "tab\there", "n\nl",
    "a/b",    "yes",   "",     "\\back",  "%d",         "`tick`"};

TEST(Starter, PutsAnyNameIntoThePlanAsItIs) {
  for (const std::string& name : odd_names) {
    if (name.empty()) continue;
    World world;
    world.old_side->add_table(table(name, {"id", name + "!"}));
    world.new_side->add_table(table(name, {"id", name + "!"}));
    const Result<Starter> made = world.starter();
    ASSERT_TRUE(made.ok()) << name;
    const PlanFile plan = parsed(made.value().text);
    ASSERT_EQ(plan.tables.size(), 1U) << made.value().text;
    EXPECT_EQ(plan.tables[0].from.table, name);
    EXPECT_EQ(plan.tables[0].to.table, name);
    ASSERT_EQ(plan.tables[0].same.size(), 2U) << made.value().text;
    EXPECT_EQ(plan.tables[0].same[1].name, name + "!");
  }
}

TEST(Starter, RenamesColumnsWithOddNamesOrSaysThatItCannot) {
  for (const std::string& name : odd_names) {
    World world;
    world.old_side->add_table(table("t", {"id", name + "Strange name"}));
    world.new_side->add_table(table("t", {"id", name + "_strange_names"}));
    const Result<Starter> made = world.starter();
    ASSERT_TRUE(made.ok()) << name;
    const std::string& text = made.value().text;
    const PlanFile plan = parsed(text);
    ASSERT_EQ(plan.tables.size(), 1U) << text;
    if (name.find_first_of("{}") != std::string::npos) {
      EXPECT_NE(text.find("rename the column first"), std::string::npos) << text;
      continue;
    }
    ASSERT_EQ(plan.tables[0].columns.size(), 1U) << text;
    EXPECT_EQ(plan.tables[0].columns[0].target, name + "_strange_names");
    EXPECT_EQ(std::get<ColumnRef>(plan.tables[0].columns[0].expr->node).column,
              name + "Strange name");
  }
}

TEST(Starter, NeverPutsAPasswordIntoThePlan) {
  World world;
  world.old_side->add_table(table("t", {"id", "v"}));
  world.new_side->add_table(table("t", {"id", "v"}));
  for (const char* url :
       {"any://me:secret@host/db", "any:host?password=secret", "any:secret@host"}) {
    const Result<Starter> made = world.starter(url);
    ASSERT_TRUE(made.ok());
    EXPECT_EQ(made.value().text.find("secret"), std::string::npos) << made.value().text;
    EXPECT_NE(made.value().text.find("old: \"${OLD_URL}\""), std::string::npos);
  }
}

TEST(Starter, HasNoValueOfAnybodysDataInIt) {
  World world;
  world.old_side->add_table(table("t", {"id", "who"}));
  world.new_side->add_table(table("t", {"id", "person"}));
  for (int i = 0; i < 50; ++i) {
    const Value id = Value::text(std::to_string(i));
    const Value who = Value::text("private" + std::to_string(i));
    ASSERT_TRUE(world.old_side->put("t", {{"id", id}, {"who", who}}).ok());
    ASSERT_TRUE(world.new_side->put("t", {{"id", id}, {"person", who}}).ok());
  }
  const Result<Starter> made = world.starter();
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made.value().text.find("private"), std::string::npos);
  EXPECT_NE(made.value().text.find("person: who"), std::string::npos) << made.value().text;
  EXPECT_NE(made.value().text.find("50 of 50 sampled rows"), std::string::npos);
}

TEST(Starter, WithoutATableToMoveIsRefused) {
  World world;
  const Result<Starter> made = world.starter("any:old", false);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::refused);
}

TEST(Starter, ThatMovesNothingSaysSo) {
  World world;
  TableSchema keyless = table("t", {"a", "b"});
  keyless.key.clear();
  world.old_side->add_table(keyless);
  const Result<Starter> made = world.starter("any:old", false);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made.value().tables, 0);
  std::string mistakes;
  parsed(made.value().text, &mistakes);
  EXPECT_NE(mistakes.find("the plan moves no tables"), std::string::npos);
  EXPECT_NE(made.value().text.find("DECIDE: nothing can move as it stands"), std::string::npos);
}

TEST(MigrationNames, AreSafeForAFolder) {
  EXPECT_EQ(migration_name_from("my db (2)"), "my-db-2");
  EXPECT_EQ(migration_name_from("../.."), "migration");
  EXPECT_EQ(migration_name_from(".hidden"), "hidden");
  EXPECT_EQ(migration_name_from(""), "migration");
}

TEST(Levels, PutParentsFirstAndEndWithARing) {
  TableSchema child = table("child", {"id", "up"});
  child.foreign_keys.push_back({{"up"}, "parent", {"id"}, "", ""});
  TableSchema own = table("own", {"id", "up"});
  own.foreign_keys.push_back({{"up"}, "OWN", {"id"}, "", ""});
  TableSchema left = table("left", {"id", "up"});
  left.foreign_keys.push_back({{"up"}, "right", {"id"}, "", ""});
  TableSchema right = table("right", {"id", "up"});
  right.foreign_keys.push_back({{"up"}, "left", {"id"}, "", ""});
  std::vector<TableSample> tables;
  for (const TableSchema& schema : {child, own, left, right, table("parent", {"id"})}) {
    tables.push_back(sample_of(schema));
  }
  const std::vector<std::vector<std::string>> wanted = {
      {"own", "parent"}, {"child"}, {"left", "right"}};
  EXPECT_EQ(levels(tables), wanted);
}

TEST(Comments, FitAScreen) {
  const std::string text = comment("    ", std::string(300, 'x') + " " + std::string(60, 'y') +
                                               " and words and words and words and words");
  EXPECT_EQ(text.substr(0, 6), "    # ");
  EXPECT_EQ(std::ranges::count(text, '\n'), 2 + 1);
}

}  // namespace
}  // namespace whimbrel
