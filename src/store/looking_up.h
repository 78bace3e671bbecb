// What rows of a shape have from rows of other tables.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "store/shape.h"
#include "store/store.h"

namespace whimbrel {

// The key in the other table that these values of a row mean, in the order of that key; nothing
// where that table can have no such key.
Result<std::optional<Row>> looked_up_key(const Catalog& catalog, const LookedUp& what, Row by);

// Adds what is looked up to rows of a shape. Threads: as the store's readers.
class LookingUp {
 public:
  // Both outlive it.
  static Result<LookingUp> open(Store& base, const SourceShape& shape);

  // `rows`: as the shape has them, without what is looked up.
  Status add_to(std::vector<Row>& rows);

 private:
  struct One {
    const LookedUp* what;
    const Catalog* catalog;
    std::vector<int> by;
    int take;
    std::unique_ptr<SnapshotReader> reader;
  };
  std::vector<One> each_;
};

}  // namespace whimbrel
