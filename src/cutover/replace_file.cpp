#include "cutover/replace_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

#include "base/text.h"

namespace whimbrel {

namespace {

constexpr std::uintmax_t size_max = 1 << 20;

Error file_error(const std::string& path, const char* what) {
  const int number = errno;
  return Error{ErrorCode::refused,
               fmt::format("{} {}: {}", what, printable(path, 200), std::strerror(number)),
               "see that the file and its folder may be written, then say the same again"};
}

bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

Result<std::optional<std::string>> read_small_file(const std::string& path) {
  std::error_code failure;
  const auto status = std::filesystem::status(path, failure);
  if (status.type() == std::filesystem::file_type::not_found) return std::optional<std::string>{};
  const std::uintmax_t size = std::filesystem::file_size(path, failure);
  if (!std::filesystem::is_regular_file(status) || failure || size > size_max) {
    return Error{ErrorCode::refused,
                 fmt::format("{} is no file of at most 1 MB", printable(path, 200))};
  }
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in && size > 0) return file_error(path, "reading");
  return std::optional<std::string>(text.str());
}

Status replace_file(const std::string& path, const std::string& text) {
  std::error_code failure;
  const std::filesystem::path real = std::filesystem::weakly_canonical(path, failure);
  const std::string goal = failure ? path : real.string();
  struct stat before = {};
  const bool is_there = ::stat(goal.c_str(), &before) == 0;
  const std::string part = goal + ".whimbrel";
  if (unlink(part.c_str()) != 0 && errno != ENOENT) return file_error(part, "replacing");
  const int descriptor =
      ::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, is_there ? 0600 : 0644);
  if (descriptor < 0) return file_error(part, "making");
  bool whole = write_all(descriptor, text);
  if (is_there) {
    // The owner first: changing it takes some bits of the mode away.
    if (fchown(descriptor, before.st_uid, before.st_gid) != 0) errno = 0;
    whole = fchmod(descriptor, before.st_mode & 07777) == 0 && whole;
  }
  whole = fsync(descriptor) == 0 && whole;
  whole = close(descriptor) == 0 && whole;
  if (!whole || std::rename(part.c_str(), goal.c_str()) != 0) {
    Error error = file_error(goal, "writing");
    unlink(part.c_str());
    return error;
  }
  const std::string folder = std::filesystem::path(goal).parent_path().string();
  const int parent =
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (parent >= 0) {
    (void)fsync(parent);
    close(parent);
  }
  return {};
}

}  // namespace whimbrel
