#include "stores/postgresql/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "stores/postgresql/copying.h"
#include "stores/postgresql/spellings.h"

namespace whimbrel::postgresql {

namespace {

// The values of some columns of many rows, an array of texts a column.
Result<Cells> arrays_of(std::span<const Row> rows, std::size_t columns) {
  std::vector<Cells> cells(columns);
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < columns; ++i) {
      ASSIGN_OR_RETURN(Cell cell, cell_of(row[i]));
      cells[i].push_back(std::move(cell));
    }
  }
  Cells arrays;
  for (const Cells& one : cells) arrays.emplace_back(array_of(one));
  return arrays;
}

// `unnest($1::text[], $2::text[]) WITH ORDINALITY given("v0", "v1", "at")`
std::string given(std::size_t columns) {
  std::vector<std::string> arrays;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < columns; ++i) {
    arrays.push_back(fmt::format("${}::text[]", i + 1));
    names.push_back(fmt::format("v{}", i));
  }
  return fmt::format("unnest({}) WITH ORDINALITY given({}, at)", join(arrays, ", "),
                     join(names, ", "));
}

// `t."a" = given.v0::uuid AND …` for these columns, which are the first of the given ones.
std::string matches(const TableSchema& table, const std::vector<std::string>& columns,
                    const std::vector<std::size_t>& at) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    parts.push_back(fmt::format("t.{} = given.v{}::{}", quote_name(columns[i]), at[i],
                                column_of(table, columns[i]).declared));
  }
  return join(parts, " AND ");
}
std::vector<std::size_t> first(std::size_t count) {
  std::vector<std::size_t> all(count);
  for (std::size_t i = 0; i < count; ++i) all[i] = i;
  return all;
}

std::string qualified(const std::vector<std::string>& columns, const std::string& qualifier) {
  std::vector<std::string> all;
  for (const std::string& column : columns) all.push_back(qualifier + quote_name(column));
  return join(all, ", ");
}

// One entry a key, in the same order; unset where there is no such row. `lock`: what stands behind
// the query.
Result<std::vector<std::optional<Row>>> rows_with_keys(Connection& connection,
                                                       const std::string& place,
                                                       const TableSchema& table,
                                                       std::span<const Row> keys,
                                                       const std::string& lock) {
  // For more keys than that the server may rather read the whole table, or an index from its
  // beginning.
  constexpr std::size_t keys_max = 1'000;
  std::vector<std::optional<Row>> found(keys.size());
  const std::vector<Type> types = types_of(table);
  const std::string sql = fmt::format(
      "SELECT given.at, {} FROM {} JOIN {} t ON {}{}", qualified(table.column_names(), "t."),
      given(table.key.size()), place, matches(table, table.key, first(table.key.size())), lock);
  for (std::size_t from = 0; from < keys.size(); from += keys_max) {
    const std::span<const Row> part = keys.subspan(from, std::min(keys_max, keys.size() - from));
    ASSIGN_OR_RETURN(const Cells arrays, arrays_of(part, table.key.size()));
    ASSIGN_OR_RETURN(const auto rows, connection.query(sql, arrays));
    for (const Cells& row : rows) {
      found.at(from + static_cast<std::size_t>(std::stoll(*row[0]) - 1)) =
          row_of(types, std::span(row).subspan(1));
    }
  }
  return found;
}

class Reader final : public SnapshotReader {
 public:
  // `of_one_moment`: a session whose transaction has begun; else one is taken for each call.
  Reader(std::shared_ptr<Sessions> sessions, const TableSchema& table,
         std::unique_ptr<Connection> of_one_moment)
      : sessions_(std::move(sessions)),
        of_one_moment_(std::move(of_one_moment)),
        table_(table),
        place_(sessions_, table.name),
        types_(types_of(table)) {
    key_ = positions_of(table_.key, table_);
  }

