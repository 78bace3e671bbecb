// Which rows of the source a copy among rows of others takes: `where`, `limit`, `sample`
// and `orphans`.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "plan/migration.h"

namespace whimbrel {

// Whether the plan leaves out rows of this table, for what they are.
bool leaves_out_rows(const Move& move);
// Whether a row of the source is wanted, for whoever asks of many; null where all are. `moves` are
// all of the migration, and both outlive it. Any thread.
std::function<Result<bool>(const Row&)> what_is_wanted(std::span<const Move> moves,
                                                       const Move& move);
// The image of a row of a copy among rows of others: `data_mismatch` for one with a null in its
// key, else the errors of image_of().
Result<Row> own_image_of(const Move& move, const Row& row);
// What this row of the source refers to. What the mapping refuses anyway refers to nothing.
std::vector<Value> ids_of(const Reference& reference, const Row& row);

// Threads: one at a time. Errors: those of the sources.
class Selection {
 public:
  // `moves` are all of the migration, and outlive the selection.
  Selection(std::span<const Move> moves, const Move& move)
      : Selection(moves, move, std::make_shared<Known>()) {}

  enum class Fate { taken, left_out, set_aside };
  struct Pick {
    Fate fate = Fate::taken;
    Row row;      // of the source, with references as they are to be; only of a row that is taken
    Error error;  // why a row is set aside
  };
  // One for each row; one that is not there is left out. Under `orphans: fail` and `keep`
  // references are not looked at.
  Result<std::vector<Pick>> pick(std::vector<std::optional<Row>> rows);

  struct Missing {
    std::size_t row = 0;
    const Reference* reference = nullptr;
    Value id;
  };
  // The references of these rows that lead to no row which is taken.
  Result<std::vector<Missing>> missing(std::span<const Row> rows);
  // data_mismatch for the first of the rows taken that refers to nothing.
  Status refuse_orphans(const std::vector<Pick>& picks);
  // What becomes of rows that are wanted, when these references of theirs are missing.
  Result<std::vector<Pick>> decide(std::vector<Row> wanted,
                                   const std::vector<Missing>& missing) const;
  // Every condition of `where` holds, and it is of the subset where the plan wants one.
  Result<bool> is_wanted(const Row& row) const;
  // Whether the row that a reference would lead to by this id is taken.
  Result<bool> is_taken(const Reference& reference, const Value& id);
  // What was looked up, and the readers.
  void forget() { known_->parents.clear(); }
  // References that the store itself counts as good, and that would get another new id than the row
  // that they lead to, because they are spelled otherwise than its key.
  struct SpelledOtherwise {
    std::set<Row, RowLess> keys;  // as they are spelled
    std::string example;          // of the first
  };
  const SpelledOtherwise& spelled_otherwise() const { return known_->spelled_otherwise; }

 private:
  // What was looked at, for all moves together.
  struct Parent {
    std::unique_ptr<SnapshotReader> reader;
    std::map<Row, bool, RowLess> taken;  // by key
  };
  struct Known {
    std::map<int, Parent> parents;  // by move
    SpelledOtherwise spelled_otherwise;
  };
  class Closure;
  Selection(std::span<const Move> moves, const Move& move, std::shared_ptr<Known> known)
      : moves_(moves), move_(move), known_(std::move(known)) {}

  Status look_up(const Reference& reference, std::vector<Value> ids);
  // A row and what it refers to were read at two moments, and others write in between.
  Status look_again(std::span<const Row> rows, std::vector<Missing>& all);
  Status settle(Pick& pick, const Missing& missing) const;

  std::span<const Move> moves_;
  const Move& move_;
  std::shared_ptr<Known> known_;
};

}  // namespace whimbrel
