#include "reporting.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace whimbrel::cli {

namespace {

using Variables = std::map<std::string, std::string>;

// Names between `${` and `}`, but for those in comments.
std::vector<std::string> names_in(const std::string& text) {
  std::vector<std::string> names;
  bool comment = false;
  char before = '\n';
  for (std::size_t i = 0; i < text.size(); before = text[i++]) {
    if (text[i] == '\n') comment = false;
    if (text[i] == '#' && (before == ' ' || before == '\n')) comment = true;
    if (comment || text.compare(i, 2, "${") != 0) continue;
    const std::size_t end = text.find('}', i);
    if (end == std::string::npos) break;
    std::string name = text.substr(i + 2, end - i - 2);
    if (std::ranges::count(names, name) == 0) names.push_back(std::move(name));
  }
  return names;
}

bool is_set(const std::string& name, const Variables& said, const nlohmann::json& plan) {
  if (said.contains(name)) return true;
  if (std::getenv(name.c_str()) != nullptr) return true;  // NOLINT: no thread was started
  const auto vars = plan.find("vars");
  if (vars == plan.end() || !vars->is_object() || !vars->contains(name)) return false;
  const auto& one = (*vars)[name];
  return one.is_object() && one.contains("default");
}

nlohmann::json parsed(const PlanSource& source, const Variables& variables,
                      Diagnostics& diagnostics) {
  const PlanFile plan = parse_plan(source, variables, diagnostics);
  nlohmann::json resolved = nlohmann::json::parse(plan.resolved, nullptr, false);
  return resolved.is_object() ? resolved : nlohmann::json::object();
}

}  // namespace

Result<PlanAsWritten> plan_as_written(const Context& context) {
  ASSIGN_OR_RETURN(const PlanSource source, read_plan(context.options().plan));
  const std::string name = std::filesystem::path(source.path).filename().string();
  Diagnostics diagnostics(name, source.text);
  PlanAsWritten plan{parsed(source, context.session().settings().variables, diagnostics),
                     names_in(source.text)};
  Variables variables = context.session().settings().variables;
  for (const std::string& one : plan.variables) {
    if (!is_set(one, variables, plan.resolved)) variables[one] = "${" + one + "}";
  }
  const bool all_are_set = variables.size() == context.session().settings().variables.size();
  if (all_are_set && !diagnostics.empty()) return diagnostics.error();
  if (all_are_set) return plan;
  Diagnostics ignored(name, source.text);
  plan.resolved = parsed(source, variables, ignored);
  if (plan.resolved.empty() && !ignored.empty()) return ignored.error();
  return plan;
}

}  // namespace whimbrel::cli
