#include "transform/ids.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <span>

#include "base/sha256.h"
#include "base/text.h"
#include "transform/expr.h"

namespace whimbrel {

namespace {

constexpr std::string_view each_item = "[]";

std::string length_of(std::string_view part) {
  const auto size = static_cast<std::uint32_t>(part.size());
  return {static_cast<char>(size >> 24), static_cast<char>(size >> 16),
          static_cast<char>(size >> 8), static_cast<char>(size)};
}

// Eight digits of a number that eight bytes make.
std::string group_of_eight(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::uint64_t number = 0;
  for (const char c : bytes) number = number << 8 | static_cast<unsigned char>(c);
  std::string text(8, '0');
  for (auto at = text.rbegin(); at != text.rend(); ++at) {
    *at = digits[number % digits.size()];
    number /= digits.size();
  }
  return text;
}

std::string formatted_id(std::string bytes, IdFormat format) {
  if (format == IdFormat::groups) {
    const std::string_view all = bytes;
    return group_of_eight(all.substr(0, 8)) + "-" + group_of_eight(all.substr(8, 8));
  }
  if (format == IdFormat::uuid) {
    bytes[6] = static_cast<char>((static_cast<unsigned char>(bytes[6]) & 0x0f) | 0x80);
    bytes[8] = static_cast<char>((static_cast<unsigned char>(bytes[8]) & 0x3f) | 0x80);
  }
  std::string hex = to_hex(std::string_view(bytes).substr(0, 16));
  if (format == IdFormat::hex) return hex;
  for (const int at : {20, 16, 12, 8}) hex.insert(static_cast<std::size_t>(at), "-");
  return hex;
}

using Steps = std::span<const std::string>;

// Whether there is something between the two.
bool stands_between(const std::string& prefix, const std::string& text, const std::string& suffix) {
  return text.size() > prefix.size() + suffix.size() && text.starts_with(prefix) &&
         text.ends_with(suffix);
}

// What stands in the place itself: a whole value, or the inner part of a text.
Result<Value> replaced_here(const IdPlace& place, const Value& value, const ReplaceId& replace) {
  if (value.is_null()) return value;
  const auto* text = value.get_if<std::string>();
  const bool is_elsewhere =
      text != nullptr && std::ranges::any_of(place.others, [&](const auto& other) {
        return stands_between(other.first, *text, other.second);
      });
  if (is_elsewhere) return value;
  if (place.prefix.empty() && place.suffix.empty()) return replace(value);
  if (text == nullptr || !stands_between(place.prefix, *text, place.suffix)) return value;
  const std::size_t around = place.prefix.size() + place.suffix.size();
  const Value inner = Value::text(text->substr(place.prefix.size(), text->size() - around));
  ASSIGN_OR_RETURN(const Value made, replace(inner));
  if (made.is_null()) return made;
  ASSIGN_OR_RETURN(const std::string id, faithful_text_of(made));
  return Value::text(place.prefix + id + place.suffix);
}

Error another_shape(const char* found, bool is_the_end) {
  return Error{
      ErrorCode::refused,
      fmt::format("the path leads to a {}, and what stands in it would stay as it is", found),
      is_the_end ? "lead the path to what stands inside: `.name` or `[]` behind it"
                 : "say `[]` for a list and `.name` for a map, where the path meets it",
      "",
      {fmt::format("a path that meets a {}", found)},
      ""};
}

// Whether a list or a map that stands before the last `left` of the steps is one that the place
// does not lead into, nor another of its value.
bool is_another_shape(const IdPlace& place, std::size_t left, bool is_list) {
  const auto leads_into = [&](const std::vector<std::string>& steps, std::size_t at) {
    return at < steps.size() && is_list == (steps[at] == each_item);
  };
  const std::size_t taken = place.steps.size() - left;
  const auto begins_alike = [&](const std::vector<std::string>& steps) {
    return steps.size() >= taken &&
           std::equal(place.steps.begin(), place.steps.begin() + std::ptrdiff_t(taken),
                      steps.begin());
  };
  return !leads_into(place.steps, taken) &&
         std::ranges::none_of(place.other_steps, [&](const auto& steps) {
           return begins_alike(steps) && leads_into(steps, taken);
         });
}

// Copies valid JSON byte by byte, but for the values that the steps lead to.
class JsonCopier {
 public:
  JsonCopier(std::string_view text, const IdPlace& place, const ReplaceId& replace,
             OtherShapes others)
      : text_(text), place_(place), replace_(replace), others_(others) {}

  Result<std::string> copy() {
    TRY(value(place_.steps, true, 0));
    space();
    return std::move(out_);
  }

 private:
  char next() const { return text_[at_]; }
  void take() { out_ += text_[at_++]; }
  void space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(next()) != std::string::npos) {
      take();
    }
  }

