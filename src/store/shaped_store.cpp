#include "store/shaped_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/text.h"
#include "store/shaped_groups.h"
#include "store/shaped_rows.h"

namespace whimbrel {

class ShapedStore::Tables final : public Catalog {
 public:
  explicit Tables(ShapedStore& store) : store_(store), base_(store.base_->catalog()) {}

  Result<std::vector<std::string>> tables() override { return base_.tables(); }
  Result<std::vector<std::string>> plain_tables() override { return base_.plain_tables(); }
  Result<TableSchema> describe(const std::string& table) override {
    ASSIGN_OR_RETURN(TableSchema there, base_.describe(store_.stored_as(table)));
    if (const SourceShape* shape = store_.source(table)) return shape->shaped;
    if (const TargetShape* shape = store_.target(table)) return shape->shaped;
    return there;
  }
  Result<TableSchema> parse(const std::string& ddl, const std::string& table) override {
    return base_.parse(ddl, store_.stored_as(table));
  }
  Result<TableSchema> sketch(const std::string& table,
                             const std::vector<std::pair<std::string, Value>>& key,
                             const std::vector<std::pair<std::string, Value>>& others) override {
    return base_.sketch(table, key, others);
  }
  Result<std::string> ddl_like(const TableSchema& table, const std::string& name) override {
    return base_.ddl_like(store_.stored(table), name);
  }
  std::string with_new_names(std::string ddl,
                             const std::map<std::string, std::string>& names) const override {
    return base_.with_new_names(std::move(ddl), names);
  }
  std::string with_new_parents(std::string ddl,
                               const std::map<std::string, std::string>& names) const override {
    return base_.with_new_parents(std::move(ddl), names);
  }
  Result<std::string> usual_schema() override { return base_.usual_schema(); }
  std::vector<std::string> unlike(const TableSchema& wanted,
                                  const TableSchema& there) const override {
    return base_.unlike(wanted, there);
  }
  std::vector<std::string> differences(const TableSchema& wanted,
                                       const TableSchema& there) const override {
    return base_.differences(wanted, there);
  }
  bool trigger_may_set(const TableSchema& table, const std::string& column) const override {
    return base_.trigger_may_set(table, column);
  }
  Result<Value> settle(const ColumnSchema& column, Value value) const override {
    for (const auto& [name, shape] : store_.sources_) {
      // It has been settled by the other side's table.
      if (std::ranges::count(shape->made, column.name, &MadePart::column) > 0) return value;
      const auto one = std::ranges::find(shape->collected, column.name, &Collected::column);
      // No column of the table itself: it is taken apart.
      if (one != shape->collected.end()) {
        return as_it_is_read(base_, *shape, *one, std::move(value));
      }
    }
    return base_.settle(column, std::move(value));
  }
  Status create(const TableSchema& schema, bool with_indexes) override {
    return base_.create(store_.stored(schema), with_indexes);
  }
  Status create_index(const std::string& ddl) override { return base_.create_index(ddl); }
  Status complete(const TableSchema& schema) override {
    return base_.complete(store_.stored(schema));
  }
  Status drop(const std::string& table) override { return base_.drop(store_.stored_as(table)); }
  // Rows of others stay.
  Status clear(const std::string& table) override {
    const TargetShape* shape = store_.target(table);
    if (shape == nullptr) return base_.clear(store_.stored_as(table));
    ASSIGN_OR_RETURN(const auto reader, store_.open_reader(shape->shaped));
    ASSIGN_OR_RETURN(const auto writer, store_.open_writer(shape->shaped, shape->shaped.key));
    const std::vector<int> key = positions_of(shape->shaped.key, shape->shaped);
    std::optional<Row> after;
    do {
      ASSIGN_OR_RETURN(const ChunkOfRows chunk, reader->read_after(after, ChunkLimits{}));
      std::vector<Change> gone;
      for (const Row& row : chunk.rows) gone.push_back({key_of(row, key), std::nullopt});
      if (!gone.empty()) TRY(writer->apply(gone));
      after = chunk.range.through;
    } while (after);
    return {};
  }
  Status rename(const std::string& table, const std::string& to) override {
    return base_.rename(store_.stored_as(table), to);
  }
  Status retire(const std::vector<const Mapping*>& mappings, const std::string& rename_to,
                bool view) override {
    const std::vector<Mapping> own = with_stored_tables(mappings);
    return base_.retire(pointers(own), rename_to, view);
  }
  Status can_retire(const std::vector<const Mapping*>& mappings, const std::string& rename_to,
                    bool view) override {
    const std::vector<Mapping> own = with_stored_tables(mappings);
    return base_.can_retire(pointers(own), rename_to, view);
  }
  std::string beside(const std::string& table, const std::string& name) const override {
    return base_.beside(store_.stored_as(table), name);
  }
  bool name_is_taken(const std::string& name) override { return base_.name_is_taken(name); }
  Result<std::string> birth_of(const std::string& table) override {
    return base_.birth_of(store_.stored_as(table));
  }
  Result<std::vector<Dangling>> dangling(const std::string& table) override {
    return base_.dangling(store_.stored_as(table));
  }
  Result<std::int64_t> last_number(const std::string& table) override {
    return base_.last_number(store_.stored_as(table));
  }
  Status raise_number(const std::string& table, std::int64_t number) override {
    return base_.raise_number(store_.stored_as(table), number);
  }
  Status put_number_back(const std::string& table, std::int64_t number) override {
    return base_.put_number_back(store_.stored_as(table), number);
  }
  Result<Provisions> provisions(const std::string& table, bool settled) override {
    return base_.provisions(store_.stored_as(table), settled);
  }
  Status provision(const std::string& table, const Provisions& wanted) override {
    return base_.provision(store_.stored_as(table), wanted);
  }
  Status revive(const std::string& table, const std::string& archived_as) override {
    return base_.revive(store_.stored_as(table), archived_as);
  }

