// Readers and writers of tables in another shape.
//
// They hold readers and writers of the table itself, and turn keys and rows. Threads: as those.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "store/known_keys.h"
#include "store/shape.h"
#include "store/store.h"

namespace whimbrel {

// A row's key in the table itself, where the shape's begins with it.
Row own_key_of(const SourceShape& shape, const Row& shaped_key);
// Whether two values are one, where one may have come out of a text.
bool reads_alike(const Value& one, const Value& other);

// A condition with more values is not asked of a store.
inline constexpr std::size_t keys_asked_at_once = 50;
// Every row of the table that is of the shape, but for those that `where` may leave out.
Status each_row(Store& base, const SourceShape& shape, std::vector<Condition> where,
                const std::function<Status(Row row)>& see);

// Of the base store. `known` remembers by which keys rows were read; null where nobody asks.
Result<std::unique_ptr<SnapshotReader>> open_shaped_reader(Store& base, const SourceShape& shape,
                                                           std::shared_ptr<KnownKeys> known,
                                                           std::span<const Condition> where);
// `only_if` is asked before the rest is: what is deleted under a key that is no longer the row's
// stays. Of a shape that is not written back nothing is written.
Result<std::unique_ptr<BatchWriter>> open_shaped_writer(Store& base, const SourceShape& shape,
                                                        const std::vector<std::string>& columns);
// The rows of a target that are of the shape. `table`: as the reader is to see it.
Result<std::unique_ptr<SnapshotReader>> open_shaped_reader(Store& base, const TargetShape& shape,
                                                           TableSchema table,
                                                           std::span<const Condition> where);
// Of a shape with marks. Refuses what would write over a row of others, and leaves theirs where one
// is to go.
Result<std::unique_ptr<BatchWriter>> open_shaped_writer(Store& base, const TargetShape& shape,
                                                        const std::vector<std::string>& columns);

// The key in the shape of a row of the table. A part that cannot be made of it is null there.
Result<Row> key_in_shape(const SourceShape& shape, const Row& row);
// Of a shape whose keys are made: refused where two rows have one of these keys right now.
Status refuse_second_owners(Store& base, const SourceShape& shape, KnownKeys& known,
                            std::span<const Row> shaped_keys);
// The keys that the rows with these keys of their own have in the shape right now; none for a row
// that is not of it.
Result<std::vector<std::optional<Row>>> shaped_keys_of(Store& base, const SourceShape& shape,
                                                       std::span<const Row> own_keys);
// The keys in the shape of rows that look something up under one of these keys of `table`.
Result<std::vector<Row>> keys_that_look_up(Store& base, const SourceShape& shape,
                                           const std::string& table, std::span<const Row> keys);

}  // namespace whimbrel
