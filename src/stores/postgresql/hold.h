// A session that keeps an application's writes out of some tables, by locks.
//
// SHARE ROW EXCLUSIVE lets everybody read and nobody write. Locks are asked for with a short
// patience again and again, because whoever comes after a lock that is waited for waits as well.
// The server ends the session by itself at the deadline, so that nobody is held when we are gone.
// Threads: one at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "stores/postgresql/connection.h"

namespace whimbrel::postgresql {

// What a lock is taken of, by its quoted name, and the statement that takes it.
struct Lockable {
  std::string place;
  std::string statement;
};
std::vector<Lockable> tables_in(const std::vector<std::string>& places, const std::string& mode);

class Hold {
 public:
  // `unavailable` when the locks were not to be had by `had_by`, with who has them.
  static Result<std::unique_ptr<Hold>> take(const Sessions& sessions,
                                            const std::vector<std::string>& tables,
                                            TimePoint had_by, TimePoint until, Clock& clock);
  // A transaction that holds nobody yet, for what locks, looks and is rolled back.
  static Result<std::unique_ptr<Hold>> begin(const Sessions& sessions, TimePoint until,
                                             Clock& clock);
  bool is_there() const;
  bool holds_writers() const { return holds_writers_; }
  bool is_of(const std::string& table) const;
  Connection& connection() { return *connection_; }
  // With what it has locked, for as long as the server lets it.
  std::unique_ptr<Connection> give_away() && { return std::move(connection_); }
  // More and stronger locks; what is held stays held when it fails.
  Status lock(const std::vector<Lockable>& all);
  // These as well, at once; false where somebody is in the way.
  Result<bool> try_to_raise(const std::vector<Lockable>& all);
  // Everybody is let go, and then it is asked for from nothing, a few times for as long as it was
  // to be held at most, with nobody held in between. Gives the snapshot that saw all that had been
  // written until then. What was held by take() is held no more when it fails.
  Result<std::string> begin_anew(const std::vector<Lockable>& all);
  // What begin_anew() calls each time it lets a span pass, with what has failed.
  void before_each_pause(std::function<void(Error)> work) { before_pause_ = std::move(work); }
  // What locks were last asked for of.
  const std::vector<std::string>& asked_for() const { return asked_for_; }
  // The last statement that failed has waited too long for somebody else.
  bool was_kept_waiting() const;
  Status commit() { return connection_->execute("COMMIT"); }

 private:
  Hold(std::unique_ptr<Connection> connection, TimePoint until, Clock& clock)
      : connection_(std::move(connection)), since_(clock.now()), until_(until), clock_(clock) {}

  std::unique_ptr<Connection> connection_;
  std::vector<std::string> tables_;
  std::vector<std::string> asked_for_;
  TimePoint since_;
  TimePoint until_;
  bool holds_writers_ = false;
  std::function<void(Error)> before_pause_;
  Clock& clock_;
};

// `error`, with whoever has locks on these tables that keep `mode` waiting, the oldest first:
// process, application, state, age, and the query as far as it holds no value.
Error naming_blockers(Error error, const Sessions& sessions, const std::vector<std::string>& places,
                      const std::string& mode);
// Runs `work` again while it fails for a lock, with growing pauses, for about half a minute.
Status with_lock_retries(Clock& clock, Connection& connection, const std::function<Status()>& work);

}  // namespace whimbrel::postgresql
