// What a row must look like on the other side, and where it does not.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/store.h"

namespace whimbrel {

// The target row for a source row, each value as its column would hold it. Columns without a rule
// are null. Errors: `refused`, with the column, for a value that does not convert or does not fit.
Result<Row> image_of(const Mapping& mapping, const Row& source, const Catalog& target);
// The way back: the source row a target row stands for. What nothing gives back is taken from
// `old_source`, when there is one.
Result<Row> source_of(const Mapping& mapping, const Row& target, const Row* old_source,
                      const Catalog& source);
// The same, where a value that the old shape cannot hold stays as `old_source` has it.
Row source_that_fits(const Mapping& mapping, const Row& target, const Row& old_source,
                     const Catalog& source);
Result<Row> target_key_of(const Mapping& mapping, const Row& source_key, const Catalog& target);
Result<Row> source_key_of(const Mapping& mapping, const Row& target_key, const Catalog& source);

// The source's key, where it leads to this key of the target again; else the mapping cannot have
// made it, and its row is on this side only.
std::optional<Row> key_that_leads_back(const Mapping& mapping, const Row& target_key,
                                       const Catalog& source, const Catalog& target);

// The written columns in which two rows differ; JSON is compared by meaning, not by its text.
std::vector<std::string> differing(const std::vector<ColumnRule>& rules, const Row& expected,
                                   const Row& found);

// Whether a rule of the way back gives something else of a target row than of the image that the
// plan makes of the source row: where it does not, the source keeps what has no exact way back. Of
// a document another part may have changed than the one that leads back.
bool gives_another(const Mapping& mapping, const ColumnRule& back, const Row& image,
                   const Row& target);

// A value of a target column that its source row cannot hold.
struct Unheld {
  std::string column;
  Value value;
  std::optional<Value> instead_of;  // what the mapping gives there; unset when no rule does

  // Not to be put back: it only tells one row from another.
  bool tells_rows_apart() const { return instead_of && same(value, *instead_of); }
};
std::vector<Unheld> unheld(const Mapping& mapping, const Row& source, const Row& target,
                           const Catalog& catalog);

// The values of the columns with a rule, in the order of the rules: what a writer is given.
Row written_values(const std::vector<ColumnRule>& rules, const Row& row);
std::vector<std::string> written_columns(const std::vector<ColumnRule>& rules);

}  // namespace whimbrel
