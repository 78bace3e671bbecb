// What the calls of a Runner give: plain values that may be kept, copied and read by any thread.
//
// Row counts are counts of rows; times are of the system's clock. Texts are UTF-8. Of rows, only
// `DifferingRow` shows keys and values; with RunnerOptions::redact it is not filled.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "phase/names.h"

namespace whimbrel {

// How a call that may change something ended.
enum class Ending {
  carried_out,  // the goal is reached
  already,      // it was carried out before: nothing to do
  dry_run,      // the plan says `dry_run: true`: nothing was changed
  asked,        // another runner is at work on it, and carries it out
  gave_up,      // the hold could not be kept: nothing is switched, and it may be tried again
  rolled_back,  // of run(): a rollback was asked for, or not ended before; all is undone
};

// Something to tell a person, though the call went well.
struct Warning {
  std::string what;  // a sentence
  std::string hint;  // what to do about it; may be empty
};

// Of run(), cutover(), rollback() and finish().
struct RunResult {
  Ending ending = Ending::carried_out;  // only `carried_out` and `already` mean success
  Phase phase = Phase::planned;         // where the migration stands now
  std::string reason;                   // a sentence: why it ended there
  std::vector<std::string> notes;       // what each switch says of itself, when one was decided
  std::vector<Warning> warnings;        // such as a report that could not be written

  // The goal is reached, by this call or an earlier one.
  bool reached() const { return ending == Ending::carried_out || ending == Ending::already; }
};

// Of check() and analyze().
struct AnalysisResult {
  bool refused = false;           // run() would refuse
  std::string text;               // for a person, several lines
  std::string json;               // for a program: docs/schemas/analysis.schema.json
  std::string file;               // where the same lies in the state folder; "" of check()
  std::vector<Warning> warnings;  // what does not keep run() from beginning
};

// A row that is not the same on both sides.
struct DifferingRow {
  std::string table;  // by its name in the plan
  std::string key;    // as text
  std::string what;   // which columns, and how
};

// Of verify().
struct VerifyResult {
  std::int64_t rows = 0;         // that were compared
  std::int64_t differing = 0;    // that are not the same on both sides
  std::int64_t on_new_side = 0;  // that the new side wrote, judged by the way back
  std::int64_t lagging = 0;      // that wait to be carried over, and do not count as differing
  std::int64_t repaired = 0;     // that were put right
  std::vector<DifferingRow> examples;  // at most a thousand of each table
  std::vector<Warning> warnings;       // for a person

  // No row differs.
  bool equal() const { return differing == 0; }
};

// How far one table is.
struct TableStatus {
  std::string name;                 // in the plan
  std::string from;                 // store/table
  std::string to;                   // store/table
  std::int64_t rows_read = 0;       // from the old side, in this attempt
  std::int64_t rows_written = 0;    // to the new side
  std::int64_t rows_rejected = 0;   // set aside, because the plan says `on_error: reject`
  bool copied = false;              // the whole table was read
  std::int64_t rows_compared = 0;   // by the latest comparison
  std::int64_t rows_differing = 0;  // that it found
};

// Of status(): from the journal alone, so that it answers when a database does not.
struct StatusResult {
  bool started = false;                         // else only `text` and `json` say something
  std::string migration;                        // its name
  int attempt = 0;                              // from 1; one more after each rollback
  Phase phase = Phase::planned;                 // the journal's word for where it stands
  std::string why;                              // why it came there
  std::chrono::system_clock::time_point since;  // when it came there, to the millisecond
  std::string who;                              // a sentence: which side is read and written
  std::string way_back;                         // a sentence: whether and how long there is one
  bool runner_at_work = false;                  // this or another process drives it right now
  std::vector<TableStatus> tables;              // in the order of the plan
  std::int64_t rows_rejected = 0;               // set aside in rejected.jsonl
  std::int64_t rows_kept = 0;                   // with values that the old shape cannot hold
  std::string text;                             // for a person, several lines of at most 80 columns
  std::string json;                             // for a program
};

}  // namespace whimbrel
