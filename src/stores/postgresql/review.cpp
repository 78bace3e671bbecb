// What this store knows of a pair of tables that a plan cannot.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/counted.h"
#include "base/text.h"
#include "stores/postgresql/names.h"
#include "stores/postgresql/orphans.h"
#include "stores/postgresql/postgresql_store.h"
#include "stores/postgresql/retype.h"
#include "stores/postgresql/types.h"

namespace whimbrel {

using namespace postgresql;  // NOLINT: this is the store's own namespace

namespace {

struct Spelling {
  const char* what;
  const char* condition;  // of a text `w`, where none before has held
  bool converts;
};
constexpr std::array<Spelling, 8> uuid_spellings = {{
    {"empty", "w = ''", false},
    {"with spaces around", "w ~ '^[[:space:]]|[[:space:]]$'", false},
    {"in upper case", "w ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'", true},
    {"in braces", "w ~* '^[{][0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[}]$'", true},
    {"without hyphens", "w ~* '^[0-9a-f]{32}$'", true},
    {"with hyphens in other places, or braces and none",
     "w ~* '^([{](?=.*[}]$))?([0-9a-f]{4}-?){7}[0-9a-f]{4}[}]?$' AND (w ~ '^[{]' OR w !~ '[}]$')",
     true},
    {"of other characters than hexadecimal digits", "w !~* '^[-{}0-9a-f]*$'", false},
    {"of another length or form", "true", false},
}};

// The texts of a column, `v`, as they are meant, `w`.
struct Meant {
  std::string sql;
  Cells parameters;
};
Meant meant(const Respelling& column, const std::string& place) {
  Cells from;
  Cells to;
  if (column.listed != nullptr) {
    for (const auto& [was, is] : column.listed->all()) {
      from.emplace_back(was);
      to.emplace_back(is);
    }
  }
  const std::string quoted_column = quote_name(column.column);
  return {
      fmt::format("(SELECT v, coalesce(m.now, {}) AS w FROM (SELECT {}::text COLLATE \"C\" AS v "
                  "FROM {} WHERE "
                  "{} IS NOT NULL) a LEFT JOIN unnest($1::text[], $2::text[]) m(was, now) ON "
                  "m.was = a.v) b",
                  column.takes_any ? "btrim(v, ' ')" : "v", quoted_column, place, quoted_column),
      {array_of(from), array_of(to)}};
}

Finding about_uuids(const Spelling& spelling, const Cells& row, const std::string& column,
                    bool is_meant) {
  const bool is_converted = spelling.converts && is_meant;
  Finding finding;
  finding.weight = is_converted ? Finding::Weight::note : Finding::Weight::refusal;
  finding.code = is_converted ? "uuid_normalised" : "uuid_invalid";
  finding.message = fmt::format(
      "{} of {} {} {}, like {}: {}", rows_text(std::stoll(*row[1])), column,
      *row[1] == "1" ? "is a text" : "are texts", spelling.what,
      show(Value::text(row[2].value_or(""))),
      is_converted        ? "what they spell is taken, and a rollback gives them back as they are"
      : spelling.converts ? "as a UUID it would be spelled otherwise"
                          : "it is no UUID");
  if (is_converted) return finding;
  finding.hint = spelling.converts
                     ? "say `on_invalid: normalise`, or spell it in lower case with hyphens"
                     : "correct it, delete the row, or say which UUID is meant: `on_invalid: {map: "
                       "FILE}`";
  return finding;
}

// Texts that are no UUID as PostgreSQL would write it, kind by kind.
Status review_uuids(Connection& connection, const std::string& place, const TableSchema& table,
                    const Respelling& column, std::vector<Finding>& findings) {
  const Meant of = meant(column, place);
  const std::string whole = table.name + "." + column.column;
  std::string kind = "CASE WHEN w ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN NULL";
  for (std::size_t i = 0; i < uuid_spellings.size(); ++i) {
    kind += fmt::format(" WHEN {} THEN {}", uuid_spellings[i].condition, i);
  }
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(fmt::format("SELECT kind, count(*), min(v) FROM (SELECT v, {} END AS kind "
                                   "FROM {}) c WHERE kind IS NOT NULL GROUP BY kind ORDER BY kind",
                                   kind, of.sql),
                       of.parameters));
  for (const Cells& row : rows) {
    const Spelling& one = uuid_spellings.at(static_cast<std::size_t>(std::stoi(*row[0])));
    findings.push_back(about_uuids(one, row, whole, column.takes_any));
  }
  const bool can_meet = !rows.empty() || column.listed != nullptr;
  // In a key of several columns one text has to lead back to all rows with the value.
  const bool is_part = column.is_one_of_several;
  if (!can_meet || (!is_part && !is_unique_among(table, {column.column}))) return {};
  ASSIGN_OR_RETURN(
      const auto same,
      connection.query(
          fmt::format("SELECT count(*), min(w) FROM (SELECT {} AS w FROM {} GROUP BY 1 HAVING "
                      "count(DISTINCT v) > 1) c",
                      digits_of("w"), of.sql),
          of.parameters));
  if (same.at(0).at(0) == "0") return {};
  findings.push_back(
      {Finding::Weight::refusal, "uuid_twice",
       fmt::format("{} different texts of {} would become the same UUID, like {}",
                   *same.at(0).at(0), whole, show(Value::text(same.at(0).at(1).value_or("")))),
       is_part ? "spell each in one way in all rows: it is a part of the key"
               : "decide which row is meant"});
  return {};
}

// What the text of a function does with a column nobody can tell but who reads it.
Status review_bodies(Connection& connection, const std::string& table, const std::string& oid,
                     std::vector<Finding>& findings) {
  ASSIGN_OR_RETURN(
      const auto functions,
      connection.query(
          "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang "
          "JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname NOT IN ('pg_catalog', "
          "'information_schema', 'whimbrel') AND l.lanname NOT IN ('c', 'internal') AND NOT EXISTS "
          "(SELECT FROM pg_depend e WHERE e.objid = p.oid AND e.deptype = 'e') AND (p.prosrc ~* "
          "('\\m' || regexp_replace((SELECT relname FROM pg_class WHERE oid = $1::oid), '\\W', "
          "'.', 'g') || '\\M') OR p.oid IN (SELECT tgfoid FROM pg_trigger WHERE tgrelid = $1::oid "
          "AND NOT tgisinternal AND NOT EXISTS (SELECT FROM pg_proc f WHERE f.oid = tgfoid AND "
          "f.pronamespace = to_regnamespace('whimbrel')))) ORDER BY 1 LIMIT 20",
          {oid}));
  std::vector<std::string> names;
  for (const Cells& row : functions) names.push_back(*row[0]);
  if (names.empty()) return {};
  findings.push_back(
      {Finding::Weight::warning, "function_body",
       fmt::format("functions work with {} and are not looked into: {}", table, join(names, ", ")),
       "read them: a comparison of the column with another type fails from the switch on"});
  return {};
}

// A check, a default or an index may mean nothing to the other type. Made and taken back at once.
Status review_making(Connection& connection, const TableSchema& target,
                     std::vector<Finding>& findings) {
  const Result<Place> there = place_of(connection, target.name);
  if (there.ok()) return {};  // it is under way
  if (there.error().code != ErrorCode::not_found) return there.error();
  ASSIGN_OR_RETURN(const Transaction transaction, Transaction::begin(connection));
  Status made = connection.execute(target.create_ddl);
  std::string by;  // which of the indexes
  for (const std::string& ddl : target.index_ddl) {
    if (!made.ok()) break;
    made = connection.execute(ddl);
    const std::size_t begin = ddl.find("CREATE ");  // behind settings of ours
    if (!made.ok()) by = " (" + printable(ddl.substr(std::min(begin, ddl.size())), 300) + ")";
  }
  if (made.ok()) return {};
  if (made.error().code == ErrorCode::unavailable) return made;
  const bool has_changed = connection.sqlstate() == "P0001";  // our own question says so
  findings.push_back(
      {Finding::Weight::refusal, "cannot_be_made",
       "the table with the other types cannot be made: " + made.error().message + by,
       has_changed ? "run again"
       : !by.empty()
           ? "drop this index of the old table, and make one that fits at the end"
           : "drop the check, default or index that does not fit, and make it anew at the "
             "end"});
  return {};
}

// What the whole database has that our schemas would meet.
Status review_database(Connection& connection, const std::string& table,
                       std::vector<Finding>& findings) {
  ASSIGN_OR_RETURN(const auto rights,
                   connection.query("SELECT has_database_privilege(current_database(), 'CREATE'), "
                                    "quote_ident(current_database()), quote_ident(current_user)"));
  if (rights.at(0).at(0) != "t") {
    findings.push_back({Finding::Weight::refusal, "makes_no_schema",
                        "this role may make no schema in the database, and whimbrel's tables "
                        "stand in one of their own",
                        fmt::format("GRANT CREATE ON DATABASE {} TO {}", *rights.at(0).at(1),
                                    *rights.at(0).at(2))});
  }
  ASSIGN_OR_RETURN(
      const auto all,
      connection.query("SELECT quote_ident(pubname), EXISTS (SELECT FROM pg_replication_slots "
                       "WHERE slot_type = 'logical' AND database = current_database()) FROM "
                       "pg_publication WHERE puballtables ORDER BY pubname"));
  for (const Cells& row : all) {
    const bool is_read = row[1] == "t";
    findings.push_back(
        {is_read ? Finding::Weight::refusal : Finding::Weight::warning, "published_for_all",
         fmt::format("the publication {} is FOR ALL TABLES: a subscriber would be sent whimbrel's "
                     "own tables and those beside {}, and would stop",
                     *row[0], table),
         "let a publication name its tables while the migration is under way"});
  }
  return {};
}

// A trigger of a table sees the rows of its partitions one by one, and none of tables that inherit.
Status review_parts(Connection& connection, const std::string& table, const std::string& oid,
                    std::vector<Finding>& findings) {
  ASSIGN_OR_RETURN(const auto rows,
                   connection.query("SELECT relkind = 'p', EXISTS (SELECT FROM pg_inherits WHERE "
                                    "inhparent = oid) FROM pg_class WHERE oid = $1::oid",
                                    {oid}));
  if (rows.at(0).at(1) != "t") return {};
  if (rows[0][0] == "t") {
    findings.push_back({Finding::Weight::warning, "has_partitions",
                        "rows of " + table +
                            " that come or go with a whole partition (ATTACH, DETACH or DROP of "
                            "one) are not followed",
                        "leave its partitions as they are until the switch"});
  } else {
    findings.push_back({Finding::Weight::refusal, "is_inherited",
                        "tables inherit from " + table +
                            ": their rows are read with it, what is written to them is not "
                            "followed, and on the way back they would lose their own columns",
                        "ALTER TABLE … NO INHERIT them, and move each by a line of its own"});
  }
  return {};
}

// Marks of a migration lie on both sides, whatever else is written there.
Status review_rights_to_write(Connection& connection, std::vector<Finding>& findings) {
  ASSIGN_OR_RETURN(const auto rows,
                   connection.query("SELECT pg_is_in_recovery(), "
                                    "current_setting('default_transaction_read_only') = 'on'"));
  if (rows.at(0).at(0) == "t") {
    findings.push_back({Finding::Weight::refusal, "is_a_standby",
                        connection.place() + " is a standby, where nobody writes",
                        "give the address of the primary"});
  } else if (rows.at(0).at(1) == "t") {
    findings.push_back(
        {Finding::Weight::refusal, "is_read_only",
         "`default_transaction_read_only` is on for this role at " + connection.place(),
         "give a role that writes, or ALTER ROLE … RESET it"});
  }
  return {};
}

constexpr const char* hint_of_the_right =
    "GRANT SET ON PARAMETER session_replication_role TO this role (from PostgreSQL 15), or use a "
    "superuser";

// Rows come in an order of their own, on this side there or back. Who may write as a replica does
// is not held up by that; for anybody else a foreign key would be, half way.
Status review_order_of_rows(Connection& connection, const std::string& table,
                            const std::string& place, std::vector<Finding>& findings) {
  ASSIGN_OR_RETURN(
      const auto keys,
      connection.query("SELECT string_agg(format('%I of %s', conname, conrelid::regclass), ', ' "
                       "ORDER BY conname) FROM pg_constraint WHERE contype = 'f' AND conparentid = "
                       "0 AND confrelid = $1::text::regclass",
                       {place}));
  const Cell& names = keys.at(0).at(0);
  if (!names) return {};
  findings.push_back({Finding::Weight::refusal, "order_of_rows",
                      fmt::format("this role cannot write rows of {} in an order of their own, and "
                                  "others refer to them by foreign keys: {}",
                                  table, *names),
                      hint_of_the_right});
  return {};
}

// Triggers that would fire for rows that are only carried over, and do once more what they have
// done on the other side.
Status review_triggers(Connection& connection, bool may_write_as_replica, const std::string& table,
                       const std::string& place, std::vector<Finding>& findings) {
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query("SELECT quote_ident(tgname), (tgtype & 2) <> 0, tgenabled FROM pg_trigger "
                       "WHERE (tgrelid = $1::text::regclass OR tgrelid IN (SELECT relid FROM "
                       "pg_partition_tree($1::text::regclass)) AND tgparentid = 0) AND NOT "
                       "tgisinternal AND NOT EXISTS (SELECT FROM pg_proc f WHERE f.oid = tgfoid "
                       "AND f.pronamespace = to_regnamespace('whimbrel')) AND (tgtype & 28) <> 0 "
                       "AND tgenabled = ANY (CASE WHEN "
                       "$2::boolean THEN '{A,R}' ELSE '{O,A}' END::\"char\"[]) ORDER BY tgname",
                       {place, may_write_as_replica ? "true" : "false"}));
  for (const Cells& row : rows) {
    const bool is_chosen = row[2] != "O";  // by somebody who wants it to fire for replicas too
    const bool may_change_rows = row[1] == "t";
    findings.push_back(
        {is_chosen && !may_change_rows ? Finding::Weight::warning : Finding::Weight::refusal,
         "trigger_fires",
         fmt::format("the trigger {} of {} would fire for rows that whimbrel carries over{}",
                     *row[0], table,
                     may_change_rows ? ", and may change them or keep them away"
                                     : ", and do once more what it has done on the other side"),
         is_chosen ? "ALTER TABLE … ENABLE TRIGGER it (without ALWAYS or REPLICA), or DISABLE it "
                     "until `finish`"
                   : hint_of_the_right});
  }
  return {};
}

}  // namespace

