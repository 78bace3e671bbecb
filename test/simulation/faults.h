// What can go wrong at every call of a store or the journal, drawn from one seed.
//
// Every call passes `before` and `after`. There the application may write, time may pass, a person
// may ask for something, the call may fail with or without its effect, and the process may die:
// `Killed` is thrown, everything of the engine's is destroyed, and from then on no call reaches a
// store until the next start.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"

namespace whimbrel::simulation {

struct Killed {};

class SimulatedClock final : public Clock {
 public:
  TimePoint now() override { return TimePoint(now_); }
  Milliseconds monotonic() override { return now_; }
  void sleep_for(Milliseconds duration) override {
    advance(duration);
    if (while_sleeping) while_sleeping();
  }
  void advance(Milliseconds duration) { now_ += duration; }
  std::function<void()> while_sleeping;

 private:
  Milliseconds now_{1'700'000'000'000};
};

// Where a process dies for sure: at the n-th record of the whole history, just before or just
// after it is durable.
struct CutAt {
  std::int64_t record = 0;  // 0: nowhere
  bool before = false;
};

class Faults {
 public:
  Faults(Random& random, SimulatedClock& clock) : random_(random), clock_(clock) {}

  // Settings of the session under way.
  int kill_after_calls = -1;  // -1: never
  int fail_per_mille = 0;
  int traffic_per_cent = 0;
  int stall_per_cent = 0;
  int person_per_mille = 0;
  std::function<void()> traffic;
  std::function<void()> person;  // stops it, or asks for something
  CutAt cut;
  bool feeds_are_late = false;  // in the whole history

  void new_session() {
    calls_ = 0;
    dead_ = false;
  }
  // Throws Killed; an error means the call must not have its effect.
  Status before(const char* call) {
    step();
    if (random_.below(1000) < fail_per_mille) {
      return Error{ErrorCode::unavailable, std::string("simulated: ") + call + " did not happen"};
    }
    return {};
  }
  // The call had its effect; an error means that its reply is lost.
  Status after(const char* call) {
    step();
    if (random_.below(1000) < fail_per_mille) {
      return Error{ErrorCode::unavailable, std::string("simulated: reply to ") + call + " lost"};
    }
    return {};
  }
  // As `before`, where a store lets nobody write.
  Status alone(const char* call) {
    const std::function<void()> quiet = std::exchange(traffic, {});
    const Restore restore{traffic, quiet};
    return before(call);
  }
  // Nobody can tell any more whether the call had its effect.
  bool forgets_outcome() { return fail_per_mille > 0 && random_.below(1000) < 2 * fail_per_mille; }
  bool tells_late() { return feeds_are_late && random_.chance(70); }
  void die_at_record(std::int64_t record, bool before) {
    if (cut.record == record && cut.before == before) die();
  }

 private:
  struct Restore {
    std::function<void()>& traffic;
    const std::function<void()>& before;
    ~Restore() { traffic = before; }
  };
  [[noreturn]] void die() {
    dead_ = true;
    throw Killed{};
  }
  void step() {
    if (dead_) throw Killed{};
    if (kill_after_calls >= 0 && ++calls_ > kill_after_calls) die();
    if (random_.chance(stall_per_cent)) {
      clock_.advance(Milliseconds(random_.chance(20) ? random_.below(3000) : random_.below(60)));
    }
    if (traffic && random_.chance(traffic_per_cent)) traffic();
    if (person && random_.below(1000) < person_per_mille) person();
  }

  Random& random_;
  SimulatedClock& clock_;
  std::int64_t calls_ = 0;
  bool dead_ = false;
};

}  // namespace whimbrel::simulation
