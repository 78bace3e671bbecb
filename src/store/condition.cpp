#include "store/condition.h"

#include <algorithm>
#include <cstdlib>
#include <optional>

namespace whimbrel {

namespace {

// Wide enough for every whole number of 64 bits.
std::optional<long double> number_of(const Value& value) {
  if (const auto* flag = value.get_if<bool>()) return *flag ? 1 : 0;
  if (const auto* number = value.get_if<std::int64_t>()) return static_cast<long double>(*number);
  if (const auto* real = value.get_if<double>()) return *real;
  if (const auto* decimal = value.get_if<Decimal>())
    return std::strtold(decimal->text.c_str(), nullptr);
  return std::nullopt;
}

// Below, equal or above zero; unset for values that have no order between them.
std::optional<int> order_of(const Value& a, const Value& b) {
  if (a.kind() == b.kind()) return compare(a, b);
  const auto left = number_of(a);
  const auto right = number_of(b);
  if (!left || !right) return std::nullopt;
  return *left < *right ? -1 : *left > *right ? 1 : 0;
}

}  // namespace

bool is_equal(const Value& a, const Value& b) {
  if (a.is_null() || b.is_null()) return a.is_null() && b.is_null();
  return order_of(a, b) == 0;
}

// A store that knows truth besides numbers means something else by `true` than by 1; to one that
// keeps truth in whole numbers it is a word for 1.
static bool is_wanted(const Value& value, const Value& wanted) {
  const bool is_truth = value.kind() == Kind::boolean;
  if (is_truth && wanted.kind() != Kind::boolean) return false;
  if (value.kind() == Kind::decimal && wanted.kind() == Kind::boolean) return false;
  return is_equal(value, wanted);
}

bool holds(const Condition& condition, const TableSchema& table, const Row& row) {
  const int at = table.column_index(condition.column);
  const Value none;
  const Value& value = at < 0 ? none : row[static_cast<std::size_t>(at)];
  const auto any = [&](auto test) { return std::ranges::any_of(condition.values, test); };
  const auto ordered = [&](auto test) {
    return any([&](const Value& limit) {
      const auto order = order_of(value, limit);
      return order && !value.is_null() && test(*order);
    });
  };
  switch (condition.is) {
    case Condition::Is::one_of:
      return any([&](const Value& one) { return is_wanted(value, one); });
    case Condition::Is::none_of:
      return !any([&](const Value& one) { return is_wanted(value, one); });
    case Condition::Is::at_least:
      return ordered([](int order) { return order >= 0; });
    case Condition::Is::above:
      return ordered([](int order) { return order > 0; });
    case Condition::Is::at_most:
      return ordered([](int order) { return order <= 0; });
    case Condition::Is::below:
      return ordered([](int order) { return order < 0; });
    case Condition::Is::begins_with:
      return any([&](const Value& one) {
        const auto* text = value.get_if<std::string>();
        const auto* begin = one.get_if<std::string>();
        return text != nullptr && begin != nullptr && text->starts_with(*begin);
      });
  }
  return false;
}

}  // namespace whimbrel