 private:
  // One for each table that goes.
  std::vector<Mapping> with_stored_tables(const std::vector<const Mapping*>& mappings) const {
    std::vector<Mapping> own;
    for (const Mapping* mapping : mappings) {
      Mapping one = store_.with_stored_target(*mapping);
      if (const SourceShape* shape = store_.source(one.source.name)) one.source = shape->table;
      const bool known = std::ranges::any_of(
          own, [&](const Mapping& other) { return other.source.name == one.source.name; });
      if (!known) own.push_back(std::move(one));
    }
    return own;
  }
  static std::vector<const Mapping*> pointers(const std::vector<Mapping>& mappings) {
    std::vector<const Mapping*> all;
    for (const Mapping& mapping : mappings) all.push_back(&mapping);
    return all;
  }

  ShapedStore& store_;
  Catalog& base_;
};

class ShapedStore::Feeds final : public Capture {
 public:
  explicit Feeds(ShapedStore& store) : store_(store), base_(store.base_->capture()) {}

  template <class Use>
  auto with_stored(const std::vector<Link>& links, Use use) const {
    std::vector<Mapping> mappings;
    mappings.reserve(links.size());
    std::vector<Link> own = links;
    for (Link& link : own) {
      mappings.push_back(store_.with_stored_target(*link.mapping));
      Mapping& mapping = mappings.back();
      if (const SourceShape* shape = store_.source(mapping.source.name)) {
        mapping.source.name = shape->table.name;
      }
      link.mapping = &mapping;
    }
    return use(own);
  }

  Result<std::string> start(const std::string& feed,
                            const std::vector<std::string>& tables) override {
    return base_.start(feed, listened_to(tables));
  }
  Status stop(const std::string& feed) override { return base_.stop(feed); }
  Result<bool> feed_is_whole(const std::string& feed,
                             const std::vector<std::string>& tables) override {
    return base_.feed_is_whole(feed, listened_to(tables));
  }
  Result<ChangeBatch> read(const std::string& feed, const std::string& position,
                           std::int64_t changes_max) override {
    ASSIGN_OR_RETURN(ChangeBatch batch, base_.read(feed, position, changes_max));
    std::vector<KeyChange> all;
    for (const auto& [name, shape] : store_.sources_) TRY(source_changes(*shape, batch, all));
    for (const auto& [name, shape] : store_.targets_) target_changes(*shape, batch, all);
    batch.shown = batch.notes();
    for (KeyChange& change : batch.changes) {
      if (!is_in_a_shape(change.table)) all.push_back(std::move(change));
    }
    batch.changes = std::move(all);
    return batch;
  }
  Result<std::int64_t> waiting(const std::string& feed, const std::string& position) override {
    return base_.waiting(feed, position);
  }
  Status keep_up(const std::string& feed) override { return base_.keep_up(feed); }
  Status listen(const std::string& feed) override { return base_.listen(feed); }
  Status end(const std::string& feed) override { return base_.end(feed); }
  Status link(const std::vector<Link>& links) override {
    return with_stored(links, [&](const auto& own) { return base_.link(own); });
  }
  Result<bool> links_are_whole(const std::vector<Link>& links) override {
    return with_stored(links, [&](const auto& own) { return base_.links_are_whole(own); });
  }
  Result<OtherUse> used_by_others(const Link& link) override {
    return with_stored({link}, [&](const auto& own) { return base_.used_by_others(own.front()); });
  }
  Status unlink(const std::vector<Link>& links, PairSink& sink) override {
    return with_stored(links, [&](const auto& own) { return base_.unlink(own, sink); });
  }
  Status cut(const std::vector<Link>& links) override {
    return with_stored(links, [&](const auto& own) { return base_.cut(own); });
  }
  Result<std::vector<Row>> written_on_new_side(const Link& link) override {
    return with_stored({link},
                       [&](const auto& own) { return base_.written_on_new_side(own.front()); });
  }
  Result<bool> put_back(const Link& link, const Row& target_row,
                        const std::vector<std::pair<std::string, Value>>& columns) override {
    return with_stored(
        {link}, [&](const auto& own) { return base_.put_back(own.front(), target_row, columns); });
  }

