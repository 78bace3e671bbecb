#include "progress.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/counted.h"
#include "base/text.h"
#include "report/trail.h"

namespace whimbrel::cli {

namespace {

constexpr Milliseconds between_lines{2000};
constexpr Milliseconds between_draws{100};

nlohmann::json to_json(const Event& event) {
  nlohmann::json line = {{"event", event.name}};
  for (const auto& [name, field] : event.fields) {
    std::visit([&, key = name](const auto& value) { line[key] = value; }, field);
  }
  return line;
}

// What is worth a line of its own to a person who watches.
std::string sentence(const Event& event) {
  if (event.name == "phase_entered")
    return fmt::format("{}: {}", event.text("phase"), event.text("why"));
  if (event.name == "self_test_passed") {
    return fmt::format("tried one row on {}, rolled back: {}: ok", event.text("table"),
                       event.text("tried"));
  }
  if (event.name == "table_backed_up") {
    return fmt::format("backed up {}: {}", event.text("table"), rows_text(event.whole("rows")));
  }
  if (event.name == "archive_read_back") {
    return "the archive is in " + event.text("place") + ", and was read back";
  }
  if (event.name == "index_built") {
    return fmt::format("built an index of {} in {}", event.text("table"),
                       to_duration_text(Milliseconds(event.whole("ms"))));
  }
  if (event.name == "made_unlike") {
    return fmt::format("{} is not wholly like its model: {}", event.text("table"),
                       event.text("what"));
  }
  if (event.name == "verified") {
    return fmt::format("compared {} in {}: {} differ", rows_text(event.whole("rows")),
                       to_duration_text(Milliseconds(event.whole("ms"))),
                       with_thousands(event.whole("differing")));
  }
  if (event.name == "switch_flipped") return "switched: " + event.text("switch");
  if (event.name == "not_settled") {
    return fmt::format("not settled yet: {}{}{}; `whimbrel run` tries it again",
                       event.text("message"), event.text("hint").empty() ? "" : ": ",
                       event.text("hint"));
  }
  if (event.name == "transactions_left") {
    return fmt::format(
        "{} that began before the switch still open: what they write to the old "
        "side from now on is found by `whimbrel watch`",
        counted(event.whole("transactions"), "transaction"));
  }
  if (event.name == "put_right") {
    return "put right: " + rows_text(event.whole("rows")) + " without what they referred to";
  }
  if (event.name == "brought_back") {
    return rows_text(event.whole("rows")) + " as they were before they were put right";
  }
  if (event.name == "kept_stays_out") {
    return fmt::format(
        "{}: a row that a rollback has kept was not put back; rejected.jsonl says which and why, "
        "kept-by-rollback.jsonl.zst has it",
        event.text("table"));
  }
  if (event.name == "switch_put_back") return "put back: " + event.text("switch");
  if (event.name == "writers_held") {
    const std::string until = event.text("until");
    const bool is_long = event.whole("ms") >= 60'000 && until.size() > 19;
    if (!is_long) return "holding writers";
    const auto back = std::max(event.whole("back_ms"), std::int64_t{1000});
    return fmt::format(
        "holding writers: must switch by {} UTC, else it lets go; going back takes about {}",
        until.substr(11, 8), to_duration_text(Milliseconds(back / 1000 * 1000)));
  }
  if (event.name == "gave_way") {
    return fmt::format(
        "{}: {} of the old side gave way to what the new one has; what they were is "
        "in repaired.jsonl",
        event.text("table"), rows_text(event.whole("rows")));
  }
  if (event.name == "window_forecast") {
    const Milliseconds needs(event.whole("ms"));
    const Milliseconds left(event.whole("left_ms"));
    return fmt::format("the window: about {} to compare everything, and {} for it{}",
                       to_duration_text(std::max(needs, Milliseconds{1000})),
                       to_duration_text(left), needs > left ? ": it will hardly do" : "");
  }
  if (event.name == "hold_put_back") return "let go: " + event.text("hold");
  if (event.name == "retried")
    return fmt::format("trying again ({}{}{})", event.text("cause"),
                       event.text("hint").empty() ? "" : ": ", event.text("hint"));
  if (event.name == "capture_was_gone") {
    return "somebody removed triggers of ours, or rows were numbered anew: writes may have gone "
           "unnoticed; what is missing is made again, and every row is compared";
  }
  if (event.name == "references_resolve") {
    return fmt::format("{}: {} looked up on the new side", event.text("table"),
                       counted(event.whole("references"), "reference"));
  }
  if (event.name == "row_left_alone") {
    return event.text("table") +
           ": a row was changed by somebody since, and was left alone; rejected.jsonl "
           "names it";
  }
  if (event.name == "both_sides_wrote") {
    const bool old_stays = event.text("stays") == "old";
    return fmt::format(
        "{}: written on both sides since the switch; the {} side's version stays, "
        "rejected.jsonl names the rows{}",
        event.text("table"), event.text("stays"),
        old_stays ? ", and kept-by-rollback.jsonl.zst has the other version" : "");
  }
  if (event.name == "table_left") {
    if (event.value<bool>("another")) {
      return event.text("table") +
             ": it is another table than the one that was made here, and stays as it is";
    }
    const std::int64_t rows = event.whole("rows");
    return fmt::format("{}: it was made here, and {} of others {} in it: it stays with {}",
                       event.text("table"), rows_text(rows), rows == 1 ? "is" : "are",
                       rows == 1 ? "it" : "them");
  }
  if (event.name == "numbers_stay") {
    return fmt::format(
        "{}: what numbers its rows could not be moved behind those that came ({}): a row that the "
        "application inserts may get a number that is taken",
        event.text("table"), event.text("why"));
  }
  if (event.name == "table_gone") {
    return event.text("table") + ": somebody has dropped or renamed it: nothing is taken out of it";
  }
  if (event.name == "capacity_is_anothers") {
    const std::string index = event.text("index");
    return fmt::format("{}{}: somebody has set its capacity since the copy began: it stays so",
                       event.text("table"), index.empty() ? "" : " (" + index + ")");
  }
  if (event.name == "capacity_stays") {
    return fmt::format("{} keeps the capacity that it got for the copy; put it back by hand to {}",
                       event.text("table"), event.text("before"));
  }
  if (event.name == "effect_undone") {
    const std::string table = event.text("table");
    if (table.empty()) return "undone: " + effect_words(event.text("effect"));
    return fmt::format("undone: {} {}", event.value<bool>("was_there") ? "rows in" : "new table",
                       table);
  }
  return "";
}

}  // namespace

Progress::Progress(Settings settings, Clock& clock)
    : settings_(settings), clock_(clock), terminal_(isatty(2) == 1) {}

Progress::~Progress() {
  settle();
  if (log_ != nullptr) std::fclose(log_);
}

void Progress::expect(const std::string& table, std::int64_t rows, std::int64_t done) {
  const std::lock_guard lock(mutex_);
  Bar& bar = bars_[table];
  bar.total = rows;
  bar.rows = bar.started_at_rows = copied_before_[table] = done;
  bar.since = clock_.monotonic();
}

namespace {

int weight_of(const std::string& level) {
  const std::array<const char*, 4> levels = {"debug", "info", "warning", "error"};
  return static_cast<int>(std::ranges::find(levels, level) - levels.begin());
}

}  // namespace

void Progress::log_to(const std::string& path, const std::string& level) {
  log_from_ = weight_of(level);
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file >= 0) log_ = fdopen(file, "a");
}

