#include "discover/sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/text.h"
#include "plan/open_tables.h"

namespace whimbrel {

namespace {

// All tables are held at once.
constexpr std::int64_t bytes_sampled_max = std::int64_t{512} << 10;
constexpr std::size_t text_max = 64;

void look_at_values(TableSample& table, std::size_t at) {
  ColumnSample& column = table.columns[at];
  bool first = true;
  for (const Row& row : table.rows) {
    const Value& value = row[at];
    column.texts.push_back(loose_text(value));
    if (value.is_null()) {
      ++column.nulls;
      continue;
    }
    column.values.insert(column.texts.back());
    if (first) column.seen = value.kind();
    if (value.kind() != column.seen) column.seen = Kind::null;
    first = false;
  }
}

void shorten_names(TableSample& table) {
  std::vector<Words> names;
  for (const ColumnSample& column : table.columns) names.push_back(column.words);
  const Words prefix = common_prefix(names);
  for (ColumnSample& column : table.columns) {
    column.own = without_prefix(column.words, table.words);
    if (column.own == column.words) column.own = without_prefix(column.words, prefix);
  }
}

}  // namespace

bool is_rest(const TableSchema& schema, const std::string& column) {
  return !schema.rest_column.empty() && column == schema.rest_column;
}

std::string loose_text(const Value& value) {
  const auto shortened = [](const std::string& text) {
    return text.size() > text_max ? "#" + digest_hex(text) : "=" + text;
  };
  if (value.is_null()) return "";
  if (const auto* text = value.get_if<std::string>()) return shortened(*text);
  if (const auto* whole = value.get_if<std::int64_t>()) return fmt::format("={}", *whole);
  if (const auto* real = value.get_if<double>()) {
    const bool is_whole = std::floor(*real) == *real && std::abs(*real) < 9e15;
    return is_whole ? fmt::format("={}", static_cast<std::int64_t>(*real))
                    : fmt::format("={:.15g}", *real);
  }
  if (const auto* bytes = value.get_if<Bytes>()) return shortened(bytes->text);
  std::string other;
  append_canonical(other, value);
  return shortened(other);
}

TableSample sample_of(TableSchema schema) {
  TableSample sample;
  sample.words = words_of(schema.name);
  sample.columns.resize(schema.columns.size());
  for (std::size_t i = 0; i < schema.columns.size(); ++i) {
    sample.columns[i].words = words_of(schema.columns[i].name);
  }
  sample.schema = std::move(schema);
  shorten_names(sample);
  return sample;
}

void without_common_prefix(std::vector<TableSample>& tables) {
  std::vector<Words> names;
  for (const TableSample& table : tables) names.push_back(table.words);
  const Words prefix = common_prefix(names);
  for (TableSample& table : tables) {
    table.words = without_prefix(table.words, prefix);
    shorten_names(table);
  }
}

namespace {

// The names that most of the rows have, of values without a column.
std::set<std::string> names_in(const TableSample& table) {
  constexpr std::size_t names_max = 200;
  const auto rest = static_cast<std::size_t>(table.schema.column_index(table.schema.rest_column));
  std::map<std::string, std::int64_t> found;
  for (const Row& row : table.rows) {
    const auto* values = row[rest].get_if<Map>();
    if (values == nullptr) continue;
    for (const auto& [name, value] : values->fields) ++found[name];
  }
  std::vector<std::pair<std::int64_t, std::string>> often;
  for (const auto& [name, rows] : found) often.emplace_back(-rows, name);
  std::ranges::sort(often);
  std::set<std::string> names;
  for (const auto& [rows, name] : often) {
    if (names.size() < names_max) names.insert(name);
  }
  return names;
}

}  // namespace

Kind kind_in(const TableSample& table, int at) {
  const ColumnSample& column = table.sample(at);
  if (column.seen != Kind::null) return column.seen;
  if (column.values.empty() || table.column(at).holds != Kind::null) return table.column(at).holds;
  Kind widest = Kind::int64;
  for (const Row& row : table.rows) {
    const Kind kind = row[static_cast<std::size_t>(at)].kind();
    if (kind == Kind::null || kind == Kind::int64) continue;
    if (kind != Kind::decimal && kind != Kind::real) return Kind::null;
    widest = widest == Kind::decimal ? widest : kind;
  }
  return widest;
}

Result<TableSample> take_sample(Store& store, const std::string& table, std::int64_t rows_max,
                                bool names_values) {
  ASSIGN_OR_RETURN(TableSchema schema, store.catalog().describe(table));
  TableSample sample = sample_of(std::move(schema));
  if (sample.schema.key.empty()) return sample;
  const auto read = [&](TableSample& into) -> Status {
    ASSIGN_OR_RETURN(const auto reader, store.open_reader(into.schema));
    ASSIGN_OR_RETURN(ChunkOfRows chunk,
                     reader->read_after(std::nullopt, {rows_max, bytes_sampled_max}));
    into.rows = std::move(chunk.rows);
    into.count = std::ssize(into.rows);
    // Elsewhere counting reads all of them.
    if (chunk.range.through && store.dialect() != nullptr) {
      ASSIGN_OR_RETURN(into.count, reader->count());
    }
    return {};
  };
  TRY(read(sample));
  if (names_values && !sample.schema.rest_column.empty() && !sample.rows.empty()) {
    TableSchema open = sample.schema;
    add_columns(open, names_in(sample));
    sample = sample_of(std::move(open));
    TRY(read(sample));
  }
  for (std::size_t i = 0; i < sample.columns.size(); ++i) look_at_values(sample, i);
  return sample;
}

}  // namespace whimbrel
