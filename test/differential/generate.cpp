#include "differential/generate.h"

#include <bit>
#include <cfloat>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace whimbrel::differential {

namespace {

using namespace std::string_literals;

constexpr std::uint64_t fixed_seed = 20261120;

std::string repeated(const std::string& what, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += what;
  return out;
}

std::string deep_json(int depth) { return repeated("[", depth) + repeated("]", depth); }

const std::vector<std::int64_t>& known_integers() {
  static const std::vector<std::int64_t> all = {0,
                                                1,
                                                -1,
                                                5,
                                                7,
                                                10,
                                                127,
                                                128,
                                                -128,
                                                65536,
                                                1LL << 31,
                                                (1LL << 51) - 1,
                                                1LL << 51,
                                                (1LL << 53) - 1,
                                                1LL << 53,
                                                (1LL << 53) + 1,
                                                -(1LL << 53) - 1,
                                                9'000'000'000'000'000,
                                                INT64_MAX - 1,
                                                INT64_MAX,
                                                INT64_MIN,
                                                INT64_MIN + 1};
  return all;
}

const std::vector<double>& known_reals() {
  static const std::vector<double> all = {0.0,
                                          -0.0,
                                          0.5,
                                          1.0,
                                          -1.0,
                                          5.0,
                                          0.1,
                                          0.1 + 0.2,
                                          1.0 / 3,
                                          100.0,
                                          1e5,
                                          1e15,
                                          1e16,
                                          1e17,
                                          1e22,
                                          1e23,
                                          123456789012345680.0,
                                          2251799813685247.0,
                                          2251799813685248.0,
                                          2251799813685248.5,
                                          4503599627370497.5,
                                          9007199254740991.0,
                                          9007199254740992.0,
                                          9007199254740994.0,
                                          9223372036854774784.0,
                                          9223372036854775808.0,
                                          -9223372036854775808.0,
                                          1.8446744073709552e19,
                                          DBL_MAX,
                                          -DBL_MAX,
                                          DBL_MIN,
                                          std::numeric_limits<double>::denorm_min(),
                                          DBL_EPSILON,
                                          1e300,
                                          1e-300,
                                          std::numeric_limits<double>::infinity(),
                                          -std::numeric_limits<double>::infinity()};
  return all;
}

const std::vector<std::string>& known_texts() {
  static const std::vector<std::string> all = {"",
                                               " ",
                                               "  a ",
                                               "a",
                                               "A",
                                               "abc",
                                               "ABC",
                                               "Ä",
                                               "straße",
                                               "\xf0\x9f\x90\xa6",
                                               "null",
                                               "NULL",
                                               "true",
                                               "0",
                                               "1",
                                               "5",
                                               "-0",
                                               "00",
                                               "007",
                                               "+1",
                                               " 1",
                                               "1 ",
                                               "\t1",
                                               "1e5",
                                               "1E5",
                                               "1e",
                                               "0x10",
                                               "1.0",
                                               "-1.0",
                                               ".5",
                                               "5.",
                                               "0.1",
                                               "0.30000000000000004",
                                               "1e400",
                                               "-1e400",
                                               "Inf",
                                               "Infinity",
                                               "-Infinity",
                                               "nan",
                                               "9007199254740993",
                                               "9223372036854775807",
                                               "9223372036854775808",
                                               "-9223372036854775808",
                                               "12345678901234567890123456789012345678",
                                               "0.1234567890123456789012345678901234567",
                                               "1_000",
                                               "1,000",
                                               "\xff\xfe",
                                               "\xc3",
                                               "\xc0\x80",
                                               "\xed\xa0\x80",
                                               "ok\xff",
                                               "\0"s,
                                               "a\0b"s,
                                               "a\0"s,
                                               "\0\0"s,
                                               "it's",
                                               "\"quoted\"",
                                               "back\\slash",
                                               "\n",
                                               "a\r\nb",
                                               "\x01\x1f\x7f",
                                               "A#1",
                                               "A#",
                                               "A#a#z",
                                               "A##z",
                                               "#z",
                                               "2026-11-20T20:15:03Z",
                                               "2026-11-20 20:15:03",
                                               "{}",
                                               "[]",
                                               "[1,2]",
                                               "{\"a\":1}",
                                               "{\"a\":{\"b\":[1,\"x\",null,true]}}",
                                               "{ \"a\" : 1.50 }",
                                               "{\"a\":\"\"}",
                                               "{\"a\":null}",
                                               "{\"a\":1,\"a\":2}",
                                               "{\"a\":\"x\\u0000y\"}",
                                               "{\"a\":\"\\ud83d\\ude00\\n\\u00e4\"}",
                                               "{\"a\":\"\\ud800\"}",
                                               "{\"a\":12345678901234567890123}",
                                               "{\"a\":1e400}",
                                               "{\"a\":-0.0}",
                                               "{\"a\":0.30000000000000004}",
                                               "{\"a\":\"\xff\"}",
                                               "{\"a\":1}x",
                                               "{\"a\":1}\0x"s,
                                               "{a:1}",
                                               "{'a':1}",
                                               "[1,]",
                                               "\"a\"",
                                               "\"",
                                               "{\"$hex\":\"00FF\"}",
                                               "{\"\":1}",
                                               "nul",
                                               "1}",
                                               "{\"a\":",
                                               "[\"a\nb\"]",
                                               deep_json(60),
                                               deep_json(1999),
                                               deep_json(2500),
                                               repeated("long ", 4000),
                                               "{\"a\":\"" + repeated("0123456789", 2000) + "\"}"};
  return all;
}

const std::vector<std::string>& known_bytes() {
  static const std::vector<std::string> all = {"",
                                               "\0"s,
                                               "\xff",
                                               "abc",
                                               "1",
                                               "A#x#z",
                                               "{\"a\":1}",
                                               "\0\x01\xfe\xff"s,
                                               "a\0b"s,
                                               "00FF",
                                               repeated("\xde\xad\0"s, 3000)};
  return all;
}

}  // namespace

