// The parts of a starter plan that do not depend on its tables.
#pragma once

#include <string>
#include <vector>

namespace whimbrel {

// A store's URL in a plan. What may hold a password, or where one has to log in, is a variable.
struct WrittenUrl {
  std::string text;      // "scheme:${NAME}"
  std::string variable;  // NAME; "" where the text says all
  std::string preset;    // its default; "" when it has to be given
};
struct NamedUrl {
  std::string alias;
  std::string url;
  bool is_a_service = false;  // behind the scheme is a region, or nothing: no path and no secret
};
WrittenUrl written_url(const NamedUrl& store);

// `vars:` and `stores:`.
std::string stores_text(const std::vector<NamedUrl>& stores, bool uses_dollar);
struct StarterSettings {
  std::string alias;         // of the old store
  std::string flags;         // a table that is not there yet, for a row that tells the application
  bool can_link = false;     // one store that can keep two of its tables equal
  bool holds = true;         // it can refuse the application's writes for a while
  std::string against_dual;  // why it would refuse to link; "" when it would not
};
// From `sync:` on.
std::string settings_text(const StarterSettings& of);
// A name for a migration from any text: letters, digits, - _ and . only.
std::string migration_name_from(const std::string& text);

}  // namespace whimbrel
