// Files that are there as a whole or not at all, with a digest of their bytes.
//
// What is written goes into `<path>.part` and gets its name only when it is on the disk: whoever
// finds a file under its name can rely on its end. Files are readable by their owner alone, because
// rows are in them. Errors: not_found, `refused` for missing permission, `unavailable` for the
// rest.
#pragma once

#include <xxhash.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/handle.h"

namespace whimbrel {

// XXH3-128 over bytes that come in pieces; the same text as digest_hex() over all of them.
class FileDigest {
 public:
  FileDigest();
  void add(std::string_view bytes);
  std::string to_text() const;

 private:
  std::unique_ptr<XXH3_state_t, FreeWith<XXH3_freeState>> state_;
};

class FileHandle {
 public:
  explicit FileHandle(int descriptor) : descriptor_(descriptor) {}
  ~FileHandle();
  FileHandle(const FileHandle&) = delete;
  FileHandle& operator=(const FileHandle&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

class PartFile {
 public:
  // What an earlier attempt left in the .part file is thrown away.
  static Result<std::unique_ptr<PartFile>> create(const std::string& path);
  // Removes the .part file unless it was finished.
  ~PartFile();
  Status write(std::string_view bytes);
  // The last call: the file and its name are on the disk when this returns. Gives the digest.
  Result<std::string> finish();

 private:
  PartFile(std::string path, int descriptor) : path_(std::move(path)), file_(descriptor) {}

  std::string path_;
  FileHandle file_;
  FileDigest digest_;
  bool finished_ = false;
};

class FileReader {
 public:
  static Result<std::unique_ptr<FileReader>> open(const std::string& path);
  // How many bytes were read into `buffer`; 0 at the end.
  Result<std::int64_t> read(std::span<char> buffer);
  // Of the bytes read so far.
  std::string digest() const { return digest_.to_text(); }

 private:
  FileReader(std::string path, int descriptor) : path_(std::move(path)), file_(descriptor) {}

  std::string path_;
  FileHandle file_;
  FileDigest digest_;
};

// For documents that fit into memory. Writing gives the digest.
Result<std::string> write_whole(const std::string& path, std::string_view bytes);
Result<std::string> read_whole(const std::string& path);
// Makes the folder and those above it that are missing; for their owner alone.
Status make_folder(const std::string& folder);

}  // namespace whimbrel
