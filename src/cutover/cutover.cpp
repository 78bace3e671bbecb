#include "cutover/cutover.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace whimbrel {

Cutover::Cutover(const Migration& migration, Journal& journal, Clock& clock, Events& events,
                 StartGuard start_guard)
    : migration_(migration),
      journal_(journal),
      clock_(clock),
      events_(events),
      start_guard_(std::move(start_guard)) {
  for (const SwitchPlan& plan : migration.switches) switches_.push_back(make_switch(plan, clock));
  for (const SwitchPlan& plan : migration.holds) holds_.push_back(make_switch(plan, clock));
}

// What each found is journaled before it is put on.
Status Cutover::put_on_holds(TimePoint until) {
  if (holds_.empty()) return {};
  if (start_guard_) {
    ASSIGN_OR_RETURN(guard_, start_guard_(until));
  }
  for (std::size_t i = 0; i < holds_.size(); ++i) {
    const std::string id = id_of_hold(migration_.holds[i]);
    ASSIGN_OR_RETURN(const std::string found, holds_[i]->found());
    TRY(journal_.append(EffectIntended{id, found}));
    if (Status on = holds_[i]->flip(); !on.ok()) {
      return std::move(on).error().within("holding the application by " + migration_.holds[i].name);
    }
    TRY(journal_.append(EffectConfirmed{id, "{}"}));
  }
  return {};
}

Status Cutover::take_off_holds() {
  for (std::size_t i = holds_.size(); i-- > 0;) {
    const std::string id = id_of_hold(migration_.holds[i]);
    const State state = journal_.state();
    const Effect* effect = state.effect(id);
    if (effect == nullptr) continue;
    if (Status off = holds_[i]->put_back(effect->undo); !off.ok()) {
      return std::move(off).error().within("letting the application go: " +
                                           migration_.holds[i].name);
    }
    TRY(journal_.append(EffectUndone{id}));
    events_.emit({"hold_put_back", {{"hold", migration_.holds[i].name}}});
  }
  guard_.reset();
  return {};
}

bool Cutover::every_switch_is_on() const {
  const State state = journal_.state();
  for (std::size_t i = 0; i < switches_.size(); ++i) {
    if (!state.confirmed(id_of(i))) return false;
  }
  return true;
}

Status Cutover::expect_on() {
  for (std::size_t i = 0; i < switches_.size(); ++i) {
    ASSIGN_OR_RETURN(const SwitchState state, switches_[i]->state());
    if (state != SwitchState::off) continue;
    return Error{ErrorCode::refused,
                 fmt::format("the switch `{}` is not on any more: the application may be using the "
                             "old side",
                             migration_.switches[i].name),
                 "`whimbrel rollback` goes back in order; or switch it on again, then finish",
                 "nothing was changed",
                 {},
                 ""};
  }
  return {};
}

bool Cutover::any_switch_was_intended() const {
  const State state = journal_.state();
  for (std::size_t i = 0; i < switches_.size(); ++i) {
    if (state.effect(id_of(i)) != nullptr) return true;
  }
  return false;
}

Milliseconds Cutover::left_for_draining(Milliseconds hold_max) {
  constexpr Milliseconds for_the_switches{5000};
  return hold_max - std::min(hold_max / 2, for_the_switches);
}

Status Cutover::take_hold(const std::vector<HeldTables>& held, TimePoint until) {
  if (held.empty() && holds_.empty()) return {};
  TRY(journal_.append(EffectIntended{
      "hold", fmt::format("{{\"until_ms\":{}}}", until.time_since_epoch().count())}));
  const Milliseconds since = clock_.monotonic();
  TRY(put_on_holds(until));
  if (!held.empty()) {
    for (const std::unique_ptr<Switch>& one : switches_) TRY(one->go_first(until));
  }
  for (const HeldTables& one : held) TRY(one.store->holds().hold(one.tables, until));
  // Letting go is as many calls as holding.
  const std::int64_t back_ms = (clock_.monotonic() - since).count();
  events_.emit({"writers_held",
                {{"ms", std::int64_t{(until - clock_.now()).count()}},
                 {"until", to_iso8601(until)},
                 {"back_ms", back_ms}}});
  return journal_.append(EffectConfirmed{"hold", fmt::format("{{\"back_ms\":{}}}", back_ms)});
}

