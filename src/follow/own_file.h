// The book of rows that are ours (store/own_rows.h), in a file of the state folder beside the
// journal; all tables of a migration are in one.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "store/own_rows.h"

namespace whimbrel {

class KeptFile;

class OwnFile {
 public:
  // Made when it is not there; readable by its owner alone.
  static Result<std::shared_ptr<OwnFile>> open(const std::string& path);
  ~OwnFile();
  OwnFile(const OwnFile&) = delete;
  OwnFile& operator=(const OwnFile&) = delete;

  // The rows of one move. The file lives as long as the book does.
  static std::shared_ptr<OwnBook> book(const std::shared_ptr<OwnFile>& file, int move);

  struct Pair {
    int move = 0;
    Row source_key;
    Row target_key;
  };
  // Before the first search; else that one takes as long as it takes to read all rows.
  Status can_be_searched();
  // Rows of all moves with this key, on either side.
  Result<std::vector<Pair>> with_key(const Row& key);
  // The same for keys of several columns of which one is this, at most so many; all rows are read.
  Result<std::vector<Pair>> with_part(const Value& part, int pairs_max);

 private:
  friend class OwnFileBook;
  explicit OwnFile(std::unique_ptr<KeptFile> file);

  std::unique_ptr<KeptFile> file_;
  std::mutex mutex_;
};

}  // namespace whimbrel
