// What a plan asks of a service over HTTP, and what the service has to answer.
#pragma once

#include <optional>
#include <string>

namespace whimbrel {

struct HttpCheckPlan {
  std::string url;
  std::string written;              // before variables are filled in: what everybody is told
  std::optional<std::string> post;  // JSON; else it is a GET
  std::optional<int> status;        // else any from 200 to 299
  // JSON: each member that it names has to be there and equal, at every depth; others may be there.
  std::optional<std::string> json;
};

}  // namespace whimbrel
