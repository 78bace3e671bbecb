#include "stores/postgresql/hold.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "stores/postgresql/names.h"
#include "stores/postgresql/types.h"

namespace whimbrel::postgresql {

namespace {

constexpr Milliseconds pause_first{20};

bool is_for_a_lock(const std::string& sqlstate) {
  return sqlstate == "55P03" || sqlstate == "40P01" || sqlstate == "57014";
}

}  // namespace

std::vector<Lockable> tables_in(const std::vector<std::string>& places, const std::string& mode) {
  std::vector<Lockable> all;
  for (const std::string& place : places) {
    all.push_back({place, fmt::format("LOCK TABLE {} IN {} MODE", place, mode)});
  }
  return all;
}

Error naming_blockers(Error error, const Sessions& sessions, const std::vector<std::string>& places,
                      const std::string& mode) {
  Result<std::unique_ptr<Connection>> opened = sessions.open();
  if (!opened.ok()) return error;
  Cells names;
  for (const std::string& place : places) names.emplace_back(place);
  // Readers keep nobody waiting but who wants the strongest lock.
  const auto rows = opened.value()->query(
      "SELECT DISTINCT a.pid, coalesce(nullif(a.application_name, ''), '(unnamed)'), a.usename, "
      "a.state, date_trunc('second', now() - a.xact_start)::text, substring(left(a.query, 80) FROM "
      "'^(?:[^''$0-9]|(?<=\\w)[0-9])*'), length(a.query), a.xact_start FROM pg_locks l JOIN "
      "pg_stat_activity a ON a.pid = l.pid WHERE l.granted AND l.relation = ANY (SELECT "
      "to_regclass(x)::oid FROM unnest($1::text[]) x UNION ALL SELECT p.relid::oid FROM unnest("
      "$1::text[]) x, pg_partition_tree(to_regclass(x)) p) AND a.pid <> pg_backend_pid() AND "
      "a.application_name <> 'whimbrel' AND ($2 = 'ACCESS EXCLUSIVE' OR l.mode NOT IN "
      "('AccessShareLock', 'RowShareLock')) ORDER BY a.xact_start NULLS LAST LIMIT 3",
      {array_of(names), mode});
  if (!rows.ok() || rows.value().empty()) return error;
  std::vector<std::string> told;
  for (const Cells& row : rows.value()) {
    const std::string query = printable(row[5].value_or(""));
    const bool is_whole = std::to_string(row[5].value_or("").size()) == row[6];
    told.push_back(fmt::format("process {} ({}, {}, {} for {}: {}{})", row[0].value_or("?"),
                               printable(row[1].value_or("?")), printable(row[2].value_or("?")),
                               row[3].value_or("?"), row[4].value_or("?"), query,
                               is_whole ? "" : "…"));
  }
  error.hint = "it is held by " + join(told, "; ") + ": wait for it, or end it";
  return error;
}

Status with_lock_retries(Clock& clock, Connection& connection,
                         const std::function<Status()>& work) {
  constexpr int attempts_max = 40;
  Milliseconds pause = pause_first;
  for (int attempt = 1;; ++attempt) {
    Status done = work();
    if (done.ok() || !is_for_a_lock(connection.sqlstate()) || attempt == attempts_max) return done;
    clock.sleep_for(pause);
    pause = std::min(pause * 2, Milliseconds(1000));
  }
}

Result<std::unique_ptr<Hold>> Hold::begin(const Sessions& sessions, TimePoint until, Clock& clock) {
  ASSIGN_OR_RETURN(auto connection, sessions.open());
  std::unique_ptr<Hold> hold(new Hold(std::move(connection), until, clock));
  TRY(hold->connection().execute("BEGIN"));
  return hold;
}

Result<std::unique_ptr<Hold>> Hold::take(const Sessions& sessions,
                                         const std::vector<std::string>& tables, TimePoint had_by,
                                         TimePoint until, Clock& clock) {
  ASSIGN_OR_RETURN(std::unique_ptr<Hold> hold, begin(sessions, had_by, clock));
  std::vector<std::string> places;
  for (const std::string& table : tables) {
    ASSIGN_OR_RETURN(const Place place, place_of(hold->connection(), table));
    places.push_back(place.sql());
  }
  std::ranges::sort(places);  // everybody who locks several begins with the same
  // A vacuum that runs by itself makes way for whoever waits a second, and is kept off from then
  // on; this lock keeps no writer waiting.
  TRY(hold->connection().execute("SET LOCAL lock_timeout = 3000"));
  Status locked = hold->connection().execute(
      fmt::format("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE", join(places, ", ")));
  TRY(hold->connection().execute(locked.ok() ? fmt::format("SET LOCAL lock_timeout = {}",
                                                           sessions.settings().lock_timeout.count())
                                             : "ROLLBACK"));
  if (locked.ok()) locked = hold->lock(tables_in(places, "SHARE ROW EXCLUSIVE"));
  if (!locked.ok()) {
    const bool kept_waiting = hold->was_kept_waiting();
    hold.reset();
    Error error = std::move(locked).error();
    if (!kept_waiting) return error;
    return naming_blockers(std::move(error), sessions, places, "SHARE ROW EXCLUSIVE");
  }
  hold->until_ = until;
  const Milliseconds left = until - clock.now();
  TRY(hold->connection().execute(fmt::format("SET LOCAL idle_in_transaction_session_timeout = {}",
                                             std::max<std::int64_t>(left.count(), 1))));
  hold->tables_ = tables;
  hold->holds_writers_ = true;
  return hold;
}

bool Hold::is_there() const {
  return clock_.now() < until_ && connection_->execute("SELECT 1").ok();
}

bool Hold::was_kept_waiting() const { return is_for_a_lock(connection_->sqlstate()); }

bool Hold::is_of(const std::string& table) const { return std::ranges::count(tables_, table) > 0; }

Result<bool> Hold::try_to_raise(const std::vector<Lockable>& all) {
  ASSIGN_OR_RETURN(const auto before, connection_->query("SHOW lock_timeout"));
  TRY(connection_->execute("SAVEPOINT whimbrel_raise; SET LOCAL lock_timeout = 20"));
  Status locked;
  for (std::size_t i = 0; i < all.size() && locked.ok(); ++i) {
    locked = connection_->execute(all[i].statement);
  }
  if (!locked.ok() && !is_for_a_lock(connection_->sqlstate())) return locked.error();
  TRY(connection_->execute(locked.ok() ? "RELEASE SAVEPOINT whimbrel_raise"
                                       : "ROLLBACK TO SAVEPOINT whimbrel_raise"));
  if (locked.ok()) {
    TRY(connection_->query("SELECT set_config('lock_timeout', $1, true)", before.at(0)));
  }
  return locked.ok();
}

Result<std::string> Hold::begin_anew(const std::vector<Lockable>& all) {
  ASSIGN_OR_RETURN(const auto snapshot, connection_->query("SELECT pg_current_snapshot()"));
  holds_writers_ = false;
  // Whoever has one of them most of the time lets go of it at moments that a single span may miss.
  constexpr int attempts_max = 4;
  const Milliseconds span = until_ - since_;
  TRY(connection_->execute("ROLLBACK; BEGIN"));
  Status locked = lock(all);
  for (int attempt = 1; !locked.ok() && was_kept_waiting() && attempt < attempts_max; ++attempt) {
    TRY(connection_->execute("ROLLBACK"));
    if (before_pause_) before_pause_(std::move(locked).error());
    clock_.sleep_for(span / 4);
    until_ = clock_.now() + span;
    TRY(connection_->execute("BEGIN"));
    locked = lock(all);
  }
  TRY(locked);
  return *snapshot.at(0).at(0);
}

// What is asked for again and again is asked for with pauses that are longer than the asking.
//
// Each time the one that was not to be had comes first: whoever has it and waits for another one
// gets that, and both go on. In one order for ever, an application that takes them in the other
// order would never let us in.
Status Hold::lock(const std::vector<Lockable>& all) {
  Milliseconds pause = pause_first;
  std::vector<Lockable> order = all;
  asked_for_.clear();
  for (const Lockable& one : all) asked_for_.push_back(one.place);
  while (true) {
    TRY(connection_->execute("SAVEPOINT whimbrel_lock"));
    Status locked;
    for (auto at = order.begin(); at != order.end() && locked.ok(); ++at) {
      locked = connection_->execute(at->statement);
      if (!locked.ok()) std::rotate(order.begin(), at, at + 1);
    }
    if (locked.ok()) return connection_->execute("RELEASE SAVEPOINT whimbrel_lock");
    if (!is_for_a_lock(connection_->sqlstate())) return locked;
    TRY(connection_->execute("ROLLBACK TO SAVEPOINT whimbrel_lock"));
    if (clock_.now() + pause >= until_) return locked;
    clock_.sleep_for(pause);
    pause = std::min(pause * 2, Milliseconds(1000));
  }
}

}  // namespace whimbrel::postgresql
