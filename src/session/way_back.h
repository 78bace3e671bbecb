// Old tables that are gone, after `finish` or by somebody's hand, from the archive or a backup.
#pragma once

#include "session/session.h"

namespace whimbrel {

// Binds the plan without them; false when that is not what is wrong.
bool old_tables_are_gone(Session& session);

// Each old table is left alone where it is there as a whole. What happens next is an ordinary
// rollback.
Status bring_back_old_tables(Session& session);

}  // namespace whimbrel
