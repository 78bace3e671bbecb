#include "report/page.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/effort_test.h"
#include "report/checklist.h"
#include "report/document.h"
#include "report/fixture_test.h"
#include "report/headline.h"
#include "report/runbook.h"
#include "report/status.h"

namespace whimbrel {
namespace {

using report_test::Journaled;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

CheckLine line_of(const ReportFacts& facts, const std::string& id) {
  for (const CheckLine& line : checklist(facts)) {
    if (line.id == id) return line;
  }
  return {};
}

std::string json_of(Journaled& world, bool one_line) {
  std::string text;
  const ReportFacts facts = world.facts();
  EXPECT_TRUE(write_report_json(*world.journal, facts, one_line, [&](std::string_view part) {
                text += part;
                return Status();
              }).ok());
  return text;
}

TEST(Page, IsThereBeforeAnythingHasBegun) {
  Journaled world;
  world.wanted.plan_file = nlohmann::json::parse(
      R"({"migration": "later", "tables": [{"from": "db/\"odd name\"", "to": "db/b"}],
          "criteria": {"p95_change": "-30%"}})");
  const ReportFacts facts = world.facts();
  const std::string page = report_page(facts);
  EXPECT_TRUE(has(page, "Nothing has moved yet"));
  EXPECT_TRUE(has(page, "db/odd name to db/b"));
  EXPECT_EQ(line_of(facts, "p95_change").tick, Tick::not_measured);
  EXPECT_TRUE(has(runbook(facts, {"DB"}), "not yet measured: run `analyze`"));
  const auto json = nlohmann::json::parse(json_of(world, false));
  EXPECT_EQ(json["plan"], nlohmann::json::object());
  EXPECT_EQ(json["migration"], "later");
}

TEST(Page, TellsOfASwitchWithItsMeasures) {
  Journaled world;
  world.begin();
  world.add(EffectIntended{"backup", "{}"});
  world.add(EffectConfirmed{"backup", R"({"folder": "b/attempt-1"})"}, 100);
  world.copy(20, 50);
  world.compare(1000, 0);
  world.hold(40, 1000);
  world.add(EffectIntended{"feed:backward:db:a-name", "{}"});
  world.add(EffectConfirmed{"feed:backward:db:a-name", "{}"});
  world.switch_over();
  const ReportFacts facts = world.facts();
  EXPECT_EQ(headline(facts).tone, Headline::Tone::good);
  for (const char* id : {"backup", "rows_copied", "rows_compared", "rows_set_aside", "switched",
                         "writers_held", "way_back", "no_open_error"}) {
    EXPECT_EQ(line_of(facts, id).tick, Tick::met) << id;
  }
  EXPECT_EQ(line_of(facts, "rows_read").tick, Tick::not_measured);
  EXPECT_TRUE(has(line_of(facts, "writers_held").value, "40 ms"))
      << line_of(facts, "writers_held").value;
  const std::string page = report_page(facts);
  EXPECT_TRUE(has(page, "Nothing is lost: each of the 1,000 rows"));
  EXPECT_TRUE(has(page, "20 chunks copied: 1,000 rows read"));
  EXPECT_TRUE(has(runbook(facts, {}), "Writers were held for 40 ms"));
}

TEST(Page, RowsThatWereSetAsideWereNeitherCopiedNorCompared) {
  Journaled world;
  world.begin();
  world.add(PhaseEntered{Phase::copying, "now"});
  world.add(RowRejected{0, "0123456789abcdef", "refused"});
  world.add(ChunkCopied{0, "", true, 3, 2, 0, 1, 100, 10});
  world.add(PhaseEntered{Phase::following, "every chunk has moved"});
  world.compare(3, 0, "2:aa:bb");
  const ReportFacts facts = world.facts();
  EXPECT_EQ(facts.rows_moved(), 2);
  const std::string told = nlohmann::json(headline(facts).sentences).dump();
  EXPECT_TRUE(has(told, "2 rows from")) << told;
  EXPECT_TRUE(has(told, "Each of the 2 rows was compared")) << told;
  EXPECT_TRUE(has(line_of(facts, "rows_copied").value, "3 rows read, 2 written, 1 set aside"));
  EXPECT_TRUE(has(line_of(facts, "rows_compared").value, "2 rows compared"));
}

TEST(Page, WithoutASwitchItIsAPersonWhoLeadsTheApplicationOver) {
  for (const char* sync : {"capture", "dual"}) {
    Journaled world;
    world.switches = "[]";
    world.begin(sync);
    world.copy(1, 5);
    world.compare(5, 0);
    world.switch_over();
    const ReportFacts facts = world.facts();
    const std::string told = nlohmann::json(headline(facts).sentences).dump();
    EXPECT_FALSE(has(told, "The application uses the new side")) << told;
    EXPECT_TRUE(has(told, "lead the application over")) << told;
    EXPECT_TRUE(has(headline(facts).title, "it is you who leads the application over"));
    const CheckLine line = line_of(facts, "switched");
    EXPECT_EQ(line.tick, Tick::not_measured);
    EXPECT_TRUE(has(line.value, "the plan names none")) << line.value;
    const std::string status = status_text(*world.journal, world.clock.now());
    EXPECT_TRUE(has(status.substr(0, status.find('\n')), "You lead the application over"))
        << status;
  }
}

