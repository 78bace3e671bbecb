// `measure` puts the plan's queries to a side and notes what it answers; `compare` judges two such
// notes by the plan's criteria.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <filesystem>

#include "base/text.h"
#include "measure/judge.h"
#include "measure/measure.h"
#include "report/json_text.h"
#include "verbs.h"

namespace whimbrel::cli {

namespace {

using nlohmann::json;

constexpr int connections_max = 1024;
constexpr double rate_max = 1e6;
constexpr double rate_min = 1e-3;
constexpr Milliseconds duration_max{std::int64_t{7} * 24 * 3600 * 1000};

Error usage_error(std::string message, std::string hint) {
  return Error{ErrorCode::invalid_plan, std::move(message), std::move(hint), "nothing was changed"};
}

std::optional<double> positive(std::string_view text) {
  double number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = failure == std::errc() && end == text.data() + text.size();
  return whole && std::isfinite(number) && number > 0 ? std::optional(number) : std::nullopt;
}

// "10" and "0.5" are seconds; "500ms" and "2m" say their unit.
Result<Milliseconds> duration_from(const std::string& text) {
  std::optional<Milliseconds> duration = parse_duration(text);
  if (const auto seconds = positive(text); seconds && *seconds <= 1e6) {
    duration = Milliseconds(static_cast<std::int64_t>(std::ceil(*seconds * 1000)));
  }
  if (duration && duration->count() > 0 && *duration <= duration_max) return *duration;
  return usage_error("`--duration` must be seconds, or a duration, up to a week",
                     "like 10, 500ms, 2m");
}

// "10x" or "10".
Result<double> times_from(std::string text) {
  if (text.empty()) return 1.0;
  if (text.ends_with('x')) text.pop_back();
  if (const auto times = positive(text); times && *times <= 1e6) return *times;
  return usage_error("`--load` says how many times the present traffic", "like 10x");
}

Result<json> read_document(const std::string& path) {
  const Result<std::string> text = read_file(path);
  if (!text.ok()) {
    return usage_error(text.error().message, "`whimbrel measure PLAN --output FILE` writes one");
  }
  json document = json::parse(text.value(), nullptr, false);
  if (document.is_discarded()) return usage_error(path + " is no JSON", "");
  return document;
}

// The present traffic: what is said here, else what the baseline was measured with.
Status set_present(const Options& options, LoadSettings& settings) {
  if (!options.rate.empty()) {
    settings.rate_per_s = positive(options.rate);
    if (!settings.rate_per_s) {
      return usage_error("`--rate` must be queries a second", "like 50 or 0.5");
    }
  }
  if (options.baseline.empty()) return {};
  ASSIGN_OR_RETURN(const json baseline, read_document(options.baseline));
  const json load = baseline.is_object() ? baseline.value("load", json()) : json();
  if (!load.is_object() || !load.contains("connections") ||
      !load["connections"].is_number_integer()) {
    return usage_error(options.baseline + " is no measurement",
                       "`whimbrel measure PLAN --output FILE` writes one");
  }
  const auto connections = load["connections"].get<std::int64_t>();
  if (connections > 0 && connections <= connections_max && !options.concurrency_given) {
    settings.connections = static_cast<int>(connections);
  }
  const json rate = load.value("rate_per_s", json());
  if (options.rate.empty() && rate.is_number() && rate.get<double>() > 0) {
    settings.rate_per_s = rate.get<double>();
  }
  return {};
}

// A rate is multiplied; in a closed loop there are as many more who ask.
Status multiply(double times, LoadSettings& settings) {
  if (settings.rate_per_s) {
    *settings.rate_per_s *= times;
    if (*settings.rate_per_s >= rate_min && *settings.rate_per_s <= rate_max) return {};
    return usage_error(
        fmt::format("{} queries a second are not a rate to measure with", *settings.rate_per_s),
        fmt::format("from {} to {:.0f}", rate_min, rate_max));
  }
  const double connections = std::ceil(settings.connections * times);
  if (connections > connections_max) {
    return usage_error(
        fmt::format("{:.0f} connections are more than {}", connections, connections_max),
        "say the present traffic as queries a second: `--rate 50 --load 10x`");
  }
  settings.connections = std::max(1, static_cast<int>(connections));
  return {};
}

Result<std::vector<Side>> sides_from(const std::string& text,
                                     const std::optional<JournalFacts>& journal) {
  if (text == "old") return std::vector{Side::old_side};
  if (text == "new") return std::vector{Side::new_side};
  if (text == "both") return std::vector{Side::old_side, Side::new_side};
  if (const std::optional<Side> side = serving_side(journal)) return std::vector{*side};
  return Error{
      ErrorCode::refused,
      fmt::format("while the migration is {}, nobody can say which side serves", journal->phase),
      "say `--side old`, `--side new` or `--side both`", "nothing was changed"};
}

// After `finish` the old tables are gone, and their queries with them.
Status load_plan(Context& context) {
  ASSIGN_OR_RETURN(const bool begun, context.has_journal());
  if (begun) TRY(context.open_journal(false));
  const bool finished =
      begun && context.journal().state().started && context.journal().phase() == Phase::finished;
  return finished ? context.load_finished() : context.load();
}

Result<std::optional<JournalFacts>> journal_facts(Context& context) {
  ASSIGN_OR_RETURN(const bool begun, context.has_journal());
  if (!begun) return std::optional<JournalFacts>{};
  ASSIGN_OR_RETURN(const std::vector<Stamped> records, context.journal().records());
  return facts_of(records, context.clock().now());
}

Result<LoadSettings> settings_from(const Options& options, double times) {
  LoadSettings settings;
  ASSIGN_OR_RETURN(settings.duration, duration_from(options.duration));
  settings.connections = options.concurrency;
  settings.seed = static_cast<std::uint64_t>(options.seed);
  settings.writes = options.writes;
  TRY(set_present(options, settings));
  TRY(multiply(times, settings));
  return settings;
}

Result<json> measure_with(Context& context, const Options& options) {
  ASSIGN_OR_RETURN(const double times, times_from(options.load));
  ASSIGN_OR_RETURN(const LoadSettings settings, settings_from(options, times));
  TRY(load_plan(context));
  ASSIGN_OR_RETURN(std::optional<JournalFacts> journal, journal_facts(context));
  ASSIGN_OR_RETURN(const std::vector<Side> sides, sides_from(options.side, journal));
  // Before the time of the measurement is spent.
  if (!options.output.empty()) TRY(can_write_file(options.output));
  if (options.dry_run) return json();
  if (settings.writes) TRY(context.confirm("measure --writes"));
  return whimbrel::measure({context.migration(), context.plan().measures, std::move(journal),
                            context.clock(), context.progress(), stop_flag()},
                           sides, settings, times);
}

// Into the state folder, and where it was asked for.
Result<std::string> keep_measurement(Context& context, const json& document) {
  const std::string text = document_text(document);
  ASSIGN_OR_RETURN(const std::string folder, context.state_folder(true));
  ASSIGN_OR_RETURN(const std::string stamped,
                   write_stamped(folder, "measurement", "json", text, context.clock().now()));
  if (context.options().output.empty()) return stamped;
  TRY(write_file(context.options().output, text));
  return context.options().output;
}

// The state folder if it is known, or lies beside the second file; else that file's own folder.
std::string comparison_folder(Context& context, const std::string& migration) {
  const Options& options = context.options();
  if (!options.state.empty() || !options.plan.empty()) {
    const Result<std::string> known = context.state_folder(false);
    if (known.ok()) return known.value();
  }
  std::filesystem::path folder = std::filesystem::path(options.right).parent_path();
  if (folder.empty()) folder = ".";
  const std::filesystem::path state = folder / ".whimbrel" / migration;
  std::error_code ignored;
  // The name comes from a file, and must not lead anywhere else.
  const bool is_name = std::filesystem::path(migration).filename() == migration;
  return is_name && std::filesystem::is_directory(state, ignored) ? state.string()
                                                                  : folder.string();
}

}  // namespace

int measure(const Options& options) {
  Context context(options);
  const Result<json> measured = measure_with(context, options);
  if (!measured.ok()) return context.fail(measured.error());
  if (options.dry_run) return context.finish(done, "dry run", "no query was put");
  const Result<std::string> file = keep_measurement(context, measured.value());
  if (!file.ok()) return context.fail(file.error());
  if (options.json) {
    std::printf("%s\n",
                measured.value().dump(-1, ' ', false, json::error_handler_t::replace).c_str());
  }
  context.say(measurement_text(measured.value()));
  context.next({{fmt::format("whimbrel compare BEFORE {}", file.value()),
                 "judge it by the plan's criteria"}});
  if (answers_differ(measured.value())) {
    context.warn(
        "the two sides do not give the same answers",
        "where the plan converts what a query returns, let the query return it as the old side "
        "does; what is not yet carried over differs until `whimbrel run PLAN` carries it; "
        "`criteria: {same_answers: 100%}` makes `compare` judge it");
  }
  return context.finish(done, "measured", file.value());
}

int compare(const Options& options) {
  Context context(options);
  const Result<json> before = read_document(options.left);
  if (!before.ok()) return context.fail(before.error());
  const Result<json> after = read_document(options.right);
  if (!after.ok()) return context.fail(after.error());
  const Result<json> judged = judge(before.value(), after.value(), context.clock().now());
  if (!judged.ok()) return context.fail(judged.error());
  const json& comparison = judged.value();
  if (!options.dry_run) {
    const Result<std::string> written =
        write_stamped(comparison_folder(context, comparison["migration"].get<std::string>()),
                      "comparison", "json", document_text(comparison), context.clock().now());
    if (!written.ok()) {
      context.warn("the comparison could not be written: " + written.error().message,
                   "it is told here all the same");
    }
  }
  if (options.json) {
    std::printf("%s\n", comparison.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
  }
  context.say(comparison_text(comparison));
  const auto missed = comparison["not_met"].get<std::int64_t>();
  return context.finish(
      missed > 0 ? failed : done, comparison["result"].get<std::string>(),
      fmt::format("{} met, {} not met, {} not measured", comparison["met"].get<std::int64_t>(),
                  missed, comparison["not_measured"].get<std::int64_t>()));
}

}  // namespace whimbrel::cli
