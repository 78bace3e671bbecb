// The library's calls, as a program makes them: against the public headers alone, on real files.
#include "whimbrel/runner.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <stdlib.h>  // mkdtemp

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

namespace whimbrel {
namespace {

namespace fs = std::filesystem;

constexpr const char* plan_text = R"(whimbrel: 1
migration: by-a-program
stores: {db: "sqlite:${DB}"}
tables:
  - from: db/people
    to: db/persons
    create: persons.sql
    columns: {person: id, called: name}
    rest: forbid
sync: dual
limits: {batch_size: 10, rows_per_s: 5000}
finish: {after: 7d, rename_source_to: people_archive}
)";

// A database with a hundred rows, and a plan for them.
class World {
 public:
  World() {
    std::string name = (fs::temp_directory_path() / "whimbrel-runner-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    write("plan.yaml", plan_text);
    write("persons.sql", "CREATE TABLE persons (person INTEGER PRIMARY KEY, called TEXT);");
    sql("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT)");
    sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) "
        "INSERT INTO people SELECT i, 'name ' || i FROM n");
  }
  ~World() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void write(const std::string& file, const std::string& text) const {
    std::ofstream(folder_ / file) << text;
  }
  // The first value of the first row, as text; "" when there is none.
  std::string sql(const std::string& text) const {
    sqlite3* database = nullptr;
    EXPECT_EQ(sqlite3_open((folder_ / "app.db").c_str(), &database), SQLITE_OK);
    sqlite3_busy_timeout(database, 5000);
    std::string value;
    const auto keep = [](void* to, int, char** values, char**) {
      *static_cast<std::string*>(to) = values[0] == nullptr ? "" : values[0];
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(database, text.c_str(), keep, &value, nullptr), SQLITE_OK) << text;
    sqlite3_close(database);
    return value;
  }
  RunnerOptions options() const {
    return {.plan = (folder_ / "plan.yaml").string(),
            .variables = {{"DB", "app.db"}},
            .state_folder = (folder_ / "state").string()};
  }
  Runner runner() const { return runner(options()); }
  Runner runner(RunnerOptions options) const {
    Result<Runner> runner = Runner::open(std::move(options));
    if (!runner.ok()) throw std::runtime_error(to_text(runner.error()));
    return std::move(runner).value();
  }

 private:
  fs::path folder_;
};

template <class T>
std::string said(const Result<T>& result) {
  return result.ok() ? "" : to_text(result.error());
}

TEST(Runner, ForeseesCarriesOutComparesAndFinishes) {
  const World world;
  const Runner runner = world.runner();
  EXPECT_EQ(runner.migration(), "by-a-program");
  const auto checked = runner.check();
  ASSERT_TRUE(checked.ok()) << said(checked);
  EXPECT_FALSE(checked.value().refused);
  const auto analyzed = runner.analyze();
  ASSERT_TRUE(analyzed.ok()) << said(analyzed);
  EXPECT_TRUE(fs::exists(analyzed.value().file));
  const auto verified = runner.run(Goal::verify);
  ASSERT_TRUE(verified.ok()) << said(verified);
  EXPECT_EQ(verified.value().phase, Phase::verified);
  const auto switched = runner.cutover();
  ASSERT_TRUE(switched.ok()) << said(switched);
  EXPECT_EQ(switched.value().phase, Phase::watching);
  world.sql("UPDATE persons SET called = 'new' WHERE person = 7");
  EXPECT_EQ(world.sql("SELECT name FROM people WHERE id = 7"), "new");
  const auto early = runner.finish();
  ASSERT_FALSE(early.ok());
  EXPECT_EQ(early.error().code, ErrorCode::refused);
  const auto finished = runner.finish({.after = std::chrono::milliseconds(0)});
  ASSERT_TRUE(finished.ok()) << said(finished);
  EXPECT_EQ(finished.value().phase, Phase::finished);
  const auto again = runner.run();
  ASSERT_TRUE(again.ok()) << said(again);
  EXPECT_EQ(again.value().ending, Ending::already);
  EXPECT_TRUE(again.value().reached());
}

