#include "stores/postgresql/types.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>

#include "base/text.h"
#include "stores/postgresql/times.h"

namespace whimbrel::postgresql {

namespace {

struct Named {
  std::string_view name;
  TypeClass is;
};
constexpr std::array<Named, 18> named = {{
    {"boolean", TypeClass::boolean},
    {"smallint", TypeClass::int2},
    {"integer", TypeClass::int4},
    {"bigint", TypeClass::int8},
    {"real", TypeClass::float4},
    {"double precision", TypeClass::float8},
    {"numeric", TypeClass::numeric},
    {"text", TypeClass::text},
    {"character varying", TypeClass::varchar},
    {"character", TypeClass::bpchar},
    {"bytea", TypeClass::bytea},
    {"uuid", TypeClass::uuid},
    {"date", TypeClass::date},
    {"time without time zone", TypeClass::time},
    {"timestamp without time zone", TypeClass::timestamp},
    {"timestamp with time zone", TypeClass::timestamp_tz},
    {"json", TypeClass::json},
    {"jsonb", TypeClass::jsonb},
}};

// Its text is whatever the server has written; a value of a type without a kind of its own.
template <class T>
Value as(std::string text) {
  return Value(Value::Storage(T{std::move(text)}));
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc() && end == text.data() + text.size() ? std::optional(number)
                                                                    : std::nullopt;
}

Error no_room(const ColumnSchema& column, const Value& value, const std::string& why) {
  return Error{ErrorCode::refused,
               fmt::format("`{}` is {} and cannot hold {}{}", column.name, column.declared,
                           show(value), why.empty() ? "" : ": " + why)};
}

std::size_t characters(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xc0U) != 0x80U ? 1 : 0;
  return count;
}

// Digits, with a sign and a point: "-12.50". Unset for anything else.
struct Digits {
  bool negative = false;
  std::string whole;
  std::string fraction;
};
std::optional<Digits> digits_of(std::string_view text) {
  Digits digits;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    digits.negative = text[0] == '-';
    text.remove_prefix(1);
  }
  const std::size_t point = std::min(text.find('.'), text.size());
  digits.whole = text.substr(0, point);
  if (point < text.size()) digits.fraction = text.substr(point + 1);
  if (digits.whole.empty() && digits.fraction.empty()) return std::nullopt;
  for (const char c : digits.whole + digits.fraction) {
    if (c < '0' || c > '9') return std::nullopt;
  }
  const std::size_t first = std::min(digits.whole.find_first_not_of('0'), digits.whole.size());
  digits.whole.erase(0, first);
  if (digits.whole.empty()) digits.whole = "0";
  return digits;
}

Result<std::optional<Value>> settled_numeric(const ColumnSchema& column, const Type& type,
                                             const Value& value) {
  std::string text;
  if (const auto* number = value.get_if<std::int64_t>()) {
    text = std::to_string(*number);
  } else if (const auto* decimal = value.get_if<Decimal>()) {
    text = decimal->text;
  } else if (const auto* real = value.get_if<double>()) {
    text = fmt::format("{}", *real);
  } else {
    return std::optional<Value>();
  }
  std::optional<Digits> digits = digits_of(text);
  if (!digits) return std::optional<Value>();  // NaN, an exponent
  const bool is_rounded = value.kind() == Kind::real && type.precision >= 0 &&
                          std::ssize(digits->fraction) > std::max(type.scale, 0);
  if (is_rounded) return std::optional<Value>();
  if (type.precision >= 0) {
    const auto scale = static_cast<std::size_t>(std::max(type.scale, 0));
    while (digits->fraction.size() > scale && digits->fraction.back() == '0') {
      digits->fraction.pop_back();
    }
    if (type.scale < 0) return std::optional<Value>();
    if (digits->fraction.size() > scale) return no_room(column, value, "too many decimals");
    digits->fraction.resize(scale, '0');
    // A scale may be larger than the precision: then there are noughts behind the point.
    const std::string all = digits->whole + digits->fraction;
    const std::size_t first = all.find_first_not_of('0');
    const std::size_t counted = first == std::string::npos ? 0 : all.size() - first;
    if (counted > static_cast<std::size_t>(type.precision)) {
      return no_room(column, value, "too many digits");
    }
  }
  const bool is_zero =
      digits->whole == "0" && digits->fraction.find_first_not_of('0') == std::string::npos;
  std::string out = digits->negative && !is_zero ? "-" : "";
  out += digits->whole + (digits->fraction.empty() ? "" : "." + digits->fraction);
  return std::optional(as<Decimal>(std::move(out)));
}

