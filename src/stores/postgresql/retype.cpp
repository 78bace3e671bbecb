#include "stores/postgresql/retype.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>

#include "base/text.h"
#include "stores/postgresql/names.h"
#include "stores/postgresql/orphans.h"
#include "stores/postgresql/partitions.h"
#include "stores/postgresql/rows.h"
#include "stores/postgresql/schema.h"
#include "stores/postgresql/spellings.h"
#include "stores/postgresql/swap.h"
#include "stores/postgresql/types.h"

namespace whimbrel::postgresql {

namespace {

constexpr const char* registry_ddl =
    "CREATE SCHEMA IF NOT EXISTS whimbrel;\n"
    "CREATE TABLE IF NOT EXISTS whimbrel.retyped (root text NOT NULL, source text PRIMARY KEY, "
    "target text NOT NULL UNIQUE, source_oid oid NOT NULL, target_oid oid NOT NULL, swapped "
    "boolean NOT NULL DEFAULT false, shape text NOT NULL, books text[] NOT NULL, casts boolean NOT "
    "NULL);\n"
    "CREATE TABLE IF NOT EXISTS whimbrel.retyped_parts (source text NOT NULL, part text NOT NULL, "
    "source_oid oid NOT NULL, target_oid oid NOT NULL, shape text NOT NULL, PRIMARY KEY (source, "
    "part));\n";

std::string schema_of(const std::string& kind, const std::string& schema) {
  constexpr std::size_t name_max = 63;
  const std::string name = "whimbrel_" + kind + "_" + schema;
  if (name.size() <= name_max) return name;
  return "whimbrel_" + kind + "_" + short_digest(schema);
}

std::string root_of(const std::vector<RetypedColumn>& columns) {
  std::vector<std::string> all;
  for (const RetypedColumn& one : columns) {
    all.push_back(one.table + "." + one.column + ":" + one.to);
  }
  std::ranges::sort(all);
  return join(all, "\n");
}

struct ForeignKeyColumn {
  std::string child;
  std::string child_column;
  std::string parent;
  std::string parent_column;
};

// Keys of partitions alone may be those of a whole table that is not settled yet.
Result<std::vector<ForeignKeyColumn>> foreign_key_columns(Connection& connection) {
  ASSIGN_OR_RETURN(const bool unsettled, has_to_settle(connection));
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query("SELECT f.conrelid, c.attname, f.confrelid, p.attname FROM pg_constraint f, "
                       "unnest(f.conkey, f.confkey) k(child, parent) JOIN pg_attribute c ON true "
                       "JOIN pg_attribute p ON true WHERE f.contype = 'f' AND c.attrelid = "
                       "f.conrelid AND c.attnum = k.child AND p.attrelid = f.confrelid AND "
                       "p.attnum = k.parent AND f.conparentid = 0 AND NOT ($1::boolean AND "
                       "EXISTS (SELECT FROM pg_class WHERE oid = f.conrelid AND relispartition))",
                       {unsettled ? "true" : "false"}));
  std::vector<ForeignKeyColumn> all;
  for (const Cells& row : rows) all.push_back({*row[0], *row[1], *row[2], *row[3]});
  return all;
}

// As the catalogue spells it. What is put into the statement was read as a type and nothing else.
Result<std::string> type_named(Connection& connection, const std::string& wanted) {
  const Result<std::vector<Cells>> known =
      connection.query("SELECT to_regtype($1) IS NOT NULL", {wanted});
  if (!known.ok() && known.error().code == ErrorCode::unavailable) return known.error();
  if (!known.ok() || known.value().at(0).at(0) != "t") {
    return Error{ErrorCode::refused, "the server knows no type `" + printable(wanted) + "`",
                 "a type of a schema is written with it: `app.kind`"};
  }
  // What a query gives back of a domain has the type below it.
  ASSIGN_OR_RETURN(const auto domain,
                   connection.query("SELECT format_type(oid, NULL) FROM pg_type WHERE oid = "
                                    "to_regtype($1) AND typtype = 'd'",
                                    {wanted}));
  if (!domain.empty()) return *domain.at(0).at(0);
  ASSIGN_OR_RETURN(const Answer answer, connection.ask("SELECT CAST(NULL AS " + wanted + ")", {}));
  ASSIGN_OR_RETURN(const auto spelled_out,
                   connection.query("SELECT format_type($1::oid, $2::integer)",
                                    {std::to_string(PQftype(answer.get(), 0)),
                                     std::to_string(PQfmod(answer.get(), 0))}));
  return *spelled_out.at(0).at(0);
}

Error two_types(const std::string& column, const std::string& one, const std::string& other) {
  return Error{ErrorCode::refused, fmt::format("{} is to become {} and {}", column, one, other),
               "say it once; columns that refer to another get its type by themselves"};
}

// What a column becomes, and which of the plan's columns its values are of.
struct Becomes {
  std::string type;
  std::size_t from = 0;
  std::optional<std::size_t> said = {};  // which of the plan's columns it is itself
};
using Wanted = std::map<std::pair<std::string, std::string>, Becomes>;  // oid, column

// A column that the plan names and that refers to another one by a foreign key is spelled as that.
void share_books(const std::vector<ForeignKeyColumn>& keys, Wanted& wanted) {
  for (std::size_t round = 0; round <= keys.size(); ++round) {  // a circle has no end
    bool any = false;
    for (const ForeignKeyColumn& key : keys) {
      const auto parent = wanted.find({key.parent, key.parent_column});
      const auto child = wanted.find({key.child, key.child_column});
      if (parent == wanted.end() || child == wanted.end()) continue;
      if (parent == child || parent->second.from == child->second.from) continue;
      child->second.from = parent->second.from;
      any = true;
    }
    if (!any) return;
  }
}

// The closure over foreign keys; which table refers to which of it goes to `edges`.
Result<Wanted> closure_of(Connection& connection, const std::vector<RetypedColumn>& columns,
                          std::set<std::pair<std::string, std::string>>& edges) {
  Wanted wanted;
  std::vector<std::pair<std::string, std::string>> open;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const RetypedColumn& one = columns[i];
    ASSIGN_OR_RETURN(const Place place, place_of(connection, one.table));
    ASSIGN_OR_RETURN(const std::string type, type_named(connection, one.to));
    const auto [it, fresh] = wanted.emplace(std::pair{place.oid, one.column}, Becomes{type, i, i});
    if (it->second.type != type) {
      return two_types(one.table + "." + one.column, it->second.type, type);
    }
    if (fresh) open.push_back(it->first);
  }
  ASSIGN_OR_RETURN(const auto keys, foreign_key_columns(connection));
  while (!open.empty()) {
    const auto at = open.back();
    open.pop_back();
    Becomes becomes = wanted.at(at);
    becomes.said.reset();
    for (const ForeignKeyColumn& key : keys) {
      if (std::pair{key.parent, key.parent_column} != at) continue;
      const auto [it, fresh] = wanted.emplace(std::pair{key.child, key.child_column}, becomes);
      if (it->second.type != becomes.type) {
        ASSIGN_OR_RETURN(const auto name,
                         connection.query("SELECT $1::oid::regclass::text", {key.child}));
        return two_types(*name.at(0).at(0) + "." + key.child_column, it->second.type, becomes.type);
      }
      if (fresh) open.push_back(it->first);
    }
  }
  share_books(keys, wanted);
  for (const ForeignKeyColumn& key : keys) {
    const bool child = wanted.contains({key.child, key.child_column});
    const bool parent = wanted.contains({key.parent, key.parent_column});
    if (child && !parent) {
      ASSIGN_OR_RETURN(const auto names,
                       connection.query("SELECT $1::oid::regclass::text, $2::oid::regclass::text",
                                        {key.child, key.parent}));
      return Error{
          ErrorCode::refused,
          fmt::format("{}.{} refers to {}.{}, which would keep its type", *names.at(0).at(0),
                      key.child_column, *names.at(0).at(1), key.parent_column),
          "give the column that is referred to the other type; those that refer follow"};
    }
    if (child && key.child != key.parent) edges.emplace(key.child, key.parent);
  }
  return wanted;
}

