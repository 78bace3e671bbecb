#include "report/trail.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace whimbrel {

namespace {

using LineKind = TrailLine::Kind;

constexpr std::size_t lines_first = 120;
constexpr std::size_t lines_last = 380;

std::string plural(std::int64_t number, const char* thing, const char* things) {
  return fmt::format("{} {}", with_thousands(number), number == 1 ? thing : things);
}

std::string decision_text(const OperatorDecided& decided) {
  if (decided.value.empty()) return "a person asked for: " + decided.what;
  return fmt::format("a person asked for: {} {}", decided.what, decided.value);
}

}  // namespace

std::string to_clock_text(TimePoint time) { return to_iso8601(time).substr(11, 8); }

std::string to_day_text(TimePoint time) {
  constexpr std::array<const char*, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  return fmt::format("{} {} {}, {} UTC", static_cast<unsigned>(date.day()),
                     months.at((static_cast<unsigned>(date.month()) + 11) % 12),
                     static_cast<int>(date.year()), to_clock_text(time));
}

std::string effect_words(const std::string& id) {
  const std::size_t colon = id.find(':');
  const std::string kind = id.substr(0, colon);
  const std::string which = colon == std::string::npos ? "" : id.substr(colon + 1);
  if (kind == "backup") return "backup of the tables";
  if (kind == "claim") return "mark in the databases that says which journal drives them";
  if (kind == "links") return "triggers that keep both sides equal";
  if (kind == "feed") {
    return std::string("log of changed keys of the ") +
           (which.starts_with("backward") ? "new side" : "old side");
  }
  if (kind == "prepared") return "preparation";
  if (kind == "indexes") return "copy with its indexes";
  if (kind == "hold") return "hold of the writers";
  if (kind == "switch") return "switch " + which;
  if (kind == "switched") return "switch-over";
  if (kind == "archive") return "archive of the old tables";
  if (kind == "archive_dropped") return "removal of the archive";
  if (kind == "restored") return "old tables of " + which + " brought back";
  if (kind == "target") return "new table";
  if (kind == "capacity") {
    return std::string("raised capacity of ") +
           (which.starts_with("source") ? "an old table" : "a new table");
  }
  return id;
}

std::string effect_words(const Effect& effect, const std::vector<std::string>& targets) {
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (effect.id != fmt::format("target:{}", i)) continue;
    const bool was_there = effect.undo.find("\"made\":false") != std::string::npos;
    return (was_there ? "rows in " : "new table ") + targets[i];
  }
  return effect_words(effect.id);
}

