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
// A document as it would be read again, each of its values as its column would hold it.
Result<Value> as_it_is_read(const Catalog& catalog, const SourceShape& shape, const Collected& one,
                            Value whole);
// A group is written as the rows that it stands for; those that it has no longer are deleted.
// `only_if` is asked before, not in the same transaction.
Result<std::unique_ptr<BatchWriter>> open_grouped_writer(Store& base, const SourceShape& shape,
                                                         const std::vector<std::string>& columns);

}  // namespace whimbrel
