// Several rows of a table as one: read in the order of their groups, and taken apart again.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "store/known_keys.h"
#include "store/shape.h"
#include "store/store.h"

namespace whimbrel {

// A table is read whole for its groups, which wait in a temporary file; positions are groups.
// `known`: which row was of which group, where the row's key does not say it; may be null.
Result<std::unique_ptr<SnapshotReader>> open_grouped_reader(Store& base, const SourceShape& shape,
                                                            std::shared_ptr<KnownKeys> known);
// Whether this row of the shape is a group without rows, which cannot be told from none.
bool stands_for_no_rows(const SourceShape& shape, const Row& row);
// A document as it would be read again, each of its values as its column would hold it.
Result<Value> as_it_is_read(const Catalog& catalog, const SourceShape& shape, const Collected& one,
                            Value whole);
// A group is written as the rows that it stands for; those that it has no longer are deleted.
// `only_if` is asked before, not in the same transaction.
Result<std::unique_ptr<BatchWriter>> open_grouped_writer(Store& base, const SourceShape& shape,
                                                         const std::vector<std::string>& columns);

}  // namespace whimbrel
