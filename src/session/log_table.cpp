#include "session/log_table.h"

#include <map>

namespace whimbrel {

namespace {

// What goes on after a phase was entered; "" when that is nothing.
const std::map<std::string, std::string>& operations() {
  static const std::map<std::string, std::string> all = {
      {"planned", "backup"}, {"prepared", ""},
      {"copying", "copy"},   {"following", "verify"},
      {"verified", ""},      {"fenced", "switch"},
      {"watching", ""},      {"finishing", "finish"},
      {"finished", ""},      {"rolling_back", "rollback"},
      {"rolled_back", ""},
  };
  return all;
}

}  // namespace

void LogTable::write_to(std::shared_ptr<Store> store, std::string table) {
  const std::lock_guard lock(mutex_);
  store_ = std::move(store);
  table_ = std::move(table);
}

void LogTable::emit(const Event& event) {
  if (event.name == "phase_entered") {
    const std::string phase = event.text("phase");
    const auto next = operations().find(phase);
    if (next != operations().end()) {
      // What goes back from there has not ended well, whoever asked for it.
      if (phase == "rolling_back") {
        failed(event.text("why"));
      } else {
        complete(event.text("why"));
      }
      if (!next->second.empty()) begin(next->second);
    }
  }
  next_.emit(event);
}

void LogTable::begin(const std::string& operation) {
  const std::lock_guard lock(mutex_);
  operation_ = operation;
  started_ = clock_.now();
  line("running", "", false);
}

void LogTable::complete(const std::string& message) {
  const std::lock_guard lock(mutex_);
  if (operation_.empty()) return;
  line("completed", message, true);
  operation_.clear();
}

void LogTable::failed(const std::string& message) {
  const std::lock_guard lock(mutex_);
  if (operation_.empty()) return;
  line("failed", message, true);
  operation_.clear();
}

void LogTable::line(const std::string& status, const std::string& message, bool ended) {
  if (table_.empty()) return;
  LogLine one{operation_, status, message, started_, std::nullopt};
  if (ended) one.completed = clock_.now();
  const Status written = store_->log(table_, one);
  if (written.ok() || told_) return;
  told_ = true;
  next_.emit({"log_table_failed", {{"hint", written.error().message}}});
}

}  // namespace whimbrel
