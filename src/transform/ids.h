// Ids inside of values: computed from old ones, and found where they stand in texts, lists and
// maps.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "value/value.h"

namespace whimbrel {

// An id computed from another: SHA-256 over the parts as UTF-8, each behind its length as four
// bytes, the highest first. The same id every time, on every machine; nothing leads back.
enum class IdFormat {
  groups,  // two groups of eight in [0-9a-z]: each from eight bytes of the digest, modulo 36^8
  uuid,    // RFC 9562, version 8
  hex,     // 32 digits
};
struct IdRecipe {
  std::vector<std::optional<std::string>> parts;  // unset: the old id, as text
  IdFormat format = IdFormat::groups;
  std::string prefix;
};
// Null stays null. Errors: `refused` for a value that has no one text (a list, a map).
Result<Value> new_id(const IdRecipe& recipe, const Value& old);

// Where an id stands inside of a value: the names that lead to it, "[]" for each item of a list or
// set; and what the text there has before and behind it.
struct IdPlace {
  std::vector<std::string> steps;
  std::string prefix;
  std::string suffix;
  // Other texts around an id of the same value. What fits one of these stands in its place, not in
  // this one.
  std::vector<std::pair<std::string, std::string>> others = {};
  // Where else ids stand in the same value: a shape that one of these leads into is no other shape.
  std::vector<std::vector<std::string>> other_steps = {};

  bool is_whole_value() const { return steps.empty() && prefix.empty() && suffix.empty(); }
};

using ReplaceId = std::function<Result<Value>(const Value& old)>;
// The value with each id in that place replaced; null is no id, and what is not as the place says
// stays. In JSON that is kept as text every other byte stays as it is. Errors: `refused` for steps
// into a text that is no JSON; those of `replace`; where other shapes are refused, a list or a map
// where the steps end, or one where they expect the other: what stands in it would stay.
enum class OtherShapes { stay, are_refused };
Result<Value> with_ids_replaced(const IdPlace& place, const Value& value, const ReplaceId& replace,
                                OtherShapes others = OtherShapes::stay);
// As keys of the table that they lead to; `of_key` is what its keys are where the store tells
// numbers from texts, for an id inside a text is a text.
Result<std::vector<Value>> ids_in(const IdPlace& place, const Value& value, Kind of_key);
Value as_key(Value id, Kind of_key);

// "items[].product" as a column and steps. Errors: invalid_plan, in words that follow a place.
struct ColumnPath {
  std::string column;
  std::vector<std::string> steps;
};
Result<ColumnPath> column_path(std::string_view text);

}  // namespace whimbrel