TEST(Runner, RollsBackAndKeepsWhatWasWrittenSince) {
  const World world;
  const Runner runner = world.runner();
  const auto ran = runner.run();
  ASSERT_TRUE(ran.ok()) << said(ran);
  world.sql("INSERT INTO persons VALUES (1000, 'born there')");
  const auto back = runner.rollback();
  ASSERT_TRUE(back.ok()) << said(back);
  EXPECT_EQ(back.value().phase, Phase::rolled_back);
  EXPECT_EQ(world.sql("SELECT name FROM people WHERE id = 1000"), "born there");
  EXPECT_EQ(world.sql("SELECT count(*) FROM sqlite_master WHERE name = 'persons'"), "0");
}

TEST(Runner, GoesOnAfterItWasStoppedByItsFlag) {
  const World world;
  StopFlag stop;
  int chunks = 0;
  RunnerOptions options = world.options();
  options.stop = &stop;
  options.observer = [&](const Event& event) {
    if (event.name == "chunk_copied" && ++chunks == 3) stop.request();
  };
  const Runner runner = world.runner(options);
  const auto stopped = runner.run();
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, ErrorCode::cancelled);
  stop.clear();
  const auto ended = runner.run();
  ASSERT_TRUE(ended.ok()) << said(ended);
  EXPECT_EQ(world.sql("SELECT count(*) FROM persons"), "100");
}

TEST(Runner, AnswersBeforeAnythingWasStarted) {
  const World world;
  const auto status = world.runner().status();
  ASSERT_TRUE(status.ok()) << said(status);
  EXPECT_FALSE(status.value().started);
  const auto back = world.runner().rollback();
  ASSERT_FALSE(back.ok());
  EXPECT_EQ(back.error().code, ErrorCode::refused);
}

TEST(Runner, TellsHowFarEachTableIs) {
  const World world;
  const Runner runner = world.runner();
  ASSERT_TRUE(runner.run(Goal::verify).ok());
  const auto status = runner.status();
  ASSERT_TRUE(status.ok()) << said(status);
  EXPECT_TRUE(status.value().started);
  EXPECT_EQ(status.value().phase, Phase::verified);
  EXPECT_FALSE(status.value().runner_at_work);
  ASSERT_EQ(status.value().tables.size(), 1U);
  const TableStatus& table = status.value().tables[0];
  EXPECT_EQ(table.from, "db/people");
  EXPECT_EQ(table.rows_read, 100);
  EXPECT_TRUE(table.copied);
  EXPECT_EQ(table.rows_compared, 100);
  EXPECT_NE(status.value().json.find("\"phase\""), std::string::npos);
}

TEST(Runner, FindsAndRepairsARowThatDiffers) {
  const World world;
  const Runner runner = world.runner();
  ASSERT_TRUE(runner.run(Goal::verify).ok());
  // A change that no trigger carries over.
  const std::string trigger = world.sql(
      "SELECT group_concat('DROP TRIGGER \"' || name || '\"', ';') FROM sqlite_master "
      "WHERE type = 'trigger'");
  world.sql(trigger);
  world.sql("UPDATE persons SET called = 'planted' WHERE person = 5");
  const auto found = runner.verify();
  ASSERT_TRUE(found.ok()) << said(found);
  EXPECT_EQ(found.value().differing, 1);
  EXPECT_FALSE(found.value().equal());
  ASSERT_FALSE(found.value().examples.empty());
  EXPECT_EQ(found.value().examples[0].table, "people");
  const auto repaired = runner.repair();
  ASSERT_TRUE(repaired.ok()) << said(repaired);
  EXPECT_TRUE(repaired.value().equal());
  EXPECT_EQ(world.sql("SELECT called FROM persons WHERE person = 5"), "name 5");
}

