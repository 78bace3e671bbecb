// Copying and comparing between tables of two databases: rows pass through as COPY gives them, and
// what is compared are digests that each server makes of its own rows.
#pragma once

#include "base/clock.h"
#include "store/store.h"
#include "stores/postgresql/connection.h"

namespace whimbrel::postgresql {

// Whether rows can pass by without being looked at, and a range of one table's keys is the same
// range of the other's.
bool can_copy_between(const Mapping& mapping);
// Copying waits while replicas or slots of the target are further behind than `limits` say.
Result<std::unique_ptr<InsideCopier>> make_between(std::shared_ptr<Sessions> source,
                                                   std::shared_ptr<Sessions> target,
                                                   const Mapping& mapping,
                                                   const StoreLimits& limits, Clock& clock);

}  // namespace whimbrel::postgresql
