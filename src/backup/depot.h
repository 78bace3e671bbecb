// Where the files of a backup lie: a folder, or a bucket of S3 below a prefix.
//
// A place is a text: a path, or `s3://BUCKET/PREFIX[?region=…&profile=…&role_arn=…&endpoint=…]`.
// Files are there as a whole or not at all: whoever finds one under its name can rely on its end.
// Memory is constant: 8 MiB for each file that is written to or read from a bucket, more only where
// the file has more than 16 GB. Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "store/rights.h"

namespace whimbrel {

// A file that is written. What was not finished is taken away when it is destroyed.
class FileSink {
 public:
  virtual ~FileSink() = default;
  virtual Status write(std::string_view bytes) = 0;
  // The last call: the file is there, and lasts, when this returns. Gives its SHA-256 in hex.
  virtual Result<std::string> finish() = 0;
};

class FileSource {
 public:
  virtual ~FileSource() = default;
  // How many bytes were read into `buffer`; 0 at the end.
  virtual Result<std::int64_t> read(std::span<char> buffer) = 0;
  // The SHA-256 of the bytes read so far, in hex.
  virtual std::string digest() const = 0;
};

class Depot {
 public:
  virtual ~Depot() = default;
  // As a person writes it.
  virtual std::string path_of(const std::string& file) const = 0;
  // As other tools name it in the bucket, or below the folder.
  virtual std::string key_of(const std::string& file) const = 0;
  virtual std::string bucket() const { return ""; }  // "": a folder
  // Makes the folder and those above it that are missing, for their owner alone; of a bucket, that
  // it is there. Errors: not_found, `refused` for missing permission, `unavailable`.
  virtual Status make() = 0;
  // That files can be written there, by writing one and taking it away again.
  virtual Status prove_writable() = 0;
  virtual Result<bool> holds(const std::string& file) = 0;
  // Errors of these and of what they give: not_found, `refused` for missing permission,
  // `unavailable` for the rest.
  virtual Result<std::unique_ptr<FileSink>> create(const std::string& file) = 0;
  virtual Result<std::unique_ptr<FileSource>> open(const std::string& file) = 0;

  // For documents that fit into memory. Writing gives the digest.
  Result<std::string> write_whole(const std::string& file, std::string_view bytes);
  Result<std::string> read_whole(const std::string& file);
};

// invalid_plan for a text that is no place.
Result<std::unique_ptr<Depot>> open_depot(const std::string& place);

// What a role needs to put files there and to read them; empty for a folder.
Rights rights_of_place(const std::string& place);
// Whether it is a path of this machine.
bool is_folder(std::string_view place);
// "a/b" for `b` below `a`, also where the place has parameters.
std::string place_below(const std::string& place, const std::string& name);

}  // namespace whimbrel
