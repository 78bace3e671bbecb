// Moments as stores without a type for them hold their text.
#pragma once

#include <string>

namespace whimbrel {

// `2026-05-01 10:00:00+00` as `2026-05-01 10:00:00+00:00`, which ISO 8601 and SQLite's functions for
// dates understand, and PostgreSQL as well. Any other text is given back as it is.
std::string with_whole_zone(std::string moment);

}  // namespace whimbrel