std::string in_one_line(std::string_view message) {
  std::string line;
  for (const char c : message) {
    const bool is_blank = c == '\n' || c == ' ';
    if (!is_blank) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

std::string TrailTeller::effect_text(const std::string& id) const {
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    if (id == fmt::format("target:{}", i)) return "table " + targets_[i];
  }
  return effect_words(id);
}

void TrailTeller::push(TrailLine line) {
  if (trail_.lines.size() < lines_first) {
    trail_.lines.push_back(std::move(line));
  } else if (newest_.size() < lines_last) {
    newest_.push_back(std::move(line));
  } else {
    newest_[oldest_] = std::move(line);
    oldest_ = (oldest_ + 1) % lines_last;
    ++trail_.left_out;
  }
}

void TrailTeller::add(TrailLine::Kind kind, const Stamped& stamped, std::string text) {
  end_progress();
  push({kind, stamped.number, stamped.number, stamped.at, stamped.at, std::move(text)});
}

bool TrailTeller::hear_progress(const Stamped& stamped) {
  Sum sum = sum_;
  if (const auto* chunk = std::get_if<ChunkCopied>(&stamped.record)) {
    ++sum.chunks;
    sum.rows += chunk->read;
    sum.written += chunk->written;
  } else if (const auto* changes = std::get_if<ChangesApplied>(&stamped.record)) {
    ++sum.batches;
    sum.changes += changes->changes;
  } else if (const auto* compared = std::get_if<ChunkVerified>(&stamped.record)) {
    ++sum.compared_tables;
    sum.compared += compared->rows;
    sum.differing += compared->differing;
  } else if (std::holds_alternative<RowRejected>(stamped.record)) {
    ++sum.rejected;
  } else {
    return false;
  }
  sum_ = sum;
  if (progress_.first == 0) {
    progress_ = {LineKind::progress, stamped.number, 0, stamped.at, stamped.at, ""};
  }
  progress_.last = stamped.number;
  progress_.to = stamped.at;
  return true;
}

void TrailTeller::end_progress() {
  if (progress_.first == 0) return;
  std::vector<std::string> parts;
  if (sum_.chunks > 0) {
    parts.push_back(fmt::format("{} copied: {} read, {} written",
                                plural(sum_.chunks, "chunk", "chunks"),
                                plural(sum_.rows, "row", "rows"), with_thousands(sum_.written)));
  }
  if (sum_.changes > 0) {
    parts.push_back(fmt::format("{} carried over in {}", plural(sum_.changes, "change", "changes"),
                                plural(sum_.batches, "batch", "batches")));
  } else if (sum_.batches > 0) {
    parts.push_back("a position in a log of changes noted");
  }
  if (sum_.rejected > 0) parts.push_back(plural(sum_.rejected, "row", "rows") + " set aside");
  if (sum_.compared_tables > 0) {
    parts.push_back(fmt::format(
        "{} compared: {}, {} differing", plural(sum_.compared_tables, "table", "tables"),
        plural(sum_.compared, "row", "rows"), with_thousands(sum_.differing)));
  }
  progress_.text = join(parts, "; ");
  push(std::move(progress_));
  progress_ = {};
  sum_ = {};
}

void TrailTeller::hear(const Stamped& stamped) {
  if (hear_progress(stamped)) return;
  const Record& record = stamped.record;
  if (const auto* accepted = std::get_if<PlanAccepted>(&record)) {
    targets_.clear();
    const auto about = nlohmann::json::parse(accepted->tables, nullptr, false);
    if (about.is_object() && about.contains("tables") && about["tables"].is_array()) {
      for (const auto& table : about["tables"]) {
        const bool named = table.is_object() && table.contains("to") && table["to"].is_string();
        targets_.push_back(named ? table["to"].get<std::string>() : "?");
      }
    }
    add(LineKind::attempt, stamped,
        fmt::format("attempt {} begins; digest of the plan {}", accepted->attempt,
                    accepted->digest));
  } else if (const auto* entered = std::get_if<PhaseEntered>(&record)) {
    add(LineKind::phase, stamped, fmt::format("{}: {}", name_of(entered->phase), entered->why));
  } else if (const auto* intended = std::get_if<EffectIntended>(&record)) {
    add(LineKind::effect, stamped, "begins: " + effect_text(intended->id));
  } else if (const auto* confirmed = std::get_if<EffectConfirmed>(&record)) {
    add(LineKind::effect, stamped, "done: " + effect_text(confirmed->id));
  } else if (const auto* undone = std::get_if<EffectUndone>(&record)) {
    add(LineKind::effect, stamped, "taken back: " + effect_text(undone->id));
  } else if (const auto* ended = std::get_if<VerifyEnded>(&record)) {
    add(LineKind::phase, stamped,
        fmt::format("comparison of {} ended after {}: {} compared, {} differing",
                    ended->full ? "every row" : "a sample",
                    to_duration_text(Milliseconds(ended->ms)), plural(ended->rows, "row", "rows"),
                    with_thousands(ended->differing)));
  } else if (const auto* check = std::get_if<CheckEnded>(&record)) {
    add(check->clean ? LineKind::phase : LineKind::failure, stamped,
        fmt::format("check after the switch: {} compared ({}), {}",
                    plural(check->rows, "row", "rows"), check->every_row ? "every row" : "a part",
                    check->clean ? "clean" : "not clean: " + check->why));
  } else if (const auto* decided = std::get_if<OperatorDecided>(&record)) {
    add(LineKind::decision, stamped, decision_text(*decided));
  } else if (const auto* failed = std::get_if<Failed>(&record)) {
    add(LineKind::failure, stamped,
        fmt::format("error {}{}", failed->code,
                    redact_ ? " (its message is left out)" : ": " + failed->message));
  } else if (const auto* closed = std::get_if<Closed>(&record)) {
    add(LineKind::end, stamped,
        closed->outcome == "rolled_back" ? "the attempt ended: rolled back"
                                         : "the attempt ended: " + closed->outcome);
  }
}

Trail TrailTeller::end() && {
  end_progress();
  trail_.shown_first = trail_.left_out > 0 ? trail_.lines.size() : 0;
  for (std::size_t i = 0; i < newest_.size(); ++i) {
    trail_.lines.push_back(std::move(newest_[(oldest_ + i) % newest_.size()]));
  }
  return std::move(trail_);
}

}  // namespace whimbrel
