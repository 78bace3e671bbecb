// Words of the JSON that AWS answers with, where a key may be spelled in several ways or hold
// something else.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>

namespace whimbrel::aws {

// The first of these keys that holds a text; "" when none does, or `body` is no object.
inline std::string text_of(const nlohmann::json& body, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (body.is_object() && body.contains(name) && body[name].is_string()) return body[name];
  }
  return "";
}

}  // namespace whimbrel::aws
