// One simulated history: a random plan, an application that writes, an engine that is killed,
// delayed, repeated and failed, rollbacks at random moments, and a checker that knows nothing of
// how whimbrel works: it keeps its own book of what every row must be on both sides.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "faulty_store.h"
#include "stores/memory/memory_store.h"

namespace whimbrel::simulation {

// What the book says of one row: the old columns as the application would find them there, and
// what only the new side can hold.
struct Entry {
  std::map<std::string, Value> old_side;
  std::map<std::string, Value> new_only;
  // Of a row with this key that was deleted on the old side: nobody can tell the two apart after
  // a rollback, so a value that returns with the key is not wrong.
  std::map<std::string, Value> of_namesake;
};

class World {
 public:
  explicit World(std::uint64_t seed);
  ~World();
  // Lives the history; the first broken promise, or nothing. `trace` collects what happened.
  std::optional<std::string> live();
  const std::vector<std::string>& trace() const { return trace_; }

 private:
  enum class Verb { run, rollback, verify };
  struct BookSidecar;
  class TraceEvents;

  void make_plan();
  void make_rows();
  void write_something();
  void write_old(int app, const std::string& key);
  void write_new(int app, const std::string& key);
  bool switched(int app);
  static bool is_there(const MemoryStore& store, const char* table_name, const Value& key);
  Value random_value();

  // One life of the process. False when it was killed.
  bool session(Verb verb, Goal goal, bool faults);
  void check_between_sessions();
  void check_copied();
  void check_new_side(bool exact);
  void check_rolled_back();
  void check_journal();
  void violate(const std::string& what);
  void note(const std::string& what);

  Random random_;
  SimulatedClock clock_;
  Faults faults_;
  std::shared_ptr<MemoryStore> memory_source_;
  std::shared_ptr<MemoryStore> memory_target_;
  std::shared_ptr<FaultyStore> source_;
  std::shared_ptr<FaultyStore> target_;
  Migration migration_;
  std::unique_ptr<FaultyJournal> journal_;
  std::unique_ptr<BookSidecar> sidecar_;
  std::string key_prefix_;
  bool has_map_ = false;
  int switches_ = 1;
  std::int64_t rows_at_start_ = 0;
  std::map<std::string, Entry> book_;
  std::set<std::string> conflicts_;      // keys the engine has named as written on both sides
  std::map<std::string, Entry> namesakes_;
  int traffic_left_ = 0;
  int deaths_ = 0;
  EngineOutcome outcome_;
  std::optional<Error> error_;
  std::optional<std::string> violation_;
  std::vector<std::string> trace_;
};

}  // namespace whimbrel::simulation
