// The text that makes a table, without its foreign keys: for tables that refer to each other, where
// one has to be there first. Only what is read of the table matters there.
#pragma once

#include <string>
#include <string_view>

namespace whimbrel::postgresql {

// Texts, names and comments stay as they are. What does not read as SQL stays whole.
std::string without_foreign_keys(std::string_view sql);

}  // namespace whimbrel::postgresql
