// A program of the user's: `command:` to switch, `undo:` to go back, `state:` to look.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>

#include "base/text.h"
#include "cutover/switch.h"

extern char** environ;

namespace whimbrel {

namespace {
constexpr Milliseconds command_timeout{60'000};
constexpr std::size_t output_max = 4000;

Milliseconds elapsed_since(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - began);
}

class Running {
 public:
  // Takes over both.
  Running(pid_t child, int pipe) : child_(child), pipe_(pipe) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { close(pipe_); }

  // Its exit status; nothing when the time was up, and it and all that it has started are ended.
  // What a program has left running in the background may keep the pipe open for ever: it is the
  // program itself whose end counts.
  std::optional<int> status_within(Milliseconds at_most) {
    const auto began = std::chrono::steady_clock::now();
    Milliseconds wait{1};
    while (true) {
      if (const std::optional<int> status = ended(WNOHANG)) {
        // No more than a pipe has room for: what runs on may print for ever.
        for (int reads = 0; reads < 16 && read_some(Milliseconds{0}); ++reads) {
        }
        return status;
      }
      const Milliseconds left = at_most - elapsed_since(began);
      if (left.count() <= 0) {
        kill(-child_, SIGKILL);
        ended(0);
        return std::nullopt;
      }
      wait = std::min(wait * 2, Milliseconds{50});
      if (!read_some(std::min(wait, left)) && is_closed_) {
        std::this_thread::sleep_for(std::min(wait, left));
      }
    }
  }
  std::string output() && { return std::move(output_); }

 private:
  std::optional<int> ended(int how) const {
    int status = 0;
    pid_t which = 0;
    do which = waitpid(child_, &status, how);
    while (which < 0 && errno == EINTR);
    return which == child_ ? std::optional(status) : std::nullopt;
  }
  // False when nothing came in this time, or nothing more will.
  bool read_some(Milliseconds at_most) {
    pollfd waiting{pipe_, POLLIN, 0};
    if (is_closed_ || poll(&waiting, 1, static_cast<int>(at_most.count())) <= 0) return false;
    char buffer[4096];
    const ssize_t got = read(pipe_, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) return false;
    is_closed_ = got <= 0;
    if (is_closed_) return false;
    output_.append(buffer, static_cast<std::size_t>(got));
    if (output_.size() > 2 * output_max) output_.erase(0, output_.size() - output_max);
    return true;
  }

  const pid_t child_;
  const int pipe_;
  bool is_closed_ = false;
  std::string output_;
};

class CommandSwitchOn final : public Switch {
 public:
  explicit CommandSwitchOn(const CommandSwitch& plan) : plan_(plan) {}

  Result<std::string> found() override { return std::string("{}"); }
  Result<SwitchState> state() override {
    if (plan_.state.empty()) return SwitchState::unknown;
    ASSIGN_OR_RETURN(const CommandOutcome outcome,
                     run_command(plan_.state, plan_.folder, command_timeout));
    if (outcome.exit_code == 0) return SwitchState::on;
    return outcome.exit_code == 1 ? SwitchState::off : SwitchState::unknown;
  }
  Status flip() override { return carry_out(plan_.run); }
  Status put_back(const std::string&) override { return carry_out(plan_.undo); }
  bool can_be_told_again() const override { return false; }
  std::string describe() const override {
    return masked(fmt::format("command {} (undo: {})", join(plan_.run, " "), join(plan_.undo, " ")),
                  plan_.secrets);
  }

 private:
  Status carry_out(const std::vector<std::string>& command) const {
    Result<CommandOutcome> ran = run_command(command, plan_.folder, command_timeout);
    if (!ran.ok())
      ran = Error{ran.error().code, masked(ran.error().message, plan_.secrets), ran.error().hint};
    if (!ran.ok() && ran.error().code == ErrorCode::unavailable) {
      // It was never started: nothing can have happened.
      Error error = std::move(ran).error();
      error.code = ErrorCode::refused;
      return error;
    }
    if (!ran.ok()) return std::move(ran).error();
    const CommandOutcome& outcome = ran.value();
    if (outcome.exit_code == 0) return {};
    return Error{ErrorCode::outcome_unknown,
                 masked(fmt::format("`{}` ended with exit code {}{}{}", join(command, " "),
                                    outcome.exit_code, outcome.output.empty() ? "" : ": ",
                                    printable(outcome.output, 300)),
                        plan_.secrets),
                 "a command that fails must have changed nothing, or `state:` must tell"};
  }
  const CommandSwitch& plan_;
};

}  // namespace

Result<CommandOutcome> run_command(const std::vector<std::string>& command,
                                   const std::string& folder, Milliseconds at_most) {
  int ends[2];
  if (command.empty() || pipe2(ends, O_CLOEXEC) != 0) {
    return Error{ErrorCode::unavailable, "a command could not be started"};
  }
  std::vector<char*> argv;
  for (const std::string& word : command)
    argv.push_back(const_cast<char*>(word.c_str()));  // NOLINT
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
  if (!folder.empty()) posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  // A group of its own: it ends as a whole, and a Ctrl-C that is meant for us does not cut it off.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t child = 0;
  const int failure = posix_spawnp(&child, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (failure != 0) {
    close(ends[0]);
    return Error{ErrorCode::unavailable,
                 fmt::format("`{}` could not be started: {}", command[0], std::strerror(failure)),
                 "see that the program is there and may be carried out, then say the same again"};
  }
  Running running(child, ends[0]);
  const std::optional<int> status = running.status_within(at_most);
  if (!status) {
    return Error{
        ErrorCode::outcome_unknown,
        fmt::format("`{}` did not end within {}", join(command, " "), to_duration_text(at_most))};
  }
  CommandOutcome outcome;
  outcome.exit_code = WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
  outcome.output = std::move(running).output();
  return outcome;
}

std::unique_ptr<Switch> make_command_switch(const CommandSwitch& plan) {
  return std::make_unique<CommandSwitchOn>(plan);
}

}  // namespace whimbrel
