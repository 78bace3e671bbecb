// Which rows of the new side were carried back since the last check: what the next one looks at
// besides its part of the keys.
//
// It counts changes as the journal does, so that a check notices when it does not know all of them,
// because another life or more of them than fit into memory have carried some. Then every row is
// compared.
#pragma once

#include <map>
#include <set>
#include <string>

#include "store/store.h"

namespace whimbrel {

class ChangedSince {
 public:
  using Keys = std::map<std::string, std::set<Row, RowLess>>;  // by table of the new side

  void hear(const ChangeBatch& batch) {
    changes_ += std::ssize(batch.changes);
    for (const KeyChange& change : batch.changes) {
      if (change.own || remembered_ == keys_max) continue;
      if (keys_[change.table].insert(change.key).second) ++remembered_;
    }
  }
  std::int64_t changes() const { return changes_; }
  bool is_whole() const { return remembered_ < keys_max; }
  const Keys& keys() const { return keys_; }

 private:
  static constexpr std::int64_t keys_max = 100'000;
  Keys keys_;
  std::int64_t changes_ = 0;
  std::int64_t remembered_ = 0;
};

}  // namespace whimbrel
