// argv → one verb → an exit code.
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <span>

#include "context.h"
#include "session/guard.h"
#include "surface.h"
#include "usage.h"
#include "verbs.h"
#include "whimbrel/runner.h"

namespace whimbrel::cli {
namespace {

const std::string& version_text() {
  static const std::string text = std::string("whimbrel ") + version();
  return text;
}

void on_signal(int) {
  stop_flag().request();
  if (stop_flag().times() > 1) _exit(interrupted);  // a second one does not wait for the chunk
}

void add_common(CLI::App& verb, Options& options) {
  verb.add_option("--state", options.state,
                  "the state folder itself (default: .whimbrel/<migration> beside the plan)");
  verb.add_option("--var", options.vars, "NAME=VALUE for ${NAME} in the plan; may be said again");
  verb.add_flag("--json", options.json, "one JSON object a line; the last one is the result");
  verb.add_flag("--yes", options.yes, "do not ask for confirmation");
  verb.add_flag("--dry-run", options.dry_run, "say what would happen and change nothing");
  verb.add_option("--batch-size", options.batch_size, "rows a chunk, at most")
      ->check(CLI::Range(1, 1'000'000'000));
  verb.add_option("--database-url", options.database_url, "instead of the plan's only store");
  verb.add_option("--log-file", options.log_file,
                  "where to log (default: migration.log in the state folder)");
  verb.add_option("--log-level", options.log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  verb.add_flag("--force", options.force,
                "where the plan allows it; never under `protect: production`");
  verb.add_flag("--redact", options.redact, "no values and keys in what is printed and written");
  verb.add_flag("--quiet", options.quiet,
                "only what has gone wrong and why; the exit code says the rest");
  verb.add_flag("--no-color", options.no_color, "plain text");
}

// What looks at both sides, and what tells about the command line itself.
template <class AddVerb, class WithPlan>
void add_measuring_verbs(CLI::App& app, const AddVerb& verb, const WithPlan& with_plan,
                         Options& options) {
  CLI::App* measure_verb = with_plan(
      verb("measure", "latency, errors and storage of the plan's queries",
           "  whimbrel measure migration.yaml --duration 30 --concurrency 8 --output before.json\n"
           "  whimbrel measure migration.yaml --side both --rate 50 --load 10x",
           [&options] { return measure(options); }));
  measure_verb->add_option("--duration", options.duration, "seconds for each side (10)");
  CLI::Option* concurrency =
      measure_verb->add_option("--concurrency", options.concurrency, "connections at once (1)")
          ->check(CLI::Range(1, 1024));
  measure_verb->parse_complete_callback(
      [&options, concurrency] { options.concurrency_given = concurrency->count() > 0; });
  measure_verb->add_option("--output", options.output, "where to write it, for `compare`");
  measure_verb->add_option("--side", options.side, "which side is asked (the one that serves)")
      ->check(CLI::IsMember({"old", "new", "both"}));
  measure_verb->add_option("--rate", options.rate,
                           "queries a second, by the clock; without it each connection asks "
                           "again at once");
  measure_verb->add_option("--load", options.load,
                           "10x: ten times the rate, or the connections where there is no rate");
  measure_verb->add_option("--baseline", options.baseline,
                           "a measurement that says what the present traffic is");
  measure_verb->add_option("--seed", options.seed, "chooses among the values of parameters (1)");
  measure_verb->add_flag("--writes", options.writes,
                         "also write ten times a second, and take it back");
  CLI::App* compare_verb =
      verb("compare", "judges two measurements by the plan's criteria",
           "  whimbrel compare before.json after.json\n"
           "  whimbrel compare both-sides.json both-sides.json --plan migration.yaml",
           [&options] { return compare(options); });
  compare_verb->add_option("before", options.left, "a measurement")->required();
  compare_verb->add_option("after", options.right, "a later one")->required();
  compare_verb->add_option("--plan", options.plan,
                           "the plan file, to keep the comparison in its state folder");
  CLI::App* diagnose_verb =
      verb("diagnose", "the health of both sides", "  whimbrel diagnose summary migration.yaml",
           [&options] { return diagnose(options); });
  diagnose_verb->add_option("what", options.what, "summary")
      ->required()
      ->check(CLI::IsMember({"summary"}));
  with_plan(diagnose_verb);
  diagnose_verb
      ->add_option("--sample", options.sample, "rows of each table that are compared (1000)")
      ->check(CLI::Range(1, 1'000'000'000));
  verb("completion", "prints the completion of a shell",
       "  source <(whimbrel completion bash)\n"
       "  whimbrel completion zsh > ~/.zsh/completions/_whimbrel\n"
       "  whimbrel completion fish > ~/.config/fish/completions/whimbrel.fish",
       [&options, &app] { return completion(options, app); })
      ->add_option("shell", options.shell, "the shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  verb("man", "prints the manual page", "  whimbrel man > whimbrel.1", [&app] {
    return man(app, version());
  })->group("");
}

// A reader that has gone away, as `head` does, has all that it wanted.
bool printed_all() {
  const bool is_whole = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  struct stat about{};
  const bool is_a_pipe =
      fstat(STDOUT_FILENO, &about) != 0 || S_ISFIFO(about.st_mode) || S_ISSOCK(about.st_mode);
  if (is_whole || is_a_pipe) return true;
  std::fputs(
      "error: not all of this could be written to where it was to be printed\n"
      "hint: look for room there, then say it again\n",
      stderr);
  return false;
}

bool only_prints(const std::string& verb) {
  constexpr std::array verbs = {"init", "check",  "analyze", "status", "report",
                                "diff", "schema", "reverse", "man",    "completion"};
  return std::ranges::count(verbs, verb) > 0;
}

int dispatch(int argc, char** argv) {
  Options options;
  CLI::App app("Moves live data, and can go back at every moment.", "whimbrel");
  app.footer(
      "Examples:\n  whimbrel analyze migration.yaml\n  whimbrel run migration.yaml --until verify\n"
      "  whimbrel rollback migration.yaml\n`whimbrel VERB --help` says more.");
  app.require_subcommand(1);
  app.set_version_flag("--version", version_text());
  int code = done;
  const auto verb = [&](const char* name, const char* help, const char* examples,
                        std::function<int()> act) {
    CLI::App* sub = app.add_subcommand(name, help);
    sub->footer(std::string("Examples:\n") + examples);
    add_common(*sub, options);
    sub->callback([&code, act = std::move(act)] { code = act(); });
    return sub;
  };
  const auto with_plan = [&](CLI::App* sub) {
    sub->add_option("plan", options.plan, "the plan file")->required();
    return sub;
  };
  CLI::App* init_verb = verb("init", "writes a commented starter plan from live schemas",
                             "  whimbrel init sqlite:old.db sqlite:new.db > migration.yaml\n"
                             "  whimbrel init sqlite:app.db --output migration.yaml\n"
                             "  whimbrel init sqlite:app.db/orders sqlite:app.db/orders_v2",
                             [&] { return init(options); });
  init_verb->add_option("store", options.left, "STORE or STORE/TABLE: what there is")->required();
  init_verb->add_option("second", options.right, "STORE or STORE/TABLE: what it is to become");
  init_verb->add_option("--output", options.output,
                        "a file for the plan; new tables it names are written beside it");
  with_plan(verb("analyze", "dry run over all data: what would move, be refused, or not come back",
                 "  whimbrel analyze migration.yaml\n  whimbrel analyze migration.yaml --json",
                 [&] { return analyze(options); }));
  with_plan(verb("check", "in seconds: plan, schemas and settings",
                 "  whimbrel check migration.yaml", [&] { return check(options); }));
  CLI::App* run_verb = with_plan(
      verb("run", "carries the migration out, or goes on where it stopped",
           "  whimbrel run migration.yaml --until verify\n  whimbrel run migration.yaml --yes",
           [&] { return run(options); }));
  CLI::Option* until = run_verb->add_option("--until", options.until, "how far to go (watch)")
                           ->type_name("{backup,prepare,copy,follow,verify,watch}");
  run_verb->parse_complete_callback(
      [&options, until] { options.until_given = until->count() > 0; });
  run_verb->add_flag("--stay", options.stay, "remain and follow until `finish` or Ctrl-C");
  CLI::App* status_verb =
      verb("status", "who reads and writes where, and how far it is",
           "  whimbrel status migration.yaml\n  whimbrel status", [&] { return status(options); });
  status_verb->add_option("plan", options.plan,
                          "the plan file; without it, the migrations below this folder");
  status_verb->add_flag("--watch", options.watch, "again every second");
  for (const char* name : {"pause", "resume", "limits"}) {
    CLI::App* sub = with_plan(verb(name, "asks the runner at work",
                                   "  whimbrel limits migration.yaml batch_size=200",
                                   [&options, name] { return control(options, name); }));
    if (std::string(name) == "limits")
      sub->add_option("settings", options.settings, "batch_size=N, rows_per_s=N, rcu=N, wcu=N")
          ->required();
  }
  CLI::App* verify_verb = with_plan(
      verb("verify", "compares target with source through the mapping",
           "  whimbrel verify migration.yaml --sample 1000", [&] { return verify(options); }));
  verify_verb->add_flag("--repair", options.repair,
                        "put right what differs; the side that serves says what is right");
  verify_verb->add_option("--sample", options.sample, "about this many rows instead of all")
      ->check(CLI::Range(1, 1'000'000'000));
  CLI::App* cutover_verb =
      with_plan(verb("cutover", "the switch alone", "  whimbrel cutover migration.yaml --yes",
                     [&] { return cutover(options); }));
  cutover_verb->add_option("--only", options.only, "one switch early (a canary)");
  cutover_verb
      ->add_option("--decide", options.decide, "what a person saw: switched or not-switched")
      ->check(CLI::IsMember({"switched", "not-switched"}));
  CLI::App* rollback_verb = with_plan(
      verb("rollback", "undoes, newest first, all that the migration did",
           "  whimbrel rollback migration.yaml --yes", [&] { return rollback(options); }));
  rollback_verb->add_option("--checkpoint", options.checkpoint,
                            "a checkpoint file; its folder is the state");
  CLI::App* watch_verb = with_plan(
      verb("watch", "checks both sides after the switch: once, for cron, or again and again",
           "  whimbrel watch migration.yaml\n  whimbrel watch migration.yaml --every 1d\n"
           "  whimbrel watch migration.yaml --json | tail -1",
           [&] { return watch(options); }));
  watch_verb->add_option(
      "--every", options.every,
      "again after so long, until Ctrl-C, carrying back what is written meanwhile");
  CLI::App* finish_verb = with_plan(
      verb("finish", "gives up the way back and removes what is no longer needed",
           "  whimbrel finish migration.yaml\n  whimbrel finish migration.yaml --after 0s --yes",
           [&] { return finish(options); }));
  finish_verb->add_option("--after", options.after, "instead of the plan's `after`");
  finish_verb->add_option("--backup", options.url,
                          "file:FOLDER or s3://BUCKET/PREFIX: the old tables, before they go");
  finish_verb->add_flag("--no-backup", options.no_backup, "the archive alone is enough");
  CLI::App* backup_verb = with_plan(verb("backup", "the plan's source tables to files, verified",
                                         "  whimbrel backup migration.yaml file:backup",
                                         [&] { return backup(options); }));
  backup_verb->add_option("url", options.url, "file:FOLDER or s3://BUCKET/PREFIX")->required();
  CLI::App* restore_verb = verb(
      "restore", "a backup into a store, verified",
      "  whimbrel restore file:backup sqlite:copy.db --yes\n"
      "  whimbrel restore native:orders-20261120 dynamodb:eu-west-1 --as orders-restored --yes\n"
      "  whimbrel restore native:orders dynamodb:eu-west-1 --to-time 2026-11-20T20:15:00Z --yes",
      [&] { return restore(options); });
  restore_verb
      ->add_option(
          "url", options.url,
          "file:FOLDER or s3://BUCKET/PREFIX; native:BACKUP, one that the store keeps itself; "
          "native:TABLE with --to-time")
      ->required();
  restore_verb->add_option("store", options.store, "a store URL")->required();
  restore_verb->add_option("--to-time", options.to_time,
                           "native: as the table was then, like 2026-11-20T20:15:00Z, or latest");
  restore_verb->add_option("--as", options.as,
                           "native: the table to make; else TABLE-restored or TABLE-recovery");
  restore_verb->add_option("--table", options.table,
                           "native: of this table, where several have a backup of that name");
  CLI::App* report_verb =
      with_plan(verb("report", "the audit trail, a page for the manager, the runbook",
                     "  whimbrel report migration.yaml --html report.html\n"
                     "  whimbrel report migration.yaml --runbook > runbook.md\n"
                     "  whimbrel report migration.yaml --id 4711",
                     [&] { return report(options); }));
  report_verb->add_option("--html", options.html, "write the page to this file as well");
  report_verb->add_flag("--runbook", options.runbook,
                        "print the runbook: what to do, and what really happened");
  report_verb->add_option(
      "--id", options.id,
      "in a copy: what became of this id, or what it was before; a key of several "
      "columns as 4711,EU");
  with_plan(verb("reverse", "after `finish`: prints the plan for the way back",
                 "  whimbrel reverse migration.yaml > back.yaml",
                 [&] { return reverse(options); }));
  CLI::App* test_verb = with_plan(
      verb("test", "a few rows for real, compared and removed again",
           "  whimbrel test migration.yaml\n  whimbrel test migration.yaml orders --limit 10",
           [&] { return test(options); }));
  test_verb->add_option("table", options.table, "one table of the plan; all without it");
  test_verb->add_option("--limit", options.limit, "rows of each table (1)")
      ->check(CLI::Range(1, 1'000'000'000));
  test_verb->add_flag("--keep", options.keep, "leave them until the next `test` or `run`");
  CLI::App* diff_verb =
      verb("diff", "compares any two tables of any two stores",
           "  whimbrel diff sqlite:old.db/orders sqlite:new.db/orders\n"
           "  whimbrel diff sqlite:a.db/orders sqlite:a.db/orders%20archive --columns id,total",
           [&] { return diff(options); });
  diff_verb->add_option("left", options.left, "STORE/TABLE")->required();
  diff_verb->add_option("right", options.right, "STORE/TABLE")->required();
  diff_verb->add_option("--columns", options.columns, "only these")->delimiter(',');
  add_measuring_verbs(app, verb, with_plan, options);
  verb("schema", "prints the JSON Schema of a plan", "  whimbrel schema", [] { return schema(); });
  verb("version", "prints the version", "  whimbrel version", [] {
    std::printf("%s\n", version_text().c_str());
    return int{done};
  });
  // What was parsed before the mistake may lack this flag.
  options.json =
      options.json ||
      std::ranges::any_of(std::span(argv, static_cast<std::size_t>(argc)),
                          [](const char* word) { return std::string_view(word) == "--json"; });
  const auto fail = [&](const Error& error) { return Context(options).fail(error); };
  std::vector<std::string> verbs;
  for (const CLI::App* one : app.get_subcommands({})) verbs.push_back(one->get_name());
  if (argc > 1 && argv[1][0] != '-' && std::ranges::count(verbs, std::string(argv[1])) == 0) {
    return fail(no_such_verb(app, argv[1]));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return error.get_exit_code() == 0 ? app.exit(error) : fail(usage_error(app, error));
  }
  const bool changes_nothing =
      app.get_subcommands().empty() || only_prints(app.get_subcommands().front()->get_name());
  return printed_all() || code != done || !changes_nothing ? code : refused;
}

}  // namespace
}  // namespace whimbrel::cli

int main(int argc, char** argv) {
  struct sigaction action{};
  action.sa_handler = whimbrel::cli::on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // whoever writes is told that the file may not grow
  try {
    // A process of our own, started by a runner: no verb for people.
    if (argc == 2 && std::string_view(argv[1]) == whimbrel::guard_verb) return whimbrel::guard();
    return whimbrel::cli::dispatch(argc, argv);
  } catch (const std::exception& failure) {
    std::fprintf(stderr,
                 "error: %s\nsafe: everything journaled stays valid; `whimbrel run` goes on\n",
                 failure.what());
    return whimbrel::cli::failed;
  }
}
