// What `status` tells: from the journal alone, so that neither stores nor their
// variables are needed.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/clock.h"
#include "journal/journal.h"
#include "report/headway.h"

namespace whimbrel {

struct NextStep {
  std::string command;
  std::string why;
};

// `headway`: of the runner at work, if there is one.
nlohmann::json status_document(const Journal& journal, TimePoint now,
                               const std::optional<Headway>& headway = std::nullopt);
// At most 80 columns wide; the first line says who reads and writes where. Times are UTC.
std::string status_text(const Journal& journal, TimePoint now,
                        const std::optional<Headway>& headway = std::nullopt);
std::vector<NextStep> next_steps(const State& state, const std::string& plan);

// What another machine needs to roll back: the plan, its digest, and digests of the files beside.
Result<nlohmann::json> checkpoint_document(const Journal& journal, const std::string& folder,
                                           TimePoint now);

}  // namespace whimbrel
