// Hears what a run tells of itself, passes it on, and keeps how far it is in a file for `status`.
//
// Threads: any thread may emit.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/events.h"
#include "report/headway.h"

namespace whimbrel {

class HeadwayKeeper final : public Events {
 public:
  HeadwayKeeper(Events& inner, Clock& clock) : inner_(inner), clock_(clock) {}
  void emit(const Event& event) override;
  // From now on, in this file.
  void keep(Course course, const std::string& path);

 private:
  void write();

  Events& inner_;
  Clock& clock_;
  std::mutex mutex_;
  std::optional<Course> course_;
  std::string path_;
  std::string doing_;  // as written last
  Milliseconds written_{0};
};

}  // namespace whimbrel
