// How far a runner is, how fast, how long it still takes and what holds it back: told by its own
// events, and kept in a file beside the journal for `status`.
//
// What is left is counted in work: every row is read, backed up, copied, indexed and compared, and
// each of these costs about so much of the others (measured, see docs/internals/performance.md).
// What has been done so far tells how long a unit of it takes on this machine.
// Threads: one at a time.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/events.h"

namespace whimbrel {

inline constexpr const char* headway_file = "headway.json";  // in the state folder

enum class Activity { reading, backing_up, copying, indexing, comparing };
const char* name_of(Activity activity);  // as in "reading"

// A table and what is to be done with its rows.
struct WorkOnTable {
  std::string table;   // as events call it
  std::string source;  // as a backup calls it
  std::int64_t rows = 0;
  int indexes_after = 0;    // built when the rows are there
  int indexes_online = 0;   // kept up to date while rows come
  std::int64_t copied = 0;  // by earlier lives
};

// What one row costs, in units of one row read.
double cost_of_a_row(Activity activity, const WorkOnTable& table);

struct Headway {
  TimePoint at;
  std::string doing;  // an Activity, "following", "waiting"; "" before anything is known
  std::string table;
  std::int64_t done = 0;  // rows; indexes while those are built
  std::int64_t total = 0;
  std::optional<double> rows_per_s;
  std::optional<Milliseconds> left;  // until everything that was asked for is done
  std::string limited_by;
  std::string lag;
  bool paused = false;
};

nlohmann::json to_json(const Headway& headway);
std::optional<Headway> headway_from(const nlohmann::json& document);

// Capacity units a second that the plan allows; 0: as many as there are.
struct UnitLimits {
  double rcu = 0;
  double wcu = 0;
};

class Course {
 public:
  // `todo`: what the run was asked for, in this order.
  Course(std::vector<WorkOnTable> tables, std::vector<Activity> todo, bool linked,
         std::optional<std::int64_t> rows_per_s_max, UnitLimits units = {});
  // `now`: monotonic.
  void heard(const Event& event, Milliseconds now);
  Headway headway(TimePoint at, Milliseconds now) const;

 private:
  struct Done {
    std::map<std::string, double> by_table;  // rows; indexes while those are built
    double here = 0;                         // cost of what this life has done
    Milliseconds took{0};
  };
  void went_on(Activity activity, const std::string& table, double done, bool adds,
               Milliseconds now);
  void enter(const std::string& phase, Milliseconds now);
  double total_of(Activity activity, const WorkOnTable& table) const;
  double cost_left(Activity activity) const;
  double at_the_limit() const;
  std::optional<Milliseconds> left(Milliseconds now) const;

  std::vector<WorkOnTable> tables_;
  std::vector<Activity> todo_;
  bool linked_;
  std::optional<std::int64_t> rows_per_s_max_;
  UnitLimits units_;
  std::map<Activity, Done> done_;
  std::set<Activity> ended_;
  std::optional<Activity> current_;
  std::string table_;
  std::string waiting_for_;
  std::string following_;
  bool paused_ = false;
  bool beside_writers_ = false;
  std::optional<Milliseconds> last_;
};

}  // namespace whimbrel
