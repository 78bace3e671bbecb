// Lines of text in a file compressed with zstd, written and read as a stream.
//
// Memory is constant but for the line at hand. The file is one zstd frame with a checksum, so
// `zstd -dc` shows it, and damage or a missing end is noticed while it is read. A writer's file
// has its name only after finish(); see files.h. Threads: one at a time.
#pragma once

#include <zstd.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backup/depot.h"
#include "base/error.h"
#include "base/handle.h"

namespace whimbrel {

class ZstdLinesWriter {
 public:
  static Result<std::unique_ptr<ZstdLinesWriter>> create(const std::string& path);
  static Result<std::unique_ptr<ZstdLinesWriter>> create(Depot& depot, const std::string& file);
  // A line without its newline, and with none inside.
  Status write(std::string_view line);
  // A line of hex digits, made piece by piece: a giant row is not spelled out in memory.
  Status write_hex(std::string_view bytes);
  // The last call: the whole file is on the disk when this returns. Gives the file's digest.
  Result<std::string> finish();

 private:
  using Context = std::unique_ptr<ZSTD_CCtx, FreeWith<ZSTD_freeCCtx>>;
  static Result<std::unique_ptr<ZstdLinesWriter>> over(std::unique_ptr<FileSink> file);
  ZstdLinesWriter(std::unique_ptr<FileSink> file, Context context);
  Status compress(std::string_view text, ZSTD_EndDirective mode);

  std::unique_ptr<FileSink> file_;
  Context context_;
  std::vector<char> compressed_;
};

class ZstdLinesReader {
 public:
  // not_found when there is no such file.
  static Result<std::unique_ptr<ZstdLinesReader>> open(const std::string& path);
  static Result<std::unique_ptr<ZstdLinesReader>> open(Depot& depot, const std::string& file);
  // The next line without its newline; unset after the last. data_mismatch when the file is
  // damaged or was cut off.
  Result<std::optional<std::string>> next();
  // The bytes of a line of hex digits, read piece by piece.
  Result<std::optional<std::string>> next_hex();
  // Of the whole file, once next() has come to the end.
  std::string digest() const { return file_->digest(); }

 private:
  using Context = std::unique_ptr<ZSTD_DCtx, FreeWith<ZSTD_freeDCtx>>;
  static Result<std::unique_ptr<ZstdLinesReader>> over(const std::string& path,
                                                       std::unique_ptr<FileSource> file);
  ZstdLinesReader(std::string path, std::unique_ptr<FileSource> file, Context context);
  Result<bool> pieces(const std::function<Status(std::string_view)>& use);
  Result<bool> refill();
  Error damaged(std::string_view how) const;

  std::string path_;
  std::unique_ptr<FileSource> file_;
  Context context_;
  std::vector<char> compressed_;
  ZSTD_inBuffer input_{};
  std::vector<char> text_;
  std::string_view rest_;       // of text_, not yet given
  bool at_end_ = false;         // of the file
  bool inside_a_frame_ = true;  // a file without any frame is cut off, too
};

}  // namespace whimbrel