void Progress::log(const std::string& level, const std::string& line) {
  if (log_ == nullptr || weight_of(level) < log_from_) return;
  std::fprintf(log_, "%s %s %s\n", to_iso8601(clock_.now()).c_str(), level.c_str(), line.c_str());
  std::fflush(log_);
}

void Progress::settle() {
  if (live_) std::fputs("\n", stderr);
  live_ = false;
}

std::string Progress::bar_text(const std::string& table, const Bar& bar) const {
  std::string line = fmt::format("{} {}: ", bar.doing, printable(table, 24));
  if (bar.total <= 0) return line + rows_text(bar.rows);
  line += with_thousands(bar.rows);
  const std::int64_t total = std::max(bar.total, bar.rows);  // it may have grown since
  const double share = static_cast<double>(bar.rows) / static_cast<double>(total);
  const auto filled = static_cast<std::size_t>(share * 16);
  std::string drawn;
  for (std::size_t i = 0; i < 16; ++i) drawn += i < filled ? "█" : "·";
  std::string text =
      fmt::format("{} of {} {} {:3.0f}%", line, with_thousands(total), drawn, share * 100);
  // A single chunk tells no rate.
  constexpr Milliseconds known_after{300};
  const Milliseconds took = clock_.monotonic() - bar.since;
  const std::int64_t rows = bar.rows - bar.started_at_rows;
  if (took < known_after || rows <= 0) return text;
  const double rate = static_cast<double>(rows) * 1000 / static_cast<double>(took.count());
  text += fmt::format(" {} rows/s", with_thousands(std::llround(rate)));
  if (bar.rows >= total) return text;
  const double left = static_cast<double>(total - bar.rows) / rate * 1000;
  return text + fmt::format(", {} left", to_duration_text(Milliseconds(std::llround(left))));
}

void Progress::draw(const std::string& table, Bar& bar, bool last) {
  if (settings_.quiet || settings_.json) return;
  const Milliseconds now = clock_.monotonic();
  if (!last && now - bar.told < (terminal_ ? between_draws : between_lines)) return;
  bar.told = now;
  const std::string line = bar_text(table, bar);
  if (!terminal_) {
    std::fprintf(stderr, "%s\n", line.c_str());
    return;
  }
  std::fprintf(stderr, "\r\x1b[2K%s", line.c_str());
  live_ = true;
  if (last) settle();
}

void Progress::count(const std::string& table, const std::string& doing, std::int64_t rows,
                     bool add) {
  Bar& bar = bars_[table];
  if (doing == "copying" && bar.doing == "reading") bar.rows = copied_before_[table];
  if (bar.doing != doing) {
    const std::int64_t total = bar.total;
    const std::int64_t done = add ? bar.rows : 0;
    if (!bar.doing.empty() && live_) settle();
    bar = Bar{doing, done, total, done, clock_.monotonic(), Milliseconds(-1'000'000), false};
  }
  bar.rows = add ? bar.rows + rows : rows;
  const bool last = bar.total > 0 && bar.rows >= bar.total && !bar.ended;
  bar.ended = bar.ended || last;
  draw(table, bar, last);
}

void Progress::emit(const Event& event) {
  const std::lock_guard lock(mutex_);
  const std::string line =
      to_json(event).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  log("info", line);
  if (settings_.json) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
    return;
  }
  const std::string table = event.text("table");
  if (event.name == "chunk_copied") return count(table, "copying", event.whole("rows"), true);
  if (event.name == "chunk_verified") return count(table, "comparing", event.whole("rows"), false);
  if (event.name == "analyzed") return count(table, "reading", event.whole("rows"), false);
  const std::string said = sentence(event);
  if (said.empty() || settings_.quiet) return;
  settle();
  std::fprintf(stderr, "%s\n", said.c_str());
}

}  // namespace whimbrel::cli
