#include "store/shaped_groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/text.h"
#include "store/group_spool.h"
#include "store/looking_up.h"
#include "store/shaped_rows.h"
#include "value/json_value.h"

namespace whimbrel {

namespace {

Error group_error(const SourceShape& shape, const Row& group, const std::string& what,
                  const std::string& hint) {
  return Error{ErrorCode::refused,
               fmt::format("the group {} of {} {}", show(group), shape.table.name, what), hint};
}

// Documents of a store that has them, else JSON.
Result<Value> document(const std::map<std::string, Value>& fields, bool as_json) {
  Map map;
  for (const auto& [name, value] : fields) {
    const bool is_told_as_text =
        as_json &&
        (value.kind() == Kind::uuid || value.kind() == Kind::date || value.kind() == Kind::time ||
         value.kind() == Kind::timestamp || value.kind() == Kind::timestamp_tz);
    if (!is_told_as_text) {
      map.fields.emplace_back(name, value);
      continue;
    }
    ASSIGN_OR_RETURN(std::string text, faithful_text_of(value));
    map.fields.emplace_back(name, Value::text(text));
  }
  Value whole(Value::Storage(std::move(map)));
  if (!as_json) return whole;
  ASSIGN_OR_RETURN(std::string text, json_text_of(whole));
  return Value::json(std::move(text));
}

// What a row gives: its value, or a document of those of its values that are there.
Result<Value> given_by(const Collected& one, const std::vector<int>& at, const Row& row) {
  if (!one.is_of_documents) return row[static_cast<std::size_t>(at.front())];
  std::map<std::string, Value> fields;
  for (std::size_t i = 0; i < at.size(); ++i) {
    const Value& value = row[static_cast<std::size_t>(at[i])];
    if (!value.is_null()) fields.emplace(one.values[i], value);
  }
  return document(fields, one.as_json);
}

// Nothing where it is no document. `nested`: documents inside of it stay documents; else they are
// JSON, for columns that hold no others.
std::optional<std::vector<std::pair<std::string, Value>>> fields_of(const Value& document,
                                                                    bool nested) {
  std::vector<std::pair<std::string, Value>> fields;
  if (document.is_null()) return fields;
  if (const auto* map = document.get_if<Map>()) return map->fields;
  const auto* json = document.get_if<Json>();
  const auto* text = document.get_if<std::string>();
  if (json == nullptr && text == nullptr) return std::nullopt;
  const std::optional<Value> parsed = value_of_json(json != nullptr ? json->text : *text);
  const auto* object = parsed ? parsed->get_if<Map>() : nullptr;
  if (object == nullptr) return std::nullopt;
  fields = object->fields;
  for (auto& [name, value] : fields) {
    const bool is_document = value.kind() == Kind::map || value.kind() == Kind::list;
    if (!is_document || nested) continue;
    const Result<std::string> inner = json_text_of(value);
    if (!inner.ok()) return std::nullopt;
    value = Value::json(inner.value());
  }
  return fields;
}

bool holds_documents(const SourceShape& shape) { return !shape.table.rest_column.empty(); }

// What is told by one field of a document, by column; nothing where it tells of no row. A field of
// it that is no column of ours is left out: it is not what we would write.
std::optional<std::vector<std::pair<std::string, Value>>> values_of(const SourceShape& shape,
                                                                    const Collected& one,
                                                                    const Value& told) {
  if (!one.is_of_documents) return {{{one.values.front(), told}}};
  auto fields = fields_of(told, holds_documents(shape));
  if (!fields) return std::nullopt;
  std::erase_if(*fields, [&](const auto& field) {
    return field.second.is_null() || std::ranges::count(one.values, field.first) == 0;
  });
  return fields;
}

// One row of the shape, from all of a group.
class Collapsing {
 public:
  explicit Collapsing(const SourceShape& shape)
      : shape_(shape),
        group_(positions_of(shape.group, shape.table)),
        rest_(shape.table.column_index(shape.table.rest_column)) {
    for (const Collected& one : shape.collected) {
      at_.emplace_back(shape.table.column_index(one.by), positions_of(one.values, shape.table));
    }
  }

  Row group_of(const Row& row) const { return key_of(row, group_); }

