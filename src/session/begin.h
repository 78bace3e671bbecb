// What stands before the first change of a run: nothing forgotten by the plan, nothing left by a
// trial, every value read, and a word of the host.
#pragma once

#include "session/session.h"

namespace whimbrel {

// Before the switch everything that the old side holds has to have a place in the plan.
Status refuse_added_columns(Session& session);

// Rows that a trial has left are taken away, the analysis is made where there is no recent one, and
// the host is asked. The journal's lock is held by the caller.
// `goal`: of the run, for whoever asks how long it still takes.
Status make_ready(Session& session, Goal goal);

}  // namespace whimbrel
