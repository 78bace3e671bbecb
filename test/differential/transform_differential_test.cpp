// Holds the three readers of an expression together: evaluator, SQL spelling and inverse.
//
// Generated trees are run over generated rows by `evaluate` and by SQLite, from a real table and
// from within a trigger, and must give the same value to the byte. Every spelling is total: a
// trigger runs inside the application's own write, so an SQL error is a failure, whatever the
// value. What SQLite cannot tell or take back, the evaluator refuses by name.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "base/text.h"
#include "differential/generate.h"
#include "stores/sqlite/affinity.h"
#include "stores/sqlite/connection.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/schema.h"

namespace whimbrel::differential {
namespace {

using sqlite::Connection;

constexpr int rows_a_table = 50;
constexpr int tables = 20;
constexpr int trees_a_table = 150;
constexpr std::int64_t pairs_min = 100'000;

const std::vector<std::string> columns = {"whole",    "words",          "raw",
                                          "real one", "odd \"number\"", "folded"};
// One more than there are affinities: a collation must not change what a spelling says.
constexpr const char* source_ddl =
    "CREATE TABLE source (id INTEGER PRIMARY KEY, whole INTEGER, words TEXT, raw BLOB, \"real "
    "one\" REAL,"
    " \"odd \"\"number\"\"\" NUMERIC, folded TEXT COLLATE NOCASE)";

void must(const Status& status) {
  if (!status.ok()) FAIL() << to_text(status.error());
}

// What SQLite makes of kinds that it does not have.
Value as_sqlite_has_it(const Value& value) {
  if (const auto* flag = value.get_if<bool>()) return Value::integer(*flag ? 1 : 0);
  if (const auto* json = value.get_if<Json>()) return Value::text(json->text);
  return value;
}

class Spellings : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Connection::in_memory();
    ASSERT_TRUE(opened.ok());
    database_ = std::move(opened).value();
  }

  // A fresh table of generated rows; `rows_` is what is really stored.
  void fill() {
    must(database_->execute("DROP TABLE IF EXISTS source"));
    must(database_->execute("DROP TABLE IF EXISTS watched"));
    must(database_->execute(source_ddl));
    std::string watched = source_ddl;
    must(database_->execute(watched.replace(watched.find("source"), 6, "watched")));
    for (int id = 1; id <= rows_a_table; ++id) {
      Row row = {Value::integer(id)};
      for (std::size_t i = 0; i < columns.size(); ++i) row.push_back(make_.stored_value());
      const auto inserted =
          database_->run("INSERT INTO source VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", row);
      ASSERT_TRUE(inserted.ok()) << to_text(inserted.error());
    }
    auto read = database_->query("SELECT * FROM source ORDER BY id", {});
    ASSERT_TRUE(read.ok());
    rows_ = std::move(read).value();
    auto schema = sqlite::describe(*database_, "source");
    ASSERT_TRUE(schema.ok()) << to_text(schema.error());
    schema_ = std::move(schema).value();
  }

  static std::optional<std::string> spelled(const Expr& expr, const std::string& row) {
    return spell(expr, sqlite::dialect(),
                 [&](std::string_view column) { return row + quote_name(column); });
  }

  std::string about(const Expr& expr, const std::string& sql, std::size_t row) const {
    return fmt::format("WHIMBREL_SEED={}\n  expression: {}\n  spelled: {}\n  row: {}", seed_,
                       describe(expr), printable(sql, 3000), show(rows_[row]));
  }

