#include "value/json_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "value/digits.h"

namespace whimbrel {

namespace {

using nlohmann::json;

Error no_json(const std::string& what) {
  return Error{ErrorCode::refused, what + " cannot be in a JSON document",
               "leave such values out, or correct them first"};
}

// Builds values from what nlohmann's parser meets; numbers by their text.
class Builder final : public json::json_sax_t {
 public:
  bool null() override { return add(Value()); }
  bool boolean(bool flag) override { return add(Value(Value::Storage(flag))); }
  bool number_integer(std::int64_t number) override { return add(Value::integer(number)); }
  bool number_unsigned(std::uint64_t number) override {
    if (std::in_range<std::int64_t>(number)) {
      return add(Value::integer(static_cast<std::int64_t>(number)));
    }
    return add(Value(Value::Storage(Decimal{fmt::format("{}", number)})));
  }
  bool number_float(double number, const std::string& text) override {
    const bool is_exact = std::isfinite(number) && json(number).dump() == text;
    return add(is_exact ? Value::real(number) : Value(Value::Storage(Decimal{text})));
  }
  bool string(std::string& text) override { return add(Value::text(text)); }
  bool binary(json::binary_t&) override { return false; }
  bool start_object(std::size_t) override {
    open_.push_back({true, {}, {}});
    return true;
  }
  bool key(std::string& name) override {
    open_.back().names.push_back(name);
    return true;
  }
  bool end_object() override {
    Open object = std::move(open_.back());
    open_.pop_back();
    Map map;
    for (std::size_t i = 0; i < object.values.size(); ++i) {
      map.fields.emplace_back(std::move(object.names[i]), std::move(object.values[i]));
    }
    std::ranges::stable_sort(map.fields, {}, &std::pair<std::string, Value>::first);
    // The last of each name stays.
    std::vector<std::pair<std::string, Value>> once;
    for (auto& field : map.fields) {
      if (!once.empty() && once.back().first == field.first) once.pop_back();
      once.push_back(std::move(field));
    }
    return add(Value(Value::Storage(Map{std::move(once)})));
  }
  bool start_array(std::size_t) override {
    open_.push_back({false, {}, {}});
    return true;
  }
  bool end_array() override {
    List list{std::move(open_.back().values)};
    open_.pop_back();
    return add(Value(Value::Storage(std::move(list))));
  }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override {
    return false;
  }
  std::optional<Value>& whole() { return whole_; }

 private:
  struct Open {
    bool is_object = false;
    std::vector<std::string> names;
    std::vector<Value> values;
  };
  bool add(Value value) {
    if (open_.empty()) {
      whole_ = std::move(value);
    } else {
      open_.back().values.push_back(std::move(value));
    }
    return true;
  }
  std::vector<Open> open_;
  std::optional<Value> whole_;
};

Status append(std::string& out, const Value& value);

Status append_text(std::string& out, const std::string& text) {
  const std::string quoted = json(text).dump(-1, ' ', false, json::error_handler_t::ignore);
  if (json::parse(quoted).get_ref<const std::string&>() != text) {
    return no_json("text that is not UTF-8");
  }
  out += quoted;
  return {};
}

struct Appender {
  std::string& out;
  Status operator()(const Null&) const { return word("null"); }
  Status operator()(const StatedNull&) const { return word("null"); }
  Status operator()(bool flag) const { return word(flag ? "true" : "false"); }
  Status operator()(std::int64_t number) const { return word(fmt::format("{}", number)); }
  Status operator()(double number) const {
    if (!std::isfinite(number)) return no_json("a number that is not finite");
    return word(json(number).dump());
  }
  Status operator()(const Decimal& decimal) const {
    if (!json::accept(decimal.text)) return no_json("the number " + decimal.text);
    return word(decimal.text);
  }
  Status operator()(const std::string& text) const { return append_text(out, text); }
  Status operator()(const Bytes&) const { return no_json("bytes"); }
  Status operator()(const Json& one) const {
    const std::optional<Value> parsed = value_of_json(one.text);
    return parsed ? append(out, *parsed) : append_text(out, one.text);
  }
  Status operator()(const List& list) const {
    out += '[';
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out += ',';
      TRY(append(out, list.items[i]));
    }
    return word("]");
  }
  Status operator()(const Map& map) const {
    out += '{';
    for (std::size_t i = 0; i < map.fields.size(); ++i) {
      if (i > 0) out += ',';
      TRY(append_text(out, map.fields[i].first));
      out += ':';
      TRY(append(out, map.fields[i].second));
    }
    return word("}");
  }
  template <Kind K>
  Status operator()(const SetOf<K>&) const {
    return no_json("a set");
  }
  template <Kind K>
  Status operator()(const TextOf<K>& one) const {  // a date and its like
    return append_text(out, one.text);
  }

 private:
  Status word(std::string_view text) const {
    out += text;
    return {};
  }
};

Status append(std::string& out, const Value& value) {
  return std::visit(Appender{out}, value.storage());
}

}  // namespace

std::optional<Value> value_of_json(std::string_view text) {
  Builder builder;
  if (!json::sax_parse(text, &builder)) return std::nullopt;
  return std::move(builder.whole());
}

namespace {

std::optional<Digits> digits_of(const Value& value) {
  if (const auto* number = value.get_if<std::int64_t>()) return Digits(fmt::format("{}", *number));
  if (const auto* real = value.get_if<double>()) return Digits(fmt::format("{}", *real));
  const auto* decimal = value.get_if<Decimal>();
  return decimal == nullptr ? std::nullopt : std::optional<Digits>(decimal->text);
}

}  // namespace

bool mean_the_same(const Value& one, const Value& other) {
  if (const auto* map = one.get_if<Map>()) {
    const auto* theirs = other.get_if<Map>();
    return theirs != nullptr &&
           std::ranges::equal(map->fields, theirs->fields, [](const auto& field, const auto& its) {
             return field.first == its.first && mean_the_same(field.second, its.second);
           });
  }
  if (const auto* list = one.get_if<List>()) {
    const auto* theirs = other.get_if<List>();
    return theirs != nullptr && std::ranges::equal(list->items, theirs->items, mean_the_same);
  }
  if (same(one, other)) return true;
  const std::optional<Digits> number = digits_of(one);
  return number && number == digits_of(other);
}

Result<std::string> json_text_of(const Value& value) {
  std::string out;
  TRY(append(out, value));
  return out;
}

}  // namespace whimbrel
