#include "stores/memory/memory_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "store/image.h"

namespace whimbrel {

namespace {
Error no_table(const std::string& table) {
  return Error{ErrorCode::not_found, "there is no table " + table};
}
}  // namespace

class MemoryReader final : public SnapshotReader {
 public:
  MemoryReader(MemoryStore& store, std::string table) : store_(store), table_(std::move(table)) {}

  Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                 const ChunkLimits& limits) override {
    const std::lock_guard lock(store_.mutex_);
    MemoryStore::Table* table = store_.find(table_);
    if (table == nullptr) return no_table(table_);
    ChunkOfRows chunk;
    chunk.range.after = after;
    std::int64_t bytes = 0;
    for (auto it = after ? table->rows.upper_bound(*after) : table->rows.begin();
         it != table->rows.end(); ++it) {
      const bool full = std::ssize(chunk.rows) >= limits.rows_max || bytes >= limits.bytes_max;
      if (full && !chunk.rows.empty()) {
        chunk.range.through = std::prev(it)->first;
        return chunk;
      }
      chunk.rows.push_back(it->second);
      bytes += size_of(it->second);
    }
    return chunk;
  }

  Result<std::vector<std::optional<Row>>> read_keys(std::span<const Row> keys) override {
    const std::lock_guard lock(store_.mutex_);
    MemoryStore::Table* table = store_.find(table_);
    if (table == nullptr) return no_table(table_);
    std::vector<std::optional<Row>> rows;
    for (const Row& key : keys) {
      const auto it = table->rows.find(key);
      rows.push_back(it == table->rows.end() ? std::nullopt : std::optional(it->second));
    }
    return rows;
  }

  Result<std::int64_t> count() override {
    const std::lock_guard lock(store_.mutex_);
    MemoryStore::Table* table = store_.find(table_);
    if (table == nullptr) return no_table(table_);
    return std::ssize(table->rows);
  }

 private:
  MemoryStore& store_;
  std::string table_;
};

class MemoryWriter final : public BatchWriter {
 public:
  MemoryWriter(MemoryStore& store, std::string table, std::vector<int> columns)
      : store_(store), table_(std::move(table)), columns_(std::move(columns)) {}

  Result<Applied> apply(std::span<const Change> changes) override {
    const std::lock_guard lock(store_.mutex_);
    MemoryStore::Table* table = store_.find(table_);
    if (table == nullptr) return no_table(table_);
    Applied applied;
    for (const bool deletes : {true, false}) {
      for (const Change& change : changes) {
        if (change.row.has_value() == deletes) continue;
        const auto before = table->rows.find(change.key);
        if (change.only_if) {
          const bool there = before != table->rows.end();
          const std::optional<Row>& wanted = *change.only_if;
          if (there != wanted.has_value() || (there && !same(before->second, *wanted))) {
            ++applied.refused;
            continue;
          }
        }
        std::optional<Row> row;
        if (change.row) {
          row = before == table->rows.end() ? Row(table->schema.columns.size()) : before->second;
          for (std::size_t i = 0; i < columns_.size(); ++i) {
            (*row)[static_cast<std::size_t>(columns_[i])] = (*change.row)[i];
          }
        }
        const bool unchanged =
            before == table->rows.end() ? !row : row && same(*row, before->second);
        unchanged ? ++applied.skipped : ++applied.written;
        if (!unchanged) store_.write(*table, change.key, std::move(row), true);
      }
    }
    return applied;
  }

 private:
  MemoryStore& store_;
  std::string table_;
  std::vector<int> columns_;
};

class MemoryInside final : public InsideCopier {
 public:
  MemoryInside(MemoryStore& store, const Mapping& mapping) : store_(store), mapping_(mapping) {}

