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

#include "backup/zstd_lines.h"
#include "base/text.h"
#include "follow/kept.h"

namespace whimbrel {

namespace {

using nlohmann::json;

Error file_error(const std::string& path) {
  return Error{ErrorCode::unavailable, fmt::format("{}: {}", path, std::strerror(errno)),
               "the state folder must be writable and have room"};
}

std::string dumped(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
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

Status write_file(const std::string& path, const std::string& content) {
  const std::string part = path + ".part";
  const int file = open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return file_error(part);
  std::size_t written = 0;
  while (written < content.size()) {
    const ssize_t now = write(file, content.data() + written, content.size() - written);
    if (now <= 0) break;
    written += static_cast<std::size_t>(now);
  }
  const bool synced = written == content.size() && fsync(file) == 0;
  close(file);
  if (!synced || std::rename(part.c_str(), path.c_str()) != 0) return file_error(path);
  return {};
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{ErrorCode::not_found, "there is no file " + path};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

Result<std::string> write_stamped(const std::string& folder, const std::string& kind,
                                  const std::string& extension, const std::string& content,
                                  TimePoint now) {
  const std::string name =
      fmt::format("{}/migration-{}-{}.{}", folder, kind, to_compact(now), extension);
  TRY(write_file(name, content));
  TRY(write_file(fmt::format("{}/migration-{}-latest.{}", folder, kind, extension), content));
  return name;
}

Status FileSidecar::rejected(const Move& move, const Row& key, const std::string& reason) {
  return append_line(folder_ + "/rejected.jsonl", dumped({{"table", move.name},
                                                          {"key", show(key)},
                                                          {"key_bytes", to_hex(canonical(key))},
                                                          {"reason", reason}}));
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

Status FileSidecar::kept(const Migration& migration, const std::vector<KeptRow>& rows) {
  if (rows.empty()) return {};
  ASSIGN_OR_RETURN(const auto lines,
                   ZstdLinesWriter::create(folder_ + "/kept-by-rollback.jsonl.zst"));
  for (const KeptRow& row : rows) {
    ASSIGN_OR_RETURN(const Row key, key_from(row));
    ASSIGN_OR_RETURN(const std::vector<Unheld> columns, columns_from(row));
    json values = json::object();
    for (const Unheld& one : columns) {
      const auto* text = one.value.get_if<std::string>();
      values[one.column] = text != nullptr && is_utf8(*text) ? *text : show(one.value, 1 << 20);
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
