// Events as a person reads them: bars on a terminal, a line now and then otherwise, one JSON object
// a line with --json; and every event in the log.
#pragma once

#include <chrono>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/events.h"

namespace whimbrel::cli {

class Progress final : public Events {
 public:
  struct Settings {
    bool json = false;
    bool quiet = false;
    bool color = true;
  };
  Progress(Settings settings, Clock& clock);
  ~Progress() override;

  void emit(const Event& event) override;
  // How many rows a table is known to have, for its bar and the time that is left.
  void expect(const std::string& table, std::int64_t rows, std::int64_t done);
  // Lines of lesser weight than `level` (debug, info, warning, error) are left out.
  void log_to(const std::string& path, const std::string& level);
  void log(const std::string& level, const std::string& text);
  // Ends the live line, so that what follows begins on a new one.
  void settle();

 private:
  struct Bar {
    std::string doing;
    std::int64_t rows = 0;
    std::int64_t total = 0;
    std::int64_t started_at_rows = 0;
    Milliseconds since{0};
    Milliseconds told{-1'000'000};
    bool ended = false;
  };
  void draw(const std::string& table, Bar& bar, bool last);
  std::string bar_text(const std::string& table, const Bar& bar) const;
  void count(const std::string& table, const std::string& doing, std::int64_t rows, bool add);

  Settings settings_;
  Clock& clock_;
  bool terminal_;
  bool live_ = false;
  std::FILE* log_ = nullptr;
  int log_from_ = 0;
  std::mutex mutex_;
  std::map<std::string, Bar> bars_;
  std::map<std::string, std::int64_t> copied_before_;  // by the lives before this one
};

}  // namespace whimbrel::cli
