#include "stores/registry.h"

#include <filesystem>

#include "base/text.h"
#include "stores/dynamodb/dynamodb_store.h"
#include "stores/postgresql/postgresql_store.h"
#include "stores/sqlite/sqlite_store.h"

namespace whimbrel {

namespace {

// What was probably meant by an address that begins with no kind of store.
std::string meant_by(const std::string& url) {
  const std::size_t colon = url.find(':');
  const std::string scheme = ascii_lower(url.substr(0, colon));
  const bool is_path = colon == std::string::npos || url.find('/') < colon;
  std::string path = is_path ? url : url.substr(colon + 1);
  const bool is_near = scheme.starts_with("sqlite") || edit_distance(scheme, "sqlite") <= 2;
  if (!is_path && scheme != "file" && !is_near) return "";
  // `sqlite://app.db` is how others write it; three slashes are the root there.
  if (path.starts_with("///")) path = path.substr(2);
  if (path.starts_with("//")) path = path.substr(2);
  return path.empty() ? "" : "sqlite:" + path;
}

bool is_there(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

}  // namespace

Result<std::shared_ptr<Store>> open_store(const std::string& url, Clock& clock,
                                          const StoreSettings& settings) {
  const std::string scheme = url.substr(0, url.find(':'));
  if (url.starts_with("sqlite://") && !is_there(url.substr(7))) {
    const std::string meant = meant_by(url);
    if (is_there(meant.substr(meant.find(':') + 1))) {
      return Error{ErrorCode::not_found, "there is no database " + printable(url.substr(7), 200),
                   "the path follows the colon, without slashes of its own: `" +
                       printable(meant, 200) + "`"};
    }
  }
  if (scheme == "sqlite" && url.size() > 7) return SqliteStore::open(url.substr(7), clock);
  if (scheme == "dynamodb" && scheme.size() < url.size()) {
    return DynamoStore::open(url.substr(scheme.size() + 1), clock);
  }
  if (scheme == "postgresql" || scheme == "postgres") {
    postgresql::Settings wanted;
    wanted.url = url;
    wanted.lock_timeout = settings.lock_timeout.value_or(wanted.lock_timeout);
    wanted.statement_timeout = settings.statement_timeout.value_or(wanted.statement_timeout);
    return PostgresqlStore::open(std::move(wanted), clock);
  }
  const bool has_scheme = scheme.size() < url.size();
  const std::string meant = meant_by(url);
  // What follows the scheme may hold a secret.
  return Error{ErrorCode::invalid_plan,
               "no store has a URL like this: " +
                   (has_scheme ? printable(scheme) + ":…" : "`" + printable(url, 200) + "`"),
               meant.empty() ? "write sqlite:PATH"
                             : "say which kind of store it is: `" + printable(meant, 200) + "`"};
}

std::string url_below(const std::string& url, const std::string& folder) {
  constexpr std::string_view scheme = "sqlite:";
  if (!url.starts_with(scheme)) return url;
  const std::filesystem::path path = url.substr(scheme.size());
  if (path.empty() || path.is_absolute()) return url;
  return std::string(scheme) + (std::filesystem::path(folder) / path).string();
}

}  // namespace whimbrel
