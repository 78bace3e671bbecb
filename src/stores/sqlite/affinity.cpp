#include "stores/sqlite/affinity.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/text.h"
#include "stores/sqlite/connection.h"
#include "value/digits.h"
#include "value/moments.h"

namespace whimbrel::sqlite {

namespace {

Error changes(const Value& value, const char* as) {
  return Error{ErrorCode::refused,
               fmt::format("{} would be changed by a column of type {}", show(value), as),
               "say `cast:` in the plan, or correct such rows first"};
}

// SQLite decides by itself whether a text is a number; it is asked rather than imitated. The value
// is read back from the table: RETURNING would show a whole real as an integer.
struct Asked {
  std::unique_ptr<Connection> memory;
  Statement write;
  Statement read;

  static Result<Asked> open(const char* type) {
    Asked asked;
    ASSIGN_OR_RETURN(asked.memory, Connection::in_memory());
    TRY(asked.memory->execute(fmt::format("CREATE TABLE one(v {})", type)));
    TRY(asked.memory->execute("INSERT INTO one VALUES (NULL)"));
    ASSIGN_OR_RETURN(asked.write, asked.memory->prepare("UPDATE one SET v = ?1"));
    ASSIGN_OR_RETURN(asked.read, asked.memory->prepare("SELECT v FROM one"));
    return asked;
  }
  Result<Value> stored(const Value& text) {
    TRY(bind(write.get(), 1, text));
    const Result<bool> written = memory->step(write.get());
    sqlite3_reset(write.get());
    TRY(written);
    TRY(memory->step(read.get()));
    Value value = column(read.get(), 0);
    sqlite3_reset(read.get());
    return value;
  }
};

Result<Value> stored_in(Affinity affinity, const Value& text) {
  thread_local Result<Asked> numeric = Asked::open("NUMERIC");
  thread_local Result<Asked> real = Asked::open("REAL");
  Result<Asked>& asked = affinity == Affinity::real ? real : numeric;
  if (!asked.ok()) return asked.error();
  return asked.value().stored(text);
}

// The text that SQLite makes of a number.
std::string text_of(const Value& number) {
  if (const auto* whole = number.get_if<std::int64_t>()) return fmt::format("{}", *whole);
  char text[64];
  sqlite3_snprintf(sizeof text, text, "%!.15g", number.get<double>());
  return text;
}

const char* name_of(Affinity affinity) { return affinity == Affinity::real ? "REAL" : "NUMERIC"; }

Result<Value> text_to_number(Affinity affinity, Value value) {
  const std::string& text = value.get<std::string>();
  if (!could_be_number(text)) return value;
  ASSIGN_OR_RETURN(Value stored, stored_in(affinity, value));
  if (stored.kind() != Kind::text && text_of(stored) != text)
    return changes(value, name_of(affinity));
  return stored;
}

// Whole reals become integers in numeric columns where 64 bits hold them; SQLite leaves the
// smallest one out.
bool becomes_integer(double real) {
  return real > -9223372036854775808.0 && real < 9223372036854775808.0 && std::floor(real) == real;
}

Result<Value> to_number(Affinity affinity, Value value) {
  if (value.kind() == Kind::text) return text_to_number(affinity, std::move(value));
  if (const auto* whole = value.get_if<std::int64_t>()) {
    if (affinity != Affinity::real) return value;
    const auto real = static_cast<double>(*whole);
    if (!becomes_integer(real) || static_cast<std::int64_t>(real) != *whole)
      return changes(value, "REAL");
    return Value::real(real);
  }
  const double real = value.get<double>();
  if (real == 0 && std::signbit(real)) return changes(value, name_of(affinity));
  if (affinity == Affinity::real || !becomes_integer(real)) return value;
  return Value::integer(static_cast<std::int64_t>(real));
}

// A real keeps 15 digits; an infinity becomes a word.
Result<Value> to_text(Value value) {
  if (value.kind() == Kind::text) return value;
  Value text = Value::text(text_of(value));
  if (value.kind() == Kind::int64) return text;
  ASSIGN_OR_RETURN(const Value back, stored_in(Affinity::real, text));
  if (!same(back, value)) return changes(value, "TEXT");
  return text;
}

// Exactly, or not at all: a whole number, a real whose shortest spelling is this number, or in a
// column of text the number as it is spelled.
Result<Value> of_decimal(Affinity affinity, const std::string& text) {
  constexpr long int64_digits_max = 19;
  const Digits number(text);
  if (affinity == Affinity::text) return Value::text(text);
  const bool is_number = text.find_first_of("0123456789") != std::string::npos;
  if (!is_number) {  // NaN and the infinities of a `numeric`, as the server spells them
    return settle(affinity, Value::real(std::strtod(text.c_str(), nullptr)));
  }
  const double real = std::strtod(text.c_str(), nullptr);
  const bool is_real = std::isfinite(real) && Digits(fmt::format("{}", real)) == number;
  // Where a column keeps whatever comes, what is spelled as a real is one.
  const bool stays_real = affinity == Affinity::blob && text.find_first_of(".eE") != text.npos;
  const long whole = static_cast<long>(number.digits.size()) + number.exponent;
  if (number.exponent >= 0 && whole <= int64_digits_max && !(is_real && stays_real)) {
    std::string digits =
        number.digits + std::string(static_cast<std::size_t>(number.exponent), '0');
    if (digits.empty()) digits = "0";
    if (number.is_negative) digits.insert(0, "-");
    std::int64_t integer = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), integer);
    if (read.ec == std::errc()) return Value::integer(integer);
  }
  if (is_real) return Value::real(real);
  return Error{ErrorCode::refused,
               fmt::format("the number {} has more digits than a number can have here", text),
               "say `cast: text` in the plan, or move it into a column of type TEXT",
               "",
               {"a number with more digits than a number can have here"},
               ""};
}

}  // namespace

