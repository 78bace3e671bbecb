#include "plan/parse_http_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace whimbrel {

namespace {

using nlohmann::json;

constexpr std::int64_t status_least = 100;
constexpr std::int64_t status_most = 599;
// Shorter ones are words that occur anywhere: leaving them out would tell nothing any more.
constexpr std::size_t secret_length_least = 8;

bool has(const YAML::Node& node, const char* key) {
  return YamlReader::child(node, key).IsDefined();
}

bool is_web_url(const std::string& url) {
  const bool begins_well = url.starts_with("http://") || url.starts_with("https://");
  if (!begins_well) return false;
  const std::size_t begin = url.find("://") + 3;
  const std::string host = url.substr(begin, url.find_first_of("/?#", begin) - begin);
  return !host.empty() && !host.ends_with('@') &&
         std::ranges::none_of(url, [](char c) { return static_cast<unsigned char>(c) <= ' '; });
}

// Without what stands before an @ in its host.
std::string without_user(std::string url) {
  const std::size_t scheme = url.find("://");
  const std::size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
  const std::size_t end = std::min(url.find_first_of("/?", begin), url.size());
  const std::size_t at = url.rfind('@', end);
  if (at == std::string::npos || at < begin) return url;
  return url.replace(begin, at - begin, "***");
}

json json_of_scalar(const Value& value) {
  if (const auto* flag = value.get_if<bool>()) return *flag;
  if (const auto* whole = value.get_if<std::int64_t>()) return *whole;
  if (const auto* real = value.get_if<double>()) return *real;
  if (const auto* text = value.get_if<std::string>()) return *text;
  return nullptr;
}

// Scalars as they are written.
json as_written(const YAML::Node& node) {
  if (node.IsMap()) {
    json object = json::object();
    for (const auto& entry : node) {
      if (entry.first.IsScalar()) object[entry.first.Scalar()] = as_written(entry.second);
    }
    return object;
  }
  if (node.IsSequence()) {
    json array = json::array();
    for (const YAML::Node& item : node) array.push_back(as_written(item));
    return array;
  }
  return node.IsScalar() ? json(node.Scalar()) : json();
}

std::vector<std::string> variables_in(const std::string& text) {
  std::vector<std::string> names;
  for (std::size_t at = text.find("${"); at != std::string::npos; at = text.find("${", at + 1)) {
    const std::size_t end = text.find('}', at);
    if (end == std::string::npos) break;
    names.push_back(text.substr(at + 2, end - at - 2));
  }
  return names;
}

constexpr std::array methods = {std::pair("post", "POST"), std::pair("put", "PUT"),
                                std::pair("patch", "PATCH"), std::pair("delete", "DELETE")};

class HttpParser {
 public:
  HttpParser(YamlReader& reader, const YAML::Node& check) : reader_(reader), check_(check) {}

  HttpCheckPlan parse(const HttpCheckPlan* same) {
    if (same != nullptr && !has(check_, "http")) {
      plan_.url = same->url;
      plan_.written = same->written;
    } else {
      const YAML::Node http = YamlReader::child(check_, "http");
      plan_.url = web_url(reader_, http);
      plan_.written = web_url_as_written(http);
    }
    if (same != nullptr && !has(check_, "headers")) plan_.headers = same->headers;
    for (const auto& [key, method] : methods) body(key, method);
    headers();
    expect();
    return plan_;
  }

 private:
  void mistake(const YAML::Node& at, std::string message, std::string hint = "") {
    reader_.diagnostics().add(YamlReader::place(at), std::move(message), std::move(hint));
  }

  void body(const char* key, const char* method) {
    if (!has(check_, key)) return;
    const YAML::Node body = YamlReader::child(check_, key);
    if (!body.IsMap() && !body.IsSequence()) {
      mistake(body, fmt::format("`{}` is the JSON that is sent, written as a map or a list", key),
              fmt::format("like `{}: {{query: \"{{ health }}\"}}`", key));
      return;
    }
    if (plan_.body) mistake(body, "one request has one method", "keep one of them");
    plan_.method = method;
    plan_.body = json_of(reader_, body).dump(-1, ' ', false, json::error_handler_t::replace);
  }

