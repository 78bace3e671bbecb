// Carries out a migration's plan: migrate PLAN. Ctrl-C ends it after the chunk it is in, and the
// same command goes on from there.
#include <csignal>
#include <cstdio>

#include "whimbrel/runner.h"

whimbrel::StopFlag stop;

void show(const whimbrel::Event& event) {
  if (event.name == "phase_entered") std::printf("%s\n", event.text("phase").c_str());
  if (event.name == "chunk_copied")
    std::printf("  %s: %lld rows\n", event.text("table").c_str(),
                static_cast<long long>(event.whole("rows")));
}

int tell(const whimbrel::Error& error) {
  std::fprintf(stderr, "%s\n", whimbrel::to_text(error).c_str());
  return error.code == whimbrel::ErrorCode::cancelled ? 130 : 1;
}

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: migrate PLAN\n"), 2;
  std::signal(SIGINT, [](int) { stop.request(); });
  const auto runner = whimbrel::Runner::open({.plan = argv[1], .observer = show, .stop = &stop});
  if (!runner.ok()) return tell(runner.error());
  const auto result = runner.value().run();
  if (!result.ok()) return tell(result.error());
  std::printf("%s\n", result.value().reason.c_str());
  return result.value().reached() ? 0 : 1;
}
