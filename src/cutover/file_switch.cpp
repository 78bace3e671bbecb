// Files that an application reads: names and values, or the whole text.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cutover/env_text.h"
#include "cutover/replace_file.h"
#include "cutover/switches.h"

namespace whimbrel {

namespace {

class EnvFileSwitchOn final : public Switch {
 public:
  explicit EnvFileSwitchOn(const EnvFileSwitch& plan) : plan_(plan) {
    for (const auto& [name, value] : plan.values.set) names_.push_back(name);
    for (const std::string& name : plan.values.unset) names_.push_back(name);
  }

  Result<std::string> found() override {
    ASSIGN_OR_RETURN(const EnvText now, read());
    nlohmann::json lines = nlohmann::json::array();
    for (const EnvText::Line& line : now.lines_of(names_)) {
      lines.push_back({{"at", line.at}, {"text", to_hex(line.text)}});
    }
    return nlohmann::json{{"lines", lines}}.dump();
  }

  Result<SwitchState> state() override {
    ASSIGN_OR_RETURN(const EnvText now, read());
    for (const auto& [name, value] : plan_.values.set) {
      if (!now.is(name, value)) return SwitchState::off;
    }
    for (const std::string& name : plan_.values.unset) {
      if (now.value(name)) return SwitchState::off;
    }
    return SwitchState::on;
  }

  Status flip() override {
    ASSIGN_OR_RETURN(EnvText now, read());
    const std::string before = now.text();
    for (const auto& [name, value] : plan_.values.set) now.set(name, value);
    for (const std::string& name : plan_.values.unset) now.unset(name);
    return write(before, now);
  }

  Status put_back(const std::string& found) override {
    ASSIGN_OR_RETURN(const nlohmann::json body, read_found(found, "lines"));
    ASSIGN_OR_RETURN(const std::optional<std::string> there, read_small_file(plan_.path));
    if (!there) return {};  // nobody can be told anything by a file that is gone
    std::vector<EnvText::Line> lines;
    for (const nlohmann::json& line : body["lines"]) {
      lines.push_back({line.value("at", std::size_t{0}), from_hex(line.value("text", ""))});
    }
    EnvText now(*there);
    now.put_back(names_, lines);
    return write(*there, now);
  }

  bool can_be_told_again() const override { return true; }
  std::string describe() const override {
    return fmt::format("the file {}: {}", plan_.written, names_of(plan_.values));
  }

 private:
  Result<EnvText> read() const {
    ASSIGN_OR_RETURN(const std::optional<std::string> there, read_small_file(plan_.path));
    if (there) return EnvText(*there);
    return Error{ErrorCode::refused, fmt::format("there is no file {}", printable(plan_.path, 200)),
                 "make it, even an empty one: the path is relative to the plan"};
  }
  Status write(const std::string& before, const EnvText& now) const {
    const std::string text = now.text();
    return text == before ? Status() : replace_file(plan_.path, text);
  }

  const EnvFileSwitch& plan_;
  std::vector<std::string> names_;
};

class FileSwitchOn final : public Switch {
 public:
  explicit FileSwitchOn(const FileSwitch& plan) : plan_(plan) {}

  Result<std::string> found() override {
    ASSIGN_OR_RETURN(const std::optional<std::string> there, read_small_file(plan_.path));
    nlohmann::json body = {{"present", there.has_value()}};
    if (there) body["text"] = to_hex(*there);
    return body.dump();
  }

  Result<SwitchState> state() override {
    ASSIGN_OR_RETURN(const std::optional<std::string> there, read_small_file(plan_.path));
    return there == plan_.text ? SwitchState::on : SwitchState::off;
  }

  Status flip() override { return write(plan_.text); }

  Status put_back(const std::string& found) override {
    ASSIGN_OR_RETURN(const nlohmann::json body, read_found(found, "present"));
    if (body["present"].get<bool>()) return write(from_hex(body.value("text", "")));
    if (unlink(plan_.path.c_str()) == 0 || errno == ENOENT) return {};
    return Error{ErrorCode::refused, fmt::format("{} cannot be removed: {}",
                                                 printable(plan_.path, 200), std::strerror(errno))};
  }

  bool can_be_told_again() const override { return true; }
  std::string describe() const override {
    return fmt::format("the file {}: gets another text", plan_.written);
  }

 private:
  Status write(const std::string& text) const {
    ASSIGN_OR_RETURN(const std::optional<std::string> there, read_small_file(plan_.path));
    return there == text ? Status() : replace_file(plan_.path, text);
  }

  const FileSwitch& plan_;
};

}  // namespace

std::string names_of(const NamedValues& values) {
  std::vector<std::string> parts;
  std::vector<std::string> names;
  for (const auto& [name, value] : values.set) names.push_back(name);
  if (!names.empty()) parts.push_back("set " + join(names, ", "));
  if (!values.unset.empty()) parts.push_back("unset " + join(values.unset, ", "));
  return join(parts, "; ");
}

std::unique_ptr<Switch> make_env_file_switch(const EnvFileSwitch& plan) {
  return std::make_unique<EnvFileSwitchOn>(plan);
}

std::unique_ptr<Switch> make_file_switch(const FileSwitch& plan) {
  return std::make_unique<FileSwitchOn>(plan);
}

}  // namespace whimbrel
