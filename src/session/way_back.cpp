#include "session/way_back.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "backup/backup.h"
#include "backup/depot.h"
#include "session/places.h"

namespace whimbrel {

bool old_tables_are_gone(Session& session) {
  if (!session.load_finished().ok()) return false;
  bool gone = false;
  for (const Move& move : session.migration().moves) {
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
  std::string place = {};
  // Or the store's own backups: table and address of each.
  std::vector<std::pair<std::string, std::string>> native = {};
};

Result<std::vector<Kept>> kept_places(const State& state, const std::string& state_folder,
                                      const std::string& alias) {
  std::vector<Kept> all;
  for (const char* id : {"archive", "backup"}) {
    const Effect* effect = state.effect(id);
    if (effect == nullptr || !effect->confirmed) continue;
    const auto result = nlohmann::json::parse(effect->result, nullptr, false);
    if (!result.is_object()) continue;
    Kept native{id};
    const nlohmann::json own = result.value("native", nlohmann::json::object());
    for (const auto& [address, backup] : own.items()) {
      if (!address.starts_with(alias + "/") || !backup.is_string()) continue;
      native.native.emplace_back(address.substr(alias.size() + 1), backup.get<std::string>());
    }
    if (!native.native.empty()) all.push_back(std::move(native));
    if (!result.contains("folder")) continue;
    std::string place = place_for(state_folder, result["folder"].get<std::string>());
    ASSIGN_OR_RETURN(const bool has_several, has_backup(place_below(place, alias)));
    if (has_several) place = place_below(place, alias);
    all.push_back({id, std::move(place)});
  }
  return all;
}

Error nothing_to_restore(Session& session, const std::string& why) {
  const State state = session.journal().state();
  const bool switched =
      state.phase == Phase::finished || state.phase_times.contains(name_of(Phase::watching));
  return Error{
      ErrorCode::refused,
      "the old tables are gone" +
          (why.empty() ? std::string(", and there is neither an archive nor a backup of them")
                       : ": " + why),
      "if somebody renamed them, give them their names back; `whimbrel restore URL STORE` brings "
      "them back from a backup kept elsewhere; then roll back",
      switched ? "nothing was changed; the application uses the new side"
               : "nothing was changed, and nothing is switched",
      {},
      ""};
}

Error cannot_be_read(Error why, const std::string& what) {
  return std::move(why)
      .within("reading " + what)
      .saying_safe("nothing was changed; the same command goes on when it can be reached");
}

// What the service restores has neither time to live nor tags nor protection.
Status restore_own_backups(Session& session, const Kept& kept, const std::string& alias,
                           Store& store) {
  const std::string id = "restored:" + alias;
  TRY(session.journal().append(EffectIntended{id, "{}"}));
  for (const auto& [table, backup] : kept.native) {
    const NativeRestore wanted{.backup = backup, .as = table};
    const bool is_whole = store.catalog().describe(table).ok() &&
                          !store.restore_native(wanted, true).ok();  // nor under way
    if (!is_whole) {
      const Result<std::string> restored = store.restore_native(wanted, false);
      if (!restored.ok()) return restored.error();
    }
    for (const Move& move : session.migration().moves) {
      const bool is_it = move.source.get() == &store && move.stored_source() == table;
      if (is_it) TRY(store.catalog().complete(move.mapping.source));
    }
  }
  return session.journal().append(EffectConfirmed{id, "{}"});
}

// The journal says that it was begun: a table that is half there is not taken for the whole one.
Status restore_kept(Session& session, const std::string& alias, Store& store) {
  ASSIGN_OR_RETURN(const std::string state_folder, session.state_folder(false));
  std::string why;
  const Result<std::vector<Kept>> found =
      kept_places(session.journal().state(), state_folder, alias);
  if (!found.ok()) return cannot_be_read(found.error(), "the archive");
  for (const Kept& kept : found.value()) {
    if (!kept.native.empty()) {
      Status restored = restore_own_backups(session, kept, alias, store);
      if (restored.ok()) return restored;
      const ErrorCode code = restored.error().code;
      if (code != ErrorCode::refused && code != ErrorCode::not_found) {
        return cannot_be_read(std::move(restored).error(), "the store's own backups");
      }
      why += (why.empty() ? "" : "; ") + restored.error().message;
      continue;
    }
    if (const Status whole = verify_backup(kept.place, store); !whole.ok()) {
      // One that cannot be reached just now may be whole: an older one would bring older values.
      const ErrorCode code = whole.error().code;
      if (code != ErrorCode::data_mismatch && code != ErrorCode::not_found) {
        return cannot_be_read(whole.error(), fmt::format("the {} in {}", kept.what, kept.place));
      }
      why += (why.empty() ? "" : "; ") + whole.error().message;
      continue;
    }
    if (!why.empty()) {
      session.host().warn(why + "; the " + kept.what + " in " + kept.place + " is taken instead",
                          "values that only the old tables held are as they were then");
    }
    const std::string id = "restored:" + alias;
    TRY(session.journal().append(EffectIntended{id, "{}"}));
    const auto tables = restore_backup(kept.place, store, session.events());
    if (!tables.ok()) return tables.error();
    return session.journal().append(EffectConfirmed{id, "{}"});
  }
  return nothing_to_restore(session, why);
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

Status bring_back_old_tables(Session& session) {
  TRY(session.load_finished());
  TRY(may_come_back(session.migration()));
  const std::string archive = session.migration().finish.rename_source_to;
  std::map<std::string, std::shared_ptr<Store>> incomplete;
  const State state = session.journal().state();
  for (const Move& move : session.migration().moves) {
    const std::string alias = move.from.substr(0, move.from.find('/'));
    const Effect* begun = state.effect("restored:" + alias);
    TRY(move.source->catalog().revive(move.mapping.source.name, archive));
    const bool there = move.source->catalog().describe(move.mapping.source.name).ok();
    if (!there || (begun != nullptr && !begun->confirmed)) incomplete[alias] = move.source;
  }
  for (const auto& [alias, store] : incomplete) TRY(restore_kept(session, alias, *store));
  for (const Move& move : session.migration().moves) {
    Catalog& catalog = move.source->catalog();
    TRY(catalog.revive(move.mapping.source.name, archive));  // it was archived under that name
    if (!catalog.describe(move.mapping.source.name).ok()) {
      return nothing_to_restore(session, "the archive does not hold " + move.from);
    }
  }
  return {};
}

}  // namespace whimbrel
