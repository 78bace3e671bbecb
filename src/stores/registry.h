// Which URL opens which store: one line a store.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "store/store.h"

namespace whimbrel {

// invalid_plan for a scheme nobody knows or that this release does not open yet.
Result<std::shared_ptr<Store>> open_store(const std::string& url, Clock& clock);

}  // namespace whimbrel
