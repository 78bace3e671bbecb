// The application that is migrated under its feet, and its book.
//
// It reads its switches and writes to the side they say, whenever it is asked to, and it writes
// down what every row must be on both sides. The book knows nothing of how whimbrel works: it is
// what the promises are judged by.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "stores/memory/memory_store.h"

namespace whimbrel::simulation {

// What the book says of one row: the old columns as the application would find them there, and
// what only the new side can hold.
struct Entry {
  std::map<std::string, Value> old_side;
  std::map<std::string, Value> new_only;
  // Where more than one answer is right. Of a row with this key that was deleted on the old side:
  // after a rollback nobody can tell the two apart, so a value that returns with the key is not
  // wrong. And a document that the old side has replaced since: it may return with its old `c`.
  std::map<std::string, Value> may_return;
  bool unsure = false;  // after a conflict: what only the new side can hold is anybody's guess
};

// One table of the application: its two shapes, and its page of the book.
struct Page {
  std::string old_table;
  std::string new_table;
  std::string key_prefix;       // the new side's key is this and the old one
  bool has_bad_values = false;  // some values of `n` cannot be converted; such rows are set aside
  std::map<std::string, Entry> book;
  // What `dropped` held in rows that the new side deleted: where nobody follows, the old side does
  // not learn that a row with the same key is another one.
  std::map<std::string, std::vector<Value>> dropped_before;
  std::map<std::string, Entry> namesakes;  // deleted on the old side with values of the new one
  // Written on both sides, or of two rows: one was set aside, and the new side has given its key to
  // another.
  std::set<std::string> conflicts;
  std::set<std::string> given_away;     // the latter, in all attempts
  std::map<std::string, Entry> behind;  // those that were set aside, as the old side has them
  std::set<std::string> set_aside;      // named as not convertible
  std::set<std::string> written_old;    // by the application, in this attempt
  std::set<std::string> written_new;

  Value new_key(const std::string& key) const { return Value::text(key_prefix + key); }
  std::string old_key(const std::string& new_key_text) const;
};

inline const std::vector<std::string> old_columns = {"k", "a", "b", "c", "n", "dropped"};
inline const std::vector<std::string> new_columns = {"id", "a2",    "b2",      "doc",
                                                     "n2", "extra", "unmapped"};
inline constexpr const char* switch_table = "flags";

TableSchema text_table(const std::string& name, const std::vector<std::string>& columns);
std::string text_or(const Value& value, const std::string& otherwise);
// The value the row has there; null where the book is silent.
Value in_book(const std::map<std::string, Value>& values, const std::string& column);
bool can_be_converted(const Entry& entry);

class Application {
 public:
  using Note = std::function<void(const std::string&)>;
  Application(Random& random, std::shared_ptr<MemoryStore> old_side,
              std::shared_ptr<MemoryStore> new_side, std::vector<Page> pages, int switches,
              Note note);

  // At most this many writes until it is set again.
  int writes_left = 0;
  // Writes are noticed by nobody from now on: a row of the new side that goes and comes back may
  // bring back what was kept of the one before.
  bool unnoticed = false;
  void write_something();
  // Fills the old tables before anything begins.
  void fill();
  void new_attempt();
  // After a conflict: the row that is there is the row from now on.
  void believe_old_side(Page& page);
  bool switched(int app) const;

  std::vector<Page>& pages() { return pages_; }
  const std::vector<Page>& pages() const { return pages_; }

 private:
  bool write_old(Page& page, const std::string& key);
  bool write_new(Page& page, const std::string& key);
  std::optional<Row> row_of(MemoryStore& store, const std::string& table,
                            const std::vector<std::string>& columns, const Value& key) const;
  bool is_there(MemoryStore& store, const std::string& table, const Value& key) const;
  bool cannot_be_seen(const Page& page, const std::string& key,
                      const std::vector<std::pair<std::string, Value>>& written) const;
  Value any_value();
  Value any_text();
  Value any_number(bool may_be_bad);

  Random& random_;
  std::shared_ptr<MemoryStore> old_side_;
  std::shared_ptr<MemoryStore> new_side_;
  std::vector<Page> pages_;
  int switches_;
  Note note_;
};

}  // namespace whimbrel::simulation
