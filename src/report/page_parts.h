// The parts of the page, in the order in which it shows them; see page.h.
#pragma once

#include "report/facts.h"
#include "report/html.h"

namespace whimbrel::page {

// page.cpp
void begin_section(Html& html, const char* id, const char* title);
// A table whose first row of cells names its columns; cells of numbers stand to the right.
struct Column {
  const char* name;
  bool is_number = false;
};
void table_head(Html& html, const std::vector<Column>& columns);
void cell(Html& html, const std::string& text, const Column& column);

// page_charts.cpp
void timeline(Html& html, const ReportFacts& facts);
void charts(Html& html, const ReportFacts& facts);

// page_tables.cpp
void validation(Html& html, const ReportFacts& facts);
void tables(Html& html, const ReportFacts& facts);
void events(Html& html, const ReportFacts& facts);
void audit_trail(Html& html, const ReportFacts& facts);

extern const char* const stylesheet;  // stylesheet.cpp

}  // namespace whimbrel::page
