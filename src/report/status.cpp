#include "report/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/counted.h"
#include "base/text.h"
#include "report/clean_checks.h"
#include "report/files.h"
#include "report/headline.h"
#include "report/planned.h"
#include "report/trail.h"

namespace whimbrel {

namespace {

using nlohmann::json;

json tables_of(const State& state) {
  json about = json::parse(state.tables, nullptr, false);
  return about.is_object() ? about : json::object();
}

// A hold ends by itself; until then the application's writes are refused.
std::string held_until(const State& state, TimePoint now) {
  const Effect* hold = state.effect("hold");
  if (hold == nullptr) return "";
  const json undo = json::parse(hold->undo, nullptr, false);
  if (!undo.is_object() || !undo.contains("until_ms")) return "";
  const TimePoint until(Milliseconds(undo["until_ms"].get<std::int64_t>()));
  const std::string lets_go = "; `whimbrel run` or `whimbrel rollback` lets them go.";
  if (now > until) return " Writers were to be held until " + to_iso8601(until) + lets_go;
  const json result = json::parse(hold->result, nullptr, false);
  const Milliseconds back(result.is_object() ? result.value("back_ms", std::int64_t{0}) : 0);
  return fmt::format(
      " Writers are held: it must switch by {}, else it lets go; going back takes {}{}",
      to_iso8601(until), to_duration_text(std::max(back, Milliseconds(1000))), lets_go);
}

// While a switch is made or taken back; what the journal says of each of them.
std::string who_serves(const State& state) {
  constexpr std::string_view prefix = "switch:";
  std::vector<std::string> on;
  std::size_t open = 0;  // begun, and not known to have been made
  for (const Effect& effect : state.effects) {
    if (!effect.id.starts_with(prefix)) continue;
    if (effect.confirmed) {
      on.push_back(effect.id.substr(prefix.size()));
    } else {
      ++open;
    }
  }
  const std::size_t all = planned(state, nullptr).switches.size();
  if (on.empty()) {
    return open == 0 ? "The old side is read and written"
                     : "The old side is read and written unless the switch was made just now";
  }
  if (on.size() >= all) return "The new side is read and written";
  return fmt::format("The new side serves whoever follows {}, the old side the others",
                     join(on, ", "));
}

std::string first_line(const State& state, const json& about, TimePoint now) {
  const bool dual = about.value("sync", "") == "dual";
  const bool window = about.value("sync", "") == "none";
  const bool by_hand = planned(state, nullptr).switches.empty();
  if (about.value("only_copies", false)) {
    if (state.phase == Phase::rolled_back) {
      return "What was copied was taken away again; what others wrote is as they wrote it.";
    }
    return "A copy: whoever uses either side goes on using it.";
  }
  switch (state.phase) {
    case Phase::watching:
      if (by_hand) {
        return dual ? "You lead the application over (the plan has no switch); both sides stay "
                      "equal."
                    : "You lead the application over (no switch); a runner carries writes back.";
      }
      return dual ? "The new side is read and written; the old side is kept equal by triggers."
                  : "The new side is read and written; the old side follows it while a runner "
                    "lives.";
    case Phase::finished:
      return by_hand ? "The new side is the one to use; the migration is finished."
                     : "The new side is read and written; the migration is finished.";
    case Phase::finishing:
      return by_hand ? "The new side is the one to use; `finish` is under way."
                     : "The new side is read and written; `finish` is under way.";
    case Phase::stuck:
      return "UNKNOWN who reads and writes where: a switch may or may not have flipped.";
    case Phase::rolled_back:
      return "The old side is read and written; everything is as it was before.";
    case Phase::rolling_back:
      return (by_hand ? "A rollback is under way"
                      : who_serves(state) + "; a rollback is under way") +
             ": `whimbrel rollback` ends it.";
    case Phase::fenced:
      return (by_hand ? "The old side is read and written; the new side is about to be handed over."
                      : who_serves(state) + "; the switch is under way.") +
             held_until(state, now);
    default:
      return dual && (state.confirmed("links"))
                 ? "The old side is read and written; the new side is kept equal by triggers."
             : window ? "The old side is read and written; the new side is brought up to date in "
                        "the window."
                      : "The old side is read and written.";
  }
}

// Where a side forgets what was written to it, and nobody reads: until when it surely knows.
std::optional<TimePoint> remembered_until(const State& state, const json& about) {
  const json known = about.value("remembered_ms", json::array());
  const bool switched = state.phase == Phase::watching;
  const bool follows = switched || state.phase == Phase::copying ||
                       state.phase == Phase::following || state.phase == Phase::verified;
  if (!follows || known.size() != 2) return std::nullopt;
  const Milliseconds for_so_long(known[switched ? 1 : 0].get<std::int64_t>());
  if (for_so_long.count() == 0) return std::nullopt;
  return state.read_at + for_so_long;
}

std::string until_a_runner_starts(const State& state, const json& about, TimePoint now) {
  const std::optional<TimePoint> until = remembered_until(state, about);
  if (!until) return "; changes wait in the database until a runner starts";
  if (*until <= now) {
    return "; what was written may be forgotten by now: nobody has read it since " +
           to_iso8601(state.read_at);
  }
  return "; what is written is remembered until " + to_iso8601(*until) + " unless a runner starts";
}

// After `finish`: whether anything of the old tables was kept.
bool may_come_back(const State& state) {
  // New tables of a retype have the old ones' names, and nothing could come back beside them.
  if (tables_of(state).value("retypes", false)) return false;
  const Planned plan = planned(state, nullptr);
  const bool stays = plan.keeps_source || !plan.rename_source_to.empty();
  const auto is_kept = [&](const char* id) {
    const Effect* effect = state.effect(id);
    if (effect == nullptr || !effect->confirmed) return false;
    const json result = json::parse(effect->result, nullptr, false);
    return result.is_object() &&
           (result.contains("folder") || !result.value("native", json::object()).empty());
  };
  return stays || is_kept("archive") || is_kept("backup");
}

std::string way_back(const State& state, const json& about, TimePoint now, bool somebody_runs) {
  if (state.phase == Phase::finishing)
    return "way back: open until the first table is removed, `finish` is under way";
  if (state.phase == Phase::finished) {
    return may_come_back(state)
               ? "way back: the old tables can be brought back from the archive or a backup"
               : "way back: closed by `finish`, which kept nothing to go back to";
  }
  if (state.phase == Phase::rolled_back) return "way back: taken";
  if (state.phase != Phase::watching) {
    const bool forgets = !somebody_runs && remembered_until(state, about).has_value();
    return "way back: open" + (forgets ? until_a_runner_starts(state, about, now) : "");
  }
  const Milliseconds after(about.value("finish_after_ms", std::int64_t{0}));
  std::string text = "way back: open until `finish`" +
                     finish_waits_for(state, after, planned(state, nullptr).clean_checks, now);
  if (about.value("sync", "") != "dual" && !somebody_runs) {
    text += until_a_runner_starts(state, about, now);
  }
  return text;
}

json table_progress(const State& state, const json& about) {
  constexpr std::int64_t rate_known_ms = 100;  // what took less says nothing of a rate
  json tables = json::array();
  int index = 0;
  for (const auto& table : about.value("tables", json::array())) {
    json one = table;
    for (const char* not_progress : {"from_columns", "to_columns", "from_ddl", "to_ddl"}) {
      one.erase(not_progress);
    }
    if (const auto it = state.copies.find(index); it != state.copies.end()) {
      const CopyProgress& copy = it->second;
      one["copied"] = {{"chunks", copy.chunks},
                       {"read", copy.read},
                       {"written", copy.written},
                       {"skipped", copy.skipped},
                       {"rejected", copy.rejected},
                       {"done", copy.at_end},
                       {"rows_per_s", copy.ms >= rate_known_ms ? copy.read * 1000 / copy.ms : 0}};
    }
    if (const auto it = state.verifies.find(index); it != state.verifies.end()) {
      one["compared"] = {{"rows", it->second.rows},
                         {"differing", it->second.differing},
                         {"expected", it->second.expected},
                         {"found", it->second.found}};
    }
    tables.push_back(std::move(one));
    ++index;
  }
  return tables;
}

// Nobody is heard of between two events; what was left then has become less since.
std::optional<Milliseconds> left_now(const Headway& headway, TimePoint now) {
  if (!headway.left) return std::nullopt;
  const Milliseconds since = headway.paused ? Milliseconds(0) : now - headway.at;
  return std::max(Milliseconds(0), *headway.left - std::max(since, Milliseconds(0)));
}

// 2026-11-20 23:53:28 UTC
std::string seconds_text(TimePoint time) {
  std::string text = to_iso8601(time).substr(0, 19);
  std::ranges::replace(text, 'T', ' ');
  return text + " UTC";
}

std::size_t display_width(const std::string& utf8) {
  return static_cast<std::size_t>(
      std::ranges::count_if(utf8, [](char c) { return (c & 0xc0) != 0x80; }));
}

constexpr std::size_t columns_of_text = 80;

// Words of a sentence in lines of at most so many columns, the second and later ones indented.
std::string wrapped(const std::string& text, std::size_t indent,
                    std::size_t columns = columns_of_text) {
  std::string out;
  std::size_t column = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    const std::size_t width = display_width(word);
    if (column > 0 && column + 1 + width > columns) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > 0 || at > 0) {
      out += ' ';
      ++column;
    }
    out += word;
    column += width;
    at = end + 1;
  }
  return out + "\n";
}

