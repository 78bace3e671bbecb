// What a plan says, written back as a plan would say it.
//
// The reverse of parse_value: what is printed is read again as the same expression. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/measures.h"
#include "transform/expr.h"

namespace whimbrel {

// A text in double quotes that YAML reads back byte by byte; nothing for a text that is no UTF-8,
// which YAML cannot hold.
std::optional<std::string> yaml_text(const std::string& text);
// What `create:` calls the file with the DDL of a table: a name in which odd characters do no harm.
std::string ddl_file_name(const std::string& table);
// In YAML's flow style, on one line. Nothing where the grammar has no words for it.
std::optional<std::string> print_value(const Expr& expr);
// The lines of `queries:`, `criteria:` and `advisory:`; none for a part that is empty, and a
// comment for a query that the grammar has no words for.
std::vector<std::string> print_measures(const MeasuresPlan& plan);
// The same questions for the way back: what was the new side is the old one. What compares with
// before is left out: it was said of the way there.
MeasuresPlan turned_round(MeasuresPlan plan);

}  // namespace whimbrel
