#include "report/clean_checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/counted.h"

namespace whimbrel {

namespace {

using nlohmann::json;

bool is_told(const State& state, std::int64_t wanted) {
  const bool is_switched = state.phase == Phase::watching || state.phase == Phase::finishing ||
                           state.phase == Phase::finished;
  return is_switched && (wanted > 0 || state.checked);
}

std::string minute_text(TimePoint time) {
  std::string text = to_iso8601(time).substr(0, 16);
  std::ranges::replace(text, 'T', ' ');
  return text + " UTC";
}

}  // namespace

std::string clean_checks_text(const State& state, std::int64_t wanted) {
  if (!is_told(state, wanted)) return "";
  std::string text = wanted > 0
                         ? fmt::format("{} of {} clean checks in a row", state.clean_checks, wanted)
                         : counted(state.clean_checks, "clean check") + " in a row";
  if (!state.checked) return text + "; none was made yet";
  text += fmt::format("; the last one {}, ", minute_text(state.checked_at));
  return text + (state.checked->clean ? "clean" : "not clean: " + state.checked->why);
}

std::string finish_waits_for(const State& state, Milliseconds after, std::int64_t wanted,
                             TimePoint now) {
  const TimePoint due = state.phase_since + after;
  const std::int64_t missing = wanted - state.clean_checks;
  std::string text;
  if (due > now) text += " from " + to_iso8601(due).substr(0, 16);
  if (missing > 0) {
    text += fmt::format("{} after {} more clean {}", text.empty() ? "" : " and", missing,
                        missing == 1 ? "check" : "checks");
  }
  return text.empty() ? "" : ", which the plan allows" + text;
}

json clean_checks_document(const State& state, std::int64_t wanted) {
  if (!is_told(state, wanted)) return json();
  json document = {{"clean", state.clean_checks}, {"wanted", wanted}};
  if (!state.checked) return document;
  const CheckEnded& last = *state.checked;
  document["last"] = {
      {"at", to_iso8601(state.checked_at)}, {"clean", last.clean},         {"rows", last.rows},
      {"differing", last.differing},        {"every_row", last.every_row}, {"why", last.why}};
  return document;
}

}  // namespace whimbrel
