#include "measure/measure.h"
#include "report/analysis.h"
#include "verbs.h"

namespace whimbrel::cli {

int analyze(const Options& options) {
  Context context(options);
  if (const Status loaded = context.load(); !loaded.ok()) return context.fail(loaded.error());
  const Result<std::string> folder = context.state_folder(true);
  if (!folder.ok()) return context.fail(folder.error());
  const Result<Analysis> analysis =
      whimbrel::analyze(context.migration(), context.standing(), context.clock(),
                        context.progress(), stop_flag(), context.options().redact);
  if (!analysis.ok()) return context.fail(analysis.error());
  const Result<std::string> file = write_stamped(
      folder.value(), "analysis", "json",
      analysis.value().document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
          "\n",
      context.clock().now());
  if (!file.ok()) return context.fail(file.error());
  context.say(analysis.value().text);
  if (options.json) {
    std::printf("%s\n", analysis.value()
                            .document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                            .c_str());
  }
  const bool refused_all = analysis.value().refused;
  return context.finish(refused_all ? refused : done, refused_all ? "refused" : "analyzed",
                        file.value());
}

int check(const Options& options) {
  Context context(options);
  if (const Status loaded = context.load(); !loaded.ok()) return context.fail(loaded.error());
  const Result<Analysis> analysis =
      whimbrel::check(context.migration(), context.standing(), context.clock());
  if (!analysis.ok()) return context.fail(analysis.error());
  context.say(analysis.value().text);
  for (const Error& wrong : wrong_queries(context.migration(), context.plan().measures)) {
    const std::string where = wrong.context.empty() ? "" : ", " + wrong.context.back();
    context.warn("the plan's queries cannot be measured: " + wrong.message + where, wrong.hint);
  }
  const bool refused_all = analysis.value().refused;
  return context.finish(refused_all ? refused : done, refused_all ? "refused" : "checked",
                        refused_all ? "`run` would refuse"
                                    : "plan, schemas and settings fit; `analyze` reads the rows");
}

}  // namespace whimbrel::cli
