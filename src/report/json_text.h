#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace whimbrel {

// On one line. Bytes that are no UTF-8 become U+FFFD: what is written here is read by people.
inline std::string dumped(const nlohmann::json& document) {
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// A whole file, over many lines.
inline std::string document_text(const nlohmann::json& document) {
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace whimbrel
