#include "measure/facts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "phase/phase.h"

namespace whimbrel {

namespace {

// A hold that nobody released ended at its own deadline.
TimePoint deadline_of(const EffectIntended& hold, TimePoint otherwise) {
  const auto undo = nlohmann::json::parse(hold.undo, nullptr, false);
  if (!undo.is_object() || !undo.contains("until_ms")) return otherwise;
  return TimePoint(Milliseconds(undo["until_ms"].get<std::int64_t>()));
}

class Reader {
 public:
  explicit Reader(TimePoint now) : now_(now) {}

  void read(const Stamped& stamped) {
    if (const auto* plan = std::get_if<PlanAccepted>(&stamped.record)) {
      if (plan->attempt != attempt_ || !begun_) begin(plan->attempt, stamped.at);
    }
    if (const auto* entered = std::get_if<PhaseEntered>(&stamped.record)) {
      const bool is_over =
          entered->phase == Phase::watching || entered->phase == Phase::rolled_back;
      if (is_over) over_ = stamped.at;
    }
    if (const auto* ended = std::get_if<VerifyEnded>(&stamped.record); ended && ended->full) {
      verified_ = FullVerification{ended->rows, ended->differing, stamped.at};
    }
    if (const auto* hold = std::get_if<EffectIntended>(&stamped.record); hold && hold->id == "hold")
      take(*hold, stamped.at);
    if (const auto* undone = std::get_if<EffectUndone>(&stamped.record);
        undone && undone->id == "hold") {
      let_go(stamped.at);
    }
  }

  std::optional<JournalFacts> take_facts(const State& state) {
    if (!begun_) return std::nullopt;
    let_go(now_);
    const TimePoint end = std::max(over_.value_or(now_), last_release_);
    writers_.migration = std::max(end - *begun_, Milliseconds(0));
    return JournalFacts{name_of(state.phase), attempt_, state.left_behind, verified_, writers_};
  }

 private:
  void begin(int attempt, TimePoint at) {
    *this = Reader(now_);
    attempt_ = attempt;
    begun_ = at;
    last_release_ = at;
  }
  void take(const EffectIntended& hold, TimePoint at) {
    let_go(at);
    held_since_ = at;
    deadline_ = deadline_of(hold, now_);
    ++writers_.holds;
  }
  void let_go(TimePoint at) {
    if (!held_since_) return;
    const TimePoint end = std::max(std::min(at, deadline_), *held_since_);
    const Milliseconds held = end - *held_since_;
    writers_.held += held;
    writers_.longest = std::max(writers_.longest, held);
    last_release_ = std::max(last_release_, end);
    held_since_.reset();
  }

  TimePoint now_;
  int attempt_ = 0;
  std::optional<TimePoint> begun_;
  std::optional<TimePoint> over_;
  std::optional<TimePoint> held_since_;
  TimePoint deadline_;
  TimePoint last_release_;
  std::optional<FullVerification> verified_;
  HeldWriters writers_;
};

}  // namespace

double HeldWriters::uptime_per_cent() const {
  if (migration.count() <= 0) return held.count() > 0 ? 0 : 100;
  return 100.0 * (1.0 - static_cast<double>(held.count()) / static_cast<double>(migration.count()));
}

std::optional<JournalFacts> facts_of(const std::vector<Stamped>& records, TimePoint now) {
  Reader reader(now);
  for (const Stamped& stamped : records) reader.read(stamped);
  return reader.take_facts(replay(records));
}

}  // namespace whimbrel