std::string bar_of(double share) {
  constexpr std::size_t width = 20;
  const auto filled = static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * width);
  std::string bar;
  for (std::size_t i = 0; i < width; ++i) bar += i < filled ? "█" : "·";
  return bar;
}

std::string at_work(const Headway& headway, TimePoint now) {
  std::string text;
  const auto line = [&](const char* name, const std::string& what) {
    text += wrapped(fmt::format("  {:<11} {}", name, what), 14);
  };
  if (!headway.doing.empty() && headway.total > 0) {
    const double share = static_cast<double>(headway.done) / static_cast<double>(headway.total);
    text += fmt::format("  {} {}\n", headway.doing, printable(headway.table, 60));
    text += fmt::format("    {} {:3.0f}%  {} of {}\n", bar_of(share), std::min(100.0, share * 100),
                        with_thousands(headway.done), with_thousands(headway.total));
  }
  if (headway.rows_per_s) {
    line("rate", with_thousands(std::llround(*headway.rows_per_s)) + " rows/s");
  }
  if (const auto left = left_now(headway, now); left && left->count() > 0) {
    line("left", "about " + to_duration_text(*left) + " until everything asked for is done");
  }
  line("lag", headway.lag);
  line(headway.paused ? "PAUSED" : "limited by", headway.limited_by);
  return text;
}

