// The report as one HTML file: for a manager at its top, for an auditor at its end.
//
// It loads nothing and runs no script, is readable on a telephone and on paper, light and dark, and
// stays small however many chunks there were.
#pragma once

#include <string>

#include "report/facts.h"

namespace whimbrel {

std::string report_page(const ReportFacts& facts);

}  // namespace whimbrel
