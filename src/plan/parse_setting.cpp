#include "plan/parse_setting.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <span>

#include "base/text.h"
#include "plan/parse_http_check.h"

namespace whimbrel {

namespace {

class SettingParser {
 public:
  SettingParser(YamlReader& reader, const YAML::Node& node, const std::string& folder)
      : reader_(reader), node_(node), folder_(folder) {}

  std::optional<SettingSwitch> parse() {
    const std::size_t known = reader_.diagnostics().mistakes().size();
    std::optional<SettingSwitch> setting;
    for (const Kind& kind : kinds()) {
      if (!setting && has(kind.key)) setting = (this->*kind.parse)();
    }
    if (reader_.diagnostics().mistakes().size() > known) return std::nullopt;
    return setting;
  }

  static bool is_one(const YAML::Node& node) {
    return std::ranges::any_of(
        kinds(), [&](const Kind& kind) { return YamlReader::child(node, kind.key).IsDefined(); });
  }

 private:
  struct Kind {
    const char* key;
    SettingSwitch (SettingParser::*parse)();
  };
  static std::span<const Kind> kinds() {
    static constexpr std::array all = {
        Kind{"env_file", &SettingParser::env_file},
        Kind{"lambda", &SettingParser::lambda},
        Kind{"ssm", &SettingParser::parameter},
        Kind{"file", &SettingParser::file},
        Kind{"lambda_concurrency", &SettingParser::concurrency},
        Kind{"s3", &SettingParser::object},
        Kind{"http", &SettingParser::http},
    };
    return all;
  }
  bool has(const char* key) const { return YamlReader::child(node_, key).IsDefined(); }
  void mistake(const YAML::Node& at, std::string message, std::string hint = "") {
    reader_.diagnostics().add(YamlReader::place(at), std::move(message), std::move(hint));
  }

  SettingSwitch env_file() {
    reader_.check_keys(node_, "a switch", {"env_file", "set", "unset"});
    EnvFileSwitch file;
    file.written = words_of("env_file");
    file.path = absolute(file.written);
    file.values = values();
    return file;
  }

  SettingSwitch lambda() {
    reader_.check_keys(node_, "a switch", {"lambda", "set", "unset"});
    LambdaSwitch lambda;
    lambda.functions = functions("lambda");
    lambda.values = values();
    return lambda;
  }

  std::vector<std::string> functions(const char* key) {
    std::vector<std::string> all;
    const YAML::Node node = YamlReader::child(node_, key);
    if (node.IsSequence()) {
      all = reader_.texts_at(node_, key);
    } else {
      all.push_back(reader_.text(node));
    }
    std::set<std::string> names;
    for (const std::string& name : all) {
      if (name.empty()) mistake(node, "a function of Lambda needs a name");
      if (!names.insert(name).second) {
        mistake(node, fmt::format("the function `{}` is named twice", printable(name)));
      }
    }
    if (all.empty()) mistake(node, fmt::format("`{}` names no function", key));
    return all;
  }

  SettingSwitch concurrency() {
    reader_.check_keys(node_, "a switch", {"lambda_concurrency", "set"});
    ConcurrencySwitch reserved{functions("lambda_concurrency"), 0};
    const auto number = reader_.whole_at(node_, "set", 0);
    if (!has("set"))
      mistake(node_, "reserved concurrency needs `set:`", "`set: 0` stops a function");
    reserved.reserved = number.value_or(0);
    return reserved;
  }

  SettingSwitch object() {
    reader_.check_keys(node_, "a switch", {"s3", "set"});
    ObjectSwitch object;
    object.written = words_of("s3");
    constexpr std::string_view scheme = "s3://";
    const std::size_t slash = object.written.find('/', scheme.size());
    const bool is_good = object.written.starts_with(scheme) && slash != std::string::npos &&
                         slash > scheme.size() && slash + 1 < object.written.size();
    if (is_good) {
      object.bucket = object.written.substr(scheme.size(), slash - scheme.size());
      object.key = object.written.substr(slash + 1);
    } else if (!object.written.empty()) {
      mistake(YamlReader::child(node_, "s3"),
              fmt::format("`{}` names no object", printable(object.written)),
              "like \"s3://BUCKET/settings.json\"");
    }
    object.text = text_to_set("s3");
    return object;
  }

  // `undo` and `state` ask the same URL with the same headers, unless they say others.
  HttpCheckPlan request(const YAML::Node& of, const HttpCheckPlan* same) {
    if (!of.IsMap()) {
      mistake(of, "a request is a map", "like `undo: {put: {on: false}}`");
      return {};
    }
    return parse_http_request(reader_, of, same);
  }

