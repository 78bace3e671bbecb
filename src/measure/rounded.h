#pragma once

#include <cmath>

namespace whimbrel {

// To four places: a measurement is read by people.
inline double rounded(double number) { return std::round(number * 1e4) / 1e4; }

}  // namespace whimbrel
