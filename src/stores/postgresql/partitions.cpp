#include "stores/postgresql/partitions.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "stores/postgresql/retype.h"
#include "stores/postgresql/rows.h"
#include "stores/postgresql/swap.h"
#include "stores/postgresql/types.h"

namespace whimbrel::postgresql {

namespace {

// What makes the same partition beside, empty and without its indexes.
Result<std::string> partition_ddl(Connection& connection, const Member& member,
                                  const std::string& made, const std::string& parent) {
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(
          "SELECT pg_get_expr(c.relpartbound, c.oid), coalesce(' PARTITION BY ' || "
          "pg_get_partkeydef(c.oid), ''), c.relpersistence, coalesce(array_to_string(c.reloptions, "
          "', '), ''), coalesce(s.spcname, ''), coalesce(' USING ' || quote_ident(m.amname), '') "
          "FROM pg_class c LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace LEFT JOIN pg_am m "
          "ON m.oid = c.relam WHERE c.oid = $1::oid",
          {member.oid}));
  const Cells& row = rows.at(0);
  std::string ddl = in_tablespace(*row[4]);
  ddl += fmt::format("CREATE {}TABLE {} PARTITION OF {} {}{}{}{};\n",
                     row[2] == "u" ? "UNLOGGED " : "", made, parent, row[0].value_or("DEFAULT"),
                     *row[1], *row[5], row[3]->empty() ? "" : " WITH (" + *row[3] + ")");
  // What it has otherwise than its table.
  ASSIGN_OR_RETURN(
      const auto columns,
      connection.query(
          "SELECT format('ALTER TABLE %s ', $2::text) || x.what FROM pg_attribute a JOIN "
          "pg_attribute p ON p.attrelid = $3::oid AND p.attname = a.attname LEFT JOIN pg_attrdef d "
          "ON d.adrelid = a.attrelid AND d.adnum = a.attnum LEFT JOIN pg_attrdef e ON e.adrelid = "
          "p.attrelid AND e.adnum = p.attnum CROSS JOIN LATERAL (SELECT format('ALTER COLUMN %I "
          "%s', a.attname, CASE WHEN d.adbin IS NULL THEN 'DROP DEFAULT' ELSE 'SET DEFAULT ' || "
          "pg_get_expr(d.adbin, d.adrelid) END) WHERE a.attgenerated = '' AND "
          "pg_get_expr(d.adbin, d.adrelid) IS DISTINCT FROM pg_get_expr(e.adbin, e.adrelid) UNION "
          "ALL SELECT format('ALTER COLUMN %I SET NOT NULL', a.attname) WHERE a.attnotnull AND NOT "
          "p.attnotnull UNION ALL SELECT format('ALTER COLUMN %I SET STORAGE %s', a.attname, CASE "
          "a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE "
          "'EXTENDED' END) WHERE a.attstorage <> p.attstorage UNION ALL SELECT format('ALTER "
          "COLUMN %I SET COMPRESSION %s', a.attname, CASE a.attcompression WHEN 'l' THEN 'lz4' "
          "WHEN 'p' THEN 'pglz' ELSE 'DEFAULT' END) WHERE a.attcompression <> p.attcompression) "
          "x(what) WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped UNION ALL "
          "SELECT format('COMMENT ON COLUMN %s.%I IS %L', $2::text, a.attname, "
          "col_description(a.attrelid, a.attnum)) FROM pg_attribute a WHERE a.attrelid = $1::oid "
          "AND a.attnum > 0 AND col_description(a.attrelid, a.attnum) IS NOT NULL UNION ALL SELECT "
          "format('ALTER TABLE %s ADD CONSTRAINT %I %s', $2::text, conname, "
          "pg_get_constraintdef(oid)) FROM pg_constraint WHERE conrelid = $1::oid AND contype = "
          "'c' AND coninhcount = 0",
          {member.oid, made, member.parent}));
  for (const Cells& one : columns) ddl += *one[0] + ";\n";
  return ddl;
}

// By its number on this side; what it is made of goes with it.
std::string noted(const std::string& source, const Member& member, const std::string& source_oid,
                  const std::string& target_oid, const std::string& shape) {
  return fmt::format(
      "INSERT INTO whimbrel.retyped_parts (source, part, source_oid, target_oid, shape) SELECT {}, "
      "{}, {}, {}, {};\n",
      quote_text(source), quote_text(spelled(member.name)), source_oid, target_oid, shape);
}

std::string regclass(const std::string& sql) { return quote_text(sql) + "::regclass"; }

// A value goes to the partition of its value, whatever that is, only where a hash says so.
Status can_be_divided(Connection& connection, const Member& member,
                      const std::set<std::string>& retyped) {
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(
          "SELECT p.partstrat, p.partexprs IS NOT NULL, pg_get_partkeydef(p.partrelid), "
          "array(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = p.partrelid "
          "AND a.attnum = ANY (p.partattrs)) FROM pg_partitioned_table p WHERE "
          "p.partrelid = $1::oid",
          {member.oid}));
  if (rows.empty()) return {};
  const Cells& row = rows[0];
  const Cells columns = cells_of(*row[3]);
  for (const std::string& column : retyped) {
    const bool is_in = std::ranges::any_of(columns, [&](const Cell& one) { return one == column; });
    const bool is_within = row[1] == "t" && row[2]->find(column) != std::string::npos;
    if (!is_within && (!is_in || row[0] == "h")) continue;
    return Error{
        ErrorCode::refused,
        fmt::format("{} is divided by {}, and {} gets another type", spelled(member.name), *row[2],
                    column),
        "bounds of the old type say nothing of values of the new one: move its rows into a "
        "table that is divided otherwise; by HASH of a column alone it can be done"};
  }
  return {};
}

