#include "conformance/arena.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <set>

#include "base/text.h"
#include "plan/open_tables.h"

namespace whimbrel::conformance {

namespace {

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

int shuffled(int i) { return (i * 37 + 11) % 101; }

Row text_key_of(int i, const std::vector<std::string>& odd) {
  return {Value::text(i < std::ssize(odd) ? odd[static_cast<std::size_t>(i)]
                                          : fmt::format("k{:03}", shuffled(i)))};
}

Row integer_key(int i) {
  static const std::vector<std::int64_t> odd = {0, -1, INT64_MAX, INT64_MIN, 1LL << 53};
  return {
      Value::integer(i < std::ssize(odd) ? odd[static_cast<std::size_t>(i)] : shuffled(i) - 200)};
}

void name_oddly(Shape& shape) {
  shape.status = "group";
  shape.result = "re\"sult";
  shape.amount = "{amount}";
  shape.old_only = "old only";
  shape.state = "where";
  shape.document = "{}";
  shape.new_only = "new.only";
}

void PrintTo(const Setup& setup, std::ostream* out) { *out << setup.name; }

std::string name_of_setup(const ::testing::TestParamInfo<Setup>& info) { return info.param.name; }

// ---------------------------------------------------------------- the fixture

void Conformance::SetUp() {
  arena_ = GetParam().make(shape());
  set_up_mapping();
}

bool Conformance::lacks(bool Capabilities::* ability) {
  static std::map<std::string, Capabilities> known;
  auto it = known.find(GetParam().name);
  if (it == known.end()) {
    const auto arena = GetParam().make(GetParam().shape);
    it = known.emplace(GetParam().name, arena->store().capabilities()).first;
  }
  return !(it->second.*ability);
}

void Conformance::set_up_mapping() {
  mapping_ = good(make_mapping(described(source()), described(target()), rules_of(shape())));
}

TableSchema Conformance::described(const std::string& table) {
  TableSchema schema = good(catalog().describe(table));
  if (schema.rest_column.empty()) return schema;
  const bool is_new = table == target();
  add_columns(schema,
              is_new ? std::set{shape().state, shape().document, shape().amount, shape().new_only}
                     : std::set{shape().status, shape().result, shape().amount, shape().old_only});
  return schema;
}

Row Conformance::target_key(int i) { return good(target_key_of(mapping_, key(i), catalog())); }

Status Conformance::insert_old(int i, Value status, Value result, std::int64_t amount) {
  std::vector<Named> values;
  const Row own_key = key(i);
  for (std::size_t at = 0; at < own_key.size(); ++at)
    values.emplace_back(shape().key[at].name, own_key[at]);
  values.emplace_back(shape().status, std::move(status));
  values.emplace_back(shape().result, std::move(result));
  values.emplace_back(shape().amount, number(amount));
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
  values.emplace_back(shape().amount, number(amount));
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

// In whatever order.
void Conformance::expect_same_rows(const std::vector<Row>& a, const std::vector<Row>& b) {
  const std::multiset<Row, RowLess> left(a.begin(), a.end());
  const std::multiset<Row, RowLess> right(b.begin(), b.end());
  EXPECT_EQ(left.size(), right.size());
  EXPECT_TRUE(
      std::ranges::equal(left, right, [](const Row& x, const Row& y) { return same(x, y); }));
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
