#include "stores/sqlite/inside.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "base/text.h"
#include "store/image.h"
#include "stores/sqlite/affinity.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/objects.h"
#include "stores/sqlite/schema.h"
#include "stores/sqlite/triggers.h"
#include "value/canonical.h"

namespace whimbrel::sqlite {

namespace {

// Longer ones are compared by their digests: three copies of a giant value are enough.
constexpr std::size_t compared_whole_max = std::size_t{64} << 10;
// Pages of the write-ahead log from which on it is brought into the database. Where nobody else
// writes, pages that are written again and again in between are brought there once.
constexpr int log_pages_max = 16000;
constexpr int log_pages_beside_writers = 500;  // by itself SQLite does it at 1000
constexpr const char* row_number_word = "row number";

// Whether such a column keeps this text as it is.
bool keeps_text(Affinity affinity, std::string_view text) {
  return affinity == Affinity::text || affinity == Affinity::blob || !could_be_number(text);
}

void append_long(std::string& out, Kind kind, std::string_view text, Affinity affinity) {
  const bool may_change = kind == Kind::text && !keeps_text(affinity, text);
  if (text.size() <= compared_whole_max || may_change) {
    append_canonical_text(out, kind, text);
  } else {
    append_digest(out, kind, text);
  }
}

std::string_view text_at(sqlite3_stmt* statement, int at) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, at));
  return {text, static_cast<std::size_t>(sqlite3_column_bytes(statement, at))};
}

// What a column of this affinity holds, in canonical form.
void append_stored(std::string& out, sqlite3_stmt* statement, int at, Affinity affinity) {
  switch (sqlite3_column_type(statement, at)) {
    case SQLITE_INTEGER:
      return append_canonical_integer(out, sqlite3_column_int64(statement, at));
    case SQLITE_FLOAT:
      return append_canonical_real(out, sqlite3_column_double(statement, at));
    case SQLITE_TEXT:
      return append_long(out, Kind::text, text_at(statement, at), affinity);
    case SQLITE_BLOB: {
      const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, at));
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, at));
      return append_long(out, Kind::bytes, data == nullptr ? "" : std::string_view(data, size),
                         affinity);
    }
    default:
      return append_canonical_null(out);
  }
}

// Whether such a column keeps what stands there as it is.
bool keeps(Affinity affinity, sqlite3_stmt* statement, int at) {
  switch (sqlite3_column_type(statement, at)) {
    case SQLITE_INTEGER:
      return affinity == Affinity::integer || affinity == Affinity::numeric ||
             affinity == Affinity::blob;
    case SQLITE_FLOAT:
      return affinity == Affinity::blob;
    case SQLITE_TEXT:
      return keeps_text(affinity, text_at(statement, at));
    default:
      return true;
  }
}

// What the column would make of an expression's value; false when it would not take it.
bool append_settled(std::string& out, sqlite3_stmt* statement, int at, Affinity affinity) {
  if (keeps(affinity, statement, at)) {
    append_stored(out, statement, at, affinity);
    return true;
  }
  const Result<Value> value = settle(affinity, column(statement, at));
  if (value.ok()) append_canonical(out, value.value());
  return value.ok();
}

class Inside final : public InsideCopier {
 public:
  Inside(ConnectionPtr connection, const Mapping& mapping, Claim claim, Clock& clock)
      : connection_(std::move(connection)),
        mapping_(mapping),
        claim_(std::move(claim)),
        clock_(clock) {}

  Status attach(const std::string& source_file) {
    const auto attached =
        connection_->run("ATTACH ?1 AS whimbrel_source", {Value::text(source_file)});
    if (!attached.ok()) return attached.error();
    is_attached_ = true;
    source_ = "whimbrel_source." + quote_name(mapping_.source.name);
    return {};
  }

  Status spell() {
    TRY(connection_->execute("PRAGMA cache_size = -8000"));
    ASSIGN_OR_RETURN(expressions_, spell_rules(mapping_.forward, "s."));
    ASSIGN_OR_RETURN(match_, match_key(mapping_.target, mapping_.forward, "t.", "s."));
    if (Result<std::string> back = match_key(mapping_.source, mapping_.backward, "s.", "t.");
        back.ok()) {
      match_back_ = std::move(back).value();
    }
    for (const ColumnRule& rule : mapping_.forward) {
      const auto at = static_cast<std::size_t>(rule.index);
      affinities_.push_back(affinity_of(mapping_.target.columns[at].declared));
    }
    return choose_order();
  }

