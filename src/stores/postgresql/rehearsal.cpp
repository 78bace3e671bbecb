#include "stores/postgresql/rehearsal.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "stores/postgresql/converted.h"
#include "stores/postgresql/copying.h"
#include "stores/postgresql/names.h"
#include "stores/postgresql/retype.h"
#include "stores/postgresql/rows.h"

namespace whimbrel::postgresql {

namespace {

constexpr const char* rehearsed = "pg_temp.whimbrel_rehearsal";

// Whether two rows that differ here may be equal there.
bool may_meet(const Mapping& mapping, const std::string& column) {
  for (const ColumnRule& rule : mapping.forward) {
    if (rule.column == column) return !keeps_apart(mapping, rule);
  }
  return false;  // nobody writes it
}

class TableRehearsal final : public Rehearsal {
 public:
  TableRehearsal(std::unique_ptr<Connection> connection, const Mapping& mapping, bool keeps_rows)
      : connection_(std::move(connection)), keeps_rows_(keeps_rows) {
    std::vector<std::string> columns;
    for (const ColumnRule& rule : mapping.forward) columns.push_back(rule.column);
    copy_ = fmt::format("COPY {} ({}) FROM STDIN", rehearsed, name_list(columns));
  }

  Result<std::vector<std::optional<Error>>> offer(std::span<const Row> rows) override {
    std::vector<std::optional<Error>> outcomes(rows.size());
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(*connection_));
    TRY(offer_part(rows, outcomes));
    if (keeps_rows_) TRY(transaction.commit());
    return outcomes;
  }

  bool keeps_rows() const override { return keeps_rows_; }

 private:
  // Half by half, until the rows are known that are not taken.
  Status offer_part(std::span<const Row> rows, std::span<std::optional<Error>> outcomes) {
    if (rows.empty()) return {};
    TRY(connection_->execute("SAVEPOINT whimbrel_part"));
    const Status taken = copy_in(*connection_, copy_, rows);
    if (taken.ok()) return connection_->execute("RELEASE whimbrel_part");
    if (!connection_->refuses_a_value()) return taken;
    TRY(connection_->execute("ROLLBACK TO whimbrel_part"));
    if (rows.size() == 1) {
      const bool is_unique = connection_->sqlstate() == "23505";
      outcomes[0] =
          refusal(taken.error().message, is_unique ? ErrorCode::conflict : ErrorCode::refused);
      return {};
    }
    const std::size_t half = rows.size() / 2;
    TRY(offer_part(rows.first(half), outcomes.first(half)));
    return offer_part(rows.subspan(half), outcomes.subspan(half));
  }

  static Error refusal(const std::string& what, ErrorCode code) {
    std::string said = what;
    for (const std::string_view own : {"relation \"whimbrel_rehearsal\" ", "new row for "}) {
      if (const std::size_t at = said.find(own); at != std::string::npos)
        said.erase(at, own.size());
    }
    return Error{code,
                 "the target would not take it: " + said,
                 "correct the row, map it otherwise, or correct the constraint",
                 "",
                 {said},
                 ""};
  }

  std::unique_ptr<Connection> connection_;
  bool keeps_rows_;
  std::string copy_;
};

}  // namespace

Result<Demands> demands_of(Connection& connection, const std::string& place, const Mapping& mapping,
                           bool with_others) {
  Demands demands;
  ASSIGN_OR_RETURN(
      const auto columns,
      connection.query(
          "SELECT quote_ident(attname) || ' ' || format_type(atttypid, atttypmod) || CASE WHEN "
          "attcollation <> 0 AND attcollation <> (SELECT typcollation FROM pg_type WHERE oid = "
          "atttypid) THEN ' COLLATE ' || attcollation::regcollation::text ELSE '' END || CASE WHEN "
          "attgenerated = 's' THEN ' GENERATED ALWAYS AS (' || pg_get_expr(adbin, adrelid) || ') "
          "STORED' WHEN attgenerated = '' AND pg_get_expr(adbin, adrelid) !~ 'nextval' THEN ' "
          "DEFAULT ' || pg_get_expr(adbin, adrelid) ELSE '' END FROM pg_attribute LEFT JOIN "
          "pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = "
          "$1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
          {place}));
  ASSIGN_OR_RETURN(
      const auto checks,
      connection.query("SELECT 'CONSTRAINT ' || quote_ident(conname) || ' ' || "
                       "regexp_replace(pg_get_constraintdef(oid), ' NO INHERIT| NOT VALID', '', "
                       "'g') FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype = "
                       "'c' ORDER BY conname",
                       {place}));
  ASSIGN_OR_RETURN(
      const auto uniques,
      connection.query(
          "SELECT pg_get_indexdef(i.indexrelid), n.nspname, c.relname, (SELECT "
          "array_agg(a.attname::text) FROM pg_attribute a WHERE a.attrelid = i.indrelid AND "
          "(a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]) OR EXISTS (SELECT FROM pg_depend d "
          "WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refobjid = "
          "i.indrelid AND d.refobjsubid = a.attnum))) FROM pg_index i JOIN pg_class c ON c.oid = "
          "i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.indrelid = "
          "$1::text::regclass AND i.indisunique ORDER BY i.indexrelid",
          {place}));
  std::vector<std::string> parts;
  for (const Cells& column : columns) parts.push_back(*column[0]);
  for (const Cells& check : checks) parts.push_back(*check[0]);
  demands.has_checks = !checks.empty();
  demands.create_ddl =
      fmt::format("CREATE TEMPORARY TABLE whimbrel_rehearsal ({})", join(parts, ", "));
  for (const Cells& unique : uniques) {
    const Cells of = cells_of(unique[3].value_or("{}"));
    const bool meets = with_others || std::ranges::any_of(of, [&](const Cell& column) {
                         return may_meet(mapping, column.value_or(""));
                       });
    const auto ddl = index_for(*unique[0], {*unique[1], *unique[2]}, rehearsed);
    if (meets && ddl) demands.unique_ddl.push_back(*ddl);
  }
  return demands;
}

Result<std::unique_ptr<Rehearsal>> make_rehearsal(std::unique_ptr<Connection> connection,
                                                  const Demands& demands, const Mapping& mapping) {
  Status made = connection->execute(demands.create_ddl);
  for (const std::string& ddl : demands.unique_ddl) {
    if (made.ok()) made = connection->execute(ddl);
  }
  if (!made.ok() && connection->sqlstate() == "42501") return std::unique_ptr<Rehearsal>();
  if (!made.ok()) return std::move(made).error().within("rehearsing " + mapping.target.name);
  return std::unique_ptr<Rehearsal>(std::make_unique<TableRehearsal>(std::move(connection), mapping,
                                                                     !demands.unique_ddl.empty()));
}

}  // namespace whimbrel::postgresql
