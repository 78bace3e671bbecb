// Moments as stores without a type for them hold their text.
#pragma once

#include <string>

namespace whimbrel {

// A moment whose zone is said in hours, `2026-05-01 10:00:00+00`, with its minutes as well, as
// ISO 8601 has it: `+00:00`. Any other text is given back as it is.
std::string with_whole_zone(std::string moment);

}  // namespace whimbrel
