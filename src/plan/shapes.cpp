#include "plan/shapes.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/counted.h"
#include "base/text.h"
#include "plan/open_tables.h"

namespace whimbrel {

namespace {

void add_column_of_the_shape(TableSchema& source, const std::string& name) {
  if (source.column_index(name) >= 0) return;
  ColumnSchema column;
  column.name = name;
  source.columns.push_back(std::move(column));
}

// The name of the column that the shape has for what is collected.
std::string column_of(const ColumnEntry& entry) { return columns_of(*entry.expr).front(); }

const ExprPtr* value_of(const std::vector<std::pair<std::string, ExprPtr>>& columns,
                        const std::string& name) {
  const auto it = std::ranges::find(columns, name, &std::pair<std::string, ExprPtr>::first);
  return it == columns.end() ? nullptr : &it->second;
}

}  // namespace

Shapes::Shapes(const std::map<std::string, std::shared_ptr<Store>>& stores,
               std::vector<TableEntry>& entries, bool linked, Diagnostics& diagnostics)
    : stores_(stores), entries_(entries), linked_(linked), diagnostics_(diagnostics) {
  // Who names the file that makes a table says it for all that are to have rows there.
  for (TableEntry& entry : entries) {
    if (entry.create_file || entry.create_like_source) continue;
    const auto maker = std::ranges::find_if(entries, [&](const TableEntry& other) {
      return other.create_file && other.to.place() == entry.to.place();
    });
    if (maker == entries.end()) continue;
    entry.create_file = maker->create_file;
    entry.create_at = maker->create_at;
  }
}

bool Shapes::shares(const TableEntry& entry, TableAddress TableEntry::* side) const {
  return std::ranges::count_if(entries_, [&](const TableEntry& other) {
           return (other.*side).place() == (entry.*side).place();
         }) > 1;
}

bool Shapes::need_columns(const TableEntry& entry, TableSchema& table,
                          const std::vector<NamedPlace>& names) {
  bool are_there = true;
  for (const NamedPlace& name : names) {
    if (table.column_index(name.name) >= 0) continue;
    if (!table.rest_column.empty()) {
      add_columns(table, {name.name});
      continue;
    }
    const std::string near = did_you_mean(name.name, table.column_names());
    diagnostics_.add(name.at.line > 0 ? name.at : entry.at,
                     fmt::format("{} has no column `{}`", table.name, printable(name.name)),
                     near.empty() ? "its columns: " + join(table.column_names(), ", ") : near);
    are_there = false;
  }
  return are_there;
}

Result<bool> Shapes::open_lookups(const TableEntry& entry, TableSchema& source) {
  for (const ColumnEntry& column : entry.columns) {
    for (const LookupEntry& lookup : column.lookups) {
      // Two values may look up the same.
      if (std::ranges::count(open_.looked_up, lookup.column, &LookedUp::column) > 0) continue;
      ASSIGN_OR_RETURN(const bool is_open, open_lookup(entry, lookup, source));
      if (!is_open) return false;
    }
  }
  for (const LookedUp& one : open_.looked_up) add_column_of_the_shape(source, one.column);
  return true;
}

Result<bool> Shapes::open_lookup(const TableEntry& entry, const LookupEntry& lookup,
                                 TableSchema& source) {
  const auto other = std::ranges::find_if(entries_, [&](const TableEntry& one) {
    return one.as == lookup.table && one.from.alias == entry.from.alias;
  });
  if (other == entries_.end()) {
    std::vector<std::string> names;
    for (const TableEntry& one : entries_) {
      if (one.from.alias == entry.from.alias) names.push_back(one.as);
    }
    const std::string near = did_you_mean(lookup.table, names);
    diagnostics_.add(lookup.at,
                     fmt::format("nothing of the same store is called `{}` in this plan",
                                 printable(lookup.table)),
                     near.empty() ? "a lookup is in one of " + join(names, ", ") : near);
    return false;
  }
  Result<TableSchema> table = stores_.at(entry.from.alias)->catalog().describe(other->from.table);
  if (!table.ok() && table.error().code == ErrorCode::not_found) return false;  // told by itself
  if (!table.ok()) return std::move(table).error();
  const std::vector<std::string>& key = table.value().key;
  if (key.size() != lookup.by.size()) {
    diagnostics_.add(
        lookup.at,
        fmt::format("{} has a key of {}, and the lookup names {}", table.value().name,
                    counted(std::ssize(key), "column"), counted(std::ssize(lookup.by), "column")),
        key.empty() ? "leave the lookup out"
                    : fmt::format("`by:` names what holds its {}, in this order", join(key, ", ")));
    return false;
  }
  if (!need_columns(entry, table.value(), {{lookup.take, lookup.at}})) return false;
  LookedUp one{lookup.column, std::move(table).value(), lookup.take, {}};
  for (const NamedPlace& by : lookup.by) {
    if (open_.is_grouped() && std::ranges::count(open_.group, by.name) == 0) {
      diagnostics_.add(
          by.at,
          fmt::format("a group has no `{}`, which its rows need not share", printable(by.name)),
          "look up by columns of the group: " + join(open_.group, ", "));
      return false;
    }
    if (!need_columns(entry, source, {by})) return false;
    one.by.push_back(by.name);
  }
  open_.looked_up.push_back(std::move(one));
  return true;
}

bool Shapes::open_groups(const TableEntry& entry, TableSchema& source) {
  std::vector<NamedPlace> needed = entry.group;
  for (const ColumnEntry& column : entry.columns) {
    if (!column.collect) continue;
    needed.insert(needed.end(), column.collect->values.begin(), column.collect->values.end());
    needed.push_back({column.collect->by, column.at});
  }
  if (!need_columns(entry, source, needed)) return false;
  if (entry.rest == Rest::copy) {
    diagnostics_.add(entry.rest_at,
                     "what else the rows of a group have would be one thing many times",
                     "collect it, or say `rest: drop`");
    return false;
  }
  if (std::ranges::none_of(entry.columns,
                           [](const auto& one) { return one.collect.has_value(); })) {
    diagnostics_.add(entry.group.front().at, "a group without `collect` would lose its rows",
                     "like `doc: {collect: value, by: key}` under `columns:`");
    return false;
  }
  open_.table = source;
  open_.rest_must_be_empty = entry.rest == Rest::forbid;
  TableSchema shaped;
  shaped.name = source.name;
  shaped.create_ddl = source.create_ddl;  // what the table is brought back by
  shaped.index_ddl = source.index_ddl;
  shaped.trigger_ddl = source.trigger_ddl;
  for (const NamedPlace& name : entry.group) {
    open_.group.push_back(name.name);
    shaped.key.push_back(name.name);
    const auto at = static_cast<std::size_t>(source.column_index(name.name));
    shaped.columns.push_back(source.columns[at]);
  }
  std::set<std::string> used(open_.group.begin(), open_.group.end());
  for (const ColumnEntry& column : entry.columns) {
    if (!column.collect) continue;
    Collected one{column_of(column), {}, column.collect->by, column.collect->is_of_documents};
    for (const NamedPlace& value : column.collect->values) {
      const bool is_twice = std::ranges::any_of(open_.collected, [&](const Collected& other) {
        return (one.is_of_documents || other.is_of_documents) &&
               std::ranges::count(other.values, value.name) > 0;
      });
      if (is_twice) {
        diagnostics_.add(value.at,
                         fmt::format("`{}` is collected into two documents", printable(value.name)),
                         "leave it out of one: on the way back they could say two things");
        return false;
      }
      one.values.push_back(value.name);
    }
    used.insert(one.values.begin(), one.values.end());
    used.insert(one.by);
    // Two columns may take the same.
    if (std::ranges::count(open_.collected, one.column, &Collected::column) > 0) continue;
    open_.collected.push_back(std::move(one));
    add_column_of_the_shape(shaped, column_of(column));
  }
  for (const auto& [condition, at] : entry.when) used.insert(condition.column);
  bool are_mentioned = true;
  for (const ColumnSchema& column : source.columns) {
    const bool is_free = entry.rest != Rest::forbid || column.name == source.rest_column ||
                         column.hidden || column.generated || used.contains(column.name);
    if (is_free) continue;
    diagnostics_.add(
        entry.rest_at,
        fmt::format("nothing mentions the column `{}` of {}", column.name, source.name),
        "collect it, or say `rest: drop` to leave such columns behind");
    are_mentioned = false;
  }
  for (const std::string& part : source.key) {
    if (used.contains(part)) continue;
    diagnostics_.add(entry.at,
                     fmt::format("`{}` is of the key of {}, and could not be given back: it is "
                                 "neither of the group nor collected",
                                 part, source.name),
                     "collect `by` that column, or group by it");
    are_mentioned = false;
  }
  source = std::move(shaped);
  return are_mentioned;
}

bool Shapes::has_made(const std::string& column) const {
  return std::ranges::count(open_.looked_up, column, &LookedUp::column) > 0 ||
         std::ranges::count(open_.collected, column, &Collected::column) > 0;
}

Result<bool> Shapes::open_source(const TableEntry& entry, TableSchema& source) {
  open_ = SourceShape{};
  std::vector<NamedPlace> asked;
  for (const auto& [condition, at] : entry.when) asked.push_back({condition.column, at});
  if (!need_columns(entry, source, asked)) return false;
  for (const auto& [condition, at] : entry.when) open_.when.push_back(condition);
  for (const ColumnEntry& column : entry.columns) {
    if (column.collect && entry.group.empty()) {
      diagnostics_.add(column.at, "`collect` needs a group of rows", "add `group: [COLUMN]`");
      return false;
    }
  }
  if (!entry.group.empty() && !open_groups(entry, source)) return false;
  return open_lookups(entry, source);
}

// By what the new key reads rows are told apart: rows that get another value there are others.
bool Shapes::lengthen_key(const TableEntry& entry,
                          const std::vector<std::pair<std::string, ExprPtr>>& columns,
                          const TableSchema& target, SourceShape& shape) {
  for (const std::string& part : target.key) {
    const ExprPtr* value = value_of(columns, part);
    if (value == nullptr) continue;
    for (const std::string& read : columns_of(**value)) {
      if (shape.shaped.is_key(read)) continue;
      if (shape.table.column_index(read) < 0) {
        diagnostics_.add(entry.at,
                         fmt::format("the key column `{}` of {} would follow from a {}", part,
                                     target.name, read),
                         "a row could get another key without being written: make keys of the "
                         "row's own columns");
        return false;
      }
      shape.shaped.key.push_back(read);
    }
  }
  return true;
}

bool Shapes::make_key(const TableEntry& entry, const TableSchema& target, SourceShape& shape,
                      std::vector<std::pair<std::string, ExprPtr>>& columns) {
  TableSchema shaped = shape.shaped;
  shaped.key.clear();
  std::vector<std::pair<std::string, ExprPtr>> copied = columns;
  for (const std::string& part : target.key) {
    const auto it = std::ranges::find(copied, part, &std::pair<std::string, ExprPtr>::first);
    if (it == copied.end()) return false;
    const Result<ExprPtr> value = resolve(it->second, shape.table);
    if (!value.ok()) return false;
    const auto at = static_cast<std::size_t>(target.column_index(part));
    const std::shared_ptr<Store>& store = stores_.at(entry.to.alias);
    const auto settled = [store, column = target.columns[at]](Value made) {
      return store->catalog().settle(column, std::move(made));
    };
    // It is told of in the plan's own words.
    std::string name = describe(*it->second);
    if (shaped.column_index(name) >= 0) name += fmt::format(" as {}", part);
    add_column_of_the_shape(shaped, name);
    shaped.key.push_back(name);
    it->second = make_expr(ColumnRef{name});
    shape.made.push_back({name, value.value(), settled});
  }
  columns = std::move(copied);
  shape.shaped = std::move(shaped);
  return true;
}

bool Shapes::close(const TableEntry& entry, std::vector<std::pair<std::string, ExprPtr>>& columns,
                   TableSchema& source, TableSchema& target) {
  SourceShape shape = std::exchange(open_, {});
  const std::vector<std::pair<std::string, ExprPtr>> as_written = columns;
  looked_up_.clear();
  is_written_back_ = entry.item == 0;
  for (const LookedUp& one : shape.looked_up) looked_up_.push_back(one.column);
  if (!shape.is_grouped()) {
    shape.table = source;
    std::erase_if(shape.table.columns, [&](const ColumnSchema& column) {
      return std::ranges::count(shape.looked_up, column.name, &LookedUp::column) > 0;
    });
  }
  for (Collected& one : shape.collected) one.as_json = target.rest_column.empty();
  shape.shaped = source;
  const std::size_t own_key = source.key.size();
  // A table without a usable key is told of by who needs one.
  const bool may_have_another_key =
      !linked_ && !shape.is_grouped() && own_key > 0 && source.row_number().empty();
  if (may_have_another_key && !lengthen_key(entry, columns, target, shape)) return false;
  has_made_key_ = may_have_another_key && !is_written_back_ &&
                  !make_mapping(shape.shaped, target, columns).ok() &&
                  make_key(entry, target, shape, columns);
  shape.is_written_back = is_written_back_;
  const bool has_shape = shape.is_grouped() || !shape.looked_up.empty() || !shape.when.empty() ||
                         has_made_key_ || shape.shaped.key.size() > own_key ||
                         shares(entry, &TableEntry::from);
  if (has_shape) {
    shape.shaped.name = fmt::format("{} ({})", source.name, entry.as);
    source = shape.shaped;
    shaped(entry.from.alias).add(std::move(shape));
  }
  if (!shares(entry, &TableEntry::to)) return true;
  TargetShape written{target, target, {}, {}, entry.item == 0};
  written.shaped.name = fmt::format("{} ({})", target.name, entry.as);
  for (const std::string& part : target.key) {
    const ExprPtr* value = value_of(as_written, part);
    written.key.push_back(value == nullptr ? KeyPattern{} : pattern_of(**value));
  }
  std::vector<Mark> marks;
  for (const auto& [column, value] : columns) {
    const auto* constant = std::get_if<Constant>(&value->node);
    const int at = target.column_index(column);
    if (constant == nullptr || at < 0 || target.is_key(column)) continue;
    Result<Value> stored =
        stores_.at(entry.to.alias)
            ->catalog()
            .settle(target.columns[static_cast<std::size_t>(at)], constant->value);
    // What a column refuses is told by whoever writes it.
    if (stored.ok() && !stored.value().is_null()) {
      marks.push_back({column, std::move(stored).value()});
    }
  }
  target = written.shaped;
  written_.push_back({&entry, written, std::move(marks)});
  shaped(entry.to.alias).add(std::move(written));
  return true;
}

const Mark* Shapes::mark_that_differs(const Written& one, const Written& other) {
  for (const Mark& mark : one.marks) {
    const auto theirs = std::ranges::find(other.marks, mark.column, &Mark::column);
    if (theirs != other.marks.end() && !is_equal(mark.value, theirs->value)) return &mark;
  }
  return nullptr;
}

void Shapes::tell_by(const std::string& column, Written& one) {
  TargetShape& shape = one.shape;
  if (std::ranges::count(shape.marks, column, &Mark::column) > 0) return;
  shape.marks.push_back(*std::ranges::find(one.marks, column, &Mark::column));
  shaped(one.entry->to.alias).add(shape);
}

void Shapes::keep_apart() {
  for (std::size_t i = 0; i < written_.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      Written& one = written_[j];
      Written& other = written_[i];
      if (one.entry->to.place() != other.entry->to.place()) continue;
      if (are_apart(one.shape, other.shape)) continue;
      if (const Mark* mark = mark_that_differs(one, other)) {
        const std::string column = mark->column;
        tell_by(column, one);
        tell_by(column, other);
        continue;
      }
      diagnostics_.add(
          other.entry->at,
          fmt::format("a row of `{}` and one of `{}` could have the same key in {}", one.entry->as,
                      other.entry->as, other.entry->to.table),
          "let a key column of each begin with a text of its own, like \"ORDER#{id}\", "
          "or give each a constant there, or a constant in another column by which rows are told "
          "apart");
    }
  }
}

