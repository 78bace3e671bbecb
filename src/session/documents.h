// The documents in the state folder: report, page and checkpoint.
#pragma once

#include <nlohmann/json.hpp>

#include "report/document.h"
#include "session/session.h"

namespace whimbrel {

// `plan`: the resolved plan of the plan file, or null when it cannot be read.
ReportWanted report_wanted(Session& session, nlohmann::json plan);
// Report, page and, once there is something to roll back, the checkpoint.
Status write_reports(const Journal& journal, const ReportFacts& facts);
// The same of an open session, stamped and as `…-latest`.
Status write_documents(Session& session);

}  // namespace whimbrel
