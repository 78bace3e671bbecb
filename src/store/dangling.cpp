#include "store/dangling.h"

#include <fmt/format.h>

#include "base/counted.h"
#include "base/text.h"
#include "value/value.h"

namespace whimbrel {

Dangling Dangling::of(std::string child, std::string parent, std::int64_t rows,
                      const std::vector<std::string>& keys) {
  Dangling all{std::move(child), std::move(parent), rows, {}, {}};
  std::string text;
  for (const std::string& key : keys) {
    if (std::ssize(all.named) < named_max) all.named.push_back(show(Value::text(key)));
    text += fmt::format("{}:{}", key.size(), key);
  }
  all.digest = digest_hex(text);
  return all;
}

std::string Dangling::told() const {
  const std::string names = named.empty() ? "" : ": " + join(named, ", ");
  return fmt::format("{} of {} {} to no row of {}{}{}", rows_text(rows), child,
                     rows == 1 ? "refers" : "refer", parent, names,
                     !named.empty() && rows > std::ssize(named) ? ", …" : "");
}

}  // namespace whimbrel
