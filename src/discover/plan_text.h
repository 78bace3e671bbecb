// Pieces of a plan as text, with any name that a table or a column may have.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "transform/expr.h"

namespace whimbrel {

// A name as a key of a YAML map: bare where every reader of YAML takes it for a text.
std::optional<std::string> key_text(const std::string& name);
// The same as a scalar that the plan reads, where ${…} would be filled in: `$` is then said by the
// variable `dollar`, and `uses_dollar` is set.
std::optional<std::string> scalar_text(const std::string& name, bool& uses_dollar);
inline constexpr const char* dollar_variable = "DOLLAR";
// ALIAS/TABLE.
std::optional<std::string> address_text(const std::string& alias, const std::string& table,
                                        bool& uses_dollar);
// What a column gets; nothing where the grammar has no words for it.
std::optional<std::string> mapping_text(const Expr& expr);

// Of an entry below a heading.
inline constexpr const char* outer = "  ";

// A comment of whole lines that fit a screen; each begins with `indent`, `mark` and a space.
std::string comment(std::string_view indent, const std::string& text, std::string_view mark = "#");
// Each line of `text` after `indent` and `mark`.
std::string marked(std::string_view indent, std::string_view mark, const std::string& text);
// Nothing for a text that would end a comment's line.
std::optional<std::string> on_one_line(const std::string& text);

}  // namespace whimbrel
