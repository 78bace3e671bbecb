// The stores that need no server: memory and SQLite.
#include <fmt/format.h>

#include "conformance/sqlite_arena.h"
#include "stores/memory/memory_store.h"

namespace whimbrel::conformance {

namespace {

Row text_key(int i) {
  static const std::vector<std::string> odd = {"",     "ä",     "Z", "a b", "{x}",
                                               "it's", "\"q\"", "%", "A#1", "\n"};
  return text_key_of(i, odd);
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
  void drop_capture() override { store_.drop_capture(); }

 private:
  FakeClock clock_;
  MemoryStore store_;
};

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
  name_oddly(odd);
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

}  // namespace whimbrel::conformance
