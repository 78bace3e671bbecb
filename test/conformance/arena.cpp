#include "conformance/arena.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <set>

#include "base/text.h"
#include "conformance/sqlite_arena.h"
#include "stores/memory/memory_store.h"

namespace whimbrel::conformance {

namespace {

// Not in order, so that the order of keys is the store's work.
int shuffled(int i) { return (i * 37 + 11) % 101; }

Row text_key(int i) {
  static const std::vector<std::string> odd = {"",     "ä",     "Z", "a b", "{x}",
                                               "it's", "\"q\"", "%", "A#1", "\n"};
  return {Value::text(i < std::ssize(odd) ? odd[static_cast<std::size_t>(i)]
                                          : fmt::format("k{:03}", shuffled(i)))};
}

Row integer_key(int i) {
  static const std::vector<std::int64_t> odd = {0, -1, INT64_MAX, INT64_MIN, 1LL << 53};
  return {
      Value::integer(i < std::ssize(odd) ? odd[static_cast<std::size_t>(i)] : shuffled(i) - 200)};
}

Row composite_key(int i) {
  return {Value::text(std::string(1, static_cast<char>('a' + i % 3))), Value::integer(shuffled(i))};
}

Row folded_key(int i) {
  return {Value::text(fmt::format("{}{:03}", i % 2 == 0 ? "Key" : "kEY", shuffled(i)))};
}

// ---------------------------------------------------------------- memory

class FakeClock final : public Clock {
 public:
  TimePoint now() override { return now_; }
  Milliseconds monotonic() override { return now_.time_since_epoch(); }
  void sleep_for(Milliseconds duration) override { now_ += duration; }

 private:
  TimePoint now_{Milliseconds{1'800'000'000'000}};
};

TableSchema memory_table(const std::string& name, const Shape& shape,
                         const std::vector<std::string>& columns) {
  TableSchema table;
  table.name = name;
  for (const KeyColumn& column : shape.key) {
    table.key.push_back(column.name);
    table.columns.push_back({column.name, "", false, false, false, "", Kind::null});
  }
  for (const std::string& column : columns) {
    table.columns.push_back({column, "", true, false, false, "", Kind::null});
  }
  return table;
}

class MemoryArena final : public Arena {
 public:
  explicit MemoryArena(const Shape& shape) : store_("conformance", clock_) {
    store_.add_table(memory_table(shape.source, shape,
                                  {shape.status, shape.result, shape.amount, shape.old_only}));
    store_.add_table(memory_table(shape.target, shape,
                                  {shape.state, shape.document, shape.amount, shape.new_only}));
  }

  Store& store() override { return store_; }
  void reopen() override {}  // what is in memory is there as long as the process
  Status insert(const std::string& table, const std::vector<Named>& values) override {
    return store_.put(table, values);
  }
  Status update(const std::string& table, const Row& key,
                const std::vector<Named>& values) override {
    const TableSchema schema = store_.catalog().describe(table).value();
    std::vector<Named> all;
    for (std::size_t i = 0; i < key.size(); ++i) all.emplace_back(schema.key[i], key[i]);
    all.insert(all.end(), values.begin(), values.end());
    return store_.put(table, all);
  }
  Status erase(const std::string& table, const Row& key) override {
    return store_.erase(table, key);
  }
  std::vector<Row> rows(const std::string& table) override { return store_.rows(table); }
  TimePoint now() override { return clock_.now(); }
  void let_pass(Milliseconds duration) override { clock_.sleep_for(duration); }
  std::vector<std::string> leftovers() override { return store_.leftovers(); }

