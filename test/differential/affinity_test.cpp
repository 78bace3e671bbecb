// Holds `settle` against what a column of SQLite really stores.
//
// Where it gives a value, that is the stored one to the bit. Where it refuses, the column would
// have kept something else, from which the value cannot be had again.
#include "stores/sqlite/affinity.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/effort_test.h"
#include "differential/generate.h"
#include "stores/sqlite/connection.h"
#include "stores/sqlite/dialect.h"

namespace whimbrel::differential {
namespace {

using sqlite::Connection;

const int values = effort(1500, 4000);

const std::vector<std::string> declared_types = {"INT",
                                                 "INTEGER",
                                                 "BIGINT",
                                                 "TINYINT(1)",
                                                 "UNSIGNED BIG INT",
                                                 "int8",
                                                 "CHARINT",
                                                 "POINT",
                                                 "TEXT",
                                                 "VARCHAR(10)",
                                                 "NATIVE CHARACTER(70)",
                                                 "CLOB",
                                                 "nvarchar",
                                                 "BLOB",
                                                 "",
                                                 "BLOBTEXT",
                                                 "REAL",
                                                 "DOUBLE",
                                                 "DOUBLE PRECISION",
                                                 "FLOAT",
                                                 "FLOATING POINT",
                                                 "NUMERIC",
                                                 "DECIMAL(10,4)",
                                                 "TIMESTAMP",
                                                 "DATE",
                                                 "JSON",
                                                 "JSONB",
                                                 "BOOLEAN",
                                                 "UUID",
                                                 "STRING",
                                                 "ANY"};

// One table with a column of each declared type, one value in all of them.
class Columns {
 public:
  Columns() {
    auto opened = Connection::in_memory();
    database_ = std::move(opened).value();
    std::string ddl = "CREATE TABLE t (";
    std::string marks;
    for (std::size_t i = 0; i < declared_types.size(); ++i) {
      ddl += fmt::format("{}c{} {}", i == 0 ? "" : ", ", i, declared_types[i]);
      marks += i == 0 ? "?1" : ", ?1";
    }
    EXPECT_TRUE(database_->execute(ddl + ")").ok());
    insert_ = "INSERT INTO t VALUES (" + marks + ")";
  }
  Row stored(const Value& value) {
    EXPECT_TRUE(database_->execute("DELETE FROM t").ok());
    const auto inserted = database_->run(insert_, {value});
    EXPECT_TRUE(inserted.ok());
    return database_->query("SELECT * FROM t", {}).value().at(0);
  }
  // What a column of the value's own type makes of a stored one: is it the value again?
  Value brought_back(const Value& stored_one, const Value& value) {
    const char* type = value.kind() == Kind::text   ? "TEXT"
                       : value.kind() == Kind::real ? "REAL"
                                                    : "INTEGER";
    return stored(stored_one)[static_cast<std::size_t>(std::ranges::find(declared_types, type) -
                                                       declared_types.begin())];
  }