  Result<Row> collapse(const Row& group, const std::vector<Row>& rows) const {
    Row shaped = group;
    for (const Row& row : rows) TRY(nothing_else_is_there(group, row));
    for (std::size_t i = 0; i < at_.size(); ++i) {
      std::map<std::string, Value> fields;
      for (const Row& row : rows) {
        if (is_left_out(row, i)) continue;
        const Value& by = row[static_cast<std::size_t>(at_[i].first)];
        const Result<std::string> name =
            by.is_null() ? Result<std::string>(Error{}) : faithful_text_of(by);
        if (!name.ok()) {
          return group_error(shape_, group,
                             fmt::format("has a row whose `{}` names no value: {}",
                                         shape_.collected[i].by, show(by)),
                             "give it a text there, or leave such rows out");
        }
        Result<Value> value = given_by(shape_.collected[i], at_[i].second, row);
        if (!value.ok()) return unfit(group, i, value.error());
        if (!fields.emplace(name.value(), std::move(value).value()).second) {
          return group_error(
              shape_, group,
              fmt::format("has two rows with the `{}` {}", shape_.collected[i].by, show(by)),
              "one of them would be lost: correct one, or group by more columns");
        }
      }
      Result<Value> whole = document(fields, shape_.collected[i].as_json);
      if (!whole.ok()) return unfit(group, i, whole.error());
      shaped.push_back(std::move(whole).value());
    }
    return shaped;
  }

 private:
  Error unfit(const Row& group, std::size_t document, const Error& why) const {
    return group_error(shape_, group,
                       fmt::format("has a value in `{}` that does not fit: {}",
                                   join(shape_.collected[document].values, "`, `"), why.message),
                       why.hint);
  }

  Status nothing_else_is_there(const Row& group, const Row& row) const {
    const auto* rest = rest_ < 0 ? nullptr : row[static_cast<std::size_t>(rest_)].get_if<Map>();
    if (!shape_.rest_must_be_empty || rest == nullptr || rest->fields.empty()) return {};
    return group_error(
        shape_, group,
        fmt::format("has a row with `{}`, which nothing mentions", rest->fields.front().first),
        "collect it, or say `rest: drop` to leave such values behind");
  }

  // Of several documents a null is in none, as long as another one says that the row is there.
  bool is_left_out(const Row& row, std::size_t document) const {
    if (has_any(row, document)) return false;
    for (std::size_t i = 0; i < at_.size(); ++i) {
      if (at_[i].first == at_[document].first && has_any(row, i)) return true;
    }
    return document > 0 && at_[0].first == at_[document].first;
  }

  bool has_any(const Row& row, std::size_t document) const {
    return std::ranges::any_of(
        at_[document].second, [&](int at) { return !row[static_cast<std::size_t>(at)].is_null(); });
  }

  const SourceShape& shape_;
  std::vector<int> group_;
  int rest_;
  std::vector<std::pair<int, std::vector<int>>> at_;  // by, values
};

class GroupedReader final : public SnapshotReader {
 public:
  // `looking`: none where what is looked up is not asked for.
  GroupedReader(Store& base, const SourceShape& shape, LookingUp looking,
                std::shared_ptr<KnownKeys> known)
      : base_(base),
        shape_(shape),
        collapsing_(shape),
        looking_(std::move(looking)),
        known_(std::move(known)),
        own_key_(positions_of(shape.table.key, shape.table)) {}

  Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                 const ChunkLimits& limits) override {
    if (spool_ == nullptr || !after) TRY(gather());
    ChunkOfRows chunk;
    chunk.range.after = after;
    std::optional<Row> from = after;
    std::int64_t bytes = 0;
    while (std::ssize(chunk.rows) < limits.rows_max && bytes < limits.bytes_max) {
      ASSIGN_OR_RETURN(const auto group, spool_->group_after(from));
      if (!group) break;
      ASSIGN_OR_RETURN(Row row, collapsing_.collapse(group->key, group->rows));
      bytes += size_of(row);
      chunk.rows.push_back(std::move(row));
      from = group->key;
    }
    const bool is_full = std::ssize(chunk.rows) >= limits.rows_max || bytes >= limits.bytes_max;
    if (is_full) chunk.range.through = std::move(from);
    TRY(looking_.add_to(chunk.rows));
    return chunk;
  }

