// A journal that fails as its seed says, and can be cut off after any record.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "faults.h"
#include "journal/journal.h"

namespace whimbrel::simulation {

class FaultyJournal final : public Journal {
 public:
  static std::unique_ptr<FaultyJournal> make(SimulatedClock& clock, Faults& faults) {
    std::unique_ptr<FaultyJournal> journal(new FaultyJournal(clock, faults));
    assert_always(journal->load(Reading::whole).ok(), "a journal in memory");
    return journal;
  }

  Status append(const Record& record) override {
    TRY(faults_.before("append"));
    faults_.die_at_record(std::ssize(appended_) + 1, true);
    TRY(Journal::append(record));
    appended_.push_back(record);
    note(record);
    faults_.die_at_record(std::ssize(appended_), false);
    return faults_.after("append");
  }

  const std::vector<Record>& appended() const { return appended_; }
  // Whether a switch was about to be flipped at any time in this attempt.
  bool reached_a_switch() const { return reached_a_switch_; }
  std::function<void()> on_attempt;

 private:
  FaultyJournal(SimulatedClock& clock, Faults& faults)
      : Journal(":memory:", clock), faults_(faults) {}
  void note(const Record& record) {
    if (std::holds_alternative<PlanAccepted>(record)) {
      reached_a_switch_ = false;
      if (on_attempt) on_attempt();
    }
    if (const auto* intended = std::get_if<EffectIntended>(&record)) {
      reached_a_switch_ = reached_a_switch_ || intended->id.starts_with("switch:");
    }
  }

  Faults& faults_;
  std::vector<Record> appended_;
  bool reached_a_switch_ = false;
};

}  // namespace whimbrel::simulation