Status Shapes::lead_back(const Move& move, Mapping& mapping) const {
  mapping.looked_up = looked_up_;
  mapping.follows_only = !is_written_back_;
  mapping.key_is_made = has_made_key_;
  std::erase_if(mapping.backward, [&](const ColumnRule& rule) {
    const bool is_lost = !is_written_back_ && !mapping.source.is_key(rule.column);
    return is_lost || std::ranges::count(looked_up_, rule.column) > 0;
  });
  // What a row could have under a name that the plan writes over: not worth a line for each.
  if (!mapping.source.rest_column.empty()) {
    std::erase_if(mapping.losses, [&](const Loss& loss) {
      return std::ranges::any_of(mapping.forward, [&](const ColumnRule& rule) {
        return rule.column == loss.column &&
               std::ranges::count(columns_of(*rule.expr), rule.column) == 0;
      });
    });
  }
  if (!is_written_back_) {
    mapping.losses = {{"all columns",
                       "they follow from the first item of the row: what the new application "
                       "writes here alone is not brought back"}};
    mapping.new_only.clear();
  }
  constexpr ChunkLimits looked_at{300, std::int64_t{1} << 20};
  std::vector<Row> rows;
  for (ColumnRule& rule : mapping.backward) {
    const auto at = static_cast<std::size_t>(rule.index);
    const Kind holds = mapping.source.columns[at].holds;
    const bool is_unsure = mapping.source.is_key(rule.column) &&
                           std::holds_alternative<Between>(rule.expr->node) &&
                           (holds == Kind::null || holds == Kind::decimal);
    if (!is_unsure) continue;
    const bool is_of_documents = !mapping.source.rest_column.empty();
    if (holds == Kind::decimal && is_of_documents) {
      rule.expr = make_expr(Cast{rule.expr, CastTo::number});
      continue;
    }
    if (rows.empty()) {
      ASSIGN_OR_RETURN(const auto reader, move.source->open_reader(mapping.source));
      Result<ChunkOfRows> chunk = reader->read_after(std::nullopt, looked_at);
      const bool is_gone = !chunk.ok() && chunk.error().code == ErrorCode::not_found;
      if (is_gone) return {};  // after the end; what comes back is looked at then
      if (!chunk.ok()) return std::move(chunk).error();
      rows = std::move(chunk.value().rows);
    }
    bool are_numbers = !rows.empty();
    bool are_whole = true;
    bool are_exact = is_of_documents;
    for (const Row& row : rows) {
      const Value& value = row[at];
      if (value.is_null()) continue;
      const auto* decimal = value.get_if<Decimal>();
      are_numbers = are_numbers && (decimal != nullptr || value.kind() == Kind::int64);
      are_exact = are_exact || decimal != nullptr;
      are_whole = are_whole &&
                  (decimal == nullptr || decimal->text.find_first_of(".eE") == std::string::npos);
    }
    if (!are_numbers) continue;
    rule.expr = make_expr(Cast{rule.expr, are_exact   ? CastTo::number
                                          : are_whole ? CastTo::integer
                                                      : CastTo::real});
  }
  return {};
}

std::shared_ptr<Store> Shapes::store(const std::string& alias) const {
  const auto it = shaped_.find(alias);
  return it == shaped_.end() ? stores_.at(alias) : it->second;
}

ShapedStore& Shapes::shaped(const std::string& alias) {
  std::shared_ptr<ShapedStore>& store = shaped_[alias];
  if (store == nullptr) store = std::make_shared<ShapedStore>(stores_.at(alias));
  return *store;
}

}  // namespace whimbrel