  // How many rows are asked for at once follows from how large they have been.
  Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                 const ChunkLimits& limits) override {
    ASSIGN_OR_RETURN(const Session connection, session());
    ASSIGN_OR_RETURN(const std::string place, place_.sql(*connection));
    ChunkOfRows chunk;
    chunk.range.after = after;
    std::int64_t bytes = 0;
    std::optional<Row> from = after;
    while (true) {
      const std::int64_t room = std::max<std::int64_t>(limits.bytes_max - bytes, 1);
      const std::int64_t fits = row_bytes_ > 0 ? room / row_bytes_ + 1 : first_rows;
      const std::int64_t wanted =
          std::max<std::int64_t>(std::min(limits.rows_max - std::ssize(chunk.rows), fits), 0) + 1;
      Cells parameters;
      std::string where = "true";
      if (from) {
        ASSIGN_OR_RETURN(where, after_key(table_, "", *from, parameters));
      }
      ASSIGN_OR_RETURN(
          const auto rows,
          connection->query(fmt::format("SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT {}",
                                        name_list(table_.column_names()), place, where,
                                        name_list(table_.key), wanted),
                            parameters));
      for (const Cells& cells : rows) {
        const bool full = std::ssize(chunk.rows) >= limits.rows_max ||
                          (bytes >= limits.bytes_max && !chunk.rows.empty());
        if (full) {
          chunk.range.through = key_of(chunk.rows.back(), key_);
          return chunk;
        }
        chunk.rows.push_back(row_of(types_, cells));
        bytes += size_of(chunk.rows.back());
      }
      if (std::ssize(rows) < wanted) return chunk;
      row_bytes_ = std::max<std::int64_t>(bytes / std::ssize(chunk.rows), 1);
      from = key_of(chunk.rows.back(), key_);
    }
  }

  Result<std::vector<std::optional<Row>>> read_keys(std::span<const Row> keys) override {
    ASSIGN_OR_RETURN(const Session connection, session());
    ASSIGN_OR_RETURN(const std::string place, place_.sql(*connection));
    return rows_with_keys(*connection, place, table_, keys, "");
  }

  Result<std::int64_t> count() override {
    ASSIGN_OR_RETURN(const Session connection, session());
    ASSIGN_OR_RETURN(const std::string place, place_.sql(*connection));
    ASSIGN_OR_RETURN(const auto rows, connection->query("SELECT count(*) FROM " + place));
    return std::int64_t{std::stoll(*rows.at(0).at(0))};
  }

 private:
  // Given back where it was taken.
  class Session {
   public:
    explicit Session(Connection& own) : connection_(&own) {}
    explicit Session(ConnectionPtr taken) : taken_(std::move(taken)), connection_(taken_.get()) {}
    Connection& operator*() const { return *connection_; }
    Connection* operator->() const { return connection_; }

   private:
    ConnectionPtr taken_;
    Connection* connection_;
  };
  Result<Session> session() {
    if (of_one_moment_ != nullptr) return Session(*of_one_moment_);
    ASSIGN_OR_RETURN(ConnectionPtr taken, sessions_->take());
    return Session(std::move(taken));
  }

  static constexpr std::int64_t first_rows = 100;
  std::shared_ptr<Sessions> sessions_;
  std::unique_ptr<Connection> of_one_moment_;
  TableSchema table_;
  Located place_;
  std::vector<Type> types_;
  std::vector<int> key_;
  std::int64_t row_bytes_ = 0;
};

class Writer final : public BatchWriter {
 public:
  Writer(std::shared_ptr<Sessions> sessions, const TableSchema& table,
         std::vector<std::string> columns, std::unique_ptr<Connection> first)
      : sessions_(std::move(sessions)),
        table_(table),
        place_(sessions_, table.name),
        columns_(std::move(columns)),
        first_(std::move(first)) {
    at_ = positions_of(columns_, table_);
  }

