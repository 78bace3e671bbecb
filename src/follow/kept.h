// Values the old shape cannot hold: noted as they appear, put back by the next attempt, but only
// where the old side has not given the column another value meanwhile.
#pragma once

#include <string>
#include <vector>

#include "journal/journal.h"
#include "plan/migration.h"
#include "store/image.h"

namespace whimbrel {

// Notes them in the journal under the target's key, or forgets the row when there are none.
Status keep_unheld(Journal& journal, int move, const Row& target_key,
                   const std::vector<Unheld>& columns);
// A row that the old side has no place for at all. Its note says so: the next attempt makes it
// again where nobody else has. `stays`: an older version that the old side has; while it is that
// one, the next attempt writes this one over it.
Status keep_whole_row(Journal& journal, const Move& move, const Row& target_key, const Row& row,
                      const std::optional<Row>& stays = std::nullopt);
// The new side's version of a row that both sides have written: no attempt puts it back by itself.
Status keep_for_a_person(Journal& journal, const Move& move, const Row& target_key, const Row& row);
// Which attempt has kept it for a person; unset for other notes.
std::optional<std::int64_t> attempt_that_kept(const std::vector<Unheld>& columns);
bool is_for_a_person(const std::vector<Unheld>& columns);
// The older version that stayed when this was kept, as version_of() calls it; unset where none did.
std::optional<std::string> what_stayed(const std::vector<Unheld>& columns);
std::string version_of(const Row& source);
bool is_whole_row(const std::vector<Unheld>& columns);
// Notes of many rows, made durable together; forgotten unless committed.
class KeptBatch {
 public:
  explicit KeptBatch(Journal& journal) : journal_(journal) {}
  ~KeptBatch() {
    if (open_) (void)journal_.end_keeping(false);
  }
  KeptBatch(const KeptBatch&) = delete;
  KeptBatch& operator=(const KeptBatch&) = delete;
  Status begin() {
    if (open_) return {};
    TRY(journal_.begin_keeping());
    open_ = true;
    return {};
  }
  Status commit() {
    if (!open_) return {};
    open_ = false;
    return journal_.end_keeping(true);
  }

 private:
  Journal& journal_;
  bool open_ = false;
};
// An error when the journal's text is no such note.
Result<std::vector<Unheld>> columns_from(const KeptRow& row);
Result<Row> key_from(const KeptRow& row);

}  // namespace whimbrel
