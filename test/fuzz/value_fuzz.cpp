// Values of the grammar: what print_value writes is read back as the same expression.
//
// Input: a YAML map; each of its entries is a value.
#include "fuzz/fuzz.h"
#include "fuzz/read_back.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace whimbrel;
  const std::string text(fuzz::text_of(data, size));
  Diagnostics outside("values", text);
  YamlReader reader(outside, {});
  const YAML::Node root = reader.load(text);
  if (!root.IsDefined()) return 0;
  for (const auto& entry : root) {
    Diagnostics diagnostics("values", text);
    YamlReader one(diagnostics, {{"DB", "app.db"}});
    const ExprPtr expr = parse_value(one, entry.second);
    if (expr != nullptr && diagnostics.empty()) fuzz::read_back(expr);
  }
  return 0;
}
