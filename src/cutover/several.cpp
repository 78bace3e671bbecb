// What switches of several kinds have in common.
#include "cutover/switches.h"

namespace whimbrel {

Result<nlohmann::json> read_found(const std::string& found, const char* member) {
  nlohmann::json body = nlohmann::json::parse(found, nullptr, false);
  if (body.is_object() && body.contains(member)) return body;
  return Error{ErrorCode::internal, "what a switch found before cannot be read"};
}

Status change_functions(const std::vector<std::string>& functions, const ChangeFunction& change) {
  bool has_changed = false;
  for (const std::string& function : functions) {
    const Status changed = change(function, has_changed);
    if (changed.ok()) {
      has_changed = true;  // now, or by an earlier try
      continue;
    }
    Error error = changed.error();
    // `refused` would say that nothing has happened.
    if (has_changed && error.code == ErrorCode::refused) error.code = ErrorCode::conflict;
    if (has_changed && error.hint.empty()) {
      error.hint =
          "functions before it have the new values; the same command goes on, and "
          "`rollback` puts all of them back";
    }
    return error;
  }
  return {};
}

Status put_back_functions(const nlohmann::json& functions,
                          const std::function<Status(const std::string& function,
                                                     const nlohmann::json& before)>& change) {
  for (const auto& [function, before] : functions.items()) {
    const Status changed = change(function, before);
    const bool is_gone = !changed.ok() && changed.error().code == ErrorCode::not_found;
    if (!changed.ok() && !is_gone) return changed;
  }
  return {};
}

}  // namespace whimbrel