std::uint64_t seed_of_this_run() {
  const char* given = std::getenv("WHIMBREL_SEED");
  return given == nullptr ? fixed_seed : std::strtoull(given, nullptr, 10);
}

std::int64_t Generator::integer() {
  if (random_.chance(50)) return one_of(known_integers());
  return static_cast<std::int64_t>(random_.next() >> random_.below(64));
}

double Generator::real() {
  switch (random_.below(4)) {
    case 0:
      return one_of(known_reals());
    case 1:  // as people write them
      return static_cast<double>(random_.below(2'000'000) - 1'000'000) / 100;
    case 2:  // whole, near the limits where whole numbers stop being exact
      return std::ldexp(1.0 + static_cast<double>(random_.below(1 << 20)) / (1 << 20),
                        static_cast<int>(48 + random_.below(17)));
    default: {
      const auto number = std::bit_cast<double>(random_.next());
      return std::isnan(number) ? 0.25 : number;
    }
  }
}

std::string Generator::short_text() {
  constexpr std::string_view letters = "aAzZ019 #{}[]\",:.-+\\/'_\n\0\x7f\xc3\xa4\xff";
  std::string out;
  for (std::int64_t left = random_.below(12); left > 0; --left) {
    out += letters[static_cast<std::size_t>(random_.below(std::ssize(letters)))];
  }
  return out;
}

std::string Generator::text() {
  if (random_.chance(70)) return one_of(known_texts());
  if (random_.chance(20)) return "A#" + one_of(known_texts()) + "#z";
  return short_text();
}

std::string Generator::bytes() {
  if (random_.chance(70)) return one_of(known_bytes());
  std::string out;
  for (std::int64_t left = random_.below(20); left > 0; --left) {
    out += static_cast<char>(random_.below(256));
  }
  return out;
}

Value Generator::stored_value() {
  switch (random_.below(10)) {
    case 0:
      return {};
    case 1:
    case 2:
      return Value::integer(integer());
    case 3:
    case 4:
      return Value::real(real());
    case 5:
      return Value::bytes(bytes());
    default:
      return Value::text(text());
  }
}

Value Generator::constant() {
  switch (random_.below(12)) {
    case 0:
      return Value(Value::Storage(random_.chance(50)));
    case 1:
      return Value::json(random_.chance(80) ? "{\"b\":[1,\"x\",null]}" : text());
    case 2:
      return random_.chance(20) ? Value::real(std::numeric_limits<double>::quiet_NaN()) : Value();
    default:
      return stored_value();
  }
}

std::string Generator::name() {
  static const std::vector<std::string> all = {
      "a",   "b", "result",    "b c",     "ü",           "",     "a.b",  "a[0]",
      "{a}", "$", "new\nline", "qu\"ote", "back\\slash", "it's", "\x01", "\xff"};
  return one_of(all);
}

