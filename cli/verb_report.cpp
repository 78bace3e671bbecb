#include <filesystem>

#include "base/text.h"
#include "verbs.h"

namespace whimbrel::cli {

namespace {

// Every migration below this folder, by its journal.
int list_migrations(const Options& options) {
  Context context(options);
  std::error_code failure;
  bool any = false;
  for (auto it = std::filesystem::recursive_directory_iterator(
           ".", std::filesystem::directory_options::skip_permission_denied, failure);
       !failure && it != std::filesystem::recursive_directory_iterator(); it.increment(failure)) {
    if (it.depth() > 6) it.disable_recursion_pending();
    if (it->path().filename() != "journal.db") continue;
    const Result<std::unique_ptr<Journal>> journal =
        Journal::open(it->path().string(), context.clock());
    if (!journal.ok()) continue;
    any = true;
    const State state = journal.value()->state();
    context.say(state.migration + ": " + (state.started ? name_of(state.phase) : "not started") +
                "  (" + it->path().parent_path().string() + ")\n");
  }
  return context.finish(
      done, "done",
      any ? "these migrations have a state folder here" : "no migration below this folder");
}

}  // namespace

int status(const Options& options) {
  if (options.plan.empty() && options.state.empty()) return list_migrations(options);
  while (true) {
    Context context(options);
    if (const Status journal = context.open_journal(false); !journal.ok())
      return context.fail(journal.error());
    const TimePoint now = context.clock().now();
    if (options.json) {
      std::printf("%s\n", status_document(context.journal(), now)
                              .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                              .c_str());
    }
    if (options.watch && !options.json) context.say("\x1b[H\x1b[2J");
    context.say(status_text(context.journal(), now));
    const State state = context.journal().state();
    if (!options.watch || stop_flag().requested()) {
      return context.finish(done, state.started ? name_of(state.phase) : "not started",
                            "from the journal");
    }
    context.clock().sleep_for(Milliseconds(1000));
  }
}

int report(const Options& options) {
  Context context(options);
  if (const Status journal = context.open_journal(false); !journal.ok())
    return context.fail(journal.error());
  const Result<nlohmann::json> document = report_document(context.journal(), context.clock().now());
  if (!document.ok()) return context.fail(document.error());
  if (const Status written = write_documents(context); !written.ok())
    return context.fail(written.error());
  if (options.json) {
    std::printf(
        "%s\n",
        document.value().dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  }
  context.say(report_text(document.value()));
  return context.finish(done, "reported",
                        "also in the state folder as migration-report-latest.json");
}

int schema() {
  std::printf("%s", plan_schema().c_str());
  return done;
}

}  // namespace whimbrel::cli
