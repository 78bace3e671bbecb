// What `finish` is about to drop, kept.
#pragma once

#include "session/conduct.h"

namespace whimbrel {

// Whether the folder that was given can be written to, before the way back is given up.
Status archive_has_a_place(Session& session, const FinishWanted& wanted);
// Tables that `finish` drops are archived first: into the folder that was given, else below the
// state folder. What this finish has archived already, before it was interrupted, is enough.
Status archive_first(Session& session, const FinishWanted& wanted);

}  // namespace whimbrel
