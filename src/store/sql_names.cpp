#include "store/sql_names.h"

#include "base/text.h"

namespace whimbrel {

std::string quote_name(std::string_view identifier) {
  std::string out = "\"";
  for (const char c : identifier) {
    out += c;
    if (c == '"') out += c;
  }
  return out + "\"";
}

std::string name_list(const std::vector<std::string>& identifiers) {
  std::vector<std::string> all;
  for (const std::string& one : identifiers) all.push_back(quote_name(one));
  return join(all, ", ");
}

}  // namespace whimbrel
