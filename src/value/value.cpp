#include "value/value.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "base/text.h"
#include "value/canonical.h"

namespace whimbrel {

namespace {

template <class... Fs>
struct Overload : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overload(Fs...) -> Overload<Fs...>;

void append_u64(std::string& out, std::uint64_t number) {
  std::array<char, 8> bytes;
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(number >> (56 - 8 * i) & 0xff);
  out.append(bytes.data(), bytes.size());
}

void append_sized(std::string& out, std::string_view text) {
  append_u64(out, text.size());
  out += text;
}

std::uint64_t bits_of(double number) {
  if (std::isnan(number)) number = std::numeric_limits<double>::quiet_NaN();
  return std::bit_cast<std::uint64_t>(number);
}

// Reads the canonical form; `ok` turns false at the first byte that does not fit.
struct Reader {
  std::string_view rest;
  bool ok = true;

  std::uint64_t u64() {
    if (rest.size() < 8) {
      ok = false;
      return 0;
    }
    std::uint64_t number = 0;
    for (int i = 0; i < 8; ++i) {
      number = number << 8 | static_cast<unsigned char>(rest[static_cast<std::size_t>(i)]);
    }
    rest.remove_prefix(8);
    return number;
  }
  std::string sized() {
    const std::uint64_t size = u64();
    if (!ok || size > rest.size()) {
      ok = false;
      return "";
    }
    std::string text(rest.substr(0, size));
    rest.remove_prefix(size);
    return text;
  }
  std::vector<std::string> texts() {
    const std::uint64_t count = u64();
    std::vector<std::string> members;
    for (std::uint64_t i = 0; ok && i < count; ++i) members.push_back(sized());
    return members;
  }
  Value value(int depth);
};

Value Reader::value(int depth) {
  if (rest.empty() || depth > 512) {
    ok = false;
    return {};
  }
  const auto kind = static_cast<Kind>(rest.front());
  rest.remove_prefix(1);
  switch (kind) {
    case Kind::null:
      return {};
    case Kind::stated_null:
      return Value(Value::Storage(StatedNull{}));
    case Kind::boolean: {
      const std::uint64_t flag = u64();
      ok = ok && flag <= 1;
      return Value(Value::Storage(flag == 1));
    }
    case Kind::int64:
      return Value::integer(static_cast<std::int64_t>(u64()));
    case Kind::real: {
      const std::uint64_t bits = u64();
      const auto number = std::bit_cast<double>(bits);
      ok = ok && bits == bits_of(number);
      return Value::real(number);
    }
    case Kind::decimal:
      return Value(Value::Storage(Decimal{sized()}));
    case Kind::text:
      return Value(Value::Storage(sized()));
    case Kind::bytes:
      return Value(Value::Storage(Bytes{sized()}));
    case Kind::uuid:
      return Value(Value::Storage(Uuid{sized()}));
    case Kind::date:
      return Value(Value::Storage(Date{sized()}));
    case Kind::time:
      return Value(Value::Storage(Time{sized()}));
    case Kind::timestamp:
      return Value(Value::Storage(Timestamp{sized()}));
    case Kind::timestamp_tz:
      return Value(Value::Storage(TimestampTz{sized()}));
    case Kind::json:
      return Value(Value::Storage(Json{sized()}));
    case Kind::text_set:
      return Value(Value::Storage(TextSet{texts()}));
    case Kind::number_set:
      return Value(Value::Storage(NumberSet{texts()}));
    case Kind::bytes_set:
      return Value(Value::Storage(BytesSet{texts()}));
    case Kind::list: {
      List list;
      const std::uint64_t count = u64();
      for (std::uint64_t i = 0; ok && i < count; ++i) list.items.push_back(value(depth + 1));
      return Value(Value::Storage(std::move(list)));
    }
    case Kind::map: {
      Map map;
      const std::uint64_t count = u64();
      for (std::uint64_t i = 0; ok && i < count; ++i) {
        std::string name = sized();
        map.fields.emplace_back(std::move(name), value(depth + 1));
      }
      return Value(Value::Storage(std::move(map)));
    }
  }
  ok = false;
  return {};
}

template <class T>
int order(const T& a, const T& b) {
  return a < b ? -1 : (b < a ? 1 : 0);
}
// All that is no number is one, behind every number.
int order(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return static_cast<int>(std::isnan(a)) - std::isnan(b);
  return a < b ? -1 : (b < a ? 1 : 0);
}

}  // namespace

const char* name_of(Kind kind) {
  constexpr const char* names[] = {
      "null", "boolean",  "integer",    "real",      "decimal",      "text", "bytes",
      "uuid", "date",     "time",       "timestamp", "timestamp_tz", "json", "list",
      "map",  "text_set", "number_set", "bytes_set", "stated_null"};
  return names[static_cast<std::size_t>(kind)];
}

void append_canonical_null(std::string& out) { out += static_cast<char>(Kind::null); }

void append_canonical_integer(std::string& out, std::int64_t number) {
  out += static_cast<char>(Kind::int64);
  append_u64(out, static_cast<std::uint64_t>(number));
}

void append_canonical_real(std::string& out, double number) {
  out += static_cast<char>(Kind::real);
  append_u64(out, bits_of(number));
}

void append_canonical_text(std::string& out, Kind kind, std::string_view text) {
  out += static_cast<char>(kind);
  append_sized(out, text);
}

void append_digest(std::string& out, Kind kind, std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  out += static_cast<char>(kind);
  append_u64(out, text.size());
  append_u64(out, hash.high64);
  append_u64(out, hash.low64);
}

void append_canonical(std::string& out, const Value& value) {
  out += static_cast<char>(value.kind());
  std::visit(Overload{
                 [](const Null&) {},
                 [](const StatedNull&) {},
                 [&](bool flag) { append_u64(out, flag ? 1 : 0); },
                 [&](std::int64_t number) { append_u64(out, static_cast<std::uint64_t>(number)); },
                 [&](double number) { append_u64(out, bits_of(number)); },
                 [&](const std::string& text) { append_sized(out, text); },
                 [&]<Kind K>(const TextOf<K>& text) { append_sized(out, text.text); },
                 [&]<Kind K>(const SetOf<K>& set) {
                   append_u64(out, set.members.size());
                   for (const std::string& member : set.members) append_sized(out, member);
                 },
                 [&](const List& list) {
                   append_u64(out, list.items.size());
                   for (const Value& item : list.items) append_canonical(out, item);
                 },
                 [&](const Map& map) {
                   append_u64(out, map.fields.size());
                   for (const auto& [name, field] : map.fields) {
                     append_sized(out, name);
                     append_canonical(out, field);
                   }
                 },
             },
             value.storage());
}

std::string canonical(const Row& row) {
  std::string out;
  out.reserve(static_cast<std::size_t>(size_of(row)) + 9 * row.size());
  for (const Value& value : row) append_canonical(out, value);
  return out;
}

Result<Row> row_from_canonical(std::string_view bytes) {
  Reader reader{bytes};
  Row row;
  while (reader.ok && !reader.rest.empty()) row.push_back(reader.value(0));
  if (!reader.ok) return Error{ErrorCode::invalid_plan, "bytes that are no canonical row"};
  return row;
}

bool same(const Value& a, const Value& b) {
  if (a.kind() != b.kind()) return false;
  // What can be long is compared where it lies.
  const auto as_it_lies = Overload{
      [&](const std::string& text) -> std::optional<bool> { return text == b.get<std::string>(); },
      [&]<Kind K>(const TextOf<K>& text) -> std::optional<bool> {
        return text.text == b.get<TextOf<K>>().text;
      },
      [](const auto&) { return std::optional<bool>(); },
  };
  if (const std::optional<bool> equal = std::visit(as_it_lies, a.storage())) return *equal;
  std::string left;
  std::string right;
  append_canonical(left, a);
  append_canonical(right, b);
  return left == right;
}

bool same(const Row& a, const Row& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Value& one, const Value& other) { return same(one, other); });
}

