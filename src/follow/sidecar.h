// What goes into files beside the journal, because it holds row values and must never reach
// events, log or metrics.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "journal/journal.h"
#include "plan/migration.h"

namespace whimbrel {

class Sidecar {
 public:
  virtual ~Sidecar() = default;
  // Any thread. A row that is set aside: with its key and the reason (`rejected.jsonl`).
  virtual Status rejected(const Move& move, const Row& key, const std::string& reason) = 0;
  // What is set aside from now on is another run's: `rejected.jsonl` begins anew, the one before is
  // kept beside it.
  virtual Status begin_anew() = 0;
  // A row as it was before `verify --repair` puts another in its place (`repaired.jsonl`); unset:
  // there was none.
  // `table`: alias/table of the side that gives way; `before` has these columns.
  virtual Status repaired(const std::string& table, const std::vector<std::string>& columns,
                          const Row& key, const std::optional<Row>& before) = 0;
  // Values the old shape cannot hold, before the new side is taken away.
  virtual Status kept(const Migration& migration, const std::vector<KeptRow>& rows) = 0;
};

}  // namespace whimbrel
