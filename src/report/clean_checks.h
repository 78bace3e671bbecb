// What the checks of `watch` after the switch came to, and what `finish` still waits for.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/clock.h"
#include "journal/record.h"

namespace whimbrel {

// "3 of 7 clean checks in a row; the last one 2026-11-20 23:53 UTC, clean"; "" when nothing is
// watched or nobody asks.
std::string clean_checks_text(const State& state, std::int64_t wanted);
// ", which the plan allows from 2026-11-27T23:53 and after 4 more clean checks"; "" when it may be
// done now.
std::string finish_waits_for(const State& state, Milliseconds after, std::int64_t wanted,
                             TimePoint now);
// Null where clean_checks_text() says nothing.
nlohmann::json clean_checks_document(const State& state, std::int64_t wanted);

}  // namespace whimbrel