Result<std::optional<Value>> settled_integer(const ColumnSchema& column, const Type& type,
                                             const Value& value) {
  std::optional<std::int64_t> number;
  if (const auto* whole = value.get_if<std::int64_t>()) {
    number = *whole;
  } else if (const auto* decimal = value.get_if<Decimal>()) {
    const std::optional<Digits> digits = digits_of(decimal->text);
    if (!digits) return std::optional<Value>();
    if (digits->fraction.find_first_not_of('0') != std::string::npos) {
      return no_room(column, value, "it is no whole number");
    }
    number = whole_number((digits->negative ? "-" : "") + digits->whole);
  } else if (const auto* text = value.get_if<std::string>()) {
    number = whole_number(*text);
  } else if (const auto* flag = value.get_if<bool>()) {
    number = *flag ? 1 : 0;
  } else if (const auto* real = value.get_if<double>()) {
    if (*real == std::trunc(*real) && std::abs(*real) < 9e15) {
      number = static_cast<std::int64_t>(*real);
    }
  }
  if (!number) return no_room(column, value, "it is no whole number of 64 bits");
  const std::int64_t max = type.is == TypeClass::int2   ? std::numeric_limits<std::int16_t>::max()
                           : type.is == TypeClass::int4 ? std::numeric_limits<std::int32_t>::max()
                                                        : std::numeric_limits<std::int64_t>::max();
  if (*number > max || *number < -max - 1) return no_room(column, value, "it is out of range");
  return std::optional(Value::integer(*number));
}

Result<std::optional<Value>> settled_text(const ColumnSchema& column, const Type& type,
                                          const Value& value) {
  std::string text;
  switch (value.kind()) {
    case Kind::text:
      text = value.get<std::string>();
      break;
    case Kind::int64:
    case Kind::uuid:
    case Kind::decimal:
    case Kind::date:
    case Kind::time:
    case Kind::timestamp:
    case Kind::timestamp_tz:
    case Kind::json:
    case Kind::boolean: {
      ASSIGN_OR_RETURN(Cell cell, cell_of(value));
      text = std::move(cell).value_or("");
      break;
    }
    case Kind::real:
      return std::optional<Value>();
    default:
      return no_room(column, value, "");
  }
  if (text.find('\0') != std::string::npos) return no_room(column, value, "it holds a NUL");
  if (!is_utf8(text)) return no_room(column, value, "it is no UTF-8");
  if (type.length < 0 || type.is == TypeClass::text) return std::optional(Value::text(text));
  std::size_t length = characters(text);
  const auto max = static_cast<std::size_t>(type.length);
  // Blanks at the end count for nothing in a `character`.
  while (type.is == TypeClass::bpchar && length > max && text.ends_with(' ')) {
    text.pop_back();
    --length;
  }
  if (length > max) return no_room(column, value, fmt::format("it has {} characters", length));
  if (type.is == TypeClass::bpchar) text.append(max - length, ' ');
  return std::optional(Value::text(text));
}

Result<std::optional<Value>> settled_float(const ColumnSchema& column, const Type& type,
                                           const Value& value) {
  std::optional<double> number;
  if (const auto* real = value.get_if<double>()) {
    number = *real;
  } else if (const auto* whole = value.get_if<std::int64_t>()) {
    number = static_cast<double>(*whole);
    if (static_cast<std::int64_t>(*number) != *whole) {
      return no_room(column, value, "it has more digits");
    }
  } else {
    return std::optional<Value>();
  }
  if (type.is == TypeClass::float4 && !std::isnan(*number)) {
    const auto narrow = static_cast<float>(*number);
    const double shortest = std::strtod(fmt::format("{}", narrow).c_str(), nullptr);
    if (shortest != *number && static_cast<double>(narrow) != *number) {
      return no_room(column, value, "it has more digits");
    }
    number = shortest;
  }
  return std::optional(Value::real(*number));
}

// Of a moment with so many digits of a second at most, `timestamp(3)`. Unset: only the server can
// tell.
Result<std::optional<Value>> settled_moment(const ColumnSchema& column, const Type& type,
                                            const Value& value) {
  Cell moment;
  if (const auto* text = value.get_if<std::string>()) {
    moment = moment_of(type.is, *text);
  } else if (value.kind() == kind_of(type)) {
    ASSIGN_OR_RETURN(moment, cell_of(value));
  }
  if (!moment) return std::optional<Value>();
  const std::size_t point = std::min(moment->find('.'), moment->size() - 1);
  const std::size_t end =
      std::min(moment->find_first_not_of("0123456789", point + 1), moment->size());
  const bool has_point = (*moment)[point] == '.';
  if (has_point && type.length >= 0 && std::cmp_greater(end - point - 1, type.length)) {
    return no_room(column, value, "it has more digits of a second");
  }
  return std::optional(value_of(type, moment));
}

}  // namespace