  std::string_view token() {
    const std::size_t begin = at_;
    if (next() == '"') {
      ++at_;
      while (next() != '"') at_ += next() == '\\' ? 2 : 1;
      ++at_;
    } else {
      while (at_ < text_.size() &&
             std::string_view(",]} \t\r\n").find(next()) == std::string::npos) {
        ++at_;
      }
    }
    return text_.substr(begin, at_ - begin);
  }

  Status value(Steps steps, bool leads_here, int depth) {
    constexpr int depth_max = 1000;
    space();
    if (depth > depth_max) {
      return Error{ErrorCode::refused, fmt::format("a JSON text nested deeper than {}", depth_max)};
    }
    if (next() == '{') return members('}', steps, leads_here, depth);
    if (next() == '[') return members(']', steps, leads_here, depth);
    const std::string_view raw = token();
    if (!leads_here || !steps.empty()) {
      out_ += raw;
      return {};
    }
    const Value old = scalar(raw);
    ASSIGN_OR_RETURN(const Value made, replaced_here(place_, old, replace_));
    if (same(made, old)) {
      out_ += raw;
      return {};
    }
    ASSIGN_OR_RETURN(const std::string written, as_json(made));
    out_ += written;
    return {};
  }

  Status members(char end, Steps steps, bool leads_here, int depth) {
    const bool is_list = end == ']';
    take();
    space();
    if (leads_here && next() != end && others_ == OtherShapes::are_refused &&
        is_another_shape(place_, steps.size(), is_list)) {
      return another_shape(is_list ? "list" : "map", steps.empty());
    }
    while (next() != end) {
      bool goes_on = leads_here && !steps.empty() && is_list && steps.front() == each_item;
      if (!is_list) {
        const std::string_view raw = token();
        out_ += raw;
        goes_on = leads_here && !steps.empty() &&
                  nlohmann::json::parse(raw).get<std::string>() == steps.front();
        space();
        take();  // the colon
      }
      TRY(value(goes_on ? steps.subspan(1) : steps, goes_on, depth + 1));
      space();
      if (next() == ',') {
        take();
        space();
      }
    }
    take();
    return {};
  }

  static Value scalar(std::string_view raw) {
    if (raw.front() == '"') {
      return Value::text(nlohmann::json::parse(raw).get<std::string>());
    }
    if (raw == "null") return {};
    std::int64_t number = 0;
    const auto [end, failure] = std::from_chars(raw.data(), raw.data() + raw.size(), number);
    const bool is_integer = failure == std::errc() && end == raw.data() + raw.size();
    return is_integer ? Value::integer(number) : Value::text(raw);
  }

  static Result<std::string> as_json(const Value& value) {
    if (value.is_null()) return std::string("null");
    if (const auto* number = value.get_if<std::int64_t>()) return fmt::format("{}", *number);
    ASSIGN_OR_RETURN(const std::string text, faithful_text_of(value));
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  const IdPlace& place_;
  const ReplaceId& replace_;
  OtherShapes others_;
  std::string out_;
};

Result<std::string> in_json(const IdPlace& place, const std::string& text, const ReplaceId& replace,
                            OtherShapes others) {
  // The parser would pass over a mark of byte order, and end at a NUL.
  const bool has_more = text.starts_with("\xEF\xBB\xBF") || text.find('\0') != std::string::npos;
  if (has_more || !nlohmann::json::accept(text)) {
    return Error{ErrorCode::refused,         "a text that is no JSON: " + printable(text),
                 "correct such rows first",  "",
                 {"a text that is no JSON"}, ""};
  }
  return JsonCopier(text, place, replace, others).copy();
}

// Of numbers one of texts, where the new ids are texts.
Result<Value> in_set(const IdPlace& place, const std::vector<std::string>& members, bool numbers,
                     const ReplaceId& replace) {
  std::vector<std::string> made;
  bool are_numbers = numbers;
  for (const std::string& member : members) {
    const Value old = numbers ? Value(Value::Storage(Decimal{member})) : Value::text(member);
    ASSIGN_OR_RETURN(const Value one, replaced_here(place, old, replace));
    if (one.is_null()) continue;  // a set holds no null
    are_numbers =
        are_numbers && (one.kind() == Kind::decimal || one.get_if<std::int64_t>() != nullptr);
    ASSIGN_OR_RETURN(std::string text, faithful_text_of(one));
    made.push_back(std::move(text));
  }
  std::ranges::sort(made);
  const auto repeated = std::ranges::unique(made);
  made.erase(repeated.begin(), repeated.end());
  if (made.empty()) return Value();  // no store of sets has an empty one
  return are_numbers ? Value(Value::Storage(NumberSet{std::move(made)}))
                     : Value(Value::Storage(TextSet{std::move(made)}));
}

Result<Value> in_structure(const IdPlace& place, Steps steps, const Value& value,
                           const ReplaceId& replace, OtherShapes others) {
  const bool items = !steps.empty() && steps.front() == each_item;
  const auto* a_map = value.get_if<Map>();
  const auto* a_list = value.get_if<List>();
  const bool holds_any =
      (a_map != nullptr && !a_map->fields.empty()) || (a_list != nullptr && !a_list->items.empty());
  if (holds_any && !place.steps.empty() && others == OtherShapes::are_refused &&
      is_another_shape(place, steps.size(), a_list != nullptr)) {
    return another_shape(a_list != nullptr ? "list" : "map", steps.empty());
  }
  if (steps.empty()) return replaced_here(place, value, replace);
  if (a_map != nullptr && !items) {
    Map made = *a_map;
    for (auto& [name, field] : made.fields) {
      if (name != steps.front()) continue;
      ASSIGN_OR_RETURN(field, in_structure(place, steps.subspan(1), field, replace, others));
    }
    return Value(Value::Storage(std::move(made)));
  }
  if (a_list != nullptr && items) {
    List made = *a_list;
    for (Value& item : made.items) {
      ASSIGN_OR_RETURN(item, in_structure(place, steps.subspan(1), item, replace, others));
    }
    return Value(Value::Storage(std::move(made)));
  }
  if (items && steps.size() == 1) {
    if (const auto* set = value.get_if<TextSet>()) {
      return in_set(place, set->members, false, replace);
    }
    if (const auto* set = value.get_if<NumberSet>()) {
      return in_set(place, set->members, true, replace);
    }
  }
  return value;
}

}  // namespace

