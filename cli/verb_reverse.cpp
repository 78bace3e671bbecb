#include <fmt/format.h>

#include <filesystem>

#include "backup/backup.h"
#include "backup/files.h"
#include "base/text.h"
#include "verbs.h"

namespace whimbrel::cli {

int reverse(const Options& options) {
  Context context(options);
  if (const Status journal = context.open_journal(false); !journal.ok())
    return context.fail(journal.error());
  const Phase phase = context.journal().phase();
  if (phase != Phase::finished) {
    return context.fail(Error{ErrorCode::refused,
                              fmt::format("this migration is {}, not finished", name_of(phase)),
                              "until `finish` the way back is `whimbrel rollback`"});
  }
  if (const Status loaded = context.load_finished(); !loaded.ok())
    return context.fail(loaded.error());
  const Result<std::string> state = context.state_folder(false);
  if (!state.ok()) return context.fail(state.error());
  const std::filesystem::path folder = std::filesystem::path(state.value()) / "reverse";
  const std::filesystem::path beside =
      folder.lexically_relative(std::filesystem::absolute(options.plan).parent_path());
  const ReversePlan plan = reverse_plan(context.plan(), context.migration(),
                                        beside.empty() ? folder.string() : beside.string());
  if (const Status made = make_folder(folder.string()); !made.ok())
    return context.fail(made.error());
  for (const auto& [name, ddl] : plan.files) {
    const Status written = write_file((folder / name).string(), ddl);
    if (!written.ok()) return context.fail(written.error());
  }
  if (options.json) return context.finish(done, "reversed", plan.text);
  std::printf("%s", plan.text.c_str());
  return done;
}

bool old_tables_are_gone(Context& context) {
  if (!context.load_finished().ok()) return false;
  bool gone = false;
  for (const Move& move : context.migration().moves) {
    // Where the new side is missing as well, this is another database.
    if (!move.target->catalog().describe(move.mapping.target.name).ok()) return false;
    const Result<TableSchema> there = move.source->catalog().describe(move.mapping.source.name);
    gone = gone || (!there.ok() && there.error().code == ErrorCode::not_found);
  }
  return gone;
}

namespace {

// Where an archive or a backup of this migration lies, newest kind first.
struct Kept {
  std::string what;
  std::filesystem::path folder;
};

std::vector<Kept> kept_folders(const State& state, const std::string& state_folder,
                               const std::string& alias) {
  std::vector<Kept> all;
  for (const char* id : {"archive", "backup"}) {
    const Effect* effect = state.effect(id);
    if (effect == nullptr || !effect->confirmed) continue;
    const auto result = nlohmann::json::parse(effect->result, nullptr, false);
    if (!result.is_object() || !result.contains("folder")) continue;
    std::filesystem::path folder = result["folder"].get<std::string>();
    if (folder.is_relative()) folder = std::filesystem::path(state_folder) / folder;
    std::error_code ignored;
    if (std::filesystem::is_directory(folder / alias, ignored)) folder /= alias;
    all.push_back({id, folder});
  }
  return all;
}

Error nothing_to_restore(const std::string& why) {
  return Error{
      ErrorCode::refused,
      "the old tables are gone" +
          (why.empty() ? std::string(", and there is neither an archive nor a backup of them")
                       : ": " + why),
      "`whimbrel restore URL STORE` brings them back from a backup kept elsewhere; then "
      "roll back",
      "nothing was changed; the application uses the new side",
      {},
      ""};
}

// The journal says that it was begun: a table that is half there is not taken for the whole one.
Status restore_kept(Context& context, const std::string& alias, Store& store) {
  ASSIGN_OR_RETURN(const std::string state_folder, context.state_folder(false));
  std::string why;
  for (const Kept& kept : kept_folders(context.journal().state(), state_folder, alias)) {
    if (const Status whole = verify_backup(kept.folder.string()); !whole.ok()) {
      why += (why.empty() ? "" : "; ") + whole.error().message;
      continue;
    }
    if (!why.empty()) {
      context.warn(why + "; the " + kept.what + " in " + kept.folder.string() + " is taken instead",
                   "values that only the old tables held are as they were then");
    }
    const std::string id = "restored:" + alias;
    TRY(context.journal().append(EffectIntended{id, "{}"}));
    const auto tables = restore_backup(kept.folder.string(), store, context.progress());
    if (!tables.ok()) return tables.error();
    return context.journal().append(EffectConfirmed{id, "{}"});
  }
  return nothing_to_restore(why);
}

// Looked at before anything is changed.
Status may_come_back(const Migration& migration) {
  for (const Move& move : migration.moves) {
    const Result<TableSchema> target = move.target->catalog().describe(move.mapping.target.name);
    if (!target.ok()) {
      return Error{
          ErrorCode::refused,
          fmt::format("{} is gone, and with it what the application wrote since the switch",
                      move.to),
          "bring it back first; the archive or the backup hold the old rows",
          "nothing was changed",
          {},
          ""};
    }
    const std::string& archive = migration.finish.rename_source_to;
    if (archive.empty()) continue;
    Catalog& catalog = move.source->catalog();
    if (catalog.describe(archive).ok() && catalog.describe(move.mapping.source.name).ok()) {
      return Error{
          ErrorCode::refused,
          fmt::format("there is another table {} now, beside the archive {}", move.from, archive),
          "rename or drop it: the archive needs its name back",
          "nothing was changed",
          {},
          ""};
    }
  }
  return {};
}

}  // namespace

// The old tables of a finished migration, from the archive or from a backup; each is left alone
// where it is there as a whole. What happens next is an ordinary rollback.
Status bring_back_old_tables(Context& context) {
  TRY(context.load_finished());
  TRY(may_come_back(context.migration()));
  const std::string archive = context.migration().finish.rename_source_to;
  std::map<std::string, std::shared_ptr<Store>> incomplete;
  const State state = context.journal().state();
  for (const Move& move : context.migration().moves) {
    const std::string alias = move.from.substr(0, move.from.find('/'));
    const Effect* begun = state.effect("restored:" + alias);
    TRY(move.source->catalog().revive(move.mapping.source.name, archive));
    const bool there = move.source->catalog().describe(move.mapping.source.name).ok();
    if (!there || (begun != nullptr && !begun->confirmed)) incomplete[alias] = move.source;
  }
  for (const auto& [alias, store] : incomplete) TRY(restore_kept(context, alias, *store));
  for (const Move& move : context.migration().moves) {
    Catalog& catalog = move.source->catalog();
    TRY(catalog.revive(move.mapping.source.name, archive));  // it was archived under that name
    if (!catalog.describe(move.mapping.source.name).ok()) {
      return nothing_to_restore("the archive does not hold " + move.from);
    }
  }
  return {};
}

}  // namespace whimbrel::cli
