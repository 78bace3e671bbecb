// Names as standard SQL quotes them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace whimbrel {

// An identifier in double quotes, with quotes inside doubled.
std::string quote_name(std::string_view identifier);
// `"a", "b"`
std::string name_list(const std::vector<std::string>& identifiers);

}  // namespace whimbrel
