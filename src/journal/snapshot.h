// The state as it was at a record, so that whoever only looks need not hear all records before it.
//
// It is a cache of the records beside it: one of another shape, or a damaged one, is not used.
#pragma once

#include <optional>
#include <string>

#include "journal/record.h"

namespace whimbrel {

std::string snapshot_of(const State& state);
// Unset for a text that this release has not written.
std::optional<State> state_from_snapshot(const std::string& text);

}  // namespace whimbrel
