// How applications write to SQLite, and what links and feeds make of it: REPLACE, UPSERT, OR
// IGNORE, key changes, triggers and foreign keys of their own, values nobody thought of.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "conformance/sqlite_arena.h"
#include "differential/generate.h"

namespace whimbrel::conformance {
namespace {

std::vector<Setup> every_sqlite() {
  std::vector<Setup> all = every_store();
  std::erase_if(all, [](const Setup& setup) { return !setup.name.starts_with("sqlite"); });
  return all;
}

class SqliteWrites : public Conformance {
 protected:
  SqliteArena& sql() { return static_cast<SqliteArena&>(*arena_); }
  void run(const std::string& statement, const Row& parameters = {}) {
    good(sql().run(statement, parameters));
  }
  void link_with_rows(int count) {
    insert_old_rows(count);
    link();
    copy_outside();
    expect_in_step();
  }
  std::string key_list() const {
    std::vector<std::string> names;
    for (const KeyColumn& column : shape().key) names.push_back(quoted(column.name));
    return join(names, ", ");
  }
  std::string marks(std::size_t count) const {
    std::vector<std::string> all;
    for (std::size_t i = 1; i <= count; ++i) all.push_back(fmt::format("?{}", i));
    return join(all, ", ");
  }
  // "VERB INTO old (key, status, amount) VALUES (…) TAIL"
  void write_old(const std::string& verb, int i, const std::string& status, std::int64_t amount,
                 const std::string& tail = "") {
    Row values = key(i);
    values.push_back(Value::text(status));
    values.push_back(Value::integer(amount));
    run(fmt::format("{} INTO {} ({}, {}, {}) VALUES ({}) {}", verb, quoted(source()), key_list(),
                    quoted(shape().status), quoted(shape().amount), marks(values.size()), tail),
        values);
  }
  void write_new(const std::string& verb, int i, const std::string& state, std::int64_t amount,
                 const std::string& tail = "") {
    Row values = target_key(i);
    values.push_back(Value::text(state));
    values.push_back(Value::integer(amount));
    run(fmt::format("{} INTO {} ({}, {}, {}) VALUES ({}) {}", verb, quoted(target()), key_list(),
                    quoted(shape().state), quoted(shape().amount), marks(values.size()), tail),
        values);
  }
  std::vector<Named> as_key(const Row& own_key) const {
    std::vector<Named> values;
    for (std::size_t i = 0; i < own_key.size(); ++i)
      values.emplace_back(shape().key[i].name, own_key[i]);
    return values;
  }
  std::set<Row, RowLess> old_keys_as_new() {
    std::set<Row, RowLess> keys;
    for (const Row& row : arena_->rows(source())) {
      keys.insert(good(target_key_of(mapping_, key_of(row, mapping_.source_key), catalog())));
    }
    return keys;
  }
  std::set<Row, RowLess> new_keys() {
    std::set<Row, RowLess> keys;
    for (const Row& row : arena_->rows(target())) keys.insert(key_of(row, mapping_.target_key));
    return keys;
  }
  void expect_the_same_keys() {
    const auto old_ones = old_keys_as_new();
    const auto new_ones = new_keys();
    EXPECT_TRUE(std::ranges::equal(old_ones, new_ones,
                                   [](const Row& a, const Row& b) { return same(a, b); }))
        << old_ones.size() << " and " << new_ones.size() << " keys";
  }
  std::int64_t differing_inside() {
    const auto copier = good(store().open_inside(mapping_, store()));
    return good(copier->compare_after(std::nullopt, std::nullopt, {100'000})).differing_rows;
  }
  std::set<Row, RowLess> told(const std::string& feed) {
    std::set<Row, RowLess> keys;
    for (const KeyChange& change : good(capture().read(feed, "0", 100'000)).changes)
      keys.insert(change.key);
    return keys;
  }
};

// ---------------------------------------------------------------- keys that change

TEST_P(SqliteWrites, MoveARowToItsNewKeyWithWhatOnlyTheNewSideHolds) {
  link_with_rows(5);
  good(update_new(1, {{shape().new_only, Value::text("mine")}}));
  good(update_old(1, as_key(key(40))));
  EXPECT_FALSE(new_row(1).has_value());
  EXPECT_TRUE(same(new_value(40, shape().new_only), Value::text("mine")));
  expect_in_step();
}

TEST_P(SqliteWrites, MoveARowToItsNewKeyWithWhatOnlyTheOldSideHolds) {
  link_with_rows(5);
  good(update_new(1, as_key(target_key(40))));
  EXPECT_FALSE(old_row(1).has_value());
  EXPECT_TRUE(same(old_value(40, shape().old_only), Value::text("only old 1")));
  expect_in_step();
  const std::vector<Row> written = good(capture().written_on_new_side(the_link()));
  EXPECT_EQ(written.size(), 2U) << "the key that is gone and the one that came";
}

TEST_P(SqliteWrites, CarryOnlyWhatChangedBesidesTheKey) {
  link_with_rows(5);
  const Value rich = Value::text("{\"result\":\"result \\\"1\\\"\",\"more\":true}");
  good(update_new(1, {{shape().document, rich}}));
  std::vector<Named> values = as_key(key(40));
  values.emplace_back(shape().amount, Value::integer(9));
  good(update_old(1, values));
  EXPECT_TRUE(same(new_value(40, shape().document), rich));
  EXPECT_TRUE(same(new_value(40, shape().amount), Value::integer(9)));
  good(update_new(3, as_key(target_key(41))));  // its status is null, its state `pending`
  EXPECT_TRUE(old_value(41, shape().status).is_null());
}

TEST_P(SqliteWrites, MoveARowOntoAnother) {
  link_with_rows(5);
  const auto move = [&](const std::string& table, const Row& from, const Row& to) {
    std::vector<std::string> sets;
    std::vector<std::string> where;
    Row parameters = to;
    parameters.insert(parameters.end(), from.begin(), from.end());
    for (std::size_t i = 0; i < to.size(); ++i) {
      const std::string column = quoted(shape().key[i].name);
      sets.push_back(fmt::format("{} = ?{}", column, i + 1));
      where.push_back(fmt::format("{} = ?{}", column, i + 1 + to.size()));
    }
    run(fmt::format("UPDATE OR REPLACE {} SET {} WHERE {}", quoted(table), join(sets, ", "),
                    join(where, " AND ")),
        parameters);
  };
  move(source(), key(1), key(2));
  EXPECT_EQ(arena_->rows(source()).size(), 4U);
  expect_in_step();
  move(target(), target_key(3), target_key(4));
  EXPECT_EQ(arena_->rows(target()).size(), 3U);
  expect_the_same_keys();
}

TEST_P(SqliteWrites, KnowAKeyThatDiffersOnlyInItsCase) {
  if (shape().name != "folded_key") return;
  link_with_rows(5);
  good(update_new(1, {{shape().new_only, Value::text("mine")}}));
  const std::string upper = ascii_upper(key(1)[0].get<std::string>());
  good(update_old(1, {{shape().key[0].name, Value::text(upper)}}));
  expect_in_step();
  EXPECT_EQ(sql().ask("SELECT count(*) FROM " + quoted(target()))[0][0].get<std::int64_t>(), 5);
  EXPECT_EQ(sql()
                .ask(fmt::format("SELECT {} FROM {} WHERE id = ?1", quoted(shape().new_only),
                                 quoted(target())),
                     {Value::text(upper)})[0][0]
                .get<std::string>(),
            "mine");
}

// ---------------------------------------------------------------- ways to insert

TEST_P(SqliteWrites, CarryReplaceOnTheOldSide) {
  link_with_rows(5);
  write_old("INSERT OR REPLACE", 1, "replaced", 100);
  write_old("REPLACE", 9, "came", 9);
  expect_in_step();
  EXPECT_TRUE(same(new_value(1, shape().state), Value::text("replaced")));
  EXPECT_TRUE(good(capture().written_on_new_side(the_link())).empty());
}

TEST_P(SqliteWrites, CarryReplaceOnTheNewSide) {
  link_with_rows(5);
  write_new("INSERT OR REPLACE", 1, "replaced", 100);
  write_new("REPLACE", 9, "came", 9);
  EXPECT_TRUE(same(old_value(1, shape().status), Value::text("replaced")));
  EXPECT_TRUE(same(old_value(9, shape().amount), Value::integer(9)));
  expect_the_same_keys();
}

TEST_P(SqliteWrites, CarryUpserts) {
  link_with_rows(5);
  const std::string on_conflict =
      fmt::format("ON CONFLICT ({}) DO UPDATE SET {} = excluded.{}", key_list(),
                  quoted(shape().amount), quoted(shape().amount));
  write_old("INSERT", 1, "not this", 11, on_conflict);
  write_old("INSERT", 10, "new", 12, on_conflict);
  expect_in_step();
  EXPECT_TRUE(same(new_value(1, shape().state), Value::text("status 1")));
  EXPECT_TRUE(same(new_value(1, shape().amount), Value::integer(11)));
  write_new("INSERT", 2, "not this", 13, on_conflict);
  write_new("INSERT", 11, "new", 14, on_conflict);
  EXPECT_TRUE(same(old_value(2, shape().status), Value::text("status 2")));
  EXPECT_TRUE(same(old_value(2, shape().amount), Value::integer(13)));
  expect_in_step();
}

TEST_P(SqliteWrites, CarryWhatIgnoresConflicts) {
  link_with_rows(5);
  write_old("INSERT OR IGNORE", 1, "ignored", 100);
  write_old("INSERT OR IGNORE", 9, "came", 9);
  write_old("INSERT", 2, "ignored", 100, "ON CONFLICT DO NOTHING");
  run(fmt::format("UPDATE OR IGNORE {} SET {} = 55", quoted(source()), quoted(shape().amount)));
  expect_in_step();
  write_new("INSERT OR IGNORE", 1, "ignored", 100);
  write_new("INSERT OR IGNORE", 10, "came", 10);
  write_new("INSERT OR FAIL", 11, "came", 11);
  run(fmt::format("UPDATE OR ROLLBACK {} SET {} = 56", quoted(target()), quoted(shape().amount)));
  expect_in_step();
}

TEST_P(SqliteWrites, CarryStatementsOverManyRows) {
  link_with_rows(20);
  run(fmt::format("UPDATE {} SET {} = {} + 1, {} = NULL", quoted(source()), quoted(shape().amount),
                  quoted(shape().amount), quoted(shape().status)));
  expect_in_step();
  run(fmt::format("DELETE FROM {} WHERE {} > 100", quoted(target()), quoted(shape().amount)));
  expect_in_step();
  run("DELETE FROM " + quoted(source()));  // without WHERE: SQLite's short cut
  expect_in_step();
  EXPECT_TRUE(arena_->rows(target()).empty());
}

TEST_P(SqliteWrites, CarryNothingOfWhatIsRolledBack) {
  link_with_rows(5);
  good(capture().start("feed", {source()}));
  run("BEGIN");
  good(insert_old(9, Value(), Value(), 9));
  good(arena_->erase(source(), key(1)));
  run("SAVEPOINT here");
  good(update_new(2, {{shape().state, Value::text("never")}}));
  run("ROLLBACK TO here");
  expect_in_step();
  run("ROLLBACK");
  expect_in_step();
  EXPECT_TRUE(told("feed").empty());
  EXPECT_TRUE(good(capture().written_on_new_side(the_link())).empty());
}

// ---------------------------------------------------------------- rows that are numbered anew

TEST_P(SqliteWrites, CopyBeginsAnewWhenRowsWereNumberedAnew) {
  insert_old_rows(12);
  for (const int i : {1, 2, 3, 4}) good(arena_->erase(source(), key(i)));
  link();
  const auto copier = good(store().open_inside(mapping_, store()));
  std::optional<Row> after = good(copier->copy_after(std::nullopt, {5})).range.through;
  ASSERT_TRUE(after.has_value());
  good(copier->make_durable());
  run("VACUUM");
  while (after) after = good(copier->copy_after(after, {5})).range.through;
  EXPECT_EQ(arena_->rows(target()).size(), 8U);
  expect_in_step();
}

TEST_P(SqliteWrites, CompareNothingByNumbersThatAreNoLongerTrue) {
  insert_old_rows(12);
  copy_outside();
  const auto copier = good(store().open_inside(mapping_, store()));
  const std::optional<Row> after =
      good(copier->compare_after(std::nullopt, std::nullopt, {5})).range.through;
  ASSERT_TRUE(after.has_value());
  const bool by_key = after->front().kind() != Kind::text || after->size() != 3;
  run("CREATE TABLE somebody_elses (a)");
  const Result<InsideComparison> rest = copier->compare_after(after, std::nullopt, {5});
  EXPECT_EQ(rest.ok(), by_key);
}

// ---------------------------------------------------------------- rows that go without a trigger

TEST_P(SqliteWrites, LetGoOfARowThatReplaceRemovedByAnotherUniqueIndex) {
  run(fmt::format("CREATE UNIQUE INDEX only_one ON {} ({})", quoted(source()),
                  quoted(shape().result)));
  set_up_mapping();
  insert_old_rows(8);
  link();
  copy_outside();
  good(capture().start("feed", {source()}));
  const auto with_result = [&](const std::string& verb, int i, const std::string& result) {
    Row values = key(i);
    values.push_back(Value::text(result));
    run(fmt::format("{} INTO {} ({}, {}) VALUES ({})", verb, quoted(source()), key_list(),
                    quoted(shape().result), marks(values.size())),
        values);
  };
  with_result("INSERT OR REPLACE", 30, "result \"1\"");  // row 1 has it
  EXPECT_FALSE(old_row(1).has_value());
  expect_in_step();
  EXPECT_TRUE(told("feed").contains(key(1)));
  with_result("INSERT OR IGNORE", 31, "result \"2\"");
  EXPECT_TRUE(old_row(2).has_value());
  expect_in_step();
  Row values = {Value::text("result \"5\"")};
  for (const Value& part : key(6)) values.push_back(part);
  std::vector<std::string> where;
  for (std::size_t i = 0; i < key(6).size(); ++i)
    where.push_back(fmt::format("{} = ?{}", quoted(shape().key[i].name), i + 2));
  run(fmt::format("UPDATE OR REPLACE {} SET {} = ?1 WHERE {}", quoted(source()),
                  quoted(shape().result), join(where, " AND ")),
      values);
  EXPECT_FALSE(old_row(5).has_value());
  expect_in_step();
  EXPECT_TRUE(told("feed").contains(key(5)));
  EXPECT_FALSE(sql()
                   .run(fmt::format("UPDATE {} SET {} = 'result \"2\"'", quoted(source()),
                                    quoted(shape().result)))
                   .ok());
  expect_in_step();
  good(capture().stop("feed"));
  good(capture().cut({the_link()}));
  EXPECT_EQ(arena_->leftovers().size(), 0U);
}

TEST_P(SqliteWrites, LetGoOfARowThatReplaceRemovedOnTheNewSide) {
  run(fmt::format("CREATE UNIQUE INDEX only_one ON {} ({})", quoted(target()),
                  quoted(shape().amount)));
  set_up_mapping();
  link_with_rows(5);
  write_new("INSERT OR REPLACE", 30, "replaced", 20);  // row 2 has it
  EXPECT_FALSE(new_row(2).has_value());
  expect_the_same_keys();
  std::vector<Row> written = good(capture().written_on_new_side(the_link()));
  EXPECT_EQ(written.size(), 2U);
}

// ---------------------------------------------------------------- what the application has itself

TEST_P(SqliteWrites, FollowTriggersOfTheApplication) {
  std::vector<std::string> this_row;
  for (const KeyColumn& column : shape().key) {
    this_row.push_back(fmt::format("{0} = NEW.{0}", quoted(column.name)));
  }
  run(fmt::format(
      "CREATE TRIGGER stamped AFTER INSERT ON {0} WHEN NEW.{1} IS NULL BEGIN UPDATE {0} SET {1} = "
      "'stamped' WHERE {2}; END",
      quoted(source()), quoted(shape().status), join(this_row, " AND ")));
  run(
      fmt::format("CREATE TRIGGER counted AFTER UPDATE OF {1} ON {0} WHEN NEW.{1} > 1000 BEGIN "
                  "UPDATE {0} SET {1} = 1000, "
                  "{2} = 'capped' WHERE {1} > 1000; END",
                  quoted(source()), quoted(shape().amount), quoted(shape().result)));
  set_up_mapping();
  link();
  insert_old_rows(5);
  expect_in_step();
  good(update_old(1, {{shape().amount, Value::integer(2000)}}));
  EXPECT_TRUE(same(old_value(1, shape().amount), Value::integer(1000)));
  expect_in_step();
}

TEST_P(SqliteWrites, FollowDeletesThatCascade) {
  if (shape().without_rowid || shape().key.size() > 1) return;
  run("CREATE TABLE parents (id INTEGER PRIMARY KEY)");
  run("INSERT INTO parents VALUES (1), (2)");
  run("DROP TABLE " + quoted(source()));
  std::string ddl = source_ddl(shape());
  ddl.insert(ddl.rfind(')'),
             fmt::format(", FOREIGN KEY ({}) REFERENCES parents (id) ON DELETE CASCADE",
                         quoted(shape().amount)));
  run(ddl);
  set_up_mapping();
  link();
  good(insert_old(1, Value(), Value(), 1));
  good(insert_old(2, Value(), Value(), 2));
  run("DELETE FROM parents WHERE id = 1");
  expect_in_step();
}

TEST_P(SqliteWrites, FollowComputedColumns) {
  if (shape().name == "odd_names") return;
  run("DROP TABLE " + quoted(source()));
  std::string ddl = source_ddl(shape());
  const std::string plain = quoted(shape().result) + " TEXT";
  ddl.replace(ddl.find(plain), plain.size(),
              quoted(shape().result) + " TEXT AS ('n' || old_only) STORED");
  run(ddl);
  set_up_mapping();
  link();
  Row values = key(1);
  values.push_back(Value::text("1"));
  run(fmt::format("INSERT INTO {} ({}, old_only) VALUES ({})", quoted(source()), key_list(),
                  marks(values.size())),
      values);
  expect_in_step();
  run("UPDATE " + quoted(source()) + " SET old_only = '2'");
  expect_in_step();
  EXPECT_TRUE(same(new_value(1, shape().document), Value::text("{\"result\":\"n2\"}")));
}

TEST_P(SqliteWrites, CarryAChangeOfTheTypeOrTheCaseAlone) {
  run(fmt::format("ALTER TABLE {} RENAME COLUMN {} TO unused", quoted(source()),
                  quoted(shape().status)));
  run(fmt::format("ALTER TABLE {} ADD COLUMN {} COLLATE NOCASE", quoted(source()),
                  quoted(shape().status)));
  set_up_mapping();
  link();
  good(insert_old(1, Value::text("one"), Value(), 1));
  for (const Value& value :
       {Value::text("ONE"), Value::integer(1), Value::text("1"), Value::bytes("1"), Value()}) {
    good(update_old(1, {{shape().status, value}}));
    EXPECT_EQ(differing_inside(), 0) << show(value);
    expect_in_step();
  }
}

// ---------------------------------------------------------------- values nobody thought of

TEST_P(SqliteWrites, NeverFailAndNeverDifferWhateverIsWritten) {
  link();
  good(capture().start("feed", {source()}));
  const std::uint64_t seed = differential::seed_of_this_run();
  differential::Generator make(seed);
  Random& random = make.random();
  run("BEGIN");
  for (int step = 0; step < 400; ++step) {
    const int i = static_cast<int>(random.below(12));
    const std::vector<Named> one = {
        {random.chance(50) ? shape().status : shape().result, make.stored_value()}};
    const std::vector<Named> more = {{shape().status, make.stored_value()},
                                     {shape().amount, make.stored_value()}};
    const bool there = old_row(i).has_value();
    Status written;
    switch (random.below(5)) {
      case 0:
        if (!there)
          written = insert_old(i, make.stored_value(), make.stored_value(), make.integer());
        break;
      case 1:
        written = arena_->erase(source(), key(i));
        break;
      case 2:
        if (there) written = update_old(i, more);
        break;
      case 3:
        if (there && !old_row(i + 20)) written = update_old(i, as_key(key(i + 20)));
        if (!there && old_row(i + 20)) written = update_old(i + 20, as_key(key(i)));
        break;
      default:
        if (there) written = update_old(i, one);
    }
    ASSERT_TRUE(written.ok()) << "WHIMBREL_SEED=" << seed << ", step " << step << ": "
                              << to_text(written.error());
  }
  run("COMMIT");
  EXPECT_EQ(differing_inside(), 0) << "WHIMBREL_SEED=" << seed;
  expect_the_same_keys();
  EXPECT_FALSE(told("feed").empty());
  for (int step = 0; step < 200; ++step) {
    const int i = static_cast<int>(random.below(12));
    const Value state = random.chance(50) ? Value::text(make.text()) : Value::bytes(make.bytes());
    Status written;
    if (!new_row(i)) {
      written =
          insert_new(i, make.text(), make.stored_value(), make.integer(), make.stored_value());
    } else if (random.chance(20)) {
      written = arena_->erase(target(), target_key(i));
    } else {
      written = update_new(i, {{shape().state, state}, {shape().document, make.stored_value()}});
    }
    ASSERT_TRUE(written.ok()) << "WHIMBREL_SEED=" << seed << ", step " << step << ": "
                              << to_text(written.error());
  }
  expect_the_same_keys();
}

INSTANTIATE_TEST_SUITE_P(Over, SqliteWrites, ::testing::ValuesIn(every_sqlite()), name_of_setup);

}  // namespace
}  // namespace whimbrel::conformance
