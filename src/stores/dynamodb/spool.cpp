#include "stores/dynamodb/spool.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>

namespace whimbrel::dynamodb {

namespace {

constexpr const char* spool_schema = R"(
  CREATE TABLE IF NOT EXISTS followed (feed TEXT, of TEXT, stream TEXT, made_by_us INTEGER,
    since_ms INTEGER, read_at_ms INTEGER, PRIMARY KEY (feed, of)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS ended (feed TEXT, of TEXT, stream TEXT, at_ms INTEGER,
    PRIMARY KEY (feed, of, stream)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS shards (feed TEXT, of TEXT, shard TEXT, parent TEXT, sequence TEXT,
    ended INTEGER, PRIMARY KEY (feed, of, shard)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS changes (id INTEGER PRIMARY KEY AUTOINCREMENT, feed TEXT, of TEXT,
    key BLOB, removed INTEGER);
  CREATE INDEX IF NOT EXISTS changes_of_feed ON changes (feed, id);
  CREATE TABLE IF NOT EXISTS own (of TEXT, key BLOB, digest TEXT, PRIMARY KEY (of, key))
    WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS claims (migration TEXT PRIMARY KEY, journal TEXT, records INTEGER);
)";

Value key_value(const Row& key) { return Value::bytes(canonical(key)); }

Result<Row> key_from(const Value& value) { return row_from_canonical(value.get<Bytes>().text); }

std::string text_of(const Value& value) {
  const auto* text = value.get_if<std::string>();
  return text == nullptr ? "" : *text;
}

}  // namespace

Result<std::unique_ptr<Spool>> Spool::open(const std::string& path) {
  {
    const std::ofstream make(path, std::ios::app);
  }
  chmod(path.c_str(), 0600);
  ASSIGN_OR_RETURN(auto connection, sqlite::Connection::open(path, sqlite::Access::write));
  TRY(connection->execute("PRAGMA journal_mode = WAL"));
  TRY(connection->execute("PRAGMA synchronous = FULL"));
  TRY(connection->execute(spool_schema));
  return std::unique_ptr<Spool>(
      new Spool(std::move(connection)));  // NOLINT: the constructor is private
}

Status Spool::run(const std::string& sql, const Row& parameters) {
  const auto done = connection_->run(sql, parameters);
  return done.ok() ? Status() : Status(done.error());
}

Status Spool::follow(const std::string& feed, const FollowedTable& table) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(auto transaction, sqlite::Transaction::begin(*connection_, true));
  TRY(
      run("DELETE FROM shards WHERE feed = ?1 AND of = ?2 AND NOT EXISTS (SELECT 1 FROM followed "
          "WHERE feed = ?1 AND of = ?2 AND stream = ?3)",
          {Value::text(feed), Value::text(table.table), Value::text(table.stream)}));
  TRY(run("INSERT OR REPLACE INTO followed VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
          {Value::text(feed), Value::text(table.table), Value::text(table.stream),
           Value::integer(table.made_by_us ? 1 : 0), Value::integer(table.since_ms),
           Value::integer(table.read_at_ms)}));
  return transaction.commit();
}

Result<std::vector<FollowedTable>> Spool::followed(const std::string& feed) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(
      const auto rows,
      connection_->query("SELECT of, stream, made_by_us, since_ms, read_at_ms, ifnull(at_ms, 0) "
                         "FROM followed LEFT JOIN ended USING (feed, of, stream) "
                         "WHERE feed = ?1 ORDER BY of",
                         {Value::text(feed)}));
  std::vector<FollowedTable> tables;
  for (const Row& row : rows) {
    tables.push_back({text_of(row[0]), text_of(row[1]), row[2].get<std::int64_t>() != 0,
                      row[3].get<std::int64_t>(), row[4].get<std::int64_t>(),
                      row[5].get<std::int64_t>()});
  }
  return tables;
}

Result<bool> Spool::is_followed(const std::string& table) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(
      const auto rows,
      connection_->query("SELECT 1 FROM followed WHERE of = ?1 LIMIT 1", {Value::text(table)}));
  return !rows.empty();
}