// Parents before children; a circle is broken somewhere.
std::vector<std::string> parents_first(const std::set<std::string>& tables,
                                       const std::set<std::pair<std::string, std::string>>& edges) {
  std::vector<std::string> order;
  std::set<std::string> left = tables;
  while (!left.empty()) {
    const auto free = std::ranges::find_if(left, [&](const std::string& table) {
      return std::ranges::none_of(edges, [&](const auto& edge) {
        return edge.first == table && left.contains(edge.second);
      });
    });
    const auto next = free == left.end() ? left.begin() : free;
    order.push_back(*next);
    left.erase(next);
  }
  return order;
}

// LIKE gives each identity the widest sequence, whatever the old one's is.
std::string sequences_like(const std::string& oid, const std::string& made) {
  return fmt::format(
      "DO LANGUAGE plpgsql {};\n",
      quote_text(fmt::format(
          "DECLARE one record; BEGIN FOR one IN SELECT a.attname, q.seqtypid FROM pg_attribute a "
          "JOIN pg_sequence q ON q.seqrelid = pg_get_serial_sequence(a.attrelid::regclass::text, "
          "a.attname)::regclass WHERE a.attrelid = {0} AND a.attidentity <> '' AND NOT "
          "a.attisdropped LOOP EXECUTE format('ALTER SEQUENCE %s AS %s', "
          "pg_get_serial_sequence({1}, one.attname), one.seqtypid::regtype); END LOOP; END",
          oid, quote_text(made))));
}

// An identity that ends where its first type did goes on to the end of the new one; a plain column
// has none, and an end that somebody has chosen stays.
std::string ends_of_the_new_type(const std::string& table, const std::string& column,
                                 TypeClass before) {
  const char* largest = before == TypeClass::int2   ? "32767"
                        : before == TypeClass::int4 ? "2147483647"
                                                    : "9223372036854775807";
  const char* least = before == TypeClass::int2   ? "-32768"
                      : before == TypeClass::int4 ? "-2147483648"
                                                  : "-9223372036854775808";
  return fmt::format(
      "DO LANGUAGE plpgsql {};\n",
      quote_text(fmt::format(
          "DECLARE s regclass := pg_get_serial_sequence({2}, {3}); BEGIN IF EXISTS (SELECT FROM "
          "pg_sequence WHERE seqrelid = s AND seqmax = {4}) THEN ALTER TABLE {0} ALTER COLUMN {1} "
          "SET NO MAXVALUE; END IF; IF EXISTS (SELECT FROM pg_sequence WHERE seqrelid = s AND "
          "seqmin = {5}) THEN ALTER TABLE {0} ALTER COLUMN {1} SET NO MINVALUE; END IF; EXCEPTION "
          "WHEN object_not_in_prerequisite_state THEN NULL; END",
          table, quote_name(column), quote_text(table), quote_text(column), largest, least)));
}

// The server's cast takes the blanks away with which a `character` is filled up.
void note_blanks(RetypedTable& made, const std::string& column, const RetypedColumn& of,
                 const Type& before, const Type& after) {
  if (of.made_by != nullptr || before.is == after.is) return;
  if (before.is == TypeClass::bpchar) made.filled_before.push_back(column);
  if (after.is == TypeClass::bpchar) made.filled_after.push_back(column);
}

// Pairs of which the server's cast makes another value than what is copied row by row.
bool casts_otherwise(const std::string& from, const std::string& to) {
  const auto is_odd = [](const std::string& declared) {
    return declared == "inet" || declared == "cidr" || declared == "money" || declared == "real" ||
           declared.starts_with("bit");
  };
  return is_odd(from) || is_odd(to);
}

// By the name that the plan gives the column: also after the tables have changed places.
std::string book_of(const std::string& table, const std::string& column) {
  return table + "." + column;
}
std::string own_book(const RetypedColumn& column) { return book_of(column.table, column.column); }

Respelling respelling(Sessions& sessions, const std::string& column, const RetypedColumn& of,
                      bool is_its_own) {
  Respelling made;
  made.column = column;
  made.book = sessions.book(own_book(of));
  made.takes_any = of.takes_any_spelling;
  made.is_one_of_several = is_its_own;
  if (!of.refers_to.empty())
    made.parent = sessions.book(book_of(of.refers_to, of.refers_to_column));
  made.listed = of.listed;
  return made;
}

