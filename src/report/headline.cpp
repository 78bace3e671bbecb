#include "report/headline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "report/series.h"
#include "report/trail.h"

namespace whimbrel {

namespace {

using Tone = Headline::Tone;

// Names may hold anything; a sentence stays one line.
std::string named(const std::string& name) { return printable(name, 80); }

std::string what_moves(const ReportFacts& facts) {
  const auto& tables = facts.plan.tables;
  if (tables.empty()) return "the tables of the plan";
  if (tables.size() > 1) return fmt::format("{} tables", tables.size());
  return fmt::format("{} to {}", named(tables[0].from), named(tables[0].to));
}

std::string moved(const ReportFacts& facts) {
  const std::int64_t rows = facts.rows_moved();
  const std::int64_t expected = facts.rows_expected();
  const Milliseconds took = copying_time(facts);
  const bool so_far = facts.state.phase == Phase::copying;
  std::string text = so_far && expected >= rows
                         ? fmt::format("{} of {}", with_thousands(rows), rows_text(expected))
                         : rows_text(rows);
  text += facts.plan.tables.size() == 1 ? " from " : " of ";
  text += what_moves(facts) + (rows == 1 ? " was copied" : " were copied");
  if (so_far) text += " so far";
  if (took.count() > 0) text += ", in " + to_duration_text(took);
  return text + ".";
}

std::string compared(const ReportFacts& facts) {
  const Comparison* last = facts.story.comparison();
  if (last == nullptr) {
    return "Whether both sides are equal was not compared yet; nothing is switched before that.";
  }
  const VerifyEnded& what = last->what;
  if (what.differing > 0) {
    return fmt::format("The last comparison found {} that differ, of {}.",
                       rows_text(what.differing), with_thousands(facts.rows_compared(*last)));
  }
  if (!what.full) {
    return fmt::format("A sample of {} was compared and none differs.",
                       rows_text(facts.rows_compared(*last)));
  }
  // What was set aside is told in a sentence of its own; beside it nobody reads "nothing is lost".
  return fmt::format("{}ach of the {} was compared on both sides, and none differs ({}).",
                     facts.state.rejected > 0 ? "E" : "Nothing is lost: e",
                     rows_text(facts.rows_compared(*last)), to_day_text(last->at));
}

std::string undone(const ReportFacts& facts) {
  const EffectTimes* switched = facts.story.effect("switched");
  const bool served = switched != nullptr && switched->confirmed;
  std::string text = served ? "Nothing is lost: what the application wrote to the new side was "
                              "carried back to the old one before it was given up."
                            : "Nothing is lost: the application used the old side all the time.";
  if (facts.kept_rows > 0) {
    text += fmt::format(
        " {} hold values that the old side has no place for; they are kept in "
        "kept-by-rollback.jsonl.zst, and the next attempt puts back what it can.",
        rows_text(facts.kept_rows));
  }
  return text;
}

std::string held(const ReportFacts& facts) {
  if (facts.dual()) return "No writer was ever held: both sides are written in one transaction.";
  Milliseconds all{0};
  std::int64_t times = 0;
  for (const HoldSpan& hold : facts.story.holds_of(facts.story.attempt())) {
    all += hold.length(facts.wanted.now);
    ++times;
  }
  if (times == 0) return "";
  return fmt::format("Writers were held for {}{}.", to_duration_text(all),
                     times == 1 ? "" : fmt::format(" in {} holds", times));
}

struct Telling {
  Tone tone;
  const char* word;
  const char* title;
};

Telling telling(Phase phase) {
  switch (phase) {  // no default: a new phase must be told here before it compiles
    case Phase::planned:
      return {Tone::waiting, "Begun", "Begun: no row has moved yet"};
    case Phase::prepared:
      return {Tone::waiting, "Prepared", "Prepared: no row has moved yet"};
    case Phase::copying:
      return {Tone::waiting, "Copying", "Rows are being copied; the old side serves"};
    case Phase::following:
      return {Tone::waiting, "Copied", "All rows are copied; comparing comes next"};
    case Phase::verified:
      return {Tone::good, "Compared", "Copied and compared; ready for the switch"};
    case Phase::fenced:
      return {Tone::attention, "Switching", "The switch is under way"};
    case Phase::watching:
      return {Tone::good, "Switched over", "Switched over: the new side serves"};
    case Phase::finishing:
      return {Tone::waiting, "Cleaning up", "The new side serves; what is no longer needed goes"};
    case Phase::finished:
      return {Tone::good, "Finished", "Finished: the new side serves"};
    case Phase::rolling_back:
      return {Tone::attention, "Going back", "A rollback is under way"};
    case Phase::rolled_back:
      return {Tone::attention, "Rolled back", "Rolled back: everything is as it was before"};
    case Phase::stuck:
      return {Tone::bad, "Stuck", "A person has to look whether a switch has flipped"};
  }
  return {Tone::bad, "Unknown", "The journal is in no known phase"};
}

// Without a switch nobody but a person can tell where the application is.
std::optional<Telling> by_hand(const ReportFacts& facts) {
  if (!facts.by_hand()) return std::nullopt;
  switch (facts.state.phase) {
    case Phase::verified:
      return Telling{Tone::good, "Compared",
                     "Copied and compared; ready for you to lead the application over"};
    case Phase::fenced:
      return Telling{Tone::attention, "Handing over", "The new side is about to be handed over"};
    case Phase::watching:
      return Telling{Tone::attention, "Handed over",
                     "The new side is ready to serve; it is you who leads the application over"};
    case Phase::finishing:
      return Telling{Tone::waiting, "Cleaning up",
                     "The new side is left to serve; what is no longer needed goes"};
    case Phase::finished:
      return Telling{Tone::good, "Finished", "Finished: the new side is left to serve"};
    default:
      return std::nullopt;
  }
}

// Nobody is at work on what should be going on.
std::optional<Telling> interrupted(const ReportFacts& facts) {
  if (facts.wanted.runner) return std::nullopt;
  switch (facts.state.phase) {
    case Phase::copying:
      return Telling{Tone::waiting, "Interrupted", "The copy is interrupted; the old side serves"};
    case Phase::fenced:
      return Telling{Tone::bad, "Interrupted", "The switch was interrupted"};
    case Phase::rolling_back:
      return Telling{Tone::attention, "Interrupted", "A rollback was interrupted"};
    case Phase::finishing:
      return Telling{Tone::attention, "Interrupted", "The cleaning up was interrupted"};
    default:
      return std::nullopt;
  }
}

Headline not_begun(const ReportFacts& facts) {
  Headline line{Tone::waiting, "Not begun", "Nothing has moved yet", {}};
  const std::int64_t rows = facts.rows_expected();
  const std::string count = rows < 0 ? "" : fmt::format(", {}", rows_text(rows));
  if (!facts.plan.tables.empty()) {
    line.sentences.push_back(
        fmt::format("The plan moves {}{}.",
                    facts.plan.tables.size() == 1
                        ? named(facts.plan.tables[0].from) + " to " + named(facts.plan.tables[0].to)
                        : what_moves(facts),
                    count));
  }
  line.sentences.push_back(who_serves(facts));
  line.sentences.emplace_back(facts.analysis.is_object() ? "An analysis has read every row already."
                                                         : "No analysis has read the rows yet.");
  return line;
}

// A copy is told as long as it is there.
bool has_copy(const ReportFacts& facts) {
  const Phase phase = facts.state.phase;
  return !facts.state.copies.empty() && phase != Phase::rolled_back;
}

void tell_error(const ReportFacts& facts, Headline& line) {
  if (!facts.state.last_failure) return;
  if (line.tone != Tone::bad) {
    line.tone = facts.is_switched() ? Tone::attention : Tone::bad;
    if (!facts.is_switched() && !facts.wanted.runner) line.word = "Stopped by an error";
  }
  line.sentences.push_back(
      "The last error: " +
      printable(in_one_line(facts.message_of(*facts.state.last_failure)), 400));
}

}  // namespace

Milliseconds copying_time(const ReportFacts& facts) {
  std::vector<Busy> busy;
  for (const ChunkPoint& chunk : facts.story.chunks) {
    busy.push_back({chunk.at - Milliseconds(chunk.ms), chunk.at});
  }
  if (busy.empty()) return Milliseconds(0);
  return Milliseconds(std::llround(WorkTime(std::move(busy), Milliseconds(2000)).total()));
}

std::string who_serves(const ReportFacts& facts) {
  if (!facts.started()) return "The application uses the old side.";
  switch (facts.state.phase) {
    case Phase::watching:
      if (!facts.by_hand()) return "The application uses the new side.";
      return facts.dual() ? "The plan names no switch, so whimbrel has switched nothing: lead the "
                            "application over to the new side yourself, when it suits you."
                          : "The plan names no switch, so whimbrel has switched nothing: lead the "
                            "application over to the new side yourself, now. What is still written "
                            "to the old side is no longer carried over.";
    case Phase::finishing:
    case Phase::finished:
      return facts.by_hand()
                 ? "The plan names no switch: that the application uses the new side is "
                   "in the hands of whoever ran this."
                 : "The application uses the new side.";
    case Phase::stuck:
      return "It is unknown which side the application uses.";
    case Phase::fenced:
      return facts.by_hand()
                 ? "The application still uses the old side; the plan names no switch, so it is "
                   "you who leads it over."
                 : "The application is being switched from the old side to the new one.";
    case Phase::rolling_back:
      return facts.is_switched() ? "The application is being led back to the old side."
                                 : "The application uses the old side.";
    default:
      return "The application uses the old side.";
  }
}

std::string way_back(const ReportFacts& facts) {
  const State& state = facts.state;
  if (!facts.started()) return "There is nothing to go back from.";
  switch (state.phase) {
    case Phase::rolled_back:
      return "The way back was taken; a new attempt may begin at any time.";
    case Phase::rolling_back:
      return "The way back is being taken.";
    case Phase::finishing:
      return "The way back is closed while the cleaning up is under way.";
    case Phase::finished:
      return "The way back was given up on purpose; the old tables could still be brought back "
             "from the archive or a backup.";
    case Phase::watching: {
      const TimePoint due = state.phase_since + facts.plan.finish_after;
      std::string text = "The way back is open until somebody runs `finish`";
      if (facts.plan.finish_after.count() > 0) {
        text += fmt::format(", which the plan {} {}",
                            due > facts.wanted.now ? "allows from" : "has allowed since",
                            to_day_text(due));
      }
      if (const std::int64_t wanted = facts.plan.clean_checks; state.clean_checks < wanted) {
        text += fmt::format(", once {} checks in a row were clean", wanted);
      }
      text += facts.dual() ? "; both sides are kept equal until then."
                           : "; what the application writes is carried back to the old side.";
      if (!facts.dual() && !facts.wanted.runner) {
        text += " No runner is at work: changes wait in the database until one is.";
      }
      return text;
    }
    default:
      return "The way back is open: `rollback` undoes everything so far.";
  }
}

Headline headline(const ReportFacts& facts) {
  if (!facts.started()) return not_begun(facts);
  Telling told = interrupted(facts).value_or(by_hand(facts).value_or(telling(facts.state.phase)));
  const bool again = facts.state.phase == Phase::following && facts.story.comparison() != nullptr;
  if (again) told.title = "Copied; it is compared again before the switch";
  Headline line{told.tone, told.word, told.title, {}};
  if (has_copy(facts)) line.sentences.push_back(moved(facts));
  if (facts.state.phase == Phase::rolled_back) {
    line.sentences.push_back(undone(facts));
  } else if (has_copy(facts) && facts.state.phase != Phase::copying) {
    line.sentences.push_back(compared(facts));
    const Comparison* last = facts.story.comparison();
    if (last != nullptr && last->what.differing > 0) line.tone = Tone::bad;
  }
  if (facts.state.rejected > 0 && has_copy(facts)) {
    line.sentences.push_back(
        fmt::format("{} {} set aside in rejected.jsonl, which says why: the new side lacks {}.",
                    rows_text(facts.state.rejected), facts.state.rejected == 1 ? "is" : "are",
                    facts.state.rejected == 1 ? "it" : "them"));
    if (line.tone == Tone::good) line.tone = Tone::attention;
  }
  if (again) line.sentences.push_back("The last step: " + printable(facts.state.why, 200) + ".");
  line.sentences.push_back(who_serves(facts));
  line.sentences.push_back(way_back(facts));
  if (facts.is_switched()) {
    if (std::string hold = held(facts); !hold.empty()) line.sentences.push_back(std::move(hold));
  }
  tell_error(facts, line);
  return line;
}

}  // namespace whimbrel
