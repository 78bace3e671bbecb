#include <fmt/format.h>

#include "backup/backup.h"
#include "backup/depot.h"
#include "base/counted.h"
#include "base/text.h"
#include "stores/registry.h"
#include "verbs.h"

namespace whimbrel::cli {

Result<std::string> place_of(const std::string& url) {
  if (url.starts_with("file:") && url.size() > 5) return url.substr(5);
  if (url.starts_with("s3://") && url.size() > 5) return url;
  return Error{ErrorCode::invalid_plan,
               fmt::format("`{}` is no place for a backup", printable(url)),
               "write file:FOLDER or s3://BUCKET/PREFIX"};
}

int backup(const Options& options) {
  Context context(options);
  if (const Status loaded = context.load(); !loaded.ok()) return context.fail(loaded.error());
  const Result<std::string> base = place_of(options.url);
  if (!base.ok()) return context.fail(base.error());
  if (options.dry_run) return context.finish(done, "dry run", "nothing was written");
  std::int64_t rows = 0;
  std::int64_t tables = 0;
  for (const auto& [alias, store] : context.migration().stores) {
    const std::vector<std::string> names = source_tables(context.migration(), *store);
    if (names.empty()) continue;
    const bool alone = context.migration().stores.size() == 1;
    const std::string place = alone ? base.value() : place_below(base.value(), alias);
    const Result<std::vector<BackedUpTable>> taken =
        take_backup(*store, names, place, context.progress());
    if (!taken.ok()) return context.fail(taken.error());
    if (const Status good = verify_backup(place, *store); !good.ok())
      return context.fail(good.error());
    for (const BackedUpTable& one : taken.value()) {
      rows += one.rows;
      ++tables;
      context.say(
          fmt::format("{}: {}, checksum {}\n", one.table, rows_text(one.rows), one.fingerprint));
    }
    if (!alone) {
      context.say(fmt::format("the tables of {} are in {}{}\n", alias,
                              options.url.starts_with("file:") ? "file:" : "", place));
    }
  }
  return context.finish(
      done, "backed up",
      fmt::format("{}, {}, read back and verified", counted(tables, "table"), rows_text(rows)));
}

namespace {

constexpr std::string_view native = "native:";

Error not_confirmed() {
  return Error{ErrorCode::invalid_plan,
               "`restore` changes data and needs to be confirmed",
               "say `--yes`, or `--dry-run` to verify the backup only",
               "nothing was changed",
               {},
               ""};
}

Result<NativeRestore> native_from(const Options& options) {
  const std::string what = options.url.substr(native.size());
  NativeRestore wanted{.table = options.table, .as = options.as};
  if (options.to_time.empty()) {
    wanted.backup = what;
    return wanted;
  }
  wanted.table = what;
  wanted.latest = options.to_time == "latest";
  if (wanted.latest) return wanted;
  wanted.at = from_iso8601(options.to_time);
  if (wanted.at) return wanted;
  return Error{ErrorCode::invalid_plan,
               fmt::format("`--to-time {}` is no moment", printable(options.to_time)),
               "like 2026-11-20T20:15:00Z, with a zone; or `latest`", "nothing was changed"};
}

// Beside what is there: whoever has looked at it decides what becomes of it.
int restore_native(Context& context, Store& store, const NativeRestore& wanted) {
  const Options& options = context.options();
  const bool dry = options.dry_run || !options.yes;
  const Result<std::string> made = store.restore_native(wanted, dry);
  if (!made.ok()) return context.fail(made.error());
  if (options.dry_run) {
    return context.finish(done, "dry run", made.value() + " would be made; nothing was changed");
  }
  if (!options.yes) return context.fail(not_confirmed());
  const Result<TableSchema> table = store.catalog().describe(made.value());
  if (!table.ok()) return context.fail(table.error());
  const Result<std::unique_ptr<SnapshotReader>> reader = store.open_reader(table.value());
  if (!reader.ok()) return context.fail(reader.error());
  const Result<std::int64_t> rows = reader.value()->count();
  if (!rows.ok()) return context.fail(rows.error());
  const std::string of = wanted.table.empty() ? "TABLE" : wanted.table;
  context.next({{fmt::format("whimbrel diff {0}/{1} {0}/{2}", options.store, of, made.value()),
                 "what differs from the table that is there"}});
  return context.finish(done, "restored", made.value() + ": " + rows_text(rows.value()));
}

}  // namespace

int restore(const Options& options) {
  Context context(options);
  const Result<std::shared_ptr<Store>> store = open_store(options.store, context.clock());
  if (!store.ok()) return context.fail(store.error());
  if (options.url.starts_with(native) && options.url.size() > native.size()) {
    const Result<NativeRestore> wanted = native_from(options);
    return wanted.ok() ? restore_native(context, *store.value(), wanted.value())
                       : context.fail(wanted.error());
  }
  if (!options.to_time.empty() || !options.as.empty() || !options.table.empty()) {
    return context.fail(
        Error{ErrorCode::invalid_plan,
              "`--to-time`, `--as` and `--table` are for backups that a store keeps",
              "write native:BACKUP, or native:TABLE with `--to-time`", "nothing was changed"});
  }
  const Result<std::string> place = place_of(options.url);
  if (!place.ok()) return context.fail(place.error());
  if (options.dry_run) {
    if (const Status good = verify_backup(place.value(), *store.value()); !good.ok())
      return context.fail(good.error());
    return context.finish(done, "dry run", "the backup is whole; nothing was changed");
  }
  if (!options.yes) {
    return context.fail(not_confirmed());
  }
  const Result<std::vector<BackedUpTable>> restored =
      restore_backup(place.value(), *store.value(), context.progress());
  if (!restored.ok()) return context.fail(restored.error());
  for (const BackedUpTable& one : restored.value()) {
    context.say(
        fmt::format("{}: {}, checksum {}\n", one.table, rows_text(one.rows), one.fingerprint));
  }
  return context.finish(done, "restored", "every row was compared with the backup's checksum");
}

}  // namespace whimbrel::cli
