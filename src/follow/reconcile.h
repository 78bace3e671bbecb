// Makes the side that does not serve equal to the one that does, by looking at every row.
//
// What a feed does by the keys it names, this does without one: rows that differ are carried over,
// and rows that the serving side no longer has are taken away. Reading goes in chunks by key, so
// memory does not grow with the table; doing it twice changes nothing the second time.
// Rows that `on_error: reject` has set aside are left where they are.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/executor.h"
#include "follow/follow.h"

namespace whimbrel {

class Reconcile {
 public:
  // `follow` carries rows in the same direction, and is guarded when others write meanwhile.
  Reconcile(Direction direction, const Move& move, Follow& follow);
  // Backward: is called with a row of the old side, and its key, before another takes its place.
  using GivesWay = std::function<Status(const Row& key, const Row& before)>;
  void tell_what_gives_way(GivesWay gives_way) { gives_way_ = std::move(gives_way); }
  // The next chunk: first of the rows that serve, then of those on the other side.
  Result<Step> step();

  std::int64_t rows() const { return rows_; }
  std::int64_t written() const { return written_; }

 private:
  enum class Pass { serving, other, done };
  Status open();
  Result<bool> serving_chunk();
  Status leave_out_what_is_equal(const std::vector<Row>& rows, std::vector<Row>& keys);
  Result<bool> differing_chunk();  // inside one store only keys that differ are carried
  Result<bool> other_chunk();
  Result<bool> has_no_others();
  Result<bool> strangers_chunk(const InsideStrangers& strangers);  // the same, by the store itself
  Result<bool> own_chunk();
  Status carry(std::vector<Row> keys);
  Status tell_before(const std::vector<Row>& keys);
  // The key on the serving side of a row on the other; unset for a row that was set aside.
  Result<std::optional<Row>> serving_key_of(const Row& other_row) const;

  Direction direction_;
  const Move& move_;
  Follow& follow_;
  GivesWay gives_way_;
  Pass pass_ = Pass::serving;
  std::optional<Row> after_;
  std::int64_t rows_ = 0;
  std::int64_t written_ = 0;
  std::unique_ptr<SnapshotReader> serving_;
  std::unique_ptr<SnapshotReader> other_;
  std::unique_ptr<InsideCopier> inside_;
};

}  // namespace whimbrel