  Result<InsideCopy> copy_after(const std::optional<Row>& after,
                                const ChunkLimits& limits) override {
    ASSIGN_OR_RETURN(const ChunkOfRows chunk,
                     MemoryReader(store_, mapping_.source.name).read_after(after, limits));
    const std::lock_guard lock(store_.mutex_);
    MemoryStore::Table* target = store_.find(mapping_.target.name);
    if (target == nullptr) return no_table(mapping_.target.name);
    InsideCopy copy;
    copy.range = chunk.range;
    copy.read = std::ssize(chunk.rows);
    for (const Row& row : chunk.rows) {
      ASSIGN_OR_RETURN(const Row made, map_row(mapping_, row));
      const Row key = key_of(made, mapping_.target_key);
      copy.bytes += size_of(made);
      if (target->rows.contains(key)) continue;
      store_.write(*target, key, made, true);
      ++copy.written;
    }
    return copy;
  }

  Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                 const ChunkLimits& limits) override {
    return MemoryReader(store_, mapping_.source.name).read_after(after, limits);
  }
  Status make_durable() override { return {}; }

  Result<std::optional<Row>> middle() override {
    const std::lock_guard lock(store_.mutex_);
    const MemoryStore::Table* source = store_.find(mapping_.source.name);
    if (source == nullptr) return no_table(mapping_.source.name);
    if (source->rows.size() < 2) return std::optional<Row>();
    return std::optional(std::next(source->rows.begin(), std::ssize(source->rows) / 2)->first);
  }

  Result<InsideComparison> compare_after(const std::optional<Row>& after,
                                         const std::optional<Row>& until,
                                         const ChunkLimits& limits) override {
    ASSIGN_OR_RETURN(ChunkOfRows chunk,
                     MemoryReader(store_, mapping_.source.name).read_after(after, limits));
    const RowLess less;
    const bool reaches_it = until && (!chunk.range.through || !less(*chunk.range.through, *until));
    if (reaches_it) {
      chunk.range.through.reset();
      std::erase_if(chunk.rows,
                    [&](const Row& row) { return less(*until, key_of(row, mapping_.source_key)); });
    }
    const std::lock_guard lock(store_.mutex_);
    MemoryStore::Table* target = store_.find(mapping_.target.name);
    if (target == nullptr) return no_table(mapping_.target.name);
    InsideComparison comparison;
    comparison.range = chunk.range;
    for (const Row& row : chunk.rows) {
      ASSIGN_OR_RETURN(const Row made, map_row(mapping_, row));
      const Row expected = written_values(mapping_.forward, made);
      comparison.expected.add(expected);
      const auto it = target->rows.find(key_of(made, mapping_.target_key));
      const bool there = it != target->rows.end();
      const Row found = there ? written_values(mapping_.forward, it->second) : Row();
      if (there) comparison.found.add(found);
      if (!there || !same(found, expected)) {
        ++comparison.differing_rows;
        comparison.differing.push_back(key_of(row, mapping_.source_key));
      }
    }
    return comparison;
  }

  Result<std::optional<InsideStrangers>> strangers_after(const std::optional<Row>& after,
                                                         const ChunkLimits& limits) override {
    ASSIGN_OR_RETURN(const ChunkOfRows chunk,
                     MemoryReader(store_, mapping_.target.name).read_after(after, limits));
    const std::lock_guard lock(store_.mutex_);
    const MemoryStore::Table* source = store_.find(mapping_.source.name);
    if (source == nullptr) return no_table(mapping_.source.name);
    InsideStrangers strangers{chunk.range, {}};
    for (const Row& row : chunk.rows) {
      Row key = key_of(row, mapping_.target_key);
      ASSIGN_OR_RETURN(const Row source_key, unmap_key(mapping_, key));
      if (!source->rows.contains(source_key)) strangers.keys.push_back(std::move(key));
    }
    return std::optional(std::move(strangers));
  }

 private:
  MemoryStore& store_;
  const Mapping& mapping_;
};

MemoryStore::Table* MemoryStore::find(const std::string& table) {
  const auto it = tables_.find(table);
  return it == tables_.end() ? nullptr : &it->second;
}

void MemoryStore::add_table(const TableSchema& schema) {
  Table table{schema, {}, {}, {{"", {5, 5}}}};
  table.key = positions_of(schema.key, schema);
  tables_[schema.name] = std::move(table);
}

bool MemoryStore::is_held(const std::string& table) const {
  const auto it = holds_.find(table);
  return it != holds_.end() && clock_.now() < it->second;
}

void MemoryStore::write(Table& table, const Row& key, std::optional<Row> row, bool own) {
  for (auto& [name, feed] : feeds_) {
    if (feed.tables.contains(table.schema.name)) {
      feed.changes.push_back({table.schema.name, key, own, !row.has_value()});
    }
  }
  if (row) {
    table.rows[key] = std::move(*row);
  } else {
    table.rows.erase(key);
  }
}

