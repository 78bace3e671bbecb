#include "copy/copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "base/text.h"
#include "plan/room.h"
#include "store/image.h"

namespace whimbrel {

namespace {
constexpr Milliseconds gap{20};
constexpr int gaps_after_a_writer = 50;
constexpr std::int64_t batches_between_gaps = 12;
// How long a transaction holds the write lock.
constexpr Milliseconds batch_beside_writers{20};
constexpr Milliseconds batch_alone{120};
// What a commit costs is no reason for fewer rows.
constexpr std::int64_t rows_beside_a_commit_min = 100;
// Where nobody waits for a lock a batch is as large as is worth the way there and back.
constexpr Milliseconds batch_without_locks{2'000};
constexpr std::int64_t rows_without_locks_min = 400;
// How much a crash may repeat.
constexpr Milliseconds chunk_max{250};
constexpr std::int64_t batches_per_chunk_max = 16;

// A store that takes several writers at once has no lock for all of them. There `batch_size` is
// what one request carries, which is the store's own business.
bool takes_locks(const Move& move) {
  const Capabilities can = move.target->capabilities();
  return can.writers_max <= 1 || can.locks_tables;
}
// Whether an application that writes to another table waits for a batch of ours.
bool keeps_others_waiting(const Move& move) {
  return takes_locks(move) && !move.target->capabilities().locks_tables;
}

// The table was empty, and a row has no columns but those that somebody writes: so a row that is
// copied is a whole one, which costs less than a change to one that may be there.
bool is_alone_in_an_open_table(std::span<const Move> moves, const Move& move) {
  if (move.mapping.target.rest_column.empty() || move.among_others) return false;
  if (move.stored_target() != move.mapping.target.name) return false;  // a row is part of one
  return std::ranges::none_of(moves,
                              [&](const Move& other) { return move.has_rows_beside(other); });
}

}  // namespace

Copy::Copy(std::span<const Move> moves, const Move& move, bool rows_may_pass,
           const LimitsPlan& limits, RowRate& rate, Journal& journal, Clock& clock, Events& events,
           RejectRow reject)
    : moves_(moves),
      move_(move),
      rows_may_pass_(rows_may_pass),
      limits_(limits),
      rate_(rate),
      journal_(journal),
      clock_(clock),
      events_(events),
      reject_(std::move(reject)),
      rows_per_batch_(std::min<std::int64_t>(limits.batch_size.value_or(1000), 1000)),
      selection_(moves, move),
      writes_whole_rows_(is_alone_in_an_open_table(moves, move)) {
  bounds_.wanted = batch_alone;
  if (!move.inside && keeps_others_waiting(move)) bounds_.rows_min = rows_beside_a_commit_min;
  if (takes_locks(move)) return;
  bounds_ = {rows_without_locks_min, bounds_.rows_max, batch_without_locks};
  rows_per_batch_ = 1000;
}

Status Copy::open() {
  const State state = journal_.state();
  if (const auto it = state.copies.find(move_.index); it != state.copies.end()) {
    if (it->second.through && !it->second.through->empty()) {
      ASSIGN_OR_RETURN(Row through, row_from_canonical(from_hex(*it->second.through)));
      after_ = std::move(through);
    }
  }
  if (move_.inside) {
    ASSIGN_OR_RETURN(inside_, move_.target->open_inside(move_.mapping, *move_.source));
    return {};
  }
  return open_rows();
}

Status Copy::open_rows() {
  if (reader_ != nullptr) return {};
  ASSIGN_OR_RETURN(reader_, move_.source->open_reader_where(move_.mapping.source, move_.where));
  std::vector<std::string> columns = written_columns(move_.mapping.forward);
  if (writes_whole_rows_) {
    for (const ColumnSchema& column : move_.mapping.target.columns) {
      if (std::ranges::count(columns, column.name) > 0) continue;
      columns.push_back(column.name);
      ++absent_;
    }
  }
  ASSIGN_OR_RETURN(writer_, move_.target->open_writer(move_.mapping.target, columns));
  if (move_.own != nullptr) {
    ASSIGN_OR_RETURN(target_, move_.target->open_reader(move_.mapping.target));
  }
  return {};
}

Result<Copy::Outcome> Copy::copy_inside(const ChunkLimits& limits) {
  ASSIGN_OR_RETURN(const InsideCopy copied, inside_->copy_after(after_, limits));
  if (copied.blocked && rows_may_pass_) {
    TRY(open_rows());
    return copy_rows(limits);
  }
  if (copied.blocked) {
    return Error{ErrorCode::refused,
                 fmt::format("two rows of {} hold the same value where {} wants it to be unique",
                             move_.from, move_.to),
                 "`whimbrel analyze` names them"};
  }
  if (copied.others_write) others_write();
  return Outcome{copied.range.through, copied.read, copied.written, 0, copied.bytes, copied.took};
}

void Copy::others_write() {
  if (!keeps_others_waiting(move_)) return;
  if (gaps_ == 0) {
    rows_per_batch_ = std::max<std::int64_t>(
        rows_per_batch_ * batch_beside_writers.count() / batch_alone.count(), 1);
  }
  bounds_.wanted = batch_beside_writers;
  gaps_ = gaps_after_a_writer;
}

Row Copy::values_of(Row image) const {
  Row values;
  values.reserve(move_.mapping.forward.size() + absent_);
  for (const ColumnRule& rule : move_.mapping.forward) {
    values.push_back(std::move(image[static_cast<std::size_t>(rule.index)]));
  }
  values.resize(values.size() + absent_);
  return values;
}

Result<Change> Copy::change_for(const Row& target_key) {
  ASSIGN_OR_RETURN(Row key, source_key_of(move_.mapping, target_key, move_.source->catalog()));
  const std::vector<Row> keys = {std::move(key)};
  ASSIGN_OR_RETURN(const auto rows, reader_->read_keys(keys));
  if (!rows[0]) return Change{target_key, std::nullopt};
  Result<Row> image = image_of(move_.mapping, *rows[0], move_.target->catalog());
  // What cannot be converted is set aside, and is not to be there.
  if (!image.ok() && move_.on_error == OnError::reject) return Change{target_key, std::nullopt};
  if (!image.ok()) return image.error();
  return Change{target_key, values_of(std::move(image).value())};
}

// A row copied earlier may hold a unique value that has moved to a row of this chunk since: the
// feed would bring it up to date later, and it has to be now.
Result<Applied> Copy::write(std::vector<Change>& changes) {
  std::set<Row, RowLess> known;
  TRY(make_room(moves_, move_, changes));
  const std::int64_t of_this_chunk = std::ssize(changes);
  while (true) {
    ASSIGN_OR_RETURN(Applied applied, writer_->apply(changes));
    if (applied.others_write) others_write();
    if (applied.blocked_by.empty()) {
      applied.written = std::min(applied.written, of_this_chunk);
      return applied;
    }
    if (known.empty()) {
      for (const Change& change : changes) known.insert(change.key);
    }
    std::vector<Change> added;
    for (const Row& key : applied.blocked_by) {
      if (!known.insert(key).second) {
        return Error{ErrorCode::refused,
                     fmt::format("the row with the key {} holds a value that has to be unique in "
                                 "{}, and another row is to have it as well",
                                 show(key), move_.to),
                     "correct one of the two rows"};
      }
      ASSIGN_OR_RETURN(Change change, change_for(key));
      added.push_back(std::move(change));
    }
    // Each may wait for the next, through a whole table: by itself it is asked what it waits for.
    while (!added.empty()) {
      const Result<Applied> alone = writer_->apply(added);
      std::ranges::move(added, std::back_inserter(changes));
      added.clear();
      if (!alone.ok()) break;  // told when it is written with the others
      for (const Row& key : alone.value().blocked_by) {
        if (!known.insert(key).second) continue;
        ASSIGN_OR_RETURN(Change change, change_for(key));
        added.push_back(std::move(change));
      }
    }
  }
}

// What the copy is to write there; unset where it is not known which row of the source that is, or
// it is none that is copied.
Result<std::optional<OwnChange>> Copy::own_change_for(const Row& target_key) {
  const std::vector<Row> asked = {target_key};
  ASSIGN_OR_RETURN(const auto known, move_.own->find(asked));
  const bool takes_others =
      move_.on_conflict == OnConflict::overwrite || move_.on_conflict == OnConflict::merge;
  // Which rows the first so many are shows only when it is their turn.
  const bool leads_back =
      (move_.mapping.key_is_alike || !move_.mapping.key_goes_one_way) && !move_.limit;
  if (!known[0] && !(takes_others && leads_back)) return std::optional<OwnChange>();
  Row key;
  if (known[0]) {
    key = known[0]->source_key;
  } else if (move_.mapping.key_is_alike) {
    key = target_key;
  } else {
    Result<Row> back = source_key_of(move_.mapping, target_key, move_.source->catalog());
    if (!back.ok()) return std::optional<OwnChange>();
    key = std::move(back).value();
  }
  const std::vector<Row> keys = {key};
  ASSIGN_OR_RETURN(auto rows, reader_->read_keys(keys));
  ASSIGN_OR_RETURN(const std::vector<Selection::Pick> picks, selection_.pick(std::move(rows)));
  // Ours goes where its row of the source has gone, or is not taken any more.
  const auto none = known[0] ? std::optional(OwnChange{key, {target_key, std::nullopt}})
                             : std::optional<OwnChange>();
  const Result<Row> image = picks[0].fate == Selection::Fate::taken
                                ? own_image_of(move_, picks[0].row)
                                : Result<Row>(picks[0].error);
  if (picks[0].fate != Selection::Fate::taken || !image.ok()) return none;
  return std::optional(OwnChange{std::move(key),
                                 {key_of(image.value(), move_.mapping.target_key),
                                  written_values(move_.mapping.forward, image.value())}});
}

// Rows that hold a unique value which one of these is to have go along with them: what a later
// chunk, or a copy of before, makes of them leaves it free.
Result<Applied> Copy::write_among_others(std::vector<OwnChange> own) {
  const OwnPlace place{*move_.own, *target_, *writer_, move_.mapping, move_.to, move_.on_conflict};
  std::set<Row, RowLess> known;
  for (const OwnChange& one : own) known.insert(one.change.key);
  const std::int64_t of_this_chunk = std::ssize(own);
  while (true) {
    ASSIGN_OR_RETURN(Applied applied, write_own(place, own));
    // Those of other chunks are counted there.
    applied.written = std::min(applied.written, of_this_chunk);
    if (applied.blocked_by.empty()) return applied;
    const std::size_t before = own.size();
    for (std::vector<Row> in_the_way = applied.blocked_by; !in_the_way.empty();) {
      std::vector<OwnChange> added;
      for (const Row& key : std::exchange(in_the_way, {})) {
        if (!known.insert(key).second) continue;
        ASSIGN_OR_RETURN(std::optional<OwnChange> change, own_change_for(key));
        if (!change) return unique_to_another(move_.to, key);
        added.push_back(*std::move(change));
      }
      if (added.empty()) break;
      // Each may wait for the next, as above.
      Result<Applied> alone = write_own(place, added);
      std::ranges::move(added, std::back_inserter(own));
      if (!alone.ok()) break;
      in_the_way = std::move(alone.value().blocked_by);
    }
    if (own.size() == before) return unique_to_another(move_.to, applied.blocked_by.front());
  }
}

Result<ChunkOfRows> Copy::read(const ChunkLimits& limits) {
  if (inside_ != nullptr) return inside_->read_after(after_, limits);
  // The first so many rows are those of the table's own order.
  const bool any_order = !move_.limit && move_.subset == nullptr;
  return any_order ? reader_->scan_after(after_, limits) : reader_->read_after(after_, limits);
}

Result<Copy::Outcome> Copy::copy_rows(const ChunkLimits& limits) {
  ASSIGN_OR_RETURN(ChunkOfRows chunk, read(limits));
  Outcome outcome;
  outcome.through = chunk.range.through;
  outcome.read = std::ssize(chunk.rows);
  if (move_.own != nullptr) {
    TRY(copy_own(std::move(chunk.rows), outcome));
    return outcome;
  }
  std::vector<Change> changes;
  std::vector<Row> keys;
  for (const Row& row : chunk.rows) {
    outcome.bytes += size_of(row);
    Row key = key_of(row, move_.mapping.source_key);
    Result<Row> image = image_of(move_.mapping, row, move_.target->catalog());
    if (!image.ok()) {
      Error error = std::move(image).error().within(fmt::format("converting key {}", show(key)));
      if (move_.on_error == OnError::fail) return error;
      TRY(reject_(move_, key, error));
      ++outcome.rejected;
      continue;
    }
    Row target_key = key_of(image.value(), move_.mapping.target_key);
    changes.push_back({std::move(target_key), values_of(std::move(image).value())});
    keys.push_back(std::move(key));
  }
  TRY(write_or_name(std::move(changes), keys, outcome));
  return outcome;
}

// Half by half, until the row is known that the target does not take. It is not set aside: what is
// right for a value can be told again whenever the row is met, what a table takes cannot.
Status Copy::write_or_name(std::vector<Change> changes, std::span<const Row> keys,
                           Outcome& outcome) {
  if (changes.empty()) return {};
  Result<Applied> applied = write(changes);
  if (applied.ok()) {
    outcome.written += applied.value().written;
    return {};
  }
  if (!applied.error().is_of_a_row()) return std::move(applied).error();
  changes.resize(keys.size());  // without those that were to come with them
  if (changes.size() == 1) {
    return std::move(applied).error().within(fmt::format("copying the row {}", show(keys[0])));
  }
  const std::size_t half = changes.size() / 2;
  std::vector<Change> second(std::make_move_iterator(changes.begin() + std::ssize(changes) / 2),
                             std::make_move_iterator(changes.end()));
  changes.resize(half);
  TRY(write_or_name(std::move(changes), keys.first(half), outcome));
  return write_or_name(std::move(second), keys.subspan(half), outcome);
}

// Among rows of others, and perhaps not every row.
Status Copy::copy_own(std::vector<Row> rows, Outcome& outcome) {
  std::vector<Row> keys;
  for (const Row& row : rows) {
    outcome.bytes += size_of(row);
    keys.push_back(key_of(row, move_.mapping.source_key));
  }
  ASSIGN_OR_RETURN(const std::vector<Selection::Pick> picks,
                   selection_.pick({std::make_move_iterator(rows.begin()),
                                    std::make_move_iterator(rows.end())}));
  if (move_.refuses_orphans) TRY(selection_.refuse_orphans(picks));
  std::vector<OwnChange> own;
  for (std::size_t i = 0; i < picks.size(); ++i) {
    if (picks[i].fate == Selection::Fate::left_out) {
      --outcome.read;
      continue;
    }
    Row& key = keys[i];
    Result<Row> image = picks[i].fate == Selection::Fate::taken ? own_image_of(move_, picks[i].row)
                                                                : Result<Row>(picks[i].error);
    if (!image.ok()) {
      const bool is_orphan = picks[i].fate == Selection::Fate::set_aside;
      Error error = std::move(image).error().within(fmt::format("converting key {}", show(key)));
      if (move_.on_error == OnError::fail && !is_orphan) return error;
      TRY(reject_(move_, key, error));
      ++outcome.rejected;
      continue;
    }
    Change change{key_of(image.value(), move_.mapping.target_key),
                  written_values(move_.mapping.forward, image.value())};
    own.push_back({std::move(key), std::move(change)});
  }
  if (own.empty()) return {};
  ASSIGN_OR_RETURN(const Applied applied, write_among_others(std::move(own)));
  if (applied.others_write) others_write();
  outcome.written = applied.written;
  return {};
}

Status Copy::copy_batch(Outcome& chunk) {
  // Before it is read: what was read and waits is old when it is written.
  const Milliseconds waited = rate_.wait();
  if (waited.count() > 0) clock_.sleep_for(waited);
  const Milliseconds began = clock_.monotonic();
  const bool by_plan = limits_.batch_size && takes_locks(move_);
  if (by_plan) bounds_.rows_max = *limits_.batch_size;  // may have been changed
  rows_per_batch_ =
      RowRate::rows_max(std::min(rows_per_batch_, bounds_.rows_max), limits_.rows_per_s);
  const ChunkLimits limits{rows_per_batch_, std::int64_t{8} << 20};
  ASSIGN_OR_RETURN(const Outcome batch, move_.inside ? copy_inside(limits) : copy_rows(limits));
  const Milliseconds took = batch.took.value_or(clock_.monotonic() - began);
  chunk.through = batch.through;
  chunk.read += batch.read;
  chunk.written += batch.written;
  chunk.rejected += batch.rejected;
  chunk.bytes += batch.bytes;
  chunk.took = chunk.took.value_or(Milliseconds(0)) + took + waited;
  ++batches_;
  rows_per_batch_ = next_chunk_rows(rows_per_batch_, took, bounds_);
  rate_.add(batch.read, began, limits_.rows_per_s);
  if (!batch.through) return {};
  after_ = batch.through;
  if (make_way()) clock_.sleep_for(gap);
  return {};
}

Result<Step> Copy::step() {
  if (inside_ == nullptr && reader_ == nullptr) TRY(open());
  const std::int64_t number = journal_.state().copies[move_.index].chunks + 1;
  const Milliseconds began = clock_.monotonic();
  const std::int64_t batches_before = batches_;
  const bool has_several_batches = inside_ != nullptr || !keeps_others_waiting(move_);
  Outcome chunk;
  Status copied;
  do {
    copied = copy_batch(chunk);
  } while (copied.ok() && chunk.through && has_several_batches && !limits_.rows_per_s &&
           batches_ - batches_before < batches_per_chunk_max &&
           clock_.monotonic() - began < chunk_max);
  // What is journaled stays, also when the machine loses its power.
  if (copied.ok() && inside_ != nullptr) copied = inside_->make_durable();
  if (!copied.ok()) {
    const std::string from = after_ ? " after " + show(*after_) : " from its beginning";
    return std::move(copied)
        .error()
        .within(fmt::format("copying chunk {} of {}{}", number, move_.name, from))
        .saying_safe(fmt::format("this chunk was not journaled; `whimbrel run` goes on at chunk {}",
                                 number));
  }
  const bool at_end = !chunk.through.has_value();
  const std::int64_t skipped =
      std::max<std::int64_t>(chunk.read - chunk.written - chunk.rejected, 0);
  const std::int64_t took = chunk.took.value_or(Milliseconds(0)).count();
  TRY(journal_.append(ChunkCopied{move_.index, at_end ? "" : to_hex(canonical(*chunk.through)),
                                  at_end, chunk.read, chunk.written, skipped, chunk.rejected,
                                  chunk.bytes, took}));
  events_.emit({"chunk_copied",
                {{"table", move_.name},
                 {"chunk", number},
                 {"rows", chunk.read},
                 {"written", chunk.written},
                 {"skipped", skipped},
                 {"rejected", chunk.rejected},
                 {"ms", took},
                 {"beside_writers", gaps_ > 0}}});
  return at_end ? Step::done : Step::again;
}

// Who waits for a lock looks for it now and then, and would miss the moment between two batches. A
// gap between them is long enough to be found; without a writer it is only tried now and then.
bool Copy::make_way() {
  if (!keeps_others_waiting(move_)) return false;
  if (gaps_ > 0) {
    if (--gaps_ == 0) bounds_.wanted = batch_alone;
    return true;
  }
  return batches_ % batches_between_gaps == 0;
}

}  // namespace whimbrel