std::string Generator::path() {
  static const std::vector<std::string> all = {
      "$",         "$.\"a\"", "$.\"a\".\"b\"", "$[0]",       "$.\"a\"[1]", "$.\"a\".\"b\"[1]",
      "$.\"b c\"", "$.\"ü\"", "$.\"it's\"",    "$.\"$hex\"", "$[#-1]",     "$.\"a.b\""};
  return one_of(all);
}

MapValues Generator::map_over(ExprPtr of) {
  MapValues node{std::move(of), {}, std::nullopt, false};
  for (std::int64_t left = random_.below(5); left > 0; --left) {
    node.pairs.emplace_back(constant(), constant());
  }
  if (random_.chance(50)) {
    node.keep_others = true;
  } else {
    node.otherwise = constant();
  }
  return node;
}

JsonObject Generator::object_over(const std::vector<std::string>& columns, int depth) {
  JsonObject node;
  for (std::int64_t left = random_.below(4); left > 0; --left) {
    node.fields.emplace_back(name(), tree(columns, depth - 1));
  }
  return node;
}

ExprPtr Generator::tree(const std::vector<std::string>& columns, int depth) {
  const auto sub = [&] { return tree(columns, depth - 1); };
  if (depth == 0 || random_.chance(15)) {
    if (random_.chance(25)) return make_expr(Constant{constant()});
    return make_expr(ColumnRef{one_of(columns)});
  }
  switch (random_.below(10)) {
    case 0:
      return make_expr(CaseOf{static_cast<TextCase>(random_.below(3)), sub()});
    case 1: {
      Template node;
      for (std::int64_t left = random_.below(4); left > 0; --left) {
        node.parts.push_back(random_.chance(40) ? make_expr(Constant{Value::text(text())}) : sub());
      }
      return make_expr(std::move(node));
    }
    case 2:
    case 3:
      return make_expr(object_over(columns, depth));
    case 4: {
      JsonArray node;
      for (std::int64_t left = random_.below(4); left > 0; --left) node.items.push_back(sub());
      return make_expr(std::move(node));
    }
    case 5:
      return make_expr(JsonExtract{sub(), path(), true});
    case 6:
      return make_expr(map_over(sub()));
    case 7: {
      Coalesce node;
      for (std::int64_t left = 1 + random_.below(3); left > 0; --left) node.of.push_back(sub());
      return make_expr(std::move(node));
    }
    case 8: {
      IfNull node{sub(), sub(), {}};
      for (std::int64_t left = random_.below(3); left > 0; --left) {
        node.inputs.push_back(make_expr(ColumnRef{one_of(columns)}));
      }
      return make_expr(std::move(node));
    }
    default: {
      static const std::vector<std::string> prefixes = {"", "A#", "a", "ä", "\xff", "\0"s};
      static const std::vector<std::string> suffixes = {"", "#z", "b", "\xa4"};
      return make_expr(Between{sub(), one_of(prefixes), one_of(suffixes)});
    }
  }
}

ExprPtr Generator::invertible(const std::string& column) {
  const ExprPtr of = make_expr(ColumnRef{column});
  switch (random_.below(12)) {
    case 0:
      return of;
    case 1:
    case 2:
    case 3: {
      Template node;
      const auto literals = [&] {
        for (std::int64_t left = random_.below(3); left > 0; --left) {
          node.parts.push_back(make_expr(Constant{Value::text(text())}));
        }
      };
      literals();
      node.parts.push_back(of);
      literals();
      return make_expr(std::move(node));
    }
    case 4:
    case 5:
    case 6:
      return make_expr(JsonObject{{{"first", make_expr(Constant{stored_value()})}, {name(), of}}});
    case 7: {
      MapValues node = map_over(of);
      if (random_.chance(70)) node.otherwise.reset();
      if (!node.otherwise) node.keep_others = random_.chance(30);
      return make_expr(std::move(node));
    }
    case 8:
    case 9:
      return make_expr(Cast{of, static_cast<CastTo>(random_.below(4))});
    case 10:
      return make_expr(TimeConversion{of, static_cast<TimeForm>(random_.below(3)),
                                      static_cast<TimeForm>(random_.below(3))});
    default: {
      const ExprPtr inner = invertible(column);
      std::vector<ExprPtr> inputs;
      if (random_.chance(50)) inputs.push_back(of);
      return make_expr(IfNull{inner, make_expr(Constant{constant()}), std::move(inputs)});
    }
  }
}

}  // namespace whimbrel::differential