// Keys of a partition alone would lead from or to one of the old type.
Status has_no_keys_of_its_own(Connection& connection, const std::vector<Member>& members) {
  ASSIGN_OR_RETURN(const bool unsettled, has_to_settle(connection));
  if (unsettled) return {};
  Cells partitions;
  for (const Member& member : members) {
    if (!member.parent.empty()) partitions.emplace_back(member.oid);
  }
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query("SELECT quote_ident(conname), conrelid::regclass, confrelid::regclass FROM "
                       "pg_constraint WHERE contype = 'f' AND conparentid = 0 AND (conrelid = ANY "
                       "($1::oid[]) OR confrelid = ANY ($1::oid[])) ORDER BY 1 LIMIT 1",
                       {array_of(partitions)}));
  if (rows.empty()) return {};
  return Error{
      ErrorCode::refused,
      fmt::format("the foreign key {} of {}, which refers to {}, is one of a partition alone",
                  *rows[0][0], *rows[0][1], *rows[0][2]),
      "make it one of the whole table, or drop it until the end"};
}

// Of the partitions that have one in the place of another's, where the server has named it.
Result<bool> name_some_indexes(Connection& connection, const std::string& lead,
                               const std::string& follow) {
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(
          "WITH sides AS (SELECT l.relid AS lead, f.relid AS follow FROM "
          "pg_partition_tree($1::oid::regclass) l JOIN pg_class lc ON lc.oid = l.relid JOIN "
          "whimbrel.retyped_parts p ON l.relid IN (p.source_oid, p.target_oid) JOIN "
          "pg_partition_tree($2::oid::regclass) f ON f.relid IN (p.source_oid, p.target_oid) UNION "
          "ALL SELECT $1::oid, $2::oid), indexes AS (SELECT s.lead, li.indexrelid AS lead_index, "
          "s.follow FROM sides s JOIN pg_index li ON li.indrelid = s.lead), named AS (SELECT "
          "i.lead_index, fi.indexrelid AS follow_index FROM indexes i JOIN pg_inherits lh ON "
          "lh.inhrelid = i.lead_index JOIN pg_index fi ON fi.indrelid = i.follow JOIN pg_inherits "
          "fh ON fh.inhrelid = fi.indexrelid WHERE (SELECT relname FROM pg_class WHERE oid = "
          "lh.inhparent) = (SELECT relname FROM pg_class WHERE oid = fh.inhparent)) SELECT "
          "n.follow_index, quote_ident(s.nspname), quote_ident(f.relname), quote_ident(l.relname) "
          "FROM named n JOIN pg_class l ON l.oid = n.lead_index JOIN pg_class f ON f.oid = "
          "n.follow_index JOIN pg_namespace s ON s.oid = f.relnamespace WHERE l.relname <> "
          "f.relname",
          {lead, follow}));
  // One may have the name that another one is to have.
  for (const Cells& row : rows) {
    TRY(connection.execute(
        fmt::format("ALTER INDEX {}.{} RENAME TO whimbrel_{}", *row[1], *row[2], *row[0])));
  }
  for (const Cells& row : rows) {
    TRY(connection.execute(
        fmt::format("ALTER INDEX {}.whimbrel_{} RENAME TO {}", *row[1], *row[0], *row[3])));
  }
  return !rows.empty();
}