  // Every row of the table, in one statement.
  void compare_selected(const Expr& expr) {
    const auto sql = spelled(expr, "s.");
    if (!sql) return;
    const auto found = database_->query("SELECT " + *sql + " FROM source AS s ORDER BY id", {});
    ASSERT_TRUE(found.ok()) << to_text(found.error()) << "\n" << about(expr, *sql, 0);
    ASSERT_EQ(found.value().size(), rows_.size());
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      ++pairs_;
      const Result<Value> expected = evaluate(expr, rows_[i]);
      if (!expected.ok()) {
        ++refused_;
        ASSERT_EQ(expected.error().code, ErrorCode::refused) << about(expr, *sql, i);
        continue;
      }
      const Value& have = found.value()[i][0];
      ASSERT_TRUE(same(as_sqlite_has_it(expected.value()), have))
          << "evaluated: " << show(expected.value(), 300) << "\nin SQL:    " << show(have, 300)
          << "\n"
          << about(expr, *sql, i);
    }
  }

  // The same from within a trigger, into a column that has a type of its own.
  void compare_stored(const Expr& expr) {
    const auto sql = spelled(expr, "NEW.");
    if (!sql) return;
    static const std::vector<std::string> types = {"INTEGER", "TEXT",          "BLOB",
                                                   "REAL",    "DECIMAL(10,4)", ""};
    const std::string& type = types[static_cast<std::size_t>(make_.random().below(6))];
    must(database_->execute(
        "DROP TABLE IF EXISTS made; CREATE TABLE made (id INTEGER PRIMARY KEY, v " + type + ")"));
    must(
        database_->execute("CREATE TRIGGER carry AFTER INSERT ON watched BEGIN"
                           " INSERT INTO made SELECT NEW.id, " +
                           *sql + "; END"));
    const Status carried = database_->execute("INSERT INTO watched SELECT * FROM source");
    ASSERT_TRUE(carried.ok()) << to_text(carried.error()) << "\n" << about(expr, *sql, 0);
    const auto found = database_->query("SELECT v FROM made ORDER BY id", {});
    ASSERT_TRUE(found.ok());
    must(database_->execute("DROP TRIGGER carry; DELETE FROM watched"));
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      ++pairs_;
      const Result<Value> value = evaluate(expr, rows_[i]);
      if (!value.ok()) continue;
      const Result<Value> expected = sqlite::settle(sqlite::affinity_of(type), value.value());
      if (!expected.ok()) {
        ASSERT_EQ(expected.error().code, ErrorCode::refused);
        continue;
      }
      ASSERT_TRUE(same(expected.value(), found.value()[i][0]))
          << "evaluated: " << show(expected.value(), 300)
          << "\nstored:    " << show(found.value()[i][0], 300) << " in a column of type `" << type
          << "`\n"
          << about(expr, *sql, i);
    }
  }

  ExprPtr resolved(const ExprPtr& expr) const {
    Result<ExprPtr> out = resolve(expr, schema_);
    EXPECT_TRUE(out.ok());
    return std::move(out).value();
  }

  std::uint64_t seed_ = seed_of_this_run();
  Generator make_{seed_};
  std::unique_ptr<Connection> database_;
  TableSchema schema_;
  std::vector<Row> rows_;
  std::int64_t pairs_ = 0;
  std::int64_t refused_ = 0;
  std::int64_t unspelled_ = 0;
};

TEST_F(Spellings, MeanWhatTheEvaluatorSaysAndNeverFail) {
  for (int table = 0; table < tables; ++table) {
    ASSERT_NO_FATAL_FAILURE(fill());
    for (int i = 0; i < trees_a_table; ++i) {
      const ExprPtr expr =
          resolved(make_.tree(columns, static_cast<int>(1 + make_.random().below(3))));
      if (!spelled(*expr, "s.")) {
        ++unspelled_;
        continue;
      }
      ASSERT_NO_FATAL_FAILURE(compare_selected(*expr));
      if (i % 4 != 0) continue;
      ASSERT_NO_FATAL_FAILURE(compare_stored(*expr));
    }
  }
  EXPECT_GE(pairs_, pairs_min);
  // A test that refuses everything proves nothing.
  EXPECT_LT(refused_ * 2, pairs_);
  RecordProperty("pairs", std::to_string(pairs_));
  RecordProperty("refused", std::to_string(refused_));
  RecordProperty("not_spelled", std::to_string(unspelled_));
}