  Result<Applied> apply(std::span<const Change> changes) override {
    if (const std::unique_ptr<Connection> first = std::move(first_)) {
      return apply_in(*first, Transaction::of(*first), changes);
    }
    ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
    were_locked_ = false;
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(*connection));
    Result<Applied> applied = apply_in(*connection, std::move(transaction), changes);
    if (applied.ok() || !were_locked_) return applied;
    // Others who share a row, each for a moment and one after the other, let nobody in who wants it
    // for himself. Who waits for the table is next.
    ASSIGN_OR_RETURN(Transaction alone, Transaction::begin(*connection));
    ASSIGN_OR_RETURN(const std::string place, place_.sql(*connection));
    TRY(connection->execute(fmt::format("LOCK TABLE {} IN EXCLUSIVE MODE", place)));
    return apply_in(*connection, std::move(alone), changes);
  }

 private:
  struct Last {
    const Change* first = nullptr;
    const Change* change = nullptr;
  };
  using LastChanges = std::map<Row, Last, RowLess>;
  struct Batch {
    std::vector<Row> gone;
    std::vector<Row> rows;   // of the written columns
    std::vector<Row> keys;   // of these
    std::vector<Row> there;  // those of these keys that had a row
  };

  Result<Applied> apply_in(Connection& connection, Transaction transaction,
                           std::span<const Change> changes) {
    ASSIGN_OR_RETURN(const std::string place, place_.sql(connection));
    ASSIGN_OR_RETURN(own_, write_as_own(connection, *sessions_, place));
    Applied applied;
    // The same key may come again, deleted and made anew: the first knows what has to be there.
    LastChanges last;
    for (const bool deletes : {true, false}) {
      for (const Change& change : changes) {
        if (change.row.has_value() == deletes) continue;
        const auto [known, is_first] = last.emplace(change.key, Last{&change, &change});
        if (!is_first) known->second.change = &change;
      }
    }
    ASSIGN_OR_RETURN(const Batch batch, look(connection, place, last, applied));
    TRY(erase(connection, place, batch.gone));
    ASSIGN_OR_RETURN(const bool done, put(connection, place, batch, last, applied));
    if (!done) {
      Applied blocked;
      blocked.blocked_by = std::move(applied.blocked_by);
      return blocked;  // and everything is rolled back
    }
    ASSIGN_OR_RETURN(const NewSpellings spelled, write_spellings(connection, *sessions_));
    TRY(transaction.commit());
    spellings_are_kept(*sessions_, spelled);
    return applied;
  }

  // What has to be done, with the rows locked that are there.
  Result<Batch> look(Connection& connection, const std::string& place, const LastChanges& last,
                     Applied& applied) {
    Batch batch;
    std::vector<Row> keys;
    for (const auto& [key, change] : last) keys.push_back(key);
    const Result<std::vector<std::optional<Row>>> locked =
        rows_with_keys(connection, place, table_, keys, " FOR UPDATE OF t");
    were_locked_ = !locked.ok() && connection.sqlstate() == "55P03";
    if (!locked.ok()) return locked.error();
    const std::vector<std::optional<Row>>& found = locked.value();
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto& [first, now] = last.at(keys[i]);
      const Change& change = *now;
      const std::optional<Row>& before = found[i];
      if (first->only_if) {
        const std::optional<Row>& wanted = *first->only_if;
        if (before.has_value() != wanted.has_value() || (before && !same(*before, *wanted))) {
          ++applied.refused;
          continue;
        }
      }
      // Columns that are not written must not stay as they were.
      const bool is_made_anew = before && change.row && !first->row;
      if (is_so(before, change) && !is_made_anew) {
        ++applied.skipped;
      } else if (change.row) {
        ++applied.written;
        batch.rows.push_back(*change.row);
        batch.keys.push_back(keys[i]);
        if (is_made_anew) batch.gone.push_back(keys[i]);
        if (before && !is_made_anew) batch.there.push_back(keys[i]);
      } else {
        ++applied.written;
        batch.gone.push_back(keys[i]);
      }
    }
    return batch;
  }

  bool is_so(const std::optional<Row>& before, const Change& change) const {
    if (!before || !change.row) return !before && !change.row;
    for (std::size_t i = 0; i < at_.size(); ++i) {
      if (!same((*before)[static_cast<std::size_t>(at_[i])], (*change.row)[i])) return false;
    }
    return true;
  }

  Status erase(Connection& connection, const std::string& place, const std::vector<Row>& keys) {
    if (keys.empty()) return {};
    ASSIGN_OR_RETURN(const Cells arrays, arrays_of(keys, table_.key.size()));
    const auto erased = connection.run(
        fmt::format("DELETE FROM {} t USING {} WHERE {}", place, given(table_.key.size()),
                    matches(table_, table_.key, first(table_.key.size()))),
        arrays);
    return erased.ok() ? Status() : Status(erased.error());
  }

  // False when a row that is not among the changes holds a value that has to be unique.
  Result<bool> put(Connection& connection, const std::string& place, const Batch& batch,
                   const LastChanges& last, Applied& applied) {
    if (batch.rows.empty()) return true;
    TRY(connection.execute("SAVEPOINT whimbrel_put"));
    // All of them give way first: a value may move from one row to another, and a column that is
    // always given by the database is never updated.
    ASSIGN_OR_RETURN(const bool gives_way, can_give_way(connection, place));
    if (gives_way) TRY(erase(connection, place, batch.there));
    Status put = put_rows(connection, place, batch, gives_way);
    // Somebody may have made one since we have looked.
    if (gives_way && !put.ok() && is_taken(connection)) {
      TRY(connection.execute("ROLLBACK TO SAVEPOINT whimbrel_put"));
      TRY(erase(connection, place, batch.keys));
      put = put_rows(connection, place, batch, gives_way);
    }
    if (!put.ok() && !gives_way && needs_what_is_there(connection)) {
      TRY(connection.execute("ROLLBACK TO SAVEPOINT whimbrel_put"));
      put = update_then_insert(connection, place, batch);
    }
    if (put.ok() && own_.has_to_be_looked_through) {
      ASSIGN_OR_RETURN(applied.blocked_by, blockers(connection, place, batch, last));
      return applied.blocked_by.empty();
    }
    if (put.ok()) return true;
    const std::string state = connection.sqlstate();
    // Only what is wrong with values is a row's own fault.
    const bool is_of_values = connection.refuses_a_value() || state == "44000";
    if (is_taken(connection)) {
      TRY(connection.execute("ROLLBACK TO SAVEPOINT whimbrel_put"));
      ASSIGN_OR_RETURN(applied.blocked_by, blockers(connection, place, batch, last));
      if (!applied.blocked_by.empty()) return false;
    }
    Error error = std::move(put).error();
    const bool is_of_order = state == "23503" && !own_.nothing_fires;
    if (error.code == ErrorCode::refused && (!is_of_values || is_of_order)) {
      error.code = ErrorCode::conflict;
    }
    return with_missing_right(std::move(error), connection, *sessions_)
        .within("writing " + table_.name);
  }

  // Whether a row holds what an index keeps apart.
  static bool is_taken(const Connection& connection) {
    return connection.sqlstate() == "23505" || connection.sqlstate() == "23P01";
  }

  Status put_rows(Connection& connection, const std::string& place, const Batch& batch,
                  bool gives_way) {
    if (gives_way) {
      return copy_in(connection, fmt::format("COPY {} ({}) FROM STDIN", place, name_list(columns_)),
                     batch.rows);
    }
    ASSIGN_OR_RETURN(const Cells arrays, arrays_of(batch.rows, columns_.size()));
    const Result<std::int64_t> put = connection.run(upsert_sql(place), arrays);
    return put.ok() ? Status() : Status(put.error());
  }

  // Whether a row can be deleted and inserted again: nothing of it is lost, nothing goes with it.
  // What refers to the table is asked now: a switch has changed it since the plan was read.
  Result<bool> can_give_way(Connection& connection, const std::string& place) const {
    const bool is_whole = std::ranges::all_of(table_.columns, [&](const ColumnSchema& column) {
      return column.generated || std::ranges::count(columns_, column.name) > 0;
    });
    if (!is_whole || own_.nothing_fires) return is_whole;
    ASSIGN_OR_RETURN(
        const auto rows,
        connection.query("SELECT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' "
                         "AND confrelid = $1::text::regclass)",
                         {place}));
    return rows.at(0).at(0) == "f";
  }

  // What one index keeps apart, as the catalogue spells it.
  struct Apart {
    Cells expressions;
    Cells operators;
    Cell only_where;
    bool nulls_are_equal = false;
  };
  // Unique indexes and exclusion constraints, over columns, expressions, and some rows only.
  Result<std::vector<Apart>> kept_apart(Connection& connection, const std::string& place) const {
    ASSIGN_OR_RETURN(
        const auto rows,
        connection.query(
            "SELECT (SELECT array_agg(pg_get_indexdef(i.indexrelid, n, false) ORDER BY n) FROM "
            "generate_series(1, i.indnkeyatts) n), (SELECT array_agg(format('OPERATOR(%I.%s)', "
            "s.nspname, o.oprname) ORDER BY k.at) FROM "
            "unnest(coalesce(x.conexclop, (SELECT array_agg(m.amopopr ORDER BY c.at) FROM "
            "unnest(i.indclass[0:i.indnkeyatts - 1]) WITH ORDINALITY c(opclass, at) JOIN "
            "pg_opclass "
            "f ON f.oid = c.opclass JOIN pg_amop m ON m.amopfamily = f.opcfamily AND "
            "m.amopstrategy = 3 AND m.amoplefttype = f.opcintype AND m.amoprighttype = "
            "f.opcintype))) WITH ORDINALITY k(operator, at) JOIN pg_operator o ON o.oid = "
            "k.operator JOIN pg_namespace s ON s.oid = o.oprnamespace), "
            "pg_get_expr(i.indpred, i.indrelid), coalesce((to_jsonb(i) ->> "
            "'indnullsnotdistinct')::boolean, false) FROM pg_index i LEFT JOIN pg_constraint x ON "
            "x.conindid = i.indexrelid AND x.contype = 'x' WHERE i.indrelid = $1::text::regclass "
            "AND (i.indisunique OR i.indisexclusion) AND NOT i.indisprimary AND i.indisvalid",
            {place}));
    std::vector<Apart> all;
    for (const Cells& row : rows) {
      all.push_back({cells_of(*row[0]), cells_of(*row[1]), row[2], row[3] == "t"});
    }
    return all;
  }

  // Rows that are not among the changes and hold what a row of these is to have.
  Result<std::vector<Row>> blockers(Connection& connection, const std::string& place,
                                    const Batch& batch, const LastChanges& last) {
    ASSIGN_OR_RETURN(const Cells arrays, arrays_of(batch.rows, columns_.size()));
    std::vector<std::string> values;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      values.push_back(fmt::format("given.v{}::{} AS {}", i,
                                   column_of(table_, columns_[i]).declared,
                                   quote_name(columns_[i])));
    }
    // What the table computes of them may be kept apart as well.
    ASSIGN_OR_RETURN(
        const auto computed,
        connection.query("SELECT pg_get_expr(d.adbin, d.adrelid) || ' AS ' || "
                         "quote_ident(a.attname) FROM pg_attribute a JOIN pg_attrdef d ON "
                         "d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = "
                         "$1::text::regclass AND a.attgenerated <> ''",
                         {place}));
    std::string more;
    for (const Cells& column : computed) more += ", " + *column[0];
    const std::string rows_to_be = fmt::format("SELECT w.*{} FROM (SELECT {} FROM {}) w", more,
                                               join(values, ", "), given(columns_.size()));
    std::set<Row, RowLess> found;
    ASSIGN_OR_RETURN(const std::vector<Apart> indexes, kept_apart(connection, place));
    for (const Apart& index : indexes) {
      std::vector<std::string> names;
      std::vector<std::string> on;
      for (std::size_t i = 0; i < index.expressions.size(); ++i) {
        const std::string name = fmt::format("whimbrel_{}", i);
        names.push_back(*index.expressions[i] + " AS " + name);
        on.push_back(
            fmt::format("a.{0} {1} b.{0}", name,
                        index.nulls_are_equal ? "IS NOT DISTINCT FROM" : *index.operators[i]));
      }
      const std::string where = index.only_where ? " WHERE " + *index.only_where : "";
      // Where the index is over a column that is not among the written ones, it cannot be asked.
      TRY(connection.execute("SAVEPOINT whimbrel_ask"));
      const auto rows = connection.query(
          fmt::format("SELECT {} FROM (SELECT {} FROM ({}) g{}) b JOIN (SELECT {}, {} FROM {}{}) a "
                      "ON {}",
                      qualified(table_.key, "a."), join(names, ", "), rows_to_be, where,
                      name_list(table_.key), join(names, ", "), place, where, join(on, " AND ")),
          arrays);
      if (!rows.ok() && rows.error().code == ErrorCode::unavailable) return rows.error();
      TRY(connection.execute("ROLLBACK TO SAVEPOINT whimbrel_ask"));
      if (!rows.ok()) continue;
      for (const Cells& cells : rows.value()) {
        Row key = row_of(key_types_of(table_), cells);
        if (last.contains(key)) continue;
        const bool is_of_batch =
            std::ranges::any_of(batch.keys, [&](const Row& one) { return same(one, key); });
        if (!is_of_batch) found.insert(std::move(key));
      }
    }
    return std::vector<Row>(found.begin(), found.end());
  }

  std::string insert_sql(const std::string& place) const {
    std::vector<std::string> values;
    for (std::size_t i = 0; i < columns_.size(); ++i) values.push_back(given_value(i));
    return fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}", place,
                       name_list(columns_), join(values, ", "), given(columns_.size()));
  }
  std::string given_value(std::size_t i) const {
    return fmt::format("given.v{}::{}", i, column_of(table_, columns_[i]).declared);
  }

  std::string upsert_sql(const std::string& place) const {
    std::vector<std::string> sets;
    for (const std::string& column : columns_) {
      if (table_.is_key(column)) continue;
      sets.push_back(fmt::format("{0} = excluded.{0}", quote_name(column)));
    }
    return insert_sql(place) +
           fmt::format(" ON CONFLICT ({}) DO {}", name_list(table_.key),
                       sets.empty() ? "NOTHING" : "UPDATE SET " + join(sets, ", "));
  }

  // An insert has to be right before it is looked whether the row is there; one that is there has
  // values in the columns that nobody writes here, and may be right where the insert is not.
  bool needs_what_is_there(const Connection& connection) const {
    const bool is_part = std::ranges::any_of(table_.columns, [&](const ColumnSchema& column) {
      return !column.generated && std::ranges::count(columns_, column.name) == 0;
    });
    return is_part && (connection.sqlstate() == "23502" || connection.sqlstate() == "23514");
  }

  Status update_then_insert(Connection& connection, const std::string& place, const Batch& batch) {
    std::vector<std::size_t> at;
    for (const std::string& key : table_.key) {
      at.push_back(static_cast<std::size_t>(std::ranges::find(columns_, key) - columns_.begin()));
    }
    const std::string same_key = matches(table_, table_.key, at);
    std::vector<std::string> sets;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (table_.is_key(columns_[i])) continue;
      sets.push_back(quote_name(columns_[i]) + " = " + given_value(i));
    }
    ASSIGN_OR_RETURN(const Cells arrays, arrays_of(batch.rows, columns_.size()));
    if (!sets.empty()) {
      TRY(connection.run(fmt::format("UPDATE {} t SET {} FROM {} WHERE {}", place, join(sets, ", "),
                                     given(columns_.size()), same_key),
                         arrays));
    }
    const std::string not_there =
        fmt::format(" WHERE NOT EXISTS (SELECT FROM {} t WHERE {})", place, same_key);
    const Result<std::int64_t> put = connection.run(insert_sql(place) + not_there, arrays);
    return put.ok() ? Status() : Status(put.error());
  }

  std::shared_ptr<Sessions> sessions_;
  TableSchema table_;
  Located place_;
  std::vector<std::string> columns_;
  std::vector<int> at_;
  std::unique_ptr<Connection> first_;
  OwnWrites own_;
  bool were_locked_ = false;  // rows that the last batch wanted
};