  Result<std::vector<std::optional<Row>>> read_keys(std::span<const Row> keys) override {
    std::vector<Row> rows;
    std::vector<std::size_t> of;
    for (std::size_t from = 0; from < keys.size(); from += groups_at_once) {
      const std::size_t to = std::min(from + groups_at_once, keys.size());
      ASSIGN_OR_RETURN(const auto groups, rows_of(keys.subspan(from, to - from)));
      TRY(note(groups));
      for (std::size_t i = from; i < to; ++i) {
        ASSIGN_OR_RETURN(std::optional<Row> row, collapsed(groups, keys[i]));
        if (!row) continue;
        rows.push_back(*std::move(row));
        of.push_back(i);
      }
    }
    TRY(looking_.add_to(rows));
    std::vector<std::optional<Row>> found(keys.size());
    for (std::size_t i = 0; i < rows.size(); ++i) found[of[i]] = std::move(rows[i]);
    return found;
  }

  Result<std::int64_t> count() override {
    std::set<std::string> groups;
    TRY(each_row(base_, shape_, {}, [&](const Row& row) {
      groups.insert(canonical(collapsing_.group_of(row)));
      return Status();
    }));
    return std::ssize(groups);
  }

  using Groups = std::map<Row, std::vector<Row>, RowLess>;
  // Unset where the group has no rows.
  Result<std::optional<Row>> collapsed(const Groups& groups, const Row& key) const {
    const auto it = groups.find(key);
    if (it == groups.end() || it->second.empty()) return std::optional<Row>();
    ASSIGN_OR_RETURN(Row row, collapsing_.collapse(key, it->second));
    return std::optional<Row>(std::move(row));
  }
  // The rows of these groups. For many the table is read once, for few the store is asked.
  Result<Groups> rows_of(std::span<const Row> keys) {
    Groups groups;
    Condition asked{shape_.group.front(), Condition::Is::one_of, {}};
    for (const Row& key : keys) {
      groups[key];
      asked.values.push_back(key.front());
    }
    std::vector<Condition> where;
    if (keys.size() <= keys_asked_at_once) where.push_back(std::move(asked));
    TRY(each_row(base_, shape_, std::move(where), [&](Row row) {
      const auto it = groups.find(collapsing_.group_of(row));
      if (it != groups.end()) it->second.push_back(std::move(row));
      return Status();
    }));
    return groups;
  }

 private:
  Status gather() {
    ASSIGN_OR_RETURN(spool_, GroupSpool::open());
    std::vector<KnownKeys::Known> read;
    TRY(each_row(base_, shape_, {}, [&](const Row& row) -> Status {
      Row group = collapsing_.group_of(row);
      TRY(spool_->add(group, row));
      if (known_ == nullptr || shape_.is_group_of_key()) return {};
      read.push_back({key_of(row, own_key_), std::move(group)});
      return std::ssize(read) < noted_at_once ? Status() : note(read);
    }));
    return note(read);
  }

  Status note(const Groups& groups) {
    if (known_ == nullptr || shape_.is_group_of_key()) return {};
    std::vector<KnownKeys::Known> read;
    for (const auto& [group, rows] : groups) {
      for (const Row& row : rows) read.push_back({key_of(row, own_key_), group});
    }
    return note(read);
  }

  // A row that leaves its group later is then known to have been there.
  Status note(std::vector<KnownKeys::Known>& read) {
    if (read.empty()) return {};
    TRY(known_->note(shape_.shaped.name, read));
    read.clear();
    return {};
  }

  static constexpr std::int64_t noted_at_once = 1000;
  static constexpr std::size_t groups_at_once = 2000;

  Store& base_;
  const SourceShape& shape_;
  Collapsing collapsing_;
  LookingUp looking_;
  std::shared_ptr<KnownKeys> known_;
  std::vector<int> own_key_;
  std::unique_ptr<GroupSpool> spool_;
};

class GroupedWriter final : public BatchWriter {
 public:
  GroupedWriter(Store& base, const SourceShape& shape, const std::vector<std::string>& columns,
                std::unique_ptr<BatchWriter> writer)
      : base_(base),
        catalog_(base.catalog()),
        shape_(shape),
        reader_(base, shape, LookingUp(), nullptr),
        writer_(std::move(writer)),
        key_(positions_of(shape.table.key, shape.table)) {
    for (const Collected& one : shape.collected) {
      const auto it = std::ranges::find(columns, one.column);
      given_.push_back(it == columns.end() ? -1 : static_cast<int>(it - columns.begin()));
    }
  }

