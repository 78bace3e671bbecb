// The canonical form of what is not a Value yet: pieces for stores that compare rows where they
// lie.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "value/value.h"

namespace whimbrel {

// Each appends what append_canonical() would for the value.
void append_canonical_null(std::string& out);
void append_canonical_integer(std::string& out, std::int64_t number);
void append_canonical_real(std::string& out, double number);
void append_canonical_text(std::string& out, Kind kind, std::string_view text);

// In the place of a long text or bytes: its length and XXH3-128, so that comparing a row does not
// cost another copy of it. Not a canonical form: only to be compared with its like.
void append_digest(std::string& out, Kind kind, std::string_view text);

}  // namespace whimbrel