// The default partition of the side that follows may still have rows that the other side has moved
// into the new one, where they are noted.
Status make_room(Connection& connection, const Member& member, const std::string& parent) {
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query("SELECT partdefid::regclass, pg_get_partition_constraintdef($2::oid) FROM "
                       "pg_partitioned_table WHERE partrelid = $1::text::regclass AND partdefid <> "
                       "0",
                       {parent, member.oid}));
  if (rows.empty() || !rows[0][1]) return {};
  TRY(connection.execute(mark_own));
  TRY(connection.execute(fmt::format("DELETE FROM {} WHERE {}", *rows[0][0], *rows[0][1])));
  return connection.execute("SET LOCAL whimbrel.own = ''");
}

// Those that are part of no index of the table.
Status make_own_indexes(Connection& connection, const Member& member, const std::string& made) {
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query("SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i WHERE i.indrelid = "
                       "$1::oid AND i.indisvalid AND NOT EXISTS (SELECT FROM pg_inherits WHERE "
                       "inhrelid = i.indexrelid) AND NOT EXISTS (SELECT FROM pg_constraint WHERE "
                       "conindid = i.indexrelid AND conrelid = i.indrelid)",
                       {member.oid}));
  for (const Cells& row : rows) {
    const std::optional<std::string> ddl = index_for(*row[0], member.name, made);
    if (ddl) TRY(connection.execute(*ddl));
  }
  return {};
}

}  // namespace

// An index of a part is known by the one that it is part of, which may have to be named first.
Status name_indexes(Connection& connection, const std::string& lead, const std::string& follow) {
  constexpr int depth_max = 10;
  for (int depth = 0; depth < depth_max; ++depth) {
    ASSIGN_OR_RETURN(const bool any, name_some_indexes(connection, lead, follow));
    if (!any) break;
  }
  return {};
}

Result<std::vector<Member>> members_of(Connection& connection, const std::string& oid) {
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(
          "SELECT c.oid, CASE WHEN c.oid <> $1::oid THEN t.parentrelid::oid END, "
          "n.nspname, c.relname, c.relkind FROM (SELECT relid, parentrelid, level FROM "
          "pg_partition_tree($1::oid::regclass) UNION ALL SELECT oid, NULL, 0 FROM "
          "pg_class WHERE oid = $1::oid AND relkind <> 'p') t JOIN pg_class c ON c.oid "
          "= t.relid JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY t.level, "
          "c.relname, c.oid",
          {oid}));
  std::vector<Member> members;
  for (const Cells& row : rows) {
    if (!members.empty() && members.back().oid == *row[0]) continue;
    members.push_back({*row[0], row[1].value_or(""), {*row[2], *row[3]}, row[4] == "p"});
    if (row[4] == "r" || row[4] == "p") continue;
    return Error{ErrorCode::refused,
                 spelled(members.back().name) + " is a partition, and no table of this server",
                 "detach it until the end"};
  }
  return members;
}

Result<std::string> partitions_ddl(Connection& connection, const std::string& source,
                                   const std::vector<Member>& members, const TableName& target,
                                   const std::set<std::string>& retyped) {
  std::string ddl;
  if (members.size() < 2 && !members.front().is_divided) return ddl;
  TRY(has_no_keys_of_its_own(connection, members));
  std::map<std::string, std::string> made = {{members.front().oid, quoted(target)}};
  for (const Member& member : members) {
    TRY(can_be_divided(connection, member, retyped));
    if (member.parent.empty()) continue;
    const TableName name{new_schema(member.name.schema), member.name.table};
    made[member.oid] = quoted(name);
    ddl += fmt::format("CREATE SCHEMA IF NOT EXISTS {};\n", quote_name(name.schema));
    ASSIGN_OR_RETURN(const std::string one,
                     partition_ddl(connection, member, quoted(name), made.at(member.parent)));
    ddl += one;
    ASSIGN_OR_RETURN(const auto shape, connection.query("SELECT " + shape_sql(member.oid)));
    ddl +=
        noted(source, member, member.oid, regclass(quoted(name)), quote_text(*shape.at(0).at(0)));
  }
  return ddl;
}

