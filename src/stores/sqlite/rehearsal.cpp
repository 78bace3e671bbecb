#include "stores/sqlite/rehearsal.h"

#include <fmt/format.h>

#include "base/text.h"
#include "stores/sqlite/connection.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/schema.h"

namespace whimbrel::sqlite {

namespace {

class SqliteRehearsal final : public Rehearsal {
 public:
  SqliteRehearsal(std::unique_ptr<Connection> connection, Statement insert)
      : connection_(std::move(connection)), insert_(std::move(insert)) {}

  Result<std::vector<std::optional<Error>>> offer(std::span<const Row> rows) override {
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(*connection_, true));
    std::vector<std::optional<Error>> outcomes;
    for (const Row& row : rows) {
      sqlite3_reset(insert_.get());
      int at = 0;
      for (const Value& value : row) TRY(bind(insert_.get(), ++at, value));
      const int code = sqlite3_step(insert_.get());
      const int kind = code == SQLITE_DONE ? SQLITE_DONE : code & 0xff;
      if (kind == SQLITE_DONE) {
        outcomes.emplace_back();
      } else if (kind == SQLITE_CONSTRAINT || kind == SQLITE_MISMATCH) {
        outcomes.emplace_back(refusal());
      } else {
        return connection_->error("rehearsing one row");
      }
    }
    sqlite3_reset(insert_.get());
    TRY(transaction.commit());
    return outcomes;
  }

  bool notices_equal_keys() const override { return true; }

 private:
  Error refusal() const {
    const std::string what = sqlite3_errmsg(connection_->raw());
    const int code = sqlite3_extended_errcode(connection_->raw());
    const bool unique = code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY;
    return Error{unique ? ErrorCode::conflict : ErrorCode::refused,
                 "the target would not take it: " + what,
                 unique ? "two rows become one there: correct one of them, or the constraint"
                        : "correct the row, map it otherwise, or correct the constraint",
                 "",
                 {what},
                 ""};
  }

  std::unique_ptr<Connection> connection_;
  Statement insert_;
};

bool takes_every_row(const TableSchema& table) {
  bool collated = false;
  for (const std::string& name : table.key) {
    const auto at = static_cast<std::size_t>(table.column_index(name));
    collated = collated || !table.columns[at].collation.empty();
  }
  return !table.has_checks && !table.strict && table.uniques.empty() &&
         table.other_uniques.empty() && !collated;
}

}  // namespace

Result<std::unique_ptr<Rehearsal>> make_rehearsal(const Mapping& mapping) {
  const TableSchema& table = mapping.target;
  const bool any_key = !has_rowid_alias(table) || has_rowid_alias(mapping.source);
  if (takes_every_row(table) && mapping.key_is_copied && any_key)
    return std::unique_ptr<Rehearsal>();
  ASSIGN_OR_RETURN(auto connection, Connection::temporary());
  std::vector<std::string> ddl = {table.create_ddl, table.key_index_ddl};
  ddl.insert(ddl.end(), table.index_ddl.begin(), table.index_ddl.end());
  for (const std::string& one : ddl) {
    if (!one.empty() && !connection->execute(one).ok()) return std::unique_ptr<Rehearsal>();
  }
  std::vector<std::string> columns;
  std::vector<std::string> marks;
  for (const ColumnRule& rule : mapping.forward) {
    columns.push_back(rule.column);
    marks.push_back(fmt::format("?{}", marks.size() + 1));
  }
  ASSIGN_OR_RETURN(Statement insert,
                   connection->prepare(fmt::format("INSERT OR ABORT INTO {} ({}) VALUES ({})",
                                                   quote_name(table.name), name_list(columns),
                                                   join(marks, ", "))));
  return std::unique_ptr<Rehearsal>(
      std::make_unique<SqliteRehearsal>(std::move(connection), std::move(insert)));
}

}  // namespace whimbrel::sqlite
