#include "session/archive.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "backup/backup.h"
#include "base/text.h"

namespace whimbrel {

Status archive_has_a_place(Session& session, const FinishWanted& wanted) {
  const Phase phase = session.journal().phase();
  if (wanted.no_backup || wanted.archive.empty() || phase == Phase::finished) return {};
  const std::filesystem::path folder = std::filesystem::absolute(wanted.archive);
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  const std::filesystem::path probe = folder / ".whimbrel-probe";
  const bool written = !failure && std::ofstream(probe).put('1').flush().good();
  std::filesystem::remove(probe, failure);
  if (written) return {};
  return Error{ErrorCode::refused,
               "the archive cannot be written to " + folder.string(),
               "name a folder that can be made and written to",
               phase == Phase::watching ? "nothing was changed; the way back is open"
                                        : "no table was removed",
               {},
               ""};
}

Status archive_first(Session& session, const FinishWanted& wanted) {
  const FinishPlan& plan = session.migration().finish;
  const State state = session.journal().state();
  const bool drops_tables = !plan.keep_source && plan.rename_source_to.empty();
  const bool drops_archive = state.phase == Phase::finished;
  const bool is_asked_for = !wanted.archive.empty() || plan.backup.is_wanted();
  if (wanted.no_backup || (!is_asked_for && !drops_tables && !drops_archive)) return {};
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
    folder = std::filesystem::absolute(wanted.archive).string();
  } else if (!plan.backup.folder.empty()) {
    folder = (std::filesystem::path(state_folder) / plan.backup.folder).string();
    if (verify_backup(folder).ok()) folder += "-" + to_compact(session.clock().now());
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
    const std::string place = alone ? folder : folder + "/" + alias;
    const auto taken = take_backup(*store, tables, place, session.events());
    if (!taken.ok()) return taken.error();
    TRY(verify_backup(place));
    any = true;
  }
  if (!any) return {};
  TRY(session.journal().append(EffectIntended{"archive", "{}"}));
  return session.journal().append(
      EffectConfirmed{"archive", nlohmann::json({{"folder", session.below_state(folder)}}).dump()});
}

}  // namespace whimbrel