// What the triggers of a link do: only columns that changed travel.
Status MemoryStore::carry(const std::string& name, const Row& key,
                          const std::optional<Row>& before) {
  for (auto& [id, live] : links_) {
    const Mapping& mapping = live.mapping;
    const bool forward = mapping.source.name == name;
    if (!forward && mapping.target.name != name) continue;
    Table* here = find(name);
    Table* there = find(forward ? mapping.target.name : mapping.source.name);
    if (there == nullptr) continue;
    if (!forward) live.touched.insert(key);
    ASSIGN_OR_RETURN(const Row other_key,
                     forward ? map_key(mapping, key) : unmap_key(mapping, key));
    const auto now = here->rows.find(key);
    if (now == here->rows.end()) {
      write(*there, other_key, std::nullopt, true);
      continue;
    }
    const auto convert = [&](const Row& row) {
      return forward ? map_row(mapping, row) : unmap_row(mapping, row, nullptr);
    };
    ASSIGN_OR_RETURN(const Row image, convert(now->second));
    const auto old = there->rows.find(other_key);
    Row merged = old == there->rows.end() ? image : old->second;
    if (old != there->rows.end() && before) {
      ASSIGN_OR_RETURN(const Row image_before, convert(*before));
      for (std::size_t i = 0; i < merged.size(); ++i) {
        if (!same(image[i], image_before[i])) merged[i] = image[i];
      }
    } else if (old != there->rows.end()) {
      for (const ColumnRule& rule : forward ? mapping.forward : mapping.backward) {
        merged[static_cast<std::size_t>(rule.index)] = image[static_cast<std::size_t>(rule.index)];
      }
    }
    write(*there, other_key, std::move(merged), true);
  }
  return {};
}

Status MemoryStore::put(const std::string& name,
                        const std::vector<std::pair<std::string, Value>>& columns) {
  const std::lock_guard lock(mutex_);
  Table* table = find(name);
  if (table == nullptr) return no_table(name);
  if (is_held(name)) return Error{ErrorCode::conflict, name + " is held"};
  Row row(table->schema.columns.size());
  for (const auto& [column, value] : columns) {
    const int at = table->schema.column_index(column);
    assert_always(at >= 0, "the application writes a column that is not there");
    row[static_cast<std::size_t>(at)] = value;
  }
  const Row key = key_of(row, table->key);
  std::optional<Row> before;
  if (const auto it = table->rows.find(key); it != table->rows.end()) {
    before = it->second;
    Row merged = it->second;
    for (const auto& [column, value] : columns) {
      merged[static_cast<std::size_t>(table->schema.column_index(column))] = value;
    }
    row = std::move(merged);
  }
  write(*table, key, row, false);
  return carry(name, key, before);
}

Status MemoryStore::erase(const std::string& name, const Row& key) {
  const std::lock_guard lock(mutex_);
  Table* table = find(name);
  if (table == nullptr) return no_table(name);
  if (is_held(name)) return Error{ErrorCode::conflict, name + " is held"};
  if (!table->rows.contains(key)) return {};
  write(*table, key, std::nullopt, false);
  return carry(name, key, std::nullopt);
}

std::vector<Row> MemoryStore::rows(const std::string& name) const {
  std::vector<Row> all;
  const auto it = tables_.find(name);
  if (it == tables_.end()) return all;
  for (const auto& [key, row] : it->second.rows) all.push_back(row);
  return all;
}

void MemoryStore::put_rows_back(const std::string& name, const std::vector<Row>& rows) {
  const auto it = tables_.find(name);
  if (it == tables_.end()) return;
  it->second.rows.clear();
  for (const Row& row : rows) it->second.rows.emplace(key_of(row, it->second.key), row);
}

bool MemoryStore::has_table(const std::string& table) const { return tables_.contains(table); }

std::vector<std::string> MemoryStore::leftovers() const {
  std::vector<std::string> all;
  for (const auto& [name, feed] : feeds_) all.push_back("feed " + name);
  for (const auto& [name, link] : links_) all.push_back("link " + name);
  for (const auto& [name, until] : holds_) all.push_back("hold " + name);
  for (const auto& [name, owner] : claims_) all.push_back("claim " + name);
  return all;
}

