#include "session/archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "backup/backup.h"
#include "backup/depot.h"
#include "base/text.h"
#include "session/places.h"

namespace whimbrel {

bool tables_go(Session& session) {
  const FinishPlan& plan = session.migration().finish;
  const bool drops = !plan.keep_source && plan.rename_source_to.empty();
  return (drops && !session.migration().only_copies) ||
         session.journal().phase() == Phase::finished;
}

Status may_go_without_archive(Session& session, const FinishWanted& wanted) {
  if (!wanted.no_backup || !tables_go(session)) return {};
  const State state = session.journal().state();
  if (state.phase == Phase::watching && state.left_behind > 0 && !session.settings().force) {
    return Error{
        ErrorCode::refused,
        fmt::format(
            "{} set aside, and the old tables, which would go without a backup, may be all "
            "that has {}",
            state.left_behind == 1 ? "1 row was" : with_thousands(state.left_behind) + " rows were",
            state.left_behind == 1 ? "it" : "them"),
        "rejected.jsonl in the state folder names them: leave out `--no-backup`; `--force` gives "
        "them up",
        "nothing was changed; the way back is open"};
  }
  if (!session.plan().production) return {};
  return Error{ErrorCode::refused,
               "under `protect: production` no table goes without a verified archive",
               "leave out `--no-backup`, or say where the archive goes: `--backup file:FOLDER`",
               "nothing was changed",
               {},
               ""};
}

Status archive_has_a_place(Session& session, const FinishWanted& wanted) {
  const Phase phase = session.journal().phase();
  const BackupPlan& planned = session.migration().finish.backup;
  if (wanted.no_backup || phase == Phase::finished) return {};
  if (wanted.archive.empty() && (planned.place.empty() || !planned.native.empty())) return {};
  ASSIGN_OR_RETURN(const std::string state_folder, session.state_folder(false));
  const std::string place =
      wanted.archive.empty() ? place_for(state_folder, planned.place) : wanted.archive;
  Status written;
  Result<std::unique_ptr<Depot>> depot = open_depot(place);
  if (depot.ok()) {
    written = depot.value()->prove_writable();
  } else {
    written = std::move(depot).error();
  }
  if (written.ok()) return {};
  return Error{
      ErrorCode::refused,
      fmt::format("the archive cannot be written to {}: {}", place, written.error().message),
      written.error().hint.empty() ? "name a place that can be made and written to"
                                   : written.error().hint,
      phase == Phase::watching ? "nothing was changed; the way back is open"
                               : "no table was removed",
      {},
      ""};
}

namespace {

std::string place_begun(const Effect& archive) {
  const nlohmann::json body = nlohmann::json::parse(archive.undo, nullptr, false);
  const auto folder = body.is_object() ? body.find("folder") : body.end();
  return body.is_object() && folder != body.end() && folder->is_string()
             ? folder->get<std::string>()
             : "";
}

// `begun`: where an earlier `finish` that was interrupted has put it, or begun to; "" for none.
Result<std::string> place_of_archive(Session& session, const FinishWanted& wanted,
                                     const std::string& state_folder, const std::string& begun) {
  const std::string now = to_compact(session.clock().now());
  if (!wanted.archive.empty()) {
    return is_folder(wanted.archive) ? std::filesystem::absolute(wanted.archive).string()
                                     : wanted.archive;
  }
  if (!begun.empty()) return place_for(state_folder, begun);
  if (const std::string& planned = session.migration().finish.backup.place; !planned.empty()) {
    const std::string place = place_for(state_folder, planned);
    // A place that others use as well has a folder for each migration that ends.
    if (session.below_state(place) == place) {
      return place_below(place, fmt::format("{}-{}-archive", session.plan().migration, now));
    }
    ASSIGN_OR_RETURN(const bool taken, has_backup(place));
    return taken ? place + "-" + now : place;
  }
  // One that was begun in this very second, and cut off, is left alone.
  const std::string name = state_folder + "/archive-" + now;
  std::error_code ignored;
  std::string folder = name;
  for (int number = 2; std::filesystem::exists(folder, ignored); ++number) {
    folder = name + "-" + std::to_string(number);
  }
  return folder;
}

}  // namespace

namespace {

bool archives(Session& session, const FinishWanted& wanted) {
  const bool is_asked_for =
      !wanted.archive.empty() || session.migration().finish.backup.is_wanted();
  return !wanted.no_backup && (is_asked_for || tables_go(session));
}

}  // namespace

std::vector<std::string> steps_of_finish(Session& session, const FinishWanted& wanted) {
  const FinishPlan& plan = session.migration().finish;
  std::vector<std::string> steps;
  std::string place = !wanted.archive.empty() ? wanted.archive : plan.backup.place;
  if (place.empty()) place = "the state folder";
  if (wanted.archive.empty() && !plan.backup.native.empty()) {
    place = "the store's own backups, or where it has none in " + place;
  }
  const auto archive = [&](const std::string& tables) {
    return "archive " + tables + " in " + place + ", and read the archive back";
  };
  if (session.journal().phase() == Phase::finished) {
    if (!plan.drop_after || plan.rename_source_to.empty()) return steps;
    if (archives(session, wanted)) {
      steps.push_back(archive(plan.rename_source_to));
    }
    steps.push_back("drop " + plan.rename_source_to);
    return steps;
  }
  std::vector<std::string> tables;
  for (const Move& move : session.migration().moves) {
    if (std::ranges::count(tables, move.from) == 0) tables.push_back(move.from);
  }
  // A new table with other types has the old one's name by now.
  const bool are_renamed = session.migration().retypes;
  const std::string all = (are_renamed ? "what was the table " : "") + join(tables, ", ");
  if (!session.migration().only_copies) {
    steps.emplace_back("carry over what waits, and stop following: the way back ends here");
  }
  if (archives(session, wanted) && !tables.empty()) {
    steps.push_back(archive(all));
  }
  if (!plan.rename_source_to.empty()) {
    steps.push_back(fmt::format("rename {} to {}", all, plan.rename_source_to));
  } else if (tables_go(session)) {
    steps.push_back("drop " + all);
  } else {
    steps.push_back("leave " + all + " as it stands");
  }
  if (plan.view) steps.emplace_back("put a view with the old name over the new table");
  steps.emplace_back("remove what whimbrel made in the databases");
  return steps;
}

Status archive_first(Session& session, const FinishWanted& wanted) {
  const FinishPlan& plan = session.migration().finish;
  const State state = session.journal().state();
  const bool drops_archive = state.phase == Phase::finished;
  if (!archives(session, wanted)) return {};
  const Effect* known = state.effect("archive");
  if (known != nullptr && known->confirmed && known->at >= state.phase_since) return {};
  ASSIGN_OR_RETURN(const std::string state_folder, session.state_folder(false));
  if (wanted.archive.empty() && !plan.backup.native.empty() && !drops_archive) {
    nlohmann::json kept = nlohmann::json::object();
    ASSIGN_OR_RETURN(const bool all, session.keep_native_archive(kept));
    if (all) {
      TRY(session.journal().append(EffectIntended{"archive", "{}"}));
      return session.journal().append(
          EffectConfirmed{"archive", nlohmann::json({{"native", kept}}).dump()});
    }
  }
  const std::string begun = known == nullptr || known->confirmed ? "" : place_begun(*known);
  ASSIGN_OR_RETURN(const std::string folder,
                   place_of_archive(session, wanted, state_folder, begun));
  const bool goes_on = !begun.empty() && place_for(state_folder, begun) == folder;
  const std::string intended = nlohmann::json({{"folder", session.below_state(folder)}}).dump();
  if (!goes_on) TRY(session.journal().append(EffectIntended{"archive", intended}));
  bool any = false;
  for (const auto& [alias, store] : session.migration().stores) {
    std::vector<std::string> tables = drops_archive
                                          ? std::vector<std::string>{plan.rename_source_to}
                                          : source_tables(session.migration(), *store);
    std::erase_if(tables,
                  [&](const std::string& name) { return !store->catalog().describe(name).ok(); });
    if (tables.empty()) continue;
    const bool alone = session.migration().stores.size() == 1;
    const std::string place = alone ? folder : place_below(folder, alias);
    bool taken = false;
    if (goes_on) {
      ASSIGN_OR_RETURN(taken, has_backup(place));
    }
    if (!taken) TRY(take_backup(*store, tables, place, session.events()));
    TRY(verify_backup(place, *store));
    session.events().emit({"archive_read_back", {{"place", place}}});
    any = true;
  }
  if (!any) return session.journal().append(EffectUndone{"archive"});
  return session.journal().append(EffectConfirmed{"archive", intended});
}

}  // namespace whimbrel