// What an inverse is told: the value that T made, in a column without a type.
TEST_F(Spellings, OfInversesMeanWhatTheEvaluatorSaysOnAnyValue) {
  for (int table = 0; table < tables / 2; ++table) {
    ASSERT_NO_FATAL_FAILURE(fill());
    for (int i = 0; i < trees_a_table / 2; ++i) {
      const std::string& column =
          columns[static_cast<std::size_t>(make_.random().below(std::ssize(columns)))];
      for (const Inverse& inverse : invert(column, make_.invertible(column), schema_, schema_)) {
        ASSERT_NO_FATAL_FAILURE(compare_selected(*resolved(inverse.expr)));
      }
    }
  }
  EXPECT_GT(pairs_, 20'000);
}

// Bytes in a column of texts, or texts in one of bytes: a cast cannot know that they were there.
bool is_astray(const Expr& expr, Kind holds, const Value& value) {
  if (const auto* node = std::get_if<IfNull>(&expr.node)) return is_astray(*node->of, holds, value);
  if (!std::holds_alternative<Cast>(expr.node) || value.is_null()) return false;
  return (value.kind() == Kind::bytes) != (holds == Kind::bytes);
}

TEST_F(Spellings, ExactInversesGiveBackWhatTheSourceColumnHeld) {
  must(database_->execute("CREATE TABLE target (a INTEGER, b TEXT, c BLOB, d REAL, e NUMERIC, f)"));
  const Result<TableSchema> described = sqlite::describe(*database_, "target");
  ASSERT_TRUE(described.ok());
  const TableSchema& target = described.value();
  std::map<std::string, std::int64_t> given_back;
  for (int i = 0; i < 3000; ++i) {
    if (i % 30 == 0) {
      ASSERT_NO_FATAL_FAILURE(fill());
    }
    const std::size_t at = 1 + static_cast<std::size_t>(make_.random().below(std::ssize(columns)));
    const ColumnSchema& column = schema_.columns[at];
    const ExprPtr expr = resolved(make_.invertible(column.name));
    // Whether a plain copy between two types comes back is a matter of the types: `review` says it.
    const bool copied = std::holds_alternative<ColumnRef>(expr->node);
    const ColumnSchema& written =
        target.columns[copied ? 5 : static_cast<std::size_t>(make_.random().below(6))];
    for (const Inverse& inverse : invert(written.name, expr, schema_, target)) {
      ASSERT_EQ(inverse.column, column.name);
      if (!inverse.exact) {
        ASSERT_NE(inverse.loss, "");
        continue;
      }
      const Result<ExprPtr> back = resolve(inverse.expr, target);
      ASSERT_TRUE(back.ok());
      for (const Row& row : rows_) {
        const Result<Value> made = evaluate(*expr, row);
        if (!made.ok() || is_astray(*expr, column.holds, row[at])) continue;
        const Result<Value> stored =
            sqlite::settle(sqlite::affinity_of(written.declared), made.value());
        if (!stored.ok()) continue;
        const std::string what = fmt::format(
            "WHIMBREL_SEED={}\n  expression: {}\n  inverse: {}\n  column of type `{}`: {}, made: "
            "{}, in a column of type `{}`",
            seed_, describe(*expr), describe(*inverse.expr), column.declared, show(row[at]),
            show(made.value()), written.declared);
        Row target_row(target.columns.size());
        target_row[static_cast<std::size_t>(target.column_index(written.name))] = stored.value();
        const Result<Value> given = evaluate(*back.value(), target_row);
        ASSERT_TRUE(given.ok()) << to_text(given.error()) << "\n" << what;
        const Result<Value> settled =
            sqlite::settle(sqlite::affinity_of(column.declared), given.value());
        ASSERT_TRUE(settled.ok()) << to_text(settled.error()) << "\n" << what;
        ASSERT_TRUE(same(settled.value(), row[at]))
            << "given back: " << show(settled.value()) << "\n"
            << what;
        ++given_back[fmt::format("{} of {}", expr->node.index(), name_of(row[at].kind()))];
      }
    }
  }
  // Copies, templates, casts, documents and maps, each over most kinds of values.
  EXPECT_GE(given_back.size(), 20U);
}

}  // namespace
}  // namespace whimbrel::differential
