#include <gtest/gtest.h>

#include "plan/plan_file.h"

namespace whimbrel {
namespace {

struct Parsed {
  PlanFile plan;
  std::string error;  // the whole text a person reads, or ""
};

Parsed parse(const std::string& text, const std::map<std::string, std::string>& variables = {}) {
  Diagnostics diagnostics("plan.yaml", text);
  Parsed parsed;
  parsed.plan = parse_plan({"plan.yaml", text}, variables, diagnostics);
  if (!diagnostics.empty()) parsed.error = to_text(diagnostics.error());
  return parsed;
}

const std::string head =
    "whimbrel: 1\n"
    "migration: m\n"
    "stores: {db: \"any:x\"}\n";
const std::string tables = "tables: [{from: db/a, to: db/b}]\n";

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(PlanMistakes, AreAllToldAtOnceWithTheirPlaces) {
  const Parsed parsed = parse(head + tables + "snyc: dual\nlimits: {batch_size: 0}\n");
  EXPECT_TRUE(has(parsed.error, "the plan has 2 mistakes")) << parsed.error;
  EXPECT_TRUE(has(parsed.error, "a plan has no key `snyc`"));
  EXPECT_TRUE(has(parsed.error, "at plan.yaml:5:1"));
  EXPECT_TRUE(has(parsed.error, "did you mean `sync`?"));
  EXPECT_TRUE(has(parsed.error, "`batch_size` must be a whole number from 1 on"));
  EXPECT_TRUE(has(parsed.error, "at plan.yaml:6:22"));
}

TEST(PlanMistakes, ACaretPointsAtThePlace) {
  const Parsed parsed = parse(head + tables + "sync: duel\n");
  EXPECT_TRUE(has(parsed.error, "      5 | sync: duel\n        |       ^~~~")) << parsed.error;
  EXPECT_TRUE(has(parsed.error, "did you mean `dual`?"));
}

TEST(PlanMistakes, WhatIsNotYetCarriedOutIsNamed) {
  const Parsed parsed = parse(head + tables + "rehearsal: {}\nreferences: {}\n");
  EXPECT_TRUE(has(parsed.error, "`rehearsal` is part of the grammar, but not yet of this release"));
  EXPECT_TRUE(has(parsed.error, "`references` is part of the grammar"));
}

TEST(PlanMistakes, AKeySaidTwiceIsNoticed) {
  const Parsed parsed = parse(head + tables + "sync: dual\nsync: capture\n");
  EXPECT_TRUE(has(parsed.error, "`sync` is said twice in a plan")) << parsed.error;
}

TEST(PlanMistakes, BrokenYamlHasAPlace) {
  const Parsed parsed = parse(head + "tables: [{from: db/a, to: db/b\n");
  EXPECT_TRUE(has(parsed.error, "this is no YAML")) << parsed.error;
  EXPECT_TRUE(has(parsed.error, "plan.yaml:"));
}

TEST(PlanMistakes, AStoreThatNobodyNamedIsNoticed) {
  const Parsed parsed = parse(head + "tables: [{from: dv/a, to: db/b}]\n");
  EXPECT_TRUE(has(parsed.error, "no store is called `dv`"));
  EXPECT_TRUE(has(parsed.error, "did you mean `db`?"));
}

TEST(PlanVariables, ComeFromTheCommandLineThenDefaultsThenTheEnvironment) {
  const std::string text =
      "whimbrel: 1\nmigration: m-${WHIMBREL_TEST_A}\nvars: {WHIMBREL_TEST_A: {default: two}}\n"
      "stores: {db: \"any:x\"}\n" +
      tables;
  EXPECT_EQ(parse(text).plan.migration, "m-two");
  EXPECT_EQ(parse(text, {{"WHIMBREL_TEST_A", "one"}}).plan.migration, "m-one");
}

TEST(PlanVariables, AnUnsetOneIsAnErrorWithItsPlace) {
  const Parsed parsed =
      parse("whimbrel: 1\nmigration: m\nstores: {db: \"any:${WHIMBREL_UNSET}\"}\n" + tables);
  EXPECT_TRUE(has(parsed.error, "the variable WHIMBREL_UNSET is not set"));
  EXPECT_TRUE(has(parsed.error, "at plan.yaml:3:")) << parsed.error;
}

ExprPtr value_of(const std::string& value, std::string* error = nullptr) {
  const Parsed parsed =
      parse(head + "tables:\n  - from: db/a\n    to: db/b\n    columns:\n      c: " + value + "\n");
  if (error != nullptr) *error = parsed.error;
  if (parsed.plan.tables.empty() || parsed.plan.tables[0].columns.empty()) return nullptr;
  return parsed.plan.tables[0].columns[0].expr;
}

TEST(PlanValues, AreReadAsTheGrammarSays) {
  const std::pair<const char*, const char*> cases[] = {
      {"name", "name"},
      {"12", "12"},
      {"null", "null"},
      {"{const: text}", "'text'"},
      {"'A#{id}'", "text 'A#', id"},
      {"'{{{id|lower}}}'", "text '{', lower(id), '}'"},
      {"{from: a, if_null: {const: b}}", "a, if null 'b'"},
      {"{json: {}}", "{}"},
      {"{json: {x: a, y: [1, b]}}", "json {x: a, y: json [1, b]}"},
      {"{cast: a, to: integer}", "a as integer"},
      {"{extract: 'doc.a.b[0]'}", "$.\"a\".\"b\"[0] of doc"},
      {"{coalesce: [a, b, {const: c}]}", "coalesce(a, b, 'c')"},
      {"{split: a, by: '-', part: 2}", "part 2 of a"},
      {"{time: a, from: iso8601, as: epoch_s}", "time of a"},
  };
  for (const auto& [text, described] : cases) {
    std::string error;
    const ExprPtr expr = value_of(text, &error);
    ASSERT_TRUE(expr) << text << "\n" << error;
    EXPECT_EQ(describe(*expr), described) << text;
    EXPECT_EQ(error, "") << text;
  }
}

TEST(PlanValues, MistakesInThemAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"{cats: a, to: text}", "there is no function `cats`"},
      {"'{id'", "a `{` is not closed"},
      {"'{id|lowr}'", "did you mean `lower`?"},
      {"{cast: a}", "`cast` needs `to:`"},
      {"{lookup: a, in: b, by: c}", "`lookup` is part of the grammar, but not yet"},
      {"[a, b]", "a list is no value"},
  };
  for (const auto& [text, message] : cases) {
    std::string error;
    (void)value_of(text, &error);
    EXPECT_TRUE(has(error, message)) << text << "\n" << error;
  }
}

TEST(PlanSecrets, APasswordDoesNotReachTheResolvedPlan) {
  const Parsed parsed =
      parse("whimbrel: 1\nmigration: m\nstores: {db: \"any://u:secret@h/d\"}\n" + tables);
  EXPECT_FALSE(has(parsed.plan.resolved, "secret")) << parsed.plan.resolved;
}

}  // namespace
}  // namespace whimbrel
