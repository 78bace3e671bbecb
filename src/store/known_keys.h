// By which keys of a shape rows were read: a file in the state folder.
//
// Threads: any, one call at a time is carried out. Errors: those of the file.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "value/value.h"

namespace whimbrel {

class KeptFile;

class KnownKeys {
 public:
  static Result<std::shared_ptr<KnownKeys>> open(const std::string& path);
  ~KnownKeys();

  // The row with this key of its own has been read under that key of the shape. Kept until the
  // file goes: a key that is no longer the row's finds nothing, and that is what it is kept for.
  struct Known {
    Row own_key;
    Row shaped_key;
  };
  Status note(const std::string& shape, std::span<const Known> keys);
  Result<std::vector<Row>> known_as(const std::string& shape, const Row& own_key);
  // The keys of their own of the rows that have been read under this key of the shape.
  Result<std::vector<Row>> known_under(const std::string& shape, const Row& shaped_key);

 private:
  Result<std::vector<Row>> keys(const char* select, const std::string& shape, const Row& key);
  explicit KnownKeys(std::unique_ptr<KeptFile> file);
  std::mutex mutex_;
  std::unique_ptr<KeptFile> file_;
};

}  // namespace whimbrel