// A text that becomes something else has to be found again by what it has become.
Result<bool> is_respelled(const RetypedColumn& of, const std::string& whole,
                          const std::string& from, const std::string& to) {
  if (of.made_by != nullptr) return false;
  const Type source = type_of(from);
  const bool is_text = source.is == TypeClass::text || source.is == TypeClass::varchar ||
                       source.is == TypeClass::bpchar;
  const bool is_uuid = type_of(to).is == TypeClass::uuid;
  if (of.takes_any_spelling && !(is_text && is_uuid)) {
    return Error{
        ErrorCode::refused,
        fmt::format("{} is {} and becomes {}: only texts that become a uuid have spellings "
                    "that are known",
                    whole, from, to),
        "leave out `on_invalid: normalise`, or list the texts: `on_invalid: {map: FILE}`"};
  }
  if (of.listed != nullptr && !is_text) {
    return Error{ErrorCode::refused, fmt::format("{} is {}: no text", whole, from),
                 "`on_invalid: {map: FILE}` says what texts become"};
  }
  return is_text && (is_uuid || of.listed != nullptr);
}

bool is_one_value(const std::string& default_sql) {
  static const std::regex one_value(
      R"((NULL|true|false|\(?-?[0-9.]+\)?|'([^']|'')*')(::[A-Za-z0-9_ ."(),\[\]]+)?)");
  return std::regex_match(default_sql, one_value);
}

// A default that is one value becomes what that value becomes. What is computed for each row stays
// a matter of people.
Result<std::string> default_made_by(Connection& connection, const TableSchema& table,
                                    const ColumnSchema& column, const RetypedColumn& of,
                                    const std::string& type) {
  const Error no_value{
      ErrorCode::refused,
      fmt::format("the default of {}.{} is {}, and `using:` says nothing of it", table.name,
                  column.name, printable(column.default_sql)),
      "ALTER TABLE … ALTER COLUMN … DROP DEFAULT before, and give it another one at the end"};
  if (!is_one_value(column.default_sql)) return no_value;
  ASSIGN_OR_RETURN(
      const auto said,
      connection.query(fmt::format("SELECT ({})::{}::text", column.default_sql, column.declared)));
  Row row(table.columns.size());
  row[static_cast<std::size_t>(table.column_index(column.name))] =
      value_of(type_of(column.declared), said.at(0).at(0));
  ASSIGN_OR_RETURN(const ExprPtr made_by,
                   resolve(reading(of.made_by, column.name, of.reads), table));
  const Result<Value> made = evaluate(*made_by, row);
  if (!made.ok()) return no_value;
  ASSIGN_OR_RETURN(const Cell cell, cell_of(made.value()));
  return (cell ? quote_text(*cell) : "NULL") + "::" + type;
}

// Else it would be an INSERT of the application that finds out. What is computed is not asked for:
// a function may do anything.
Status default_converts(Connection& connection, const TableSchema& table,
                        const ColumnSchema& column, const std::string& made) {
  if (!is_one_value(column.default_sql)) return {};
  const Result<std::vector<Cells>> tried = connection.query("SELECT " + made);
  if (tried.ok() || tried.error().code == ErrorCode::unavailable) {
    return tried.ok() ? Status() : Status(tried.error());
  }
  return Error{
      ErrorCode::refused,
      fmt::format("the default of {}.{} is {}, which does not become the other type: {}",
                  table.name, column.name, printable(column.default_sql), tried.error().message),
      "ALTER TABLE … ALTER COLUMN … DROP DEFAULT before, or give it another one"};
}

// A text goes on being compared as the column says it: two that are one key stay one.
Result<std::string> collate_of(Connection& connection, const std::string& oid,
                               const ColumnSchema& column, const std::string& type) {
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(
          "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.collname) FROM pg_attribute a "
          "JOIN pg_type t ON t.oid = a.atttypid JOIN pg_collation c ON c.oid = a.attcollation JOIN "
          "pg_namespace n ON n.oid = c.collnamespace JOIN pg_type made ON made.oid = "
          "$3::text::regtype WHERE a.attrelid = $1::text::oid AND a.attname = $2 AND "
          "a.attcollation <> t.typcollation AND made.typcollation <> 0 AND made.typtype <> 'd'",
          {oid, column.name, type}));
  return rows.empty() ? std::string() : " COLLATE " + rows[0][0].value_or("");
}

// The statement that gives the empty new table's column its type.
Result<std::string> type_change(Connection& connection, const TableSchema& table,
                                const std::string& oid, const std::string& sql,
                                const ColumnSchema& column, const RetypedColumn& of,
                                const std::string& type) {
  const std::string name = quote_name(column.name);
  const bool is_cast = of.made_by == nullptr;
  std::string before;
  std::string after;
  if (!column.default_sql.empty()) {
    before = fmt::format("ALTER COLUMN {} DROP DEFAULT, ", name);
    std::string made = fmt::format("({})::{}", column.default_sql, type);
    if (is_cast) {
      TRY(default_converts(connection, table, column, made));
    } else {
      ASSIGN_OR_RETURN(made, default_made_by(connection, table, column, of, type));
    }
    after = fmt::format(", ALTER COLUMN {} SET DEFAULT {}", name, made);
  }
  ASSIGN_OR_RETURN(const std::string collate, collate_of(connection, oid, column, type));
  return fmt::format("ALTER TABLE {} {}ALTER COLUMN {} TYPE {}{} USING {}::{}{};\n", sql, before,
                     name, type, collate, is_cast ? name : "NULL", type, after);
}

