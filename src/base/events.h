// Events, not prose: one event is one line with fixed keys; bars, logs and JSON are views of it.
//
// Row values stay out of events: they travel further than data may.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace whimbrel {

struct Event {
  using Field = std::variant<std::int64_t, double, bool, std::string>;
  std::string name;  // snake_case, past tense: "chunk_copied"
  std::vector<std::pair<std::string, Field>> fields;
};

class Events {
 public:
  virtual ~Events() = default;
  virtual void emit(const Event& event) = 0;  // any thread; must not fail
};

class NoEvents final : public Events {
 public:
  void emit(const Event&) override {}
};

}  // namespace whimbrel