std::string so_far(const json& table, bool with_rate) {
  std::string text = fmt::format("  {}\n", printable(table.value("name", ""), 76));
  if (table.contains("copied")) {
    const auto& copied = table["copied"];
    const bool is_known = with_rate && copied["rows_per_s"].get<std::int64_t>() > 0;
    const std::string rate =
        is_known
            ? fmt::format(", {} rows/s", with_thousands(copied["rows_per_s"].get<std::int64_t>()))
            : "";
    const auto rejected = copied["rejected"].get<std::int64_t>();
    const std::string aside =
        rejected > 0 ? fmt::format(", {} set aside", with_thousands(rejected)) : "";
    text +=
        fmt::format("    copied   {} in {}{}{}{}\n", rows_text(copied["read"].get<std::int64_t>()),
                    counted(copied["chunks"].get<std::int64_t>(), "chunk"), rate,
                    copied["done"].get<bool>() ? "" : " so far", aside);
  }
  if (table.contains("compared")) {
    text += fmt::format("    compared {}, {} differ\n",
                        rows_text(table["compared"]["rows"].get<std::int64_t>()),
                        with_thousands(table["compared"]["differing"].get<std::int64_t>()));
  }
  return text;
}

}  // namespace

json status_document(const Journal& journal, TimePoint now, const std::optional<Headway>& headway) {
  const State state = journal.state();
  const json about = tables_of(state);
  const bool somebody_runs = journal.somebody_runs();
  json document = {{"migration", state.migration},
                   {"attempt", state.attempt},
                   {"phase", state.started ? name_of(state.phase) : "not started"},
                   {"why", state.why},
                   {"who", first_line(state, about, now)},
                   {"runner", somebody_runs},
                   {"tables", table_progress(state, about)},
                   {"rejected", state.rejected}};
  document["way_back"] = way_back(state, about, now, somebody_runs);
  const auto raised = std::ranges::count_if(
      state.effects, [](const Effect& one) { return one.id.starts_with("capacity:"); });
  if (raised > 0) document["raised_capacity"] = raised;
  document["since"] = to_iso8601(state.phase_since);
  const Result<std::int64_t> kept = journal.kept_count();
  document["kept_rows"] = kept.ok() ? kept.value() : 0;
  if (state.last_failure) {
    document["last_error"] = {{"code", state.last_failure->code},
                              {"message", state.last_failure->message}};
  }
  if (state.verified) {
    document["verified"] = {{"rows", state.verified->rows},
                            {"differing", state.verified->differing},
                            {"full", state.verified->full},
                            {"at", to_iso8601(state.verified_at)}};
  }
  json checks = clean_checks_document(state, planned(state, nullptr).clean_checks);
  if (!checks.is_null()) document["checks"] = std::move(checks);
  if (somebody_runs && headway) {
    json at_work = to_json(*headway);
    at_work["at"] = to_iso8601(headway->at);
    at_work.erase("at_ms");
    if (const auto left = left_now(*headway, now)) at_work["left_ms"] = left->count();
    document["at_work"] = std::move(at_work);
  }
  return document;
}