Type type_of(std::string_view declared) {
  std::string name(declared);
  Type type;
  if (const std::size_t open = name.find('('); open != std::string::npos) {
    const std::size_t close = name.find(')', open);
    if (close == std::string::npos) return type;
    const std::string inside = name.substr(open + 1, close - open - 1);
    name = name.substr(0, open) + name.substr(close + 1);
    const std::size_t comma = std::min(inside.find(','), inside.size());
    type.length = static_cast<int>(whole_number(inside.substr(0, comma)).value_or(-1));
    type.precision = type.length;
    if (comma < inside.size()) {
      type.scale = static_cast<int>(whole_number(inside.substr(comma + 1)).value_or(0));
    }
  } else if (name == "character") {
    type.length = 1;
  }
  for (const Named& one : named) {
    if (one.name == name) type.is = one.is;
  }
  return type;
}

Kind kind_of(const Type& type) {
  switch (type.is) {
    case TypeClass::boolean:
      return Kind::boolean;
    case TypeClass::int2:
    case TypeClass::int4:
    case TypeClass::int8:
      return Kind::int64;
    case TypeClass::float4:
    case TypeClass::float8:
      return Kind::real;
    case TypeClass::numeric:
      return Kind::decimal;
    case TypeClass::bytea:
      return Kind::bytes;
    case TypeClass::uuid:
      return Kind::uuid;
    case TypeClass::date:
      return Kind::date;
    case TypeClass::time:
      return Kind::time;
    case TypeClass::timestamp:
      return Kind::timestamp;
    case TypeClass::timestamp_tz:
      return Kind::timestamp_tz;
    case TypeClass::json:
    case TypeClass::jsonb:
      return Kind::json;
    default:
      return Kind::text;
  }
}

Value value_of(const Type& type, const Cell& cell) {
  if (!cell) return {};
  switch (type.is) {
    case TypeClass::boolean:
      return Value(Value::Storage(*cell == "t" || *cell == "true"));
    case TypeClass::int2:
    case TypeClass::int4:
    case TypeClass::int8:
      return Value::integer(whole_number(*cell).value_or(0));
    case TypeClass::float4:  // its shortest text says which of its numbers it is
    case TypeClass::float8:
      return Value::real(std::strtod(cell->c_str(), nullptr));
    case TypeClass::numeric:
      return as<Decimal>(*cell);
    case TypeClass::bytea:
      return Value::bytes(from_hex(std::string_view(*cell).substr(2)));
    case TypeClass::uuid:
      return as<Uuid>(*cell);
    case TypeClass::date:
      return as<Date>(*cell);
    case TypeClass::time:
      return as<Time>(*cell);
    case TypeClass::timestamp:
      return as<Timestamp>(*cell);
    case TypeClass::timestamp_tz:
      return as<TimestampTz>(*cell);
    case TypeClass::json:
    case TypeClass::jsonb:
      return Value::json(*cell);
    default:
      return Value::text(*cell);
  }
}

// https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat
Type type_of_oid(unsigned oid) {
  constexpr std::array<std::pair<unsigned, TypeClass>, 18> known = {{
      {16, TypeClass::boolean},
      {17, TypeClass::bytea},
      {20, TypeClass::int8},
      {21, TypeClass::int2},
      {23, TypeClass::int4},
      {25, TypeClass::text},
      {114, TypeClass::json},
      {700, TypeClass::float4},
      {701, TypeClass::float8},
      {1042, TypeClass::bpchar},
      {1043, TypeClass::varchar},
      {1082, TypeClass::date},
      {1083, TypeClass::time},
      {1114, TypeClass::timestamp},
      {1184, TypeClass::timestamp_tz},
      {1700, TypeClass::numeric},
      {2950, TypeClass::uuid},
      {3802, TypeClass::jsonb},
  }};
  Type type;
  for (const auto& [number, is] : known) {
    if (number == oid) type.is = is;
  }
  return type;
}

Value value_at(const PGresult* answer, int row, int column) {
  if (PQgetisnull(answer, row, column) != 0) return {};
  return value_of(type_of_oid(PQftype(answer, column)),
                  Cell(std::string(PQgetvalue(answer, row, column))));
}

Result<Cell> cell_of(const Value& value) {
  switch (value.kind()) {
    case Kind::null:
    case Kind::stated_null:
      return Cell();
    case Kind::boolean:
      return Cell(value.get<bool>() ? "true" : "false");
    case Kind::int64:
      return Cell(std::to_string(value.get<std::int64_t>()));
    case Kind::real: {
      const double number = value.get<double>();
      if (std::isnan(number)) return Cell("NaN");
      if (std::isinf(number)) return Cell(number > 0 ? "Infinity" : "-Infinity");
      return Cell(fmt::format("{}", number));
    }
    case Kind::decimal:
      return Cell(value.get<Decimal>().text);
    case Kind::text: {
      const std::string& text = value.get<std::string>();
      if (text.find('\0') == std::string::npos) return Cell(text);
      return Error{ErrorCode::refused, "a text with a NUL has no place in PostgreSQL"};
    }
    case Kind::bytes:
      return Cell("\\x" + to_hex(value.get<Bytes>().text));
    case Kind::uuid:
      return Cell(value.get<Uuid>().text);
    case Kind::date:
      return Cell(value.get<Date>().text);
    case Kind::time:
      return Cell(value.get<Time>().text);
    case Kind::timestamp:
      return Cell(value.get<Timestamp>().text);
    case Kind::timestamp_tz:
      return Cell(value.get<TimestampTz>().text);
    case Kind::json:
      return Cell(value.get<Json>().text);
    default:
      break;
  }
  return Error{ErrorCode::refused, fmt::format("PostgreSQL has no column for a value like {} ({})",
                                               show(value), name_of(value.kind()))};
}

