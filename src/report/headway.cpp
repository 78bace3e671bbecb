#include "report/headway.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace whimbrel {

namespace {

using nlohmann::json;

// Measured on two cores (docs/internals/performance.md), in units of one row read by the analysis.
constexpr double backing_up_cost = 1.33;
constexpr double copying_cost = 1.0;
constexpr double copying_cost_of_an_index = 0.16;
constexpr double index_cost = 0.082;
constexpr double comparing_cost = 0.5;

double rows_in(const Event& event) { return static_cast<double>(event.whole("rows")); }

// A row; where indexes are built, an index.
double cost_of_one(Activity activity, const WorkOnTable& table) {
  return activity == Activity::indexing ? index_cost * static_cast<double>(table.rows)
                                        : cost_of_a_row(activity, table);
}

}  // namespace

const char* name_of(Activity activity) {
  constexpr const char* names[] = {"reading", "backing up", "copying", "building indexes",
                                   "comparing"};
  return names[static_cast<int>(activity)];
}

double cost_of_a_row(Activity activity, const WorkOnTable& table) {
  switch (activity) {
    case Activity::reading:
      return 1;
    case Activity::backing_up:
      return backing_up_cost;
    case Activity::copying:
      return copying_cost + copying_cost_of_an_index * table.indexes_online;
    case Activity::indexing:
      return index_cost * table.indexes_after;
    case Activity::comparing:
      return comparing_cost;
  }
  return 0;
}

json to_json(const Headway& headway) {
  json out = {{"at_ms", headway.at.time_since_epoch().count()},
              {"doing", headway.doing},
              {"table", headway.table},
              {"done", headway.done},
              {"total", headway.total},
              {"limited_by", headway.limited_by},
              {"lag", headway.lag},
              {"paused", headway.paused}};
  if (headway.rows_per_s) out["rows_per_s"] = std::llround(*headway.rows_per_s);
  if (headway.left) out["left_ms"] = headway.left->count();
  return out;
}

