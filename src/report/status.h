// What `status` tells: from the journal alone, so that neither stores nor their
// variables are needed.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

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
struct Screen {
  std::size_t columns = 80;
  std::size_t rows = 24;
};
// The same for a screen that is drawn anew: never more lines than it shows without scrolling, none
// wider than it, or than 80 columns. Of many tables those at work, and a line that sums up.
std::string status_block(const Journal& journal, TimePoint now,
                         const std::optional<Headway>& headway, const std::vector<NextStep>& steps,
                         Screen screen);

enum class Beside { nobody, runner, paused_runner };
// Commands that work in this state; beside a runner those that it heeds.
std::vector<NextStep> next_steps(const State& state, const std::string& plan,
                                 Beside beside = Beside::nobody);

// What another machine needs to roll back: the plan, its digest, and digests of the files beside.
Result<nlohmann::json> checkpoint_document(const Journal& journal, const std::string& folder,
                                           TimePoint now);

}  // namespace whimbrel