Result<std::vector<Finding>> PostgresqlStore::review_target(const Mapping& mapping, bool) {
  std::vector<Finding> findings;
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  TRY(review_rights_to_write(*connection, findings));
  if (is_new_table(mapping.target.name)) return findings;
  const bool may = sessions_->may_write_as_replica();
  const Result<Place> place = place_of(*connection, mapping.target.name);
  if (!place.ok() && place.error().code != ErrorCode::not_found) return place.error();
  if (!place.ok()) {
    if (!may && !mapping.target.reference_ddl.empty()) {
      findings.push_back(
          {Finding::Weight::refusal, "order_of_rows",
           "this role cannot write rows in an order of their own, and " + mapping.target.name +
               " is to have foreign keys",
           std::string(hint_of_the_right) + ", or give a file without REFERENCES in `create:`"});
    }
    return findings;
  }
  if (!may) {
    TRY(review_order_of_rows(*connection, mapping.target.name, place.value().sql(), findings));
  }
  TRY(review_triggers(*connection, may, mapping.target.name, place.value().sql(), findings));
  return findings;
}

Result<std::vector<Finding>> PostgresqlStore::review(const Mapping& mapping, bool) {
  std::vector<Finding> findings;
  ASSIGN_OR_RETURN(const ConnectionPtr connection, sessions_->take());
  TRY(review_rights_to_write(*connection, findings));
  const Result<Place> place = place_of(*connection, mapping.source.name);
  if (!place.ok()) return place.error();
  if (is_new_table(mapping.target.name)) {
    for (const Respelling& one : mapping.respelled) {
      const ColumnSchema& to = mapping.target.columns[static_cast<std::size_t>(one.target)];
      if (type_of(to.declared).is != TypeClass::uuid) continue;
      TRY(review_uuids(*connection, place.value().sql(), mapping.source, one, findings));
    }
    TRY(review_orphans(*connection, place.value().sql(), mapping, findings));
    ASSIGN_OR_RETURN(const Dependents all,
                     dependents_not_made_anew(*connection, mapping.source.name));
    for (const std::string& one : all.rebuilt) {
      findings.push_back(
          {Finding::Weight::note, "rebuilt", one + " is made anew at the switch", ""});
    }
    for (const std::string& one : all.refused) {
      findings.push_back(
          {Finding::Weight::refusal, "cannot_be_rebuilt",
           fmt::format("{} depends on {} and cannot be made anew", one, mapping.source.name),
           "drop it and make it again afterwards"});
    }
  }
  if (is_new_table(mapping.target.name)) {
    TRY(review_bodies(*connection, mapping.source.name, place.value().oid, findings));
    TRY(review_making(*connection, mapping.target, findings));
  }
  ASSIGN_OR_RETURN(const auto old,
                   connection->query(
                       "SELECT pid, coalesce(nullif(application_name, ''), '(unnamed)'), "
                       "date_trunc('second', now() - xact_start)::text FROM pg_stat_activity WHERE "
                       "xact_start < now() - interval '1 minute' AND datname = current_database() "
                       "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"));
  for (const Cells& row : old) {
    findings.push_back({Finding::Weight::warning, "long_transaction",
                        fmt::format("process {} ({}) has had a transaction open for {}: the switch "
                                    "waits for it where it uses {}",
                                    *row[0], printable(*row[1]), *row[2], mapping.source.name),
                        "end it before the switch"});
  }
  ASSIGN_OR_RETURN(
      const auto owner,
      connection->query("SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid "
                        "= $1::oid",
                        {place.value().oid}));
  if (owner.at(0).at(0) != "t") {
    findings.push_back(
        {Finding::Weight::refusal, "not_the_owner",
         "this role is not the owner of " + mapping.source.name + ", and makes no triggers on it",
         "use its owner, or a role that is granted it"});
  }
  if (!is_new_table(mapping.target.name)) {
    TRY(review_parts(*connection, mapping.source.name, place.value().oid, findings));
    const bool may = sessions_->may_write_as_replica();
    if (!may) {
      TRY(review_order_of_rows(*connection, mapping.source.name, place.value().sql(), findings));
    }
    TRY(review_triggers(*connection, may, mapping.source.name, place.value().sql(), findings));
  }
  TRY(review_database(*connection, mapping.source.name, findings));
  return findings;
}

}  // namespace whimbrel