  // The columns of a row as it is written: the group's, then for each document its name and value.
  static std::vector<std::string> written_columns(const SourceShape& shape) {
    std::vector<std::string> columns = shape.group;
    for (const Collected& one : shape.collected) {
      std::vector<std::string> own = one.values;
      own.insert(own.begin(), one.by);
      for (std::string& name : own) {
        if (std::ranges::count(columns, name) == 0) columns.push_back(std::move(name));
      }
    }
    return columns;
  }

  Result<Applied> apply(std::span<const Change> changes) override {
    Applied all;
    std::vector<Change> own;
    std::vector<Row> keys;
    for (const Change& change : changes) keys.push_back(change.key);
    ASSIGN_OR_RETURN(const GroupedReader::Groups there, reader_.rows_of(keys));
    // A key may come twice: deleted, then made again.
    Wanted rows;
    std::set<Row, RowLess> gone;
    for (std::size_t i = 0; i < changes.size(); ++i) {
      const Change& change = changes[i];
      std::optional<Row> before;
      if (!gone.contains(change.key)) {
        ASSIGN_OR_RETURN(before, reader_.collapsed(there, change.key));
      }
      if (!is_as_asked(change, before)) {
        ++all.refused;
        continue;
      }
      if (!change.row) gone.insert(change.key);
      auto& wanted = rows[change.key];
      wanted.clear();
      for (const Row& row : there.at(change.key)) wanted[key_of(row, key_)] = std::nullopt;
      if (change.row) TRY(take_apart(change, wanted));
    }
    if (all.refused > 0) return all;
    for (const auto& [group, wanted] : rows) {
      for (const auto& [key, row] : wanted) own.push_back({key, row});
    }
    if (own.empty()) return all;
    if (!shape_.is_group_of_key()) {
      ASSIGN_OR_RETURN(all.blocked_by, groups_in_the_way(rows));
      if (!all.blocked_by.empty()) return all;
    }
    return writer_->apply(own);
  }

 private:
  using Wanted = std::map<Row, std::map<Row, std::optional<Row>, RowLess>, RowLess>;

  // What is looked up is no part of the group's own rows.
  static bool is_as_asked(const Change& change, const std::optional<Row>& before) {
    if (!change.only_if) return true;
    if (change.only_if->has_value() != before.has_value()) return false;
    if (!before) return true;
    Row asked = **change.only_if;
    asked.resize(before->size());
    return same(asked, *before);
  }

  // A row is in one group: the others that have it come first, if only to give it away.
  Result<std::vector<Row>> groups_in_the_way(const Wanted& rows) {
    std::map<Row, Row, RowLess> group_of;
    std::vector<Row> keys;
    for (const auto& [group, wanted] : rows) {
      for (const auto& [key, row] : wanted) {
        if (!row) continue;
        if (!group_of.emplace(key, group).second) {
          return group_error(
              shape_, group,
              fmt::format("has the row {}, which another group has as well", show(key)),
              "a row of the old side is in one group: take it out of the other");
        }
        keys.push_back(key);
      }
    }
    if (own_rows_ == nullptr) {
      ASSIGN_OR_RETURN(own_rows_, base_.open_reader(shape_.table));
    }
    ASSIGN_OR_RETURN(const auto there, own_rows_->read_keys(keys));
    std::set<Row, RowLess> others;
    const std::vector<int> group_at = positions_of(shape_.group, shape_.table);
    for (const auto& row : there) {
      if (!row) continue;
      Row group = key_of(*row, group_at);
      if (!rows.contains(group)) others.insert(std::move(group));
    }
    return std::vector<Row>(others.begin(), others.end());
  }