 private:
  // Also the tables in which something is looked up.
  std::vector<std::string> listened_to(const std::vector<std::string>& tables) const {
    std::vector<std::string> all = store_.stored_as(tables);
    for (const std::string& table : tables) {
      const SourceShape* shape = store_.source(table);
      if (shape == nullptr) continue;
      for (const LookedUp& one : shape->looked_up) {
        if (std::ranges::count(all, one.table.name) == 0) all.push_back(one.table.name);
      }
    }
    return all;
  }

  bool is_in_a_shape(const std::string& table) const {
    const auto holds = [&](const auto& one) { return one.second->table.name == table; };
    return std::ranges::any_of(store_.sources_, holds) ||
           std::ranges::any_of(store_.targets_, holds);
  }

  // What was written under a key of the table's own is written under each key that the row has had
  // in the shape.
  Status source_changes(const SourceShape& shape, const ChangeBatch& batch,
                        std::vector<KeyChange>& all) const {
    std::vector<Row> keys;
    std::vector<const KeyChange*> of;
    std::map<std::string, std::set<Row, RowLess>> looked_up;
    for (const LookedUp& one : shape.looked_up) looked_up[one.table.name];
    for (const KeyChange& change : batch.changes) {
      if (change.table == shape.table.name) {
        keys.push_back(change.key);
        of.push_back(&change);
      }
      const auto asked = looked_up.find(change.table);
      if (asked != looked_up.end() && !change.own) asked->second.insert(change.key);
    }
    TRY(changes_of(shape, keys, of, all));
    for (const auto& [table, asked] : looked_up) {
      const std::vector<Row> changed(asked.begin(), asked.end());
      ASSIGN_OR_RETURN(std::vector<Row> affected,
                       keys_that_look_up(*store_.base_, shape, table, changed));
      for (Row& key : affected) all.push_back({shape.shaped.name, std::move(key), false, false});
    }
    return {};
  }

  Status changes_of(const SourceShape& shape, const std::vector<Row>& keys,
                    const std::vector<const KeyChange*>& of, std::vector<KeyChange>& all) const {
    if (keys.empty()) return {};
    if (!shape.may_change_keys()) {
      for (std::size_t i = 0; i < keys.size(); ++i) {
        all.push_back({shape.shaped.name, keys[i], of[i]->own, of[i]->removed});
      }
      return {};
    }
    ASSIGN_OR_RETURN(const auto now, shaped_keys_of(*store_.base_, shape, keys));
    std::vector<KnownKeys::Known> known;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      std::set<Row, RowLess> each;
      if (store_.known_ != nullptr) {
        ASSIGN_OR_RETURN(const std::vector<Row> before,
                         store_.known_->known_as(shape.shaped.name, keys[i]));
        // An earlier attempt may have had another shape of this name.
        for (const Row& key : before) {
          if (key.size() == shape.shaped.key.size()) each.insert(key);
        }
      }
      if (std::optional<Row> group = group_by_key(shape, keys[i])) each.insert(*std::move(group));
      if (now[i]) {
        each.insert(*now[i]);
        known.push_back({keys[i], *now[i]});
      }
      for (const Row& key : each) {
        const bool is_now = now[i] && same(*now[i], key);
        const bool removed = !shape.is_grouped() && (of[i]->removed || !is_now);
        all.push_back({shape.shaped.name, key, of[i]->own, removed});
      }
    }
    // Before anybody writes the row under its new key.
    if (store_.known_ == nullptr || known.empty()) return {};
    TRY(store_.known_->note(shape.shaped.name, known));
    std::vector<Row> written_by_others;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (now[i] && !of[i]->own) written_by_others.push_back(*now[i]);
    }
    return refuse_second_owners(*store_.base_, shape, *store_.known_, written_by_others);
  }

  // Where the columns of the group are of the key it need not be remembered.
  static std::optional<Row> group_by_key(const SourceShape& shape, const Row& key) {
    if (!shape.is_grouped() || !shape.is_group_of_key()) return std::nullopt;
    Row group;
    for (const std::string& column : shape.group) {
      const auto it = std::ranges::find(shape.table.key, column);
      group.push_back(key[static_cast<std::size_t>(it - shape.table.key.begin())]);
    }
    return group;
  }

  static void target_changes(const TargetShape& shape, const ChangeBatch& batch,
                             std::vector<KeyChange>& all) {
    for (const KeyChange& change : batch.changes) {
      if (change.table != shape.table.name || !shape.has(change.key)) continue;
      all.push_back({shape.shaped.name, change.key, change.own, change.removed});
    }
  }

  ShapedStore& store_;
  Capture& base_;
};

