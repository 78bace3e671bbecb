// A file of a plan that says for texts which ones are meant: `old,new`, a line for each.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "transform/spellings.h"

namespace whimbrel {

struct TextMap {
  std::string text;  // of the file
  std::shared_ptr<Spellings> meant;
};

// CSV by RFC 4180, in UTF-8; a first line of `old,new` is a heading. Errors: not_found; refused,
// with the line, for one that has not two values or a text that comes twice.
Result<TextMap> read_text_map(const std::string& path);

}  // namespace whimbrel