// What another row holds is told by the statement that wants it: at the end of the transaction
// nothing could be done about it.
Status keep_apart_at_once(Connection& connection, const std::string& place) {
  ASSIGN_OR_RETURN(
      const auto deferred,
      connection.query("SELECT string_agg(format('%I.%I', n.nspname, c.conname), ', ') FROM "
                       "pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE "
                       "c.conrelid = $1::text::regclass AND c.contype IN ('p', 'u', 'x') AND "
                       "c.condeferred",
                       {place}));
  const Cell& names = deferred.at(0).at(0);
  return names ? connection.execute("SET CONSTRAINTS " + *names + " IMMEDIATE") : Status();
}

}  // namespace

Result<OwnWrites> write_as_own(Connection& connection, Sessions& sessions,
                               const std::string& place) {
  TRY(connection.execute(mark_own));
  OwnWrites own;
  if (!sessions.may_write_as_replica()) {
    TRY(keep_apart_at_once(connection, place));
    return own;
  }
  ASSIGN_OR_RETURN(
      const auto set,
      connection.query("SELECT set_config('session_replication_role', 'replica', true), EXISTS "
                       "(SELECT FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype "
                       "IN ('p', 'u', 'x') AND condeferrable)",
                       {place}));
  own.nothing_fires = true;
  own.has_to_be_looked_through = set.at(0).at(1) == "t";
  return own;
}

