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
    std::string is = after.contains(at) ? after[at].dump() : "nothing";
    if (path.ends_with("/-")) is = change.value("value", json()).dump();  // one more in a list
    text += fmt::format("\n  {}: {} → {}", path, printable(was, 80), printable(is, 80));
  }
  return text;
}

json parsed(const std::string& plan) { return json::parse(plan, nullptr, false); }

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

// What a switch is, and of what. What it sets may come from variables, and going back puts what was
// there before; paths are those of a machine.
json what_is_switched(const json& one) {
  constexpr std::array told_apart_by = {"lambda", "ssm", "s3", "row", "key"};
  json all = json::object();
  if (!one.is_object()) return all;
  for (const auto& [key, value] : one.items()) all[key] = "";
  for (const char* key : told_apart_by) {
    if (one.contains(key)) all[key] = one[key];
  }
  return all;
}

// Which rows go where, and what was switched.
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
  const json switches =
      cutover.is_object() ? cutover.value("switches", json::array()) : json::array();
  for (const json& one : switches) all["cutover"]["switches"].push_back(what_is_switched(one));
  return all;
}

}  // namespace

bool begins_anew(const State& state) { return !state.started || state.phase == Phase::rolled_back; }

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
