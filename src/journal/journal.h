// The journal: the only memory of a migration, an SQLite file (WAL, synchronous FULL).
//
// Beside the append-only records it holds requests to a living runner and the values that the old
// shape cannot hold (`kept`). Each record carries a checksum over itself and the one before, so a
// damaged or exchanged file is noticed. Threads: any thread; appends are serialised.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/handle.h"
#include "journal/record.h"

struct sqlite3;

namespace whimbrel {

struct Request {
  std::int64_t id = 0;
  std::string verb;
  std::string value;
};

// Values of target columns that the source cannot hold, by target key.
struct KeptRow {
  int move = 0;
  std::string key;      // hex of the canonical key
  std::string columns;  // JSON: column → hex of the canonical value
};

// Held by whoever drives a migration, and by a trial that nobody is to begin it beside.
class RunLock {
 public:
  // `conflict` names the process that has it.
  static Result<RunLock> take(const std::string& journal_path);
  RunLock(RunLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  RunLock& operator=(RunLock&&) = delete;
  ~RunLock();

 private:
  explicit RunLock(int file) : file_(file) {}
  int file_ = -1;
};

class Journal {
 public:
  // `latest`: only the records since the last snapshot are read and checked, in a time that does
  // not grow with the journal. For whoever only looks.
  enum class Reading { whole, latest };
  // Creates the file when it is not there. invalid_plan when it is no journal or is damaged.
  static Result<std::unique_ptr<Journal>> open(const std::string& path, Clock& clock,
                                               Reading reading = Reading::whole);
  static Result<std::unique_ptr<Journal>> in_memory(Clock& clock);
  virtual ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Durable when it returns.
  virtual Status append(const Record& record);
  State state() const;
  // A part of the state without copying all of it.
  Phase phase() const;
  int attempt() const;
  Result<std::vector<Stamped>> records() const;
  // The same one after the other, so that no number of them has to fit into memory. The listener
  // must not ask the journal; its error ends the reading and is given.
  Status hear(const std::function<Status(const Stamped&)>& listener) const;
  // Whether the last that was said of this row is that it was set aside, and is on one side only.
  Result<bool> is_set_aside(int move, const std::string& key_digest) const;
  // Records so far.
  std::int64_t count() const;
  // Made once with the file; tells two journals apart.
  const std::string& id() const { return id_; }

  // Only one process at a time may drive a migration; `conflict` names the other's process id.
  Status lock_for_running();
  bool somebody_runs() const;

  Result<std::int64_t> ask(const std::string& verb, const std::string& value);
  Result<std::optional<Request>> next_request();
  Status answer(std::int64_t request, const std::string& answer);
  // Nothing while it is not answered.
  Result<std::optional<std::string>> answer_to(std::int64_t request);

  Status keep(const KeptRow& row);
  Status forget_kept(int move, const std::string& key);
  Result<std::vector<KeptRow>> kept() const;
  // Unset where nothing is kept of that row.
  Result<std::optional<KeptRow>> kept_of(int move, const std::string& key) const;
  Result<std::int64_t> kept_count() const;
  // Between the two calls of keep() and forget_kept() become durable together; nothing is appended.
  Status begin_keeping();
  Status end_keeping(bool commit);

 protected:
  Journal(std::string path, Clock& clock) : path_(std::move(path)), clock_(clock) {}
  Status load(Reading reading);

 private:
  struct Position {
    std::int64_t number = 0;
    std::string sum;
  };
  Status open_database();
  Status note_set_aside(const Record& record);
  Status replay(Reading reading);
  Result<Position> hear_from(Position begin,
                             const std::function<Status(const Stamped&)>& listener) const;
  Result<std::optional<std::pair<State, Position>>> snapshot() const;
  void write_snapshot();
  Status execute(const char* sql, const std::vector<std::string>& values) const;
  Result<std::vector<std::vector<std::string>>> query(const char* sql,
                                                      const std::vector<std::string>& values) const;

  std::string path_;
  Clock& clock_;
  sqlite3* database_ = nullptr;
  std::optional<RunLock> lock_;
  mutable std::mutex mutex_;
  State state_;
  std::string id_;
  Position last_;
};

}  // namespace whimbrel