Result<std::unique_ptr<SnapshotReader>> MemoryStore::open_reader(const TableSchema& table) {
  return std::unique_ptr<SnapshotReader>(std::make_unique<MemoryReader>(*this, table.name));
}

Result<std::unique_ptr<BatchWriter>> MemoryStore::open_writer(
    const TableSchema& table, const std::vector<std::string>& columns) {
  return std::unique_ptr<BatchWriter>(
      std::make_unique<MemoryWriter>(*this, table.name, positions_of(columns, table)));
}

Result<std::unique_ptr<InsideCopier>> MemoryStore::open_inside(const Mapping& mapping,
                                                               const Store&) {
  return std::unique_ptr<InsideCopier>(std::make_unique<MemoryInside>(*this, mapping));
}

Status MemoryStore::claim(const std::string& migration, const std::string& journal) {
  const std::lock_guard lock(mutex_);
  const auto [it, fresh] = claims_.emplace(migration, journal);
  if (!fresh && it->second != journal) {
    return Error{ErrorCode::conflict, "another journal drives " + migration + " in this store"};
  }
  return {};
}

Result<std::string> MemoryStore::claimed_by(const std::string& migration) {
  const std::lock_guard lock(mutex_);
  const auto it = claims_.find(migration);
  return it == claims_.end() ? std::string() : it->second;
}

Status MemoryStore::disown(const std::string& migration, const std::string& journal) {
  const std::lock_guard lock(mutex_);
  const auto it = claims_.find(migration);
  if (it == claims_.end() || it->second != journal) return {};
  claims_.erase(it);
  marks_.erase(migration);
  return {};
}

Status MemoryStore::mark(const std::string& migration, const std::string& journal,
                         std::int64_t records) {
  const std::lock_guard lock(mutex_);
  const auto it = claims_.find(migration);
  if (it != claims_.end() && it->second == journal) marks_[migration] = records;
  return {};
}

Result<std::optional<std::int64_t>> MemoryStore::marked(const std::string& migration,
                                                        const std::string& journal) {
  const std::lock_guard lock(mutex_);
  const auto it = claims_.find(migration);
  const auto mark = marks_.find(migration);
  if (it == claims_.end() || it->second != journal || mark == marks_.end()) {
    return std::optional<std::int64_t>{};
  }
  return std::optional(mark->second);
}

Result<std::string> MemoryStore::self_test(const Mapping& mapping, bool, const Row&) {
  const std::lock_guard lock(mutex_);
  if (find(mapping.target.name) == nullptr) return no_table(mapping.target.name);
  return std::string("insert, read, update, delete");
}

Result<Value> MemoryStore::ask(const std::string&) {
  return Error{ErrorCode::refused, "a memory store speaks no SQL"};
}

Result<std::vector<Finding>> MemoryStore::review(const Mapping&, bool) {
  return std::vector<Finding>{};
}

Result<std::vector<std::string>> MemoryStore::tables() {
  std::vector<std::string> names;
  for (const auto& [name, table] : tables_) names.push_back(name);
  return names;
}

Result<TableSchema> MemoryStore::describe(const std::string& name) {
  const std::lock_guard lock(mutex_);
  Table* table = find(name);
  if (table == nullptr) return no_table(name);
  return table->schema;
}

// The "DDL" of memory tables: column names, separated by spaces; the first is the key.
Result<TableSchema> MemoryStore::parse(const std::string& ddl, const std::string& table) {
  TableSchema schema;
  schema.name = table;
  std::size_t begin = 0;
  while (begin < ddl.size()) {
    const std::size_t end = std::min(ddl.find(' ', begin), ddl.size());
    if (end > begin)
      schema.columns.push_back({ddl.substr(begin, end - begin), "", true, false, false, ""});
    begin = end + 1;
  }
  if (schema.columns.empty()) return Error{ErrorCode::invalid_plan, "a table without columns"};
  schema.key = {schema.columns.front().name};
  schema.create_ddl = ddl;
  return schema;
}

