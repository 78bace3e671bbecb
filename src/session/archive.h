// What `finish` is about to drop, kept.
#pragma once

#include <string>
#include <vector>

#include "session/conduct.h"

namespace whimbrel {

// Whether something goes that nobody can bring back without an archive.
bool tables_go(Session& session);
// `refused` where tables would go without an archive and the plan protects production.
Status may_go_without_archive(Session& session, const FinishWanted& wanted);
// Whether the folder that was given can be written to, before the way back is given up.
Status archive_has_a_place(Session& session, const FinishWanted& wanted);
// Tables that `finish` drops are archived first: into the folder that was given, else below the
// state folder. What this finish has archived already, before it was interrupted, is enough.
Status archive_first(Session& session, const FinishWanted& wanted);
// What `finish` would do now, a sentence without its subject for each step.
std::vector<std::string> steps_of_finish(Session& session, const FinishWanted& wanted);

}  // namespace whimbrel
