#include "progress.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "report/trail.h"

namespace whimbrel::cli {

namespace {

constexpr Milliseconds between_lines{2000};
constexpr Milliseconds between_draws{100};
constexpr Milliseconds between_headways{500};

nlohmann::json to_json(const Event& event) {
  nlohmann::json line = {{"event", event.name}};
  for (const auto& [name, field] : event.fields) {
    std::visit([&, key = name](const auto& value) { line[key] = value; }, field);
  }
  return line;
}

std::int64_t whole(const Event& event, const std::string& name) {
  for (const auto& [field, value] : event.fields) {
    if (field == name && std::holds_alternative<std::int64_t>(value))
      return std::get<std::int64_t>(value);
  }
  return 0;
}

std::string text(const Event& event, const std::string& name) {
  for (const auto& [field, value] : event.fields) {
    if (field == name && std::holds_alternative<std::string>(value))
      return std::get<std::string>(value);
  }
  return "";
}

// What is worth a line of its own to a person who watches.
std::string sentence(const Event& event) {
  if (event.name == "phase_entered")
    return fmt::format("{}: {}", text(event, "phase"), text(event, "why"));
  if (event.name == "self_test_passed") {
    return fmt::format("tried one row on {}, rolled back: {}: ok", text(event, "table"),
                       text(event, "tried"));
  }
  if (event.name == "table_backed_up") {
    return fmt::format("backed up {}: {} rows", text(event, "table"),
                       with_thousands(whole(event, "rows")));
  }
  if (event.name == "index_built") {
    return fmt::format("built an index of {} in {}", text(event, "table"),
                       to_duration_text(Milliseconds(whole(event, "ms"))));
  }
  if (event.name == "verified") {
    return fmt::format("compared {} rows in {}: {} differ", with_thousands(whole(event, "rows")),
                       to_duration_text(Milliseconds(whole(event, "ms"))),
                       with_thousands(whole(event, "differing")));
  }
  if (event.name == "switch_flipped") return "switched: " + text(event, "switch");
  if (event.name == "switch_put_back") return "put back: " + text(event, "switch");
  if (event.name == "writers_held") return "holding writers";
  if (event.name == "retried")
    return fmt::format("trying again ({}{}{})", text(event, "cause"),
                       text(event, "hint").empty() ? "" : ": ", text(event, "hint"));
  if (event.name == "effect_undone") return "undone: " + effect_words(text(event, "effect"));
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
  const double seconds = static_cast<double>((clock_.monotonic() - bar.since).count()) / 1000.0;
  const double rate =
      seconds > 0 ? static_cast<double>(bar.rows - bar.started_at_rows) / seconds : 0;
  std::string line =
      fmt::format("{} {}: {}", bar.doing, printable(table, 24), with_thousands(bar.rows));
  if (bar.total <= 0) return line + " rows";
  const double share =
      std::min(1.0, static_cast<double>(bar.rows) / static_cast<double>(bar.total));
  const auto filled = static_cast<std::size_t>(share * 16);
  std::string drawn;
  for (std::size_t i = 0; i < 16; ++i) drawn += i < filled ? "█" : "·";
  const auto left = static_cast<std::int64_t>(
      rate > 0 ? static_cast<double>(std::max<std::int64_t>(0, bar.total - bar.rows)) / rate * 1000
               : 0);
  return fmt::format("{} of {} {} {:3.0f}% {} rows/s, {} left, lag 0", line,
                     with_thousands(bar.total), drawn, share * 100,
                     with_thousands(static_cast<std::int64_t>(rate)),
                     to_duration_text(Milliseconds(left)));
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

void Progress::keep_headway(Course course, const std::string& path) {
  const std::lock_guard lock(mutex_);
  course_ = std::move(course);
  headway_path_ = path;
  write_headway(true);
}

// Only looked at by whoever wants to know, so it need not survive anything; a reader never sees
// half of it.
void Progress::write_headway(bool at_once) {
  const Milliseconds now = clock_.monotonic();
  if (!at_once && now - headway_written_ < between_headways) return;
  const Headway headway = course_->headway(clock_.now(), now);
  headway_written_ = now;
  headway_doing_ = headway.doing;
  const std::string part = headway_path_ + ".part";
  std::FILE* file = std::fopen(part.c_str(), "w");
  if (file == nullptr) return;
  const std::string text =
      to_json(headway).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (std::fclose(file) == 0 && written) (void)std::rename(part.c_str(), headway_path_.c_str());
}

void Progress::emit(const Event& event) {
  const std::lock_guard lock(mutex_);
  if (course_) {
    course_->heard(event, clock_.monotonic());
    const bool asked = event.name == "request_carried_out" || event.name == "retried";
    write_headway(asked ||
                  course_->headway(clock_.now(), clock_.monotonic()).doing != headway_doing_);
  }
  const std::string line =
      to_json(event).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  log("info", line);
  if (settings_.json) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
    return;
  }
  const std::string table = text(event, "table");
  if (event.name == "chunk_copied") return count(table, "copying", whole(event, "rows"), true);
  if (event.name == "chunk_verified") return count(table, "comparing", whole(event, "rows"), false);
  if (event.name == "analyzed") return count(table, "reading", whole(event, "rows"), false);
  const std::string said = sentence(event);
  if (said.empty() || settings_.quiet) return;
  settle();
  std::fprintf(stderr, "%s\n", said.c_str());
}

}  // namespace whimbrel::cli
