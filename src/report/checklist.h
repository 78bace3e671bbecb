// The checklist of a migration: each line ticked, crossed or not measured, by what was measured and
// never by what was only done, with the value and where it comes from.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "report/facts.h"

namespace whimbrel {

enum class Tick { met, not_met, not_measured };
const char* name_of(Tick tick);  // met, not_met, not_measured

struct CheckLine {
  std::string id;    // "rows_compared"; of a criterion its name
  std::string what;  // "Every row was compared, and none differs"
  Tick tick = Tick::not_measured;
  std::string value;
  std::string source;
  bool advisory = false;  // told, and no reason to call the migration a failure
};

std::vector<CheckLine> checklist(const ReportFacts& facts);
nlohmann::json to_json(const std::vector<CheckLine>& lines);

}  // namespace whimbrel
