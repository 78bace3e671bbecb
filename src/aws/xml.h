// The little XML that AWS still answers with: flat replies of STS and of errors.
#pragma once

#include <string>

namespace whimbrel::aws {

// What stands in the first element called `tag`; "" when there is none, or it does not end.
inline std::string tag_of(const std::string& xml, const std::string& tag) {
  const std::size_t begin = xml.find("<" + tag + ">");
  if (begin == std::string::npos) return "";
  const std::size_t from = begin + tag.size() + 2;
  const std::size_t end = xml.find("</" + tag + ">", from);
  return end == std::string::npos ? "" : xml.substr(from, end - from);
}

}  // namespace whimbrel::aws