// Those of the partitions come first: the one of the table finds them then and makes none.
Result<IndexDdl> indexes_for(Connection& connection, const std::vector<std::string>& key,
                             const std::vector<Member>& members, const TableName& target) {
  Cells oids;
  std::map<std::string, const Member*> by_oid;
  for (const Member& member : members) {
    oids.emplace_back(member.oid);
    by_oid[member.oid] = &member;
  }
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(
          "SELECT quote_ident(c.relname), x.conname IS NOT NULL, pg_get_constraintdef(x.oid), "
          "pg_get_indexdef(i.indexrelid), i.indisprimary OR (SELECT array_agg(a.attname::text "
          "ORDER BY k.at) FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(attnum, at) "
          "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum) = $2::text[] "
          "AND "
          "i.indisunique AND i.indpred IS NULL, n.nspname, t.relname, coalesce((SELECT spcname "
          "FROM pg_tablespace s WHERE s.oid = c.reltablespace), ''), i.indrelid, i.indexrelid, "
          "(SELECT inhparent FROM pg_inherits WHERE inhrelid = i.indexrelid) "
          "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = "
          "i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace LEFT JOIN pg_constraint x ON "
          "x.conindid = i.indexrelid AND x.conrelid = i.indrelid AND x.contype IN ('p', 'u', 'x') "
          "WHERE i.indrelid = ANY ($1::oid[]) AND i.indisvalid ORDER BY i.indrelid <> "
          "$3::oid, i.indisprimary DESC, c.relname, i.indexrelid",
          {array_of(oids), array_of(Cells(key.begin(), key.end())), members.front().oid}));
  struct One {
    std::string sql;
    bool is_key = false;
    std::string parent;
  };
  std::map<std::string, One> all;
  std::vector<std::string> first;  // those that are part of no other, as they are told
  for (const Cells& row : rows) {
    const Member& member = *by_oid.at(*row[8]);
    const std::string sql =
        quoted(member.parent.empty() ? target : TableName{new_schema(member.name.schema), *row[6]});
    One one;
    if (row[1] == "t") {
      one.sql = fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {}", sql, *row[0], *row[2]);
    } else {
      const std::optional<std::string> moved = index_for(*row[3], {*row[5], *row[6]}, sql);
      if (!moved) return Error{ErrorCode::internal, "an index cannot be read: " + *row[3]};
      one.sql = *moved;
      const std::string only = " ON ONLY " + sql;
      if (const std::size_t at = one.sql.find(only); at != std::string::npos) {
        one.sql.erase(at + 4, 5);
      }
    }
    one.sql = in_tablespace(*row[7]) + one.sql;
    one.is_key = row[4] == "t" && member.parent.empty();
    one.parent = row[10].value_or("");
    all.emplace(*row[9], std::move(one));
    first.push_back(*row[9]);
  }
  std::map<std::string, std::map<int, std::string>> parts;  // by the first of them, and depth
  for (const std::string& index : first) {
    std::string top = index;
    int depth = 0;
    for (; all.contains(all.at(top).parent); ++depth) top = all.at(top).parent;
    if (depth > 0) parts[top][-depth] += all.at(index).sql + ";\n";
  }
  IndexDdl made;
  for (const std::string& index : first) {
    const One& one = all.at(index);
    if (all.contains(one.parent)) continue;
    std::string ddl;
    for (const auto& [depth, sql] : parts[index]) ddl += sql;
    ddl += one.sql;
    if (one.is_key && made.key.empty()) {
      made.key = ddl;
    } else {
      made.others.push_back(ddl);
    }
  }
  return made;
}

Result<std::vector<PartitionPair>> partition_pairs(Connection& connection,
                                                   const std::vector<std::string>& sources) {
  std::vector<PartitionPair> pairs;
  ASSIGN_OR_RETURN(const bool any, has_own(connection, "retyped_parts"));
  if (!any) return pairs;
  ASSIGN_OR_RETURN(const auto rows,
                   connection.query("SELECT part, source_oid, target_oid FROM "
                                    "whimbrel.retyped_parts WHERE source = ANY ($1::text[]) ORDER "
                                    "BY source, part",
                                    {array_of(Cells(sources.begin(), sources.end()))}));
  for (const Cells& row : rows) pairs.push_back({split_name(*row[0]), *row[1], *row[2]});
  return pairs;
}

