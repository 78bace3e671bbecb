// A store under test, the application that uses its tables, and a mapping between two of them.
//
// The application never goes through the contract: it writes as it would without us, and looks at
// its rows itself. What the tables are called and what their keys are made of is the shape; every
// test runs over all of them.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "store/image.h"
#include "store/store.h"

namespace whimbrel::conformance {

using Named = std::pair<std::string, Value>;

struct KeyColumn {
  std::string name;
  std::string type;              // as the store says it, in SQL with its collation
  std::string target_type = {};  // "": the same
};

// Old: key, status, result, amount, old_only. New: key, state, document, amount, new_only.
struct Shape {
  std::string name;
  std::string source = "old_rows";
  std::string target = "new_rows";
  std::vector<KeyColumn> key = {{"id", "TEXT"}};
  bool key_is_inserted = false;  // the new key is a template over the old one
  bool without_rowid = false;
  std::string status = "status";
  std::string result = "result";
  std::string amount = "amount";
  std::string old_only = "old_only";
  std::string state = "state";
  std::string document = "document";
  std::string new_only = "new_only";
  std::function<Row(int)> key_at;  // the i-th key; not in key order
};
std::vector<Shape> every_shape();
// A number for each, not in order, so that the order of keys is the store's work.
int shuffled(int i);
// The i-th of the odd texts, then plain ones.
Row text_key_of(int i, const std::vector<std::string>& odd);
// Whole numbers of 64 bits, the extreme ones first.
Row integer_key(int i);
// Columns of names that have to be quoted.
void name_oddly(Shape& shape);

class Arena {
 public:
  virtual ~Arena() = default;
  virtual Store& store() = 0;
  // Another process: the same data through a store of its own.
  virtual void reopen() = 0;

  // The application.
  virtual Status insert(const std::string& table, const std::vector<Named>& values) = 0;
  virtual Status update(const std::string& table, const Row& key,
                        const std::vector<Named>& values) = 0;
  virtual Status erase(const std::string& table, const Row& key) = 0;
  virtual std::vector<Row> rows(const std::string& table) = 0;

  virtual TimePoint now() = 0;
  virtual void let_pass(Milliseconds duration) = 0;
  // What is there besides the application's own tables.
  virtual std::vector<std::string> leftovers() = 0;
  // Somebody takes away all that feeds live by.
  virtual void drop_capture() = 0;

  // What tables here are like.
  virtual Value number(std::int64_t number) const { return Value::integer(number); }
  virtual std::size_t long_text_bytes() const { return 3'000'000; }
  // What the target does not take as a state; unset where it takes everything.
  virtual std::optional<Value> refused_state() const { return std::nullopt; }
  // Whether the store copies inside also what a mapping computes.
  virtual bool computes_inside() const { return true; }
  // Whether a feed knows our write of a key also when the application has written it since.
  virtual bool knows_own_writes_for_good() const { return true; }
};

struct Setup {
  std::string name;
  Shape shape;
  std::function<std::unique_ptr<Arena>(const Shape&)> make;
};
void PrintTo(const Setup& setup, std::ostream* out);
std::unique_ptr<Arena> make_memory_arena(const Shape& shape);
// Of the executable: those that need no server, or those of one that is there.
std::vector<Setup> every_store();

class Conformance : public ::testing::TestWithParam<Setup> {
 protected:
  void SetUp() override;
  // Whether the store says that it cannot; asked once, without tables for every test that is
  // skipped.
  static bool lacks(bool Capabilities::* ability);
  // Again, where a test has changed the tables.
  void set_up_mapping();

  Store& store() { return arena_->store(); }
  Catalog& catalog() { return store().catalog(); }
  Capture& capture() { return store().capture(); }
  const Shape& shape() const { return GetParam().shape; }
  const std::string& source() const { return shape().source; }
  const std::string& target() const { return shape().target; }

  Row key(int i) const { return shape().key_at(i); }
  Row target_key(int i);
  Value number(std::int64_t value) const { return arena_->number(value); }
  // As a plan sees a table: where rows may have values that no column names, those that it names.
  TableSchema described(const std::string& table);
  // The application inserts, on the old side and on the new one.
  Status insert_old(int i, Value status, Value result, std::int64_t amount);
  Status insert_new(int i, const std::string& state, Value document, std::int64_t amount,
                    Value new_only);
  void insert_old_rows(int count);
  // Rows by the application's eyes; unset when there is none with this key.
  std::optional<Row> old_row(int i);
  std::optional<Row> new_row(int i);
  Value old_value(int i, const std::string& column);
  Value new_value(int i, const std::string& column);
  Status update_old(int i, const std::vector<Named>& values) {
    return arena_->update(source(), key(i), values);
  }
  Status update_new(int i, const std::vector<Named>& values) {
    return arena_->update(target(), target_key(i), values);
  }

  Link the_link() { return {"the link", &mapping_, true}; }
  void link() { good(capture().link({the_link()})); }
  // Each old row has its new one with what the mapping gives, and there are no others.
  void expect_in_step();
  static void expect_same_rows(const std::vector<Row>& a, const std::vector<Row>& b);
  // Writes the image of every old row, as the engine does between two stores.
  void copy_outside();

  static void good(const Status& status) {
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : to_text(status.error()));
  }
  template <class T>
  static T good(Result<T> result) {
    if (result.ok()) return std::move(result).value();
    throw std::runtime_error(to_text(result.error()));
  }

  std::unique_ptr<Arena> arena_;
  Mapping mapping_;
};

std::string name_of_setup(const ::testing::TestParamInfo<Setup>& info);
// Every test of this kind, over every store and shape.
#define RUN_OVER_EVERY_STORE(suite)                                                     \
  INSTANTIATE_TEST_SUITE_P(Over, suite,                                                 \
                           ::testing::ValuesIn(::whimbrel::conformance::every_store()), \
                           ::whimbrel::conformance::name_of_setup)

}  // namespace whimbrel::conformance