Result<TableSchema> MemoryStore::sketch(const std::string& table,
                                        const std::vector<std::pair<std::string, Value>>& key,
                                        const std::vector<std::pair<std::string, Value>>& others) {
  if (key.size() != 1) return Error{ErrorCode::refused, "memory tables have keys of one column"};
  std::string columns = key.front().first;
  for (const auto& [column, value] : others) columns += " " + column;
  return parse(columns, table);
}

Result<std::string> MemoryStore::ddl_like(const TableSchema&, const std::string&) {
  return Error{ErrorCode::refused, "memory tables have no DDL to be copied"};
}

Result<Value> MemoryStore::settle(const ColumnSchema&, Value value) const { return value; }

Status MemoryStore::create(const TableSchema& schema, bool) {
  const std::lock_guard lock(mutex_);
  if (find(schema.name) == nullptr) add_table(schema);
  return {};
}

Status MemoryStore::create_index(const std::string&) { return {}; }

Status MemoryStore::drop(const std::string& table) {
  const std::lock_guard lock(mutex_);
  tables_.erase(table);
  return {};
}

Status MemoryStore::clear(const std::string& table) {
  const std::lock_guard lock(mutex_);
  if (Table* found = find(table)) found->rows.clear();
  return {};
}

Result<Provisions> MemoryStore::provisions(const std::string& table, bool) {
  const std::lock_guard lock(mutex_);
  const Table* found = find(table);
  if (found == nullptr) return no_table(table);
  return found->provisions;
}

Status MemoryStore::provision(const std::string& table, const Provisions& wanted) {
  const std::lock_guard lock(mutex_);
  Table* found = find(table);
  if (found == nullptr) return no_table(table);
  for (const auto& [name, one] : wanted) found->provisions[name] = one;
  return {};
}

Status MemoryStore::rename(const std::string& name, const std::string& to) {
  const std::lock_guard lock(mutex_);
  Table* table = find(name);
  if (table == nullptr) return find(to) == nullptr ? Status(no_table(name)) : Status();
  Table moved = std::move(*table);
  moved.schema.name = to;
  tables_.erase(name);
  tables_[to] = std::move(moved);
  return {};
}

Status MemoryStore::retire(const std::vector<const Mapping*>& mappings,
                           const std::string& rename_to, bool view) {
  if (view) return Error{ErrorCode::refused, "a memory store has no views"};
  for (const Mapping* mapping : mappings) {
    if (!has_table(mapping->source.name)) continue;
    TRY(rename_to.empty() ? drop(mapping->source.name) : rename(mapping->source.name, rename_to));
  }
  return {};
}

Status MemoryStore::revive(const std::string& table, const std::string& archived_as) {
  if (has_table(table) || archived_as.empty() || !has_table(archived_as)) return {};
  return rename(archived_as, table);
}

Result<std::string> MemoryStore::start(const std::string& name,
                                       const std::vector<std::string>& tables) {
  const std::lock_guard lock(mutex_);
  Feed& feed = feeds_[name];
  feed.tables.insert(tables.begin(), tables.end());
  return std::string("0");
}

Result<bool> MemoryStore::feed_is_whole(const std::string& name,
                                        const std::vector<std::string>& tables) {
  const std::lock_guard lock(mutex_);
  const auto it = feeds_.find(name);
  return it != feeds_.end() && std::ranges::all_of(tables, [&](const std::string& table) {
           return it->second.tables.contains(table);
         });
}

Result<OtherUse> MemoryStore::used_by_others(const Link&) { return OtherUse{}; }

Result<bool> MemoryStore::links_are_whole(const std::vector<Link>& links) {
  const std::lock_guard lock(mutex_);
  return std::ranges::all_of(links, [&](const Link& one) { return links_.contains(one.id); });
}

void MemoryStore::drop_capture() {
  const std::lock_guard lock(mutex_);
  for (auto& [name, feed] : feeds_) feed.tables.clear();
  links_.clear();
}

Status MemoryStore::stop(const std::string& feed) {
  const std::lock_guard lock(mutex_);
  feeds_.erase(feed);
  return {};
}

