#include "backup/depot.h"

#include <array>
#include <filesystem>

#include "backup/files.h"
#include "backup/s3_depot.h"

namespace whimbrel {

namespace {

class FolderDepot final : public Depot {
 public:
  explicit FolderDepot(std::string folder) : folder_(std::move(folder)) {}
  std::string path_of(const std::string& file) const override {
    return (std::filesystem::path(folder_) / file).string();
  }
  std::string key_of(const std::string& file) const override { return file; }
  Status make() override { return make_folder(folder_); }
  Status prove_writable() override {
    TRY(make());
    const std::string probe = ".whimbrel-probe";
    TRY(write_whole(probe, "1"));
    std::error_code ignored;
    std::filesystem::remove(path_of(probe), ignored);
    return {};
  }
  Result<bool> holds(const std::string& file) override {
    std::error_code failure;
    const bool there = std::filesystem::exists(path_of(file), failure);
    // What cannot be seen is not written over.
    return there || static_cast<bool>(failure);
  }
  Result<std::unique_ptr<FileSink>> create(const std::string& file) override {
    // Some files lie in folders of their own.
    if (file.find('/') != std::string::npos) {
      TRY(make_folder(std::filesystem::path(path_of(file)).parent_path().string()));
    }
    ASSIGN_OR_RETURN(auto sink, PartFile::create(path_of(file)));
    return std::unique_ptr<FileSink>(std::move(sink));
  }
  Result<std::unique_ptr<FileSource>> open(const std::string& file) override {
    ASSIGN_OR_RETURN(auto source, FileReader::open(path_of(file)));
    return std::unique_ptr<FileSource>(std::move(source));
  }

 private:
  std::string folder_;
};

}  // namespace

Result<std::string> Depot::write_whole(const std::string& file, std::string_view bytes) {
  ASSIGN_OR_RETURN(const auto sink, create(file));
  TRY(sink->write(bytes));
  return sink->finish();
}

Result<std::string> Depot::read_whole(const std::string& file) {
  ASSIGN_OR_RETURN(const auto source, open(file));
  std::string bytes;
  std::array<char, 16384> buffer;
  while (true) {
    ASSIGN_OR_RETURN(const std::int64_t count, source->read(buffer));
    if (count == 0) return bytes;
    bytes.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

Rights rights_of_place(const std::string& place) {
  if (place.empty() || is_folder(place)) return {};
  const S3Place at = split_s3_place(place);
  const std::string bucket = "arn:aws:s3:::" + at.bucket;
  const std::string objects = bucket + "/" + at.prefix + "*";
  return {{"s3:ListBucket", bucket},
          {"s3:AbortMultipartUpload", objects},
          {"s3:GetObject", objects},
          {"s3:PutObject", objects}};
}

bool is_folder(std::string_view place) { return !place.starts_with(s3_scheme); }

std::string place_below(const std::string& place, const std::string& name) {
  const std::size_t end = is_folder(place) ? std::string::npos : place.find('?');
  std::string below = place.substr(0, end);
  if (!below.ends_with('/')) below += '/';
  below += name;
  if (end != std::string::npos) below += place.substr(end);
  return below;
}

Result<std::unique_ptr<Depot>> open_depot(const std::string& place) {
  if (!is_folder(place)) return open_s3_depot(place);
  return std::unique_ptr<Depot>(std::make_unique<FolderDepot>(place));
}

}  // namespace whimbrel
