// What a plan asks of a service over HTTP, and what the service has to answer.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace whimbrel {

struct HttpCheckPlan {
  std::string url;
  std::string written;  // before variables are filled in: what everybody is told
  std::string method = "GET";
  std::optional<std::string> body;                                // JSON
  std::vector<std::pair<std::string, std::string>> headers = {};  // a value may be a secret
  std::optional<int> status = {};                                 // else any from 200 to 299
  // JSON: each member that it names has to be there and equal, at every depth; others may be there.
  std::optional<std::string> json = {};
};

// In what an answer is not what `wanted` says, for a person; "" when it is.
std::string what_is_wrong(const HttpCheckPlan& wanted, int status, const std::string& body);

}  // namespace whimbrel