// What a key that a plan names becomes in this column, like those of the rows.
Result<Value> key_made_by(const TableSchema& table, const std::string& column,
                          const RetypedColumn& of, const Value& key) {
  ExprPtr made_by =
      of.made_by != nullptr ? reading(of.made_by, column, of.reads) : make_expr(ColumnRef{column});
  if (of.listed != nullptr) made_by = make_expr(Respelled{made_by, of.listed});
  if (of.takes_any_spelling) made_by = make_expr(CaseOf{TextCase::trim, made_by});
  ASSIGN_OR_RETURN(const ExprPtr resolved, resolve(made_by, table));
  ASSIGN_OR_RETURN(const Cell cell, cell_of(key));
  const auto at = static_cast<std::size_t>(table.column_index(column));
  Row row(table.columns.size());
  row[at] = value_of(type_of(table.columns[at].declared), cell);
  Result<Value> made = evaluate(*resolved, row);
  if (made.ok()) return made;
  return Error{ErrorCode::refused,
               fmt::format("`orphans: {{assign: {}}}` becomes nothing in {}.{}: {}", show(key),
                           table.name, column, made.error().message),
               "name a row that is there, by the key that it has now"};
}

// Without a foreign key nobody has seen to it that the column refers to something.
Status assume_key(const RetypedColumn& column, const RetypedColumn& of, TableSchema& source) {
  if (column.refers_to.empty() || column.orphans == Orphans::keep) return {};
  AssumedKey key{column.column, column.refers_to, column.refers_to_column, column.orphans,
                 column.orphans_to};
  if (key.orphans == Orphans::assign) {
    ASSIGN_OR_RETURN(key.assigned_there, key_made_by(source, key.column, of, key.assigned));
  }
  source.assumed_keys.push_back(std::move(key));
  return {};
}

// Columns without a foreign key that refer to this table.
Result<std::vector<ReferringColumn>> referring_to(Connection& connection, const std::string& oid,
                                                  const std::vector<RetypedColumn>& columns) {
  std::vector<ReferringColumn> all;
  for (const RetypedColumn& column : columns) {
    if (column.refers_to.empty()) continue;
    ASSIGN_OR_RETURN(const Place parent, place_of(connection, column.refers_to));
    if (parent.oid != oid) continue;
    all.push_back({column.table, column.column, column.refers_to_column});
  }
  return all;
}

// Where it has been made already, it is called as the old one was then.
Result<std::optional<TableName>> new_table_of(Connection& connection, const std::string& oid) {
  ASSIGN_OR_RETURN(const auto registry,
                   connection.query("SELECT to_regclass('whimbrel.retyped') IS NOT NULL"));
  if (registry.at(0).at(0) != "t") return std::optional<TableName>();
  ASSIGN_OR_RETURN(const auto rows,
                   connection.query("SELECT target FROM whimbrel.retyped WHERE source_oid = "
                                    "$1::oid AND NOT swapped",
                                    {oid}));
  return rows.empty() ? std::optional<TableName>() : std::optional(split_name(*rows[0][0]));
}

