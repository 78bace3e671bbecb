// What `status` tells: from the journal alone, so that neither stores nor their
// variables are needed.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/clock.h"
#include "journal/journal.h"

namespace whimbrel {

struct NextStep {
  std::string command;
  std::string why;
};

nlohmann::json status_document(const Journal& journal, TimePoint now);
// At most 80 columns wide; the first line says who reads and writes where.
std::string status_text(const Journal& journal, TimePoint now);
std::vector<NextStep> next_steps(const State& state, const std::string& plan);

// What another machine needs to roll back: the plan, its digest, and digests of the files beside.
Result<nlohmann::json> checkpoint_document(const Journal& journal, const std::string& folder,
                                           TimePoint now);

}  // namespace whimbrel
