// Files that are there as a whole or not at all, with a digest of their bytes.
//
// What is written goes into `<path>.part` and gets its name only when it is on the disk: whoever
// finds a file under its name can rely on its end. Files are readable by their owner alone, because
// rows are in them. Errors: not_found, `refused` for missing permission, `unavailable` for the
// rest.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "backup/depot.h"
#include "base/error.h"
#include "base/sha256.h"

namespace whimbrel {

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

class PartFile final : public FileSink {
 public:
  // What an earlier attempt left in the .part file is thrown away.
  static Result<std::unique_ptr<PartFile>> create(const std::string& path);
  // Removes the .part file unless it was finished.
  ~PartFile() override;
  Status write(std::string_view bytes) override;
  Result<std::string> finish() override;  // the file and its name are on the disk

 private:
  PartFile(std::string path, int descriptor) : path_(std::move(path)), file_(descriptor) {}

  std::string path_;
  FileHandle file_;
  RunningDigest digest_;
  bool finished_ = false;
};

class FileReader final : public FileSource {
 public:
  static Result<std::unique_ptr<FileReader>> open(const std::string& path);
  Result<std::int64_t> read(std::span<char> buffer) override;
  std::string digest() const override { return digest_.hex(); }

 private:
  FileReader(std::string path, int descriptor) : path_(std::move(path)), file_(descriptor) {}

  std::string path_;
  FileHandle file_;
  RunningDigest digest_;
};

// Makes the folder and those above it that are missing; for their owner alone.
Status make_folder(const std::string& folder);

}  // namespace whimbrel
