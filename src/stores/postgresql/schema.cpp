#include "stores/postgresql/schema.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "stores/postgresql/types.h"

namespace whimbrel::postgresql {

namespace {

constexpr const char* columns_sql =
    "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull OR t.typnotnull, "
    "a.atthasdef AND a.attgenerated = '' OR a.attidentity <> '', a.attgenerated <> '', "
    "CASE WHEN c.collisdeterministic THEN '' ELSE coalesce(c.collname, '') END, "
    "CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END "
    "FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
    "LEFT JOIN pg_collation c ON c.oid = a.attcollation "
    "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
    "WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

// Of indexes over columns alone their columns by name; else null.
constexpr const char* indexes_sql =
    "SELECT i.indisprimary, i.indisunique, i.indimmediate AND i.indisvalid, "
    "i.indpred IS NULL AND NOT 0 = ANY (i.indkey) AND NOT i.indisexclusion, c.relname, "
    "pg_get_indexdef(i.indexrelid), "
    "(SELECT array_agg(a.attname::text ORDER BY k.at) FROM unnest(i.indkey[0:i.indnkeyatts - 1]) "
    "WITH ORDINALITY k(attnum, at) JOIN pg_attribute a ON a.attrelid = i.indrelid "
    "AND a.attnum = k.attnum), EXISTS (SELECT FROM pg_constraint x WHERE x.conindid = c.oid "
    "AND x.contype IN ('p', 'u', 'x') AND x.conrelid = i.indrelid) "
    "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1::oid "
    "ORDER BY i.indisprimary DESC, i.indnkeyatts, c.relname";

constexpr const char* foreign_keys_sql =
    "SELECT (SELECT array_agg(a.attname::text ORDER BY k.at) FROM unnest(f.conkey) WITH ORDINALITY "
    "k(attnum, at) JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum), "
    "n.nspname, c.relname, (SELECT array_agg(a.attname::text ORDER BY k.at) FROM unnest(f.confkey) "
    "WITH ORDINALITY k(attnum, at) JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = "
    "k.attnum), CASE f.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN "
    "'SET DEFAULT' WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END, CASE f.confupdtype WHEN 'c' THEN "
    "'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' WHEN 'r' THEN 'RESTRICT' ELSE "
    "'NO ACTION' END, f.conname, pg_get_constraintdef(f.oid), format('FOREIGN KEY (%s) REFERENCES "
    "%s(%s)', (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.at) FROM unnest(f.conkey) "
    "WITH ORDINALITY k(attnum, at) JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = "
    "k.attnum), f.confrelid::regclass, (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY "
    "k.at) FROM unnest(f.confkey) WITH ORDINALITY k(attnum, at) JOIN pg_attribute a ON a.attrelid "
    "= f.confrelid AND a.attnum = k.attnum)) FROM pg_constraint f JOIN pg_class c ON c.oid = "
    "f.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE f.contype = 'f' AND "
    "f.conrelid = $1::oid AND NOT EXISTS (SELECT FROM pg_constraint w WHERE w.oid = f.conparentid "
    "AND w.conrelid = f.conrelid) ORDER BY f.conname";

bool yes(const Cell& cell) { return cell == "t"; }

std::vector<std::string> names_of(const Cell& array) {
  std::vector<std::string> names;
  if (!array) return names;
  for (Cell& name : cells_of(*array)) names.push_back(std::move(name).value_or(""));
  return names;
}

Status learn_indexes(Connection& connection, const Place& place, TableSchema& table) {
  ASSIGN_OR_RETURN(const auto indexes, connection.query(indexes_sql, {place.oid}));
  const auto is_never_null = [&](const std::vector<std::string>& columns) {
    return std::ranges::none_of(columns, [&](const std::string& name) {
      const int at = table.column_index(name);
      return at < 0 || table.columns[static_cast<std::size_t>(at)].nullable;
    });
  };
  for (const Cells& index : indexes) {
    const bool plain = yes(index[3]);
    const std::vector<std::string> columns = names_of(index[6]);
    const bool backs_constraint = yes(index[7]);
    const bool stands_alone = !yes(index[0]) && !backs_constraint;
    const bool is_key =
        yes(index[1]) && plain && table.key.empty() && yes(index[2]) && is_never_null(columns);
    if (stands_alone && !is_key) table.index_ddl.push_back(*index[5]);
    if (!yes(index[1])) continue;
    if (!plain) {
      table.other_uniques.push_back(*index[4]);
    } else if (is_key) {
      table.key = columns;
      if (!backs_constraint) table.key_index_ddl = *index[5];
    } else {
      table.uniques.push_back(columns);
    }
  }
  return {};
}

Status learn_relations(Connection& connection, const Place& place, TableSchema& table) {
  ASSIGN_OR_RETURN(const auto foreign_keys, connection.query(foreign_keys_sql, {place.oid}));
  for (const Cells& one : foreign_keys) {
    ForeignKey key{names_of(one[0]), spelled({*one[1], *one[2]}), names_of(one[3]), *one[4],
                   *one[5]};
    key.name = *one[6];
    if (one[7]->starts_with(*one[8])) key.options = one[7]->substr(one[8]->size());
    const std::string_view unproven = " NOT VALID";
    if (key.options.ends_with(unproven)) {
      key.options.resize(key.options.size() - unproven.size());
    }
    table.foreign_keys.push_back(std::move(key));
  }
  ASSIGN_OR_RETURN(const auto children,
                   connection.query("SELECT DISTINCT n.nspname, c.relname FROM pg_constraint f "
                                    "JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON "
                                    "n.oid = c.relnamespace WHERE f.contype = 'f' AND "
                                    "f.confrelid = $1::oid AND f.conrelid <> f.confrelid",
                                    {place.oid}));
  for (const Cells& one : children) table.referenced_by.push_back(spelled({*one[0], *one[1]}));
  ASSIGN_OR_RETURN(
      const auto triggers,
      connection.query("SELECT t.tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t WHERE "
                       "t.tgrelid = $1::oid AND NOT t.tgisinternal AND "
                       "NOT EXISTS (SELECT FROM pg_proc f WHERE f.oid = t.tgfoid AND "
                       "f.pronamespace = to_regnamespace('whimbrel')) ORDER BY t.tgname",
                       {place.oid}));
  for (const Cells& one : triggers) {
    table.triggers.push_back(*one[0]);
    table.trigger_ddl.push_back(*one[1]);
  }
  ASSIGN_OR_RETURN(
      const auto views,
      connection.query("SELECT DISTINCT n.nspname, c.relname FROM pg_depend d JOIN pg_rewrite r ON "
                       "r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n "
                       "ON n.oid = c.relnamespace WHERE d.classid = 'pg_rewrite'::regclass AND "
                       "d.refclassid = 'pg_class'::regclass AND d.refobjid = $1::oid AND "
                       "c.oid <> d.refobjid",
                       {place.oid}));
  for (const Cells& one : views) table.views.push_back(spelled({*one[0], *one[1]}));
  return {};
}

}  // namespace

Result<TableSchema> describe(Connection& connection, const std::string& name) {
  ASSIGN_OR_RETURN(const Place place, place_of(connection, name));
  TableSchema table;
  const TableName wanted = split_name(name);
  table.name = spelled({wanted.schema.empty() ? place.name.schema : wanted.schema, wanted.table});
  ASSIGN_OR_RETURN(const auto columns, connection.query(columns_sql, {place.oid}));
  for (const Cells& row : columns) {
    ColumnSchema column;
    column.name = *row[0];
    column.declared = *row[1];
    column.nullable = !yes(row[2]);
    column.has_default = yes(row[3]);
    column.generated = yes(row[4]);
    column.collation = row[5].value_or("");
    column.default_sql = row[6].value_or("");
    column.holds = kind_of(type_of(column.declared));
    table.columns.push_back(std::move(column));
  }
  table.strict = true;
  TRY(learn_indexes(connection, place, table));
  TRY(learn_relations(connection, place, table));
  ASSIGN_OR_RETURN(const auto checks,
                   connection.query("SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = "
                                    "$1::oid AND contype IN ('c', 'x'))",
                                    {place.oid}));
  table.has_checks = yes(checks.at(0).at(0));
  ASSIGN_OR_RETURN(table.create_ddl, ddl_of(connection, table, place, table.name));
  ASSIGN_OR_RETURN(const auto parts,
                   connection.query("SELECT pg_get_partkeydef($1::oid) WHERE EXISTS (SELECT FROM "
                                    "pg_partitioned_table WHERE partrelid = $1::oid)",
                                    {place.oid}));
  if (!parts.empty()) table.partitioned_by = *parts[0][0];
  return table;
}

namespace {

// A line for each column. Numbers from a sequence that belongs to the column alone are said as a
// serial column, which makes its own: a default would name the sequence of this table. One that
// counts otherwise is said as an identity with its options.
constexpr const char* columns_ddl_sql =
    "SELECT quote_ident(a.attname) || ' ' || CASE WHEN own.is_plain THEN substr("
    "a.atttypid::regtype::text, 1, position('int' in a.atttypid::regtype::text) - 1) || 'serial' "
    "ELSE format_type(a.atttypid, a.atttypmod) END || CASE WHEN a.attcollation <> t.typcollation "
    "AND a.attcollation <> 0 THEN ' COLLATE ' || (SELECT quote_ident(n.nspname) || '.' || "
    "quote_ident(c.collname) FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace "
    "WHERE c.oid = a.attcollation) ELSE '' END || CASE WHEN a.attgenerated <> '' THEN ' GENERATED "
    "ALWAYS AS (' || pg_get_expr(d.adbin, d.adrelid) || CASE a.attgenerated WHEN 's' THEN ') "
    "STORED' ELSE ') VIRTUAL' END WHEN own.is_plain AND a.attidentity = '' THEN '' WHEN own.oid IS "
    "NOT NULL THEN format(' GENERATED %s AS IDENTITY', CASE a.attidentity WHEN 'a' THEN 'ALWAYS' "
    "ELSE 'BY DEFAULT' END) || CASE WHEN own.is_usual THEN '' ELSE own.options END WHEN d.adbin IS "
    "NOT NULL THEN ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) ELSE '' END || CASE WHEN "
    "a.attnotnull THEN ' NOT NULL' ELSE '' END FROM pg_attribute a JOIN pg_type t ON t.oid = "
    "a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum LEFT JOIN "
    "LATERAL (SELECT *, is_usual AND a.attidentity = '' AS is_plain FROM (SELECT e.objid AS oid, "
    "(q.seqstart, q.seqincrement, q.seqmin, q.seqcache, q.seqcycle) = (1, 1, 1, 1, false) AND "
    "q.seqmax IN (32767, 2147483647, 9223372036854775807) AS is_usual, format(' (START WITH %s "
    "INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s)', q.seqstart, q.seqincrement, q.seqmin, "
    "q.seqmax, q.seqcache, CASE WHEN q.seqcycle THEN ' CYCLE' END) AS options FROM pg_depend e "
    "JOIN pg_sequence q ON q.seqrelid = e.objid WHERE e.classid = 'pg_class'::regclass AND "
    "e.refclassid = 'pg_class'::regclass AND e.refobjid = a.attrelid AND e.refobjsubid = a.attnum "
    "AND (e.deptype = 'i' OR e.deptype = 'a' AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, "
    "'int8'::regtype) AND pg_get_expr(d.adbin, d.adrelid) = format('nextval(%L::regclass)', "
    "e.objid::regclass)) LIMIT 1) x) own ON true WHERE a.attrelid = $1::oid AND a.attnum > 0 AND "
    "NOT a.attisdropped ORDER BY a.attnum";

}  // namespace

Result<std::string> ddl_of(Connection& connection, const TableSchema&, const Place& place,
                           const std::string& name) {
  ASSIGN_OR_RETURN(const auto columns, connection.query(columns_ddl_sql, {place.oid}));
  ASSIGN_OR_RETURN(
      const auto constraints,
      connection.query("SELECT 'CONSTRAINT ' || quote_ident(conname) || ' ' || "
                       "pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::oid AND "
                       "contype IN ('p', 'u', 'c', 'x') ORDER BY contype = 'c', conname",
                       {place.oid}));
  std::vector<std::string> parts;
  for (const Cells& one : columns) parts.push_back("  " + *one[0]);
  for (const Cells& one : constraints) parts.push_back("  " + *one[0]);
  return fmt::format("CREATE TABLE {} (\n{}\n)", quoted(split_name(name)), join(parts, ",\n"));
}

}  // namespace whimbrel::postgresql