namespace {

// What a status says, in the order of a reader's questions.
struct Told {
  std::string head;     // who reads and writes where, the way back, where it stands
  std::string at_work;  // what the runner does
  std::vector<std::string> tables;
  std::vector<std::string> unended;  // of these, the tables that are begun and not done
  std::string rest;                  // of the tables, in one line
  std::string tail;
};

std::string sum_of(const json& tables) {
  std::int64_t copied = 0;
  std::int64_t compared = 0;
  std::int64_t rows = 0;
  for (const json& table : tables) {
    const bool has_copy = table.contains("copied");
    copied += has_copy && table["copied"]["done"].get<bool>() ? 1 : 0;
    compared += table.contains("compared") ? 1 : 0;
    rows += has_copy ? table["copied"]["read"].get<std::int64_t>() : 0;
  }
  return fmt::format("  {} tables: {} copied, {} compared; {} so far\n", tables.size(), copied,
                     compared, rows_text(rows));
}

Told tell(const Journal& journal, TimePoint now, const std::optional<Headway>& headway) {
  const State state = journal.state();
  const json document = status_document(journal, now, headway);
  Told told;
  told.head = wrapped(document["who"].get<std::string>(), 0) +
              wrapped(document["way_back"].get<std::string>(), 2);
  told.head +=
      state.started
          ? wrapped(fmt::format("{}, attempt {}: {} since {} ({})", printable(state.migration, 60),
                                state.attempt, name_of(state.phase),
                                seconds_text(state.phase_since), printable(state.why, 300)),
                    2)
          : wrapped("Nothing was changed yet: a runner reads every row first.", 2);
  const bool works = document.contains("at_work");
  if (works) told.at_work = at_work(*headway, now);
  for (const json& table : document["tables"]) {
    told.tables.push_back(so_far(table, !works));  // then the rate is told above
    const bool ended = !table.contains("copied") || table["copied"]["done"].get<bool>();
    if (!ended) told.unended.push_back(told.tables.back());
  }
  told.rest = sum_of(document["tables"]);
  if (const auto raised = document.value("raised_capacity", std::int64_t{0}); raised > 0) {
    told.tail += wrapped(fmt::format("{} {} more capacity for the copy, until it is done or rolled "
                                     "back",
                                     counted(raised, "table"), raised == 1 ? "has" : "have"),
                         2);
  }
  if (state.rejected > 0) told.tail += rows_text(state.rejected) + " set aside in rejected.jsonl\n";
  if (const auto kept = document["kept_rows"].get<std::int64_t>(); kept > 0) {
    told.tail += wrapped(rows_text(kept) + " with values that the old shape cannot hold", 2);
  }
  const std::string checks = clean_checks_text(state, planned(state, nullptr).clean_checks);
  if (!checks.empty()) told.tail += wrapped("checks: " + printable(checks, 600), 2);
  if (state.last_failure) {
    told.tail +=
        wrapped("last error: " + printable(in_one_line(state.last_failure->message), 600), 2);
  }
  told.tail += document["runner"].get<bool>() ? "a runner is at work\n" : "no runner is at work\n";
  return told;
}

// Lines of at most so many columns: a longer one goes on in the next, as a terminal shows it.
std::vector<std::string> lines_of(const std::string& text, std::size_t columns) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line;
    std::size_t width = 0;
    for (std::size_t i = at; i < end; ++i) {
      const bool begins = (text[i] & 0xc0) != 0x80;
      if (begins && width == columns) {
        lines.push_back(std::move(line));
        line.clear();
        width = 0;
      }
      width += begins ? 1 : 0;
      line += text[i];
    }
    lines.push_back(std::move(line));
    at = end + 1;
  }
  return lines;
}