  Status take_apart(const Change& change,
                    std::map<Row, std::optional<Row>, RowLess>& wanted) const {
    const std::vector<std::string> columns = written_columns(shape_);
    std::map<std::string, std::vector<Value>> by_name;
    for (std::size_t i = 0; i < given_.size(); ++i) {
      if (given_[i] < 0) continue;
      const Value& document = (*change.row)[static_cast<std::size_t>(given_[i])];
      const auto fields = fields_of(document, holds_documents(shape_));
      if (!fields) {
        return group_error(shape_, change.key,
                           "holds no document on the new side: " + show(document),
                           "make it a document whose fields are the rows of the old side");
      }
      for (const auto& [name, value] : *fields) {
        auto& values = by_name[name];
        values.resize(given_.size());
        values[i] = value;
      }
    }
    for (const auto& [name, values] : by_name) {
      Row row(shape_.table.columns.size());
      for (std::size_t i = 0; i < shape_.group.size(); ++i) {
        row[static_cast<std::size_t>(shape_.table.column_index(shape_.group[i]))] = change.key[i];
      }
      for (std::size_t i = 0; i < given_.size(); ++i) {
        const Collected& one = shape_.collected[i];
        const auto by = static_cast<std::size_t>(shape_.table.column_index(one.by));
        ASSIGN_OR_RETURN(row[by], named(shape_.table.columns[by], name));
        const auto fields = values_of(shape_, one, values[i]);
        if (!fields) {
          return group_error(shape_, change.key,
                             fmt::format("holds no document under `{}` on the new side: {}", name,
                                         show(values[i])),
                             "make it a document whose fields are the columns of the old side");
        }
        for (const auto& [column, value] : *fields) {
          const auto at = static_cast<std::size_t>(shape_.table.column_index(column));
          ASSIGN_OR_RETURN(row[at], catalog_.settle(shape_.table.columns[at], value));
        }
      }
      wanted[key_of(row, key_)] = key_of(row, positions_of(columns, shape_.table));
    }
    return {};
  }

  // Where a column takes no text, the name is a number.
  Result<Value> named(const ColumnSchema& column, const std::string& name) const {
    Result<Value> value = catalog_.settle(column, Value::text(name));
    if (value.ok() || column.holds != Kind::decimal) return value;
    return catalog_.settle(column, Value(Value::Storage(Decimal{name})));
  }

  Store& base_;
  Catalog& catalog_;
  const SourceShape& shape_;
  GroupedReader reader_;
  std::unique_ptr<SnapshotReader> own_rows_;
  std::unique_ptr<BatchWriter> writer_;
  std::vector<int> given_;  // where each document is in a change's row; -1: nowhere
  std::vector<int> key_;
};

}  // namespace

Result<Value> as_it_is_read(const Catalog& catalog, const SourceShape& shape, const Collected& one,
                            Value whole) {
  const auto fields = fields_of(whole, holds_documents(shape));
  if (!fields || whole.is_null()) return whole;
  std::map<std::string, Value> all;
  for (const auto& [name, told] : *fields) {
    const auto values = values_of(shape, one, told);
    if (!values) {  // no row: whoever takes it apart says so
      all[name] = told;
      continue;
    }
    std::map<std::string, Value> settled;
    for (const auto& [column, value] : *values) {
      const auto at = static_cast<std::size_t>(shape.table.column_index(column));
      ASSIGN_OR_RETURN(settled[column], catalog.settle(shape.table.columns[at], value));
    }
    if (!one.is_of_documents) {
      all[name] = std::move(settled.begin()->second);
    } else {
      ASSIGN_OR_RETURN(all[name], document(settled, one.as_json));
    }
  }
  return document(all, one.as_json);
}

bool stands_for_no_rows(const SourceShape& shape, const Row& row) {
  return shape.is_grouped() && std::ranges::all_of(shape.collected, [&](const Collected& one) {
           const int at = shape.shaped.column_index(one.column);
           const auto fields = fields_of(row[static_cast<std::size_t>(at)], true);
           return fields && fields->empty();
         });
}

Result<std::unique_ptr<SnapshotReader>> open_grouped_reader(Store& base, const SourceShape& shape,
                                                            std::shared_ptr<KnownKeys> known) {
  ASSIGN_OR_RETURN(LookingUp looking, LookingUp::open(base, shape));
  return std::unique_ptr<SnapshotReader>(
      std::make_unique<GroupedReader>(base, shape, std::move(looking), std::move(known)));
}

Result<std::unique_ptr<BatchWriter>> open_grouped_writer(Store& base, const SourceShape& shape,
                                                         const std::vector<std::string>& columns) {
  ASSIGN_OR_RETURN(auto writer,
                   base.open_writer(shape.table, GroupedWriter::written_columns(shape)));
  return std::unique_ptr<BatchWriter>(
      std::make_unique<GroupedWriter>(base, shape, columns, std::move(writer)));
}

}  // namespace whimbrel
