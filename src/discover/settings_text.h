// The parts of a starter plan that do not depend on its tables.
#pragma once

#include <string>
#include <vector>

namespace whimbrel {

// A store's URL in a plan. What may hold a password, or where one has to log in, is a variable.
struct WrittenUrl {
  std::string text;      // "scheme:${NAME}"
  std::string variable;  // NAME
  std::string preset;    // its default; "" when it has to be given
};
WrittenUrl written_url(const std::string& alias, const std::string& url);

struct NamedUrl {
  std::string alias;
  std::string url;
};
// `vars:` and `stores:`.
std::string stores_text(const std::vector<NamedUrl>& stores, bool uses_dollar);
// From `sync:` on. `can_link`: one store that can keep two of its tables equal; `against_dual`:
// why it would refuse to, "" when it would not.
// `flags`: a table that is not there yet, for a row that tells the application.
std::string settings_text(const std::string& alias, const std::string& flags, bool can_link,
                          const std::string& against_dual);
// A name for a migration from any text: letters, digits, - _ and . only.
std::string migration_name_from(const std::string& text);

}  // namespace whimbrel