  Result<InsideCopy> copy_after(const std::optional<Row>& after,
                                const ChunkLimits& limits) override {
    InsideCopy copy;
    if (!log_pages_) TRY(pace_the_log());
    ASSIGN_OR_RETURN(copy.others_write, connection_->somebody_else_has_written());
    // IMMEDIATE would hold the writers of an attached file as well.
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(*connection_, !is_attached_));
    const Milliseconds began = clock_.monotonic();
    TRY(record_chunk());
    ASSIGN_OR_RETURN(const Range range, source_range(after, limits));
    copy.range = range.told;
    ASSIGN_OR_RETURN(const bool guarded, has_guard(*connection_));
    if (guarded) TRY(connection_->execute(guard_on));
    ASSIGN_OR_RETURN(const bool inserted, insert(copy, range.keys));
    if (!inserted) return copy;
    TRY(count_read(copy, range.keys, limits));
    if (guarded) TRY(connection_->execute(guard_off));
    TRY(transaction.commit());
    copy.took = std::max(clock_.monotonic() - began, Milliseconds(1));
    const bool at_end = !copy.range.through;
    if (*log_pages_ > (copy.others_write || at_end ? log_pages_beside_writers : log_pages_max)) {
      empty_the_log(copy.others_write);
    }
    return copy;
  }

  Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                 const ChunkLimits& limits) override {
    ASSIGN_OR_RETURN(const Transaction transaction, Transaction::begin(*connection_, false));
    ASSIGN_OR_RETURN(const Range range, source_range(after, limits));
    Row parameters;
    const std::string where = range_sql(order_, "s.", range.keys, parameters);
    ChunkOfRows chunk{{}, range.told};
    ASSIGN_OR_RETURN(
        chunk.rows,
        connection_->query(fmt::format("SELECT {} FROM {} AS s WHERE {} ORDER BY {}",
                                       qualified_list(mapping_.source.column_names(), "s."),
                                       source_, where, qualified_list(order_, "s.")),
                           parameters));
    return chunk;
  }

  // https://www.sqlite.org/c3ref/c_fcntl_begin_atomic_write.html#sqlitefcntljournalpointer
  Status make_durable() override {
    if (!syncs_itself_) return {};
    sqlite3_file* log = nullptr;
    const int found = sqlite3_file_control(connection_->raw(), "main", SQLITE_FCNTL_JOURNAL_POINTER,
                                           static_cast<void*>(&log));
    if (found == SQLITE_OK && (log == nullptr || log->pMethods == nullptr)) return {};
    const int synced = found != SQLITE_OK ? found : log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
    if (synced == SQLITE_OK) return {};
    return Error{ErrorCode::unavailable, fmt::format("the write-ahead log could not be synced: {}",
                                                     sqlite3_errstr(synced))};
  }

  // By the numbers alone, which is about right for rows of any order.
  Result<std::optional<Row>> middle() override {
    const bool by_whole_key = order_.size() == 1 && has_rowid_alias(mapping_.source);
    if (!by_number_ && !by_whole_key) return std::optional<Row>();
    ASSIGN_OR_RETURN(const Transaction transaction, Transaction::begin(*connection_, false));
    ASSIGN_OR_RETURN(const std::int64_t numbering, schema_version());
    const std::string number = quote_name(order_.front());
    ASSIGN_OR_RETURN(const std::vector<Row> ends,
                     connection_->query(fmt::format("SELECT (SELECT min({0}) FROM {1}),"
                                                    " (SELECT max({0}) FROM {1})",
                                                    number, source_),
                                        {}));
    const auto* first = ends.at(0).at(0).get_if<std::int64_t>();
    const auto* last = ends.at(0).at(1).get_if<std::int64_t>();
    if (first == nullptr || last == nullptr || *first == *last) return std::optional<Row>();
    return std::optional(told(Value::integer(std::midpoint(*first, *last)), numbering));
  }

  Result<InsideComparison> compare_after(const std::optional<Row>& after,
                                         const std::optional<Row>& until,
                                         const ChunkLimits& limits) override {
    ASSIGN_OR_RETURN(const Transaction transaction, Transaction::begin(*connection_, false));
    if (!after) TRY(no_null_keys(mapping_.source, source_));
    InsideComparison comparison;
    ASSIGN_OR_RETURN(Range range, source_range(after, limits));
    if (until && !range.begins_anew) TRY(end_at(range, *until));
    if (range.begins_anew) {
      return Error{ErrorCode::unavailable, "the tables were rebuilt while they were compared",
                   "somebody has changed the schema, or said VACUUM; comparing begins anew"};
    }
    comparison.range = range.told;
    Row parameters;
    const std::string where = range_sql(order_, "s.", range.keys, parameters);
    const std::string sql = fmt::format(
        "SELECT {}, {}, t.{} IS NOT NULL, {} FROM {} AS s LEFT JOIN {} AS t ON {} WHERE {} ORDER "
        "BY {}",
        qualified_list(mapping_.source.key, "s."), join(expressions_, ", "),
        quote_name(mapping_.target.key.front()),
        qualified_list(written_columns(mapping_.forward), "t."), source_, target_, match_, where,
        qualified_list(order_, "s."));
    ASSIGN_OR_RETURN(sqlite3_stmt* const statement, prepared(sql, parameters));
    while (true) {
      ASSIGN_OR_RETURN(const bool more, connection_->step(statement));
      if (!more) break;
      compare_row(statement, comparison);
    }
    sqlite3_reset(statement);
    return comparison;
  }

  Result<std::optional<InsideStrangers>> strangers_after(const std::optional<Row>& after,
                                                         const ChunkLimits& limits) override {
    if (match_back_.empty()) return std::optional<InsideStrangers>();
    ASSIGN_OR_RETURN(const Transaction transaction, Transaction::begin(*connection_, false));
    if (!after) TRY(no_null_keys(mapping_.target, target_));
    InsideStrangers strangers;
    ASSIGN_OR_RETURN(const std::optional<Row> through,
                     key_at(*connection_, mapping_.target.key, target_, after, limits.rows_max));
    strangers.range = {after, through};
    Row parameters;
    const std::string where = range_sql(mapping_.target.key, "t.", strangers.range, parameters);
    const std::string sql = fmt::format(
        "SELECT {0} FROM {1} AS t WHERE {2} AND NOT EXISTS (SELECT 1 FROM {3} AS s WHERE {4})"
        " ORDER BY {0}",
        qualified_list(mapping_.target.key, "t."), target_, where, source_, match_back_);
    ASSIGN_OR_RETURN(strangers.keys, connection_->query(sql, parameters));
    return std::optional(std::move(strangers));
  }

 private:
  // A range of the source in the order in which it is gone through, and as the engine is told it.
  struct Range {
    KeyRange keys;
    KeyRange told;
    bool begins_anew = false;  // the position was one of another numbering
  };

  // Where the target has indexes besides its key, rows come in the order in which they lie in the
  // file: by their numbers, where they have any. That is also the order in which they were made, so
  // that indexes over times grow at their ends instead of everywhere. Without, the index of the key
  // is the one to be spared, and rows come by the key.
  Status choose_order() {
    order_ = mapping_.source.key;
    if (has_rowid_alias(mapping_.source)) return {};
    ASSIGN_OR_RETURN(
        const std::vector<Row> indexes,
        connection_->query("SELECT 1 FROM pragma_index_list(?1) WHERE origin <> 'pk' LIMIT 1",
                           {Value::text(mapping_.target.name)}));
    if (indexes.empty()) return {};
    for (const char* name : {"rowid", "_rowid_", "oid"}) {
      if (mapping_.source.column_index(name) >= 0) continue;
      // Without quotes: what is no column in quotes would be taken for a text.
      if (!connection_->prepare(fmt::format("SELECT {} FROM {}", name, source_)).ok()) return {};
      order_ = {name};
      by_number_ = true;
      return {};
    }
    return {};
  }

  // VACUUM numbers rows anew, and changes this number as any change of the schema does.
  // https://www.sqlite.org/pragma.html#pragma_schema_version
  Result<std::int64_t> schema_version() {
    const char* place = is_attached_ ? "whimbrel_source" : "main";
    ASSIGN_OR_RETURN(const std::vector<Row> rows,
                     connection_->query(fmt::format("PRAGMA {}.schema_version", place), {}));
    return rows.at(0).at(0).get<std::int64_t>();
  }

  // A position by number: a word, the number, and the numbering that it belongs to.
  static std::optional<Row> number_in(const Row& position, std::int64_t numbering) {
    const bool is_one = position.size() == 3 && position[0].kind() == Kind::text &&
                        position[0].get<std::string>() == row_number_word &&
                        position[2].kind() == Kind::int64 &&
                        position[2].get<std::int64_t>() == numbering;
    return is_one ? std::optional(Row{position[1]}) : std::nullopt;
  }

  Result<Range> source_range(const std::optional<Row>& after, const ChunkLimits& limits) {
    Range range;
    range.told.after = range.keys.after = after;
    std::int64_t numbering = 0;
    if (by_number_) {
      ASSIGN_OR_RETURN(numbering, schema_version());
      if (after) range.keys.after = number_in(*after, numbering);
      range.begins_anew = after.has_value() && !range.keys.after;
    }
    ASSIGN_OR_RETURN(range.keys.through,
                     key_at(*connection_, order_, source_, range.keys.after, limits.rows_max));
    if (range.keys.through) {
      range.told.through =
          by_number_ ? told(range.keys.through->front(), numbering) : *range.keys.through;
    }
    return range;
  }

  Row told(const Value& number, std::int64_t numbering) const {
    if (!by_number_) return Row{number};
    return Row{Value::text(row_number_word), number, Value::integer(numbering)};
  }

  // Numbers are whole, so they compare as such.
  Status end_at(Range& range, const Row& until) {
    std::optional<Row> end = until;
    if (by_number_) {
      ASSIGN_OR_RETURN(const std::int64_t numbering, schema_version());
      end = number_in(until, numbering);
    }
    range.begins_anew = !end.has_value();
    const auto number = [](const Row& row) { return row.front().get<std::int64_t>(); };
    const bool reaches_it =
        end && (!range.keys.through || number(*range.keys.through) >= number(*end));
    if (reaches_it) {
      range.keys.through = end;
      range.told.through.reset();
    }
    return {};
  }

  // SQLite takes nulls into a primary key that does not say NOT NULL. Chunks never come to them.
  Status no_null_keys(const TableSchema& table, const std::string& place) {
    std::vector<std::string> tests;
    for (const std::string& column : table.key) {
      const auto at = static_cast<std::size_t>(table.column_index(column));
      if (table.columns[at].nullable) tests.push_back(quote_name(column) + " IS NULL");
    }
    if (tests.empty()) return {};
    ASSIGN_OR_RETURN(
        const std::vector<Row> rows,
        connection_->query(
            fmt::format("SELECT count(*) FROM {} WHERE {}", place, join(tests, " OR ")), {}));
    const std::int64_t count = rows.at(0).at(0).get<std::int64_t>();
    if (count == 0) return {};
    return Error{ErrorCode::data_mismatch,
                 fmt::format("{} rows of {} have a null in their key: they cannot be told apart, "
                             "nor found on the other side",
                             with_thousands(count), table.name),
                 "give them a key, or delete them; a key that is NOT NULL keeps them out"};
  }

  // Compiling a statement that fires triggers takes milliseconds: it is done once for each shape.
  Result<sqlite3_stmt*> prepared(const std::string& sql, const Row& parameters) {
    Statement& statement = statements_[sql];
    if (statement == nullptr) {
      ASSIGN_OR_RETURN(statement, connection_->prepare(sql));
    }
    sqlite3_reset(statement.get());
    int at = 0;
    for (const Value& value : parameters) TRY(bind(statement.get(), ++at, value));
    return statement.get();
  }

  // Else the next commit of somebody else may have to do it. Most is done while others may write;
  // only the rest that they have added meanwhile keeps them out, so that the log begins anew.
  void empty_the_log(bool others_write) {
    sqlite3* const raw = connection_->raw();
    sqlite3_wal_checkpoint_v2(raw, "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    if (others_write) {
      sqlite3_busy_timeout(raw, 0);
      sqlite3_wal_checkpoint_v2(raw, "main", SQLITE_CHECKPOINT_RESTART, nullptr, nullptr);
      sqlite3_busy_timeout(raw, busy_timeout_ms);
    }
    *log_pages_ = 0;
  }

  // A commit waits for no disk; whoever copies says when it has to. A rollback journal is another
  // matter: it has to be there before the database is touched.
  Status pace_the_log() {
    // Rows go all over the target's indexes. Only one copies at a time; several compare.
    TRY(connection_->execute("PRAGMA cache_size = -48000"));
    ASSIGN_OR_RETURN(const std::vector<Row> mode,
                     connection_->query("PRAGMA main.journal_mode", {}));
    const auto* name = mode.at(0).at(0).get_if<std::string>();
    log_pages_ = std::make_unique<int>(0);
    syncs_itself_ = name != nullptr && *name == "wal";
    if (!syncs_itself_) return {};
    sqlite3_wal_hook(
        connection_->raw(),
        [](void* pages, sqlite3*, const char*, int now) {
          *static_cast<int*>(pages) = now;
          return SQLITE_OK;
        },
        log_pages_.get());
    return connection_->execute("PRAGMA main.synchronous = NORMAL");
  }

  // False when a row stands in the way.
  Result<bool> insert(InsideCopy& copy, const KeyRange& keys) {
    Row parameters;
    std::string where = range_sql(order_, "s.", keys, parameters);
    for (const std::string& column : mapping_.source.key) {  // see no_null_keys()
      const auto at = static_cast<std::size_t>(mapping_.source.column_index(column));
      if (mapping_.source.columns[at].nullable)
        where += " AND s." + quote_name(column) + " NOTNULL";
    }
    const std::string sql = fmt::format(
        "INSERT INTO {} ({}) SELECT {} FROM {} AS s WHERE {} ORDER BY {} ON CONFLICT ({}) DO "
        "NOTHING",
        target_, name_list(written_columns(mapping_.forward)), join(expressions_, ", "), source_,
        where, qualified_list(order_, "s."), name_list(mapping_.target.key));
    ASSIGN_OR_RETURN(sqlite3_stmt* const statement, prepared(sql, parameters));
    const Result<bool> stepped = connection_->step(statement);
    if (!stepped.ok()) {
      copy.blocked = sqlite3_extended_errcode(connection_->raw()) == SQLITE_CONSTRAINT_UNIQUE;
      sqlite3_reset(statement);
      if (!copy.blocked) return stepped.error();
      return false;
    }
    sqlite3_reset(statement);
    copy.written = sqlite3_changes64(connection_->raw());
    return true;
  }

  // Where the chunk has an end, it is that many rows away from its beginning.
  Status count_read(InsideCopy& copy, const KeyRange& keys, const ChunkLimits& limits) {
    copy.read = limits.rows_max;
    if (keys.through) return {};
    Row parameters;
    const std::string where = range_sql(order_, "s.", keys, parameters);
    ASSIGN_OR_RETURN(
        const std::vector<Row> counted,
        connection_->query(fmt::format("SELECT count(*) FROM {} AS s WHERE {}", source_, where),
                           parameters));
    copy.read = counted.at(0).at(0).get<std::int64_t>();
    return {};
  }

  // One row of the join: key, expressions, whether there is a target row, target columns.
  void compare_row(sqlite3_stmt* statement, InsideComparison& comparison) {
    const int keys = static_cast<int>(mapping_.source.key.size());
    const int columns = static_cast<int>(mapping_.forward.size());
    const bool there = sqlite3_column_int(statement, keys + columns) != 0;
    expected_.clear();
    found_.clear();
    bool settled = true;
    for (int i = 0; i < columns; ++i) {
      const Affinity affinity = affinities_[static_cast<std::size_t>(i)];
      settled = append_settled(expected_, statement, keys + i, affinity) && settled;
      if (there) append_stored(found_, statement, keys + columns + 1 + i, affinity);
    }
    comparison.expected.add(expected_);
    if (there) comparison.found.add(found_);
    if (there && settled && expected_ == found_) return;
    ++comparison.differing_rows;
    comparison.differing.push_back(row_of(statement, 0, keys));
  }

  // The chunk says in the same transaction whose it is: two runners on two journals are noticed.
  Status record_chunk() {
    if (claim_.migration.empty()) return {};
    ASSIGN_OR_RETURN(
        const std::int64_t rows,
        connection_->run("UPDATE whimbrel_claims SET chunks = chunks + 1"
                         " WHERE migration = ?1 AND journal = ?2",
                         {Value::text(claim_.migration), Value::text(claim_.journal)}));
    if (rows == 1) return {};
    return Error{ErrorCode::conflict, "another journal drives this migration in this database",
                 "find the other runner; only one may go on"};
  }

  std::unique_ptr<int> log_pages_;  // as of the last commit; outlives the connection
  bool syncs_itself_ = false;
  ConnectionPtr connection_;
  const Mapping& mapping_;
  Claim claim_;
  Clock& clock_;
  bool is_attached_ = false;
  std::string source_ = "main." + quote_name(mapping_.source.name);
  std::string target_ = "main." + quote_name(mapping_.target.name);
  std::map<std::string, Statement> statements_;
  std::vector<std::string> order_;  // of the source
  bool by_number_ = false;
  std::vector<std::string> expressions_;
  std::string match_;
  std::string match_back_;  // "" where the way back cannot be spelled
  std::vector<Affinity> affinities_;
  std::string expected_;
  std::string found_;
};

}  // namespace

Result<std::unique_ptr<InsideCopier>> make_inside(ConnectionPtr connection,
                                                  const std::string& source_file,
                                                  const Mapping& mapping, Claim claim,
                                                  Clock& clock) {
  auto inside = std::make_unique<Inside>(std::move(connection), mapping, std::move(claim), clock);
  if (!source_file.empty()) TRY(inside->attach(source_file));
  TRY(inside->spell());
  return std::unique_ptr<InsideCopier>(std::move(inside));
}

}  // namespace whimbrel::sqlite
