// Lines of text in a file compressed with gzip (RFC 1952), written and read as a stream.
//
// For files that other tools read as well: whimbrel's own are zstd_lines.h's. Memory is constant
// but for the line at hand. Threads: one at a time.
#pragma once

#include <zlib.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backup/depot.h"
#include "base/error.h"
#include "base/sha256.h"

namespace whimbrel {

class GzipLinesWriter {
 public:
  static Result<std::unique_ptr<GzipLinesWriter>> create(Depot& depot, const std::string& file);
  ~GzipLinesWriter();
  GzipLinesWriter(const GzipLinesWriter&) = delete;
  GzipLinesWriter& operator=(const GzipLinesWriter&) = delete;
  // A line without its newline, and with none inside.
  Status write(std::string_view line);
  // The last call: the whole file is there when this returns. Gives its SHA-256.
  Result<std::string> finish();
  std::string md5() const { return md5_.base64(); }

 private:
  explicit GzipLinesWriter(std::unique_ptr<FileSink> file);
  Status compress(std::string_view text, int mode);

  std::unique_ptr<FileSink> file_;
  RunningDigest md5_;
  z_stream stream_{};
  std::vector<char> compressed_;
};

class GzipLinesReader {
 public:
  // not_found when there is no such file.
  static Result<std::unique_ptr<GzipLinesReader>> open(Depot& depot, const std::string& file);
  ~GzipLinesReader();
  GzipLinesReader(const GzipLinesReader&) = delete;
  GzipLinesReader& operator=(const GzipLinesReader&) = delete;
  // The next line without its newline; unset after the last. data_mismatch when the file is
  // damaged, was cut off or goes on behind its end.
  Result<std::optional<std::string>> next();
  std::string digest() const { return file_->digest(); }

 private:
  GzipLinesReader(std::string path, std::unique_ptr<FileSource> file);
  Result<bool> refill();
  Error damaged(std::string_view how) const;

  std::string path_;
  std::unique_ptr<FileSource> file_;
  z_stream stream_{};
  std::vector<char> compressed_;
  std::vector<char> text_;
  std::string_view rest_;  // of text_, not yet given
  bool ended_ = false;     // the one stream of the file
};

}  // namespace whimbrel
