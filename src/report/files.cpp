#include "report/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "backup/zstd_lines.h"
#include "base/text.h"
#include "follow/kept.h"
#include "report/json_text.h"
#include "value/json_value.h"

namespace whimbrel {

namespace {

using nlohmann::json;

Error file_error(const std::string& path) {
  return Error{ErrorCode::unavailable, fmt::format("{}: {}", path, std::strerror(errno)),
               "its folder must be there, be writable and have room"};
}

Status append_line(const std::string& path, const std::string& line) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return file_error(path);
  const std::string text = line + "\n";
  const bool written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const bool synced = written && fsync(file) == 0;
  close(file);
  return synced ? Status() : Status(file_error(path));
}

}  // namespace

Result<std::unique_ptr<FileInMaking>> FileInMaking::create(const std::string& path) {
  const std::string part = path + ".part";
  const int file = open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return file_error(part);
  return std::unique_ptr<FileInMaking>(new FileInMaking(path, file));
}

FileInMaking::~FileInMaking() {
  if (file_ < 0) return;
  close(file_);
  unlink((path_ + ".part").c_str());
}

Status FileInMaking::write(std::string_view text) {
  constexpr std::size_t enough{1 << 16};
  waiting_ += text;
  if (waiting_.size() < enough && !text.empty()) return {};
  std::size_t written = 0;
  while (written < waiting_.size()) {
    const ssize_t now = ::write(file_, waiting_.data() + written, waiting_.size() - written);
    if (now < 0 && errno == EINTR) continue;
    if (now <= 0) return file_error(path_);
    written += static_cast<std::size_t>(now);
  }
  waiting_.clear();
  return {};
}

Status FileInMaking::finish() {
  TRY(write(""));
  const bool synced = fsync(file_) == 0;
  close(std::exchange(file_, -1));
  const std::string part = path_ + ".part";
  if (synced && std::rename(part.c_str(), path_.c_str()) == 0) return {};
  Error error = file_error(path_);
  unlink(part.c_str());
  return error;
}

// A device or a pipe is written to, and what a link leads to is replaced, not the link.
Status write_file(const std::string& path, const std::string& content) {
  std::error_code ignored;
  const auto kind = std::filesystem::status(path, ignored).type();
  if (kind != std::filesystem::file_type::regular &&
      kind != std::filesystem::file_type::not_found) {
    errno = 0;
    std::ofstream out(path, std::ios::binary);
    out << content;
    out.flush();
    return out ? Status() : Status(file_error(path));
  }
  const std::filesystem::path real = std::filesystem::canonical(path, ignored);
  ASSIGN_OR_RETURN(const auto file, FileInMaking::create(real.empty() ? path : real.string()));
  TRY(file->write(content));
  return file->finish();
}