Result<RetypedTable> retyped_table(Connection& connection, Sessions& sessions,
                                   const std::string& oid, const Wanted& wanted,
                                   const std::vector<RetypedColumn>& columns) {
  ASSIGN_OR_RETURN(
      const auto place,
      connection.query(
          "SELECT n.nspname, c.relname, c.relkind, c.relispartition OR EXISTS (SELECT "
          "FROM pg_inherits WHERE inhrelid = c.oid OR inhparent = c.oid AND c.relkind "
          "<> 'p'), c.relpersistence, array_to_string(c.reloptions, ', '), coalesce(s.spcname, "
          "'') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT "
          "JOIN pg_tablespace s ON s.oid = c.reltablespace WHERE c.oid = $1::oid",
          {oid}));
  const Cells& row = place.at(0);
  // Asked for before anything else is: what somebody changes from here on is noticed.
  ASSIGN_OR_RETURN(const auto shape, connection.query("SELECT " + shape_sql(oid)));
  RetypedTable made;
  ASSIGN_OR_RETURN(made.source, describe(connection, spelled({*row[0], *row[1]})));
  if (row[3] == "t") {
    return Error{ErrorCode::refused,
                 made.source.name + " is a partition, inherits or is inherited from",
                 "a partition gets other types with its table: name that; tables that inherit keep "
                 "theirs until ALTER TABLE … NO INHERIT"};
  }
  ASSIGN_OR_RETURN(const std::vector<Member> members, members_of(connection, oid));
  const bool is_divided = members.front().is_divided;
  if (made.source.key.empty()) {
    return Error{ErrorCode::refused,
                 made.source.name +
                     " has no primary key, and no unique index over columns that are never null, "
                     "which is looked at with each row",
                 "give it one: by it rows are carried over that change meanwhile; one that is "
                 "DEFERRABLE, or WITHOUT OVERLAPS, does not do"};
  }
  ASSIGN_OR_RETURN(
      const auto unproven,
      connection.query("SELECT conname FROM pg_constraint WHERE conrelid = $1::oid AND "
                       "contype = 'c' AND NOT convalidated",
                       {oid}));
  if (!unproven.empty()) {
    return Error{
        ErrorCode::refused,
        fmt::format("{} has a check `{}` that some rows may break", made.source.name,
                    *unproven[0][0]),
        "ALTER TABLE … VALIDATE CONSTRAINT it; one that is NOT ENFORCED has to be dropped"};
  }
  made.target = made.source;
  TableSchema& target = made.target;
  ASSIGN_OR_RETURN(const std::optional<TableName> made_before, new_table_of(connection, oid));
  const TableName name = made_before.value_or(TableName{new_schema(*row[0]), *row[1]});
  target.name = spelled(name);
  target.triggers.clear();
  target.trigger_ddl.clear();
  target.views.clear();
  target.foreign_keys.clear();
  target.referenced_by.clear();
  const std::string sql = quoted(name);
  const std::string old_sql = quoted({*row[0], *row[1]});
  std::string ddl = in_tablespace("") + registry_ddl;
  ddl += spellings_ddl;
  Cells books;        // column, book, column, book
  bool casts = true;  // nothing but the store's own casts makes its values
  ddl += fmt::format("CREATE SCHEMA IF NOT EXISTS {};\n", quote_name(name.schema));
  ddl += in_tablespace(*row[6]);
  // What a table is divided by cannot get another type: a table of the new types is the model then.
  const std::string shaped = is_divided ? quoted({name.schema, "whimbrel_model"}) : sql;
  constexpr const char* like =
      "CREATE {}TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED "
      "INCLUDING IDENTITY INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING COMMENTS){};\n";
  const std::string unlogged = row[4] == "u" ? "UNLOGGED " : "";
  ddl += fmt::format(like, unlogged, shaped, old_sql,
                     row[5].value_or("").empty() ? "" : " WITH (" + *row[5] + ")");
  ddl += sequences_like(oid, shaped);
  // A column that came since is in the new table by now, and nothing would fill it.
  ddl += fmt::format(
      "DO LANGUAGE plpgsql {};\n",
      quote_text(fmt::format(
          "BEGIN IF {} IS DISTINCT FROM {} THEN RAISE EXCEPTION USING MESSAGE = "
          "{}; END IF; END",
          shape_sql(oid), quote_text(*shape.at(0).at(0)),
          quote_text("somebody has changed columns, constraints or indexes of " + made.source.name +
                     " since this run has looked at it: run again"))));
  for (ColumnSchema& column : target.columns) {
    const auto it = wanted.find({oid, column.name});
    if (it == wanted.end()) continue;
    if (column.generated) {
      return Error{ErrorCode::refused,
                   fmt::format("{}.{} is computed", made.source.name, column.name),
                   "give the columns that it is computed from the other type"};
    }
    const std::string& name_of_type = it->second.type;
    const RetypedColumn& of = columns[it->second.from];
    casts = casts && of.made_by == nullptr && !of.takes_any_spelling && of.listed == nullptr;
    if (it->second.said) TRY(assume_key(columns[*it->second.said], of, made.source));
    ASSIGN_OR_RETURN(const bool is_spelled, is_respelled(of, made.source.name + "." + column.name,
                                                         column.declared, name_of_type));
    if (is_spelled) {
      const bool is_its_own = it->second.said == it->second.from;
      made.respelled.push_back(respelling(sessions, column.name, of, is_its_own));
    }
    made.columns.emplace_back(column.name, it->second.from);
    books.insert(books.end(), {column.name, own_book(of)});
    if (of.made_by == nullptr && column.declared.starts_with("timestamp") &&
        name_of_type.starts_with("timestamp") &&
        (column.declared.find("without") == std::string::npos) !=
            (name_of_type.find("without") == std::string::npos)) {
      return Error{ErrorCode::refused,
                   fmt::format("{}.{}: nothing says which time zone is meant", made.source.name,
                               column.name),
                   "say what a value becomes: `using: {time: …}`"};
    }
    ASSIGN_OR_RETURN(const std::string change,
                     type_change(connection, made.source, oid, shaped, column, of, name_of_type));
    ddl += change;
    const Type before = type_of(column.declared);
    const Type after = type_of(name_of_type);
    const auto is_whole = [](const Type& type) {
      return type.is == TypeClass::int2 || type.is == TypeClass::int4 || type.is == TypeClass::int8;
    };
    if (is_whole(before) && is_whole(after)) {
      ddl += ends_of_the_new_type(shaped, column.name, before.is);
    }
    if (of.made_by == nullptr && column.declared.starts_with("bit") && is_whole(after)) {
      return Error{ErrorCode::refused,
                   fmt::format("{}.{}: nothing says how bits are read as a number",
                               made.source.name, column.name),
                   "say what a value becomes: `using:`"};
    }
    if (of.made_by == nullptr && before.is != after.is &&
        (column.declared == "money" || name_of_type == "money")) {
      return Error{ErrorCode::refused,
                   fmt::format("{}.{}: what an amount of money is depends on the server's locale",
                               made.source.name, column.name),
                   "say what a value becomes: `using:`, and `inverse:`"};
    }
    note_blanks(made, column.name, of, before, after);
    casts = casts && !casts_otherwise(column.declared, name_of_type);
    column.declared = name_of_type;
    column.holds = kind_of(type_of(column.declared));
    column.collation.clear();
  }
  if (is_divided) {
    ddl += fmt::format(like, unlogged, sql, shaped, " PARTITION BY " + made.source.partitioned_by);
    ddl += sequences_like(quote_text(shaped) + "::regclass", sql);
    ddl += fmt::format("DROP TABLE {};\n", shaped);
    std::set<std::string> retyped;
    for (const auto& [column, from] : made.columns) retyped.insert(column);
    ASSIGN_OR_RETURN(const std::string partitions,
                     partitions_ddl(connection, made.source.name, members, name, retyped));
    ddl += partitions;
  }
  ASSIGN_OR_RETURN(const IndexDdl indexes, indexes_for(connection, made.source.key, members, name));
  ddl += indexes.key + ";\n";
  ddl += fmt::format(
      "INSERT INTO whimbrel.retyped (root, source, target, source_oid, target_oid, shape, books, "
      "casts) SELECT {}, {}, {}, {}, {}::regclass, {}, {}, {}",
      quote_text(root_of(columns)), quote_text(made.source.name), quote_text(target.name), oid,
      quote_text(sql), quote_text(*shape.at(0).at(0)), quote_text(array_of(books)), casts);
  for (AssumedKey& key : made.source.assumed_keys) {
    if (!are_put_right(key)) continue;
    ASSIGN_OR_RETURN(key.referred_by, referring_to(connection, oid, columns));
    ASSIGN_OR_RETURN(
        const std::string orphans,
        orphans_ddl(connection, oid, made.source, key, column_of(target, key.column).declared));
    ddl += ";\n" + orphans;
  }
  // What was made already is as it is there; somebody may have changed the old one since.
  const Result<TableSchema> there = describe(connection, target.name);
  if (there.ok()) target.columns = there.value().columns;
  target.create_ddl = std::move(ddl);
  target.index_ddl = indexes.others;
  target.key_index_ddl.clear();  // it is part of the table's own text
  return made;
}

// The columns of a table that was begun, each with the one of the plan's that its values are of.
std::vector<std::pair<std::string, std::size_t>> columns_in(
    const Cell& books, const std::vector<RetypedColumn>& columns) {
  std::vector<std::pair<std::string, std::size_t>> all;
  const Cells cells = cells_of(*books);  // column, book, column, book
  for (std::size_t i = 0; i + 1 < cells.size(); i += 2) {
    const auto of = std::ranges::find(columns, *cells[i + 1], own_book);
    if (of == columns.end()) continue;
    all.emplace_back(*cells[i], static_cast<std::size_t>(of - columns.begin()));
  }
  return all;
}

