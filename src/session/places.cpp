#include "session/places.h"

#include <fmt/format.h>

#include <filesystem>

#include "backup/depot.h"
#include "cutover/switch.h"

namespace whimbrel {

namespace {

// Folders are made when they are needed.
Status bucket_is_there(const std::string& place) {
  if (place.empty() || is_folder(place)) return {};
  ASSIGN_OR_RETURN(const std::unique_ptr<Depot> depot, open_depot(place));
  return depot->make();
}

}  // namespace

std::string place_for(const std::string& state_folder, const std::string& place) {
  if (!is_folder(place)) return place;
  return (std::filesystem::path(state_folder) / place).string();
}

Status places_are_there(Session& session) {
  const std::string& archive = session.migration().finish.backup.place;
  if (const Status there = bucket_is_there(archive); !there.ok()) {
    session.host().warn("`finish` will not be able to archive: " + there.error().message,
                        there.error().hint);
  }
  Status there = bucket_is_there(session.migration().backup.place);
  if (there.ok()) return there;
  return std::move(there)
      .error()
      .within("looking at where the backup is to go")
      .saying_safe("nothing was changed");
}

void look_at_switches(Session& session) {
  if (session.may_have_switched()) return;
  const Migration& migration = session.migration();
  const auto look = [&](const SwitchPlan& plan, const char* what) {
    const Result<std::string> found = make_switch(plan, session.clock())->found();
    if (found.ok()) return;
    std::string why = found.error().message;
    for (const std::string& context : found.error().context) why += ", " + context;
    session.host().warn(
        fmt::format("the {} `{}` could not be flipped now: {}", what, plan.name, why),
        found.error().hint.empty() ? "it has to be there at the switch" : found.error().hint);
  };
  for (const SwitchPlan& one : migration.switches) look(one, "switch");
  for (const SwitchPlan& one : migration.holds) look(one, "hold");
}

}  // namespace whimbrel
