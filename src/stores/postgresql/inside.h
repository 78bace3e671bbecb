// Copying and comparing between two tables of one database, without a row leaving it.
#pragma once

#include "base/clock.h"
#include "store/store.h"
#include "stores/postgresql/connection.h"

namespace whimbrel::postgresql {

// Whether the server converts each column of the target as the mapping says.
bool can_copy_inside(const Mapping& mapping);
// Copying waits while replicas or slots are further behind than `limits` say.
Result<std::unique_ptr<InsideCopier>> make_inside(std::shared_ptr<Sessions> sessions,
                                                  const Mapping& mapping, const StoreLimits& limits,
                                                  Clock& clock);

}  // namespace whimbrel::postgresql
