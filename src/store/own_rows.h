// Rows of ours among rows of others, in a table whose keys lead nowhere back.
//
// A book says which rows are ours, for which row of the source each stands, and what was written
// into it. It is written before the rows are: after a crash it may name a row that is not there,
// never the other way round. So a key that others wrote is never overwritten, what we wrote can be
// taken away again exactly, and a row that somebody changed since is left alone.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "store/store.h"

namespace whimbrel {

// What becomes of a row of others that has the key of one of ours.
enum class OnConflict {
  fail,       // it stops the copy
  skip,       // it stays, and ours is left out
  overwrite,  // ours is written over it; an undo puts it back
  merge,      // as overwrite, but what ours leaves null stays as it is there
};

struct OwnRow {
  Row target_key;
  Row source_key;
  std::string written;   // a digest of the written columns
  std::string before;    // of what was there before that; "" for no row
  std::string original;  // canonical: the row of others that it was written over; "" for none
  // A digest of all its columns, where the plan writes only some of them and the row is new; ""
  // else.
  std::string whole = {};
};

// Threads: any, one call at a time is carried out. Errors: those of the file that it is kept in.
class OwnBook {
 public:
  virtual ~OwnBook() = default;
  // One entry a key, in the same order; unset where the row is none of ours.
  virtual Result<std::vector<std::optional<OwnRow>>> find(std::span<const Row> target_keys) = 0;
  // In the order of the keys; from the first without `after`.
  virtual Result<std::vector<OwnRow>> following(const std::optional<Row>& after,
                                                std::int64_t rows_max) = 0;
  // Durable when they return.
  virtual Status note(std::span<const OwnRow> rows) = 0;
  virtual Status forget(std::span<const Row> target_keys) = 0;
};

// Where rows of ours are written.
struct OwnPlace {
  OwnBook& book;
  SnapshotReader& target;
  BatchWriter& writer;  // of the written columns
  const Mapping& mapping;
  std::string_view table;  // as a person reads it
  OnConflict on_conflict = OnConflict::fail;
};

// Rows of ours whose row of the source is no longer there, or no longer wanted, among the next
// `rows_max` of the book; without `wanted` all are that are there.
struct OwnWithoutSource {
  std::vector<Row> source_keys;
  std::optional<Row> through;  // the last of the book that was looked at; unset at its end
};
Result<OwnWithoutSource> own_without_source(OwnBook& book, SnapshotReader& source,
                                            const std::optional<Row>& after, std::int64_t rows_max,
                                            const std::function<Result<bool>(const Row&)>& wanted);

struct OwnChange {
  Row source_key;
  Change change;  // without `only_if`
};

// Writes or deletes rows of ours; what was written over is put back where ours goes. `skipped`
// counts rows that were left out for a row of others, and rows of ours that somebody has changed
// since: they are his. `blocked_by`: nothing was written, because these rows hold a unique value.
// Errors: `data_mismatch` when a key is somebody else's under `fail`, `refused` when two source
// rows would become one; `unavailable` when rows change faster than they can be written: what was
// written is noted, and it can be tried again.
Result<Applied> write_own(const OwnPlace& place, const std::vector<OwnChange>& changes);

// For `blocked_by`, where nobody makes room.
Error unique_to_another(std::string_view table, const Row& key);

// Takes away every row of ours that is still as we wrote it, and puts back what was written over;
// the others are named to `left_alone` and stay. Goes on where it was after a crash.
// `data_mismatch` when what a row was written over has a unique value that another row has by now:
// all others are taken away then, and that one can be tried again.
Status take_away_own(const OwnPlace& place,
                     const std::function<Status(const OwnRow& row)>& left_alone);

// Rows of ours that somebody has written or removed since: take_away_own() will leave them alone.
struct OwnOfOthers {
  std::int64_t rows = 0;
  std::vector<Row> examples;  // keys of the target, the first few
};
Result<OwnOfOthers> own_of_others(OwnBook& book, SnapshotReader& target, const Mapping& mapping);

// The image of a row of ours where `known` says what it was merged into: with what it left null.
Result<Row> merged_image(const Mapping& mapping, Row image, const OwnRow& known);

}  // namespace whimbrel
