#include "backup/s3_depot.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "aws/bucket.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "base/text.h"

namespace whimbrel {

namespace {

constexpr std::int64_t part_bytes = std::int64_t{8} << 20;
// An object has 10,000 parts at most: after each 2,000 they get twice as large, which is enough for
// 496 GB.
constexpr std::size_t parts_of_one_size = 2000;

// What fits into one part is sent at once, everything else as an upload in parts.
class S3Sink final : public FileSink {
 public:
  S3Sink(aws::Bucket& bucket, std::string key) : bucket_(bucket), key_(std::move(key)) {}
  S3Sink(const S3Sink&) = delete;
  S3Sink& operator=(const S3Sink&) = delete;
  ~S3Sink() override {
    // Nothing is owed but storage: a rule of the bucket takes away what nobody completes.
    if (upload_ && !finished_) std::ignore = bucket_.abort(*upload_);
  }

  Status write(std::string_view bytes) override {
    digest_.add(bytes);
    while (!bytes.empty()) {
      const auto room = static_cast<std::size_t>(part_size_ - std::ssize(part_));
      part_ += bytes.substr(0, room);
      bytes.remove_prefix(std::min(room, bytes.size()));
      if (std::ssize(part_) == part_size_) TRY(send_part());
    }
    return {};
  }

  Result<std::string> finish() override {
    if (!upload_) {
      TRY(bucket_.put(key_, part_));
    } else {
      if (!part_.empty()) TRY(send_part());
      TRY(bucket_.complete(*upload_));
    }
    finished_ = true;
    return digest_.hex();
  }

 private:
  Status send_part() {
    if (!upload_) {
      ASSIGN_OR_RETURN(upload_, bucket_.begin_upload(key_));
    }
    TRY(bucket_.add_part(*upload_, std::move(part_)));
    part_.clear();
    if (upload_->etags.size() % parts_of_one_size == 0) part_size_ *= 2;
    return {};
  }

  aws::Bucket& bucket_;
  std::string key_;
  std::string part_;
  std::int64_t part_size_ = part_bytes;
  std::optional<aws::Bucket::Upload> upload_;
  RunningDigest digest_;
  bool finished_ = false;
};

class S3Source final : public FileSource {
 public:
  S3Source(aws::Bucket& bucket, std::string key, aws::Bucket::Object first)
      : bucket_(bucket), key_(std::move(key)), part_(std::move(first)) {}

  Result<std::int64_t> read(std::span<char> buffer) override {
    if (at_ == part_.body.size() && before_ + std::ssize(part_.body) < part_.size) {
      TRY(read_part());
    }
    const std::size_t count = std::min(buffer.size(), part_.body.size() - at_);
    std::copy_n(part_.body.begin() + static_cast<std::ptrdiff_t>(at_), count, buffer.begin());
    digest_.add({buffer.data(), count});
    at_ += count;
    return static_cast<std::int64_t>(count);
  }
  std::string digest() const override { return digest_.hex(); }

 private:
  Status read_part() {
    const std::int64_t from = before_ + std::ssize(part_.body);
    ASSIGN_OR_RETURN(std::optional<aws::Bucket::Object> next,
                     bucket_.get_part(key_, from, part_bytes, part_.etag));
    if (!next || next->body.empty()) {
      return Error{ErrorCode::conflict, fmt::format("{} went away while it was read", key_),
                   "somebody removes objects from this bucket: ask who, and take the backup again"};
    }
    before_ = from;
    at_ = 0;
    part_ = *std::move(next);
    return {};
  }

  aws::Bucket& bucket_;
  std::string key_;
  aws::Bucket::Object part_;
  std::int64_t before_ = 0;  // bytes of the object before the part
  std::size_t at_ = 0;       // in the part
  RunningDigest digest_;
};

class S3Depot final : public Depot {
 public:
  explicit S3Depot(std::string prefix) : prefix_(std::move(prefix)) {}
  Status open(const std::string& name, aws::Access::Wanted wanted) {
    ASSIGN_OR_RETURN(bucket_, aws::Bucket::open(name, std::move(wanted), clock_));
    return {};
  }
  std::string path_of(const std::string& file) const override {
    return std::string(s3_scheme) + bucket_->name() + "/" + key_of(file);
  }
  std::string key_of(const std::string& file) const override {
    return prefix_.empty() ? file : prefix_ + "/" + file;
  }
  std::string bucket() const override { return bucket_->name(); }
  Status make() override { return bucket_->reach(); }
  Status prove_writable() override {
    const std::string probe = key_of(".whimbrel-probe");
    TRY(bucket_->reach());
    TRY(bucket_->put(probe, "1"));
    // Somebody may be allowed to put, and not to remove: that is how archives are kept safe.
    std::ignore = bucket_->remove(probe);
    return {};
  }
  Result<bool> holds(const std::string& file) override { return bucket_->holds(key_of(file)); }
  Result<std::unique_ptr<FileSink>> create(const std::string& file) override {
    return std::unique_ptr<FileSink>(std::make_unique<S3Sink>(*bucket_, key_of(file)));
  }
  Result<std::unique_ptr<FileSource>> open(const std::string& file) override {
    ASSIGN_OR_RETURN(std::optional<aws::Bucket::Object> first,
                     bucket_->get_part(key_of(file), 0, part_bytes, ""));
    if (!first) return Error{ErrorCode::not_found, fmt::format("{} is not there", path_of(file))};
    return std::unique_ptr<FileSource>(
        std::make_unique<S3Source>(*bucket_, key_of(file), *std::move(first)));
  }

 private:
  SystemClock clock_;
  std::string prefix_;
  std::unique_ptr<aws::Bucket> bucket_;
};

}  // namespace

S3Place split_s3_place(std::string_view place) {
  place.remove_prefix(std::min(s3_scheme.size(), place.size()));
  const std::string_view path = place.substr(0, place.find('?'));
  const std::string_view bucket = path.substr(0, path.find('/'));
  std::string_view prefix = path.substr(std::min(bucket.size() + 1, path.size()));
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  return {std::string(bucket), std::string(prefix),
          std::string(place.substr(std::min(path.size() + 1, place.size())))};
}

Result<std::unique_ptr<Depot>> open_s3_depot(const std::string& place) {
  constexpr const char* like = "s3://BUCKET/PREFIX[?region=…&profile=…&role_arn=…&endpoint=…]";
  S3Place at = split_s3_place(place);
  if (at.bucket.empty() || at.prefix.starts_with('/')) {
    return Error{ErrorCode::invalid_plan,
                 fmt::format("`{}` names no bucket and prefix", printable(place)), like};
  }
  ASSIGN_OR_RETURN(
      aws::Access::Wanted wanted,
      aws::wanted_of(at.query, {"region", "profile", "role_arn", "endpoint"}, "a bucket", like));
  auto depot = std::make_unique<S3Depot>(std::move(at.prefix));
  TRY(depot->open(at.bucket, std::move(wanted)));
  return std::unique_ptr<Depot>(std::move(depot));
}

}  // namespace whimbrel
