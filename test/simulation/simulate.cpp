// whimbrel-simulate: lives many random histories and stops at the first broken promise.
//
//   whimbrel-simulate --schedules 20000 [--seed N]      that many, from this seed on
//   whimbrel-simulate --seed N                          this one, with its whole trace
//   whimbrel-simulate --hours H [--seed N]              for so long
//   whimbrel-simulate --known FILE                      the seeds that failed once
//   whimbrel-simulate --prefixes N [--seed N]           N plain histories, cut off at every record
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

// Each plain history dies once at every record, before it and after it is durable, and its next
// life goes on, or back: so each prefix of a journal is one that was resumed.
bool prefixes_of(std::uint64_t seed, std::int64_t& lived) {
  for (const bool go_back : {false, true}) {
    for (const bool before : {false, true}) {
      for (std::int64_t record = 1;; ++record, ++lived) {
        World world(seed);
        const std::optional<std::string> violation = world.live_cut({record, before}, go_back);
        if (violation) {
          for (const std::string& line : world.trace()) std::printf("  %s\n", line.c_str());
          std::printf("seed %llu, cut off %s record %lld, then %s: %s\n",
                      static_cast<unsigned long long>(seed), before ? "before" : "after",
                      static_cast<long long>(record), go_back ? "back" : "on", violation->c_str());
          return false;
        }
        if (!world.was_cut()) break;
      }
    }
  }
  return true;
}

int all_prefixes(std::uint64_t seed, std::int64_t histories) {
  std::int64_t lived = 0;
  for (std::int64_t i = 0; i < histories; ++i, ++seed) {
    if (!prefixes_of(seed, lived)) return report(lived, 1);
  }
  return report(lived, 0);
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
  std::int64_t prefixes = 0;
  std::string known;
  app.add_option("--seed", seed);
  app.add_option("--schedules", schedules);
  app.add_option("--hours", hours);
  app.add_option("--known", known);
  app.add_option("--prefixes", prefixes);
  CLI11_PARSE(app, argc, argv);
  if (!known.empty()) return known_seeds(known);
  if (prefixes > 0) return all_prefixes(seed, prefixes);
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
