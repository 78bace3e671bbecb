#include "measure/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "base/counted.h"
#include "base/text.h"
#include "measure/rounded.h"
#include "phase/phase.h"
#include "plan/measures.h"

namespace whimbrel {

namespace {

using nlohmann::json;

constexpr int answers_enough = 100;

Error unusable(const std::string& what, std::string hint) {
  return Error{ErrorCode::invalid_plan, what, std::move(hint), "nothing was changed"};
}

// Only what this file reads; the schema says all of it.
bool is_measurement(const json& document) {
  const bool has_parts = document.is_object() && document.value("format", json()) == json(1) &&
                         document.contains("migration") && document["migration"].is_string() &&
                         document.contains("sides") && document["sides"].is_array() &&
                         !document["sides"].empty() && document.contains("load") &&
                         document["load"].is_object();
  if (!has_parts) return false;
  return std::ranges::all_of(document["sides"], [](const json& side) {
    const bool whole = side.is_object() && side.contains("side") && side["side"].is_string() &&
                       side.contains("queries") && side["queries"].is_array() &&
                       side.contains("errors_per_cent") && side.contains("answered_per_s");
    return whole && std::ranges::all_of(side["queries"], [](const json& query) {
             const bool named =
                 query.is_object() && query.contains("name") && query["name"].is_string();
             return named && std::ranges::all_of(std::vector{"count", "p50_ms", "p95_ms", "p99_ms"},
                                                 [&](const char* key) {
                                                   return query.contains(key) &&
                                                          query[key].is_number();
                                                 });
           });
  });
}

const json& side_of(const json& measurement, const char* wanted) {
  for (const json& side : measurement["sides"]) {
    if (side["side"] == wanted) return side;
  }
  return measurement["sides"].front();
}

const json* query_of(const json& side, const std::string& name) {
  for (const json& query : side["queries"]) {
    if (query["name"] == name) return &query;
  }
  return nullptr;
}

// In per cent; unset where there is nothing to compare with.
std::optional<double> change(double before, double after) {
  if (before <= 0) return std::nullopt;
  return rounded((after / before - 1) * 100);
}

std::optional<double> number_at(const json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_number()) return std::nullopt;
  return object[key].get<double>();
}

json compare_queries(const json& before, const json& after) {
  json all = json::array();
  for (const json& now : after["queries"]) {
    const json* then = query_of(before, now["name"].get<std::string>());
    if (then == nullptr) continue;
    json one = {{"name", now["name"]}};
    for (const auto& [label, query] : {std::pair("before", then), std::pair("after", &now)}) {
      for (const char* key : {"count", "p50_ms", "p95_ms", "p99_ms", "max_ms", "failed"}) {
        if (query->contains(key)) one[label][key] = (*query)[key];
      }
    }
    const bool both = (*then)["count"] > 0 && now["count"] > 0;
    for (const char* which : {"p50", "p95", "p99"}) {
      const std::string key = std::string(which) + "_ms";
      const std::optional<double> changed =
          both ? change((*then)[key].get<double>(), now[key].get<double>()) : std::nullopt;
      one[std::string(which) + "_change"] = changed ? json(*changed) : json();
    }
    all.push_back(std::move(one));
  }
  return all;
}

// What was found for one criterion.
struct Found {
  std::optional<double> value;
  std::string detail;   // the query, or where it comes from
  bool failed = false;  // it is known not to be met, whatever the number
};

std::string shown(Unit unit, double value) {
  switch (unit) {
    case Unit::rows:
      return with_thousands(static_cast<std::int64_t>(value)) + (value == 1 ? " row" : " rows");
    case Unit::share:
      return fmt::format("{:.4g} %", value);
    case Unit::change:
      return fmt::format("{:+.2f} %", value);
    case Unit::duration:
      return fmt::format("{:.3f} ms", value);
  }
  return "";
}

class Judge {
 public:
  Judge(const json& before, const json& after)
      : after_document_(after),
        before_(side_of(before, "old")),
        after_(side_of(after, "new")),
        queries_(compare_queries(before_, after_)) {}

  const json& queries() const { return queries_; }
  const json& before() const { return before_; }
  const json& after() const { return after_; }