bool could_be_number(std::string_view text) {
  constexpr std::string_view spaces = " \t\n\v\f\r";
  std::size_t at = text.find_first_not_of(spaces);
  const std::size_t last = text.find_last_not_of(spaces);
  if (at == std::string_view::npos) return false;
  bool sign_may_come = true;  // at the beginning, and behind the E of an exponent
  for (; at <= last; ++at) {
    const char c = text[at];
    const bool is_sign = c == '+' || c == '-';
    const bool is_e = c == 'e' || c == 'E';
    if (!is_e && c != '.' && (c < '0' || c > '9') && !(is_sign && sign_may_come)) return false;
    sign_may_come = is_e;
  }
  return true;
}

Affinity affinity_of(std::string_view declared) {
  // Asked for each value that is stored: most are declared in one of these words.
  if (declared == "TEXT") return Affinity::text;
  if (declared == "INTEGER") return Affinity::integer;
  const std::string type = ascii_upper(declared);
  const auto has = [&](const char* word) { return type.find(word) != std::string::npos; };
  if (has("INT")) return Affinity::integer;
  if (has("CHAR") || has("CLOB") || has("TEXT")) return Affinity::text;
  if (has("BLOB") || type.empty()) return Affinity::blob;
  if (has("REAL") || has("FLOA") || has("DOUB")) return Affinity::real;
  return Affinity::numeric;
}

Result<Value> settle(Affinity affinity, Value value) {
  switch (value.kind()) {
    case Kind::null:
    case Kind::bytes:
      return value;
    case Kind::stated_null:
      return Value();
    case Kind::boolean:
      return settle(affinity, Value::integer(value.get<bool>() ? 1 : 0));
    case Kind::decimal: {
      ASSIGN_OR_RETURN(Value number, of_decimal(affinity, value.get<Decimal>().text));
      return settle(affinity, std::move(number));
    }
    case Kind::json:
      return settle(affinity, Value(std::get<Json>(std::move(value).take()).text));
    case Kind::uuid:
      return settle(affinity, Value::text(value.get<Uuid>().text));
    case Kind::date:
      return settle(affinity, Value::text(value.get<Date>().text));
    case Kind::time:
      return settle(affinity, Value::text(value.get<Time>().text));
    case Kind::timestamp:
      return settle(affinity, Value::text(value.get<Timestamp>().text));
    case Kind::timestamp_tz:
      return settle(affinity, Value::text(with_whole_zone(value.get<TimestampTz>().text)));
    case Kind::real:
      if (std::isnan(value.get<double>())) {
        return Error{ErrorCode::refused, "this store has no NaN: it would become null in silence"};
      }
      break;
    case Kind::int64:
    case Kind::text:
      break;
    default:
      return Error{ErrorCode::refused,
                   fmt::format("this store cannot hold a {}", name_of(value.kind()))};
  }
  if (affinity == Affinity::blob) return value;
  return affinity == Affinity::text ? to_text(std::move(value))
                                    : to_number(affinity, std::move(value));
}

}  // namespace whimbrel::sqlite
