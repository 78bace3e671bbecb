#include "report/status.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "report/fixture_test.h"

namespace whimbrel {
namespace {

using report_test::HandClock;

bool shows(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::size_t width_of(const std::string& line) {
  return static_cast<std::size_t>(
      std::ranges::count_if(line, [](char c) { return (c & 0xc0) != 0x80; }));
}

// A journal in a file, because a runner has its lock; `tables` of them are copied, half of those
// to the end.
class Block : public testing::Test {
 protected:
  Block()
      : folder_(testing::TempDir() + "status_test." +
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    journal_ = Journal::open(folder_ + "/journal.db", clock_).value();
    EXPECT_TRUE(journal_->lock_for_running().ok());
  }
  ~Block() override { std::filesystem::remove_all(folder_); }

  void copy(int tables, int begun) {
    nlohmann::json about = {{"sync", "capture"}, {"tables", nlohmann::json::array()}};
    for (int i = 0; i < tables; ++i) {
      about["tables"].push_back({{"name", "a_table_with_quite_a_long_name_" + std::to_string(i)}});
    }
    add(PlanAccepted{1, "many", "00000000000000000000000000000000",
                     R"({"cutover": {"switches": [{"row": "a/b"}]}})", about.dump()});
    add(PhaseEntered{Phase::copying, "the capture position is durable"});
    for (int i = 0; i < begun; ++i) {
      add(ChunkCopied{i, "", i < begun / 2, 1000, 1000, 0, 0, 100, 10});
    }
  }
  void add(const Record& record) { EXPECT_TRUE(journal_->append(record).ok()); }

  std::string block(Screen screen) {
    Headway headway{clock_.now(),
                    "copying",
                    "a_table_with_quite_a_long_name_9",
                    500,
                    1000,
                    1234.0,
                    Milliseconds(61'000),
                    "others write: pauses of 20 ms let them in",
                    "changes wait in the database until the copy is done",
                    false};
    const std::string plan = "/a/folder/with/a/name/that/is/long/enough/to/fill/a/line/plan.yaml";
    return status_block(*journal_, clock_.now(), headway,
                        next_steps(journal_->state(), plan, Beside::runner), screen);
  }

  HandClock clock_;
  std::string folder_;
  std::unique_ptr<Journal> journal_;
};

TEST_F(Block, NeverScrollsItsFirstLineOffAndHasNoLineThatIsTooLong) {
  copy(15, 12);
  add(Failed{"unavailable", std::string(500, 'x') + " and what to do"});
  for (const Screen screen : {Screen{80, 24}, Screen{120, 24}, Screen{40, 24}, Screen{80, 12},
                              Screen{60, 40}, Screen{80, 5}, Screen{200, 100}}) {
    const std::string text = block(screen);
    const std::vector<std::string> lines = lines_of(text);
    EXPECT_LT(lines.size(), screen.rows) << text;
    EXPECT_EQ(lines.front().substr(0, 12), "The old side") << text;
    for (const std::string& line : lines) {
      EXPECT_LE(width_of(line), std::min<std::size_t>(screen.columns, 80)) << line;
    }
  }
}

TEST_F(Block, OfManyTablesThoseAtWorkAreToldAndTheRestInOneLine) {
  copy(15, 8);
  const std::string text = block({80, 24});
  EXPECT_TRUE(shows(text, "15 tables: 4 copied, 0 compared; 8,000 rows so far")) << text;
  EXPECT_TRUE(shows(text, "name_4\n")) << text;   // begun
  EXPECT_FALSE(shows(text, "name_0\n")) << text;  // done
  EXPECT_TRUE(shows(text, "next: whimbrel pause")) << text;
  const std::string large = block({80, 100});
  EXPECT_TRUE(shows(large, "name_0\n")) << large;
  EXPECT_FALSE(shows(large, "15 tables:")) << large;
}

TEST(NextSteps, BesideARunnerAreThoseThatItHeeds) {
  State state;
  state.started = true;
  for (const Phase phase : {Phase::planned, Phase::copying, Phase::verified, Phase::watching}) {
    state.phase = phase;
    std::string all;
    for (const NextStep& step : next_steps(state, "plan.yaml", Beside::runner)) {
      all += step.command + "\n";
    }
    EXPECT_TRUE(shows(all, "whimbrel status plan.yaml --watch\n")) << all;
    EXPECT_TRUE(shows(all, "whimbrel pause plan.yaml\n")) << all;
    EXPECT_TRUE(shows(all, "whimbrel rollback plan.yaml\n")) << all;
    EXPECT_FALSE(shows(all, "whimbrel run")) << all;
    EXPECT_FALSE(shows(all, "whimbrel finish")) << all;
  }
  const auto paused = next_steps(state, "plan.yaml", Beside::paused_runner);
  EXPECT_EQ(paused.at(1).command, "whimbrel resume plan.yaml");
}

}  // namespace
}  // namespace whimbrel
