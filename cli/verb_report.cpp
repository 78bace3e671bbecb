#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/text.h"
#include "report/id_mappings.h"
#include "report/json_text.h"
#include "report/page.h"
#include "report/runbook.h"
#include "reporting.h"
#include "session/documents.h"
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
        Journal::open(it->path().string(), context.clock(), Journal::Reading::latest);
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

namespace {

// Of the terminal; where it is none, of whoever started it; else as on a small one.
Screen screen() {
  Screen screen;
  winsize size{};
  if (ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
    return {size.ws_col, size.ws_row};
  }
  const auto said = [](const char* name, std::size_t unsaid) {
    const char* text = std::getenv(name);  // NOLINT: before any thread starts
    const long number = text == nullptr ? 0 : std::strtol(text, nullptr, 10);
    return number > 0 ? static_cast<std::size_t>(number) : unsaid;
  };
  return {said("COLUMNS", screen.columns), said("LINES", screen.rows)};
}

}  // namespace

int status(const Options& options) {
  if (options.plan.empty() && options.state.empty()) return list_migrations(options);
  while (true) {
    Context context(options);
    if (const Status journal = context.open_journal(false, Journal::Reading::latest); !journal.ok())
      return context.fail(journal.error());
    const TimePoint now = context.clock().now();
    const std::optional<Headway> headway = context.headway();
    const State state = context.journal().state();
    if (options.json) {
      std::printf("%s\n", status_document(context.journal(), now, headway)
                              .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                              .c_str());
    } else if (options.watch) {
      context.say("\x1b[H\x1b[2J" +
                  status_block(context.journal(), now, headway,
                               next_steps(state, context.spoken(), context.beside()), screen()));
    } else {
      context.say(status_text(context.journal(), now, headway));
    }
    if (!options.watch || stop_flag().requested()) {
      return context.finish(done, state.started ? name_of(state.phase) : "not started",
                            "from the journal");
    }
    context.clock().sleep_for(Milliseconds(1000));
  }
}

namespace {

Status to_stdout(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  return {};
}

Status write_page(const std::string& path, const std::string& page) {
  if (path == "-") return to_stdout(page);
  const Status written = write_file(path, page);
  if (written.ok()) return written;
  return Error{ErrorCode::unavailable, "the page cannot be written: " + written.error().message,
               "name a file in a folder that is there and writable"};
}

// The state folder may be read-only, or somebody else's: then what was asked for is told all the
// same.
bool write_into_state_folder(Context& context, const Journal& journal, const ReportFacts& facts,
                             const std::string& runbook) {
  if (facts.wanted.folder.empty()) return false;
  Status written = write_reports(journal, facts);
  if (written.ok() && !runbook.empty()) {
    const auto file =
        write_stamped(facts.wanted.folder, "runbook", "md", runbook, facts.wanted.now);
    if (!file.ok()) written = file.error();
  }
  if (!written.ok()) {
    context.warn(
        "the report could not be written into the state folder: " + written.error().message,
        "make room, or make the folder writable");
  }
  return written.ok();
}

int tell_runbook(Context& context, const std::string& text) {
  if (context.options().json) {
    std::printf("%s\n", nlohmann::json({{"runbook", text}})
                            .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                            .c_str());
    return context.finish(done, "reported", "the runbook");
  }
  (void)to_stdout(text);
  return done;
}

}  // namespace

// One id's mapping.
int report_id(Context& context, const std::string& id, bool as_json) {
  if (const Status opened = context.open_journal(false); !opened.ok()) {
    return context.fail(opened.error());
  }
  const Result<std::string> folder = context.session().state_folder(true);
  if (!folder.ok()) return context.fail(folder.error());
  const Result<std::vector<IdMapping>> found =
      look_up_id(folder.value(), context.journal().state(), id);
  if (!found.ok()) return context.fail(found.error());
  for (const IdMapping& one : found.value()) {
    context.say(fmt::format("{}  {} → {}\n", one.table, one.from, one.to));
    if (!as_json) continue;
    std::printf("%s\n", dumped({{"table", one.table}, {"from", one.from}, {"to", one.to}}).c_str());
  }
  const bool any = !found.value().empty();
  return context.finish(any ? done : failed, any ? "reported" : "unknown",
                        any ? "the whole list is id-mappings.jsonl.zst in the state folder"
                            : "no row of this migration has the id " + printable(id));
}

int report(const Options& options) {
  Context context(options);
  if (!options.id.empty()) return report_id(context, options.id, options.json);
  Result<PlanAsWritten> plan = plan_as_written(context);
  Result<bool> begun = context.has_journal();
  if (!begun.ok()) return context.fail(begun.error());
  if (!begun.value() && !plan.ok()) return context.fail(plan.error());
  std::unique_ptr<Journal> nothing_yet;
  if (begun.value()) {
    if (const Status opened = context.open_journal(false); !opened.ok())
      return context.fail(opened.error());
  } else {
    Result<std::unique_ptr<Journal>> empty = Journal::in_memory(context.clock());
    if (!empty.ok()) return context.fail(empty.error());
    nothing_yet = std::move(empty).value();
    context.next(next_steps(State{}, options.plan));
  }
  const Journal& journal = nothing_yet ? *nothing_yet : context.journal();
  ReportWanted wanted =
      report_wanted(context.session(), plan.ok() ? plan.value().resolved : nullptr);
  wanted.runner = journal.somebody_runs();
  const Result<ReportFacts> facts = gather(journal, std::move(wanted));
  if (!facts.ok()) return context.fail(facts.error());

  std::string text;
  if (options.runbook) {
    text = runbook(facts.value(), plan.ok() ? plan.value().variables : std::vector<std::string>{});
  }
  const bool is_kept = write_into_state_folder(context, journal, facts.value(), text);
  if (!options.html.empty()) {
    const Status written = write_page(options.html, report_page(facts.value()));
    if (!written.ok()) return context.fail(written.error());
  }
  if (options.runbook) return tell_runbook(context, text);
  if (options.html == "-") return done;
  if (options.json) {
    const Status told = write_report_json(journal, facts.value(), true, to_stdout);
    if (!told.ok()) return context.fail(told.error());
  } else if (options.html.empty()) {
    const Status told = write_report_text(journal, facts.value(), to_stdout);
    if (!told.ok()) return context.fail(told.error());
  }
  return context.finish(done, "reported",
                        !options.html.empty() ? "the page is " + options.html
                        : is_kept
                            ? "also in the state folder as migration-report-latest.json and .html"
                            : "nothing was written into the state folder");
}

int schema() {
  std::printf("%s", plan_schema().c_str());
  return done;
}

}  // namespace whimbrel::cli
