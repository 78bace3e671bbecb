#include "session/dangling.h"

namespace whimbrel {

namespace {

std::set<Dangling> dangling(Session& session, bool source) {
  std::set<Dangling> all;
  for (const Move& move : session.migration().moves) {
    Catalog& catalog = (source ? move.source : move.target)->catalog();
    const auto found =
        catalog.dangling(source ? move.mapping.source.name : move.mapping.target.name);
    if (found.ok()) all.insert(found.value().begin(), found.value().end());
  }
  return all;
}

}  // namespace

std::set<Dangling> dangling_in_targets(Session& session) { return dangling(session, false); }
std::set<Dangling> dangling_in_sources(Session& session) { return dangling(session, true); }

void tell_new_dangling(Session& session, const std::set<Dangling>& before,
                       const std::string& hint) {
  for (const Dangling& one : dangling_in_targets(session)) {
    if (!before.contains(one)) session.host().warn(one.told(), hint);
  }
}

}  // namespace whimbrel
