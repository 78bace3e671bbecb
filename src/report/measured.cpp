#include "report/measured.h"

#include <nlohmann/json.hpp>

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
  measurement.made_at = text(document, "made_at");
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

}  // namespace whimbrel
