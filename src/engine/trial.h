// A few rows for real: they are moved with all that they refer to, compared, and taken away again.
//
// A trial has a journal of its own, in which every row is named before it is written; so one that
// was killed is cleaned up by the next, whatever it had done. Rows that somebody else has changed
// meanwhile are left alone and counted. Threads: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/events.h"
#include "base/stop.h"
#include "journal/journal.h"
#include "plan/migration.h"

namespace whimbrel {

struct TriedRow {
  std::string key;  // as a person reads it
  std::vector<std::pair<std::string, std::string>> before;
  std::vector<std::pair<std::string, std::string>> after;
};
struct TriedTable {
  std::string name;
  std::int64_t rows = 0;   // written and compared
  std::int64_t there = 0;  // the target had them already: not touched
  std::vector<TriedRow> examples;
};
struct TrialOutcome {
  std::vector<TriedTable> tables;
  std::int64_t references = 0;  // that were followed to rows of other tables
  std::int64_t left_alone = 0;  // rows that somebody else changed before they could be removed
};

class Trial {
 public:
  // `stop`: asked between two tables; then what was tried is removed, and the trial is cancelled.
  Trial(const Migration& migration, Journal& journal, Events& events,
        const StopFlag* stop = nullptr);

  // Removes what an earlier trial has left. Gives the rows that were left alone.
  Result<std::int64_t> clean();
  // `table`: a move by name, all when it is empty. `limit`: rows of each. Errors: not_found for a
  // move that the plan does not have; data_mismatch when a row did not arrive as it should.
  Result<TrialOutcome> run(const std::string& table, std::int64_t limit, bool keep);

 private:
  using Keys = std::set<Row, RowLess>;
  struct Lot {
    std::vector<Row> source_rows;
    std::vector<Row> images;
  };
  bool must_stop() const { return stop_ != nullptr && stop_->requested(); }
  Status choose(const std::string& table, std::int64_t limit);
  Status follow_references();
  Status follow_inner(const Move& child, const Lot& lot, std::map<int, Keys>& found);
  Status leave_out(const Move& move, std::vector<std::optional<Row>>& rows) const;
  Result<Lot> read(const Move& move, const Keys& keys);
  Status try_table(const Move& move, TriedTable& tried);
  Status write(const Move& move, const Lot& lot, int part, TriedTable& tried);
  Result<Keys> referred_to(const Move& parent, const Move& child, const ForeignKey& reference,
                           const Lot& lot) const;
  static std::string changed_by_target(const Move& move, const std::vector<Row>& images,
                                       const std::vector<std::optional<Row>>& found);
  static Status compare(const Move& move, const std::vector<Row>& images,
                        const std::vector<std::optional<Row>>& found);
  static Status put_number_back(const Move& move, const std::vector<Change>& removed,
                                std::int64_t number);
  Result<std::int64_t> take_away(const Move& move, const Effect& effect);
  static std::string id_of(const Move& move, int part);
  static bool is_of(const Move& move, const Effect& effect);

  const Migration& migration_;
  Journal& journal_;
  Events& events_;
  std::map<int, Keys> chosen_;  // source keys, by move
  std::int64_t references_ = 0;
  const StopFlag* stop_;
};

}  // namespace whimbrel