Status Cutover::let_go(const std::vector<HeldTables>& held) {
  for (const std::unique_ptr<Switch>& one : switches_) TRY(one->step_aside());
  for (const HeldTables& one : held) TRY(one.store->holds().release(one.tables));
  TRY(take_off_holds());
  if (journal_.state().effect("hold") != nullptr) TRY(journal_.append(EffectUndone{"hold"}));
  return {};
}

Result<bool> Cutover::still_held(const std::vector<HeldTables>& held, TimePoint until) {
  for (const HeldTables& one : held) {
    ASSIGN_OR_RETURN(const bool is_held, one.store->holds().held(one.tables));
    if (!is_held) return false;
  }
  // Settings carry no deadline of their own.
  if (!holds_.empty() && clock_.now() >= until) return false;
  for (const std::unique_ptr<Switch>& one : holds_) {
    ASSIGN_OR_RETURN(const SwitchState now, one->state());
    if (now == SwitchState::off) return false;
  }
  return true;
}

// After a lost reply the switch itself is asked. What cannot be told is not guessed.
Result<Flipped> Cutover::flip_one(std::size_t index) {
  Switch& one = *switches_[index];
  const std::string id = id_of(index);
  if (journal_.state().confirmed(id)) return Flipped::yes;
  if (journal_.state().effect(id) == nullptr) {
    ASSIGN_OR_RETURN(const std::string found, one.found());
    TRY(journal_.append(EffectIntended{id, found}));
  } else {
    ASSIGN_OR_RETURN(const SwitchState state, one.state());
    if (state == SwitchState::unknown) {
      last_words_ =
          ": " + migration_.switches[index].name + ": a flip was begun, and no reply came";
      return Flipped::unknown;
    }
  }
  if (const Status flipped = one.flip(); !flipped.ok()) {
    if (flipped.error().code == ErrorCode::refused) {  // nothing has happened
      TRY(journal_.append(EffectUndone{id}));
      return flipped.error();
    }
    const Result<SwitchState> state = one.state();
    if (state.ok() && state.value() == SwitchState::off) return flipped.error();
    if (!state.ok() || state.value() == SwitchState::unknown) {
      // What is only out of reach can be tried again: the intent is journaled.
      if (flipped.error().code == ErrorCode::unavailable) return flipped.error();
      TRY(journal_.append(Failed{name_of(flipped.error().code), flipped.error().message}));
      last_words_ = ": " + migration_.switches[index].name + ": " + flipped.error().message;
      return Flipped::unknown;
    }
  }
  TRY(journal_.append(EffectConfirmed{id, "{}"}));
  events_.emit({"switch_flipped", {{"switch", migration_.switches[index].name}}});
  return Flipped::yes;
}

Result<Flipped> Cutover::put_back_one(std::size_t index) {
  Switch& one = *switches_[index];
  const std::string id = id_of(index);
  const State state = journal_.state();
  const Effect* effect = state.effect(id);
  if (effect == nullptr) return Flipped::yes;
  if (const Status back = one.put_back(effect->undo); !back.ok()) {
    const Result<SwitchState> now = one.state();
    if (!now.ok() || now.value() != SwitchState::off) {
      if (back.error().code != ErrorCode::outcome_unknown) return back.error();
      return Flipped::unknown;
    }
    if (one.can_be_told_again()) TRY(one.put_back(effect->undo));
  }
  TRY(journal_.append(EffectUndone{id}));
  events_.emit({"switch_put_back", {{"switch", migration_.switches[index].name}}});
  return Flipped::yes;
}