class ShapedStore::Locks final : public Holds {
 public:
  explicit Locks(ShapedStore& store) : store_(store), base_(store.base_->holds()) {}

  Status hold(const std::vector<std::string>& tables, TimePoint until) override {
    return base_.hold(store_.stored_as(tables), until);
  }
  Result<bool> held(const std::vector<std::string>& tables) override {
    return base_.held(store_.stored_as(tables));
  }
  Status release(const std::vector<std::string>& tables) override {
    return base_.release(store_.stored_as(tables));
  }
  Status go_first(const std::string& table, TimePoint until) override {
    return base_.go_first(store_.stored_as(table), until);
  }
  Status step_aside(const std::string& table) override {
    return base_.step_aside(store_.stored_as(table));
  }
  Result<std::vector<std::string>> transactions() override { return base_.transactions(); }

 private:
  ShapedStore& store_;
  Holds& base_;
};

ShapedStore::ShapedStore(std::shared_ptr<Store> base)
    : base_(std::move(base)),
      tables_(std::make_unique<Tables>(*this)),
      feeds_(std::make_unique<Feeds>(*this)),
      locks_(std::make_unique<Locks>(*this)) {}

ShapedStore::~ShapedStore() = default;

void ShapedStore::add(SourceShape shape) {
  std::string name = shape.shaped.name;
  sources_[std::move(name)] = std::make_shared<const SourceShape>(std::move(shape));
}

void ShapedStore::add(TargetShape shape) {
  std::string name = shape.shaped.name;
  targets_[std::move(name)] = std::make_shared<const TargetShape>(std::move(shape));
}

const SourceShape* ShapedStore::source(const std::string& name) const {
  const auto it = sources_.find(name);
  return it == sources_.end() ? nullptr : it->second.get();
}

const TargetShape* ShapedStore::target(const std::string& name) const {
  const auto it = targets_.find(name);
  return it == targets_.end() ? nullptr : it->second.get();
}

std::string ShapedStore::stored_as(const std::string& table) const {
  if (const SourceShape* shape = source(table)) return shape->table.name;
  if (const TargetShape* shape = target(table)) return shape->table.name;
  return table;
}

std::vector<std::string> ShapedStore::stored_as(const std::vector<std::string>& tables) const {
  std::vector<std::string> all;
  for (const std::string& table : tables) {
    std::string name = stored_as(table);
    if (std::ranges::count(all, name) == 0) all.push_back(std::move(name));
  }
  return all;
}

TableSchema ShapedStore::stored(TableSchema table) const {
  table.name = stored_as(table.name);
  return table;
}

Mapping ShapedStore::with_stored_target(const Mapping& mapping) const {
  Mapping own = mapping;
  own.target = stored(std::move(own.target));
  return own;
}

Catalog& ShapedStore::catalog() { return *tables_; }
Capture& ShapedStore::capture() { return *feeds_; }
Holds& ShapedStore::holds() { return *locks_; }

std::string ShapedStore::sql_name(const std::string& table) {
  return base_->sql_name(stored_as(table));
}

