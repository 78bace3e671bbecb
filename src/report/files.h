// Files in the state folder: written whole or not at all, readable by their owner only.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "follow/sidecar.h"

namespace whimbrel {

// Mode 0600; beside first, then renamed.
Status write_file(const std::string& path, const std::string& content);
// Whether write_file() would find the place; leaves nothing there.
Status can_write_file(const std::string& path);

// A file that is written piece by piece; it is not there before it is whole.
class FileInMaking {
 public:
  static Result<std::unique_ptr<FileInMaking>> create(const std::string& path);
  ~FileInMaking();
  FileInMaking(const FileInMaking&) = delete;
  FileInMaking& operator=(const FileInMaking&) = delete;
  Status write(std::string_view text);
  Status finish();

 private:
  FileInMaking(std::string path, int file) : path_(std::move(path)), file_(file) {}
  std::string path_;
  int file_;
  std::string waiting_;
};
Result<std::string> read_file(const std::string& path);
// The last analysis that was written there.
std::string analysis_file(const std::string& folder);
// `migration-analysis-20261120T201503Z.json` and the same as `…-latest.json`. Gives the first name.
// A second one of the same second is `…Z-2.json`.
Result<std::string> write_stamped(const std::string& folder, const std::string& kind,
                                  const std::string& extension, const std::string& content,
                                  TimePoint now);

// The same, written piece by piece.
class StampedFile {
 public:
  static Result<std::unique_ptr<StampedFile>> create(const std::string& folder,
                                                     const std::string& kind,
                                                     const std::string& extension, TimePoint now);
  Status write(std::string_view text);
  Status finish();
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  std::unique_ptr<FileInMaking> stamped_;
  std::unique_ptr<FileInMaking> latest_;
};

// rejected.jsonl, repaired.jsonl and kept-by-rollback.jsonl.zst of one migration.
class FileSidecar final : public Sidecar {
 public:
  explicit FileSidecar(std::string folder) : folder_(std::move(folder)) {}
  Status rejected(const Move& move, const Row& key, const std::string& reason) override;
  Status begin_anew() override;
  Status repaired(const std::string& table, const std::vector<std::string>& columns, const Row& key,
                  const std::optional<Row>& before) override;
  Status kept(const Migration& migration, const std::vector<KeptRow>& rows) override;

 private:
  std::string folder_;
};

}  // namespace whimbrel
