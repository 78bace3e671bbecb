#include "session/guard.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cutover/switch.h"
#include "journal/journal.h"
#include "plan/plan_file.h"
#include "report/json_text.h"

extern char** environ;  // NOLINT: POSIX

namespace whimbrel {

namespace {

constexpr const char* all_is_well = "done\n";

Error cannot_start(const char* what, int code) {
  return Error{ErrorCode::unavailable,
               fmt::format("the process that guards the hold cannot be started: {}: {}", what,
                           std::generic_category().message(code)),
               "without it the application would stay held if whimbrel were killed"};
}

// The runner's end.
class Guarded {
 public:
  Guarded(pid_t process, int pipe) : process_(process), pipe_(pipe) {}
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() {
    (void)tell(all_is_well);
    close(pipe_);
    int status = 0;
    while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
  }

  bool tell(const std::string& text) const {
    std::size_t at = 0;
    while (at < text.size()) {
      const ssize_t written = write(pipe_, text.data() + at, text.size() - at);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      at += static_cast<std::size_t>(written);
    }
    return true;
  }

 private:
  pid_t process_;
  int pipe_;
};

std::string to_text(const GuardOrders& orders) {
  return dumped({{"plan", orders.plan},
                 {"folder", orders.folder},
                 {"variables", orders.variables},
                 {"holds", orders.holds},
                 {"until_ms", orders.until.time_since_epoch().count()}}) +
         "\n";
}

std::optional<GuardOrders> from_text(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  GuardOrders orders;
  orders.plan = json.value("plan", "");
  orders.folder = json.value("folder", "");
  orders.variables = json.value("variables", orders.variables);
  orders.holds = json.value("holds", orders.holds);
  orders.until = TimePoint(Milliseconds(json.value("until_ms", std::int64_t{0})));
  return orders;
}

// What comes until the time is over or nobody is there any more.
class Orders {
 public:
  // A line without its end; nothing when there is none.
  std::optional<std::string> line(std::optional<TimePoint> until) {
    while (true) {
      if (const std::size_t end = read_.find('\n'); end != std::string::npos) {
        std::string line = read_.substr(0, end);
        read_.erase(0, end + 1);
        return line;
      }
      int patience = -1;
      if (until) {
        const auto left = *until - SystemClock().now();
        if (left.count() <= 0) return std::nullopt;
        patience = static_cast<int>(std::min<std::int64_t>(left.count(), 60'000));
      }
      pollfd input{STDIN_FILENO, POLLIN, 0};
      const int ready = poll(&input, 1, patience);
      if (ready < 0 && errno != EINTR) return std::nullopt;
      if (ready <= 0) continue;
      std::array<char, 4096> buffer{};
      const ssize_t size = read(STDIN_FILENO, buffer.data(), buffer.size());
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) return std::nullopt;
      read_.append(buffer.data(), static_cast<std::size_t>(size));
    }
  }

 private:
  std::string read_;
};

std::optional<SwitchPlan> plan_of(const SwitchEntry& entry, const std::string& name) {
  SwitchPlan plan;
  plan.name = name;
  if (entry.row) return std::nullopt;
  if (entry.setting) {
    std::visit([&](const auto& how) { plan.how = how; }, *entry.setting);
  } else {
    plan.how = entry.command;
  }
  return plan;
}

// A runner that still lives notes for itself that it holds nobody any more.
Status let_go(const GuardOrders& orders) {
  ASSIGN_OR_RETURN(const PlanSource source, read_plan(orders.plan));
  Diagnostics diagnostics(source.path, source.text);
  const PlanFile plan = parse_plan(source, orders.variables, diagnostics);
  if (!diagnostics.empty()) return diagnostics.error();
  SystemClock clock;
  ASSIGN_OR_RETURN(const auto journal, Journal::open(orders.folder + "/journal.db", clock));
  const bool is_alone = journal->lock_for_running().ok();
  Status first;
  for (std::size_t i = std::min(plan.holds.size(), orders.holds.size()); i-- > 0;) {
    const std::string id = "hold:" + orders.holds[i];
    const State state = journal->state();
    const Effect* effect = state.effect(id);
    const std::optional<SwitchPlan> hold = plan_of(plan.holds[i], orders.holds[i]);
    if (effect == nullptr || !hold) continue;
    Status back = make_switch(*hold, clock)->put_back(effect->undo);
    if (back.ok() && is_alone) back = journal->append(EffectUndone{id});
    if (!back.ok() && first.ok()) first = std::move(back);
  }
  if (first.ok() && is_alone && journal->state().effect("hold") != nullptr) {
    return journal->append(EffectUndone{"hold"});
  }
  return first;
}

}  // namespace

Result<std::shared_ptr<void>> start_guard(const std::string& program, const GuardOrders& orders) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return cannot_start("pipe", errno);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, ends[0], STDIN_FILENO);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // Whoever stops the runner at its terminal does not stop the guard.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  std::string name = "whimbrel";
  std::string verb = guard_verb;
  const std::array<char*, 3> words = {name.data(), verb.data(), nullptr};
  pid_t process = 0;
  const int failed =
      posix_spawn(&process, program.c_str(), &files, &attributes, words.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  close(ends[0]);
  if (failed != 0) {
    close(ends[1]);
    return cannot_start("posix_spawn", failed);
  }
  auto guarded = std::make_shared<Guarded>(process, ends[1]);
  if (!guarded->tell(to_text(orders))) return cannot_start("write", errno);
  return std::shared_ptr<void>(std::move(guarded));
}

int guard() {
  constexpr int tries_max = 30;
  constexpr Milliseconds pause{1'000};
  for (const int ignored : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) (void)std::signal(ignored, SIG_IGN);
  Orders input;
  const std::optional<std::string> text = input.line(std::nullopt);
  const std::optional<GuardOrders> orders = text ? from_text(*text) : std::nullopt;
  if (!orders) return 2;
  if (input.line(orders->until)) return 0;  // all is well
  for (int tries = 1; tries <= tries_max; ++tries) {
    if (let_go(*orders).ok()) return 0;
    SystemClock().sleep_for(pause);
  }
  return 1;
}

}  // namespace whimbrel