// Some that are flipped and one that cannot be would split the application.
Status Cutover::every_switch_answers() {
  const State state = journal_.state();
  for (std::size_t i = 0; i < switches_.size(); ++i) {
    if (state.effect(id_of(i)) != nullptr) return {};  // it goes on
  }
  for (std::size_t i = 0; i < switches_.size() && switches_.size() > 1; ++i) {
    Result<std::string> found = switches_[i]->found();
    if (found.ok()) continue;
    return std::move(found)
        .error()
        .within("looking at the switch " + migration_.switches[i].name)
        .saying_safe("nothing is switched; the application uses the old side");
  }
  return {};
}

Result<Flipped> Cutover::flip(const std::vector<HeldTables>& held, const Drain& drain,
                              const HeldChecks& checks) {
  TRY(every_switch_answers());
  const TimePoint until = clock_.now() + migration_.hold_max;
  const TimePoint drained_by = clock_.now() + left_for_draining(migration_.hold_max);
  TRY(take_hold(held, until));
  ASSIGN_OR_RETURN(bool ready, drain(held.empty() && holds_.empty() ? until : drained_by));
  if (ready) TRY(checks());
  if (ready) {
    ASSIGN_OR_RETURN(ready, still_held(held, until));
  }
  if (!ready) {
    TRY(let_go(held));
    return Flipped::hold_expired;
  }
  for (std::size_t i = 0; i < switches_.size(); ++i) {
    ASSIGN_OR_RETURN(const Flipped flipped, flip_one(i));
    if (flipped != Flipped::yes) return flipped;
  }
  return Flipped::yes;
}

Result<Flipped> Cutover::flip_back(const std::vector<HeldTables>& held, const Drain& drain) {
  const TimePoint until = clock_.now() + migration_.hold_max;
  TRY(take_hold(held, until));
  ASSIGN_OR_RETURN(bool ready, drain(clock_.now() + left_for_draining(migration_.hold_max)));
  if (ready) {
    ASSIGN_OR_RETURN(ready, still_held(held, until));
  }
  if (!ready) {
    TRY(let_go(held));
    return Flipped::hold_expired;
  }
  for (std::size_t i = switches_.size(); i-- > 0;) {
    ASSIGN_OR_RETURN(const Flipped back, put_back_one(i));
    if (back != Flipped::yes) return back;
  }
  return Flipped::yes;
}

Result<Flipped> Cutover::flip_only(const std::string& name) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < switches_.size(); ++i) {
    if (migration_.switches[i].name == name) return flip_one(i);
    names.push_back(migration_.switches[i].name);
  }
  return Error{ErrorCode::invalid_plan, "the plan has no switch `" + name + "`",
               names.empty() ? "it has no switches" : "its switches: " + join(names, ", ")};
}

namespace {

std::string what_it_says(const Result<SwitchState>& state) {
  if (!state.ok()) {
    return "was asked whether it is on, and did not tell: " + state.error().message +
           "; look at it yourself, and decide by what you see";
  }
  switch (state.value()) {
    case SwitchState::on:
      return "says that it is on";
    case SwitchState::off:
      return "says that it is off";
    case SwitchState::unknown:
      break;
  }
  return "does not tell whether it is on: the plan gives it no `state:` command, or that one ended "
         "with neither 0 nor 1; look at it yourself, and decide by what you see";
}

}  // namespace

std::vector<std::string> Cutover::seen_now() {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < switches_.size(); ++i) {
    const Result<SwitchState> state = switches_[i]->state();
    lines.push_back(fmt::format("{} ({}) {}", migration_.switches[i].name, switches_[i]->describe(),
                                what_it_says(state)));
  }
  return lines;
}

Status Cutover::decide(bool switched) {
  for (std::size_t i = 0; i < switches_.size(); ++i) {
    const State state = journal_.state();
    if (state.effect(id_of(i)) == nullptr || state.confirmed(id_of(i))) continue;
    if (switched) {
      TRY(journal_.append(EffectConfirmed{id_of(i), "{\"decided\":true}"}));
    } else {
      // It may have come half the way, to a table that was made for its row.
      if (switches_[i]->can_be_told_again()) {
        TRY(switches_[i]->put_back(state.effect(id_of(i))->undo));
      }
      TRY(journal_.append(EffectUndone{id_of(i)}));
    }
  }
  return {};
}

}  // namespace whimbrel
