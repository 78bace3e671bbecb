// What a journal says: one record a fact, in the order in which the facts came to be.
//
// The order of writes carries the safety: the capture position before the first row is read, the
// intent before anything that changes a user's database, the effect before its confirmation.
// Records are never changed; new kinds and new fields are added with a default, so that the next
// release reads this one's journals.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "phase/phase.h"

namespace whimbrel {

struct PlanAccepted {
  int attempt = 1;
  std::string migration;
  std::string digest;
  std::string plan;    // the resolved plan as JSON, without secrets
  std::string tables;  // JSON: what `status` and `report` need to know without the stores
};
struct PhaseEntered {
  Phase phase = Phase::planned;
  std::string why;
};
struct EffectIntended {
  std::string id;
  std::string undo;  // JSON: what is needed to take it back
};
struct EffectConfirmed {
  std::string id;
  std::string result;  // JSON: what came of it
};
struct EffectUndone {
  std::string id;
};
struct ChunkCopied {
  int move = 0;
  std::string through;  // hex of the canonical key; "" when the table's end was reached
  bool at_end = false;
  std::int64_t read = 0;
  std::int64_t written = 0;
  std::int64_t skipped = 0;
  std::int64_t rejected = 0;
  std::int64_t bytes = 0;
  std::int64_t ms = 0;
};
struct ChangesApplied {
  std::string feed;
  std::string position;
  std::int64_t changes = 0;
  std::int64_t written = 0;
};
struct ChunkVerified {
  int move = 0;
  std::int64_t rows = 0;
  std::int64_t differing = 0;
  std::string expected;  // fingerprints
  std::string found;
};
struct VerifyEnded {
  bool full = true;
  std::int64_t rows = 0;
  std::int64_t differing = 0;
  std::int64_t on_new_side = 0;  // rows that the new side wrote, judged by the way back
  std::int64_t ms = 0;
};
struct RowRejected {
  int move = 0;
  std::string key_digest;
  std::string reason;
};
// A row that was set aside has come after all, or is gone.
struct RowCarried {
  int move = 0;
  std::string key_digest;
};
// A copy is made again, and every row that cannot come is set aside again.
inline constexpr const char* set_aside_anew_record = "set_aside_anew";
struct OperatorDecided {
  std::string what;  // pause, resume, limits, cutover, rollback, decide, finish, set_aside_anew
  std::string value;
};
struct Failed {
  std::string code;
  std::string message;
};
struct Closed {
  std::string outcome;  // finished, rolled_back
};
// A check after the switch. It began `ms` before its record.
struct CheckEnded {
  bool clean = false;
  bool every_row = true;
  std::int64_t rows = 0;
  std::int64_t differing = 0;
  std::int64_t changes = 0;  // carried since the check before, and looked at by this one
  std::int64_t ms = 0;
  std::int64_t every_ms = 0;  // two clean ones closer than that count as one
  std::string through;        // JSON: where the next part of the keys begins
  std::string why;            // it is not clean; without keys and values of rows
};

using Record = std::variant<PlanAccepted, PhaseEntered, EffectIntended, EffectConfirmed,
                            EffectUndone, ChunkCopied, ChangesApplied, ChunkVerified, VerifyEnded,
                            RowRejected, OperatorDecided, Failed, Closed, CheckEnded, RowCarried>;

struct Stamped {
  std::int64_t number = 0;
  TimePoint at;
  Record record;
};

const char* name_of(const Record& record);
std::string to_json(const Record& record);
// An error for text that no release wrote.
Result<Record> record_from_json(const std::string& name, const std::string& json);

struct Effect {
  std::string id;
  std::string undo;
  std::string result;
  bool confirmed = false;
  TimePoint at;
};
struct CopyProgress {
  std::optional<std::string> through;  // hex; unset before the first chunk
  bool at_end = false;
  std::int64_t chunks = 0;
  std::int64_t read = 0;
  std::int64_t written = 0;
  std::int64_t skipped = 0;
  std::int64_t rejected = 0;
  std::int64_t bytes = 0;
  std::int64_t ms = 0;
};
struct VerifyProgress {
  std::int64_t rows = 0;
  std::int64_t differing = 0;
  std::string expected;
  std::string found;
};

// Everything the engine remembers: a pure function of the records.
struct State {
  int attempt = 0;
  std::string migration;
  std::string digest;
  std::string plan;
  std::string tables;
  Phase phase = Phase::planned;
  std::string why;
  TimePoint phase_since;
  std::map<std::string, TimePoint> phase_times;  // of this attempt, by name
  std::vector<Effect> effects;                   // intended and not undone, oldest first
  std::map<int, CopyProgress> copies;
  std::map<std::string, std::string> positions;  // by feed
  std::map<std::string, std::int64_t> changes;   // applied, by feed
  std::map<int, VerifyProgress> verifies;        // of the latest comparison
  std::optional<VerifyEnded> verified;
  TimePoint verified_at;
  std::int64_t rejected = 0;
  std::int64_t left_behind = 0;                  // of these: not where both sides have the row
  std::map<std::string, std::string> decisions;  // the latest of each kind
  std::optional<Failed> last_failure;
  std::string outcome;
  // Since the switch.
  std::optional<CheckEnded> checked;  // the latest one
  TimePoint checked_at;
  std::int64_t clean_checks = 0;  // in a row, as far as they count
  TimePoint clean_counted_at;     // when the last of these began
  std::int64_t changes_since_check = 0;
  bool started = false;
  TimePoint read_at;  // when a record was last written by somebody who had followed the writes

  const Effect* effect(const std::string& id) const;
  bool confirmed(const std::string& id) const;
};

void apply(State& state, const Stamped& stamped);
State replay(const std::vector<Stamped>& records);

}  // namespace whimbrel
