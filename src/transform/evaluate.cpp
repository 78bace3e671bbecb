// The evaluator: what a transform means. The SQL spellings are held against it.
#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <map>

#include "base/clock.h"
#include "base/handle.h"
#include "base/sqlite_memory.h"
#include "base/text.h"
#include "transform/expr.h"
#include "value/json_value.h"

namespace whimbrel {

namespace {

Error refuse(std::string what, std::string hint = "") {
  return Error{ErrorCode::refused, std::move(what), std::move(hint)};
}

std::string format_real(const char* format, double number) {
  char buffer[64];
  sqlite3_snprintf(sizeof buffer, buffer, format, number);
  return buffer;
}

using Statement = std::unique_ptr<sqlite3_stmt, FreeWith<sqlite3_finalize>>;
using Connection = std::unique_ptr<sqlite3, FreeWith<sqlite3_close>>;

// JSON paths, and numbers in texts, are read by an embedded SQLite, so that inside and outside of
// a database they mean the same. One connection a thread.
struct Embedded {
  Connection connection;
  Statement extract;
  Statement extract_text;
  Statement number;
  Embedded() {
    do_not_count_sqlite_memory();
    sqlite3* raw = nullptr;
    sqlite3_open(":memory:", &raw);
    connection.reset(raw);
    extract =
        prepare("SELECT CASE WHEN json_valid(?1) THEN json_extract(?1, ?2) END, json_valid(?1)");
    extract_text = prepare("SELECT ?1 -> ?2");
    number = prepare("SELECT CAST(?1 AS REAL)");
  }
  Statement prepare(const char* sql) const {
    sqlite3_stmt* prepared = nullptr;
    sqlite3_prepare_v2(connection.get(), sql, -1, &prepared, nullptr);
    return Statement(prepared);
  }
};
Embedded& embedded() {
  thread_local Embedded one;
  return one;
}

void bind_text(sqlite3_stmt* statement, int at, const std::string& text) {
  sqlite3_bind_text64(statement, at, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

bool is_negative_zero(double number) { return number == 0 && std::signbit(number); }

// The text form as SQL gives it: reals have 15 digits.
Result<std::string> text_of(const Value& value) {
  if (const auto* text = value.get_if<std::string>()) return *text;
  if (const auto* number = value.get_if<std::int64_t>()) return fmt::format("{}", *number);
  if (const auto* number = value.get_if<double>()) return format_real("%!.15g", *number);
  if (const auto* bytes = value.get_if<Bytes>()) return bytes->text;
  if (const auto* json = value.get_if<Json>()) return json->text;
  if (const auto* decimal = value.get_if<Decimal>()) return decimal->text;
  if (const auto* uuid = value.get_if<Uuid>()) return uuid->text;
  if (const auto* date = value.get_if<Date>()) return date->text;
  if (const auto* time = value.get_if<Time>()) return time->text;
  if (const auto* moment = value.get_if<Timestamp>()) return moment->text;
  if (const auto* moment = value.get_if<TimestampTz>()) return moment->text;
  if (const auto* flag = value.get_if<bool>()) return std::string(*flag ? "true" : "false");
  return refuse(fmt::format("a {} has no text form", name_of(value.kind())));
}

// Whether these digits are read as this number again, by C and by SQLite, which differ far out.
bool reads_as(const std::string& text, double number) {
  if (!std::isfinite(number) || is_negative_zero(number)) return false;
  if (std::strtod(text.c_str(), nullptr) != number) return false;
  sqlite3_stmt* s = embedded().number.get();
  sqlite3_reset(s);
  bind_text(s, 1, text);
  return sqlite3_step(s) == SQLITE_ROW && sqlite3_column_double(s, 0) == number;
}

}  // namespace

Result<std::string> faithful_text_of(const Value& value) {
  if (value.kind() == Kind::bytes) {
    return refuse("bytes would become text", "say `cast: text` if they are text");
  }
  ASSIGN_OR_RETURN(std::string text, text_of(value));
  const auto* real = value.get_if<double>();
  if (real == nullptr || reads_as(text, *real)) return text;
  return refuse(
      fmt::format("{} would become the text {}, which is another number", show(value), text),
      "set such rows aside with `on_error: reject`, or correct them first");
}

namespace {

// A giant text takes its own length here, not the next power of two.
std::size_t json_length(std::string_view text) {
  std::size_t length = text.size() + 2;
  for (const char c : text) {
    if (c == '"' || c == '\\') length += 1;
    if (static_cast<unsigned char>(c) < 0x20) length += 5;
  }
  return length;
}

void append_json_text(std::string& out, std::string_view text) {
  constexpr std::size_t giant = std::size_t{1} << 20;
  if (text.size() > giant) out.reserve(out.size() + json_length(text) + 64);
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
      case '\\':
        out += '\\';
        out += c;
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

// As few digits as give the number back; an infinity is a number too large, as SQLite reads it.
std::string json_number(double number) {
  if (std::isinf(number)) return number > 0 ? "9.0e+999" : "-9.0e+999";
  const std::string text = format_real("%!.15g", number);
  return std::strtod(text.c_str(), nullptr) == number ? text : format_real("%!.18g", number);
}

// Refused is what would not come out of the document as it went in.
Status append_json(std::string& out, const Value& value) {
  if (value.is_null()) {
    out += "null";
  } else if (const auto* text = value.get_if<std::string>()) {
    // SQLite reads a text out of JSON up to a NUL.
    if (text->find('\0') != std::string::npos) return refuse("a text with a NUL is cut in JSON");
    append_json_text(out, *text);
  } else if (const auto* number = value.get_if<std::int64_t>()) {
    out += fmt::format("{}", *number);
  } else if (const auto* real = value.get_if<double>()) {
    if (std::isnan(*real)) return refuse("JSON has no NaN");
    if (is_negative_zero(*real)) return refuse("-0.0 would become 0.0 in JSON");
    out += json_number(*real);
  } else if (value.kind() == Kind::bytes) {
    return refuse("JSON has no bytes", "say `cast: text` if they are text");
  } else if (const auto* json = value.get_if<Json>()) {
    out += json->text;
  } else if (const auto* flag = value.get_if<bool>()) {
    out += *flag ? "true" : "false";
  } else if (const auto* decimal = value.get_if<Decimal>()) {
    out += decimal->text;
  } else {
    ASSIGN_OR_RETURN(const std::string other, text_of(value));
    append_json_text(out, other);
  }
  return {};
}

// What a valid document has at a path where it has a number or a text, as it is written there.
Value written_in_json(const std::string& json, const std::string& path) {
  sqlite3_stmt* s = embedded().extract_text.get();
  sqlite3_reset(s);
  bind_text(s, 1, json);
  bind_text(s, 2, path);
  if (sqlite3_step(s) != SQLITE_ROW || sqlite3_column_type(s, 0) != SQLITE_TEXT) return {};
  const std::string_view text(reinterpret_cast<const char*>(sqlite3_column_text(s, 0)),
                              static_cast<std::size_t>(sqlite3_column_bytes(s, 0)));
  return value_of_json(text).value_or(Value());
}

Result<Value> extract_json(const std::string& json, const JsonExtract& node) {
  sqlite3_stmt* s = embedded().extract.get();
  sqlite3_reset(s);
  bind_text(s, 1, json);
  bind_text(s, 2, node.path);
  if (sqlite3_step(s) != SQLITE_ROW) return refuse("a JSON path could not be read: " + node.path);
  if (sqlite3_column_int(s, 1) == 0 && !node.lenient) {
    return refuse("a text that is no JSON: " + printable(json));
  }
  switch (sqlite3_column_type(s, 0)) {
    case SQLITE_INTEGER:
      return Value::integer(sqlite3_column_int64(s, 0));
    case SQLITE_FLOAT:
      if (node.exact) return written_in_json(json, node.path);
      return Value::real(sqlite3_column_double(s, 0));
    case SQLITE_TEXT:
      if (node.exact && json.find("\\u0000") != json.npos) {
        const Value whole = written_in_json(json, node.path);
        if (whole.kind() == Kind::text) return whole;
      }
      return Value::text({reinterpret_cast<const char*>(sqlite3_column_text(s, 0)),
                          static_cast<std::size_t>(sqlite3_column_bytes(s, 0))});
    default:
      return Value();
  }
}

// The same in a document that the store holds as such. `path`: as the plan's reader makes it.
Value member_at(const Value& document, std::string_view path) {
  const Value* at = &document;
  path.remove_prefix(1);  // "$"
  while (!path.empty()) {
    if (path.starts_with("[")) {
      std::size_t index = 0;
      const std::size_t end = path.find(']');
      const std::string_view number = path.substr(1, end - 1);
      std::from_chars(number.data(), number.data() + number.size(), index);
      path.remove_prefix(end + 1);
      const auto* list = at->get_if<List>();
      if (list == nullptr || index >= list->items.size()) return {};
      at = &list->items[index];
      continue;
    }
    const std::size_t end = path.find('"', 2);  // after `."`
    if (end == std::string_view::npos) return {};
    const std::string_view name = path.substr(2, end - 2);
    path.remove_prefix(end + 1);
    const auto* map = at->get_if<Map>();
    if (map == nullptr) return {};
    const auto field = std::ranges::find(map->fields, name, &std::pair<std::string, Value>::first);
    if (field == map->fields.end()) return {};
    at = &field->second;
  }
  return at->is_null() ? Value() : *at;
}

Result<Value> cast(const Value& value, CastTo to) {
  if (value.is_null()) return value;
  const auto lossy = [&](const char* type) {
    return refuse(fmt::format("{} is no {} that would come back unchanged", show(value), type),
                  "set such rows aside with `on_error: reject`, or correct them first");
  };
  switch (to) {
    case CastTo::text: {
      if (const auto* bytes = value.get_if<Bytes>()) return Value::text(bytes->text);
      ASSIGN_OR_RETURN(const std::string text, faithful_text_of(value));
      return Value::text(text);
    }
    case CastTo::bytes: {
      if (value.kind() == Kind::bytes) return value;
      if (const auto* text = value.get_if<std::string>()) return Value::bytes(*text);
      return lossy("bytes");
    }
    case CastTo::integer: {
      if (value.kind() == Kind::int64) return value;
      if (const auto* real = value.get_if<double>()) {
        if (std::abs(*real) < 9e15 && std::floor(*real) == *real && !is_negative_zero(*real)) {
          return Value::integer(static_cast<std::int64_t>(*real));
        }
        return lossy("integer");
      }
      // A store of exact numbers has no others.
      const auto* exact = value.get_if<Decimal>();
      const auto* text = exact != nullptr ? &exact->text : value.get_if<std::string>();
      if (text != nullptr) {
        std::int64_t number = 0;
        const auto [end, failure] =
            std::from_chars(text->data(), text->data() + text->size(), number);
        if (failure == std::errc() && end == text->data() + text->size() &&
            fmt::format("{}", number) == *text) {
          return Value::integer(number);
        }
      }
      return lossy("integer");
    }
    case CastTo::real: {
      if (value.kind() == Kind::real) return value;
      if (const auto* number = value.get_if<std::int64_t>()) {
        const auto real = static_cast<double>(*number);
        const bool back = std::abs(real) < 0x1p63 && static_cast<std::int64_t>(real) == *number;
        return back ? Result<Value>(Value::real(real)) : lossy("real");
      }
      if (const auto* exact = value.get_if<Decimal>()) {
        double number = 0;
        const char* last = exact->text.data() + exact->text.size();
        const auto [end, failure] = std::from_chars(exact->text.data(), last, number);
        constexpr std::ptrdiff_t digits_max = 15;  // a double gives all of these back
        const auto digits = std::ranges::count_if(
            exact->text, [](unsigned char c) { return std::isdigit(c) != 0; });
        const bool is_plain = exact->text.find_first_of("eE") == std::string::npos;
        const bool back = failure == std::errc() && end == last && is_plain && digits <= digits_max;
        return back ? Result<Value>(Value::real(number)) : lossy("real");
      }
      if (const auto* text = value.get_if<std::string>()) {
        double number = 0;
        const auto [end, failure] =
            std::from_chars(text->data(), text->data() + text->size(), number);
        if (failure == std::errc() && end == text->data() + text->size() &&
            format_real("%!.15g", number) == *text && reads_as(*text, number)) {
          return Value::real(number);
        }
      }
      return lossy("real");
    }
    case CastTo::number: {
      if (value.kind() == Kind::int64 || value.kind() == Kind::decimal) return value;
      const auto* text = value.get_if<std::string>();
      if (text == nullptr) return lossy("number");
      if (const Result<Value> whole = cast(value, CastTo::integer); whole.ok()) return whole;
      double about = 0;
      const auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), about);
      const bool is_number = end == text->data() + text->size() &&
                             text->find_first_not_of("0123456789+-.eE") == std::string::npos &&
                             failure != std::errc::invalid_argument;
      return is_number ? Result<Value>(Value(Value::Storage(Decimal{*text}))) : lossy("number");
    }
  }
  return lossy("value");
}

// Days since 1970-01-01 of a proleptic Gregorian date (H. Hinnant, "chrono-compatible low-level
// date algorithms"); std::chrono carries the same algorithm.
std::optional<std::int64_t> parse_iso8601_ms(const std::string& text) {
  // scanf takes spaces and signs for digits.
  constexpr std::string_view form = "dddd-dd-dd dd:dd:dd";
  for (std::size_t i = 0; i < form.size(); ++i) {
    if (i >= text.size() || (form[i] == 'd' && (text[i] < '0' || text[i] > '9')))
      return std::nullopt;
  }
  int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0, used = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2d%*1[T ]%2d:%2d:%2d%n", &y, &mo, &d, &h, &mi, &s,
                  &used) != 6 ||
      used != 19) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(y),
                                         std::chrono::month(static_cast<unsigned>(mo)),
                                         std::chrono::day(static_cast<unsigned>(d))};
  if (!date.ok() || h < 0 || h > 23 || mi < 0 || mi > 59 || s < 0 || s > 59) return std::nullopt;
  std::string_view rest = std::string_view(text).substr(19);
  std::int64_t ms = 0;
  if (rest.starts_with('.')) {
    const std::size_t end = std::min(rest.find_first_not_of("0123456789", 1), rest.size());
    if (end == 1) return std::nullopt;
    for (std::size_t i = 1; i < std::max<std::size_t>(end, 4); ++i) {
      const int digit = i < end ? rest[i] - '0' : 0;
      if (i > 3 && digit != 0) return std::nullopt;  // finer than a millisecond
      if (i <= 3) ms = ms * 10 + digit;
    }
    rest.remove_prefix(end);
  }
  // Without a zone, as CURRENT_TIMESTAMP of SQLite writes it, it is UTC.
  const bool is_utc = rest.empty() || rest == "Z" || rest == "+00:00" || rest == "+00";
  if (!is_utc) return std::nullopt;
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return ((static_cast<std::int64_t>(days) * 24 + h) * 60 + mi) * 60000 + s * 1000LL + ms;
}

