// The switch from one side to the other, and back.
//
// Hold the writers of the side that serves, drain what they wrote to the last change, flip every
// switch, let go. The hold carries a deadline and ends by itself; it is asked for just before each
// flip, and when it has ended too early nothing is flipped and everything is let go. Every flip is
// intent, effect, confirmation in the journal, with what was found before.
// Where links keep both sides equal nothing has to be held. A store that cannot hold anybody is
// held by what the plan names for it: settings of the application, put back as they were found by
// whoever lives: us, or a guard that was started before. Threads: one at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/events.h"
#include "cutover/switch.h"
#include "journal/journal.h"
#include "plan/migration.h"

namespace whimbrel {

// The tables of one store that have to be held together.
struct HeldTables {
  std::shared_ptr<Store> store;
  std::vector<std::string> tables;
};

enum class Flipped {
  yes,
  hold_expired,  // nothing was flipped by this call and everything was let go
  unknown,       // a switch may or may not have flipped: a person decides
};

class Cutover {
 public:
  // Drains the side that is held: true when it is dry, false when `until` came first.
  using Drain = std::function<Result<bool>(TimePoint until)>;
  using HeldChecks = std::function<Status()>;

  // Started before such settings are put on, for as long as what it gives lives: when this process
  // dies, or at `until`, it puts them back.
  using StartGuard = std::function<Result<std::shared_ptr<void>>(TimePoint until)>;

  Cutover(const Migration& migration, Journal& journal, Clock& clock, Events& events,
          StartGuard start_guard = {});

  // Source to target. `held` is empty where links make a hold needless.
  Result<Flipped> flip(const std::vector<HeldTables>& held, const Drain& drain,
                       const HeldChecks& checks);
  // Target to source; the same in the other direction, newest switch first.
  Result<Flipped> flip_back(const std::vector<HeldTables>& held, const Drain& drain);
  // One switch early (a canary).
  Result<Flipped> flip_only(const std::string& name);
  // ": NAME: what was heard of it" of the switch that left `unknown`, as far as this process knows.
  std::string last_words() const { return last_words_; }
  // What every switch says of itself right now, a line each.
  std::vector<std::string> seen_now();
  // A person looked: takes the journal out of `unknown`.
  Status decide(bool switched);

  bool every_switch_is_on() const;
  // Asks the switches themselves; `refused` when somebody has put one back.
  Status expect_on();
  bool any_switch_was_intended() const;
  Status let_go(const std::vector<HeldTables>& held);
  // How much of a hold may pass before it is given up: what is left has to do for the switches.
  static Milliseconds left_for_draining(Milliseconds hold_max);

 private:
  Status take_hold(const std::vector<HeldTables>& held, TimePoint until);
  Result<bool> still_held(const std::vector<HeldTables>& held, TimePoint until);
  Status every_switch_answers();
  Result<Flipped> flip_one(std::size_t index);
  Result<Flipped> put_back_one(std::size_t index);
  Status put_on_holds(TimePoint until);
  Status take_off_holds();
  static std::string id_of_hold(const SwitchPlan& hold) { return "hold:" + hold.name; }
  std::string id_of(std::size_t index) const { return "switch:" + migration_.switches[index].name; }

  const Migration& migration_;
  Journal& journal_;
  Clock& clock_;
  Events& events_;
  StartGuard start_guard_;
  std::vector<std::unique_ptr<Switch>> switches_;
  std::vector<std::unique_ptr<Switch>> holds_;
  std::shared_ptr<void> guard_;  // while holds are on
  std::string last_words_;
};

}  // namespace whimbrel
