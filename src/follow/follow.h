// Carries captured changes over: forward to the target before the switch, back to the source after.
//
// A feed says only which keys were written. For each key the current row is read from the side
// that serves and put (or deleted) on the other; so applying is idempotent, the order of keys does
// not matter, and reading a change twice does no harm (the scheme of Facebook's OSC; see
// docs/decisions/0002). A batch is applied, compared, and only then is its position journaled.
// Our own writes are not carried back (`KeyChange::own`). Threads: one at a time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>

#include "base/events.h"
#include "journal/journal.h"
#include "plan/migration.h"

namespace whimbrel {

enum class Direction { forward, backward };

struct FollowStep {
  std::int64_t changes = 0;
  bool at_end = false;
};

class Follow {
 public:
  using RejectRow = std::function<Status(const Move& move, const Row& key, const Error& reason)>;
  // A smaller batch was the last that waited: reports tell by it when both sides were equal.
  static constexpr std::int64_t changes_per_batch_max = 500;
  // Where many wait: a row that changed again and again is carried over once.
  static constexpr std::int64_t changes_at_once_max = 50'000;

  // `store` is the side that is read; all its moves are followed. The feed must be started.
  Follow(Direction direction, std::string feed, Store& store, const std::vector<Move>& moves,
         Journal& journal, Events& events, RejectRow reject);

  // Up to where the feed was carried over; "" before its first batch.
  std::string position() const;
  // One batch. data_mismatch when a row does not arrive although nobody else changes it.
  Result<FollowStep> step(std::int64_t changes_max = changes_per_batch_max);
  // For changes that meet others, late or early: keys the application has
  // written there are left alone and handed to `conflict`; the rest is written only if the row
  // there has not changed since it was looked at. `serves`: the application writes there by now,
  // so a row that differs afterwards is no mistake.
  using WrittenThere = std::function<Result<std::set<Row, RowLess>>(const Move& move)>;
  void guard(WrittenThere written_there, RejectRow conflict, bool serves) {
    other_side_serves_ = serves;
    written_there_ = std::move(written_there);
    conflict_ = std::move(conflict);
  }
  // With guard(): told of each row that the side has which is read, where it is not carried because
  // of a conflict; unset, where it was deleted. Called before `conflict`.
  using StaysBehind =
      std::function<Status(const Move& move, const Row& key, const std::optional<Row>& row)>;
  void tell_of_what_stays_behind(StaysBehind stays_behind) {
    stays_behind_ = std::move(stays_behind);
  }
  // What the other side cannot hold is kept in the journal, value by value where the rest of a row
  // fits, else the whole row; without this it is an error. Only on the way back.
  void keep_what_does_not_fit() { keeps_ = true; }
  // Told of rows that were set aside, and have come after all or are gone.
  using RowIsCarried = std::function<Status(const Move& move, const Row& key)>;
  void tell_of_rows_set_aside(RowIsCarried carried) { row_is_carried_ = std::move(carried); }
  // Told of every batch that was carried over.
  void tell(std::function<void(const ChangeBatch& batch)> heard) { heard_ = std::move(heard); }
  // Moves whose table is gone: changes of theirs are passed over.
  void leave_out(std::set<int> moves) { left_out_ = std::move(moves); }
  // Makes the other side's rows for these keys (of the side that is read) what they should be, as
  // if a feed had named them. Gives the rows written. `unavailable` when a guarded row changed
  // meanwhile.
  Result<std::int64_t> carry_keys(const Move& move, std::vector<Row> keys);
  // On the way back, by keys of the new side: what the application has written into rows that only
  // follow from others is noted for a person, unless it follows from them as they are now.
  using KeysByTable = std::map<std::string, std::set<Row, RowLess>>;
  Status keep_what_leads_nowhere(const KeysByTable& written);
  // All of the migration.
  std::span<const Move> moves() const { return moves_; }
  // What waits from the journaled position to the end, batch by batch; applies nothing.
  Status look_ahead(const std::function<Status(const ChangeBatch& batch)>& see) {
    return look_ahead(position(), see);
  }
  Status look_ahead(std::string from, const std::function<Status(const ChangeBatch& batch)>& see);

