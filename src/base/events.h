// Events, not prose: one event is one line with fixed keys; bars, logs and JSON are views of it.
//
// Row values stay out of events: they travel further than data may. A part of the library's face.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace whimbrel {

// Something that happened in a migration, for whoever shows, counts or records it.
struct Event {
  // Counts are of rows, times are in milliseconds.
  using Field = std::variant<std::int64_t, double, bool, std::string>;
  std::string name;                                   // snake_case, past tense: "chunk_copied"
  std::vector<std::pair<std::string, Field>> fields;  // by name, in the order of the log

  // The value of a field; T{} where there is none of this name and type.
  template <class T>
  T value(std::string_view wanted) const {
    for (const auto& [field, held] : fields) {
      if (field == wanted && std::holds_alternative<T>(held)) return std::get<T>(held);
    }
    return T{};
  }
  // A count or a time; 0 where there is none of this name.
  std::int64_t whole(std::string_view field) const { return value<std::int64_t>(field); }
  // A name or a sentence; "" where there is none of this name.
  std::string text(std::string_view field) const { return value<std::string>(field); }
};

// Where events go.
class Events {
 public:
  virtual ~Events() = default;
  virtual void emit(const Event& event) = 0;  // any thread; must not fail
};

// Nowhere.
class NoEvents final : public Events {
 public:
  void emit(const Event&) override {}
};

}  // namespace whimbrel
