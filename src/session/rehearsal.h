// `rehearsal: required`: this very plan has been carried out and rolled back somewhere else first.
//
// The proof is the report that every run writes into its state folder. Those are looked at that lie
// beside this migration's: they can be copied there from another machine.
#pragma once

#include "base/error.h"
#include "session/session.h"

namespace whimbrel {

// `refused` where the plan wants a rehearsal and there is none; what was begun goes on without.
Status rehearsal_was_held(Session& session);

}  // namespace whimbrel