Status ShapedStore::work_in(const std::string& folder) {
  const bool remembers =
      std::ranges::any_of(sources_, [](const auto& one) { return one.second->may_change_keys(); });
  if (!remembers || known_ != nullptr) return {};
  const std::string name = digest_hex(identity()).substr(0, 8);
  ASSIGN_OR_RETURN(known_, KnownKeys::open(folder + "/shapes-" + name + ".db"));
  return {};
}

Result<std::unique_ptr<SnapshotReader>> ShapedStore::open_reader(const TableSchema& table) {
  return open_reader_where(table, {});
}

Result<std::unique_ptr<SnapshotReader>> ShapedStore::open_reader_where(
    const TableSchema& table, std::span<const Condition> where) {
  if (const SourceShape* shape = source(table.name)) {
    return open_shaped_reader(*base_, *shape, known_, where);
  }
  if (const TargetShape* shape = target(table.name)) {
    return open_shaped_reader(*base_, *shape, table, where);
  }
  return base_->open_reader_where(table, where);
}

Result<std::unique_ptr<BatchWriter>> ShapedStore::open_writer(
    const TableSchema& table, const std::vector<std::string>& columns) {
  if (const SourceShape* shape = source(table.name)) {
    return open_shaped_writer(*base_, *shape, columns);
  }
  if (shares_keys(table)) return open_shaped_writer(*base_, *target(table.name), columns);
  return base_->open_writer(stored(table), columns);
}

bool ShapedStore::copies_inside(const Mapping& mapping, const Store& source) const {
  const bool has_shape = target(mapping.target.name) != nullptr ||
                         source.stored_as(mapping.source.name) != mapping.source.name;
  return !has_shape && base_->copies_inside(mapping, source.plain());
}

Result<std::unique_ptr<InsideCopier>> ShapedStore::open_inside(const Mapping& mapping,
                                                               const Store& source) {
  return base_->open_inside(mapping, source.plain());
}

Status ShapedStore::claim(const std::string& migration, const std::string& journal) {
  return base_->claim(migration, journal);
}
Result<std::string> ShapedStore::claimed_by(const std::string& migration) {
  return base_->claimed_by(migration);
}
Status ShapedStore::mark(const std::string& migration, const std::string& journal,
                         std::int64_t records) {
  return base_->mark(migration, journal, records);
}
Result<std::optional<std::int64_t>> ShapedStore::marked(const std::string& migration,
                                                        const std::string& journal) {
  return base_->marked(migration, journal);
}
Result<std::int64_t> ShapedStore::keep_copy(const std::string& table, const std::string& schema) {
  return base_->keep_copy(stored_as(table), schema);
}
bool ShapedStore::shares_keys(const TableSchema& table) const {
  const TargetShape* shape = target(table.name);
  return shape != nullptr && !shape->marks.empty();
}
Result<std::vector<Store::OwnKey>> ShapedStore::own_keys(const TableSchema& table,
                                                         std::span<const Row> keys) {
  std::vector<OwnKey> all;
  const SourceShape* shape = source(table.name);
  if (shape == nullptr || !shape->has_longer_key()) return all;
  std::vector<Row> own;
  for (const Row& key : keys) own.push_back(own_key_of(*shape, key));
  ASSIGN_OR_RETURN(auto now, shaped_keys_of(*base_, *shape, own));
  for (std::size_t i = 0; i < own.size(); ++i) {
    all.push_back({std::move(own[i]), std::move(now[i])});
  }
  return all;
}
bool ShapedStore::stands_for_nothing(const TableSchema& table, const Row& row) const {
  const SourceShape* shape = source(table.name);
  return shape != nullptr && stands_for_no_rows(*shape, row);
}
Result<std::optional<std::string>> ShapedStore::keep_backup(const std::string& table,
                                                            const std::string& name) {
  return base_->keep_backup(stored_as(table), name);
}
Rights ShapedStore::rights_for(TableUse use, const std::string& table) const {
  return base_->rights_for(use, stored_as(table));
}
UnitMeter ShapedStore::unit_meter(const TableSchema& table) const {
  return stored_as(table.name) == table.name ? base_->unit_meter(table) : UnitMeter();
}
std::unique_ptr<RowText> ShapedStore::row_text(const TableSchema& table) const {
  return stored_as(table.name) == table.name ? base_->row_text(table) : nullptr;
}
Result<bool> ShapedStore::keep_points_in_time(const std::string& table) {
  return base_->keep_points_in_time(stored_as(table));
}
Status ShapedStore::drop_copies(const std::vector<std::string>& tables, const std::string& schema) {
  return base_->drop_copies(stored_as(tables), schema);
}
Status ShapedStore::log(const std::string& table, const LogLine& line) {
  return base_->log(table, line);
}
Status ShapedStore::disown(const std::string& migration, const std::string& journal) {
  return base_->disown(migration, journal);
}
Result<std::string> ShapedStore::self_test(const Mapping& mapping, bool linked,
                                           const Row& source_row) {
  return base_->self_test(with_stored_target(mapping), linked, source_row);
}

