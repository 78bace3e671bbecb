// What a migration makes in the databases besides rows, and what others wait for: told in advance.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "plan/migration.h"

namespace whimbrel {

// A list of sentences.
nlohmann::json objects_made(const Migration& migration);
std::string locks_taken(const Migration& migration);

}  // namespace whimbrel
