#include "plan/http_check.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace whimbrel {

namespace {

using nlohmann::json;

constexpr int shown_max = 300;

std::string shown(const json& value) {
  return printable(value.dump(-1, ' ', false, json::error_handler_t::replace), shown_max);
}

// The first place where what is named is missing or different, as "`/a/b` is 1 where 2 is
// expected".
std::string difference(const json& wanted, const json& found, const std::string& at) {
  if (wanted.is_object() && found.is_object()) {
    for (const auto& [name, value] : wanted.items()) {
      const std::string place = at + "/" + name;
      if (!found.contains(name)) {
        return fmt::format("it has no `{}`, where {} is expected", printable(place), shown(value));
      }
      if (std::string wrong = difference(value, found[name], place); !wrong.empty()) return wrong;
    }
    return "";
  }
  if (wanted.is_array() && found.is_array() && wanted.size() == found.size()) {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      std::string wrong = difference(wanted[i], found[i], at + "/" + std::to_string(i));
      if (!wrong.empty()) return wrong;
    }
    return "";
  }
  if (wanted == found) return "";
  return fmt::format("{} is {} where {} is expected",
                     at.empty() ? "the answer" : "`" + printable(at) + "`", shown(found),
                     shown(wanted));
}

}  // namespace

std::string what_is_wrong(const HttpCheckPlan& wanted, int status, const std::string& body) {
  const bool is_good = wanted.status ? status == *wanted.status : status >= 200 && status < 300;
  if (!is_good) {
    return fmt::format("answered {} where {} is expected{}", status,
                       wanted.status ? std::to_string(*wanted.status) : "200 to 299",
                       body.empty() ? "" : ": " + printable(body, shown_max));
  }
  if (!wanted.json) return "";
  const json found = json::parse(body, nullptr, false);
  if (found.is_discarded()) {
    return fmt::format("answered what is no JSON: {}", printable(body, shown_max));
  }
  const std::string wrong = difference(json::parse(*wanted.json, nullptr, false), found, "");
  return wrong.empty() ? "" : fmt::format("answered {}, but {}", status, wrong);
}

}  // namespace whimbrel
