#include "plan/measures.h"

#include <gtest/gtest.h>

#include "plan/plan_file.h"
#include "plan/print.h"

namespace whimbrel {
namespace {

const std::string head_of_measures =
    "whimbrel: 1\n"
    "migration: m\n"
    "stores: {db: \"any:x\"}\n"
    "tables: [{from: db/a, to: db/b}]\n";

struct ParsedMeasures {
  MeasuresPlan plan;
  std::string error;
};

ParsedMeasures parse_measures(const std::string& text) {
  Diagnostics diagnostics("plan.yaml", head_of_measures + text);
  ParsedMeasures parsed;
  parsed.plan = parse_plan({"plan.yaml", head_of_measures + text}, {}, diagnostics).measures;
  if (!diagnostics.empty()) parsed.error = to_text(diagnostics.error());
  return parsed;
}

std::vector<std::string> names_in(const std::string& sql) {
  std::vector<std::string> names;
  for (const auto& [name, unused] : parameters_of(sql)) names.push_back(name);
  return names;
}

TEST(QueryParameters, AreThoseOutsideOfTextsNamesAndComments) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(names_in("SELECT :a, :b_2 WHERE x=:a"), (Names{"a", "b_2"}));
  EXPECT_EQ(names_in("SELECT ':a', \":b\", `:c`, [d e] -- :e\n, :f /* :g */"), (Names{"f"}));
  EXPECT_EQ(names_in("SELECT 'it''s :a', :b"), (Names{"b"}));
  EXPECT_EQ(names_in("SELECT x::integer, :1, : a, ':open"), (Names{}));
  EXPECT_EQ(parameters_of("SELECT \"x\" FROM t WHERE p IN [:a, 'b']").size(), 1U);
  EXPECT_TRUE(parameters_of("SELECT [a name] FROM t").empty());
  EXPECT_EQ(parameters_of("SELECT :a").front().second, 7U);
}

TEST(PerCent, HasItsSignOrIsNothing) {
  EXPECT_EQ(parse_per_cent("-30%"), -30.0);
  EXPECT_EQ(parse_per_cent("+12.5 %"), 12.5);
  EXPECT_EQ(parse_per_cent("99.9%"), 99.9);
  EXPECT_EQ(parse_per_cent("0"), 0.0);
  for (const char* wrong : {"0.3", "30", "%", "", "x%", "inf%", "nan%", "1e999%", "3 0%", "30%%"}) {
    EXPECT_FALSE(parse_per_cent(wrong)) << wrong;
  }
}

TEST(PlanMeasures, AreReadWholly) {
  const ParsedMeasures parsed = parse_measures(
      "queries:\n"
      "  by state:\n"
      "    old: \"SELECT a FROM t WHERE s = :s AND n > :n\"\n"
      "    new: |\n      SELECT b\n      FROM u WHERE s = :s\n"
      "    with: {s: [one, null, \"2\"], n: [1, 2.5]}\n"
      "criteria: {lost: 0, errors: 0.1%, p95_change: -30%, p99: 250ms}\n"
      "advisory: {storage_change: +20%}\n");
  ASSERT_EQ(parsed.error, "");
  ASSERT_EQ(parsed.plan.queries.size(), 1U);
  const MeasuredQuery& query = parsed.plan.queries[0];
  EXPECT_EQ(query.name, "by state");
  EXPECT_EQ(query.new_sql, "SELECT b\nFROM u WHERE s = :s\n");
  ASSERT_EQ(query.with.size(), 2U);
  EXPECT_TRUE(same(query.with[0].second[1], Value()));
  EXPECT_TRUE(same(query.with[0].second[2], Value::text("2")));
  EXPECT_TRUE(same(query.with[1].second[1], Value::real(2.5)));
  ASSERT_EQ(parsed.plan.criteria.size(), 4U);
  EXPECT_EQ(parsed.plan.criteria[2].wanted, -30);
  EXPECT_EQ(parsed.plan.criteria[3].wanted, 250);
  EXPECT_EQ(parsed.plan.advisory[0].wanted, 20);
}

TEST(PlanMeasures, MistakesInThemHaveTheirPlaceAndAHint) {
  const std::string query = "queries:\n  q: {old: \"SELECT :s\", new: \"SELECT :s\"";
  const std::tuple<std::string, const char*, const char*> cases[] = {
      {"queries: {q: {old: \"SELECT 1\"}}", "the query `q` needs `new:`", ":5:11"},
      {"queries: {q: {odl: \"SELECT 1\", new: \"x\"}}", "did you mean `old`?", ":5:15"},
      {"queries: [a]", "`queries` must be a map", ":5:10"},
      {query + "}", "the parameter `:s` has no values", ":6:20"},
      {query + ", with: {t: [1], s: [1]}}", "neither side's query has a parameter `:t`", ":6:50"},
      {query + ", with: {s: []}}", "`s` needs a list of values", ":6:53"},
      {query + ", with: {s: one}}", "`s` needs a list of values", ":6:53"},
      {query + ", with: {\":s\": [1]}}", "named without its colon", ":6:50"},
      {"queries: {q: {old: \" ;\", new: \"SELECT 1\"}}", "`old` is empty", ":5:20"},
      {"criteria: {p95_chnage: -30%}", "did you mean `p95_change`?", ":5:12"},
      {"criteria: {speed: -30%}", "the criteria are lost, errors, same_answers, p50_change",
       ":5:12"},
      {"criteria: {errors: 0.1}", "`errors` must be a percentage", ":5:20"},
      {"criteria: {errors: 101%}", "`errors` is a share, from 0% to 100%", ":5:20"},
      {"criteria: {lost: 1%}", "`lost` must be a whole number of rows", ":5:18"},
      {"criteria: {p95: 5}", "`p95` must be a duration", ":5:17"},
      {"advisory: {storage_change: -120%}", "cannot become less than nothing", ":5:28"},
      {"advisory: [a]", "`advisory` must be a map", ":5:11"},
  };
  for (const auto& [text, message, place] : cases) {
    const std::string error = parse_measures(text + "\n").error;
    EXPECT_NE(error.find(message), std::string::npos) << text << "\n" << error;
    EXPECT_NE(error.find(place), std::string::npos) << text << "\n" << error;
  }
}

std::string text_of(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

TEST(PlanMeasures, AreReadBackAsTheyArePrinted) {
  const ParsedMeasures parsed = parse_measures(
      "queries: {\"odd \\\" name\": {old: \"SELECT ':x', :s\", new: \"SELECT 1\", with: {s: [a, "
      "null, "
      "1, 1.5, \"1\", true]}}, sampled: {old: \"SELECT :id, :t\", new: \"SELECT :id, :t\", with: "
      "{id: {sample: \"the id\", of: people}, t: \"USER#{id}\"}}}\n"
      "criteria: {lost: 0, p95_change: -30%}\nadvisory: {p99: 1s}\n");
  ASSERT_EQ(parsed.error, "");
  const std::string printed = text_of(print_measures(parsed.plan));
  const ParsedMeasures again = parse_measures(printed);
  ASSERT_EQ(again.error, "") << printed;
  EXPECT_EQ(text_of(print_measures(again.plan)), printed);
  ASSERT_EQ(again.plan.queries.size(), 2U);
  ASSERT_EQ(again.plan.queries[1].samples.size(), 1U);
  EXPECT_EQ(again.plan.queries[1].samples[0].column, "the id");
  EXPECT_EQ(again.plan.queries[1].samples[0].table, "people");
  EXPECT_TRUE(again.plan.queries[1].is_made("t"));
  EXPECT_TRUE(same(again.plan.queries[0].with[0].second, parsed.plan.queries[0].with[0].second));
}

TEST(PlanMeasures, TurnedRoundAskTheOtherWay) {
  const MeasuresPlan back =
      turned_round(parse_measures("queries: {q: {old: \"SELECT 1\", new: \"SELECT 2\"}}\n"
                                  "criteria: {lost: 0, p95_change: -30%}\n")
                       .plan);
  EXPECT_EQ(back.queries[0].old_sql, "SELECT 2");
  ASSERT_EQ(back.criteria.size(), 1U);
  EXPECT_STREQ(back.criteria[0].kind->name, "lost");
}

}  // namespace
}  // namespace whimbrel
