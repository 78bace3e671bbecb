// Everything that a report is made of, gathered once from the journal and the state folder.
//
// Neither stores nor their variables are asked. A migration that has not begun has a story without
// records, and what its plan says.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "journal/journal.h"
#include "report/measured.h"
#include "report/planned.h"
#include "report/story.h"
#include "report/trail.h"

namespace whimbrel {

struct ReportWanted {
  std::string folder;        // the state folder; "" when there is none yet
  nlohmann::json plan_file;  // the resolved plan of the plan file; null when it cannot be read
  std::string plan;          // as the person typed it, for commands to copy
  std::string state_option;  // likewise, "" when it was not said
  bool runner = false;       // somebody else drives the migration right now
  bool redact = false;
  TimePoint now;
};

struct TableFacts {
  PlannedTable table;
  std::optional<CopyProgress> copy;
  std::optional<VerifyProgress> compared;
  std::int64_t expected_rows = -1;  // as the analysis counted them; -1: unknown
};

// The last analysis that a state folder has; null where there is none that can be read.
nlohmann::json last_analysis(const std::string& folder);
// Rows of each table, as it counted them; -1 where it did not.
std::vector<std::int64_t> rows_analyzed(const nlohmann::json& analysis);

struct ReportFacts {
  ReportWanted wanted;
  State state;
  Story story;
  Trail trail;
  Planned plan;
  Measurement measurement;
  nlohmann::json analysis;  // of this plan; null when there is none
  std::string journal_id;
  std::int64_t kept_rows = 0;
  std::vector<TableFacts> tables;

  bool started() const { return state.started; }
  bool dual() const { return plan.sync == "dual"; }
  bool is_switched() const;
  // The plan names no switch: it is a person who leads the application over.
  bool by_hand() const { return plan.switches.empty(); }
  // Sums over the tables.
  std::int64_t rows_read() const;
  std::int64_t rows_written() const;
  // By the copy; some may have come after all since.
  std::int64_t rows_rejected() const;
  std::int64_t rows_moved() const;     // read, and not set aside
  std::int64_t rows_expected() const;  // -1 when unknown
  std::int64_t bytes_read() const;
  // Rows that a comparison found equal or differing: those set aside have nothing to be compared
  // to.
  std::int64_t rows_compared(const Comparison& comparison) const;
  // `whimbrel VERB PLAN [--state FOLDER] MORE`, to be copied into a shell.
  std::string command(const std::string& verb, const std::string& more = "") const;
  // What an error said, unless it must not be told.
  std::string message_of(const Failed& failed) const;
};

Result<ReportFacts> gather(const Journal& journal, ReportWanted wanted);

}  // namespace whimbrel