Error column_is_gone(const std::string& table, const std::string& column) {
  return Error{ErrorCode::refused,
               fmt::format("{} had the column `{}` when this migration began, and somebody has "
                           "dropped or renamed it since",
                           table, column),
               "give the column its name back, or add it again with the type that it had",
               "nothing was changed"};
}

// The tables of a retype that was begun: what they are is known, whatever they are called.
Result<std::vector<RetypedTable>> begun_tables(Connection& connection, Sessions& sessions,
                                               const std::vector<RetypedColumn>& columns) {
  std::vector<RetypedTable> all;
  ASSIGN_OR_RETURN(const auto rows,
                   connection.query("SELECT source, target, books FROM whimbrel.retyped WHERE "
                                    "root = $1 AND swapped ORDER BY ctid",
                                    {root_of(columns)}));
  for (const Cells& row : rows) {
    RetypedTable one;
    ASSIGN_OR_RETURN(one.source, describe(connection, *row[0]));
    ASSIGN_OR_RETURN(one.target, describe(connection, *row[1]));
    one.columns = columns_in(row[2], columns);
    for (const auto& [name, from] : one.columns) {
      for (const TableSchema* side : {&one.source, &one.target}) {
        if (side->column_index(name) < 0) return column_is_gone(*row[0], name);
      }
      const RetypedColumn& of = columns[from];
      ASSIGN_OR_RETURN(const bool is_spelled, is_respelled(of, one.source.name + "." + name,
                                                           column_of(one.source, name).declared,
                                                           column_of(one.target, name).declared));
      if (is_spelled) one.respelled.push_back(respelling(sessions, name, of, false));
      note_blanks(one, name, of, type_of(column_of(one.source, name).declared),
                  type_of(column_of(one.target, name).declared));
    }
    all.push_back(std::move(one));
  }
  return all;
}

// What has a new table already stays of it, also where a foreign key that has led there is gone.
Status add_prepared(Connection& connection, const std::vector<RetypedColumn>& columns,
                    Wanted& wanted) {
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query("SELECT source_oid, books FROM whimbrel.retyped WHERE root = $1 AND NOT "
                       "swapped AND EXISTS (SELECT FROM pg_class WHERE oid = source_oid)",
                       {root_of(columns)}));
  for (const Cells& row : rows) {
    for (const auto& [name, from] : columns_in(row[1], columns)) {
      ASSIGN_OR_RETURN(const std::string type, type_named(connection, columns[from].to));
      wanted.emplace(std::pair{*row[0], name}, Becomes{type, from});
    }
  }
  return {};
}

// Two exchanges of one table would each undo what the other has made.
Status nobody_else_retypes(Connection& connection, const std::vector<RetypedColumn>& columns,
                           const Wanted& wanted) {
  Cells oids;
  for (const auto& [column, becomes] : wanted) oids.emplace_back(column.first);
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query("SELECT source FROM whimbrel.retyped WHERE root <> $1 AND (source_oid = ANY "
                       "($2::oid[]) OR target_oid = ANY ($2::oid[])) ORDER BY source LIMIT 1",
                       {root_of(columns), array_of(oids)}));
  if (rows.empty()) return {};
  return Error{ErrorCode::refused,
               *rows[0][0] + " is in the hands of another plan that gives a column another type",
               "`finish` that one, or roll it back, before this one begins", "nothing was changed"};
}

// One that came since and could not be given another type: it keeps nobody from going back, and
// whoever goes on is told that it is not prepared.
Result<RetypedTable> unprepared_table(Connection& connection, const std::string& oid) {
  ASSIGN_OR_RETURN(
      const auto name,
      connection.query("SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n "
                       "ON n.oid = c.relnamespace WHERE c.oid = $1::oid",
                       {oid}));
  const TableName is{*name.at(0).at(0), *name.at(0).at(1)};
  RetypedTable made;
  ASSIGN_OR_RETURN(made.source, describe(connection, spelled(is)));
  if (made.source.key.empty()) made.source.key = made.source.column_names();
  made.target = made.source;
  made.target.name = spelled({new_schema(is.schema), is.table});
  return made;
}

// In the same order; those that are gone are left out.
Result<std::vector<std::string>> oids_of(Connection& connection,
                                         const std::vector<std::string>& tables) {
  std::vector<std::string> all;
  for (const std::string& table : tables) {
    const Result<Place> place = place_of(connection, table);
    if (place.ok()) {
      all.push_back(place.value().oid);
    } else if (place.error().code != ErrorCode::not_found) {
      return place.error();
    }
  }
  return all;
}

}  // namespace

// The server quotes a name only where it has to.
std::optional<std::string> index_for(const std::string& index_ddl, const TableName& table,
                                     const std::string& sql) {
  for (const std::string only : {"", "ONLY "}) {
    for (const std::string& schema : {table.schema, quote_name(table.schema)}) {
      for (const std::string& name : {table.table, quote_name(table.table)}) {
        const std::string wanted = " ON " + only + schema + "." + name + " USING ";
        const std::size_t at = index_ddl.find(wanted);
        if (at == std::string::npos) continue;
        return index_ddl.substr(0, at) + " ON " + only + sql + " USING " +
               index_ddl.substr(at + wanted.size());
      }
    }
  }
  return std::nullopt;
}

std::string shape_sql(const std::string& oid) {
  return fmt::format(
      "md5(concat((SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, "
      "a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, "
      "d.adrelid), a.attstorage, a.attcompression, col_description(a.attrelid, a.attnum), (SELECT "
      "concat_ws(' ', s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle) FROM "
      "pg_depend o JOIN pg_sequence s ON s.seqrelid = o.objid WHERE o.classid = "
      "'pg_class'::regclass AND o.refclassid = 'pg_class'::regclass AND o.refobjid = a.attrelid "
      "AND o.refobjsubid = a.attnum AND o.deptype = 'i')), "
      "',' ORDER BY a.attnum) FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid "
      "AND d.adnum = a.attnum WHERE a.attrelid = {0} AND a.attnum > 0 AND NOT a.attisdropped), "
      "(SELECT string_agg(pg_get_indexdef(i.indexrelid), ',' ORDER BY i.indexrelid) FROM pg_index "
      "i "
      "WHERE i.indrelid = {0} AND i.indisvalid), (SELECT string_agg(c.conname || "
      "pg_get_constraintdef(c.oid), ',' ORDER BY c.conname) FROM pg_constraint c WHERE c.conrelid "
      "= "
      "{0} AND c.contype IN ('p', 'u', 'c', 'x')), (SELECT concat_ws(' ', c.relpersistence, "
      "c.reloptions) FROM pg_class c WHERE c.oid = {0})))",
      oid);
}

