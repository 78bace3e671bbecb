// One simulated history: a random plan, an application that writes, an engine that is killed,
// delayed, repeated and failed, a person who stops it and asks for things at random moments, and a
// checker that knows nothing of how whimbrel works: it judges by the application's book.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "application.h"
#include "engine/engine.h"
#include "random_plan.h"

namespace whimbrel::simulation {

class World {
 public:
  explicit World(std::uint64_t seed);
  ~World();
  // Lives a random history; the first broken promise, or nothing.
  std::optional<std::string> live();
  // Lives a plain history (there, back, there again, finish) in which the process dies once, at
  // this record, and its next life goes on, or back.
  std::optional<std::string> live_cut(CutAt cut, bool go_back);
  bool was_cut() const { return deaths_ > 0; }
  // What happened.
  const std::vector<std::string>& trace() const { return trace_; }

 private:
  enum class Verb { run, stay, rollback, verify, repair, canary, decide, finish };
  enum class Weather {
    rough,  // anything goes wrong
    calm,   // the application writes, nothing fails
    still,  // it does not even write
  };
  class BookSidecar;
  class TraceEvents;

  // world.cpp: lives of the process.
  // One life. False when it was killed.
  bool session(Verb verb, Goal goal, Weather weather);
  Status carry_out(Engine& engine, Verb verb, Goal goal);
  void choose_faults(Verb verb, Weather weather);
  void while_sleeping(Verb verb, StopFlag& stop);
  void write_a_little();
  void until_it_ends(Verb verb, Goal goal);
  void random_sessions();
  void there();
  void back();
  void to_the_end();
  bool finish_is_taken_back();
  void finish_waits_for_equal_sides();
  void back_from_the_end();
  void a_difference_is_found();
  void capture_is_dropped();
  void put_row(bool old_side, const Page& page, const Value& key, const std::optional<Row>& row);
  void somebody_asks(StopFlag& stop);
  bool an_open_switch_is_on() const;
  void violate(const std::string& what);
  void note(const std::string& what);

  // checks.cpp: what the promises say.
  void check_session(Verb verb, Goal goal, bool lived);
  void check_error(Verb verb);
  void check_state_of_things();
  void check_capacity(const State& state, bool is_copied);
  void check_leftovers(const State& state);
  void check_old_side(const Page& page);
  void check_new_side(bool exact);
  void check_new_row(const Page& page, const std::string& key, const Row* row, bool exact);
  void check_rolled_back();
  void check_kept(const Page& page);
  void check_behind(const Page& page);
  void check_finished();
  void check_journal();
  std::vector<std::string> tables() const;
  bool is_dual() const { return plan_.migration.sync == Sync::dual; }

  Random random_;
  SimulatedClock clock_;
  Faults faults_;
  RandomPlan plan_;
  std::unique_ptr<FaultyJournal> journal_;
  std::unique_ptr<BookSidecar> sidecar_;
  std::unique_ptr<Application> application_;
  std::vector<std::string> tables_before_;
  std::vector<Row> switches_before_;
  int deaths_ = 0;
  bool asked_rollback_ = false;  // and not seen it done
  bool asked_pause_ = false;     // and not asked to go on
  // Of the session under way.
  bool with_faults_ = false;
  bool stopped_ = false;
  bool check_failed_ = false;
  bool nobody_writes_ = false;
  bool held_before_ = false;
  bool records_ = false;
  std::ptrdiff_t recorded_before_ = 0;
  bool expects_difference_ = false;
  bool drops_capture_ = false;  // a tenth of all seeds
  bool unnoticed_ = false;      // some writes were noticed by nobody when they happened
  bool reopening_ = false;      // what `finish` archived has its name back
  EngineOutcome outcome_;
  std::optional<Error> error_;
  std::optional<std::string> violation_;
  std::vector<std::string> trace_;
};

}  // namespace whimbrel::simulation
