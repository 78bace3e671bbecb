// How far a scan in segments has come: a place in each. How many segments there are is part of it,
// because a key from another layout would be taken without a word and leave items out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "value/value.h"

namespace whimbrel::dynamodb {

constexpr std::size_t scans_at_once = 8;

class Segments {
 public:
  // So many, from the beginning.
  explicit Segments(std::int64_t count);
  // From what position() gave; from the beginning where that was of another layout.
  explicit Segments(const std::optional<Row>& position);
  // The first that are not at their end, at most so many.
  std::vector<std::size_t> open(std::size_t most) const;
  // What a Scan of this one says besides: `"Segment":…`.
  std::string members(std::size_t segment) const;
  // The LastEvaluatedKey that it gave, as JSON; "" at its end.
  void go_on_from(std::size_t segment, const std::string& key);
  bool at_end() const;
  // Unset when all are at their end.
  std::optional<Row> position() const;

 private:
  Row places_;  // their number, then for each: nothing, a key's JSON, or `true` at its end
};

}  // namespace whimbrel::dynamodb
