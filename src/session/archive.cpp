#include "session/archive.h"

#include <fmt/format.h>

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
  if (!wanted.no_backup || !session.plan().production || !tables_go(session)) return {};
  return Error{ErrorCode::refused,
               "under `protect: production` no table goes without a verified archive",
               "leave out `--no-backup`, or say where the archive goes: `--backup file:FOLDER`",
               "nothing was changed",
               {},
               ""};
}

Status archive_has_a_place(Session& session, const FinishWanted& wanted) {
  const Phase phase = session.journal().phase();
  if (wanted.no_backup || wanted.archive.empty() || phase == Phase::finished) return {};
  ASSIGN_OR_RETURN(const std::unique_ptr<Depot> depot, open_depot(wanted.archive));
  const Status written = depot->prove_writable();
  if (written.ok()) return {};
  return Error{ErrorCode::refused,
               fmt::format("the archive cannot be written to {}: {}", wanted.archive,
                           written.error().message),
               written.error().hint.empty() ? "name a place that can be made and written to"
                                            : written.error().hint,
               phase == Phase::watching ? "nothing was changed; the way back is open"
                                        : "no table was removed",
               {},
               ""};
}

Status archive_first(Session& session, const FinishWanted& wanted) {
  const FinishPlan& plan = session.migration().finish;
  const State state = session.journal().state();
  const bool drops_archive = state.phase == Phase::finished;
  const bool is_asked_for = !wanted.archive.empty() || plan.backup.is_wanted();
  if (wanted.no_backup || (!is_asked_for && !tables_go(session))) return {};
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
  std::string folder;
  if (!wanted.archive.empty()) {
    folder = is_folder(wanted.archive) ? std::filesystem::absolute(wanted.archive).string()
                                       : wanted.archive;
  } else if (!plan.backup.place.empty()) {
    // A place that others use as well has a folder for each migration that ends.
    folder = place_for(state_folder, plan.backup.place);
    const bool ours = session.below_state(folder) != folder;
    const std::string now = to_compact(session.clock().now());
    if (!ours) {
      folder = place_below(folder, fmt::format("{}-{}-archive", session.plan().migration, now));
    } else if (has_backup(folder)) {
      folder += "-" + now;
    }
  } else {
    // One that was begun in this very second, and cut off, is left alone.
    const std::string name = state_folder + "/archive-" + to_compact(session.clock().now());
    std::error_code ignored;
    folder = name;
    for (int number = 2; std::filesystem::exists(folder, ignored); ++number) {
      folder = name + "-" + std::to_string(number);
    }
  }
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
    const auto taken = take_backup(*store, tables, place, session.events());
    if (!taken.ok()) return taken.error();
    TRY(verify_backup(place, *store));
    any = true;
  }
  if (!any) return {};
  TRY(session.journal().append(EffectIntended{"archive", "{}"}));
  return session.journal().append(
      EffectConfirmed{"archive", nlohmann::json({{"folder", session.below_state(folder)}}).dump()});
}

}  // namespace whimbrel
