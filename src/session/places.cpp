#include "session/places.h"

#include <filesystem>

#include "backup/depot.h"

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

}  // namespace whimbrel
