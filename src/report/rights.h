// The least permissions that each phase needs, of services that name them: as policies.
//
// For a role that carries the plan out. Derived from what the stores, the switches and the places
// of backups ask for; a test holds it against what is really asked.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "plan/migration.h"

namespace whimbrel {

// Phases, each with a policy document as AWS's IAM takes it; empty where nothing names permissions.
nlohmann::json policies_of(const Migration& migration);
// The same in a line a phase.
std::string policies_text(const nlohmann::json& policies);

}  // namespace whimbrel