// The same as ISO 8601 has it: a store with a type for moments shows `2026-11-20 20:15:03.25+00`,
// and for one without a zone, which the plan takes for UTC, nothing behind it. Unset for what is
// finer than a millisecond, or in another zone.
std::optional<std::string> iso8601_of(std::string text, bool has_zone) {
  constexpr std::size_t seconds_end = 19;
  constexpr std::size_t milliseconds = 3;
  if (has_zone) {
    const std::size_t zone = text.find('+', std::min(seconds_end, text.size()));
    if (zone == std::string::npos) return std::nullopt;
    const std::string_view said = std::string_view(text).substr(zone);
    if (said != "+00" && said != "+00:00") return std::nullopt;
    text.resize(zone);
  }
  if (text.size() > seconds_end && text[seconds_end] == '.') {
    while (text.size() < seconds_end + 1 + milliseconds) text += '0';
    if (text.find_first_not_of('0', seconds_end + 1 + milliseconds) != std::string::npos) {
      return std::nullopt;
    }
    text.resize(seconds_end + 1 + milliseconds);
  }
  return text + "Z";
}

std::optional<std::string> moment_text(const Value& value) {
  if (const auto* text = value.get_if<std::string>()) return *text;
  if (const auto* moment = value.get_if<TimestampTz>()) return iso8601_of(moment->text, true);
  if (const auto* moment = value.get_if<Timestamp>()) return iso8601_of(moment->text, false);
  return std::nullopt;
}

