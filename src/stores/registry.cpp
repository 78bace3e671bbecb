#include "stores/registry.h"

#include <filesystem>

#include "base/text.h"
#include "stores/sqlite/sqlite_store.h"

namespace whimbrel {

Result<std::shared_ptr<Store>> open_store(const std::string& url, Clock& clock) {
  const std::string scheme = url.substr(0, url.find(':'));
  if (scheme == "sqlite" && url.size() > 7) return SqliteStore::open(url.substr(7), clock);
  if (scheme == "postgresql" || scheme == "postgres" || scheme == "dynamodb") {
    return Error{ErrorCode::invalid_plan,
                 "stores of kind `" + scheme + "` are not yet opened by this release",
                 "this release moves data in SQLite"};
  }
  return Error{ErrorCode::invalid_plan, "no store has a URL like this: " + printable(scheme) + ":…",
               "write sqlite:PATH"};
}

std::string url_below(const std::string& url, const std::string& folder) {
  constexpr std::string_view scheme = "sqlite:";
  if (!url.starts_with(scheme)) return url;
  const std::filesystem::path path = url.substr(scheme.size());
  if (path.empty() || path.is_absolute()) return url;
  return std::string(scheme) + (std::filesystem::path(folder) / path).string();
}

}  // namespace whimbrel
