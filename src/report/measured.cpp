#include "report/measured.h"

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "report/files.h"

namespace whimbrel {

namespace {

using nlohmann::json;

std::string text(const json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null() || it->is_structured()) return "";
  return it->is_string() ? it->get<std::string>() : it->dump();
}

}  // namespace

Measurement read_measurement(const std::string& state_folder) {
  Measurement measurement;
  const Result<std::string> content = read_file(state_folder + "/migration-comparison-latest.json");
  if (!content.ok()) return measurement;
  const json document = json::parse(content.value(), nullptr, false);
  if (!document.is_object()) return measurement;
  measurement.migration = text(document, "migration");
  measurement.made_at = text(document, "made_at");
  const auto after = document.find("after");
  measurement.measured_at =
      after != document.end() && after->is_object() ? text(*after, "made_at") : measurement.made_at;
  const auto criteria = document.find("criteria");
  if (criteria == document.end() || !criteria->is_array()) return measurement;
  for (const json& one : *criteria) {
    if (!one.is_object()) continue;
    const auto met = one.find("met");
    const auto advisory = one.find("advisory");
    measurement.criteria.push_back(
        {text(one, "name"), text(one, "wanted"), text(one, "measured"),
         met != one.end() && met->is_boolean() ? std::optional(met->get<bool>()) : std::nullopt,
         advisory != one.end() && advisory->is_boolean() && advisory->get<bool>()});
  }
  return measurement;
}

Measurement only_of(const Story& story, const std::string& migration, Measurement measurement) {
  if (measurement.criteria.empty()) return measurement;
  const EffectTimes* switched = story.effect("switched");
  // Times of one form and one zone: their texts are in their order.
  const auto older_than = [&](TimePoint at) { return measurement.measured_at < to_iso8601(at); };
  if (!measurement.migration.empty() && measurement.migration != migration) {
    measurement.left_out = "the comparison in the state folder is of another migration";
  } else if (story.attempts.empty()) {
    measurement.left_out = "nothing has begun yet that could be judged";
  } else if (older_than(story.attempts.back().from)) {
    measurement.left_out = story.attempts.size() > 1
                               ? "the last comparison is of an earlier attempt"
                               : "the last comparison was measured before the migration began";
  } else if (switched != nullptr && switched->confirmed && older_than(*switched->confirmed)) {
    measurement.left_out = "the last comparison was measured before the switch";
  }
  if (!measurement.left_out.empty()) measurement.criteria.clear();
  return measurement;
}

}  // namespace whimbrel
