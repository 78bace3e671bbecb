// Where backups and archives of a migration lie, and what it will switch.
#pragma once

#include <string>

#include "base/error.h"
#include "session/session.h"

namespace whimbrel {

// A place of a plan: its folders are below the state folder, unless they are absolute.
std::string place_for(const std::string& state_folder, const std::string& place);

// That the plan's places are there and may be looked at; nothing is written. The backup's has to
// be, of the archive's the host is warned.
Status places_are_there(Session& session);
// Before the switch: the host is warned of whatever could not be flipped now, because it is not
// there or does not let us look. It may come until then, so nothing is refused.
void look_at_switches(Session& session);

}  // namespace whimbrel