namespace {

// With the mapping that it was opened for.
class OwnRehearsal final : public Rehearsal {
 public:
  static Result<std::unique_ptr<Rehearsal>> open(Store& base, Mapping mapping, bool with_others) {
    auto own = std::make_unique<OwnRehearsal>(std::move(mapping));
    ASSIGN_OR_RETURN(own->rehearsal_, base.rehearse(own->mapping_, with_others));
    if (own->rehearsal_ == nullptr) return std::unique_ptr<Rehearsal>();
    return std::unique_ptr<Rehearsal>(std::move(own));
  }
  explicit OwnRehearsal(Mapping mapping) : mapping_(std::move(mapping)) {}

  Result<std::vector<std::optional<Error>>> offer(std::span<const Row> rows) override {
    return rehearsal_->offer(rows);
  }
  bool notices_equal_keys() const override { return rehearsal_->notices_equal_keys(); }
  bool keeps_rows() const override { return rehearsal_->keeps_rows(); }

 private:
  Mapping mapping_;
  std::unique_ptr<Rehearsal> rehearsal_;
};

}  // namespace

Result<std::unique_ptr<Rehearsal>> ShapedStore::rehearse(const Mapping& mapping, bool with_others) {
  return OwnRehearsal::open(*base_, with_stored_target(mapping), with_others);
}

Result<std::unique_ptr<QueryRunner>> ShapedStore::open_queries(
    const std::vector<ReadingQuery>& queries, Milliseconds patience) {
  return base_->open_queries(queries, patience);
}
Result<std::unique_ptr<WriteProbe>> ShapedStore::open_write_probe(const TableSchema& table,
                                                                  Milliseconds patience) {
  return base_->open_write_probe(stored(table), patience);
}
Result<RoomTaken> ShapedStore::room_taken(const TableSchema& table) {
  return base_->room_taken(stored(table));
}
std::optional<std::int64_t> ShapedStore::room_left() const { return base_->room_left(); }
Status ShapedStore::may_write() const { return base_->may_write(); }

namespace {

// Groups and the fields of a document are told apart by their bytes.
std::vector<Finding> review_group(const SourceShape& shape) {
  std::vector<std::string> told_apart = shape.group;
  for (const Collected& one : shape.collected) told_apart.push_back(one.by);
  std::vector<Finding> findings;
  for (const ColumnSchema& column : shape.table.columns) {
    const bool matters = shape.table.is_key(column.name) && !column.collation.empty() &&
                         std::ranges::count(told_apart, column.name) > 0;
    if (!matters) continue;
    findings.push_back(
        {Finding::Weight::refusal, "key_collation",
         fmt::format("the key {}.{} is compared by {}, and groups are told apart by bytes: two of "
                     "the new side could be one row of the old side",
                     shape.table.name, column.name, column.collation),
         "move the table as it is, or make it anew with a key that is compared by bytes"});
  }
  return findings;
}

}  // namespace

// What the table has beside its shape; rules over what is looked up or collected are not its own.
Result<std::vector<Finding>> ShapedStore::review(const Mapping& mapping, bool dual) {
  const SourceShape* shape = source(mapping.source.name);
  Mapping own = with_stored_target(mapping);
  if (shape == nullptr) return base_->review(own, dual);
  if (shape->is_grouped()) return review_group(*shape);
  if (!shape->is_written_back) return std::vector<Finding>{};
  own.source = shape->table;
  std::erase_if(own.forward, [&](const ColumnRule& rule) {
    return std::ranges::any_of(columns_of(*rule.expr), [&](const std::string& column) {
      return shape->table.column_index(column) < 0;
    });
  });
  own.source_key = positions_of(own.source.key, own.source);
  return base_->review(own, dual);
}

Result<std::vector<Finding>> ShapedStore::review_target(const Mapping& mapping, bool dual) {
  return base_->review_target(with_stored_target(mapping), dual);
}

}  // namespace whimbrel
