#include "engine/begun_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace whimbrel {

namespace {

using nlohmann::json;

// Which keys have another value now: "\n  /limits/batch_size: 1000 → 500".
std::string difference(const json& before, const json& after) {
  std::string text;
  for (const auto& change : json::diff(before, after)) {
    const std::string path = change.value("path", "");
    const json::json_pointer at(path);
    const std::string was = before.contains(at) ? before[at].dump() : "nothing";
    const std::string is = after.contains(at) ? after[at].dump() : "nothing";
    text += fmt::format("\n  {}: {} → {}", path, printable(was, 80), printable(is, 80));
  }
  return text;
}

json parsed(const std::string& plan) { return json::parse(plan, nullptr, false); }

bool begins_anew(const State& state) { return !state.started || state.phase == Phase::rolled_back; }

Error another_plan(const json& before, const json& after) {
  const bool readable = !before.is_discarded() && !after.is_discarded();
  return Error{ErrorCode::refused,
               "the plan is not the one this migration was started with:" +
                   (readable ? difference(before, after) : ""),
               "put the old plan back: by it this migration goes on, and by it it goes back",
               "nothing was changed by this command",
               {},
               ""};
}

// Which rows go where, and what was switched. Values that a switch sets may come from variables,
// and going back puts those of before.
json what_leads_there(const json& plan) {
  constexpr std::array binding = {"migration", "tables",      "ids",     "references", "sample",
                                  "retype",    "on_conflict", "orphans", "sync"};
  json all = json::object();
  if (!plan.is_object()) return all;
  for (const char* key : binding) {
    if (plan.contains(key)) all[key] = plan[key];
  }
  for (json& table : all["tables"]) {
    if (table.is_object()) table.erase("health");
  }
  const json cutover = plan.value("cutover", json::object());
  if (!cutover.is_object()) return all;
  for (const char* part : {"switches", "hold"}) {
    if (!cutover.contains(part)) continue;
    all["cutover"][part] = cutover[part];
    if (!cutover[part].is_array()) continue;
    for (json& one : all["cutover"][part]) {
      if (!one.is_object() || !one.contains("set") || !one["set"].is_object()) continue;
      for (json& value : one["set"]) value = "";
    }
  }
  return all;
}

}  // namespace

Status must_be_the_plan(const State& state, const Migration& migration) {
  if (begins_anew(state) || state.digest == migration.digest) return {};
  return another_plan(parsed(state.plan), parsed(migration.resolved));
}

Status must_lead_there(const State& state, const std::string& resolved) {
  if (begins_anew(state)) return {};
  const json before = what_leads_there(parsed(state.plan));
  const json after = what_leads_there(parsed(resolved));
  return before == after ? Status() : Status(another_plan(before, after));
}

}  // namespace whimbrel
