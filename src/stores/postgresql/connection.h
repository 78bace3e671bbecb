// One PostgreSQL session with values in and out as text, and errors a person can act on.
//
// Every session has the same settings, so that the text of a value does not depend on a role's or a
// database's own: UTC, ISO dates, the shortest exact floats, an empty search path. Each waits for
// locks no longer than `lock_timeout`. They are settings of a session, and would become those of
// the application where a pooler gives the session to another one after each transaction: the first
// session of a store finds that out before it sets anything.
// Threads: one at a time uses a connection.
#pragma once

#include <libpq-fe.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/handle.h"
#include "transform/spellings.h"

namespace whimbrel::postgresql {

struct Settings {
  std::string url;  // as libpq takes it; may hold a password
  Milliseconds lock_timeout{200};
  Milliseconds statement_timeout{30'000};
};

using Cell = std::optional<std::string>;  // unset: null
using Cells = std::vector<Cell>;
using Answer = std::unique_ptr<PGresult, FreeWith<PQclear>>;

class Connection {
 public:
  // `unavailable` when the server does not answer, `refused` when it lets nobody in.
  static Result<std::unique_ptr<Connection>> open(const Settings& settings);
  // The same; `refused` where a pooler gives each transaction another session.
  static Result<std::unique_ptr<Connection>> open_first(const Settings& settings);

  // One statement or several; several are one transaction where they do not say otherwise.
  Status execute(const std::string& sql);
  // `$1` and so on are bound as text.
  Result<std::vector<Cells>> query(const std::string& sql, const Cells& parameters = {});
  // The number of rows it changed.
  Result<std::int64_t> run(const std::string& sql, const Cells& parameters = {});
  Result<Answer> ask(const std::string& sql, const Cells& parameters);
  // The same in two steps, so that something else can be done meanwhile; nothing else is asked of
  // this session in between.
  Status send(const std::string& sql, const Cells& parameters = {});
  Result<std::vector<Cells>> receive();
  // What the server, or the connection, says was wrong with `sql`.
  Error error(const PGresult* answer, const std::string& sql);
  // `refused`, with what the server says of it, for a query that it would not run.
  Status understands(const std::string& sql);
  // How long a statement may take, and wait for a lock, from now on; 0: as long as it takes.
  Status patience(Milliseconds statement_timeout, Milliseconds lock_timeout);
  // Of the last error: five characters, "" where the server said nothing.
  const std::string& sqlstate() const { return sqlstate_; }
  // Whether that was about a value: one that does not convert, or breaks a constraint.
  bool refuses_a_value() const {
    return sqlstate_.starts_with("22") || sqlstate_.starts_with("23");
  }
  // Nobody's transaction is open, and the server is there as far as we know.
  bool is_idle() const;
  const std::string& search_path() const { return search_path_; }
  std::string place() const;  // host:port/database
  PGconn* raw() const { return connection_.get(); }

 private:
  Connection() = default;
  // Nothing is set yet.
  static Result<std::unique_ptr<Connection>> settled(const Settings& settings, bool is_first);
  // `sqlstate`: of what was said last.
  static Result<std::unique_ptr<Connection>> greet(const Settings& settings, std::string& sqlstate);
  Status hear_who_answers();
  Status keeps_its_session(const Settings& settings);
  Status settle(const Settings& settings);

  std::unique_ptr<PGconn, FreeWith<PQfinish>> connection_;
  std::string search_path_;  // the role's own, for queries that a plan gives
  std::string sqlstate_;
  std::string sent_;
  std::string process_;  // of the server, as it says itself
};

// The sessions of one store. Threads: any.
class Sessions;
struct GiveBack {
  std::shared_ptr<Sessions> to = nullptr;
  void operator()(Connection* connection) const;
};
using ConnectionPtr = std::unique_ptr<Connection, GiveBack>;

class Sessions : public std::enable_shared_from_this<Sessions> {
 public:
  explicit Sessions(Settings settings) : settings_(std::move(settings)) {}
  // One that nobody uses, or a new one; it comes back when its pointer ends.
  Result<ConnectionPtr> take();
  // The same, before any other one is taken.
  Result<ConnectionPtr> take_first();
  // One that stays with whoever asks.
  Result<std::unique_ptr<Connection>> open() const { return Connection::open(settings_); }
  const Settings& settings() const { return settings_; }
  // Grows when tables change their names by our doing: what was looked up before is looked up
  // again.
  std::uint64_t generation() const { return generation_; }
  void names_have_changed() { ++generation_; }
  // Whether the role may write as a replica does, without foreign keys and triggers of the
  // application in the way. The server is asked once.
  bool may_write_as_replica();
  // Of the database; "" where it does not answer.
  std::string encoding();
  // How the texts of a column were spelled that got another type; see spellings.h.
  std::shared_ptr<Spellings> book(const std::string& name);
  std::map<std::string, std::shared_ptr<Spellings>> books();

 private:
  friend struct GiveBack;
  struct Idle {
    std::unique_ptr<Connection> connection;
    std::chrono::steady_clock::time_point since;
  };
  void give_back(std::unique_ptr<Connection> connection);

  Settings settings_;
  std::atomic<std::uint64_t> generation_{0};
  std::mutex mutex_;
  std::optional<bool> may_write_as_replica_;
  std::vector<Idle> idle_;
  std::map<std::string, std::shared_ptr<Spellings>> books_;
};

// Commits when told so, else rolls back at the end of its life.
class Transaction {
 public:
  // `how`: what stands behind BEGIN, like "READ ONLY".
  static Result<Transaction> begin(Connection& connection, const std::string& how = "");
  // One that was begun otherwise.
  static Transaction of(Connection& connection) { return Transaction(connection); }
  Transaction(Transaction&& other) noexcept : connection_(other.connection_) {
    other.connection_ = nullptr;
  }
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Status commit();

 private:
  explicit Transaction(Connection& connection) : connection_(&connection) {}
  Connection* connection_;
};

}  // namespace whimbrel::postgresql
