// Journals of earlier releases. test/fixtures/journal-VERSION.db was written once by that release
// and is never made anew: a migration that began under it goes on under this one.
//
// journal-0.1.0.db: `sync: capture`, a first attempt that a check stopped, that went on, was
// switched over and rolled back, and a second one that is being watched. Records of every kind.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "journal/journal.h"

namespace whimbrel {
namespace {

namespace fs = std::filesystem;

// On a copy: opening a journal writes to the file.
class JournalOf010 : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::temp_directory_path() / ("whimbrel_fixture_" + std::to_string(getpid()) + "_" +
                                     testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    const fs::path path = folder_ / "journal.db";
    fs::copy_file(fs::path(WHIMBREL_FIXTURES) / "journal-0.1.0.db", path);
    fs::permissions(path, fs::perms::owner_write, fs::perm_options::add);
    auto opened = Journal::open(path.string(), clock_);
    ASSERT_TRUE(opened.ok()) << to_text(opened.error());
    journal_ = std::move(opened).value();
  }
  void TearDown() override {
    journal_.reset();
    fs::remove_all(folder_);
  }

  SystemClock clock_;
  fs::path folder_;
  std::unique_ptr<Journal> journal_;
};

TEST_F(JournalOf010, HasRecordsOfEveryKindInTheirOrder) {
  const auto records = journal_->records();
  ASSERT_TRUE(records.ok()) << to_text(records.error());
  ASSERT_EQ(records.value().size(), 105U);
  EXPECT_EQ(journal_->count(), 105);
  EXPECT_EQ(journal_->id(), "e254cc45e1e9cebe");
  std::set<std::string> kinds;
  for (const Stamped& stamped : records.value()) kinds.insert(name_of(stamped.record));
  EXPECT_EQ(kinds.size(), std::variant_size_v<Record> - 2);  // CheckEnded and RowCarried came later
  EXPECT_EQ(records.value()[60].at, TimePoint(Milliseconds(1'795'280'678'932)));
}

TEST_F(JournalOf010, IsWhereItWas) {
  const State state = journal_->state();
  EXPECT_TRUE(state.started);
  EXPECT_EQ(state.attempt, 2);
  EXPECT_EQ(state.migration, "fixture");
  EXPECT_EQ(state.digest.size(), 32U);
  EXPECT_NE(state.plan.find(R"("sync":"capture")"), std::string::npos);
  EXPECT_NE(state.tables.find(R"("from_columns":["id","n"])"), std::string::npos);
  EXPECT_EQ(state.phase, Phase::watching);
  EXPECT_EQ(journal_->phase(), Phase::watching);
  EXPECT_EQ(state.why, "every switch is flipped");
  EXPECT_EQ(state.phase_since, TimePoint(Milliseconds(1'795'280'679'456)));
  EXPECT_EQ(state.phase_times.size(), 7U);  // planned … watching, of this attempt alone
  EXPECT_EQ(state.outcome, "");
  EXPECT_FALSE(state.last_failure.has_value());
  const std::map<std::string, std::string> decisions = {
      {"limits", R"({"rows_per_s":1000})"}, {"pause", ""}, {"resume", ""}};
  EXPECT_EQ(state.decisions, decisions);
}

TEST_F(JournalOf010, KnowsWhatItHasDoneToTheDatabase) {
  const State state = journal_->state();
  std::vector<std::string> effects;
  for (const Effect& effect : state.effects) {
    effects.push_back(effect.id);
    EXPECT_TRUE(effect.confirmed) << effect.id;
  }
  const std::vector<std::string> expected = {"backup",
                                             "claim",
                                             "target:0",
                                             "feed:forward:db:fixture",
                                             "prepared",
                                             "indexes",
                                             "feed:backward:db:fixture",
                                             "switch:f",
                                             "switched"};
  EXPECT_EQ(effects, expected);  // oldest first: the undo goes the other way
  EXPECT_EQ(state.effect("target:0")->undo, R"({"made":true})");
  EXPECT_EQ(state.effect("switch:f")->undo, R"({"present":false,"table":true})");
  EXPECT_EQ(state.effect("hold"), nullptr);
}

TEST_F(JournalOf010, KnowsWhereCopyFeedsAndComparisonAre) {
  const State state = journal_->state();
  ASSERT_EQ(state.copies.size(), 1U);
  const CopyProgress& copy = state.copies.at(0);
  EXPECT_EQ(copy.through, "");
  EXPECT_TRUE(copy.at_end);
  EXPECT_EQ(copy.chunks, 4);
  EXPECT_EQ(copy.read, 13);
  EXPECT_EQ(copy.written, 12);
  EXPECT_EQ(copy.rejected, 1);
  EXPECT_EQ(state.rejected, 1);
  EXPECT_EQ(state.positions.at("forward:db:fixture"), "0");
  EXPECT_EQ(state.positions.at("backward:db:fixture"), "1");
  EXPECT_EQ(state.changes.at("backward:db:fixture"), 1);
  EXPECT_EQ(state.verifies.at(0).rows, 13);
  EXPECT_EQ(state.verifies.at(0).expected,
            "12:5bf5396cd068801484c89ea0fa7be8ee:5167a4752afef2185c09a0cc87755b88");
  ASSERT_TRUE(state.verified.has_value());
  EXPECT_TRUE(state.verified->full);
  EXPECT_EQ(state.verified->on_new_side, 2);
}

TEST_F(JournalOf010, HoldsTheKeptRowsAndIsWrittenOn) {
  const auto kept = journal_->kept();
  ASSERT_TRUE(kept.ok());
  ASSERT_EQ(kept.value().size(), 2U);
  EXPECT_EQ(kept.value()[0].key, "0500000000000000036b3037");
  EXPECT_NE(kept.value()[0].columns.find("0500000000000000046d696e65"), std::string::npos);
  const auto request = journal_->next_request();
  ASSERT_TRUE(request.ok());
  EXPECT_FALSE(request.value().has_value());  // all three were answered
  EXPECT_EQ(journal_->answer_to(1).value(), "done");
  ASSERT_TRUE(journal_->append(PhaseEntered{Phase::rolling_back, "a rollback was asked for"}).ok());
  const auto again = journal_->records();
  ASSERT_TRUE(again.ok()) << "the chain of checksums goes on";
  EXPECT_EQ(again.value().size(), 106U);
  EXPECT_EQ(journal_->phase(), Phase::rolling_back);
}

}  // namespace
}  // namespace whimbrel
