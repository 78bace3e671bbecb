// Whether the references of the rows that a copy has written lead to rows of the new side.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/executor.h"
#include "plan/migration.h"

namespace whimbrel {

// Of one table. Threads: one at a time. Errors: `data_mismatch` for the first that leads nowhere;
// those of the target and of the book.
class ReferencesOf {
 public:
  // `moves` are all of the migration, and outlive this.
  ReferencesOf(std::span<const Move> moves, const Move& move) : moves_(moves), move_(move) {}
  // The next rows of ours.
  Result<Step> step();
  // How many were followed so far.
  std::int64_t references() const { return followed_; }

 private:
  Status open();
  static Result<std::optional<Row>> key_with(const Mapping& parent, const Value& id);
  Status follow(const Reference& reference, SnapshotReader& parents,
                const std::vector<std::optional<Row>>& rows);

  std::span<const Move> moves_;
  const Move& move_;
  std::unique_ptr<SnapshotReader> rows_;
  std::vector<std::unique_ptr<SnapshotReader>> parents_;  // by reference
  std::optional<Row> after_;
  std::int64_t followed_ = 0;
};

}  // namespace whimbrel