TEST(Page, CrossesWhatWasMeasuredAndIsNotSo) {
  Journaled world;
  world.begin();
  world.copy(3, 10);
  world.add(RowRejected{0, "0123456789abcdef", "refused"});
  world.compare(30, 2);
  world.hold(1500, 1000);
  world.add(Failed{"data_mismatch", "2 of 30 rows differ: key secret"});
  const ReportFacts facts = world.facts();
  EXPECT_EQ(headline(facts).tone, Headline::Tone::bad);
  for (const char* id : {"rows_compared", "rows_set_aside", "writers_held", "no_open_error"}) {
    EXPECT_EQ(line_of(facts, id).tick, Tick::not_met) << id;
  }
  EXPECT_TRUE(has(report_page(facts), "key secret"));
}

TEST(Page, RedactedTellsNoKey) {
  Journaled world;
  world.begin();
  world.add(Failed{"data_mismatch", "key secret"});
  world.wanted.redact = true;
  const ReportFacts facts = world.facts();
  EXPECT_FALSE(has(report_page(facts), "secret"));
  EXPECT_FALSE(has(runbook(facts, {}), "secret"));
  EXPECT_FALSE(has(json_of(world, true), "secret"));
}

TEST(Page, OddNamesStayNames) {
  const std::string odd = "a</script><b>\"&'|`\n\x01ü";
  Journaled world;
  world.begin("dual", odd);
  world.copy(1, 5);
  world.compare(5, 0);
  const std::string page = report_page(world.facts());
  EXPECT_FALSE(has(page, "</script>"));
  EXPECT_FALSE(has(page, "<b>"));
  EXPECT_TRUE(has(page, "a&lt;/script&gt;&lt;b&gt;"));
  EXPECT_TRUE(has(runbook(world.facts(), {}), "a\\</script\\>\\<b\\>"));
}

TEST(Page, StaysSmallWithManyChunksAndErrors) {
  Journaled world;
  world.begin();
  world.copy(effort(6000, 20'000), 3);
  for (int i = 0; i < 3000; ++i) {
    world.add(Failed{"unavailable", "again"});
    world.add(ChangesApplied{"forward:db:a-name", "1", 1, 1});
  }
  const ReportFacts facts = world.facts();
  EXPECT_EQ(facts.trail.lines.size() + static_cast<std::size_t>(facts.trail.left_out),
            3 * 2000 + 5U);
  const std::string page = report_page(facts);
  EXPECT_LT(page.size(), 400'000);
  EXPECT_TRUE(has(page, "lines are left out here"));
}

TEST(Page, StaysSmallWhenChangesComeNowAndThenForWeeks) {
  Journaled world;
  world.begin();
  world.copy(3, 10);
  for (int i = 0; i < effort(6000, 20'000); ++i) {
    world.add(ChangesApplied{"forward:db:a-name", "1", 1, 1}, 70'000);
    if (i % 20 == 0) world.hold(5, 1000);
  }
  const std::string page = report_page(world.facts());
  EXPECT_LT(page.size(), 300'000);
  EXPECT_TRUE(has(page, "pauses of"));
}

TEST(Page, ASecondAttemptIsToldWithoutTheFirst) {
  Journaled world;
  world.begin();
  world.copy(7, 10);
  world.compare(70, 0);
  world.add(PhaseEntered{Phase::rolling_back, "asked"});
  world.add(PhaseEntered{Phase::rolled_back, "every effect is undone"});
  world.add(Closed{"rolled_back"});
  EXPECT_TRUE(has(headline(world.facts()).title, "Rolled back"));
  world.begin("capture", "old", 2);
  const ReportFacts facts = world.facts();
  EXPECT_EQ(facts.rows_read(), 0);
  EXPECT_TRUE(facts.story.chunks.empty());
  EXPECT_EQ(line_of(facts, "rows_compared").tick, Tick::not_measured);
  EXPECT_TRUE(has(runbook(facts, {}), "rolled back"));
}

TEST(Report, HoldsEveryRecordOnce) {
  Journaled world;
  world.begin();
  world.copy(5, 1);
  for (const bool one_line : {true, false}) {
    const std::string text = json_of(world, one_line);
    const auto json = nlohmann::json::parse(text);
    EXPECT_EQ(json["trail"].size(), static_cast<std::size_t>(world.journal->count()));
    EXPECT_EQ(std::ranges::count(text, '\n') == 1, one_line);
    EXPECT_FALSE(has(text, "file:b\",\"undo"));
  }
}

TEST(Commands, AreQuotedForAShell) {
  EXPECT_EQ(shell_word("a/plan-1.yaml"), "a/plan-1.yaml");
  EXPECT_EQ(shell_word("it's mine.yaml"), "'it'\\''s mine.yaml'");
  EXPECT_EQ(shell_word(""), "''");
}

}  // namespace
}  // namespace whimbrel
