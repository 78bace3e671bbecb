// A value as any store may hold it, without loss.
//
// Numbers keep their exact text where 64 bits do not suffice, bytes stay bytes, an empty text is
// not null, a set stays a set. Every value has one canonical byte form; two values are the same
// when these are. Threads: plain values.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"

namespace whimbrel {

// The order is part of the canonical form and of the journal: append only.
enum class Kind : std::uint8_t {
  null,
  boolean,
  int64,
  real,
  decimal,
  text,
  bytes,
  uuid,
  date,
  time,
  timestamp,
  timestamp_tz,
  json,
  list,
  map,
  text_set,
  number_set,
  bytes_set,
  stated_null,
};
const char* name_of(Kind kind);

struct Null {};
// A null that is written down, where a store tells it from a value that is not there at all.
struct StatedNull {};
// Kinds that are carried as their exact text (or bytes).
template <Kind K>
struct TextOf {
  std::string text;
};
using Decimal = TextOf<Kind::decimal>;
using Bytes = TextOf<Kind::bytes>;
using Uuid = TextOf<Kind::uuid>;
using Date = TextOf<Kind::date>;
using Time = TextOf<Kind::time>;
using Timestamp = TextOf<Kind::timestamp>;
using TimestampTz = TextOf<Kind::timestamp_tz>;
using Json = TextOf<Kind::json>;
// Members are sorted by their bytes and without duplicates.
template <Kind K>
struct SetOf {
  std::vector<std::string> members;
};
using TextSet = SetOf<Kind::text_set>;
using NumberSet = SetOf<Kind::number_set>;
using BytesSet = SetOf<Kind::bytes_set>;

class Value;
struct List {
  std::vector<Value> items;
};
struct Map {
  std::vector<std::pair<std::string, Value>> fields;  // sorted by name, names are unique
};

class Value {
 public:
  using Storage = std::variant<Null, bool, std::int64_t, double, Decimal, std::string, Bytes, Uuid,
                               Date, Time, Timestamp, TimestampTz, Json, List, Map, TextSet,
                               NumberSet, BytesSet, StatedNull>;
  Value() = default;
  Value(Storage storage) : storage_(std::move(storage)) {}  // NOLINT: a value is what it holds
  static Value text(std::string_view text) { return Value(Storage(std::string(text))); }
  static Value bytes(std::string_view data) { return Value(Storage(Bytes{std::string(data)})); }
  static Value integer(std::int64_t number) { return Value(Storage(number)); }
  static Value real(double number) { return Value(Storage(number)); }
  static Value json(std::string text) { return Value(Storage(Json{std::move(text)})); }

  Kind kind() const { return static_cast<Kind>(storage_.index()); }
  bool is_null() const { return storage_.index() == 0 || kind() == Kind::stated_null; }
  template <class T>
  const T* get_if() const {
    return std::get_if<T>(&storage_);
  }
  template <class T>
  const T& get() const {
    return std::get<T>(storage_);
  }
  const Storage& storage() const { return storage_; }
  Storage take() && { return std::move(storage_); }

 private:
  Storage storage_;
};
static_assert(std::variant_size_v<Value::Storage> ==
              static_cast<std::size_t>(Kind::stated_null) + 1);

using Row = std::vector<Value>;  // aligned with the columns of whoever made it

// The canonical form: a byte for the kind, then fixed width or length-prefixed content. NaNs are
// one NaN; -0.0 and 0.0 differ.
void append_canonical(std::string& out, const Value& value);
std::string canonical(const Row& row);
// The reverse; an error when the bytes are no canonical form.
Result<Row> row_from_canonical(std::string_view bytes);

bool same(const Value& a, const Value& b);
bool same(const Row& a, const Row& b);
// A total order: by kind, then by content (numbers by value, texts by bytes).
int compare(const Value& a, const Value& b);
int compare(const Row& a, const Row& b);
struct RowLess {
  bool operator()(const Row& a, const Row& b) const { return compare(a, b) < 0; }
};

// What a person reads; cut to about length_max characters, never with raw control characters.
// "(redacted)" after redact_what_is_shown().
std::string show(const Value& value, int length_max = 60);
// The same of a value that stands in the plan, or counts rows: it is never redacted.
std::string spelled_out(const Value& value, int length_max = 60);
// From here on, and in the whole process, no value of a row is shown any more: whoever words an
// error does not have to think of `--redact`. Threads: any.
void redact_what_is_shown();
bool what_is_shown_is_redacted();
std::string show(const Row& key);
// A digest of a key for events and logs, where the key itself must not appear.
std::string key_digest(const Row& key);

// Bytes held by the row, for limits and throughput.
std::int64_t size_of(const Row& row);

}  // namespace whimbrel