std::optional<Headway> headway_from(const json& document) {
  if (!document.is_object()) return std::nullopt;
  const auto whole = [&](const char* name) -> std::optional<std::int64_t> {
    const auto it = document.find(name);
    if (it == document.end() || !it->is_number_integer()) return std::nullopt;
    return it->get<std::int64_t>();
  };
  const auto text = [&](const char* name) {
    const auto it = document.find(name);
    return it != document.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  Headway headway;
  headway.at = TimePoint(Milliseconds(whole("at_ms").value_or(0)));
  headway.doing = text("doing");
  headway.table = text("table");
  headway.done = whole("done").value_or(0);
  headway.total = whole("total").value_or(0);
  headway.limited_by = text("limited_by");
  headway.lag = text("lag");
  headway.paused = document.value("paused", json(false)) == json(true);
  if (const auto rate = whole("rows_per_s")) headway.rows_per_s = static_cast<double>(*rate);
  if (const auto left = whole("left_ms")) headway.left = Milliseconds(*left);
  return headway;
}

Course::Course(std::vector<WorkOnTable> tables, std::vector<Activity> todo, bool linked,
               std::optional<std::int64_t> rows_per_s_max, UnitLimits unit_limits)
    : tables_(std::move(tables)),
      todo_(std::move(todo)),
      linked_(linked),
      rows_per_s_max_(rows_per_s_max),
      units_(unit_limits) {
  for (const WorkOnTable& table : tables_) {
    done_[Activity::copying].by_table[table.table] = static_cast<double>(table.copied);
  }
}

double Course::total_of(Activity activity, const WorkOnTable& table) const {
  return static_cast<double>(activity == Activity::indexing ? table.indexes_after : table.rows);
}

void Course::went_on(Activity activity, const std::string& table, double done, bool adds,
                     Milliseconds now) {
  Done& all = done_[activity];
  double& before = all.by_table[table];
  const double after = adds ? before + done : std::max(before, done);
  for (const WorkOnTable& one : tables_) {
    if (one.table != table) continue;
    all.here += (after - before) * cost_of_one(activity, one);
  }
  before = after;
  if (last_) all.took += now - *last_;
  // What came before is over, whatever it counted.
  for (const Activity one : todo_) {
    if (one < activity) ended_.insert(one);
  }
  current_ = activity;
  table_ = table;
  waiting_for_.clear();
  following_.clear();
}

void Course::heard(const Event& event, Milliseconds now) {
  const std::string table = event.text("table");
  if (event.name == "analyzed") {
    went_on(Activity::reading, table, rows_in(event), false, now);
  } else if (event.name == "chunk_backed_up") {
    const auto it = std::ranges::find(tables_, table, &WorkOnTable::source);
    if (it != tables_.end()) went_on(Activity::backing_up, it->table, rows_in(event), false, now);
  } else if (event.name == "chunk_copied") {
    beside_writers_ = event.value<bool>("beside_writers");
    went_on(Activity::copying, table, rows_in(event), true, now);
  } else if (event.name == "index_begun") {
    went_on(Activity::indexing, table, 0, true, now);
  } else if (event.name == "index_built") {
    went_on(Activity::indexing, table, 1, true, now);
  } else if (event.name == "chunk_verified") {
    went_on(Activity::comparing, table, rows_in(event), false, now);
  } else if (event.name == "verified") {
    ended_.insert(Activity::comparing);
    current_.reset();
  } else if (event.name == "changes_applied") {
    const std::int64_t changes = event.whole("changes");
    following_ = changes == 0 ? "" : fmt::format("{} changes in the last step", changes);
  } else if (event.name == "retried") {
    waiting_for_ = event.text("hint");
    if (waiting_for_.empty()) waiting_for_ = event.text("cause");
  } else if (event.name == "request_carried_out") {
    const std::string verb = event.text("verb");
    if (verb == "pause") paused_ = true;
    if (verb == "resume") paused_ = false;
    const std::int64_t rows_per_s = event.whole("rows_per_s");
    if (rows_per_s > 0) rows_per_s_max_ = rows_per_s;
  } else if (event.name == "phase_entered") {
    enter(event.text("phase"), now);
  } else if (event.name != "self_test_passed") {
    return;
  }
  last_ = now;
}

// The first chunk may take long to be heard of.
void Course::enter(const std::string& phase, Milliseconds now) {
  if (phase == "copying" && !tables_.empty() && current_ != Activity::copying) {
    went_on(Activity::copying, tables_.front().table, 0, true, now);
  }
  if (phase == "watching") {
    ended_.insert(todo_.begin(), todo_.end());
    current_.reset();
  }
}

double Course::cost_left(Activity activity) const {
  if (ended_.contains(activity)) return 0;
  const auto known = done_.find(activity);
  double cost = 0;
  for (const WorkOnTable& table : tables_) {
    double done = 0;
    if (known != done_.end()) {
      const auto it = known->second.by_table.find(table.table);
      if (it != known->second.by_table.end()) done = it->second;
    }
    cost += std::max(0.0, total_of(activity, table) - done) * cost_of_one(activity, table);
  }
  return cost;
}

// How long the rows that are left take at the plan's limit, in ms.
double Course::at_the_limit() const {
  if (!rows_per_s_max_ || *rows_per_s_max_ <= 0) return 0;
  if (ended_.contains(Activity::copying)) return 0;
  double rows = 0;
  for (const WorkOnTable& table : tables_) {
    const auto& copied = done_.at(Activity::copying).by_table;
    rows += std::max(0.0, static_cast<double>(table.rows) - copied.at(table.table));
  }
  return rows * 1000 / static_cast<double>(*rows_per_s_max_);
}

// An activity that is known well enough is judged by itself, all others by what all have taken.
std::optional<Milliseconds> Course::left(Milliseconds now) const {
  constexpr double enough = 0.03;
  double cost_done = 0;
  double took = 0;
  for (const auto& [activity, done] : done_) {
    cost_done += done.here;
    took += static_cast<double>(done.took.count());
  }
  if (cost_done <= 0 || took <= 0) return std::nullopt;
  double left = 0;
  for (const Activity activity : todo_) {
    const double cost = cost_left(activity);
    double unit = took / cost_done;
    const auto known = done_.find(activity);
    if (known != done_.end() && known->second.here > enough * (known->second.here + cost)) {
      unit = static_cast<double>(known->second.took.count()) / known->second.here;
    }
    left += std::max(cost * unit, activity == Activity::copying ? at_the_limit() : 0.0);
  }
  const Milliseconds silent = last_ && !paused_ ? now - *last_ : Milliseconds(0);
  return std::max(Milliseconds(0), Milliseconds(std::llround(left)) - silent);
}

Headway Course::headway(TimePoint at, Milliseconds now) const {
  Headway headway;
  headway.at = at;
  headway.paused = paused_;
  headway.left = left(now);
  const bool is_all_done =
      ended_.contains(Activity::comparing) ||
      std::ranges::all_of(todo_, [&](Activity one) { return ended_.contains(one); });
  const bool only_follows = !current_ && is_all_done;
  if (only_follows) headway.doing = "following";
  if (current_) {
    headway.doing = name_of(*current_);
    headway.table = table_;
    const Done& done = done_.at(*current_);
    headway.done = std::llround(done.by_table.at(table_));
    for (const WorkOnTable& table : tables_) {
      if (table.table != table_) continue;
      headway.total = std::llround(total_of(*current_, table));
      if (*current_ == Activity::indexing || done.took.count() == 0) continue;
      headway.rows_per_s = done.here / cost_of_a_row(*current_, table) * 1000 /
                           static_cast<double>(done.took.count());
    }
  }
  if (paused_) {
    headway.limited_by = "paused on request; `whimbrel resume` goes on";
  } else if (!waiting_for_.empty()) {
    headway.doing = "waiting";
    headway.limited_by = "tries again: " + waiting_for_;
  } else if (only_follows) {
    headway.limited_by = "nothing: it waits for changes";
  } else if (rows_per_s_max_ && current_ != Activity::reading) {
    headway.limited_by = fmt::format("the limit of {} rows/s", with_thousands(*rows_per_s_max_));
  } else if (current_ == Activity::copying && units_.wcu > 0) {
    headway.limited_by = fmt::format("the limit of {} write units/s", units_.wcu);
  } else if ((current_ == Activity::reading || current_ == Activity::comparing) && units_.rcu > 0) {
    headway.limited_by = fmt::format("the limit of {} read units/s", units_.rcu);
  } else if (current_ == Activity::copying && beside_writers_) {
    headway.limited_by = "others write: pauses of 20 ms let them in";
  } else {
    headway.limited_by = "the disk and the processor; nothing else";
  }
  headway.lag = linked_ ? "none: both sides are written in one transaction"
                : following_.empty() && only_follows
                    ? "none: no change was waiting at the last step"
                : following_.empty() ? "changes wait in the database until the copy is done"
                                     : following_;
  return headway;
}

}  // namespace whimbrel
