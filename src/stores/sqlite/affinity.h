// What a column does to a value that is stored in it (https://www.sqlite.org/datatype3.html).
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "value/value.h"

namespace whimbrel::sqlite {

enum class Affinity { blob, text, numeric, integer, real };

// From the declared type, by SQLite's own five rules.
Affinity affinity_of(std::string_view declared);

// Whether a numeric column may take it for a number: anything else stays the text that it is.
bool could_be_number(std::string_view text);

// The value as the column holds it. `refused` for NaN, for kinds SQLite does not have, and where
// the column would change the value so that it does not come back: '007' in an INTEGER column,
// 2^53 + 1 in a REAL one.
Result<Value> settle(Affinity affinity, Value value);

}  // namespace whimbrel::sqlite