Result<Value> new_id(const IdRecipe& recipe, const Value& old) {
  if (old.is_null()) return old;
  if (old.kind() == Kind::bytes) {
    return Error{ErrorCode::refused,
                 "an id of bytes cannot get a new one: ids are computed from texts and numbers",
                 "say `id: keep` for this table",
                 "",
                 {"an id of bytes"},
                 ""};
  }
  ASSIGN_OR_RETURN(const std::string text, faithful_text_of(old));
  std::string hashed;
  for (const std::optional<std::string>& part : recipe.parts) {
    const std::string& one = part ? *part : text;
    hashed += length_of(one) + one;
  }
  return Value::text(recipe.prefix + formatted_id(sha256(hashed), recipe.format));
}

Result<Value> with_ids_replaced(const IdPlace& place, const Value& value, const ReplaceId& replace,
                                OtherShapes others) {
  if (value.is_null()) return value;
  if (!place.steps.empty()) {
    if (const auto* json = value.get_if<Json>()) {
      ASSIGN_OR_RETURN(std::string text, in_json(place, json->text, replace, others));
      return Value::json(std::move(text));
    }
    if (const auto* text = value.get_if<std::string>()) {
      ASSIGN_OR_RETURN(const std::string made, in_json(place, *text, replace, others));
      return Value::text(made);
    }
  }
  return in_structure(place, place.steps, value, replace, others);
}

Value as_key(Value id, Kind kind) {
  const auto* text = id.get_if<std::string>();
  if (text == nullptr || kind != Kind::decimal || text->empty()) return id;
  const std::string_view number = std::string_view(*text).substr(text->front() == '-' ? 1 : 0);
  const std::size_t point = std::min(number.find('.'), number.size());
  const std::string_view whole = number.substr(0, point);
  const auto are_digits = [](std::string_view digits) {
    return !digits.empty() && digits.find_first_not_of("0123456789") == digits.npos;
  };
  // As a number is spelled and in no other way: `007` and `2.50` are texts.
  const bool has_fraction = point < number.size();
  const bool is_plain =
      are_digits(whole) && (whole.front() != '0' || whole == "0") && *text != "-0" &&
      (!has_fraction || (are_digits(number.substr(point + 1)) && number.back() != '0'));
  return is_plain ? Value(Value::Storage(Decimal{*text})) : id;
}

Result<std::vector<Value>> ids_in(const IdPlace& place, const Value& value, Kind of_key) {
  std::vector<Value> ids;
  const ReplaceId note = [&](const Value& id) -> Result<Value> {
    ids.push_back(as_key(id, of_key));
    return id;
  };
  TRY(with_ids_replaced(place, value, note));
  return ids;
}

Result<ColumnPath> column_path(std::string_view text) {
  ColumnPath path;
  std::size_t at = std::min(text.find_first_of(".["), text.size());
  path.column = text.substr(0, at);
  const auto wrong = [&] {
    return Error{ErrorCode::invalid_plan,
                 fmt::format("`{}` is no path", printable(std::string(text))),
                 "a column, then `.name` for a field and `[]` for each item of a list, like "
                 "items[].product_id"};
  };
  if (path.column.empty()) return wrong();
  while (at < text.size()) {
    if (text.substr(at).starts_with(each_item)) {
      path.steps.emplace_back(each_item);
      at += each_item.size();
      continue;
    }
    if (text[at] != '.') return wrong();
    const std::size_t end = std::min(text.find_first_of(".[", at + 1), text.size());
    const std::string_view name = text.substr(at + 1, end - at - 1);
    if (name.empty()) return wrong();
    path.steps.emplace_back(name);
    at = end;
  }
  return path;
}

}  // namespace whimbrel