int compare(const Value& a, const Value& b) {
  if (a.kind() != b.kind()) return order(a.kind(), b.kind());
  if (const auto* number = a.get_if<std::int64_t>()) return order(*number, b.get<std::int64_t>());
  if (const auto* number = a.get_if<double>()) return order(*number, b.get<double>());
  if (const auto* text = a.get_if<std::string>()) return order(*text, b.get<std::string>());
  std::string left;
  std::string right;
  append_canonical(left, a);
  append_canonical(right, b);
  return order(left, right);
}

int compare(const Row& a, const Row& b) {
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    if (const int c = compare(a[i], b[i]); c != 0) return c;
  }
  return order(a.size(), b.size());
}

namespace {

std::atomic<bool> is_redacted{false};

}  // namespace

void redact_what_is_shown() { is_redacted = true; }

bool what_is_shown_is_redacted() { return is_redacted; }

std::string show(const Value& value, int length_max) {
  return is_redacted ? "(redacted)" : spelled_out(value, length_max);
}

std::string spelled_out(const Value& value, int length_max) {
  return std::visit(
      Overload{
          [](const Null&) { return std::string("null"); },
          [](const StatedNull&) { return std::string("null"); },
          [](bool flag) { return std::string(flag ? "true" : "false"); },
          [](std::int64_t number) { return fmt::format("{}", number); },
          [](double number) {
            std::string text = fmt::format("{}", number);
            return text.find_first_not_of("-0123456789") == std::string::npos ? text + ".0" : text;
          },
          [&](const std::string& text) { return "'" + printable(text, length_max) + "'"; },
          [&](const Bytes& bytes) {
            const auto most = static_cast<std::size_t>(std::max(length_max, 1));
            return "x'" + printable(to_hex(bytes.text.substr(0, most)), length_max) + "'";
          },
          [&]<Kind K>(const TextOf<K>& text) { return printable(text.text, length_max); },
          [&]<Kind K>(const SetOf<K>& set) {
            return fmt::format("{} of {} members", name_of(K), set.members.size());
          },
          [&](const List& list) { return fmt::format("list of {}", list.items.size()); },
          [&](const Map& map) { return fmt::format("map of {}", map.fields.size()); },
      },
      value.storage());
}

std::string show(const Row& key) {
  std::string text;
  for (const Value& value : key) text += (text.empty() ? "" : ", ") + show(value);
  return key.size() == 1 ? text : "(" + text + ")";
}

std::string key_digest(const Row& key) { return digest_hex(canonical(key)).substr(0, 16); }

std::int64_t size_of(const Row& row) {
  std::int64_t size = 0;
  for (const Value& value : row) {
    size += std::visit(
        Overload{
            [](const std::string& text) { return static_cast<std::int64_t>(text.size()); },
            []<Kind K>(const TextOf<K>& text) {
              return static_cast<std::int64_t>(text.text.size());
            },
            []<Kind K>(const SetOf<K>& set) {
              std::int64_t members = 0;
              for (const std::string& member : set.members) members += std::ssize(member);
              return members;
            },
            [](const List& list) { return size_of(list.items); },
            [](const Map& map) {
              std::int64_t fields = 0;
              for (const auto& [name, field] : map.fields) {
                fields += std::ssize(name) + size_of(Row{field});
              }
              return fields;
            },
            [](const auto&) { return std::int64_t{8}; },
        },
        value.storage());
  }
  return size;
}

}  // namespace whimbrel