  // Adds the verdicts on one part of the plan, `criteria` or `advisory`.
  Status add_verdicts(const json& wanted, bool advisory, json& all) const {
    for (const auto& [name, text] : wanted.items()) {
      const CriterionKind* kind = criterion_kind(name);
      const std::optional<double> bound = kind == nullptr || !text.is_string()
                                              ? std::nullopt
                                              : number_of(*kind, text.get<std::string>());
      if (!bound) {
        return unusable(fmt::format("the criterion `{}` of a measurement cannot be read", name),
                        "measure again with this release");
      }
      all.push_back(verdict(*kind, *bound));
      all.back()["advisory"] = advisory;
    }
    return {};
  }

 private:
  static std::optional<double> number_of(const CriterionKind& kind, const std::string& text) {
    if (kind.unit == Unit::duration) {
      const std::optional<Milliseconds> duration = parse_duration(text);
      return duration ? std::optional(static_cast<double>(duration->count())) : std::nullopt;
    }
    if (kind.unit != Unit::rows) return parse_per_cent(text);
    return parse_per_cent(text + "%");
  }

  json verdict(const CriterionKind& kind, double bound) const {
    const Found found = find(kind);
    const bool at_most = kind.bound == Bound::at_most;
    json one = {
        {"name", kind.name},
        {"what", kind.what},
        {"wanted", fmt::format("{} {}", at_most ? "at most" : "at least", shown(kind.unit, bound))},
        {"wanted_number", bound},
        {"measured", found.value ? json(shown(kind.unit, *found.value)) : json()},
        {"measured_number", found.value ? json(*found.value) : json()},
        {"detail", found.detail}};
    const bool within = found.value && (at_most ? *found.value <= bound : *found.value >= bound);
    const bool missed = found.failed || (found.value && !within);
    one["verdict"] = missed ? "not met" : found.value ? "met" : "not measured";
    if (missed || found.value) one["met"] = !missed;
    return one;
  }

  Found find(const CriterionKind& kind) const {
    const std::string name = kind.name;
    if (const std::string why = why_new_side_says_nothing(); !why.empty()) {
      return {std::nullopt, why, true};
    }
    if (name == "lost") return lost();
    if (name == "errors") return errors();
    if (name == "same_answers") return same_answers();
    if (name == "writer_uptime") return writer_uptime();
    if (name == "longest_stall") return longest_stall();
    if (name == "storage_change") return storage_change();
    if (name == "throughput_change") {
      const auto value =
          change(before_["answered_per_s"].get<double>(), after_["answered_per_s"].get<double>());
      return {value, "answered queries a second"};
    }
    if (kind.unit == Unit::change) return slowest_change(name);
    return slowest(name + "_ms");
  }

  // An empty table answers fast.
  std::string why_new_side_says_nothing() const {
    const json journal = after_document_.value("journal", json());
    if (after_.value("side", "") != "new" || !journal.is_object()) return "";
    const std::string phase = journal.value("phase", "");
    for (const Phase one : {Phase::planned, Phase::prepared, Phase::copying, Phase::rolling_back,
                            Phase::rolled_back}) {
      if (phase != name_of(one)) continue;
      return fmt::format("the migration was {} when it was measured: its rows were not all there",
                         phase);
    }
    return "";
  }

  // Each query has to meet it: the worst one is told.
  Found slowest_change(const std::string& key) const {
    Found found{std::nullopt, "no query succeeded in both"};
    for (const json& query : queries_) {
      const std::string name = query["name"].get<std::string>();
      if (query["after"]["count"] == 0) return {std::nullopt, name + " never succeeded", true};
      if (query[key].is_null()) continue;
      const double value = query[key].get<double>();
      if (!found.value || value > *found.value) found = {value, name};
    }
    return found;
  }

  Found slowest(const std::string& key) const {
    Found found{std::nullopt, "no query succeeded"};
    for (const json& query : queries_) {
      const std::string name = query["name"].get<std::string>();
      if (query["after"]["count"] == 0) return {std::nullopt, name + " never succeeded", true};
      const double value = query["after"][key].get<double>();
      if (!found.value || value > *found.value) found = {value, name};
    }
    return found;
  }

  Found errors() const {
    return {number_at(after_, "errors_per_cent"), "of the queries that were due"};
  }

