// A program of the user's: `command:` to switch, `undo:` to go back, `state:` to look.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

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

// Reads until the program closes its output, or the time is up.
std::string collect(int pipe, pid_t child, std::chrono::steady_clock::time_point began,
                    Milliseconds at_most, bool& timed_out) {
  std::string output;
  char buffer[4096];
  while (true) {
    const Milliseconds left = at_most - elapsed_since(began);
    if (left.count() <= 0) {
      timed_out = true;
      kill(child, SIGKILL);
      return output;
    }
    pollfd waiting{pipe, POLLIN, 0};
    if (poll(&waiting, 1, static_cast<int>(left.count())) <= 0) continue;
    const ssize_t got = read(pipe, buffer, sizeof buffer);
    if (got <= 0) return output;
    output.append(buffer, static_cast<std::size_t>(got));
    if (output.size() > 2 * output_max) output.erase(0, output.size() - output_max);
  }
}

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
  const auto began = std::chrono::steady_clock::now();
  pid_t child = 0;
  const int failure = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (failure != 0) {
    close(ends[0]);
    return Error{ErrorCode::unavailable,
                 fmt::format("`{}` could not be started: {}", command[0], std::strerror(failure)),
                 "see that the program is there and may be carried out, then say the same again"};
  }
  bool timed_out = false;
  CommandOutcome outcome;
  outcome.output = collect(ends[0], child, began, at_most, timed_out);
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (timed_out) {
    return Error{
        ErrorCode::outcome_unknown,
        fmt::format("`{}` did not end within {}", join(command, " "), to_duration_text(at_most))};
  }
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

std::unique_ptr<Switch> make_command_switch(const CommandSwitch& plan) {
  return std::make_unique<CommandSwitchOn>(plan);
}

}  // namespace whimbrel
