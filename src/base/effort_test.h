// How much a test does: as much as fits into ./check, or with WHIMBREL_THOROUGH=1, as
// ./check --all sets it, all of it.
#pragma once

#include <cstdlib>
#include <string_view>

namespace whimbrel {

inline int effort(int usual, int thorough) {
  const char* said = std::getenv("WHIMBREL_THOROUGH");
  return said != nullptr && std::string_view(said) == "1" ? thorough : usual;
}

}  // namespace whimbrel
