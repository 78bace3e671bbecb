#include <fmt/format.h>

#include "backup/backup.h"
#include "base/counted.h"
#include "base/text.h"
#include "stores/registry.h"
#include "verbs.h"

namespace whimbrel::cli {

namespace {

Result<std::string> folder_of(const std::string& url) {
  if (url.starts_with("file:") && url.size() > 5) return url.substr(5);
  return Error{ErrorCode::invalid_plan,
               fmt::format("`{}` is no place for a backup", printable(url)),
               "write file:FOLDER; s3: is not yet of this release"};
}

}  // namespace

int backup(const Options& options) {
  Context context(options);
  if (const Status loaded = context.load(); !loaded.ok()) return context.fail(loaded.error());
  const Result<std::string> folder = folder_of(options.url);
  if (!folder.ok()) return context.fail(folder.error());
  if (options.dry_run) return context.finish(done, "dry run", "nothing was written");
  std::int64_t rows = 0;
  std::int64_t tables = 0;
  for (const auto& [alias, store] : context.migration().stores) {
    const std::vector<std::string> names = source_tables(context.migration(), *store);
    if (names.empty()) continue;
    const bool alone = context.migration().stores.size() == 1;
    const std::string place = alone ? folder.value() : folder.value() + "/" + alias;
    const Result<std::vector<BackedUpTable>> taken =
        take_backup(*store, names, place, context.progress());
    if (!taken.ok()) return context.fail(taken.error());
    if (const Status good = verify_backup(place); !good.ok()) return context.fail(good.error());
    for (const BackedUpTable& one : taken.value()) {
      rows += one.rows;
      ++tables;
      context.say(
          fmt::format("{}: {}, checksum {}\n", one.table, rows_text(one.rows), one.fingerprint));
    }
  }
  return context.finish(
      done, "backed up",
      fmt::format("{}, {}, read back and verified", counted(tables, "table"), rows_text(rows)));
}

int restore(const Options& options) {
  Context context(options);
  const Result<std::string> folder = folder_of(options.url);
  if (!folder.ok()) return context.fail(folder.error());
  const Result<std::shared_ptr<Store>> store = open_store(options.store, context.clock());
  if (!store.ok()) return context.fail(store.error());
  if (options.dry_run) {
    if (const Status good = verify_backup(folder.value()); !good.ok())
      return context.fail(good.error());
    return context.finish(done, "dry run", "the backup is whole; nothing was changed");
  }
  if (!options.yes) {
    return context.fail(Error{ErrorCode::invalid_plan,
                              "`restore` changes data and needs to be confirmed",
                              "say `--yes`, or `--dry-run` to verify the backup only",
                              "nothing was changed",
                              {},
                              ""});
  }
  const Result<std::vector<BackedUpTable>> restored =
      restore_backup(folder.value(), *store.value(), context.progress());
  if (!restored.ok()) return context.fail(restored.error());
  for (const BackedUpTable& one : restored.value()) {
    context.say(
        fmt::format("{}: {}, checksum {}\n", one.table, rows_text(one.rows), one.fingerprint));
  }
  return context.finish(done, "restored", "every row was compared with the backup's checksum");
}

}  // namespace whimbrel::cli