Status Spool::forget(const std::string& feed) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(auto transaction, sqlite::Transaction::begin(*connection_, true));
  for (const char* table : {"followed", "ended", "shards", "changes"}) {
    TRY(run(std::string("DELETE FROM ") + table + " WHERE feed = ?1", {Value::text(feed)}));
  }
  TRY(run("DELETE FROM own WHERE of NOT IN (SELECT of FROM followed)", {}));
  return transaction.commit();
}

Result<bool> Spool::hand_over(const std::string& feed, const std::string& table) {
  const std::lock_guard lock(mutex_);
  const Row parameters = {Value::text(feed), Value::text(table)};
  ASSIGN_OR_RETURN(const auto others,
                   connection_->query("SELECT 1 FROM followed WHERE feed <> ?1 AND of = ?2 LIMIT 1",
                                      parameters));
  if (others.empty()) return false;
  TRY(run("UPDATE followed SET made_by_us = 1 WHERE feed <> ?1 AND of = ?2", parameters));
  return true;
}

Status Spool::end(const std::string& feed, const FollowedTable& table, std::int64_t at_ms) {
  const std::lock_guard lock(mutex_);
  return run("INSERT OR IGNORE INTO ended VALUES (?1, ?2, ?3, ?4)",
             {Value::text(feed), Value::text(table.table), Value::text(table.stream),
              Value::integer(at_ms)});
}

Result<std::vector<ShardPlace>> Spool::shards(const std::string& feed, const std::string& table) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(
      const auto rows,
      connection_->query("SELECT shard, parent, sequence, ended FROM shards WHERE feed "
                         "= ?1 AND of = ?2 ORDER BY shard",
                         {Value::text(feed), Value::text(table)}));
  std::vector<ShardPlace> shards;
  for (const Row& row : rows) {
    shards.push_back(
        {text_of(row[0]), text_of(row[1]), text_of(row[2]), row[3].get<std::int64_t>() != 0});
  }
  return shards;
}

Status Spool::keep(const std::string& feed, const Progress& progress) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(auto transaction, sqlite::Transaction::begin(*connection_, true));
  const Value of = Value::text(progress.table);
  for (const auto& [key, removal] : progress.changes) {
    TRY(run("INSERT INTO changes (feed, of, key, removed) VALUES (?1, ?2, ?3, ?4)",
            {Value::text(feed), of, key_value(key), Value::integer(static_cast<int>(removal))}));
  }
  for (const ShardPlace& one : progress.shards) {
    TRY(run("INSERT OR REPLACE INTO shards VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            {Value::text(feed), of, Value::text(one.shard), Value::text(one.parent),
             Value::text(one.sequence), Value::integer(one.ended ? 1 : 0)}));
  }
  if (progress.read_at_ms > 0) {
    TRY(run("UPDATE followed SET read_at_ms = ?3 WHERE feed = ?1 AND of = ?2",
            {Value::text(feed), of, Value::integer(progress.read_at_ms)}));
  }
  return transaction.commit();
}

Result<std::int64_t> Spool::count_after(const std::string& feed, std::int64_t after) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const auto rows,
                   connection_->query("SELECT count(*) FROM changes WHERE feed = ?1 AND id > ?2",
                                      {Value::text(feed), Value::integer(after)}));
  return rows.at(0).at(0).get<std::int64_t>();
}

Result<std::vector<SpooledChange>> Spool::changes(const std::string& feed, std::int64_t after,
                                                  std::int64_t changes_max) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(
      const auto rows,
      connection_->query("SELECT id, of, key, removed FROM changes WHERE feed = ?1 AND "
                         "id > ?2 ORDER BY id LIMIT ?3",
                         {Value::text(feed), Value::integer(after), Value::integer(changes_max)}));
  std::vector<SpooledChange> changes;
  for (const Row& row : rows) {
    ASSIGN_OR_RETURN(Row key, key_from(row[2]));
    changes.push_back({row[0].get<std::int64_t>(), text_of(row[1]), std::move(key),
                       static_cast<Removal>(row[3].get<std::int64_t>())});
  }
  return changes;
}