Error with_missing_right(Error error, const Connection& connection, Sessions& sessions) {
  if (connection.sqlstate() == "23503" && !sessions.may_write_as_replica()) {
    error.hint =
        "rows come in another order than foreign keys want; a role that may turn them off for "
        "itself can write them: GRANT SET ON PARAMETER session_replication_role TO it (from "
        "PostgreSQL 15), or a superuser";
  }
  return error;
}

Result<std::string> Located::sql(Connection& connection) {
  const std::uint64_t now = sessions_->generation();
  if (sql_.empty() || generation_ != now) {
    ASSIGN_OR_RETURN(const Place place, place_of(connection, name_));
    sql_ = place.sql();
    generation_ = now;
  }
  return sql_;
}

const ColumnSchema& column_of(const TableSchema& table, const std::string& name) {
  return table.columns[static_cast<std::size_t>(table.column_index(name))];
}

std::vector<Type> types_of(const TableSchema& table) {
  std::vector<Type> types;
  for (const ColumnSchema& column : table.columns) types.push_back(type_of(column.declared));
  return types;
}

std::vector<Type> key_types_of(const TableSchema& table) {
  std::vector<Type> types;
  for (const std::string& name : table.key) {
    types.push_back(type_of(column_of(table, name).declared));
  }
  return types;
}