// For what is made in the rest of a transaction; "": the database's own, whatever the role's is.
std::string in_tablespace(const std::string& name) {
  return fmt::format("SELECT pg_catalog.set_config('default_tablespace', {}, true);\n",
                     quote_text(name));
}

std::string new_schema(const std::string& schema) { return schema_of("new", schema); }
std::string old_schema(const std::string& schema) { return schema_of("old", schema); }
bool is_new_table(const std::string& name) {
  return split_name(name).schema.starts_with("whimbrel_new_");
}

Result<std::vector<RetypedTable>> retyped_tables(Connection& connection, Sessions& sessions,
                                                 const std::vector<RetypedColumn>& columns,
                                                 const std::vector<std::string>& known) {
  TRY(read_spellings(connection, sessions));
  ASSIGN_OR_RETURN(const bool begun, has_own(connection, "retyped"));
  if (begun) {
    ASSIGN_OR_RETURN(std::vector<RetypedTable> all, begun_tables(connection, sessions, columns));
    const auto place = [&](const RetypedTable& one) {
      return std::ranges::find(known, one.source.name) - known.begin();
    };
    std::ranges::stable_sort(all, {}, place);
    if (!all.empty()) return all;
  }
  std::set<std::pair<std::string, std::string>> edges;
  ASSIGN_OR_RETURN(Wanted wanted, closure_of(connection, columns, edges));
  if (begun) {
    TRY(add_prepared(connection, columns, wanted));
    TRY(nobody_else_retypes(connection, columns, wanted));
  }
  std::set<std::string> tables;
  for (const auto& [column, becomes] : wanted) tables.insert(column.first);
  std::vector<std::string> order = parents_first(tables, edges);
  ASSIGN_OR_RETURN(const std::vector<std::string> as_begun, oids_of(connection, known));
  // In the order of the journal; what somebody has made since comes last.
  const auto place = [&](const std::string& oid) {
    return std::ranges::find(as_begun, oid) - as_begun.begin();
  };
  std::ranges::stable_sort(order, {}, place);
  std::vector<RetypedTable> all;
  for (const std::string& oid : order) {
    Result<RetypedTable> one = retyped_table(connection, sessions, oid, wanted, columns);
    const bool came_late = !known.empty() && std::ranges::count(as_begun, oid) == 0;
    if (!one.ok() && came_late && one.error().code == ErrorCode::refused) {
      one = unprepared_table(connection, oid);
    }
    if (!one.ok()) return std::move(one).error();
    all.push_back(std::move(one).value());
  }
  return all;
}

