// whimbrel-simulate: lives many random histories and stops at the first broken promise.
//
//   whimbrel-simulate --schedules 20000 [--seed N]      that many, from this seed on
//   whimbrel-simulate --seed N                          this one, with its whole trace
//   whimbrel-simulate --hours H [--seed N]              for so long
//   whimbrel-simulate --known FILE                      the seeds that failed once
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>

#include "world.h"

namespace whimbrel::simulation {
namespace {

bool live_one(std::uint64_t seed, bool tell) {
  World world(seed);
  const std::optional<std::string> violation = world.live();
  if (!violation && !tell) return true;
  for (const std::string& line : world.trace()) std::printf("  %s\n", line.c_str());
  if (violation) {
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), violation->c_str());
  }
  return !violation;
}

int report(std::int64_t lived, std::int64_t failed) {
  std::printf("%lld histories, %lld broken\n", static_cast<long long>(lived),
              static_cast<long long>(failed));
  return failed == 0 ? 0 : 1;
}

int known_seeds(const std::string& file) {
  std::ifstream in(file);
  if (!in) {
    std::printf("%s cannot be read\n", file.c_str());
    return 2;
  }
  std::int64_t lived = 0;
  std::int64_t failed = 0;
  std::string line;
  while (std::getline(in, line)) {
    if (line.empty() || line.front() == '#') continue;
    ++lived;
    failed += live_one(std::stoull(line), false) ? 0 : 1;
  }
  return report(lived, failed);
}

}  // namespace
}  // namespace whimbrel::simulation

int main(int argc, char** argv) {
  using namespace whimbrel::simulation;
  CLI::App app("lives random histories of a migration");
  std::uint64_t seed = 1;
  std::int64_t schedules = 0;
  double hours = 0;
  std::string known;
  app.add_option("--seed", seed);
  app.add_option("--schedules", schedules);
  app.add_option("--hours", hours);
  app.add_option("--known", known);
  CLI11_PARSE(app, argc, argv);
  if (!known.empty()) return known_seeds(known);
  if (schedules == 0 && hours == 0) return live_one(seed, true) ? 0 : 1;
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::milliseconds(static_cast<std::int64_t>(hours * 3'600'000));
  std::int64_t lived = 0;
  while (hours > 0 ? std::chrono::steady_clock::now() < end : lived < schedules) {
    if (!live_one(seed, false)) return report(lived + 1, 1);
    ++lived;
    ++seed;
  }
  return report(lived, 0);
}