  Found same_answers() const {
    const json& answers = after_document_.value("answers", json());
    if (!answers.is_array() || answers.empty()) {
      return {std::nullopt, "measured on one side: `whimbrel measure PLAN --side both`"};
    }
    std::int64_t asked = 0;
    std::int64_t same = 0;
    std::string first;
    for (const json& one : answers) {
      asked += one.value("asked", 0LL);
      same += one.value("same", 0LL);
      const bool differs = one.value("asked", 0LL) != one.value("same", 0LL);
      if (differs && first.empty()) first = one.value("name", "") + ": " + one.value("first", "");
    }
    if (asked == 0) {
      return {std::nullopt, "no question was put whose answer did not change meanwhile"};
    }
    const double share = 100.0 * static_cast<double>(same) / static_cast<double>(asked);
    return {share, first.empty() ? "of the questions put to both sides" : first};
  }

  Found lost() const {
    const json& journal = after_document_.value("journal", json());
    if (!journal.is_object()) return {std::nullopt, "nothing was migrated when it was measured"};
    if (!journal.contains("verified")) {
      return {std::nullopt, "no full verification yet: `whimbrel verify PLAN`"};
    }
    const std::int64_t aside = journal.value("set_aside", 0LL);
    auto lost = number_at(journal["verified"], "differing");
    const std::string all =
        "full verification of " + rows_text(journal["verified"].value("rows", 0LL) - aside);
    if (lost) *lost += static_cast<double>(aside);
    return {lost, lost.value_or(0) == 0 ? all
                  : aside == 0          ? "rows that differ; missing ones are among them"
                                        : "rows that differ or were set aside; " + all};
  }

  // The worse of what the journal knows and what the probe saw.
  Found writer_uptime() const {
    Found found{std::nullopt, "no migration, and no `--writes`"};
    const json journal = after_document_.value("journal", json());
    if (journal.is_object() && journal.contains("writers")) {
      const json& writers = journal["writers"];
      found = {number_at(writers, "uptime_per_cent"),
               fmt::format("held for {} ms in {} ms", writers.value("held_ms", 0LL),
                           writers.value("migration_ms", 0LL))};
    }
    if (!after_.contains("probe") || after_["probe"].value("probes", 0LL) == 0) return found;
    const std::optional<double> seen = number_at(after_["probe"], "uptime_per_cent");
    if (!found.value || (seen && *seen < *found.value)) {
      found = {seen, fmt::format("{} of {} writes failed", after_["probe"].value("failed", 0LL),
                                 after_["probe"].value("probes", 0LL))};
    }
    return found;
  }

  // The longest hold that the journal knows, or the slowest write that the probe saw.
  Found longest_stall() const {
    Found found{std::nullopt, "no migration, and no `--writes`"};
    const json journal = after_document_.value("journal", json());
    if (journal.is_object() && journal.contains("writers")) {
      found = {number_at(journal["writers"], "longest_hold_ms"), "the longest hold"};
    }
    if (!after_.contains("probe") || after_["probe"].value("probes", 0LL) == 0) return found;
    const std::optional<double> slowest = number_at(after_["probe"], "max_ms");
    if (slowest && (!found.value || *slowest > *found.value)) {
      found = {slowest, "the slowest write of the probe"};
    }
    return found;
  }

  Found storage_change() const {
    const json then = before_.value("storage", json());
    const json now = after_.value("storage", json());
    const auto before = number_at(then, "bytes");
    const auto after = number_at(now, "bytes");
    if (!before || !after) return {std::nullopt, "a side's tables were not there"};
    const bool exact = then.value("exact", false) && now.value("exact", false);
    return {change(*before, *after), exact ? "tables and indexes" : "estimated from some rows"};
  }

