// Rows are offered to an empty table of the same shape in a temporary file: the constraints are
// SQLite's own, whatever they are.
#pragma once

#include <memory>

#include "store/store.h"

namespace whimbrel::sqlite {

// Nothing when the target takes every row, or when its DDL cannot be carried out elsewhere.
Result<std::unique_ptr<Rehearsal>> make_rehearsal(const Mapping& mapping);

}  // namespace whimbrel::sqlite
