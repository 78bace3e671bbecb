// Room for a row whose key another row has had, in a table in which several moves have theirs.
#pragma once

#include <span>

#include "plan/migration.h"

namespace whimbrel {

// Where one of these rows has a key under which the target still holds a row of another move, and
// that row's own is no longer on the old side, it is deleted, as following its table would do
// later. What stays in the way is refused by whoever writes. Does nothing for a table whose keys
// are its own (Store::shares_keys). Threads: any.
Status make_room(std::span<const Move> moves, const Move& move, std::span<const Change> changes);

}  // namespace whimbrel
