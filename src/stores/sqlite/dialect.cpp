#include "stores/sqlite/dialect.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "stores/sqlite/connection.h"

namespace whimbrel::sqlite {

namespace {

// Text that is plain ASCII is written as it is, everything else by its bytes: a statement ends at
// a NUL, and what is no UTF-8 should not stand in one.
std::string text_literal(const std::string& text) {
  bool plain = true;
  std::string quoted_text = "'";
  for (const char c : text) {
    plain = plain && c >= 0x20 && c < 0x7f;
    quoted_text += c;
    if (c == '\'') quoted_text += c;
  }
  if (plain) return quoted_text + "'";
  return "CAST(x'" + to_hex(text) + "' AS TEXT)";
}

// What SQLite makes of a constant; it is asked rather than imitated. Nothing when it fails.
std::optional<Value> answer(const std::string& expression) {
  thread_local const Result<std::unique_ptr<Connection>> memory = Connection::in_memory();
  if (!memory.ok()) return std::nullopt;
  const auto rows = memory.value()->query("SELECT " + expression, {});
  return rows.ok() ? std::optional(rows.value().at(0).at(0)) : std::nullopt;
}

}  // namespace

const SqliteDialect& dialect() {
  static const SqliteDialect only;
  return only;
}

std::string SqliteDialect::quote(std::string_view identifier) const {
  return quote_name(identifier);
}

// By the names that PostgreSQL's types have: https://www.postgresql.org/docs/current/datatype.html
std::string SqliteDialect::type_like(std::string_view declared) const {
  const std::string type = ascii_lower(declared);
  for (const std::string_view whole : {"smallint", "integer", "bigint"}) {
    if (type == whole) return "INTEGER";
  }
  if (type == "boolean") return "BOOLEAN";
  if (type == "bytea") return "BLOB";
  if (type == "real" || type == "double precision") return "REAL";
  const bool is_exact = type.starts_with("numeric") && !type.ends_with("]");
  return is_exact ? "NUMERIC" : "TEXT";
}

std::string SqliteDialect::type_for(Kind kind) const {
  switch (kind) {
    case Kind::boolean:
      return "BOOLEAN";
    case Kind::int64:
      return "INTEGER";
    case Kind::real:
      return "REAL";
    case Kind::decimal:
      return "NUMERIC";
    case Kind::bytes:
      return "BLOB";
    default:
      return "TEXT";
  }
}

std::optional<std::string> SqliteDialect::literal(const Value& value) const {
  switch (value.kind()) {
    case Kind::null:
      return "NULL";
    case Kind::boolean:
      return value.get<bool>() ? "1" : "0";
    case Kind::int64:
      // The smallest number has no literal of its own: its digits without the sign are too large.
      if (value.get<std::int64_t>() == INT64_MIN) return "(-9223372036854775807 - 1)";
      return fmt::format("{}", value.get<std::int64_t>());
    case Kind::real: {
      const double number = value.get<double>();
      if (!std::isfinite(number) || (number == 0 && std::signbit(number))) return std::nullopt;
      // The fewest digits that mean this number; far out SQLite reads some as a neighbour.
      std::string digits = fmt::format("{}", number);
      if (digits.find_first_of(".e") == std::string::npos) digits += ".0";
      const std::optional<Value> read = answer(digits);
      return read && same(*read, value) ? std::optional(digits) : std::nullopt;
    }
    case Kind::text:
      return text_literal(value.get<std::string>());
    case Kind::json: {
      // Only what SQLite would write in the same way: a document may be made of it.
      const std::string& text = value.get<Json>().text;
      const std::optional<Value> written = answer("json(" + text_literal(text) + ")");
      return written && same(*written, Value::text(text)) ? std::optional(text_literal(text))
                                                          : std::nullopt;
    }
    case Kind::bytes:
      return "x'" + to_hex(value.get<Bytes>().text) + "'";
    default:
      return std::nullopt;
  }
}

std::string SqliteDialect::text_of(const std::string& sql) const {
  return "CAST(" + sql + " AS TEXT)";
}

std::string SqliteDialect::change_case(const std::string& sql, TextCase how) const {
  switch (how) {
    case TextCase::lower:
      return "lower(" + sql + ")";
    case TextCase::upper:
      return "upper(" + sql + ")";
    case TextCase::trim:
      return "trim(" + sql + ")";
    case TextCase::trim_end:
      return "rtrim(" + sql + ")";
  }
  return sql;
}

std::string SqliteDialect::joined(const std::vector<std::string>& texts) const {
  return texts.empty() ? "''" : "(" + join(texts, " || ") + ")";
}

std::string SqliteDialect::is_value(const std::string& sql, const Value& value,
                                    const std::string& literal) const {
  const char* type = "null";
  if (value.kind() == Kind::int64 || value.kind() == Kind::boolean) type = "integer";
  if (value.kind() == Kind::real) type = "real";
  if (value.kind() == Kind::text || value.kind() == Kind::json) type = "text";
  if (value.kind() == Kind::bytes) type = "blob";
  return fmt::format("(typeof({0}) = '{1}' AND {0} = {2} COLLATE BINARY)", sql, type, literal);
}

std::string SqliteDialect::between(const std::string& sql, const std::string& prefix,
                                   const std::string& suffix) const {
  // Bytes, because functions on text stop at a NUL. A test for nothing is left out: of an empty
  // blob even an empty part is null.
  const std::string blob = "CAST(" + sql + " AS BLOB)";
  const std::size_t outer = prefix.size() + suffix.size();
  if (outer == 0) return text_of(sql);
  std::string test = fmt::format("length({}) >= {}", blob, outer);
  if (!prefix.empty()) {
    test += fmt::format(" AND substr({}, 1, {}) = x'{}'", blob, prefix.size(), to_hex(prefix));
  }
  if (!suffix.empty()) {
    test += fmt::format(" AND substr({0}, length({0}) - {1} + 1) = x'{2}'", blob, suffix.size(),
                        to_hex(suffix));
  }
  return fmt::format("CASE WHEN {1} THEN CAST(substr({0}, {2} + 1, length({0}) - {3}) AS TEXT) END",
                     blob, test, prefix.size(), outer);
}

std::string SqliteDialect::json_extract(const std::string& sql, const std::string& path) const {
  return fmt::format(
      "CASE WHEN typeof({0}) <> 'blob' AND json_valid({0}) THEN json_extract({0}, {1}) END", sql,
      text_literal(path));
}

// As few digits as give a real back; an infinity is a number too large. Bytes are told as
// {"$hex": …}, because a trigger must never fail; the evaluator refuses them. A text that was
// taken out of JSON remembers that it was, unless something is appended.
std::string SqliteDialect::json_member(const std::string& sql, bool is_json) const {
  if (is_json) return "json(" + sql + ")";
  return fmt::format(
      "CASE typeof({0}) WHEN 'blob' THEN json_object('$hex', hex({0})) WHEN 'real' THEN json("
      "CASE WHEN abs({0}) > 1.7976931348623157e308 THEN iif({0} > 0, '9.0e+999', '-9.0e+999') "
      "WHEN json_extract(CAST({0} AS TEXT), '$') = {0} THEN CAST({0} AS TEXT) "
      "ELSE printf('%!.18g', {0}) END) WHEN 'text' THEN {0} || '' ELSE {0} END",
      sql);
}

std::optional<std::string> SqliteDialect::json_constant(const Value& value) const {
  if (const auto* flag = value.get_if<bool>())
    return std::string(*flag ? "json('true')" : "json('false')");
  const std::optional<std::string> sql = literal(value);
  return sql ? std::optional(json_member(*sql, value.kind() == Kind::json)) : sql;
}

namespace {

constexpr std::size_t arguments_at_most = 120;  // a function takes 127

// As many calls as it takes, put together without the brackets between them.
std::string in_calls_of(const char* function, const std::vector<std::string>& parts,
                        std::size_t parts_max) {
  if (parts.size() <= parts_max) return fmt::format("{}({})", function, join(parts, ", "));
  std::vector<std::string> calls;
  for (std::size_t from = 0; from < parts.size(); from += parts_max) {
    const std::size_t to = std::min(from + parts_max, parts.size());
    const std::string call = fmt::format("{}({})", function,
                                         join({parts.begin() + static_cast<std::ptrdiff_t>(from),
                                               parts.begin() + static_cast<std::ptrdiff_t>(to)},
                                              ", "));
    // '[1,2]' gives '1,2'
    calls.push_back(fmt::format("substr({0}, 2, length({0}) - 2)", call));
  }
  const bool is_object = std::string_view(function) == "json_object";
  return fmt::format("json('{}' || {} || '{}')", is_object ? '{' : '[', join(calls, " || ',' || "),
                     is_object ? '}' : ']');
}

}  // namespace

std::string SqliteDialect::json_object(
    const std::vector<std::pair<std::string, std::string>>& fields) const {
  std::vector<std::string> parts;
  for (const auto& [name, sql] : fields) parts.push_back(text_literal(name) + ", " + sql);
  return in_calls_of("json_object", parts, arguments_at_most / 2);
}

std::string SqliteDialect::json_array(const std::vector<std::string>& items) const {
  return in_calls_of("json_array", items, arguments_at_most);
}

}  // namespace whimbrel::sqlite
