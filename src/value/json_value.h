// JSON text as values and back, with every number as it is written.
//
// A number that is no 64-bit integer, and would not be the same text again as a double, is a
// decimal. Of a name that comes twice the last value counts.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "value/value.h"

namespace whimbrel {

// Nothing where it is no JSON.
std::optional<Value> value_of_json(std::string_view text);
// Without spaces, names in order. `refused` for what JSON has no words for: bytes, sets, infinity,
// text that is no UTF-8. Dates and their like are texts.
Result<std::string> json_text_of(const Value& value);

// Whether two documents say the same: numbers by all their digits, however they are spelled.
bool mean_the_same(const Value& one, const Value& other);

}  // namespace whimbrel
