// A file's whole text, read, and replaced in one step.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"

namespace whimbrel {

// Unset when there is no such file. `refused` for what is no file of a size that tells something.
Result<std::optional<std::string>> read_small_file(const std::string& path);
// Whoever reads the file meanwhile sees the old text or the new one. Its mode stays, and its owner
// as far as we may; a link stays a link. A file that is new gets the mode 0644 less the umask.
Status replace_file(const std::string& path, const std::string& text);

}  // namespace whimbrel