std::optional<std::string> uuid_of(std::string_view text) {
  if (text.size() >= 2 && text.front() == '{' && text.back() == '}') {
    text = text.substr(1, text.size() - 2);
  }
  std::string digits;
  bool may_break = false;  // a hyphen may stand behind every fourth digit
  for (const char c : text) {
    if (c == '-') {
      if (!may_break || digits.size() == 32) return std::nullopt;
      may_break = false;
      continue;
    }
    const char lower = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool is_hex = (lower >= '0' && lower <= '9') || (lower >= 'a' && lower <= 'f');
    if (!is_hex) return std::nullopt;
    digits += lower;
    may_break = digits.size() % 4 == 0;
  }
  if (digits.size() != 32 || text.back() == '-') return std::nullopt;
  for (const std::size_t at : {20UL, 16UL, 12UL, 8UL}) digits.insert(at, "-");
  return digits;
}

Result<std::optional<Value>> settled(const ColumnSchema& column, const Value& value) {
  if (value.is_null()) return std::optional(Value());
  const Type type = type_of(column.declared);
  switch (type.is) {
    case TypeClass::boolean:
      if (value.kind() == Kind::boolean) return std::optional(value);
      if (const auto* number = value.get_if<std::int64_t>();
          number != nullptr && (*number == 0 || *number == 1)) {
        return std::optional(Value(Value::Storage(*number == 1)));
      }
      if (const auto* text = value.get_if<std::string>();
          text != nullptr && (*text == "true" || *text == "false")) {
        return std::optional(Value(Value::Storage(*text == "true")));
      }
      return no_room(column, value, "");
    case TypeClass::int2:
    case TypeClass::int4:
    case TypeClass::int8:
      return settled_integer(column, type, value);
    case TypeClass::float4:
    case TypeClass::float8:
      return settled_float(column, type, value);
    case TypeClass::numeric:
      return settled_numeric(column, type, value);
    case TypeClass::text:
    case TypeClass::varchar:
    case TypeClass::bpchar:
      return settled_text(column, type, value);
    case TypeClass::bytea:
      if (value.kind() == Kind::bytes) return std::optional(value);
      return no_room(column, value, "");
    case TypeClass::uuid: {
      if (value.kind() == Kind::uuid) return std::optional(value);
      const auto* text = value.get_if<std::string>();
      const std::optional<std::string> uuid = text == nullptr ? std::nullopt : uuid_of(*text);
      if (!uuid) return no_room(column, value, "it is no UUID");
      return std::optional(as<Uuid>(*uuid));
    }
    default:
      break;
  }
  if (kind_of(type) == Kind::date || kind_of(type) == Kind::time ||
      kind_of(type) == Kind::timestamp || kind_of(type) == Kind::timestamp_tz) {
    return settled_moment(column, type, value);
  }
  // Its own kind without a precision, as the server has written it.
  const bool is_own = value.kind() == kind_of(type) && type.length < 0 &&
                      type.is != TypeClass::other && type.is != TypeClass::jsonb;
  return is_own ? std::optional(value) : std::optional<Value>();
}

std::string array_of(const Cells& cells) {
  std::string out = "{";
  for (const Cell& cell : cells) {
    if (out.size() > 1) out += ',';
    if (!cell) {
      out += "NULL";
      continue;
    }
    out += '"';
    for (const char c : *cell) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + "}";
}

Cells cells_of(std::string_view array) {
  Cells cells;
  std::size_t at = 1;
  while (at + 1 < array.size()) {
    std::string text;
    const bool quoted = array[at] == '"';
    if (quoted) ++at;
    while (at < array.size() &&
           (quoted ? array[at] != '"' : array[at] != ',' && array[at] != '}')) {
      if (array[at] == '\\') ++at;
      text += array[at++];
    }
    if (quoted) ++at;
    cells.push_back(!quoted && text == "NULL" ? Cell() : Cell(std::move(text)));
    ++at;  // the comma, or the end
  }
  return cells;
}

}  // namespace whimbrel::postgresql
