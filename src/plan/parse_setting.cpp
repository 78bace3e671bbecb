#include "plan/parse_setting.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include "base/text.h"

namespace whimbrel {

namespace {

constexpr std::array switch_kinds = {"env_file", "lambda", "ssm", "file"};

class SettingParser {
 public:
  SettingParser(YamlReader& reader, const YAML::Node& node, const std::string& folder)
      : reader_(reader), node_(node), folder_(folder) {}

  std::optional<SettingSwitch> parse() {
    const std::size_t known = reader_.diagnostics().mistakes().size();
    std::optional<SettingSwitch> setting;
    if (has("env_file")) {
      setting = env_file();
    } else if (has("lambda")) {
      setting = lambda();
    } else if (has("ssm")) {
      setting = parameter();
    } else if (has("file")) {
      setting = file();
    }
    if (reader_.diagnostics().mistakes().size() > known) return std::nullopt;
    return setting;
  }

 private:
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
    const YAML::Node functions = YamlReader::child(node_, "lambda");
    if (functions.IsSequence()) {
      lambda.functions = reader_.texts_at(node_, "lambda");
    } else {
      lambda.functions.push_back(reader_.text(functions));
    }
    std::set<std::string> names;
    for (const std::string& name : lambda.functions) {
      if (name.empty()) mistake(functions, "a function of Lambda needs a name");
      if (!names.insert(name).second) {
        mistake(functions, fmt::format("the function `{}` is named twice", printable(name)));
      }
    }
    if (lambda.functions.empty()) mistake(functions, "`lambda` names no function");
    lambda.values = values();
    return lambda;
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

bool is_setting(const YAML::Node& node) {
  return std::ranges::any_of(
      switch_kinds, [&](const char* kind) { return YamlReader::child(node, kind).IsDefined(); });
}

std::optional<SettingSwitch> parse_setting(YamlReader& reader, const YAML::Node& node,
                                           const std::string& folder) {
  return SettingParser(reader, node, folder).parse();
}

}  // namespace whimbrel