 private:
  FakeClock clock_;
  MemoryStore store_;
};

ExprPtr column(const std::string& name) { return make_expr(ColumnRef{name}); }

std::vector<std::pair<std::string, ExprPtr>> rules_of(const Shape& shape) {
  std::vector<std::pair<std::string, ExprPtr>> rules;
  for (std::size_t i = 0; i < shape.key.size(); ++i) {
    const std::string& name = shape.key[i].name;
    const ExprPtr literal = make_expr(Constant{Value::text("NEW#")});
    const bool inserted = shape.key_is_inserted && i == 0;
    rules.emplace_back(name,
                       inserted ? make_expr(Template{{literal, column(name)}}) : column(name));
  }
  rules.emplace_back(
      shape.state,
      make_expr(IfNull{column(shape.status), make_expr(Constant{Value::text("pending")}), {}}));
  rules.emplace_back(shape.document,
                     make_expr(IfNull{make_expr(JsonObject{{{"result", column(shape.result)}}}),
                                      make_expr(Constant{}),
                                      {column(shape.result)}}));
  rules.emplace_back(shape.amount, column(shape.amount));
  return rules;
}

}  // namespace

std::unique_ptr<Arena> make_memory_arena(const Shape& shape) {
  return std::make_unique<MemoryArena>(shape);
}

std::vector<Shape> every_shape() {
  std::vector<Shape> all;
  const auto add = [&](const char* name, std::vector<KeyColumn> key, Row (*key_at)(int)) -> Shape& {
    Shape shape;
    shape.name = name;
    shape.key = std::move(key);
    shape.key_at = key_at;
    all.push_back(std::move(shape));
    return all.back();
  };
  add("text_key", {{"id", "TEXT"}}, text_key).key_is_inserted = true;
  add("integer_key", {{"id", "INTEGER"}}, integer_key);
  add("composite_key", {{"region", "TEXT"}, {"number", "INTEGER"}}, composite_key);
  add("folded_key", {{"id", "TEXT COLLATE NOCASE"}}, folded_key);
  add("without_rowid", {{"region", "TEXT"}, {"number", "INTEGER"}}, composite_key).without_rowid =
      true;
  Shape& odd = add("odd_names", {{"the \"id\"", "TEXT"}, {"order", "INT"}}, composite_key);
  odd.source = "old {rows} of 'us'";
  odd.target = "select \"new\"";
  odd.status = "group";
  odd.result = "re\"sult";
  odd.amount = "{amount}";
  odd.old_only = "old only";
  odd.state = "where";
  odd.document = "{}";
  odd.new_only = "new.only";
  return all;
}

// Journal modes and the application's settings are crossed with the shapes only once: they do not
// meet in the code, and every test costs a database.
std::vector<Setup> every_store() {
  const auto careless = [](const Shape& shape) -> std::unique_ptr<Arena> {
    return std::make_unique<SqliteArena>(shape, ApplicationSettings{"wal", false, false});
  };
  const auto strict = [](const Shape& shape) -> std::unique_ptr<Arena> {
    return std::make_unique<SqliteArena>(shape, ApplicationSettings{"delete", true, true});
  };
  std::vector<Setup> all;
  bool wal = true;
  for (const Shape& shape : every_shape()) {
    const bool both = shape.name == "text_key";
    if (shape.name != "folded_key" && !shape.without_rowid) {
      all.push_back({"memory_" + shape.name, shape, make_memory_arena});
    }
    if (both || wal) all.push_back({"sqlite_wal_" + shape.name, shape, careless});
    if (both || !wal) all.push_back({"sqlite_rollback_journal_" + shape.name, shape, strict});
    wal = !wal;
  }
  return all;
}

void PrintTo(const Setup& setup, std::ostream* out) { *out << setup.name; }

std::string name_of_setup(const ::testing::TestParamInfo<Setup>& info) { return info.param.name; }

// ---------------------------------------------------------------- the fixture

void Conformance::SetUp() {
  arena_ = GetParam().make(shape());
  set_up_mapping();
}

void Conformance::set_up_mapping() {
  mapping_ = good(make_mapping(good(catalog().describe(source())),
                               good(catalog().describe(target())), rules_of(shape())));
}

Row Conformance::target_key(int i) { return good(target_key_of(mapping_, key(i), catalog())); }

Status Conformance::insert_old(int i, Value status, Value result, std::int64_t amount) {
  std::vector<Named> values;
  const Row own_key = key(i);
  for (std::size_t at = 0; at < own_key.size(); ++at)
    values.emplace_back(shape().key[at].name, own_key[at]);
  values.emplace_back(shape().status, std::move(status));
  values.emplace_back(shape().result, std::move(result));
  values.emplace_back(shape().amount, Value::integer(amount));
  values.emplace_back(shape().old_only, Value::text(fmt::format("only old {}", i)));
  return arena_->insert(source(), values);
}

Status Conformance::insert_new(int i, const std::string& state, Value document, std::int64_t amount,
                               Value new_only) {
  std::vector<Named> values;
  const Row own_key = target_key(i);
  for (std::size_t at = 0; at < own_key.size(); ++at)
    values.emplace_back(shape().key[at].name, own_key[at]);
  values.emplace_back(shape().state, Value::text(state));
  values.emplace_back(shape().document, std::move(document));
  values.emplace_back(shape().amount, Value::integer(amount));
  values.emplace_back(shape().new_only, std::move(new_only));
  return arena_->insert(target(), values);
}

// Every third has no status, every fourth no result.
void Conformance::insert_old_rows(int count) {
  for (int i = 0; i < count; ++i) {
    good(insert_old(i, i % 3 == 0 ? Value() : Value::text(fmt::format("status {}", i)),
                    i % 4 == 0 ? Value() : Value::text(fmt::format("result \"{}\"", i)), i * 10));
  }
}

namespace {
std::optional<Row> with_key(const std::vector<Row>& rows, const std::vector<int>& at,
                            const Row& key) {
  for (const Row& row : rows) {
    if (same(key_of(row, at), key)) return row;
  }
  return std::nullopt;
}
}  // namespace

std::optional<Row> Conformance::old_row(int i) {
  return with_key(arena_->rows(source()), mapping_.source_key, key(i));
}

std::optional<Row> Conformance::new_row(int i) {
  return with_key(arena_->rows(target()), mapping_.target_key, target_key(i));
}

Value Conformance::old_value(int i, const std::string& column) {
  const std::optional<Row> row = old_row(i);
  EXPECT_TRUE(row.has_value()) << "there is no old row " << i;
  return row ? (*row)[static_cast<std::size_t>(mapping_.source.column_index(column))] : Value();
}

Value Conformance::new_value(int i, const std::string& column) {
  const std::optional<Row> row = new_row(i);
  EXPECT_TRUE(row.has_value()) << "there is no new row " << i;
  return row ? (*row)[static_cast<std::size_t>(mapping_.target.column_index(column))] : Value();
}

void Conformance::expect_in_step() {
  const std::vector<Row> old_rows = arena_->rows(source());
  const std::vector<Row> new_rows = arena_->rows(target());
  EXPECT_EQ(old_rows.size(), new_rows.size());
  for (const Row& row : old_rows) {
    const Row image = good(image_of(mapping_, row, catalog()));
    const std::optional<Row> found =
        with_key(new_rows, mapping_.target_key, key_of(image, mapping_.target_key));
    ASSERT_TRUE(found.has_value()) << "no new row for " << show(row);
    EXPECT_EQ(join(differing(mapping_.forward, image, *found), ", "), "")
        << show(row) << " and " << show(*found);
  }
}

void Conformance::copy_outside() {
  const auto reader = good(store().open_reader(mapping_.source));
  const auto writer = good(store().open_writer(mapping_.target, written_columns(mapping_.forward)));
  const ChunkOfRows all = good(reader->read_after(std::nullopt, {}));
  std::vector<Change> changes;
  for (const Row& row : all.rows) {
    const Row image = good(image_of(mapping_, row, catalog()));
    changes.push_back({key_of(image, mapping_.target_key), written_values(mapping_.forward, image),
                       std::nullopt});
  }
  good(writer->apply(changes));
}

}  // namespace whimbrel::conformance
