#include "stores/sqlite/affinity.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/text.h"
#include "stores/sqlite/connection.h"

namespace whimbrel::sqlite {

namespace {

Error changes(const Value& value, const char* as) {
  return Error{ErrorCode::refused,
               fmt::format("{} would be changed by a column of type {}", show(value), as),
               "say `cast:` in the plan, or correct such rows first"};
}

// SQLite decides by itself whether a text is a number; it is asked rather than imitated.
Result<Value> numeric_text(const Value& value) {
  thread_local std::unique_ptr<Connection> memory;
  thread_local Statement statement;
  if (!memory) {
    ASSIGN_OR_RETURN(memory, Connection::in_memory());
    TRY(memory->execute("CREATE TABLE one(v NUMERIC)"));
    TRY(memory->execute("INSERT INTO one VALUES (NULL)"));
    ASSIGN_OR_RETURN(statement, memory->prepare("UPDATE one SET v = ?1 RETURNING v"));
  }
  sqlite3_reset(statement.get());
  TRY(bind(statement.get(), 1, value));
  ASSIGN_OR_RETURN(const bool row, memory->step(statement.get()));
  assert_always(row, "a stored value is returned");
  Value stored = column(statement.get(), 0);
  sqlite3_reset(statement.get());
  return stored;
}

bool could_be_number(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t\n\v\f\r");
  return first != std::string::npos && std::strchr("0123456789+-.", text[first]) != nullptr;
}

Result<Value> to_number(Affinity affinity, Value value) {
  if (const auto* text = value.get_if<std::string>()) {
    if (!could_be_number(*text)) return value;
    ASSIGN_OR_RETURN(const Value stored, numeric_text(value));
    if (stored.kind() == Kind::text) return value;
    char back[64];
    if (const auto* whole = stored.get_if<std::int64_t>()) {
      sqlite3_snprintf(sizeof back, back, "%lld", static_cast<long long>(*whole));
    } else {
      sqlite3_snprintf(sizeof back, back, "%!.15g", stored.get<double>());
    }
    if (*text != back) return changes(value, affinity == Affinity::real ? "REAL" : "NUMERIC");
    return to_number(affinity, stored);
  }
  if (affinity == Affinity::real) {
    const auto* whole = value.get_if<std::int64_t>();
    if (whole == nullptr) return value;
    const auto real = static_cast<double>(*whole);
    if (std::abs(real) > 9007199254740992.0) return changes(value, "REAL");
    return Value::real(real);
  }
  // A real without a fraction becomes an integer where 64 bits hold it exactly.
  if (const auto* real = value.get_if<double>()) {
    if (*real > -9223372036854775808.0 && *real < 9223372036854775807.0 &&
        std::floor(*real) == *real) {
      return Value::integer(static_cast<std::int64_t>(*real));
    }
  }
  return value;
}

}  // namespace

Affinity affinity_of(std::string_view declared) {
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
    case Kind::boolean:
      return settle(affinity, Value::integer(value.get<bool>() ? 1 : 0));
    case Kind::json:
      return settle(affinity, Value::text(value.get<Json>().text));
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
  if (affinity != Affinity::text) return to_number(affinity, std::move(value));
  if (const auto* whole = value.get_if<std::int64_t>()) return Value::text(fmt::format("{}", *whole));
  if (const auto* real = value.get_if<double>()) {
    char text[64];
    sqlite3_snprintf(sizeof text, text, "%!.15g", *real);
    if (std::strtod(text, nullptr) != *real) return changes(value, "TEXT");
    return Value::text(text);
  }
  return value;
}

}  // namespace whimbrel::sqlite
