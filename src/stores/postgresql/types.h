// PostgreSQL's types and values: what a column's text means, and what a value is as text.
//
// What a type's values are told apart by is their text under the settings of a Connection. Types
// that have no kind of their own (arrays, ranges, enums, composites, addresses …) are carried as
// it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "stores/postgresql/connection.h"
#include "value/schema.h"
#include "value/value.h"

namespace whimbrel::postgresql {

enum class TypeClass {
  boolean,
  int2,
  int4,
  int8,
  float4,
  float8,
  numeric,
  text,
  varchar,
  bpchar,
  bytea,
  uuid,
  date,
  time,
  timestamp,
  timestamp_tz,
  json,
  jsonb,
  other,
};

struct Type {
  TypeClass is = TypeClass::other;
  int length = -1;     // varchar, bpchar: characters
  int precision = -1;  // numeric
  int scale = 0;
};

// Of a type as format_type() spells it.
Type type_of(std::string_view declared);
Kind kind_of(const Type& type);
Value value_of(const Type& type, const Cell& cell);
// A type by the number that a result tells; `other` for most.
Type type_of_oid(unsigned oid);
// A value of an answer, by the type that it tells.
Value value_at(const PGresult* answer, int row, int column);
// `refused` for what has no text here: lists, maps, sets, and texts that are no UTF-8 or hold a
// NUL.
Result<Cell> cell_of(const Value& value);

// The value as a column of this type would hold it. Unset: only the server can tell.
// `refused` when the column cannot hold it without loss.
Result<std::optional<Value>> settled(const ColumnSchema& column, const Value& value);
// What PostgreSQL reads as a UUID, in its own form: lower case with hyphens. Unset when it is none.
std::optional<std::string> uuid_of(std::string_view text);

// An array of texts as one parameter: `{"a",NULL}`.
std::string array_of(const Cells& cells);
// The reverse, of an array of texts that the server has written.
Cells cells_of(std::string_view array);

}  // namespace whimbrel::postgresql
