// Several rows of a table as one: read in the order of their groups, and taken apart again.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "store/shape.h"
#include "store/store.h"

namespace whimbrel {

// A table is read whole for its groups, which wait in a temporary file; positions are groups.
Result<std::unique_ptr<SnapshotReader>> open_grouped_reader(Store& base, const SourceShape& shape);
// A document as a group is read: as JSON it has one spelling.
Value one_spelling(Value document);
// A group is written as the rows that it stands for; those that it has no longer are deleted.
// `only_if` is asked before, not in the same transaction.
Result<std::unique_ptr<BatchWriter>> open_grouped_writer(Store& base, const SourceShape& shape,
                                                         const std::vector<std::string>& columns);

}  // namespace whimbrel
