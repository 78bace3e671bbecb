// The verbs that only look: neither changes anything in a store.
#pragma once

#include <string>

#include "report/analysis.h"
#include "session/session.h"

namespace whimbrel {

struct Analyzed {
  Analysis analysis;
  std::string file;  // the document in the state folder
};

// Reads every row of a plan that is loaded, and leaves no document.
Result<Analysis> analysis_of(Session& session);
// Reads every row. The document is written into the state folder.
Result<Analyzed> analyze_migration(Session& session);
// The same of a session whose plan is loaded.
Result<Analyzed> analyze_opened(Session& session);
// Schemas, rights and settings. The host is warned of queries that cannot be measured.
Result<Analysis> check_migration(Session& session);

}  // namespace whimbrel
