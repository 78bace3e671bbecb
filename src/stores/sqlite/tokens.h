// SQL text in pieces, as far as names, keywords and operators go.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace whimbrel::sqlite {

using Tokens = std::vector<std::string_view>;

// Words, quoted names and texts as they stand there, and single characters; no spaces, no comments.
// They point into `sql`.
Tokens tokens_of(std::string_view sql);
// Whether a token is a word, outside of quotes.
bool is_word(std::string_view token);
// The name that a token spells, in whichever quotes.
std::string unquoted(std::string_view token);
// Whether one of them spells this name.
bool any_names(Tokens::const_iterator begin, Tokens::const_iterator end, std::string_view name);

// Whether the body of a trigger, given whole, may give this column of the table a value: by SET, or
// by an INSERT that takes the place of a row.
bool any_sets(const Tokens& trigger, std::string_view table, std::string_view column);

}  // namespace whimbrel::sqlite
