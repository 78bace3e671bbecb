// What a role needs at least, for a service that names permissions.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace whimbrel {

// What is done with one table.
enum class TableUse { looked_at, read, written, made, followed, dropped, backed_up, provisioned };

struct Right {
  std::string action;  // "service:Operation"
  std::string on;      // a resource, as the service names it; may have * in it
};

using Rights = std::vector<Right>;

}  // namespace whimbrel