 private:
  struct Lane {
    const Move* move = nullptr;
    std::unique_ptr<SnapshotReader> from;
    std::unique_ptr<SnapshotReader> to;
    std::unique_ptr<BatchWriter> writer;
    std::int64_t row_bytes = 0;  // about, of what was read last; 0: nothing was
  };
  static void note_size(Lane& lane, const std::vector<std::optional<Row>>& rows);
  Result<std::ptrdiff_t> rows_at_once(Lane& lane, const std::vector<Row>& keys);
  Result<Lane*> lane_for(const std::string& table);
  // `removed`: keys whose row was deleted meanwhile; if it is back it is another row.
  Result<std::int64_t> carry(Lane& lane, const std::vector<Row>& asked,
                             const std::set<Row, RowLess>& removed, int looks = 0);
  Status leave_out_what_never_was(const Lane& lane, std::vector<Row>& keys);
  Status set_aside_keys(const Lane& lane, std::vector<Row>& keys);
  Result<bool> stayed_behind(const Lane& lane, const Row& source_key);
  Status is_set_aside_no_more(const Lane& lane, const Row& key);
  // As carry(), and rows that the other side refuses are kept.
  Result<std::int64_t> carry_what_fits(Lane& lane, const std::vector<Row>& keys,
                                       const std::set<Row, RowLess>& removed);
  struct Spelled {
    std::vector<Row> keys;
    std::set<Row, RowLess> removed;  // and every new spelling of one of them
  };
  const std::vector<int>& key_columns(const Lane& lane) const;  // of the side that is read
  bool any_is_spelled_otherwise(const Lane& lane, const std::vector<Row>& keys,
                                const std::vector<std::optional<Row>>& rows) const;
  Spelled spelled_as_they_are(const Lane& lane, const std::vector<Row>& keys,
                              const std::vector<std::optional<Row>>& rows,
                              const std::set<Row, RowLess>& removed) const;
  // Forward: where a row is gone that stands in another spelling; unset when there is none.
  Result<std::optional<std::vector<Row>>> in_other_spellings(
      const Lane& lane, const std::vector<Row>& keys,
      const std::vector<std::optional<Row>>& rows) const;
  Status keep_whole(const Lane& lane, const Row& key);
  // Of several rows of the side that serves that are one on the other, all but one wait.
  Result<std::set<Row, RowLess>> keep_second_ones(const Lane& lane, const std::vector<Row>& keys,
                                                  const std::vector<std::optional<Row>>& rows);
  Result<std::int64_t> carry_with(Lane& lane, std::vector<Row> keys,
                                  const std::vector<Row>& blocked_by,
                                  const std::set<Row, RowLess>& removed);
  Status carry_forward(Lane& lane, const std::vector<Row>& keys,
                       const std::vector<std::optional<Row>>& rows, std::vector<Change>& changes);
  Status carry_backward(Lane& lane, const std::vector<Row>& keys,
                        const std::vector<std::optional<Row>>& rows,
                        const std::set<Row, RowLess>& removed, std::vector<Change>& changes);
  Result<Row> other_key(const Lane& lane, const Row& key) const;
  Status compare(Lane& lane, const std::vector<Row>& keys,
                 const std::vector<std::optional<Row>>& rows, const std::vector<Change>& changes,
                 const std::vector<std::optional<Row>>& found);
  Status name_what_came_between(Lane& lane, const std::vector<Row>& keys,
                                const std::vector<Change>& changes);
  Result<std::int64_t> carry_what_moved(Lane& lane, const std::vector<Row>& keys,
                                        const std::vector<std::optional<Row>>& rows, int looks);
  Result<std::int64_t> carry_own(Lane& lane, const std::vector<Row>& keys);
  Result<bool> stands_as_carried(Lane& lane, const Row& key, const std::optional<Row>& row,
                                 const Change& change);
  Status keep_beside_defaults(Lane& lane, const std::vector<Row>& keys,
                              const std::vector<std::optional<Row>>& rows,
                              const std::vector<std::optional<Row>>& found);

  Result<bool> was_kept_by_an_earlier_attempt(const Move& move, const Row& key);
  static bool follows_from(const Move& move, const Row& source, const Row& target);
  Result<FollowStep> carry_batch(std::int64_t changes_max);
  // Where one table became several, a row may have gone from one of them to another.
  // `batch`: what else was written, by table.
  Result<std::int64_t> carry_where_they_went(const Move& move,
                                             const std::set<Row, RowLess>& removed,
                                             const KeysByTable& batch, const KeysByTable& gone);

  bool steps_ = false;  // what is carried comes from the feed, and so will what follows it
  Direction direction_;
  std::string feed_;
  Store& store_;
  const std::vector<Move>& moves_;
  Journal& journal_;
  Events& events_;
  RowIsCarried row_is_carried_;
  RejectRow reject_;
  std::vector<Row>* waits_for_ = nullptr;  // set: rows that are in the way are only named there
  std::map<std::string, Lane> lanes_;
  WrittenThere written_there_;
  bool other_side_serves_ = false;
  bool keeps_ = false;
  RejectRow conflict_;
  StaysBehind stays_behind_;
  std::set<int> left_out_;
  std::function<void(const ChangeBatch&)> heard_;
};

}  // namespace whimbrel
