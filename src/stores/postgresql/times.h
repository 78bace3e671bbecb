// Texts of moments, as most programs write them: ISO 8601.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "stores/postgresql/types.h"

namespace whimbrel::postgresql {

// What a column of this class (date, time, timestamp, timestamp_tz) would show for the text under
// the settings of a Connection. Unset for every text that has to be left to the server, also where
// it means something: other orders of day and month, names of zones, more than six decimals.
std::optional<std::string> moment_of(TypeClass is, std::string_view text);

}  // namespace whimbrel::postgresql
