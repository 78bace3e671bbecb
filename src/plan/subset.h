// Which rows a copy takes when it is not to take all: `limit:` and `sample:`.
//
// A limit takes the first rows of a table, in the order of the store. A sample takes rows of a
// table by the smallest digests of their keys, so that it is spread evenly and the same on every
// machine; with them the rows that belong to them (that refer to them, and so on), and then
// everything that all these need (that they refer to, and so on). Tables that no reference connects
// with a sampled one are taken whole.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "plan/key_set.h"
#include "plan/migration.h"

namespace whimbrel {

// Chosen when it is first asked for, by reading the tables that it is about, and then the same for
// the whole process. Threads: any. Errors: those of the sources, and of temporary files.
class Subset {
 public:
  // Whether this row of the source, for which `where` holds, is of it. `moves` are all of the
  // migration.
  Result<bool> has(std::span<const Move> moves, const Move& move, const Row& row);

 private:
  Status choose(std::span<const Move> moves);
  Status take_first(const Move& move);
  Status take_sample(const Move& move);
  Status add_what_belongs(std::span<const Move> moves);
  Result<bool> add_belonging_rows(std::span<const Move> moves, const Move& move,
                                  const std::vector<const Reference*>& references);
  Status add_what_is_needed(std::span<const Move> moves);
  Status add_parents(std::span<const Move> moves, const Move& move,
                     const std::vector<std::string>& keys);
  Result<bool> is_eligible(const Move& move, const Row& row);
  Status each_chunk(const Move& move,
                    const std::function<Result<bool>(const std::vector<Row>&)>& look);

  std::mutex mutex_;
  std::unique_ptr<KeySet> keys_;
  std::vector<bool> is_whole_;  // by move: nothing connects it with a sample
};

// Every condition of `where` holds.
bool meets_conditions(const Move& move, const Row& row);

}  // namespace whimbrel