Status Spool::intend_own(const std::string& table, const std::vector<OwnWrite>& writes) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(auto transaction, sqlite::Transaction::begin(*connection_, true));
  for (const auto& [key, digest] : writes) {
    TRY(
        run("INSERT INTO own VALUES (?1, ?2, ?3) ON CONFLICT (of, key) DO UPDATE SET "
            "digest = digest || ',' || excluded.digest WHERE digest <> excluded.digest",
            {Value::text(table), key_value(key), Value::text(digest)}));
  }
  return transaction.commit();
}

Status Spool::note_own(const std::string& table, const std::vector<OwnWrite>& written) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(auto transaction, sqlite::Transaction::begin(*connection_, true));
  for (const auto& [key, digest] : written) {
    TRY(run("INSERT OR REPLACE INTO own VALUES (?1, ?2, ?3)",
            {Value::text(table), key_value(key), Value::text(digest)}));
  }
  return transaction.commit();
}

Result<std::vector<std::vector<std::string>>> Spool::own(const std::string& table,
                                                         const std::vector<Row>& keys) {
  const std::lock_guard lock(mutex_);
  std::vector<std::vector<std::string>> all;
  for (const Row& key : keys) {
    ASSIGN_OR_RETURN(const auto rows,
                     connection_->query("SELECT digest FROM own WHERE of = ?1 AND key = ?2",
                                        {Value::text(table), key_value(key)}));
    std::vector<std::string>& digests = all.emplace_back();
    if (rows.empty()) continue;
    const std::string list = text_of(rows[0][0]);
    for (std::size_t begin = 0; begin <= list.size();) {
      const std::size_t comma = std::min(list.find(',', begin), list.size());
      digests.push_back(list.substr(begin, comma - begin));
      begin = comma + 1;
    }
  }
  return all;
}

Status Spool::forget_own(const std::string& table, const std::vector<Row>& keys) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(auto transaction, sqlite::Transaction::begin(*connection_, true));
  for (const Row& key : keys) {
    TRY(run("DELETE FROM own WHERE of = ?1 AND key = ?2", {Value::text(table), key_value(key)}));
  }
  return transaction.commit();
}

Result<std::string> Spool::claimed_by(const std::string& migration) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const auto rows,
                   connection_->query("SELECT journal FROM claims WHERE migration = ?1",
                                      {Value::text(migration)}));
  return rows.empty() ? std::string() : text_of(rows[0][0]);
}

Status Spool::claim(const std::string& migration, const std::string& journal) {
  const std::lock_guard lock(mutex_);
  return run("INSERT OR IGNORE INTO claims VALUES (?1, ?2, NULL)",
             {Value::text(migration), Value::text(journal)});
}

Status Spool::mark(const std::string& migration, std::int64_t records) {
  const std::lock_guard lock(mutex_);
  return run("UPDATE claims SET records = ?2 WHERE migration = ?1",
             {Value::text(migration), Value::integer(records)});
}

Result<std::optional<std::int64_t>> Spool::marked(const std::string& migration) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const auto rows,
                   connection_->query("SELECT records FROM claims WHERE migration = ?1",
                                      {Value::text(migration)}));
  if (rows.empty() || rows[0][0].is_null()) return std::optional<std::int64_t>();
  return std::optional(rows[0][0].get<std::int64_t>());
}

Status Spool::disown(const std::string& migration) {
  const std::lock_guard lock(mutex_);
  return run("DELETE FROM claims WHERE migration = ?1", {Value::text(migration)});
}

}  // namespace whimbrel::dynamodb
