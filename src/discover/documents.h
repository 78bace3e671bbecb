// Columns that became fields of a document, or the other way round.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "discover/sample.h"
#include "transform/expr.h"

namespace whimbrel {

// A field with the name of the target's column, in the documents that a source column holds.
std::optional<ExprPtr> field_named_like(const TableSample& source, const ColumnSample& column);
// One document of these columns, for a target column that is declared to hold documents.
std::optional<ExprPtr> document_of(const std::vector<std::string>& columns,
                                   const ColumnSchema& target);

}  // namespace whimbrel
