// The rows of a table as lines of one file, in one of two formats.
//
// `….rows.zst`: the canonical form in hex, compressed with zstd; any store. `….json.gz`: in the
// store's own format, compressed with gzip, so that the store's own tools read it as well; see
// RowText. Which one it is follows from the file's name. Threads: one at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "backup/depot.h"
#include "base/error.h"
#include "store/store.h"
#include "value/value.h"

namespace whimbrel {

class RowWriter {
 public:
  virtual ~RowWriter() = default;
  // `canonical_row`: canonical() of the row.
  virtual Status write(const Row& row, const std::string& canonical_row) = 0;
  // The last call; gives the SHA-256 of the file.
  virtual Result<std::string> finish() = 0;
  // MD5 of the file in Base64, once it is finished: what other tools look for. "" where none does.
  virtual std::string md5() const { return ""; }
};

class RowReader {
 public:
  virtual ~RowReader() = default;
  // Unset after the last one, without columns for a line that is no row; data_mismatch for a
  // damaged file.
  virtual Result<std::optional<Row>> next() = 0;
  // The SHA-256 of the file, once next() has come to the end.
  virtual std::string digest() const = 0;
};

// `text`: how the store says its rows; null for hex.
Result<std::unique_ptr<RowWriter>> write_rows_to(Depot& depot, const std::string& file,
                                                 std::unique_ptr<RowText> text);
Result<std::unique_ptr<RowReader>> read_rows_from(Depot& depot, const std::string& file,
                                                  std::unique_ptr<RowText> text);

}  // namespace whimbrel
