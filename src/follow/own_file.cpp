#include "follow/own_file.h"

#include <sqlite3.h>

#include <algorithm>

#include "store/kept_file.h"

namespace whimbrel {

namespace {
using OwnStatement = KeptFile::Statement;

// A book that an earlier release has begun.
Status add_column_of_later(KeptFile& file) {
  ASSIGN_OR_RETURN(const OwnStatement look,
                   file.prepare("SELECT count(*) FROM pragma_table_info('own') "
                                "WHERE name = 'whole'"));
  TRY(file.step(look));
  if (sqlite3_column_int(look.get(), 0) > 0) return {};
  return file.execute("ALTER TABLE own ADD COLUMN whole TEXT NOT NULL DEFAULT ''");
}
}  // namespace

OwnFile::OwnFile(std::unique_ptr<KeptFile> file) : file_(std::move(file)) {}
OwnFile::~OwnFile() = default;

Result<std::shared_ptr<OwnFile>> OwnFile::open(const std::string& path) {
  ASSIGN_OR_RETURN(
      auto file,
      KeptFile::open(
          path,
          {"it names the rows that this migration wrote; make room on its disk, or put it back "
           "from a copy of the state folder",
           "no row was written without being named there first"},
          "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
          "CREATE TABLE IF NOT EXISTS own (move INTEGER NOT NULL, target BLOB NOT NULL,"
          " source BLOB NOT NULL, written TEXT NOT NULL, before TEXT NOT NULL,"
          " original BLOB NOT NULL, whole TEXT NOT NULL DEFAULT '',"
          " PRIMARY KEY (move, target)) WITHOUT ROWID"));
  TRY(add_column_of_later(*file));
  return std::shared_ptr<OwnFile>(new OwnFile(std::move(file)));
}

class OwnFileBook final : public OwnBook {
 public:
  OwnFileBook(std::shared_ptr<OwnFile> file, int move) : file_(std::move(file)), move_(move) {}

  Result<std::vector<std::optional<OwnRow>>> find(std::span<const Row> target_keys) override {
    const std::lock_guard lock(file_->mutex_);
    ASSIGN_OR_RETURN(const OwnStatement select,
                     kept().prepare("SELECT target, source, written, before, original, whole "
                                    "FROM own WHERE move = ?1 AND target = ?2"));
    std::vector<std::optional<OwnRow>> rows;
    rows.reserve(target_keys.size());
    TRY(kept().execute("BEGIN"));
    const std::unique_ptr<OwnFile, void (*)(OwnFile*)> ending(
        file_.get(), [](OwnFile* file) { (void)file->file_->execute("COMMIT").ok(); });
    for (const Row& key : target_keys) {
      sqlite3_reset(select.get());
      sqlite3_bind_int(select.get(), 1, move_);
      bind_row(select, 2, key);
      ASSIGN_OR_RETURN(std::optional<OwnRow> row, next(select));
      rows.push_back(std::move(row));
      sqlite3_reset(select.get());
    }
    return rows;
  }

  Result<std::vector<OwnRow>> following(const std::optional<Row>& after,
                                        std::int64_t rows_max) override {
    const std::lock_guard lock(file_->mutex_);
    ASSIGN_OR_RETURN(
        const OwnStatement select,
        kept().prepare("SELECT target, source, written, before, original, whole "
                       "FROM own WHERE move = ?1 AND target > ?2 ORDER BY target LIMIT ?3"));
    sqlite3_bind_int(select.get(), 1, move_);
    bind_bytes(select, 2, after ? canonical(*after) : std::string());
    sqlite3_bind_int64(select.get(), 3, rows_max);
    std::vector<OwnRow> rows;
    while (true) {
      ASSIGN_OR_RETURN(std::optional<OwnRow> row, next(select));
      if (!row) return rows;
      rows.push_back(*std::move(row));
    }
  }

  Status note(std::span<const OwnRow> rows) override {
    return in_transaction(
        "INSERT INTO own VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (move, target) DO UPDATE "
        "SET source = excluded.source, written = excluded.written, before = excluded.before, "
        "original = excluded.original, whole = excluded.whole",
        std::ssize(rows), [&](const OwnStatement& statement, std::size_t i) {
          bind_row(statement, 2, rows[i].target_key);
          bind_row(statement, 3, rows[i].source_key);
          sqlite3_bind_text(statement.get(), 4, rows[i].written.c_str(), -1, SQLITE_TRANSIENT);
          sqlite3_bind_text(statement.get(), 5, rows[i].before.c_str(), -1, SQLITE_TRANSIENT);
          bind_bytes(statement, 6, rows[i].original);
          sqlite3_bind_text(statement.get(), 7, rows[i].whole.c_str(), -1, SQLITE_TRANSIENT);
        });
  }

  Status forget(std::span<const Row> target_keys) override {
    return in_transaction("DELETE FROM own WHERE move = ?1 AND target = ?2",
                          std::ssize(target_keys),
                          [&](const OwnStatement& statement, std::size_t i) {
                            bind_row(statement, 2, target_keys[i]);
                          });
  }

