#include "base/counted.h"

#include "base/text.h"

namespace whimbrel {

std::string counted(std::int64_t number, std::string_view noun) {
  std::string text = with_thousands(number) + " " + std::string(noun);
  return number == 1 ? text : text + "s";
}

std::string rows_text(std::int64_t rows) { return counted(rows, "row"); }

}  // namespace whimbrel