  const json& after_document_;
  const json& before_;
  const json& after_;
  json queries_;
};

json about(const json& measurement, const json& side) {
  json one = {{"side", side["side"]},
              {"made_at", measurement.value("made_at", "")},
              {"load", measurement["load"]},
              {"answered_per_s", side["answered_per_s"]},
              {"errors_per_cent", side["errors_per_cent"]}};
  one["storage_bytes"] = side.contains("storage") && side["storage"].is_object()
                             ? side["storage"].value("bytes", json())
                             : json();
  return one;
}

json notes_on(const json& before, const json& after, const Judge& judge) {
  json notes = json::array();
  if (before["load"] != after["load"]) notes.push_back("the two were measured under another load");
  for (const auto& [one, other, when] : {std::tuple(&judge.before(), &judge.after(), "before"),
                                         std::tuple(&judge.after(), &judge.before(), "after")}) {
    for (const json& query : (*one)["queries"]) {
      const std::string name = query["name"].get<std::string>();
      if (query_of(*other, name) == nullptr) {
        notes.push_back(fmt::format("the query {} was measured only {}", name, when));
      }
      if (query["count"] < answers_enough) {
        notes.push_back(fmt::format("{} answers to {} {}: measure longer, a percentile needs more",
                                    query["count"].get<std::int64_t>(), name, when));
      }
    }
  }
  return notes;
}

std::int64_t count_of(const json& verdicts, const char* verdict) {
  return std::ranges::count_if(verdicts, [&](const json& one) {
    return one["advisory"] == false && one["verdict"] == verdict;
  });
}

std::string of_count(const json& value) {
  return value.is_null() ? "-" : fmt::format("{:+.1f} %", value.get<double>());
}

void verdict_line(const json& one, std::string& text) {
  const std::string verdict = one["verdict"].get<std::string>();
  text +=
      fmt::format("  {:<18} {:<12} {}, wanted {}\n", one["name"].get<std::string>(),
                  verdict == "not met" ? "NOT met" : verdict,
                  one["measured"].is_null() ? "nothing known" : one["measured"].get<std::string>(),
                  one["wanted"].get<std::string>());
  const std::string detail = one["detail"].get<std::string>();
  if (!detail.empty()) text += fmt::format("  {:<31} {}\n", "", detail);
}

}  // namespace

Result<json> judge(const json& before, const json& after, TimePoint now) {
  for (const auto& [document, which] : {std::pair(&before, "first"), std::pair(&after, "second")}) {
    if (is_measurement(*document)) continue;
    return unusable(fmt::format("the {} file is no measurement", which),
                    "`whimbrel measure PLAN --output FILE` writes one");
  }
  if (before["migration"] != after["migration"]) {
    return unusable(fmt::format("these are measurements of two migrations, {} and {}",
                                printable(before["migration"].get<std::string>()),
                                printable(after["migration"].get<std::string>())),
                    "compare two of one plan");
  }
  const Judge one(before, after);
  if (one.queries().empty()) {
    return unusable("the two measurements have no query in common", "measure both with one plan");
  }
  // What is wanted is what the later plan says; an older one may not have said it yet.
  const auto wanted = [&](const char* part) {
    const json later = after.value(part, json::object());
    return later.is_object() && !later.empty() ? later : before.value(part, json::object());
  };
  json criteria = json::array();
  TRY(one.add_verdicts(wanted("criteria"), false, criteria));
  TRY(one.add_verdicts(wanted("advisory"), true, criteria));
  const std::int64_t missed = count_of(criteria, "not met");
  const std::int64_t unknown = count_of(criteria, "not measured");
  return json{{"format", 1},
              {"migration", after["migration"]},
              {"made_at", to_iso8601(now)},
              {"result", missed > 0    ? "not met"
                         : unknown > 0 ? "not all measured"
                                       : "met"},
              {"met", count_of(criteria, "met")},
              {"not_met", missed},
              {"not_measured", unknown},
              {"before", about(before, one.before())},
              {"after", about(after, one.after())},
              {"queries", one.queries()},
              {"criteria", criteria},
              {"notes", notes_on(before, after, one)}};
}

std::string comparison_text(const json& comparison) {
  std::string text = fmt::format("{:<20} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "p95 ms, p99 ms",
                                 "before", "after", "change", "before", "after", "change");
  for (const json& query : comparison["queries"]) {
    const json& before = query["before"];
    const json& after = query["after"];
    text += fmt::format("{:<20} {:>9.3f} {:>9.3f} {:>9} {:>9.3f} {:>9.3f} {:>9}\n",
                        printable(query["name"].get<std::string>(), 20),
                        before["p95_ms"].get<double>(), after["p95_ms"].get<double>(),
                        of_count(query["p95_change"]), before["p99_ms"].get<double>(),
                        after["p99_ms"].get<double>(), of_count(query["p99_change"]));
  }
  for (const bool advisory : {false, true}) {
    std::string lines;
    for (const json& one : comparison["criteria"]) {
      if (one["advisory"] == advisory) verdict_line(one, lines);
    }
    if (!lines.empty()) text += (advisory ? "only told\n" : "criteria\n") + lines;
  }
  for (const json& note : comparison["notes"]) text += "note: " + note.get<std::string>() + "\n";
  return text;
}

}  // namespace whimbrel