// A store may hold every number as a decimal.
std::optional<std::int64_t> whole_number(const Value& value) {
  if (const auto* number = value.get_if<std::int64_t>()) return *number;
  const auto* decimal = value.get_if<Decimal>();
  if (decimal == nullptr) return std::nullopt;
  std::int64_t number = 0;
  const char* end = decimal->text.data() + decimal->text.size();
  const auto [stopped, failure] = std::from_chars(decimal->text.data(), end, number);
  return failure == std::errc() && stopped == end ? std::optional(number) : std::nullopt;
}

std::string iso8601_text(std::int64_t ms, bool with_milliseconds) {
  std::string text = to_iso8601(TimePoint(Milliseconds(ms)));
  if (!with_milliseconds) text.replace(19, 4, "");
  return text;
}

Result<Value> convert_time(const Value& value, const TimeConversion& node) {
  if (value.is_null()) return value;
  const auto lossy = [&] {
    return refuse(
        fmt::format("{} is no time in the form the plan names", show(value)),
        "times are 2026-11-20T20:15:03Z, with `.123` or a blank instead of the T as well, "
        "or whole epoch numbers; without a zone they are UTC, and no other is taken");
  };
  std::int64_t ms = 0;
  if (node.from == TimeForm::iso8601) {
    const std::optional<std::string> text = moment_text(value);
    const auto parsed = text ? parse_iso8601_ms(*text) : std::nullopt;
    if (!parsed) return lossy();
    ms = *parsed;
    if (const auto* written = node.is_key ? value.get_if<std::string>() : nullptr) {
      const std::string again = iso8601_text(ms, node.as != TimeForm::epoch_s);
      if (*written != again) {
        return refuse(
            fmt::format("{} is a part of the key, and would come back as '{}'", show(value), again),
            "spell the times of a key in one way");
      }
    }
  } else {
    const std::optional<std::int64_t> number = whole_number(value);
    const std::int64_t unit = node.from == TimeForm::epoch_s ? 1000 : 1;
    constexpr std::int64_t ms_max = 253'402'300'799'999;  // the end of the year 9999
    if (!number || *number < 0 || *number > ms_max / unit) return lossy();
    ms = *number * unit;
  }
  if (node.as == TimeForm::epoch_ms) return Value::integer(ms);
  if (node.as == TimeForm::epoch_s) {
    if (ms % 1000 != 0 && !node.rounds_down) {
      return refuse(fmt::format("{} has a part of a second, which would be lost", show(value)),
                    "say `round: down` beside `time` if nobody needs it");
    }
    return Value::integer(ms / 1000);
  }
  return Value::text(iso8601_text(ms, node.from != TimeForm::epoch_s));
}