Status can_write_file(const std::string& path) {
  std::error_code ignored;
  const auto kind = std::filesystem::status(path, ignored).type();
  Status made = kind == std::filesystem::file_type::directory
                    ? Status(Error{ErrorCode::invalid_plan, path + " is a folder"})
                    : Status();
  if (kind == std::filesystem::file_type::regular ||
      kind == std::filesystem::file_type::not_found) {
    const std::filesystem::path real = std::filesystem::canonical(path, ignored);
    const auto file = FileInMaking::create(real.empty() ? path : real.string());
    if (!file.ok()) made = file.error();
  }
  if (made.ok()) return made;
  Error error = std::move(made).error();
  error.code = ErrorCode::invalid_plan;
  return std::move(error).with_hint("name a file in a folder that is there and may be written");
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{ErrorCode::not_found, "there is no file " + path};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string analysis_file(const std::string& folder) {
  return folder + "/migration-analysis-latest.json";
}

Result<std::unique_ptr<StampedFile>> StampedFile::create(const std::string& folder,
                                                         const std::string& kind,
                                                         const std::string& extension,
                                                         TimePoint now) {
  auto file = std::make_unique<StampedFile>();
  const std::string name = fmt::format("{}/migration-{}-{}", folder, kind, to_compact(now));
  const auto is_there = [](const std::string& path) {
    std::error_code ignored;
    return std::filesystem::exists(path, ignored) ||
           std::filesystem::exists(path + ".part", ignored);
  };
  // Two of one second are both kept.
  file->name_ = fmt::format("{}.{}", name, extension);
  for (int number = 2; is_there(file->name_); ++number) {
    file->name_ = fmt::format("{}-{}.{}", name, number, extension);
  }
  ASSIGN_OR_RETURN(file->stamped_, FileInMaking::create(file->name_));
  ASSIGN_OR_RETURN(file->latest_, FileInMaking::create(fmt::format("{}/migration-{}-latest.{}",
                                                                   folder, kind, extension)));
  return file;
}

Status StampedFile::write(std::string_view text) {
  TRY(stamped_->write(text));
  return latest_->write(text);
}

Status StampedFile::finish() {
  TRY(stamped_->finish());
  return latest_->finish();
}

Result<std::string> write_stamped(const std::string& folder, const std::string& kind,
                                  const std::string& extension, const std::string& content,
                                  TimePoint now) {
  ASSIGN_OR_RETURN(const auto file, StampedFile::create(folder, kind, extension, now));
  TRY(file->write(content));
  TRY(file->finish());
  return file->name();
}

Status FileSidecar::rejected(const Move& move, const Row& key, const std::string& reason) {
  json line = {{"table", move.name}, {"key", show(key)}, {"reason", reason}};
  if (what_is_shown_is_redacted()) {
    line["key_digest"] = key_digest(key);
  } else {
    line["key_bytes"] = to_hex(canonical(key));
  }
  return append_line(folder_ + "/rejected.jsonl", dumped(line));
}

Status FileSidecar::begin_anew() {
  const std::string path = folder_ + "/rejected.jsonl";
  const std::string kept =
      fmt::format("{}/rejected-until-{}.jsonl", folder_, to_compact(SystemClock().now()));
  std::error_code failure;
  std::filesystem::rename(path, kept, failure);
  if (!failure || failure == std::errc::no_such_file_or_directory) return {};
  return Error{ErrorCode::unavailable,
               fmt::format("{} cannot be renamed: {}", path, failure.message())};
}

Status FileSidecar::repaired(const std::string& table, const std::vector<std::string>& columns,
                             const Row& key, const std::optional<Row>& before) {
  json values = json::object();
  for (std::size_t i = 0; before && i < columns.size(); ++i)
    values[columns[i]] = show((*before)[i], 200);
  return append_line(
      folder_ + "/repaired.jsonl",
      dumped({{"at", to_iso8601(SystemClock().now())},
              {"table", table},
              {"key", show(key)},
              {"key_bytes", to_hex(canonical(key))},
              {"before", before ? values : json()},
              {"before_bytes", before ? json(to_hex(canonical(*before))) : json()}}));
}

namespace {
// In full: it is all that is left of it.
std::string as_told(const Value& value) {
  const auto* text = value.get_if<std::string>();
  if (text != nullptr && is_utf8(*text)) return *text;
  const bool is_document = value.kind() == Kind::map || value.kind() == Kind::list;
  const Result<std::string> document =
      is_document ? json_text_of(value) : Result<std::string>(show(value, 1 << 20));
  return document.ok() ? document.value() : to_hex(canonical({value}));
}
}  // namespace

Status FileSidecar::kept(const Migration& migration, const std::vector<KeptRow>& rows) {
  if (rows.empty()) return {};
  ASSIGN_OR_RETURN(const auto lines,
                   ZstdLinesWriter::create(folder_ + "/kept-by-rollback.jsonl.zst"));
  for (const KeptRow& row : rows) {
    ASSIGN_OR_RETURN(const Row key, key_from(row));
    ASSIGN_OR_RETURN(const std::vector<Unheld> columns, columns_from(row));
    json values = json::object();
    for (const Unheld& one : columns) {
      if (one.column.empty()) continue;  // a mark that this is a whole row
      if (one.tells_rows_apart()) continue;
      values[one.column] = as_told(one.value);
    }
    const bool known = row.move >= 0 && row.move < std::ssize(migration.moves);
    const std::string table = known ? migration.moves[static_cast<std::size_t>(row.move)].name : "";
    TRY(lines->write(dumped(
        {{"table", table}, {"key", show(key)}, {"key_bytes", row.key}, {"columns", values}})));
  }
  const Result<std::string> digest = lines->finish();
  return digest.ok() ? Status() : Status(digest.error());
}

}  // namespace whimbrel
