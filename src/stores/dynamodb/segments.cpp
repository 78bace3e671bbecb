#include "stores/dynamodb/segments.h"

#include <fmt/format.h>

#include <algorithm>

namespace whimbrel::dynamodb {

namespace {
constexpr std::int64_t of_a_copy = 32;

bool is_at_end(const Value& place) { return place.kind() == Kind::boolean; }
}  // namespace

Segments::Segments(std::int64_t count) : places_(static_cast<std::size_t>(count) + 1) {
  places_[0] = Value::integer(count);
}

Segments::Segments(const std::optional<Row>& position) : Segments(of_a_copy) {
  const auto* total =
      position && position->size() > 1 ? position->front().get_if<std::int64_t>() : nullptr;
  if (total != nullptr && *total == std::ssize(*position) - 1) places_ = *position;
}

std::vector<std::size_t> Segments::open(std::size_t most) const {
  std::vector<std::size_t> all;
  for (std::size_t i = 1; i < places_.size() && all.size() < most; ++i) {
    if (!is_at_end(places_[i])) all.push_back(i - 1);
  }
  return all;
}

std::string Segments::members(std::size_t segment) const {
  std::string text = fmt::format(R"("Segment":{},"TotalSegments":{})", segment, places_.size() - 1);
  if (const auto* key = places_[segment + 1].get_if<std::string>()) {
    text += ",\"ExclusiveStartKey\":" + *key;
  }
  return text;
}

void Segments::go_on_from(std::size_t segment, const std::string& key) {
  places_[segment + 1] = key.empty() ? Value(Value::Storage(true)) : Value::text(key);
}

bool Segments::at_end() const { return std::all_of(places_.begin() + 1, places_.end(), is_at_end); }

std::optional<Row> Segments::position() const {
  return at_end() ? std::nullopt : std::optional(places_);
}

}  // namespace whimbrel::dynamodb
