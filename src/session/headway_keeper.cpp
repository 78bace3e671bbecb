#include "session/headway_keeper.h"

#include <cstdio>

namespace whimbrel {

namespace {
constexpr Milliseconds between_writes{500};
}

void HeadwayKeeper::keep(Course course, const std::string& path) {
  const std::lock_guard lock(mutex_);
  course_ = std::move(course);
  path_ = path;
  write();
}

void HeadwayKeeper::emit(const Event& event) {
  {
    const std::lock_guard lock(mutex_);
    if (course_) {
      const Milliseconds now = clock_.monotonic();
      course_->heard(event, now);
      const bool at_once = event.name == "request_carried_out" || event.name == "retried" ||
                           course_->headway(clock_.now(), now).doing != doing_;
      if (at_once || now - written_ >= between_writes) write();
    }
  }
  inner_.emit(event);
}

// Only looked at by whoever wants to know, so it need not survive anything; a reader never sees
// half of it.
void HeadwayKeeper::write() {
  written_ = clock_.monotonic();
  const Headway headway = course_->headway(clock_.now(), written_);
  doing_ = headway.doing;
  const std::string part = path_ + ".part";
  std::FILE* file = std::fopen(part.c_str(), "w");
  if (file == nullptr) return;
  const std::string text =
      to_json(headway).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const bool whole = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (std::fclose(file) == 0 && whole) (void)std::rename(part.c_str(), path_.c_str());
}

}  // namespace whimbrel