Value split(const std::string& text, const Split& node) {
  std::size_t begin = 0;
  for (int part = 1;; ++part) {
    const std::size_t end = text.find(node.by, begin);
    if (part == node.part) return Value::text(std::string_view(text).substr(begin, end - begin));
    if (end == std::string::npos) return {};
    begin = end + node.by.size();
  }
}

std::string change_case(const std::string& text, TextCase how) {
  if (how == TextCase::lower) return ascii_lower(text);
  if (how == TextCase::upper) return ascii_upper(text);
  const std::size_t begin = how == TextCase::trim_end ? 0 : text.find_first_not_of(' ');
  if (text.find_first_not_of(' ') == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

// A plan's numbers are whole or real; some stores have only one kind of number.
bool is_the_number(const Decimal& decimal, const Value& said) {
  std::string text = decimal.text;
  if (text.find('.') != std::string::npos && text.find_first_of("eE") == std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  if (const auto* flag = said.get_if<bool>()) return text == (*flag ? "1" : "0");
  if (const auto* whole = said.get_if<std::int64_t>()) return text == fmt::format("{}", *whole);
  const auto* real = said.get_if<double>();
  return real != nullptr &&
         (text == fmt::format("{}", *real) || text + ".0" == fmt::format("{:.1f}", *real));
}

struct Evaluator {
  const Row& row;

  Result<Value> operator()(const ColumnRef& node) const {
    assert_always(node.index >= 0 && static_cast<std::size_t>(node.index) < row.size(),
                  "an expression is evaluated that was not resolved");
    return row[static_cast<std::size_t>(node.index)];
  }
  Result<Value> operator()(const Constant& node) const { return node.value; }
  // The value where it lies in the row, or else computed into `into`: a giant is not copied.
  Result<const Value*> look_at(const Expr& expr, Value& into) const {
    if (const auto* column = std::get_if<ColumnRef>(&expr.node)) {
      return &row[static_cast<std::size_t>(column->index)];
    }
    ASSIGN_OR_RETURN(into, evaluate(expr, row));
    return &into;
  }
  Result<Value> operator()(const CaseOf& node) const {
    ASSIGN_OR_RETURN(const Value value, evaluate(*node.of, row));
    if (value.is_null()) return value;
    ASSIGN_OR_RETURN(const std::string text, faithful_text_of(value));
    return Value::text(change_case(text, node.how));
  }
  Result<Value> operator()(const Template& node) const {
    std::string text;
    for (const ExprPtr& part : node.parts) {
      ASSIGN_OR_RETURN(const Value value, evaluate(*part, row));
      if (value.is_null()) return Value();
      ASSIGN_OR_RETURN(const std::string piece, faithful_text_of(value));
      text += piece;
    }
    return Value::text(text);
  }
  Result<Value> operator()(const Cast& node) const {
    ASSIGN_OR_RETURN(const Value value, evaluate(*node.of, row));
    return cast(value, node.to);
  }
  Result<Value> operator()(const JsonObject& node) const {
    if (node.as_document) return map_of(node);
    std::string text = "{";
    for (const auto& [name, field] : node.fields) {
      if (text.size() > 1) text += ',';
      append_json_text(text, name);
      text += ':';
      Value computed;
      ASSIGN_OR_RETURN(const Value* const value, look_at(*field, computed));
      TRY(append_json(text, *value));
    }
    text += '}';
    return Value::json(std::move(text));
  }
  Result<Value> map_of(const JsonObject& node) const {
    std::map<std::string, Value> fields;
    for (const auto& [name, field] : node.fields) {
      ASSIGN_OR_RETURN(fields[name], evaluate(*field, row));
    }
    return Value(Value::Storage(Map{{fields.begin(), fields.end()}}));
  }
  Result<Value> list_of(const JsonArray& node) const {
    List list;
    for (const ExprPtr& item : node.items) {
      ASSIGN_OR_RETURN(Value value, evaluate(*item, row));
      // It holds its place.
      list.items.push_back(value.is_null() ? Value(Value::Storage(StatedNull{}))
                                           : std::move(value));
    }
    return Value(Value::Storage(std::move(list)));
  }
  Result<Value> operator()(const JsonArray& node) const {
    if (node.as_document) return list_of(node);
    std::string text = "[";
    for (const ExprPtr& item : node.items) {
      if (text.size() > 1) text += ',';
      Value computed;
      ASSIGN_OR_RETURN(const Value* const value, look_at(*item, computed));
      TRY(append_json(text, *value));
    }
    text += ']';
    return Value::json(std::move(text));
  }
  Result<Value> operator()(const JsonExtract& node) const {
    ASSIGN_OR_RETURN(const Value value, evaluate(*node.of, row));
    if (value.is_null()) return value;
    if (value.kind() == Kind::map || value.kind() == Kind::list) {
      return member_at(value, node.path);
    }
    const bool is_set = value.kind() == Kind::text_set || value.kind() == Kind::number_set ||
                        value.kind() == Kind::bytes_set;
    if (is_set && node.lenient) return Value();
    if (value.kind() == Kind::bytes) {
      if (node.lenient) return Value();
      return refuse("bytes are no JSON");
    }
    ASSIGN_OR_RETURN(const std::string text, text_of(value));
    return extract_json(text, node);
  }
  Result<Value> operator()(const MapValues& node) const {
    ASSIGN_OR_RETURN(const Value value, evaluate(*node.of, row));
    if (value.is_null()) return value;
    if (const auto* real = value.get_if<double>(); real != nullptr && is_negative_zero(*real)) {
      return refuse("a map does not tell -0.0 from 0.0");
    }
    const auto* decimal = value.get_if<Decimal>();
    for (const auto& [from, to] : node.pairs) {
      if (same(comparable(value), comparable(from))) return to;
      if (decimal != nullptr && is_the_number(*decimal, from)) return to;
    }
    if (node.keep_others) return value;
    if (node.otherwise) return *node.otherwise;
    return refuse(fmt::format("{} is not in the plan's map", show(value)),
                  "add it to `values:`, or give `else:`");
  }
  Result<Value> operator()(const Coalesce& node) const {
    for (const ExprPtr& one : node.of) {
      ASSIGN_OR_RETURN(Value value, evaluate(*one, row));
      if (!value.is_null()) return value;
    }
    return Value();
  }
  Result<Value> operator()(const Split& node) const {
    ASSIGN_OR_RETURN(const Value value, evaluate(*node.of, row));
    if (value.is_null()) return value;
    ASSIGN_OR_RETURN(const std::string text, faithful_text_of(value));
    return split(text, node);
  }
  Result<Value> operator()(const TimeConversion& node) const {
    ASSIGN_OR_RETURN(const Value value, evaluate(*node.of, row));
    return convert_time(value, node);
  }
  Result<Value> operator()(const IfNull& node) const {
    if (node.inputs.empty()) {
      ASSIGN_OR_RETURN(Value value, evaluate(*node.of, row));
      return value.is_null() ? evaluate(*node.otherwise, row) : Result<Value>(std::move(value));
    }
    for (const ExprPtr& input : node.inputs) {
      Value computed;
      ASSIGN_OR_RETURN(const Value* const value, look_at(*input, computed));
      if (!value->is_null()) return evaluate(*node.of, row);
    }
    return evaluate(*node.otherwise, row);
  }
  Result<Value> operator()(const HashId& node) const {
    ASSIGN_OR_RETURN(const Value value, evaluate(*node.of, row));
    return new_id(node.recipe, value);
  }
  Result<Value> operator()(const NewIdsInside& node) const {
    ASSIGN_OR_RETURN(const Value value, evaluate(*node.of, row));
    return with_ids_replaced(
        node.place, value, [&](const Value& old) { return new_id(node.recipe, old); },
        OtherShapes::are_refused);
  }
  Result<Value> operator()(const Respelled& node) const {
    ASSIGN_OR_RETURN(Value value, evaluate(*node.of, row));
    if (value.is_null()) return value;
    ASSIGN_OR_RETURN(const std::string text, faithful_text_of(value));
    const std::optional<std::string> other = node.by->instead_of(text);
    return other ? Value::text(*other) : Result<Value>(std::move(value));
  }
  Result<Value> operator()(const Masked& node) const {
    ASSIGN_OR_RETURN(const Value value, evaluate(*node.of, row));
    return with_ids_replaced(
        node.place, value, [&](const Value& old) { return masked(node.as, old); },
        OtherShapes::are_refused);
  }
  Result<Value> operator()(const Between& node) const {
    ASSIGN_OR_RETURN(const Value value, evaluate(*node.of, row));
    if (value.is_null()) return value;
    ASSIGN_OR_RETURN(const std::string text, text_of(value));
    if (text.size() < node.prefix.size() + node.suffix.size() || !text.starts_with(node.prefix) ||
        !text.ends_with(node.suffix)) {
      return Value();
    }
    std::string_view inner = std::string_view(text).substr(
        node.prefix.size(), text.size() - node.prefix.size() - node.suffix.size());
    std::string_view wanted;
    for (std::size_t i = 0; i < node.separators.size(); ++i) {
      const std::size_t at = inner.find(node.separators[i]);
      if (at == std::string_view::npos) return Value();
      if (i == node.part) wanted = inner.substr(0, at);
      inner.remove_prefix(at + node.separators[i].size());
    }
    return Value::text(node.part == node.separators.size() ? inner : wanted);
  }
};

}  // namespace

Value comparable(const Value& value) {
  if (const auto* flag = value.get_if<bool>()) return Value::integer(*flag ? 1 : 0);
  if (const auto* json = value.get_if<Json>()) return Value::text(json->text);
  return value;
}

Result<Value> evaluate(const Expr& expr, const Row& row) {
  return std::visit(Evaluator{row}, expr.node);
}

}  // namespace whimbrel
