#include "session/look.h"
#include "verbs.h"

namespace whimbrel::cli {

int analyze(const Options& options) {
  Context context(options);
  const Result<Analyzed> analyzed = analyze_migration(context.session());
  if (!analyzed.ok()) return context.fail(analyzed.error());
  const Analysis& analysis = analyzed.value().analysis;
  context.say(analysis.text);
  if (options.json) {
    std::printf(
        "%s\n",
        analysis.document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  }
  return context.finish(analysis.refused ? refused : done,
                        analysis.refused ? "refused" : "analyzed", analyzed.value().file);
}

int check(const Options& options) {
  Context context(options);
  const Result<Analysis> analysis = check_migration(context.session());
  if (!analysis.ok()) return context.fail(analysis.error());
  context.say(analysis.value().text);
  const bool refused_all = analysis.value().refused;
  return context.finish(refused_all ? refused : done, refused_all ? "refused" : "checked",
                        refused_all ? "`run` would refuse"
                                    : "plan, schemas and settings fit; `analyze` reads the rows");
}

}  // namespace whimbrel::cli
