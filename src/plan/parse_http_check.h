// The part of a check that asks a service over HTTP.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "plan/http_check.h"
#include "plan/yaml_reader.h"

namespace whimbrel {

// `check` has `http:`. All mistakes are noted.
HttpCheckPlan parse_http_check(YamlReader& reader, const YAML::Node& check);
// A request with any method. URL and headers that it does not say are those of `same`, if any.
HttpCheckPlan parse_http_request(YamlReader& reader, const YAML::Node& request,
                                 const HttpCheckPlan* same);

// A URL with its variables filled in. A mistake is noted for what is none.
std::string web_url(YamlReader& reader, const YAML::Node& node);
// As it stands in the plan, without a password that stands there as well.
std::string web_url_as_written(const YAML::Node& node);
// What variables give to the scalars below `node`, as far as it is long enough to be a secret.
std::vector<std::string> filled_in(const YamlReader& reader, const YAML::Node& node);

// Scalars by YAML's own types, with their variables filled in.
nlohmann::json json_of(YamlReader& reader, const YAML::Node& node);

// A resolved plan keeps URLs, headers and what is sent as they are written: a variable may be a
// secret. `all`: checks or switches, `resolved` the same of the resolved plan.
void hide_what_is_sent(const YAML::Node& all, nlohmann::json& resolved);

}  // namespace whimbrel
