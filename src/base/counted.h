// A number and its noun, as a person says them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace whimbrel {

// "1 row", "0 rows", "1,234 rows". For nouns that take an s.
std::string counted(std::int64_t number, std::string_view noun);
std::string rows_text(std::int64_t rows);

}  // namespace whimbrel