 private:
  std::unique_ptr<Connection> database_;
  std::string insert_;
};

TEST(Affinities, SettleIsWhatTheColumnStores) {
  const std::uint64_t seed = seed_of_this_run();
  Generator make(seed);
  Columns columns;
  std::int64_t refused = 0;
  for (int i = 0; i < values; ++i) {
    const Value value = make.stored_value();
    const Row stored = columns.stored(value);
    for (std::size_t at = 0; at < declared_types.size(); ++at) {
      const std::string where =
          fmt::format("WHIMBREL_SEED={}: {} in a column of type `{}` is {}", seed, show(value),
                      declared_types[at], show(stored[at]));
      const Result<Value> settled = sqlite::settle(sqlite::affinity_of(declared_types[at]), value);
      if (settled.ok()) {
        ASSERT_TRUE(same(settled.value(), stored[at]))
            << where << ", settled as " << show(settled.value());
        continue;
      }
      ++refused;
      ASSERT_EQ(settled.error().code, ErrorCode::refused) << where;
      ASSERT_FALSE(same(value, stored[at])) << where << ", and refused";
      ASSERT_FALSE(same(value, columns.brought_back(stored[at], value)))
          << where << ", which comes back, and refused";
    }
  }
  EXPECT_GT(refused, 0);
}

// What is not refused can be had again.
TEST(Affinities, WhatIsNotRefusedComesBack) {
  const std::uint64_t seed = seed_of_this_run() + 1;
  Generator make(seed);
  Columns columns;
  for (int i = 0; i < values; ++i) {
    const Value value = make.stored_value();
    for (const std::string& type : declared_types) {
      const Result<Value> settled = sqlite::settle(sqlite::affinity_of(type), value);
      if (!settled.ok() || same(settled.value(), value)) continue;
      ASSERT_TRUE(same(value, columns.brought_back(settled.value(), value)))
          << "WHIMBREL_SEED=" << seed << ": " << show(value) << " in a column of type `" << type
          << "` is " << show(settled.value());
    }
  }
}

TEST(Affinities, KnownCasesAreDecidedAsPeopleExpect) {
  struct Case {
    const char* type;
    Value value;
    std::optional<Value> settled;  // unset: refused
  };
  const std::vector<Case> cases = {
      {"INTEGER", Value::text("007"), std::nullopt},
      {"INTEGER", Value::text("7"), Value::integer(7)},
      {"INTEGER", Value::text(" 1"), std::nullopt},
      {"INTEGER", Value::text("1e5"), std::nullopt},
      {"INTEGER", Value::text("0x10"), Value::text("0x10")},
      {"INTEGER", Value::text("1.0"), std::nullopt},
      {"INTEGER", Value::text("+1"), std::nullopt},
      {"NUMERIC", Value::text(".5"), std::nullopt},
      {"NUMERIC", Value::text("5."), std::nullopt},
      {"NUMERIC", Value::text("0.5"), Value::real(0.5)},
      {"REAL", Value::text("1"), std::nullopt},
      {"REAL", Value::text("1.0"), Value::real(1.0)},
      {"REAL", Value::integer((1LL << 53) + 1), std::nullopt},
      {"REAL", Value::integer((1LL << 53) + 2), Value::real(9007199254740994.0)},
      {"REAL", Value::integer(INT64_MAX), std::nullopt},
      {"REAL", Value::real(-0.0), std::nullopt},
      {"DECIMAL(10,4)", Value::real(0.0), Value::integer(0)},
      {"INTEGER", Value::real(9223372036854775808.0), Value::real(9223372036854775808.0)},
      {"TEXT", Value::real(0.1), Value::text("0.1")},
      {"TEXT", Value::real(0.1 + 0.2), std::nullopt},
      {"TEXT", Value::real(HUGE_VAL), std::nullopt},
      {"TEXT", Value::bytes("a"), Value::bytes("a")},
      {"BLOB", Value::text("1"), Value::text("1")},
      {"TEXT", Value::real(std::nan("")), std::nullopt},
      {"", Value(Value::Storage(true)), Value::integer(1)},
      {"TEXT", Value::json("{}"), Value::text("{}")},
      {"TEXT", Value(Value::Storage(Decimal{"1.50"})), Value::text("1.50")},
      {"REAL", Value(Value::Storage(Decimal{"1.50"})), Value::real(1.5)},
      {"REAL", Value(Value::Storage(Decimal{"4"})), Value::real(4.0)},
      {"INTEGER", Value(Value::Storage(Decimal{"-4E+3"})), Value::integer(-4000)},
      {"INTEGER", Value(Value::Storage(Decimal{"0.00"})), Value::integer(0)},
      {"", Value(Value::Storage(Decimal{"0.1"})), Value::real(0.1)},
      {"", Value(Value::Storage(Decimal{"1E+100"})), Value::real(1e100)},
      {"NUMERIC", Value(Value::Storage(Decimal{"0.1000000000000000000000001"})), std::nullopt},
      {"INTEGER", Value(Value::Storage(Decimal{"12345678901234567890"})), std::nullopt},
  };
  for (const Case& one : cases) {
    const Result<Value> settled = sqlite::settle(sqlite::affinity_of(one.type), one.value);
    const std::string what = show(one.value) + " in " + one.type;
    ASSERT_EQ(settled.ok(), one.settled.has_value()) << what;
    if (settled.ok()) {
      EXPECT_TRUE(same(settled.value(), *one.settled)) << what;
    } else {
      EXPECT_EQ(settled.error().code, ErrorCode::refused) << what;
    }
  }
}

}  // namespace
}  // namespace whimbrel::differential
