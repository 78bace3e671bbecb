// Compares target with source through the mapping: every row unless sampled, and the other way
// round for rows that the source does not have.
//
// A difference found while both sides are written to may only be lag, so it is a suspicion: after
// the feed was drained the suspects are looked at again. Rows that the new side wrote under links
// are judged by the way back instead: the source must hold what they lead back to.
// Threads: each lane by one at a time, several lanes at once; all else by one, while no lane is
// stepped.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/events.h"
#include "base/executor.h"
#include "journal/journal.h"
#include "plan/migration.h"
#include "verify/own_comparison.h"

namespace whimbrel {

struct Difference {
  std::string table;
  std::string key;   // as a person reads it; never into events or log
  std::string what;  // "missing", "extra", cannot_be_moved and why, or the columns
};
inline constexpr std::string_view cannot_be_moved = "cannot be moved: ";

// A line each, of the first so many.
constexpr std::int64_t examples_told = 10;
std::string examples_of(std::span<const Difference> all);

// A rolling part of the rows: so many from where the last part ended, and behind the last row on
// with the first. Positions are as the readers gave them.
struct Portion {
  std::int64_t rows = 0;
  std::optional<Row> source;
  std::optional<Row> target;
};

enum class Pairing {
  lagging,   // the source serves; the target follows with a lag
  linked,    // the store keeps both in step
  reversed,  // the target serves: the source must hold what target rows lead back to
};

class Verify {
 public:
  // `sample`: compare about this many rows instead of all; 0 for all.
  Verify(std::span<const Move> moves, const Move& move, Pairing pairing, std::int64_t sample,
         Journal& journal, Clock& clock, Events& events);
  // Only this part, instead of all rows; to be said before open().
  void only(Portion portion) { portion_ = std::move(portion); }
  // Where the next one begins, when all lanes are done.
  const Portion& portion() const { return *portion_; }
  // How many lanes there are: parts of the source, and the target for rows that only it has.
  Result<int> open();
  // The next chunk of a lane; when all of them are done, every row was looked at once.
  Result<Step> step(int lane);
  // Target keys whose new side's values were put back before: judged by the way back too.
  void put_back_before(std::set<Row, RowLess> target_keys) { put_back_ = std::move(target_keys); }
  // Target keys of rows that the source has no place for, or has an older version of: they are
  // kept, and no difference.
  void has_no_place_for(std::set<Row, RowLess> target_keys) { no_place_ = std::move(target_keys); }
  // These rows as well, whatever the lanes looked at.
  Status look_at(const std::vector<Row>& source_keys);
  Status look_at_target(const std::vector<Row>& target_keys);
  // Looks again at what was suspect; what still differs stays.
  Status recheck();
  // Suspects with these source keys are only waiting in a feed that nobody follows right now.
  void forgive(const std::set<Row, RowLess>& source_keys);

  // Among rows of others: suspects that only the next `run` has to carry.
  Status forgive_what_waits();

  // Called when there are too many suspects to remember: it may forgive some of them.
  void settle_early(std::function<Status()> settle) { settle_ = std::move(settle); }

  const Move& move() const { return move_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t lagging() const { return lagging_; }
  std::int64_t on_new_side() const { return on_new_side_; }
  std::int64_t suspects() const;
  // By source key; those beyond what is remembered are not among them.
  std::vector<Row> suspect_keys() const { return {suspects_.begin(), suspects_.end()}; }
  std::vector<Difference> differences(std::size_t at_most);
  Status journal_outcome();

 private:
  struct Lane {
    bool of_target = false;
    std::optional<Row> after;
    std::optional<Row> until;
    std::int64_t rows_per_chunk = 1000;
    std::optional<std::int64_t> rows_left;  // of a portion
    bool began_within = false;              // a portion that did not begin with the first row
    std::unique_ptr<SnapshotReader> source;
    std::unique_ptr<SnapshotReader> target;
    std::unique_ptr<InsideCopier> inside;
    std::unique_ptr<OwnComparison> own;  // among rows of others
  };
  Status open(Lane& lane) const;
  static void close(Lane& lane);
  // The readers for what is looked at twice; most tables need none.
  Status open_to_judge();
  // True at the lane's end.
  Result<bool> source_chunk(Lane& lane);
  Result<bool> source_chunk_inside(Lane& lane);
  Result<bool> target_chunk(Lane& lane);
  Result<bool> own_chunk(Lane& lane);
  Result<bool> source_chunk_of_own(Lane& lane);
  Status note_chunk(std::int64_t rows, const Fingerprint& expected, const Fingerprint& found,
                    const std::vector<Row>& suspects);
  Result<std::vector<OwnComparison::Pair>> own_pairs(const std::vector<Row>& source_keys);
  // Sorts out which of these pairs differ; what is equal is forgotten.
  Status judge(const std::vector<Row>& source_keys);
  Status look_under_other_spellings(const std::vector<Row>& source_keys,
                                    const std::vector<Row>& target_keys,
                                    std::vector<std::optional<Row>>& sources);
  Result<std::vector<std::string>> verdicts(const std::vector<Row>& source_keys);
  Status suspect(const std::vector<Row>& source_keys);
  Result<bool> has_room();
  Result<bool> written_by_new_side(const Row& target_key);
  Result<Row> key_there_and_back(const Row& target_key) const;
  Result<bool> is_on_new_side_only(const Row& target_key);
  Result<std::string> verdict(const std::optional<Row>& source, const std::optional<Row>& target,
                              const Row& target_key);
  bool sampled_enough();
  ChunkLimits limits_of(const Lane& lane) const;
  void open_portion();
  bool ends_portion(Lane& lane, bool at_end);

  std::span<const Move> moves_;
  const Move& move_;
  Pairing pairing_;
  std::int64_t sample_;
  std::optional<Portion> portion_;
  Journal& journal_;
  Clock& clock_;
  Events& events_;
  std::vector<Lane> lanes_;
  std::mutex mutex_;  // of all below, while lanes are stepped
  std::int64_t rows_ = 0;
  std::int64_t on_new_side_ = 0;
  std::int64_t lagging_ = 0;
  Fingerprint expected_;
  Fingerprint found_;
  std::set<Row, RowLess> new_side_;  // target keys
  std::set<Row, RowLess> put_back_;  // target keys
  std::set<Row, RowLess> no_place_;  // target keys
  std::set<Row, RowLess> suspects_;  // source keys
  std::function<Status()> settle_;
  std::int64_t suspects_beyond_ = 0;  // when there are too many to remember
  std::unique_ptr<SnapshotReader> source_;
  std::unique_ptr<SnapshotReader> target_;
  std::unique_ptr<OwnComparison> own_;  // among rows of others
};

}  // namespace whimbrel
