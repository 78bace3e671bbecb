// What `finish` is about to drop, kept.
#pragma once

#include "session/conduct.h"

namespace whimbrel {

// Tables that `finish` drops are archived first: into the folder that was given, else below the
// state folder. What this finish has archived already, before it was interrupted, is enough.
Status archive_first(Session& session, const FinishWanted& wanted);

}  // namespace whimbrel