Row row_of(const std::vector<Type>& types, std::span<const Cell> cells) {
  Row row;
  row.reserve(types.size());
  for (std::size_t i = 0; i < types.size(); ++i) row.push_back(value_of(types[i], cells[i]));
  return row;
}

std::string key_array(const TableSchema& table, const std::string& of) {
  std::vector<std::string> parts;
  for (const std::string& name : table.key) {
    // A cast of inet to text adds a mask, one of character(n) takes the blanks at the end away.
    const std::string& type = column_of(table, name).declared;
    const bool casts_otherwise = type == "inet" || type_of(type).is == TypeClass::bpchar;
    const char* as_text = casts_otherwise ? "pg_catalog.format('%s', {}.{})" : "{}.{}::text";
    parts.push_back(fmt::format(fmt::runtime(as_text), of, quote_name(name)));
  }
  return "ARRAY[" + join(parts, ", ") + "]";
}

namespace {
// `("a", "b") > ($1::text::integer, …)`, with what `mark` makes of each value.
template <class Mark>
Result<std::string> compared_with(const TableSchema& table, const std::string& qualifier,
                                  const char* by, const Row& key, const Mark& mark) {
  std::vector<std::string> marks;
  for (std::size_t i = 0; i < table.key.size(); ++i) {
    ASSIGN_OR_RETURN(Cell cell, cell_of(key[i]));
    const std::string& declared = column_of(table, table.key[i]).declared;
    const TypeClass type = type_of(declared).is;
    // A key of the other side may be wider than this column; an index serves both alike.
    const bool is_short = type == TypeClass::int2 || type == TypeClass::int4;
    marks.push_back(
        fmt::format("{}::text::{}", mark(std::move(cell)), is_short ? "bigint" : declared));
  }
  return fmt::format("({}) {} ({})", qualified(table.key, qualifier), by, join(marks, ", "));
}

// Both ends as comparisons of rows: of NOT the server makes no bound of an index.
template <class Mark>
Result<std::string> between(const TableSchema& table, const std::string& qualifier,
                            const KeyRange& range, const Mark& mark) {
  std::string where = "true";
  if (range.after) {
    ASSIGN_OR_RETURN(where, compared_with(table, qualifier, ">", *range.after, mark));
  }
  if (range.through) {
    ASSIGN_OR_RETURN(const std::string end,
                     compared_with(table, qualifier, "<=", *range.through, mark));
    where += " AND " + end;
  }
  return where;
}

// Appends it, and gives its number.
auto bound_in(Cells& parameters) {
  return [&](Cell cell) {
    parameters.push_back(std::move(cell));
    return fmt::format("${}", parameters.size());
  };
}
}  // namespace

