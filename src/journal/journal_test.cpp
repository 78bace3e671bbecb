#include "journal/journal.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cmath>
#include <filesystem>

#include "journal/snapshot.h"

namespace whimbrel {
namespace {

class JournalFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() /
        ("whimbrel_journal_" + std::to_string(testing::UnitTest::GetInstance()->random_seed()) +
         testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    path_ = folder_ / "journal.db";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Journal> open() {
    Result<std::unique_ptr<Journal>> journal = Journal::open(path_, clock_);
    EXPECT_TRUE(journal.ok());
    return std::move(journal).value();
  }
  void damage(const char* sql) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
  }

  SystemClock clock_;
  std::filesystem::path folder_;
  std::string path_;
};

TEST_F(JournalFile, RemembersWhatWasAppendedAfterItIsOpenedAgain) {
  {
    const auto journal = open();
    ASSERT_TRUE(journal->append(PlanAccepted{1, "m", "d", "{}", "[]"}).ok());
    ASSERT_TRUE(journal->append(PhaseEntered{Phase::copying, "w"}).ok());
    ASSERT_TRUE(journal->append(ChunkCopied{0, "ab", false, 10, 9, 1, 0, 100, 5}).ok());
    ASSERT_TRUE(journal->append(EffectIntended{"link", "{}"}).ok());
  }
  const State state = open()->state();
  EXPECT_EQ(state.phase, Phase::copying);
  EXPECT_EQ(state.copies.at(0).written, 9);
  ASSERT_NE(state.effect("link"), nullptr);
  EXPECT_FALSE(state.confirmed("link"));
}

// Enough records for a snapshot, with a bit of everything before it and after it.
void fill(Journal& journal) {
  ASSERT_TRUE(journal.append(PlanAccepted{2, "m", "d", "{\"a\":1}", "[]"}).ok());
  ASSERT_TRUE(journal.append(EffectIntended{"link", "{}"}).ok());
  ASSERT_TRUE(journal.append(EffectConfirmed{"link", "done"}).ok());
  ASSERT_TRUE(journal.append(PhaseEntered{Phase::copying, "w"}).ok());
  ASSERT_TRUE(journal.append(RowRejected{0, "ab", "why"}).ok());
  ASSERT_TRUE(journal.append(OperatorDecided{"limits", "{}"}).ok());
  ASSERT_TRUE(journal.append(ChunkVerified{1, 7, 0, "e", "f"}).ok());
  ASSERT_TRUE(journal.append(VerifyEnded{true, 7, 1, 2, 3}).ok());
  ASSERT_TRUE(journal.append(Failed{"unavailable", "m"}).ok());
  for (int i = 0; i < 600; ++i) {
    ASSERT_TRUE(journal.append(ChunkCopied{i % 2, "ab", false, 10, 9, 1, 0, 100, 5}).ok());
  }
  ASSERT_TRUE(journal.append(ChangesApplied{"forward:a", "17", 3, 2}).ok());
}

TEST_F(JournalFile, WhoOnlyLooksSeesTheSameStateFromASnapshot) {
  fill(*open());
  const auto whole = open();
  damage("UPDATE records SET body = 'x' WHERE number = 3");  // before the snapshot: not read
  const auto latest = Journal::open(path_, clock_, Journal::Reading::latest);
  ASSERT_TRUE(latest.ok());
  EXPECT_EQ(snapshot_of(latest.value()->state()), snapshot_of(whole->state()));
  EXPECT_EQ(latest.value()->count(), whole->count());
  EXPECT_FALSE(Journal::open(path_, clock_).ok());
}

TEST_F(JournalFile, ADamagedSnapshotIsNotUsed) {
  fill(*open());
  damage("UPDATE snapshots SET state = replace(state, '\"attempt\":2', '\"attempt\":3')");
  const auto latest = Journal::open(path_, clock_, Journal::Reading::latest);
  ASSERT_TRUE(latest.ok());
  EXPECT_EQ(latest.value()->state().attempt, 2);
}

TEST_F(JournalFile, ASnapshotOfRecordsThatAreNotThereIsNotUsed) {
  fill(*open());
  damage("DELETE FROM records WHERE number >= 500");
  const auto latest = Journal::open(path_, clock_, Journal::Reading::latest);
  ASSERT_TRUE(latest.ok());
  EXPECT_EQ(latest.value()->count(), 499);
}

TEST_F(JournalFile, AChangedRecordIsNoticed) {
  {
    ASSERT_TRUE(open()->append(PhaseEntered{Phase::copying, "w"}).ok());
  }
  damage("UPDATE records SET body = replace(body, 'copying', 'watching')");
  EXPECT_FALSE(Journal::open(path_, clock_).ok());
}

TEST_F(JournalFile, AMissingRecordIsNoticed) {
  {
    const auto journal = open();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(journal->append(Failed{"x", "y"}).ok());
  }
  damage("DELETE FROM records WHERE number = 2");
  EXPECT_FALSE(Journal::open(path_, clock_).ok());
}

TEST(JournalRecords, AreHeardInTheirOrderHoweverManyThereAre) {
  SystemClock clock;
  const auto journal = Journal::in_memory(clock).value();
  for (int i = 1; i <= 4321; ++i) {
    ASSERT_TRUE(journal->append(ChunkCopied{0, "", false, i, 0, 0, 0, 0, 0}).ok());
  }
  std::int64_t heard = 0;
  const auto count = [&](const Stamped& stamped) -> Status {
    ++heard;
    EXPECT_EQ(stamped.number, heard);
    EXPECT_EQ(std::get<ChunkCopied>(stamped.record).read, heard);
    return {};
  };
  EXPECT_TRUE(journal->hear(count).ok());
  EXPECT_EQ(heard, 4321);
  heard = 0;
  const auto enough = [&](const Stamped&) -> Status {
    return ++heard < 1000 ? Status() : Status(Error{ErrorCode::cancelled, "enough"});
  };
  EXPECT_EQ(journal->hear(enough).error().code, ErrorCode::cancelled);
  EXPECT_EQ(heard, 1000);
  EXPECT_EQ(journal->count(), 4321);
}

TEST_F(JournalFile, OnlyOneRunnerAtATime) {
  const auto first = open();
  const auto second = open();
  EXPECT_FALSE(second->somebody_runs());
  ASSERT_TRUE(first->lock_for_running().ok());
  EXPECT_TRUE(second->somebody_runs());
  const Status refused = second->lock_for_running();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
}

TEST_F(JournalFile, ARequestIsAnsweredAcrossProcesses) {
  const auto runner = open();
  const auto asker = open();
  const Result<std::int64_t> request = asker->ask("pause", "");
  ASSERT_TRUE(request.ok());
  EXPECT_FALSE(asker->answer_to(request.value()).value().has_value());
  const auto taken = runner->next_request();
  ASSERT_TRUE(taken.ok() && taken.value().has_value());
  EXPECT_EQ(taken.value()->verb, "pause");
  ASSERT_TRUE(runner->answer(taken.value()->id, "done").ok());
  EXPECT_EQ(asker->answer_to(request.value()).value(), "done");
  EXPECT_FALSE(runner->next_request().value().has_value());
}

TEST(JournalRecords, EveryKindCanBeReadBack) {
  const std::vector<Record> all = {PlanAccepted{2, "m", "d", "p", "t"},
                                   PhaseEntered{Phase::fenced, "w"},
                                   EffectIntended{"i", "u"},
                                   EffectConfirmed{"i", "r"},
                                   EffectUndone{"i"},
                                   ChunkCopied{1, "ff", true, 2, 3, 4, 5, 6, 7},
                                   ChangesApplied{"f", "p", 1, 2},
                                   ChunkVerified{1, 2, 3, "e", "f"},
                                   VerifyEnded{false, 1, 2, 3, 4},
                                   RowRejected{1, "k", "r"},
                                   OperatorDecided{"w", "v"},
                                   Failed{"c", "m"},
                                   Closed{"o"},
                                   CheckEnded{true, false, 1, 2, 3, 4, 5, "t", "w"},
                                   RowCarried{1, "k"}};
  ASSERT_EQ(all.size(), std::variant_size_v<Record>);
  for (const Record& record : all) {
    const Result<Record> back = record_from_json(name_of(record), to_json(record));
    ASSERT_TRUE(back.ok()) << name_of(record);
    EXPECT_EQ(to_json(back.value()), to_json(record));
  }
  EXPECT_FALSE(record_from_json("Nonsense", "{}").ok());
  EXPECT_FALSE(record_from_json("Closed", "[").ok());
  EXPECT_FALSE(record_from_json("Closed", "{\"outcome\":7}").ok());
}

TEST(JournalRecords, TellWhoIsSetAsideNow) {
  SystemClock clock;
  const auto journal = std::move(Journal::in_memory(clock)).value();
  ASSERT_TRUE(journal->append(RowRejected{0, "a", "refused"}).ok());
  ASSERT_TRUE(journal->append(RowRejected{1, "a", "refused"}).ok());
  ASSERT_TRUE(journal->append(RowRejected{0, "b", name_of(ErrorCode::conflict)}).ok());
  EXPECT_TRUE(journal->is_set_aside(0, "a").value());
  EXPECT_FALSE(journal->is_set_aside(0, "b").value());
  EXPECT_EQ(journal->state().left_behind, 2);
  ASSERT_TRUE(journal->append(RowCarried{0, "a"}).ok());
  EXPECT_FALSE(journal->is_set_aside(0, "a").value());
  EXPECT_TRUE(journal->is_set_aside(1, "a").value());
  EXPECT_EQ(journal->state().left_behind, 1);
  ASSERT_TRUE(journal->append(OperatorDecided{set_aside_anew_record, ""}).ok());
  EXPECT_FALSE(journal->is_set_aside(1, "a").value());
  EXPECT_EQ(journal->state().left_behind, 0);
}

// Checks after the switch, so many hours after it.
class CleanChecks {
 public:
  CleanChecks() { add(PhaseEntered{Phase::watching, ""}, 0); }
  void check(double hours, bool clean = true) {
    add(CheckEnded{clean, true, 0, 0, 0, 1000, 24 * 3'600'000, "", ""}, hours);
  }
  void add(const Record& record, double hours) {
    apply(state, {0, TimePoint(Milliseconds(std::llround(hours * 3'600'000))), record});
  }
  State state;
};

TEST(CleanChecks, CountOnceAPeriodThoughATimerIsNotPunctual) {
  CleanChecks checks;
  for (const double hours : {3.0, 26.99, 51.0, 74.0}) checks.check(hours);
  EXPECT_EQ(checks.state.clean_checks, 4);
  for (const double hours : {75.0, 90.0, 96.0}) checks.check(hours);
  EXPECT_EQ(checks.state.clean_checks, 4);
  checks.check(98.0);
  EXPECT_EQ(checks.state.clean_checks, 5);
}

TEST(CleanChecks, BeginAgainAfterOneThatIsNotClean) {
  CleanChecks checks;
  checks.check(3);
  checks.check(27);
  checks.check(28, false);
  EXPECT_EQ(checks.state.clean_checks, 0);
  checks.check(29);
  EXPECT_EQ(checks.state.clean_checks, 1);
}

TEST(CleanChecks, OfAnEarlierSwitchDoNotCount) {
  CleanChecks checks;
  checks.check(3);
  checks.add(PhaseEntered{Phase::stuck, ""}, 4);
  checks.add(PhaseEntered{Phase::watching, ""}, 5);
  EXPECT_EQ(checks.state.clean_checks, 0);
  EXPECT_FALSE(checks.state.checked);
}

TEST(CleanChecks, KnowHowMuchWasCarriedSince) {
  CleanChecks checks;
  checks.add(ChangesApplied{"f", "1", 10, 10}, 1);
  checks.add(CheckEnded{true, true, 0, 0, 10, 0, 0, "", ""}, 2);
  EXPECT_EQ(checks.state.changes_since_check, 0);
  checks.add(ChangesApplied{"f", "2", 5, 5}, 3);
  checks.add(CheckEnded{false, true, 0, 0, 0, 0, 0, "", ""}, 4);
  EXPECT_EQ(checks.state.changes_since_check, 5);
}

}  // namespace
}  // namespace whimbrel