std::string in_one_line(const NextStep& step, std::size_t columns) {
  std::string line = fmt::format("  next: {:<32}  {}\n", step.command, step.why);
  if (display_width(line) <= columns) return line;
  line = fmt::format("  next: {}  {}\n", step.command, step.why);
  return display_width(line) <= columns + 1 ? line : fmt::format("  next: {}\n", step.command);
}

}  // namespace

std::string status_text(const Journal& journal, TimePoint now,
                        const std::optional<Headway>& headway) {
  if (!journal.state().started && !journal.somebody_runs()) {
    return "Nothing was started yet. `whimbrel run` begins.\n";
  }
  const Told told = tell(journal, now, headway);
  std::string text = told.head + told.at_work;
  for (const std::string& table : told.tables) text += table;
  return text + told.tail;
}

std::string status_block(const Journal& journal, TimePoint now,
                         const std::optional<Headway>& headway, const std::vector<NextStep>& steps,
                         Screen screen) {
  const std::size_t columns = std::clamp<std::size_t>(screen.columns, 20, columns_of_text);
  // The last row is the cursor's: a line break there would scroll the first one off.
  const std::size_t rows = std::max<std::size_t>(screen.rows, 5) - 1;
  std::vector<std::string> next;
  for (const NextStep& step : steps) {
    for (std::string& line : lines_of(in_one_line(step, columns), columns)) {
      next.push_back(std::move(line));
    }
  }
  std::vector<std::string> lines;
  std::vector<std::string> tables;
  std::vector<std::string> tail;
  if (!journal.state().started && !journal.somebody_runs()) {
    lines = lines_of(status_text(journal, now, headway), columns);
  } else {
    const Told told = tell(journal, now, headway);
    lines = lines_of(told.head + told.at_work, columns);
    tail = lines_of(told.tail, columns);
    std::string all;
    for (const std::string& table : told.tables) all += table;
    tables = lines_of(all, columns);
    const auto fits = [&](std::size_t more) {
      return lines.size() + more + tail.size() + next.size() <= rows;
    };
    if (!fits(tables.size())) {
      // Those at work as far as there is room, and one line for all of them.
      tables.clear();
      for (const std::string& table : told.unended) {
        const std::vector<std::string> its = lines_of(table, columns);
        if (!fits(tables.size() + its.size() + 1)) break;
        tables.insert(tables.end(), its.begin(), its.end());
      }
      tables.push_back(lines_of(told.rest, columns).front());
    }
  }
  // What does not fit even so is cut where it is least missed: a long error, then what to do next.
  const std::size_t taken = lines.size() + tables.size();
  const std::size_t left = rows > taken ? rows - taken : 0;
  if (tail.size() + next.size() > left) {
    const std::size_t for_next = std::min(next.size(), left / 2);
    const std::size_t for_tail = std::min(tail.size(), left - for_next);
    tail.erase(tail.begin(), tail.end() - static_cast<std::ptrdiff_t>(for_tail));
    next.resize(for_next);
  }
  lines.insert(lines.end(), tables.begin(), tables.end());
  lines.insert(lines.end(), tail.begin(), tail.end());
  lines.insert(lines.end(), next.begin(), next.end());
  if (lines.size() > rows) lines.resize(rows);
  return join(lines, "\n") + "\n";
}

