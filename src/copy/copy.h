// Copies one table in resumable chunks.
//
// A chunk is written, and made durable, before it is journaled, so a crash repeats at most one
// chunk and never skips one; writing a chunk twice gives the same rows. Inside a store a chunk is
// several transactions, each short enough for those who write beside it. Capture or links exist
// before the first read (the engine sees to it), so whatever changes behind the copy is carried
// over by them. Threads: one thread at a time steps a Copy; several Copies share the journal and
// the events.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "base/clock.h"
#include "base/events.h"
#include "base/executor.h"
#include "copy/pace.h"
#include "copy/rate.h"
#include "journal/journal.h"
#include "plan/migration.h"
#include "plan/selection.h"

namespace whimbrel {

// Rows that are set aside, with their key and the reason (`on_error: reject`).
using RejectRow = std::function<Status(const Move& move, const Row& key, const Error& reason)>;

class Copy {
 public:
  // `rows_may_pass`: rows of a chunk that the store cannot copy by itself may be read and written
  // one by one, which is safe only where a feed repairs what changes in between.
  Copy(std::span<const Move> moves, const Move& move, bool rows_may_pass, const LimitsPlan& limits,
       RowRate& rate, Journal& journal, Clock& clock, Events& events, RejectRow reject);
  // Copies the next chunk. Errors carry the chunk; what was journaled stays valid.
  Result<Step> step();

 private:
  struct Outcome {
    std::optional<Row> through;  // unset at the table's end
    std::int64_t read = 0;
    std::int64_t written = 0;
    std::int64_t rejected = 0;
    std::int64_t bytes = 0;
    std::optional<Milliseconds> took = std::nullopt;  // where the store has measured it
  };
  // One transaction, and as long a pause after it as is wanted.
  Status copy_batch(Outcome& chunk);
  void others_write();
  bool make_way();
  Status open();
  Result<Outcome> copy_inside(const ChunkLimits& limits);
  Result<ChunkOfRows> read(const ChunkLimits& limits);
  Result<Outcome> copy_rows(const ChunkLimits& limits);
  Status copy_own(std::vector<Row> rows, Outcome& outcome);
  Status open_rows();
  // May add changes that have to come with them.
  Result<Applied> write(std::vector<Change>& changes);
  // `keys`: of the source, one a change.
  Status write_or_name(std::vector<Change> changes, std::span<const Row> keys, Outcome& outcome);
  Row values_of(Row image) const;
  // The change that brings this target row up to date with the source.
  Result<Change> change_for(const Row& target_key);
  Result<std::optional<OwnChange>> own_change_for(const Row& target_key);
  Result<Applied> write_among_others(std::vector<OwnChange> own);

  const std::span<const Move> moves_;
  const Move& move_;
  const bool rows_may_pass_;
  const LimitsPlan& limits_;
  RowRate& rate_;
  Journal& journal_;
  Clock& clock_;
  Events& events_;
  RejectRow reject_;
  PaceBounds bounds_;
  std::int64_t rows_per_batch_;
  std::int64_t batches_ = 0;
  int gaps_ = 0;  // still to be made, since somebody else has written
  std::optional<Row> after_;
  std::unique_ptr<InsideCopier> inside_;
  std::unique_ptr<SnapshotReader> reader_;
  std::unique_ptr<BatchWriter> writer_;
  // Where rows of ours lie among rows of others.
  std::unique_ptr<SnapshotReader> target_;
  Selection selection_;
  const bool writes_whole_rows_;
  std::size_t absent_ = 0;  // columns that every copied row has empty
};

}  // namespace whimbrel