Result<std::string> after_key(const TableSchema& table, const std::string& qualifier,
                              const Row& after, Cells& parameters) {
  return compared_with(table, qualifier, ">", after, bound_in(parameters));
}

Result<std::string> within(const TableSchema& table, const std::string& qualifier,
                           const KeyRange& range, Cells& parameters) {
  return between(table, qualifier, range, bound_in(parameters));
}

Result<std::string> within_as_text(const TableSchema& table, const std::string& qualifier,
                                   const KeyRange& range) {
  return between(table, qualifier, range,
                 [](const Cell& cell) { return cell ? quote_text(*cell) : "NULL"; });
}

std::unique_ptr<SnapshotReader> make_reader(std::shared_ptr<Sessions> sessions,
                                            const TableSchema& table) {
  return std::make_unique<Reader>(std::move(sessions), table, nullptr);
}

Result<std::unique_ptr<SnapshotReader>> make_reader_of_one_moment(
    std::shared_ptr<Sessions> sessions, const TableSchema& table) {
  ASSIGN_OR_RETURN(auto connection, sessions->open());
  TRY(connection->execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
  return std::unique_ptr<SnapshotReader>(
      std::make_unique<Reader>(std::move(sessions), table, std::move(connection)));
}

std::unique_ptr<BatchWriter> make_writer(std::shared_ptr<Sessions> sessions,
                                         const TableSchema& table,
                                         const std::vector<std::string>& columns,
                                         std::unique_ptr<Connection> first) {
  return std::make_unique<Writer>(std::move(sessions), table, columns, std::move(first));
}

}  // namespace whimbrel::postgresql