  void headers() {
    if (!has(check_, "headers")) return;
    const YAML::Node headers = YamlReader::child(check_, "headers");
    if (!reader_.check_keys(headers, "`headers`", {}, {},
                            "like {Authorization: \"Bearer ${TOKEN}\"}"))
      return;
    for (const auto& item : headers) {
      const std::string name = reader_.text(item.first);
      const std::string value = reader_.text(item.second);
      const bool is_name = !name.empty() && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_';
      });
      const bool is_line = std::ranges::none_of(
          value, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; });
      if (!is_name || !is_line) {
        mistake(item.first, fmt::format("`{}` is no header of a request", printable(name)),
                "a name of letters, digits and hyphens, and a value of one line");
      }
      plan_.headers.emplace_back(name, value);
    }
  }

  void expect() {
    if (!has(check_, "expect")) return;
    const YAML::Node expect = YamlReader::child(check_, "expect");
    if (!expect.IsMap()) {
      mistake(expect, "what an http check expects is a map",
              "like {status: 200, json: {up: true}}");
      return;
    }
    if (!reader_.check_keys(expect, "`expect`", {"status", "json"})) return;
    if (const auto status = reader_.whole_at(expect, "status", status_least)) {
      if (*status > status_most) {
        mistake(YamlReader::child(expect, "status"),
                fmt::format("no answer has the status {}", *status), "like 200");
      }
      plan_.status = static_cast<int>(std::min(*status, status_most));
    }
    if (!has(expect, "json")) return;
    plan_.json = json_of(reader_, YamlReader::child(expect, "json"))
                     .dump(-1, ' ', false, json::error_handler_t::replace);
  }

  YamlReader& reader_;
  const YAML::Node& check_;
  HttpCheckPlan plan_;
};

}  // namespace

HttpCheckPlan parse_http_check(YamlReader& reader, const YAML::Node& check) {
  return HttpParser(reader, check).parse(nullptr);
}

HttpCheckPlan parse_http_request(YamlReader& reader, const YAML::Node& request,
                                 const HttpCheckPlan* same) {
  return HttpParser(reader, request).parse(same);
}

std::string web_url(YamlReader& reader, const YAML::Node& node) {
  const std::size_t known = reader.diagnostics().mistakes().size();
  const std::string url = reader.text(node);
  const bool is_told = reader.diagnostics().mistakes().size() > known;
  if (!is_told && !is_web_url(url)) {
    reader.diagnostics().add(
        YamlReader::place(node),
        fmt::format("`{}` is no URL of a web service", printable(web_url_as_written(node))),
        "like https://api.example.com/health");
  }
  return url;
}

std::string web_url_as_written(const YAML::Node& node) {
  return node.IsScalar() ? without_user(node.Scalar()) : "";
}

std::vector<std::string> filled_in(const YamlReader& reader, const YAML::Node& node) {
  std::vector<std::string> values;
  if (node.IsMap() || node.IsSequence()) {
    for (const auto& item : node) {
      const YAML::Node& below = node.IsMap() ? item.second : static_cast<const YAML::Node&>(item);
      for (std::string& value : filled_in(reader, below)) values.push_back(std::move(value));
    }
  }
  if (!node.IsDefined() || !node.IsScalar()) return values;
  for (const std::string& name : variables_in(node.Scalar())) {
    const std::optional<std::string> value = reader.variable(name);
    if (value && value->size() >= secret_length_least) values.push_back(*value);
  }
  return values;
}

json json_of(YamlReader& reader, const YAML::Node& node) {
  if (node.IsMap()) {
    json object = json::object();
    if (!reader.check_keys(node, "the JSON", {})) return object;
    for (const auto& entry : node) object[entry.first.Scalar()] = json_of(reader, entry.second);
    return object;
  }
  if (node.IsSequence()) {
    json array = json::array();
    for (const YAML::Node& item : node) array.push_back(json_of(reader, item));
    return array;
  }
  return json_of_scalar(reader.value(node));
}

namespace {

void hide_request(const YAML::Node& written, json& resolved) {
  if (!written.IsMap() || !resolved.is_object()) return;
  if (has(written, "http"))
    resolved["http"] = web_url_as_written(YamlReader::child(written, "http"));
  for (const char* key : {"post", "put", "patch", "delete", "headers"}) {
    if (has(written, key)) resolved[key] = as_written(YamlReader::child(written, key));
  }
}

}  // namespace

void hide_what_is_sent(const YAML::Node& all, json& resolved) {
  if (!all.IsDefined() || !all.IsSequence() || !resolved.is_array()) return;
  for (std::size_t i = 0; i < all.size() && i < resolved.size(); ++i) {
    if (!has(all[i], "http")) continue;
    hide_request(all[i], resolved[i]);
    for (const char* other : {"undo", "state"}) {
      if (has(all[i], other)) hide_request(YamlReader::child(all[i], other), resolved[i][other]);
    }
  }
}

}  // namespace whimbrel
