#include "stores/postgresql/prerequisites.h"

#include "stores/postgresql/names.h"

namespace whimbrel::postgresql {

namespace {

// Each gives a name, what makes it, and a query that tells whether it is there. `used` are the
// types of the columns and those that they are made of, the innermost deepest.
constexpr const char* used_types =
    "WITH RECURSIVE reached(oid, depth) AS (SELECT a.atttypid, 0 FROM pg_attribute a WHERE "
    "a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped UNION SELECT x.oid, u.depth + 1 "
    "FROM reached u JOIN pg_type t ON t.oid = u.oid CROSS JOIN LATERAL (SELECT t.typelem WHERE "
    "t.typcategory = 'A' UNION ALL SELECT t.typbasetype WHERE t.typtype = 'd' UNION ALL SELECT "
    "a.atttypid FROM pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum "
    "> 0 AND NOT a.attisdropped UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = "
    "t.oid UNION ALL SELECT r.rngtypid FROM pg_range r WHERE r.rngmultitypid = t.oid) x(oid) WHERE "
    "x.oid <> 0), used AS (SELECT t.*, n.nspname, max(u.depth) AS depth FROM reached u JOIN "
    "pg_type t ON t.oid = u.oid JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname NOT "
    "IN ('pg_catalog', 'information_schema') GROUP BY t.oid, n.nspname), functions AS (SELECT "
    "DISTINCT p.oid, p.pronamespace FROM pg_depend d JOIN pg_proc p ON p.oid = d.refobjid WHERE "
    "d.refclassid = 'pg_proc'::regclass AND p.pronamespace <> 'pg_catalog'::regnamespace AND "
    "(d.classid = 'pg_attrdef'::regclass AND d.objid IN (SELECT oid FROM pg_attrdef WHERE adrelid "
    "= $1::oid) OR d.classid = 'pg_constraint'::regclass AND d.objid IN (SELECT oid FROM "
    "pg_constraint WHERE conrelid = $1::oid) OR d.classid = 'pg_class'::regclass AND d.objid IN "
    "(SELECT indexrelid FROM pg_index WHERE indrelid = $1::oid))), extensions AS (SELECT DISTINCT "
    "e.extname, e.extnamespace FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid WHERE "
    "d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND (d.classid = "
    "'pg_type'::regclass AND d.objid IN (SELECT oid FROM used) OR d.classid = 'pg_proc'::regclass "
    "AND d.objid IN (SELECT oid FROM functions))), of_extensions AS (SELECT d.classid, d.objid "
    "FROM "
    "pg_depend d WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'), sequences AS "
    "(SELECT DISTINCT c.relnamespace, s.* FROM pg_attrdef v JOIN pg_depend d ON "
    "d.classid = 'pg_attrdef'::regclass AND d.objid = v.oid AND d.refclassid = "
    "'pg_class'::regclass JOIN pg_sequence s ON s.seqrelid = d.refobjid JOIN pg_class c ON c.oid = "
    "s.seqrelid WHERE v.adrelid = $1::oid AND NOT EXISTS (SELECT FROM pg_depend o WHERE o.classid "
    "= 'pg_class'::regclass AND o.objid = s.seqrelid AND o.refclassid = 'pg_class'::regclass AND "
    "o.deptype IN ('a', 'i') AND o.refobjid = $1::oid)) ";

constexpr const char* all_sql =
    "SELECT name, made, there FROM ("
    "SELECT 1 AS step, 0 AS depth, 'the schema ' || quote_ident(n.nspname) AS name, 'CREATE SCHEMA "
    "' || quote_ident(n.nspname) AS made, format('SELECT to_regnamespace(%L) IS NOT NULL', "
    "quote_ident(n.nspname)) AS there FROM pg_namespace n WHERE n.nspname NOT IN ('public', "
    "'pg_catalog') AND n.oid IN (SELECT typnamespace FROM used UNION SELECT pronamespace FROM "
    "functions UNION SELECT extnamespace FROM extensions UNION SELECT relnamespace FROM sequences "
    "UNION SELECT relnamespace FROM pg_class WHERE oid = $1::oid) "
    "UNION ALL SELECT 2, 0, 'the extension ' || quote_ident(e.extname), format('CREATE EXTENSION "
    "%I SCHEMA %s', e.extname, e.extnamespace::regnamespace), format('SELECT EXISTS (SELECT FROM "
    "pg_extension WHERE extname = %L)', e.extname) FROM extensions e "
    "UNION ALL SELECT 3, -depth, CASE typtype WHEN 'd' THEN 'the domain ' ELSE 'the type ' END || "
    "t.oid::regtype, CASE typtype WHEN 'e' THEN format('CREATE TYPE %s AS ENUM (%s)', "
    "t.oid::regtype, (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) "
    "FROM pg_enum WHERE enumtypid = t.oid)) WHEN 'd' THEN format('CREATE DOMAIN %s AS %s%s%s%s%s', "
    "t.oid::regtype, format_type(typbasetype, typtypmod), (SELECT format(' COLLATE %s', "
    "x.oid::regcollation) FROM pg_collation x JOIN pg_type b ON b.oid = t.typbasetype WHERE x.oid "
    "= t.typcollation AND t.typcollation <> b.typcollation), ' DEFAULT ' || typdefault, CASE WHEN "
    "typnotnull THEN ' NOT NULL' END, (SELECT string_agg(format(' CONSTRAINT %I %s', conname, "
    "pg_get_constraintdef(k.oid)), '') FROM pg_constraint k WHERE contypid = t.oid AND contype = "
    "'c')) WHEN 'c' THEN format('CREATE TYPE %s AS (%s)', t.oid::regtype, (SELECT "
    "string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum) "
    "FROM pg_attribute WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped)) ELSE "
    "(SELECT format('CREATE TYPE %s AS RANGE (SUBTYPE = %s)', t.oid::regtype, "
    "r.rngsubtype::regtype) FROM pg_range r WHERE r.rngtypid = t.oid) END, format('SELECT "
    "to_regtype(%L) IS NOT NULL', t.oid::regtype) FROM used t WHERE (typtype IN ('e', 'd', 'r') OR "
    "typtype = 'c' AND EXISTS (SELECT FROM pg_class WHERE oid = t.typrelid AND relkind = 'c')) AND "
    "('pg_type'::regclass, t.oid) NOT IN (SELECT classid, objid FROM of_extensions) "
    "UNION ALL SELECT 4, 0, 'the sequence ' || seqrelid::regclass, format('CREATE SEQUENCE %s AS "
    "%s START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s', seqrelid::regclass, "
    "seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax, seqcache, CASE WHEN seqcycle THEN "
    "' CYCLE' END), format('SELECT to_regclass(%L) IS NOT NULL', seqrelid::regclass) FROM "
    "sequences "
    "UNION ALL SELECT 5, 0, 'the function ' || f.oid::regprocedure, pg_get_functiondef(f.oid), "
    "format('SELECT to_regprocedure(%L) IS NOT NULL', f.oid::regprocedure) FROM functions f WHERE "
    "('pg_proc'::regclass, f.oid) NOT IN (SELECT classid, objid FROM of_extensions)) x WHERE made "
    "IS NOT NULL ORDER BY step, depth, name";

}  // namespace

Result<std::vector<Prerequisite>> needs(Connection& connection, const std::string& table) {
  ASSIGN_OR_RETURN(const Place place, place_of(connection, table));
  ASSIGN_OR_RETURN(const auto rows,
                   connection.query(std::string(used_types) + all_sql, {place.oid}));
  std::vector<Prerequisite> all;
  for (const Cells& row : rows) all.push_back({*row[0], *row[1], *row[2]});
  return all;
}

}  // namespace whimbrel::postgresql
