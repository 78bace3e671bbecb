// A journal as a migration would leave it, for the tests of this folder.
#pragma once

#include <memory>
#include <string>

#include "report/facts.h"

namespace whimbrel::report_test {

class HandClock final : public Clock {
 public:
  TimePoint now() override { return TimePoint(now_); }
  Milliseconds monotonic() override { return now_; }
  void sleep_for(Milliseconds duration) override { now_ += duration; }
  void pass(std::int64_t ms) { now_ += Milliseconds(ms); }

 private:
  Milliseconds now_{1'800'000'000'000};
};

struct Journaled {
  HandClock clock;
  std::unique_ptr<Journal> journal = Journal::in_memory(clock).value();
  ReportWanted wanted = {"", nullptr, "plan.yaml", "", false, false, {}};

  void add(const Record& record, std::int64_t after_ms = 10) {
    clock.pass(after_ms);
    (void)journal->append(record);
  }
  std::string switches = R"([{"row": "db/flags", "key": {"name": "x"}, "set": {"on": "1"}}])";

  void begin(const std::string& sync = "capture", const std::string& table = "old",
             int attempt = 1) {
    const nlohmann::json about = {
        {"tables", {{{"name", table}, {"from", "db/" + table}, {"to", "db/new " + table}}}},
        {"sync", sync}};
    add(PlanAccepted{
        attempt, "a-name", "00000000000000000000000000000000",
        R"({"migration": "a-name", "backup": {"of": ["source"], "to": "file:b"}, "cutover": {"switches": )" +
            switches + "}}",
        about.dump()});
    add(PhaseEntered{Phase::planned, "the plan is accepted"});
  }
  void copy(int chunks, std::int64_t rows_each) {
    add(PhaseEntered{Phase::copying, "now"});
    for (int i = 0; i < chunks; ++i) {
      add(ChunkCopied{0, "", i + 1 == chunks, rows_each, rows_each, 0, 0, 100, 10}, 10);
    }
    add(PhaseEntered{Phase::following, "every chunk has moved"});
  }
  void compare(std::int64_t rows, std::int64_t differing, const std::string& checksum = "") {
    add(ChunkVerified{0, rows, differing, checksum, checksum});
    add(VerifyEnded{true, rows, differing, 0, 50}, 50);
  }
  void hold(std::int64_t ms, std::int64_t allowed_ms) {
    clock.pass(1);
    const std::int64_t until = clock.now().time_since_epoch().count() + allowed_ms;
    add(EffectIntended{"hold", nlohmann::json({{"until_ms", until}}).dump()}, 0);
    add(EffectUndone{"hold"}, ms);
  }
  void switch_over() {
    add(EffectIntended{"switched", "{}"});
    add(EffectConfirmed{"switched", "{}"});
    add(PhaseEntered{Phase::watching, "every switch is flipped"});
  }
  ReportFacts facts() {
    wanted.now = clock.now();
    return gather(*journal, wanted).value();
  }
};

}  // namespace whimbrel::report_test