  SettingSwitch http() {
    constexpr const char* sends = "like `put: {on: true}`";
    reader_.check_keys(
        node_, "a switch",
        {"http", "post", "put", "patch", "delete", "headers", "expect", "undo", "state"});
    HttpSwitch http;
    http.act = request(node_, nullptr);
    if (http.act.method == "GET") {
      mistake(node_, "a request that only asks switches nothing", sends);
    }
    if (!has("undo")) {
      mistake(node_, "an http switch needs `undo:`",
              "a switch that cannot go back closes the way back");
    } else {
      const YAML::Node undo = YamlReader::child(node_, "undo");
      if (undo.IsMap())
        reader_.check_keys(undo, "`undo`",
                           {"http", "post", "put", "patch", "delete", "headers", "expect"});
      http.undo = request(undo, &http.act);
      if (undo.IsMap() && http.undo.method == "GET") {
        mistake(undo, "a request that only asks takes nothing back", sends);
      }
    }
    if (has("state")) {
      const YAML::Node state = YamlReader::child(node_, "state");
      if (state.IsMap())
        reader_.check_keys(state, "`state`", {"http", "post", "headers", "expect"});
      http.state = request(state, &http.act);
      if (!http.state->json && !http.state->status) {
        mistake(state, "`state` has to say what is answered when it is switched",
                "like `state: {expect: {json: {on: true}}}`");
      }
    }
    http.secrets = reader_.secrets();
    for (std::string& value : filled_in(reader_, node_)) http.secrets.push_back(std::move(value));
    return http;
  }

  SettingSwitch parameter() {
    reader_.check_keys(node_, "a switch", {"ssm", "set"});
    ParameterSwitch parameter{words_of("ssm"), text_to_set("parameter")};
    // A parameter has no empty value.
    if (has("set") && parameter.value.empty() && YamlReader::child(node_, "set").IsScalar()) {
      mistake(YamlReader::child(node_, "set"), "a parameter's value cannot be empty");
    }
    return parameter;
  }

  SettingSwitch file() {
    reader_.check_keys(node_, "a switch", {"file", "set"});
    FileSwitch file;
    file.written = words_of("file");
    file.path = absolute(file.written);
    file.text = text_to_set("file");
    return file;
  }

  std::string words_of(const char* key) {
    const YAML::Node node = YamlReader::child(node_, key);
    std::string text = reader_.text(node);
    if (node.IsScalar() && text.empty()) mistake(node, fmt::format("`{}` is empty", key));
    return text;
  }

  std::string text_to_set(const char* what) {
    const YAML::Node set = YamlReader::child(node_, "set");
    if (set.IsDefined()) return reader_.text(set);
    mistake(node_, fmt::format("a {} switch needs `set:`", what),
            fmt::format("the text that the {} gets", what));
    return "";
  }

  NamedValues values() {
    NamedValues values;
    std::set<std::string> names;
    if (const YAML::Node set = YamlReader::child(node_, "set");
        set.IsDefined() && reader_.check_keys(set, "`set`", {})) {
      for (const auto& item : set) {
        std::string name = this->name(item.first);
        if (item.second.IsNull()) {
          mistake(item.first, fmt::format("`{}` gets no value", printable(name)),
                  "say `\"\"` for an empty one, or name it under `unset`");
          continue;
        }
        names.insert(name);
        values.set.emplace_back(std::move(name), reader_.text(item.second));
      }
    }
    if (const YAML::Node unset = YamlReader::child(node_, "unset");
        unset.IsDefined() && !unset.IsSequence()) {
      mistake(unset, "`unset` must be a list", "like [OLD_NAME]");
    } else if (unset.IsDefined()) {
      for (const YAML::Node& item : unset) {
        std::string name = this->name(item);
        if (!names.insert(name).second) {
          mistake(item, fmt::format("`{}` is named twice in one switch", printable(name)),
                  "keep one of them");
        }
        values.unset.push_back(std::move(name));
      }
    }
    if (!has("set") && !has("unset")) {
      mistake(node_, "a switch needs `set:` or `unset:`", "like {set: {NAME: value}}");
    }
    return values;
  }

  std::string name(const YAML::Node& node) {
    std::string name = reader_.text(node);
    const bool begins_well = !name.empty() && (name[0] < '0' || name[0] > '9');
    const bool is_good = begins_well && std::ranges::all_of(name, [](char c) {
                           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                  (c >= '0' && c <= '9') || c == '_';
                         });
    if (node.IsScalar() && !is_good) {
      mistake(node, fmt::format("`{}` is no name of a variable", printable(name)),
              "letters, digits and _, not a digit first");
    }
    return name;
  }

  std::string absolute(const std::string& path) const {
    return (std::filesystem::path(folder_) / path).lexically_normal().string();
  }

  YamlReader& reader_;
  const YAML::Node& node_;
  const std::string& folder_;
};

}  // namespace

bool is_setting(const YAML::Node& node) { return SettingParser::is_one(node); }

std::optional<SettingSwitch> parse_setting(YamlReader& reader, const YAML::Node& node,
                                           const std::string& folder) {
  return SettingParser(reader, node, folder).parse();
}

}  // namespace whimbrel
