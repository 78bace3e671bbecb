#include "session/look.h"

#include <nlohmann/json.hpp>

#include "measure/measure.h"
#include "report/files.h"

namespace whimbrel {

Result<Analyzed> analyze_opened(Session& session) {
  ASSIGN_OR_RETURN(const std::string folder, session.state_folder(true));
  ASSIGN_OR_RETURN(Analysis analysis,
                   analyze(session.migration(), session.standing(), session.clock(),
                           session.events(), session.stop(), session.settings().redact));
  const std::string text =
      analysis.document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  ASSIGN_OR_RETURN(std::string file,
                   write_stamped(folder, "analysis", "json", text, session.clock().now()));
  return Analyzed{std::move(analysis), std::move(file)};
}

Result<Analyzed> analyze_migration(Session& session) {
  TRY(session.load());
  return analyze_opened(session);
}

Result<Analysis> check_migration(Session& session) {
  TRY(session.load());
  ASSIGN_OR_RETURN(Analysis analysis,
                   check(session.migration(), session.standing(), session.clock()));
  for (const Error& wrong : wrong_queries(session.migration(), session.plan().measures)) {
    const std::string where = wrong.context.empty() ? "" : ", " + wrong.context.back();
    session.host().warn("the plan's queries cannot be measured: " + wrong.message + where,
                        wrong.hint);
  }
  return analysis;
}

}  // namespace whimbrel
