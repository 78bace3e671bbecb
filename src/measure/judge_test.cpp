#include "measure/judge.h"

#include <gtest/gtest.h>

namespace whimbrel {
namespace {

using nlohmann::json;

json query(const std::string& name, double p95, std::int64_t count = 100) {
  return {{"name", name},        {"count", count}, {"p50_ms", p95 / 2}, {"p95_ms", p95},
          {"p99_ms", p95 * 1.5}, {"max_ms", 99.0}, {"failed", 0}};
}

json measurement(const std::vector<json>& queries, const json& criteria = json::object(),
                 const char* side = "old") {
  return {{"format", 1},
          {"migration", "m"},
          {"made_at", "2026-11-21T00:00:00.000Z"},
          {"load", {{"connections", 1}}},
          {"sides",
           {{{"side", side},
             {"queries", queries},
             {"errors_per_cent", 0.05},
             {"answered_per_s", 100.0},
             {"storage", {{"bytes", 1000}, {"exact", true}}}}}},
          {"journal", nullptr},
          {"criteria", criteria},
          {"advisory", json::object()}};
}

json verdict(const json& comparison, const std::string& name) {
  for (const json& one : comparison["criteria"]) {
    if (one["name"] == name) return one;
  }
  return json();
}

json judged(const json& before, const json& after) {
  const Result<json> result = judge(before, after, TimePoint());
  return result.ok() ? result.value() : json(to_text(result.error()));
}

TEST(JudgeChanges, TheWorstQueryDecides) {
  const json before = measurement({query("a", 10), query("b", 10)});
  const json after = measurement({query("a", 1), query("b", 8)}, {{"p95_change", "-30%"}});
  const json comparison = judged(before, after);
  const json one = verdict(comparison, "p95_change");
  EXPECT_EQ(one["verdict"], "not met") << comparison;
  EXPECT_EQ(one["measured_number"], -20.0);
  EXPECT_EQ(one["detail"], "b");
  EXPECT_EQ(comparison["result"], "not met");
}

TEST(JudgeChanges, ExactlyWhatWasWantedIsMet) {
  const json comparison =
      judged(measurement({query("a", 10)}), measurement({query("a", 7)}, {{"p95_change", "-30%"}}));
  EXPECT_EQ(verdict(comparison, "p95_change")["verdict"], "met") << comparison;
  EXPECT_EQ(comparison["result"], "met");
}

TEST(JudgeChanges, AQueryThatNeverSucceededIsNoImprovement) {
  const json comparison = judged(
      measurement({query("a", 10), query("b", 10)}),
      measurement({query("a", 1), query("b", 0, 0)}, {{"p95_change", "-30%"}, {"p95", "1s"}}));
  EXPECT_EQ(verdict(comparison, "p95_change")["verdict"], "not met") << comparison;
  EXPECT_EQ(verdict(comparison, "p95")["verdict"], "not met") << comparison;
}

TEST(JudgeCriteria, OfWhichNothingIsKnownAreNotMeasured) {
  const json comparison =
      judged(measurement({query("a", 1)}),
             measurement({query("a", 1)}, {{"lost", "0"}, {"writer_uptime", "99.9%"}}));
  EXPECT_EQ(verdict(comparison, "lost")["verdict"], "not measured") << comparison;
  EXPECT_EQ(verdict(comparison, "writer_uptime")["verdict"], "not measured");
  EXPECT_EQ(comparison["result"], "not all measured");
  EXPECT_FALSE(verdict(comparison, "lost").contains("met"));
}

TEST(JudgeCriteria, RowsThatDifferMayBeLost) {
  json after = measurement({query("a", 1)}, {{"lost", "0"}});
  after["journal"] = {{"verified", {{"rows", 5}, {"differing", 2}}}};
  EXPECT_EQ(verdict(judged(measurement({query("a", 1)}), after), "lost")["verdict"], "not met");
  after["journal"]["verified"]["differing"] = 0;
  EXPECT_EQ(verdict(judged(measurement({query("a", 1)}), after), "lost")["verdict"], "met");
}

TEST(JudgeCriteria, TheWorseOfJournalAndProbeIsTheWritersUptime) {
  json after = measurement({query("a", 1)}, {{"writer_uptime", "99%"}});
  after["journal"] = {{"writers", {{"uptime_per_cent", 100.0}}}};
  EXPECT_EQ(verdict(judged(after, after), "writer_uptime")["verdict"], "met");
  after["sides"][0]["probe"] = {{"uptime_per_cent", 90.0}, {"probes", 10}, {"failed", 1}};
  EXPECT_EQ(verdict(judged(after, after), "writer_uptime")["measured_number"], 90.0);
  EXPECT_EQ(verdict(judged(after, after), "writer_uptime")["verdict"], "not met");
}

TEST(JudgeCriteria, AdvisoryOnesAreToldAndNeverCounted) {
  json after = measurement({query("a", 10)}, {{"errors", "1%"}});
  after["advisory"] = {{"p95_change", "-30%"}};
  const json comparison = judged(measurement({query("a", 10)}), after);
  EXPECT_EQ(comparison["result"], "met") << comparison;
  EXPECT_EQ(verdict(comparison, "p95_change")["met"], false);
  EXPECT_EQ(verdict(comparison, "p95_change")["advisory"], true);
  EXPECT_EQ(verdict(comparison, "errors")["advisory"], false);
}

TEST(JudgeSides, OneMeasurementOfBothIsJudgedAgainstItself) {
  json both = measurement({query("a", 10)}, {{"p95_change", "-50%"}, {"storage_change", "-10%"}});
  json other = both["sides"][0];
  other["side"] = "new";
  other["queries"] = json::array({query("a", 1)});
  other["storage"]["bytes"] = 950;
  both["sides"].push_back(other);
  const json comparison = judged(both, both);
  EXPECT_EQ(comparison["before"]["side"], "old") << comparison;
  EXPECT_EQ(comparison["after"]["side"], "new");
  EXPECT_EQ(verdict(comparison, "p95_change")["verdict"], "met");
  EXPECT_EQ(verdict(comparison, "storage_change")["verdict"], "not met");
}

TEST(JudgeRefusals, WhatCannotBeComparedIsNamed) {
  const json good = measurement({query("a", 1)});
  json other = good;
  other["migration"] = "n";
  json strange = good;
  strange["criteria"] = {{"colour", "blue"}};
  const std::pair<json, const char*> cases[] = {
      {json::object(), "the second file is no measurement"},
      {json(3), "the second file is no measurement"},
      {other, "measurements of two migrations"},
      {measurement({query("b", 1)}), "no query in common"},
      {strange, "the criterion `colour`"},
  };
  for (const auto& [after, message] : cases) {
    const Result<json> result = judge(good, after, TimePoint());
    ASSERT_FALSE(result.ok()) << message;
    EXPECT_EQ(result.error().code, ErrorCode::invalid_plan);
    EXPECT_NE(result.error().message.find(message), std::string::npos) << result.error().message;
  }
}

TEST(JudgeNotes, FewAnswersAreTold) {
  const json comparison =
      judged(measurement({query("a", 1, 99)}), measurement({query("a", 1, 100)}));
  ASSERT_EQ(comparison["notes"].size(), 1U) << comparison;
  EXPECT_NE(comparison["notes"][0].get<std::string>().find("99 answers to a before"),
            std::string::npos);
}

TEST(JudgeText, SaysWhatWasMeasuredWantedAndFound) {
  const json comparison =
      judged(measurement({query("a", 10)}), measurement({query("a", 9)}, {{"p95_change", "-30%"}}));
  const std::string text = comparison_text(comparison);
  EXPECT_NE(text.find("p95_change         NOT met      -10.00 %, wanted at most -30.00 %"),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace whimbrel