Result<ChangeBatch> MemoryStore::read(const std::string& name, const std::string& position,
                                      std::int64_t changes_max) {
  const std::lock_guard lock(mutex_);
  const auto it = feeds_.find(name);
  if (it == feeds_.end()) return Error{ErrorCode::position_lost, "there is no feed " + name};
  std::size_t at = 0;
  std::from_chars(position.data(), position.data() + position.size(), at);
  ChangeBatch batch;
  const std::vector<KeyChange>& changes = it->second.changes;
  while (at < changes.size() && std::ssize(batch.changes) < changes_max) {
    batch.changes.push_back(changes[at++]);
  }
  batch.position = fmt::format("{}", at);
  batch.at_end = at == changes.size();
  return batch;
}

Result<std::int64_t> MemoryStore::waiting(const std::string& name, const std::string& position) {
  const std::lock_guard lock(mutex_);
  const auto it = feeds_.find(name);
  if (it == feeds_.end()) return Error{ErrorCode::position_lost, "there is no feed " + name};
  std::int64_t at = 0;
  std::from_chars(position.data(), position.data() + position.size(), at);
  return std::ssize(it->second.changes) - at;
}

Status MemoryStore::link(const std::vector<Link>& links) {
  const std::lock_guard lock(mutex_);
  for (const Link& one : links) {
    if (!links_.contains(one.id)) links_[one.id] = {one, *one.mapping, {}};
  }
  return {};
}

Status MemoryStore::unlink(const std::vector<Link>& links, PairSink& sink) {
  const std::lock_guard lock(mutex_);
  for (const Link& one : links) {
    const auto it = links_.find(one.id);
    Table* target = find(one.mapping->target.name);
    Table* source = find(one.mapping->source.name);
    if (it == links_.end() || target == nullptr || source == nullptr) continue;
    for (const Row& key : it->second.touched) {
      const auto row = target->rows.find(key);
      if (row == target->rows.end()) {
        TRY(sink.gone(one, key));
        continue;
      }
      ASSIGN_OR_RETURN(const Row source_key, unmap_key(*one.mapping, key));
      const auto before = source->rows.find(source_key);
      TRY(sink.pair(one,
                    before == source->rows.end() ? std::nullopt : std::optional(before->second),
                    row->second));
    }
  }
  TRY(sink.flush());
  for (const Link& one : links) {
    links_.erase(one.id);
    if (one.made_target) {
      tables_.erase(one.mapping->target.name);
    } else if (Table* target = find(one.mapping->target.name)) {
      target->rows.clear();
    }
  }
  return {};
}

Status MemoryStore::cut(const std::vector<Link>& links) {
  const std::lock_guard lock(mutex_);
  for (const Link& one : links) links_.erase(one.id);
  return {};
}

Result<std::vector<Row>> MemoryStore::written_on_new_side(const Link& link) {
  const std::lock_guard lock(mutex_);
  const auto it = links_.find(link.id);
  if (it == links_.end()) return std::vector<Row>{};
  return std::vector<Row>(it->second.touched.begin(), it->second.touched.end());
}

Result<bool> MemoryStore::put_back(const Link& link, const Row& target_row,
                                   const std::vector<std::pair<std::string, Value>>& columns) {
  const std::lock_guard lock(mutex_);
  Table* table = find(link.mapping->target.name);
  if (table == nullptr) return no_table(link.mapping->target.name);
  const Row target_key = key_of(target_row, table->key);
  const auto it = table->rows.find(target_key);
  if (it == table->rows.end() || !same(it->second, target_row)) return false;
  Row row = it->second;
  for (const auto& [column, value] : columns) {
    row[static_cast<std::size_t>(table->schema.column_index(column))] = value;
  }
  write(*table, target_key, std::move(row), true);
  if (const auto live = links_.find(link.id); live != links_.end()) {
    live->second.touched.insert(target_key);
  }
  return true;
}

Status MemoryStore::hold(const std::vector<std::string>& tables, TimePoint until) {
  const std::lock_guard lock(mutex_);
  for (const std::string& table : tables) holds_[table] = until;
  return {};
}

Result<bool> MemoryStore::held(const std::vector<std::string>& tables) {
  const std::lock_guard lock(mutex_);
  for (const std::string& table : tables) {
    if (!is_held(table)) return false;
  }
  return true;
}

Status MemoryStore::release(const std::vector<std::string>& tables) {
  const std::lock_guard lock(mutex_);
  for (const std::string& table : tables) holds_.erase(table);
  return {};
}

}  // namespace whimbrel