namespace {

// Beside a runner: what it heeds, and nothing that only its end makes possible.
std::vector<NextStep> steps_beside_a_runner(const State& state, const std::string& plan,
                                            bool paused) {
  const auto step = [&](const std::string& verb, const char* why, const char* more = "") {
    return NextStep{fmt::format("whimbrel {} {}{}", verb, plan, more), why};
  };
  std::vector<NextStep> steps = {step("status", "see how far it is", " --watch")};
  const bool switched = state.phase == Phase::watching;
  if (paused) {
    steps.push_back(step("resume", "let it go on"));
  } else if (state.phase != Phase::rolling_back && state.phase != Phase::finishing) {
    steps.push_back(step("pause", "hold it after the chunk it is in"));
    if (!switched) steps.push_back(step("limits", "slow it down", " rows_per_s=1000"));
  }
  if (state.started && state.phase != Phase::rolling_back && state.phase != Phase::finishing) {
    steps.push_back(step("rollback", switched ? "it goes back without losing a write"
                                              : "it undoes everything so far"));
  }
  return steps;
}

}  // namespace

std::vector<NextStep> next_steps(const State& state, const std::string& plan, Beside beside) {
  if (beside != Beside::nobody) {
    return steps_beside_a_runner(state, plan, beside == Beside::paused_runner);
  }
  const auto step = [&](const char* verb, const char* why) {
    return NextStep{fmt::format("whimbrel {} {}", verb, plan), why};
  };
  if (!state.started) return {step("analyze", "see what would happen"), step("run", "begin")};
  switch (state.phase) {
    case Phase::planned:
    case Phase::prepared:
    case Phase::copying:
    case Phase::following:
      return {step("run", "go on from here"), step("rollback", "undo everything so far")};
    case Phase::fenced:
      return {step("cutover", "go on with the switch"), step("rollback", "undo everything so far")};
    case Phase::verified:
      if (tables_of(state).value("only_copies", false)) {
        return {step("verify", "compare again"), step("rollback", "take away what was written")};
      }
      return {step("cutover", planned(state, nullptr).switches.empty()
                                  ? "hand over; you lead the application across"
                                  : "switch over"),
              step("rollback", "undo everything so far")};
    case Phase::watching:
      if (state.clean_checks < planned(state, nullptr).clean_checks) {
        return {step("watch", "check both sides: `finish` waits for clean checks"),
                step("rollback", "go back without losing a write")};
      }
      return {step("verify", "compare both sides again"),
              step("rollback", "go back without losing a write"),
              step("finish", "give up the way back and clean up")};
    case Phase::rolling_back:
      return {step("rollback", "end the rollback")};
    case Phase::rolled_back:
      return {step("run", "begin the next attempt")};
    case Phase::finishing:
      return {step("finish", "end it"),
              step("rollback", "go back, as long as no table is removed")};
    case Phase::stuck:
      return {step("cutover --decide switched", "if the switch did flip"),
              step("cutover --decide not-switched", "if it did not"), step("rollback", "go back")};
    case Phase::finished:
      if (!may_come_back(state)) return {step("report", "the audit trail")};
      return {step("report", "the audit trail"),
              step("rollback", "bring the old tables back, with what was written since")};
  }
  return {};
}

Result<json> checkpoint_document(const Journal& journal, const std::string& folder, TimePoint now) {
  const State state = journal.state();
  json document = {{"migration", state.migration},  {"attempt", state.attempt},
                   {"phase", name_of(state.phase)}, {"plan_digest", state.digest},
                   {"journal", journal.id()},       {"made_at", to_iso8601(now)},
                   {"files", json::object()}};
  for (const char* name : {"rejected.jsonl", "kept-by-rollback.jsonl.zst"}) {
    const std::filesystem::path path = std::filesystem::path(folder) / name;
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) continue;
    ASSIGN_OR_RETURN(const std::string content, read_file(path.string()));
    document["files"][name] = digest_hex(content);
  }
  return document;
}

}  // namespace whimbrel
