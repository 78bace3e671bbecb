// Whether rows of ours, among rows of others, are what they should be.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plan/selection.h"

namespace whimbrel {

// Threads: one at a time. Errors: those of both stores, of the book, and of a row that does not
// convert under `on_error: fail`.
class OwnComparison {
 public:
  OwnComparison(std::span<const Move> moves, const Move& move)
      : move_(move), selection_(moves, move) {}

  struct Pair {
    std::optional<Row> image;   // as the target row should be; unset where none of ours should be
    std::optional<Row> target;  // ours, as it is
    std::string differs;        // "" for equal, else "missing", "extra" or the columns
    // The source was written since the copy, and the target is as the copy left it: the next `run`
    // carries it.
    bool waits = false;
  };
  // One for each key; `sources` are their rows. Rows of others are no differences.
  Result<std::vector<Pair>> compare(std::span<const Row> source_keys,
                                    std::vector<std::optional<Row>> sources,
                                    SnapshotReader& target);

 private:
  Result<std::vector<std::optional<Row>>> images_of(std::vector<std::optional<Row>> sources);
  Status judge(Pair& pair, const std::optional<OwnRow>& known) const;

  const Move& move_;
  Selection selection_;
};

}  // namespace whimbrel