Result<Dependents> dependents_of(Connection& connection, const std::vector<std::string>& oids) {
  Dependents all;
  ASSIGN_OR_RETURN(
      const auto whole,
      connection.query("SELECT oid FROM unnest($1::oid[]) oid UNION SELECT relid FROM "
                       "unnest($1::oid[]) oid, pg_partition_tree(oid::regclass) WHERE level > 0",
                       {array_of(Cells(oids.begin(), oids.end()))}));
  Cells list;
  for (const Cells& row : whole) list.push_back(row[0]);
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(
          // The tables, and the views upon them and upon each other.
          "WITH RECURSIVE going(oid) AS (SELECT unnest($1::oid[]) UNION SELECT c.oid FROM going "
          "JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.refclassid = "
          "'pg_class'::regclass AND d.refobjid = going.oid JOIN pg_rewrite r ON r.oid = d.objid "
          "JOIN pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')) "
          // What is made anew with its table; indexes, defaults and checks are part of it.
          "SELECT 'foreign key ' || quote_ident(conname) || ' of ' || conrelid::regclass::text, "
          "false FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND (conrelid = ANY "
          "($1::oid[]) OR confrelid = ANY ($1::oid[])) "
          "UNION SELECT CASE c.relkind WHEN 'm' THEN 'materialised view ' ELSE 'view ' END || "
          "c.oid::regclass::text, false FROM going JOIN pg_class c ON c.oid = going.oid WHERE "
          "c.relkind IN ('v', 'm') "
          "UNION SELECT 'partition ' || oid::regclass::text, false FROM pg_class WHERE oid = ANY "
          "($1::oid[]) AND relispartition "
          "UNION SELECT 'trigger ' || quote_ident(tgname) || ' of ' || tgrelid::regclass::text, "
          "false "
          "FROM pg_trigger WHERE tgrelid = ANY ($1::oid[]) AND NOT tgisinternal AND tgparentid = 0 "
          "AND "
          "NOT EXISTS (SELECT FROM pg_proc f WHERE f.oid = tgfoid AND f.pronamespace = "
          "to_regnamespace('whimbrel')) "
          "UNION SELECT 'rule ' || quote_ident(rulename) || ' of ' || ev_class::regclass::text, "
          "false "
          "FROM pg_rewrite WHERE ev_class = ANY ($1::oid[]) "
          "UNION SELECT 'policy ' || quote_ident(polname) || ' of ' || polrelid::regclass::text, "
          "false "
          "FROM pg_policy WHERE polrelid = ANY ($1::oid[]) "
          "UNION SELECT 'publication ' || quote_ident(p.pubname) || ' with ' || "
          "r.prrelid::regclass::text, false FROM pg_publication_rel r JOIN pg_publication p ON "
          "p.oid "
          "= r.prpubid WHERE r.prrelid = ANY ($1::oid[]) "
          "UNION SELECT 'statistics ' || stxnamespace::regnamespace::text || '.' || "
          "quote_ident(stxname), false FROM pg_statistic_ext WHERE stxrelid = ANY ($1::oid[]) "
          // What we do not know how to make anew, or may not.
          "UNION SELECT pg_describe_object(d.classid, d.objid, d.objsubid), true FROM pg_depend d "
          "WHERE (d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM going) OR "
          "d.refclassid = 'pg_type'::regclass AND d.refobjid IN (SELECT unnest(ARRAY[t.oid, "
          "t.typarray]) FROM pg_type t WHERE t.typrelid IN (SELECT oid FROM going))) AND d.deptype "
          "NOT IN ('i', 'a', 'P', 'S') AND d.classid NOT IN ('pg_constraint'::regclass, "
          "'pg_trigger'::regclass, 'pg_publication_rel'::regclass, 'pg_statistic_ext'::regclass, "
          "'pg_attrdef'::regclass) AND NOT (d.classid = 'pg_policy'::regclass AND d.refobjid = ANY "
          "($1::oid[])) AND NOT (d.classid = 'pg_rewrite'::regclass AND EXISTS (SELECT FROM "
          "pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE r.oid = d.objid AND (c.relkind "
          "IN ('v', 'm') AND r.rulename = '_RETURN' OR c.oid IN (SELECT oid FROM going)))) "
          // The new table has a sequence of its own.
          "UNION SELECT pg_describe_object(d.classid, d.objid, d.objsubid) || ', which uses the "
          "sequence of an identity column,', true FROM pg_depend o JOIN pg_class s ON s.oid = "
          "o.objid AND s.relkind = 'S' JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND "
          "d.refobjid = s.oid AND d.deptype NOT IN ('i', 'a') WHERE o.classid = "
          "'pg_class'::regclass AND o.refclassid = 'pg_class'::regclass AND o.refobjid = ANY "
          "($1::oid[]) AND o.deptype = 'i' "
          "UNION SELECT 'trigger ' || quote_ident(tgname) || ' of ' || tgrelid::regclass::text, "
          "true FROM pg_trigger WHERE NOT tgisinternal AND tgconstrrelid = ANY ($1::oid[]) AND "
          "tgconstrrelid <> tgrelid AND NOT "
          "tgrelid = ANY ($1::oid[]) "
          "UNION SELECT 'subscription ' || s.subname, true FROM pg_subscription_rel x JOIN "
          "pg_subscription s ON s.oid = x.srsubid WHERE x.srrelid = ANY ($1::oid[]) "
          "UNION SELECT 'view ' || c.oid::regclass::text || CASE c.relpersistence WHEN 't' THEN "
          "', a temporary one of another session,' ELSE ', which belongs to ' || "
          "quote_ident(pg_get_userbyid(c.relowner)) || ',' END, true FROM going JOIN pg_class c ON "
          "c.oid = going.oid WHERE c.relkind IN ('v', 'm') AND (c.relpersistence = 't' OR NOT "
          "pg_has_role(c.relowner, 'USAGE')) "
          "UNION SELECT 'publication ' || quote_ident(p.pubname) || ', which belongs to ' || "
          "quote_ident(pg_get_userbyid(p.pubowner)) || ',', true FROM pg_publication_rel r JOIN "
          "pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = ANY ($1::oid[]) AND NOT "
          "pg_has_role(p.pubowner, 'USAGE') "
          "UNION SELECT 'statistics ' || quote_ident(stxname) || ', which belong to ' || "
          "quote_ident(pg_get_userbyid(stxowner)) || ',', true FROM pg_statistic_ext WHERE "
          "stxrelid = ANY ($1::oid[]) AND NOT pg_has_role(stxowner, 'USAGE') "
          "UNION SELECT format('%s of %s, which belongs to %I,', x.what, x.of_table::regclass, "
          "pg_get_userbyid(c.relowner)), true FROM (SELECT 'foreign key ' || quote_ident(conname) "
          "AS what, conrelid AS of_table FROM pg_constraint WHERE contype = 'f' AND conparentid = "
          "0 AND confrelid = ANY ($1::oid[]) UNION SELECT 'policy ' || quote_ident(p.polname), "
          "p.polrelid FROM pg_policy p JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND "
          "d.objid = p.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY "
          "($1::oid[])) x JOIN pg_class c ON c.oid = x.of_table WHERE NOT pg_has_role(c.relowner, "
          "'USAGE') ORDER BY 1",
          {array_of(list)}));
  for (const Cells& row : rows) {
    (row[1] == "t" ? all.refused : all.rebuilt).push_back(*row[0]);
  }
  return all;
}

Result<std::vector<RetypedPair>> retyped_pairs(Connection& connection) {
  std::vector<RetypedPair> pairs;
  ASSIGN_OR_RETURN(const bool any, has_own(connection, "retyped"));
  if (!any) return pairs;
  ASSIGN_OR_RETURN(const auto rows,
                   connection.query("SELECT source, target, source_oid, target_oid, swapped FROM "
                                    "whimbrel.retyped ORDER BY source"));
  for (const Cells& row : rows) {
    pairs.push_back({*row[0], *row[1], *row[2], *row[3], row[4] == "t"});
  }
  return pairs;
}

// Somebody has dropped the table that it was to follow; the migration knows of neither any more.
Status drop_new_tables_of_none(Connection& connection) {
  ASSIGN_OR_RETURN(const bool any, has_own(connection, "retyped"));
  if (!any) return {};
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query("SELECT source, target FROM whimbrel.retyped WHERE NOT swapped "
                       "AND NOT EXISTS (SELECT FROM pg_class WHERE oid = source_oid)"));
  for (const Cells& row : rows) {
    TRY(connection.execute("DROP TABLE IF EXISTS " + quoted(split_name(*row[1]))));
    TRY(forget_pair(connection, *row[0]));
  }
  return {};
}

Status forget_pair(Connection& connection, const std::string& source) {
  ASSIGN_OR_RETURN(
      const auto gone,
      connection.query("DELETE FROM whimbrel.retyped WHERE source = $1 RETURNING books, source_oid",
                       {source}));
  for (const Cells& row : gone) {
    TRY(forget_orphans(connection, *row[1]));
    const Cells books = cells_of(*row[0]);
    for (std::size_t i = 1; i < books.size(); i += 2) TRY(forget_spellings(connection, *books[i]));
  }
  return {};
}

}  // namespace whimbrel::postgresql