Result<std::vector<std::string>> follow_partitions(Connection& connection,
                                                   const RetypedPair& pair) {
  std::vector<std::string> with_rows;
  ASSIGN_OR_RETURN(const bool any, has_own(connection, "retyped_parts"));
  if (!any) return with_rows;
  const std::string& lead = pair.swapped ? pair.target_oid : pair.source_oid;
  const std::string& follow = pair.swapped ? pair.source_oid : pair.target_oid;
  const std::string lead_column = pair.swapped ? "target_oid" : "source_oid";
  const std::string follow_column = pair.swapped ? "source_oid" : "target_oid";
  const std::string gone_sql = fmt::format(
      "SELECT p.part, f.oid::regclass::text FROM whimbrel.retyped_parts p LEFT JOIN "
      "pg_class f ON f.oid = p.{1} WHERE p.source = $1 AND p.{0} NOT IN (SELECT "
      "relid FROM pg_partition_tree($2::oid::regclass))",
      lead_column, follow_column);
  const std::string came_sql = fmt::format(
      "SELECT relid::oid::text, NULL FROM pg_partition_tree($2::oid::regclass) WHERE level > "
      "0 AND relid NOT IN (SELECT {} FROM whimbrel.retyped_parts WHERE source = $1)",
      lead_column);
  const Cells parameters = {pair.source, lead};
  ASSIGN_OR_RETURN(
      const auto different,
      connection.query(fmt::format("{} UNION ALL {}", gone_sql, came_sql), parameters));
  if (different.empty()) return with_rows;
  // Another process may be about it.
  TRY(connection.execute("LOCK TABLE whimbrel.retyped_parts IN SHARE ROW EXCLUSIVE MODE"));
  ASSIGN_OR_RETURN(const auto gone, connection.query(gone_sql, parameters));
  for (const Cells& row : gone) {
    if (row[1]) TRY(connection.execute("DROP TABLE IF EXISTS " + *row[1]));
    TRY(connection.run("DELETE FROM whimbrel.retyped_parts WHERE source = $1 AND part = $2",
                       {pair.source, row[0]}));
  }
  ASSIGN_OR_RETURN(const auto came, connection.query(came_sql, parameters));
  if (came.empty()) return with_rows;
  ASSIGN_OR_RETURN(const std::vector<Member> members, members_of(connection, lead));
  for (const Member& member : members) {
    if (std::ranges::none_of(came, [&](const Cells& row) { return row[0] == member.oid; }))
      continue;
    ASSIGN_OR_RETURN(
        const auto parent,
        connection.query(fmt::format("SELECT coalesce((SELECT {} FROM whimbrel.retyped_parts WHERE "
                                     "source = $1 AND {} = $2::oid), $3::oid)::regclass",
                                     follow_column, lead_column),
                         {pair.source, member.parent, follow}));
    const std::string& schema = member.name.schema;
    const TableName name{pair.swapped ? old_schema(schema) : new_schema(schema), member.name.table};
    TRY(make_room(connection, member, *parent.at(0).at(0)));
    TRY(connection.execute("CREATE SCHEMA IF NOT EXISTS " + quote_name(name.schema)));
    ASSIGN_OR_RETURN(const std::string ddl,
                     partition_ddl(connection, member, quoted(name), *parent.at(0).at(0)));
    TRY(connection.execute(ddl));
    const std::string made = regclass(quoted(name));
    TRY(connection.execute(noted(pair.source, member, pair.swapped ? made : member.oid,
                                 pair.swapped ? member.oid : made, shape_sql(member.oid))));
    TRY(make_own_indexes(connection, member, quoted(name)));
    if (member.is_divided) continue;
    ASSIGN_OR_RETURN(const auto rows,
                     connection.query("SELECT EXISTS (SELECT FROM " + quoted(member.name) + ")"));
    if (rows.at(0).at(0) == "t") with_rows.push_back(quoted(member.name));
  }
  TRY(name_indexes(connection, lead, follow));
  return with_rows;
}

Status forget_partitions(Connection& connection, const std::string& source) {
  ASSIGN_OR_RETURN(const bool any, has_own(connection, "retyped_parts"));
  if (!any) return {};
  const auto gone =
      connection.run("DELETE FROM whimbrel.retyped_parts WHERE source = $1", {source});
  return gone.ok() ? Status() : Status(gone.error());
}

}  // namespace whimbrel::postgresql
