// A set of keys that need not fit into memory: in a temporary file, gone with the process.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace whimbrel {

// Keys are bytes, in numbered groups. Threads: one at a time. Errors: `unavailable` when there is
// no room for temporary files.
class KeySet {
 public:
  static Result<std::unique_ptr<KeySet>> open();
  ~KeySet();
  KeySet(const KeySet&) = delete;
  KeySet& operator=(const KeySet&) = delete;

  // False when it was there already.
  Result<bool> add(int group, std::string_view key);
  Result<bool> has(int group, std::string_view key);
  // Keys of a group that were not taken before, at most so many; each is given once.
  Result<std::vector<std::string>> take(int group, std::int64_t keys_max);

 private:
  KeySet() = default;
  Error error() const;
  Status prepare();
  Result<bool> step(sqlite3_stmt* statement, int group, std::string_view key);

  sqlite3* database_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* select_ = nullptr;
  sqlite3_stmt* waiting_ = nullptr;
  sqlite3_stmt* taken_ = nullptr;
};

}  // namespace whimbrel
