#include "discover/references.h"

#include <algorithm>
#include <map>

namespace whimbrel {

namespace {

constexpr std::size_t values_max = 50;
constexpr std::size_t first_look = 5;
// Without a name that says so, fewer values may be keys by chance.
constexpr std::int64_t nameless_values_min = 5;
constexpr std::size_t nameless_text_min = 4;
constexpr int pairs_max = 3000;

struct Column {
  std::string name;
  std::set<Row, RowLess> values;  // as keys; at most `values_max`
  bool is_text = true;            // every one, and none is short
};

void note(Column& column, const Value& value) {
  const auto* text = value.get_if<std::string>();
  const bool may_be_an_id =
      text != nullptr || value.kind() == Kind::int64 || value.kind() == Kind::uuid;
  const bool is_empty = text != nullptr && text->empty();
  if (!may_be_an_id || is_empty || column.values.size() >= values_max) return;
  column.values.insert({value});
  const bool is_short = text != nullptr && text->size() < nameless_text_min;
  if (is_short || value.kind() == Kind::int64) column.is_text = false;
}

// Also those of a table that keeps what it does not name in one.
std::vector<Column> columns_of(const TableSample& table) {
  std::map<std::string, Column> all;
  for (const Row& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string& name = table.schema.columns[i].name;
      const auto* fields = row[i].get_if<Map>();
      if (name == table.schema.rest_column && fields != nullptr) {
        for (const auto& [field, value] : fields->fields) note(all[field], value);
      } else {
        note(all[name], row[i]);
      }
    }
  }
  std::vector<Column> columns;
  for (auto& [name, column] : all) {
    column.name = name;
    if (!column.values.empty()) columns.push_back(std::move(column));
  }
  return columns;
}

// `agentContactId` ends with what `Contacts` is called.
bool is_named_after(const std::string& column, const std::string& table) {
  static const std::set<std::string> words_for_id = {"id",   "key",        "ref",
                                                     "uuid", "identifier", "fk"};
  Words words = words_of(column);
  if (!words.empty() && words_for_id.contains(words.back())) words.pop_back();
  const Words named = words_of(table);
  return !named.empty() && words.size() >= named.size() &&
         std::equal(named.rbegin(), named.rend(), words.rbegin());
}

// What stands between letters and digits, so that `a-1` is not looked for among `b1`.
std::string shape_of(const Value& value) {
  const auto* text = value.get_if<std::string>();
  if (text == nullptr) return name_of(value.kind());
  std::string shape = "text ";
  for (const char c : *text) {
    const bool is_plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (!is_plain) shape += c;
  }
  return shape;
}

class Search {
 public:
  explicit Search(const std::vector<MaybeChild>& tables) : tables_(tables) {
    for (const MaybeChild& table : tables_) {
      std::set<std::string>& shapes = shapes_.emplace_back();
      if (table.sample->schema.key.size() != 1) continue;
      const int key = table.sample->schema.column_index(table.sample->schema.key.front());
      for (const Row& row : table.sample->rows) {
        shapes.insert(shape_of(row[static_cast<std::size_t>(key)]));
      }
    }
  }

  Result<std::vector<LikelyReference>> all() {
    std::vector<LikelyReference> found;
    for (std::size_t child = 0; child < tables_.size(); ++child) {
      for (const Column& column : columns_of(*tables_[child].sample)) {
        const bool is_known = tables_[child].said.contains(column.name) ||
                              tables_[child].sample->schema.is_key(column.name);
        if (is_known) continue;
        ASSIGN_OR_RETURN(const auto best, best_parent(column));
        if (!best) continue;
        found.push_back(*best);
        found.back().child = static_cast<int>(child);
      }
    }
    return found;
  }

 private:
  Result<std::optional<LikelyReference>> best_parent(const Column& column) {
    std::optional<LikelyReference> best;
    bool best_is_named = false;
    for (std::size_t i = 0; i < tables_.size(); ++i) {
      const bool is_named = is_named_after(column.name, tables_[i].name);
      const bool fits = std::ranges::any_of(column.values, [&](const Row& key) {
        return shapes_[i].contains(shape_of(key.front()));
      });
      const bool may_be =
          is_named || (column.is_text && std::ssize(column.values) >= nameless_values_min);
      if (!fits || !may_be || (best_is_named && !is_named)) continue;
      ASSIGN_OR_RETURN(const auto found, look_up(column, i, is_named));
      if (!found) continue;
      const bool is_better = !best || (is_named && !best_is_named) || found->found > best->found;
      if (!is_better) continue;
      best = found;
      best_is_named = is_named;
    }
    return best;
  }

  // A first few values tell in most cases that it is not this table.
  Result<std::optional<LikelyReference>> look_up(const Column& column, std::size_t parent,
                                                 bool is_named) {
    if (++pairs_ > pairs_max) return std::optional<LikelyReference>{};
    const MaybeChild& table = tables_[parent];
    ASSIGN_OR_RETURN(const auto reader, table.store->open_reader(table.sample->schema));
    LikelyReference reference{0, column.name, static_cast<int>(parent), 0, 0};
    std::vector<Row> keys(column.values.begin(), column.values.end());
    // What does not look like a key there is not asked for: a store may have only texts as keys.
    const auto fits = [&](const Row& key) {
      return shapes_[parent].contains(shape_of(key.front()));
    };
    const std::int64_t strange = std::ssize(keys) - std::ranges::count_if(keys, fits);
    std::erase_if(keys, [&](const Row& key) { return !fits(key); });
    for (std::size_t begin = 0; begin < keys.size();) {
      const std::size_t end = begin == 0 ? std::min(first_look, keys.size()) : keys.size();
      ASSIGN_OR_RETURN(const std::vector<bool> there,
                       reader->has_keys(std::span(keys).subspan(begin, end - begin)));
      reference.found += std::ranges::count(there, true);
      reference.of += std::ssize(there);
      const bool goes_on = is_named ? reference.found > 0 : reference.found == reference.of;
      if (begin == 0 && !goes_on) return std::optional<LikelyReference>{};
      begin = end;
    }
    // Some of them may be orphans.
    reference.of += strange;
    if (reference.found * 10 < reference.of * 9) return std::optional<LikelyReference>{};
    return std::optional(reference);
  }

  const std::vector<MaybeChild>& tables_;
  std::vector<std::set<std::string>> shapes_;  // of the keys, by table
  int pairs_ = 0;
};

}  // namespace

Result<std::vector<LikelyReference>> likely_references(const std::vector<MaybeChild>& tables) {
  return Search(tables).all();
}

}  // namespace whimbrel