 private:
  KeptFile& kept() { return *file_->file_; }

  Result<std::optional<OwnRow>> next(const OwnStatement& select) {
    ASSIGN_OR_RETURN(const bool is_there, kept().step(select));
    if (!is_there) return std::optional<OwnRow>();
    OwnRow row;
    ASSIGN_OR_RETURN(row.target_key, row_at(select, 0));
    ASSIGN_OR_RETURN(row.source_key, row_at(select, 1));
    row.written = bytes_at(select, 2);
    row.before = bytes_at(select, 3);
    row.original = bytes_at(select, 4);
    row.whole = bytes_at(select, 5);
    return std::optional<OwnRow>(std::move(row));
  }

  Status in_transaction(const char* sql, std::ptrdiff_t rows,
                        const std::function<void(const OwnStatement&, std::size_t)>& bind) {
    if (rows == 0) return {};
    const std::lock_guard lock(file_->mutex_);
    TRY(kept().execute("BEGIN IMMEDIATE"));
    Status done = each(sql, static_cast<std::size_t>(rows), bind);
    if (done.ok()) done = kept().execute("COMMIT");
    if (!done.ok()) (void)kept().execute("ROLLBACK").ok();
    return done;
  }

  Status each(const char* sql, std::size_t rows,
              const std::function<void(const OwnStatement&, std::size_t)>& bind) {
    ASSIGN_OR_RETURN(const OwnStatement statement, kept().prepare(sql));
    for (std::size_t i = 0; i < rows; ++i) {
      sqlite3_reset(statement.get());
      sqlite3_bind_int(statement.get(), 1, move_);
      bind(statement, i);
      TRY(kept().step(statement));
    }
    return {};
  }

  std::shared_ptr<OwnFile> file_;
  int move_;
};

// Made when the rows are there, which is cheaper by far than beside them.
Status OwnFile::can_be_searched() {
  const std::lock_guard lock(mutex_);
  return file_->execute("CREATE INDEX IF NOT EXISTS own_by_source ON own (source)");
}

namespace {
Result<std::optional<OwnFile::Pair>> next_pair(KeptFile& file, const OwnStatement& select) {
  ASSIGN_OR_RETURN(const bool is_there, file.step(select));
  if (!is_there) return std::optional<OwnFile::Pair>();
  OwnFile::Pair pair;
  pair.move = sqlite3_column_int(select.get(), 0);
  ASSIGN_OR_RETURN(pair.source_key, row_at(select, 1));
  ASSIGN_OR_RETURN(pair.target_key, row_at(select, 2));
  return std::optional(std::move(pair));
}
}  // namespace

Result<std::vector<OwnFile::Pair>> OwnFile::with_key(const Row& key) {
  TRY(can_be_searched());
  const std::lock_guard lock(mutex_);
  const char* sql =
      "SELECT move, source, target FROM own WHERE source = ?1 UNION "
      "SELECT move, source, target FROM own WHERE target = ?1 AND move IN "
      "(WITH RECURSIVE moves (move) AS (SELECT min(move) FROM own UNION ALL SELECT (SELECT "
      "min(own.move) FROM own WHERE own.move > moves.move) FROM moves WHERE moves.move IS NOT "
      "NULL) SELECT move FROM moves) ORDER BY 1";
  ASSIGN_OR_RETURN(const OwnStatement select, file_->prepare(sql));
  bind_row(select, 1, key);
  std::vector<Pair> pairs;
  while (true) {
    ASSIGN_OR_RETURN(std::optional<Pair> pair, next_pair(*file_, select));
    if (!pair) return pairs;
    pairs.push_back(std::move(*pair));
  }
}

// The bytes of a key are those of its parts behind each other; the same bytes may also stand inside
// a part, or across two.
Result<std::vector<OwnFile::Pair>> OwnFile::with_part(const Value& part, int pairs_max) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const OwnStatement select,
                   file_->prepare("SELECT move, source, target FROM own WHERE instr(source, ?1) > "
                                  "0 OR instr(target, ?1) > 0"));
  bind_row(select, 1, {part});
  const auto is_part = [&](const Value& value) { return same(value, part); };
  std::vector<Pair> pairs;
  while (std::ssize(pairs) < pairs_max) {
    ASSIGN_OR_RETURN(std::optional<Pair> pair, next_pair(*file_, select));
    if (!pair) return pairs;
    if (std::ranges::any_of(pair->source_key, is_part) ||
        std::ranges::any_of(pair->target_key, is_part)) {
      pairs.push_back(std::move(*pair));
    }
  }
  return pairs;
}

std::shared_ptr<OwnBook> OwnFile::book(const std::shared_ptr<OwnFile>& file, int move) {
  return std::make_shared<OwnFileBook>(file, move);
}

}  // namespace whimbrel