TEST(Runner, KeepsRowsOutOfResultsWhenItIsToldTo) {
  const World world;
  RunnerOptions options = world.options();
  ASSERT_TRUE(world.runner(options).run(Goal::verify).ok());
  world.sql(
      world.sql("SELECT group_concat('DROP TRIGGER \"' || name || '\"', ';') "
                "FROM sqlite_master WHERE type = 'trigger'"));
  world.sql("DELETE FROM persons WHERE person = 5");
  options.redact = true;
  const auto found = world.runner(options).verify();
  ASSERT_TRUE(found.ok()) << said(found);
  EXPECT_EQ(found.value().differing, 1);
  EXPECT_TRUE(found.value().examples.empty());
}

TEST(Runner, NamesThePlaceOfAMistakeBeforeAnythingIsOpened) {
  const World world;
  world.write("plan.yaml", std::string(plan_text) + "surprise: 1\n");
  const auto runner = Runner::open(world.options());
  ASSERT_FALSE(runner.ok());
  EXPECT_EQ(runner.error().code, ErrorCode::invalid_plan);
  EXPECT_NE(runner.error().excerpt.find("plan.yaml:13"), std::string::npos) << said(runner);
  const auto missing = Runner::open({.plan = "no-such-plan.yaml"});
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::invalid_plan);
}

TEST(Runner, ChangesNothingWhenThePlanSaysSo) {
  const World world;
  world.write("plan.yaml", std::string(plan_text) + "dry_run: true\n");
  const auto ran = world.runner().run();
  ASSERT_TRUE(ran.ok()) << said(ran);
  EXPECT_EQ(ran.value().ending, Ending::dry_run);
  EXPECT_FALSE(ran.value().reached());
  EXPECT_EQ(world.sql("SELECT count(*) FROM sqlite_master WHERE name = 'persons'"), "0");
}

// Waits until the runner at work has come to the phase.
bool comes_to(const Runner& runner, Phase phase) {
  for (int i = 0; i < 600; ++i) {
    const auto status = runner.status();
    if (status.ok() && status.value().phase == phase && status.value().runner_at_work) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

TEST(ThreadsRunner, IsAskedAndWatchedWhileItStays) {
  const World world;
  StopFlag stop;
  std::set<std::string> seen;
  RunnerOptions options = world.options();
  options.stop = &stop;
  options.observer = [&](const Event& event) { seen.insert(event.name); };  // one at a time
  const Runner runner = world.runner(options);
  std::atomic<bool> ended{false};
  bool reached = false;
  std::thread worker([&] {
    const auto ran = runner.run({}, Afterwards::stay);
    reached = ran.ok() && ran.value().reached();
    ended = true;
  });
  EXPECT_TRUE(comes_to(runner, Phase::watching));
  const auto second = runner.run();
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  EXPECT_TRUE(runner.verify().ok());
  EXPECT_FALSE(ended);
  stop.request();
  worker.join();
  EXPECT_TRUE(reached);
  EXPECT_TRUE(seen.contains("chunk_copied"));
}

TEST(ThreadsRunner, HandsARollbackToTheOneAtWork) {
  const World world;
  const Runner runner = world.runner();
  Ending ending = Ending::carried_out;
  std::thread worker([&] {
    const auto ran = runner.run({}, Afterwards::stay);
    if (ran.ok()) ending = ran.value().ending;
  });
  EXPECT_TRUE(comes_to(runner, Phase::watching));
  const auto back = runner.rollback();
  ASSERT_TRUE(back.ok()) << said(back);
  EXPECT_EQ(back.value().ending, Ending::carried_out);
  EXPECT_EQ(back.value().reason, "carried out by the runner");
  worker.join();
  EXPECT_EQ(ending, Ending::rolled_back);
  const auto status = runner.status();
  ASSERT_TRUE(status.ok()) << said(status);
  EXPECT_EQ(status.value().phase, Phase::rolled_back);
}

}  // namespace
}  // namespace whimbrel
