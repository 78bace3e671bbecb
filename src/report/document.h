// The report for scripts and auditors: one JSON object with every record of the journal, and the
// same as text for a terminal. Both are written as the journal is read, so that no number of
// records has to fit into memory.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string_view>

#include "journal/journal.h"
#include "report/facts.h"

namespace whimbrel {

using Sink = std::function<Status(std::string_view text)>;

// Everything but the trail.
nlohmann::json report_head(const Journal& journal, const ReportFacts& facts);
// docs/schemas/report.schema.json; in one line, or for a file one line a record.
Status write_report_json(const Journal& journal, const ReportFacts& facts, bool one_line,
                         const Sink& sink);
Status write_report_text(const Journal& journal, const ReportFacts& facts, const Sink& sink);

// migration-report-TIME.json and .html in the state folder, and each as `…-latest`. Gives the name
// of the JSON file.
Result<std::string> write_report_files(const Journal& journal, const ReportFacts& facts);

}  // namespace whimbrel
