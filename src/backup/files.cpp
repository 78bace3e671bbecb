#include "backup/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <vector>

namespace whimbrel {

namespace {

Error file_error(const std::string& path, const char* doing, int code) {
  Error error{ErrorCode::unavailable,
              fmt::format("{} {}: {}", doing, path, std::generic_category().message(code))};
  switch (code) {
    case ENOENT:
      error.code = ErrorCode::not_found;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      error.code = ErrorCode::refused;
      error.hint = "the folder and its files must be readable and writable by this user";
      break;
    case ENOTDIR:
    case ENAMETOOLONG:
      error.code = ErrorCode::refused;
      error.hint = "choose another folder";
      break;
    case ENOSPC:
    case EDQUOT:
      error.hint = "make room on the disk of this folder, then run again";
      break;
    default:
      break;
  }
  return error;
}

// A new name is on the disk only when the folder is.
Status sync_folder(const std::filesystem::path& folder) {
  const std::string path = folder.empty() ? "." : folder.string();
  const FileHandle handle(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle.get() < 0) return file_error(path, "opening", errno);
  // Some file systems cannot sync a folder, and say so with EINVAL.
  if (fsync(handle.get()) != 0 && errno != EINVAL) return file_error(path, "syncing", errno);
  return {};
}

}  // namespace

FileHandle::~FileHandle() {
  if (descriptor_ >= 0) close(descriptor_);
}

Result<std::unique_ptr<PartFile>> PartFile::create(const std::string& path) {
  const std::string part = path + ".part";
  if (unlink(part.c_str()) != 0 && errno != ENOENT) return file_error(part, "replacing", errno);
  // O_EXCL: neither a link nor a file of somebody else with wider permissions is written to.
  const int descriptor = ::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) return file_error(part, "creating", errno);
  return std::unique_ptr<PartFile>(new PartFile(path, descriptor));
}

PartFile::~PartFile() {
  if (!finished_) unlink((path_ + ".part").c_str());
}

Status PartFile::write(std::string_view bytes) {
  digest_.add(bytes);
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return file_error(path_ + ".part", "writing", errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<std::string> PartFile::finish() {
  const std::string part = path_ + ".part";
  if (fsync(file_.get()) != 0) return file_error(part, "syncing", errno);
  if (std::rename(part.c_str(), path_.c_str()) != 0) return file_error(part, "renaming", errno);
  finished_ = true;
  TRY(sync_folder(std::filesystem::path(path_).parent_path()));
  return digest_.hex();
}

Result<std::unique_ptr<FileReader>> FileReader::open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return file_error(path, "opening", errno);
  return std::unique_ptr<FileReader>(new FileReader(path, descriptor));
}

Result<std::int64_t> FileReader::read(std::span<char> buffer) {
  ssize_t count = -1;
  do {
    count = ::read(file_.get(), buffer.data(), buffer.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0) return file_error(path_, "reading", errno);
  digest_.add({buffer.data(), static_cast<std::size_t>(count)});
  return static_cast<std::int64_t>(count);
}

Status make_folder(const std::string& folder) {
  std::error_code failure;
  std::filesystem::path path = std::filesystem::absolute(folder, failure);
  if (failure) return file_error(folder, "finding", failure.value());
  std::vector<std::filesystem::path> missing;
  while (!std::filesystem::exists(path, failure) && path.has_relative_path()) {
    missing.push_back(path);
    path = path.parent_path();
  }
  for (auto it = missing.rbegin(); it != missing.rend(); ++it) {
    if (mkdir(it->c_str(), 0700) != 0 && errno != EEXIST) {
      return file_error(it->string(), "making", errno);
    }
    TRY(sync_folder(it->parent_path()));
  }
  return {};
}

}  // namespace whimbrel
