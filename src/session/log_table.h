// What was done, as lines in a table that the plan names, beside events and log.
//
// A line an operation: it is begun when its phase is entered and ended by the next. What cannot be
// written there is told once and stops nothing: the journal is the record. Threads: any.
#pragma once

#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/events.h"
#include "store/store.h"

namespace whimbrel {

class LogTable final : public Events {
 public:
  // Every event goes on to `next`. Both, and `clock`, have to outlive it.
  LogTable(Events& next, Clock& clock) : next_(next), clock_(clock) {}
  // "" ends it.
  void write_to(std::shared_ptr<Store> store, std::string table);
  void emit(const Event& event) override;
  // What was under way has failed.
  void failed(const std::string& message);
  // As long as that was not entered as a phase: what the verb itself does.
  void begin(const std::string& operation);
  void complete(const std::string& message);

 private:
  void line(const std::string& status, const std::string& message, bool ended);

  Events& next_;
  Clock& clock_;
  std::mutex mutex_;
  std::shared_ptr<Store> store_;
  std::string table_;
  std::string operation_;
  TimePoint started_{};
  bool told_ = false;
};

}  // namespace whimbrel
