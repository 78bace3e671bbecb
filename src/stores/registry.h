// Which URL opens which store: one line a store.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "store/store.h"

namespace whimbrel {

// invalid_plan for a scheme nobody knows or that this release does not open yet.
Result<std::shared_ptr<Store>> open_store(const std::string& url, Clock& clock,
                                          const StoreSettings& settings = {});
// The URL with a relative path in it taken as below `folder`; any other as it is.
std::string url_below(const std::string& url, const std::string& folder);

}  // namespace whimbrel
