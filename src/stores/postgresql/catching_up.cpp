#include "stores/postgresql/catching_up.h"

#include <fmt/format.h>

#include "base/text.h"
#include "stores/postgresql/names.h"
#include "stores/postgresql/rows.h"
#include "stores/postgresql/schema.h"
#include "stores/postgresql/types.h"

namespace whimbrel::postgresql {

namespace {

constexpr std::int64_t rows_at_once = 10'000;

// One table of an exchange, as SQL.
struct Late {
  std::string keys;  // a SELECT of the noted keys, each a text[]; its parameters are two
  Cells parameters;
  std::string logged;  // the same notes, to be marked
  std::string from;
  std::string to;
  std::string columns;
  std::string values;    // of "f"
  std::string is_other;  // of "f" and "t": a value that came would lead back to another one
  std::string from_key;  // "f"'s is the noted one, "k"
  std::string to_key;
};

class CatchUp {
 public:
  CatchUp(Connection& connection, bool back, const std::string& snapshot)
      : connection_(connection), back_(back), snapshot_(snapshot) {}

  // Unset where nothing notes the table.
  Result<std::optional<Late>> late(const RetypedPair& pair) {
    const std::string& from_oid = back_ ? pair.target_oid : pair.source_oid;
    const std::string& to_oid = back_ ? pair.source_oid : pair.target_oid;
    ASSIGN_OR_RETURN(const auto logs,
                     connection_.query("SELECT DISTINCT replace(tgname, 'whimbrel_note_', 'log_') "
                                       "FROM pg_trigger WHERE tgrelid = $1::oid AND tgname ~ "
                                       "'^whimbrel_note_[0-9a-f]+$'",
                                       {from_oid}));
    if (logs.size() != 1) return std::optional<Late>();
    Late late;
    late.parameters = {snapshot_, back_ ? pair.target : pair.source};
    late.logged = "whimbrel." + quote_name(*logs[0][0]);
    late.keys = fmt::format("SELECT DISTINCT key FROM {} WHERE {}", late.logged, noted);
    ASSIGN_OR_RETURN(late.from, place(from_oid));
    ASSIGN_OR_RETURN(late.to, place(to_oid));
    TRY(name_columns(from_oid, to_oid, late));
    TRY(name_keys(pair, late));
    return std::optional(std::move(late));
  }

  static constexpr const char* noted =
      "xid >= pg_snapshot_xmin($1::pg_snapshot) AND NOT pg_visible_in_snapshot(xid, "
      "$1::pg_snapshot) AND of_table = $2 AND NOT own";

 private:
  Result<std::string> place(const std::string& oid) {
    ASSIGN_OR_RETURN(const auto rows,
                     connection_.query("SELECT n.nspname, c.relname FROM pg_class c JOIN "
                                       "pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = "
                                       "$1::oid",
                                       {oid}));
    return quoted({*rows.at(0).at(0), *rows.at(0).at(1)});
  }

  Status name_columns(const std::string& from_oid, const std::string& to_oid, Late& late) {
    ASSIGN_OR_RETURN(
        const auto rows,
        connection_.query(
            "SELECT f.attname, format_type(f.atttypid, f.atttypmod), format_type(t.atttypid, "
            "t.atttypmod) FROM pg_attribute f JOIN pg_attribute t ON t.attname = f.attname WHERE "
            "f.attrelid = $1::oid AND t.attrelid = $2::oid AND f.attnum > 0 AND t.attnum > 0 AND "
            "NOT f.attisdropped AND NOT t.attisdropped AND f.attgenerated = '' ORDER BY f.attnum",
            {from_oid, to_oid}));
    std::vector<std::string> columns;
    std::vector<std::string> values;
    std::vector<std::string> others;
    for (const Cells& row : rows) {
      const std::string name = quote_name(*row[0]);
      columns.push_back(name);
      values.push_back(row[1] == row[2] ? "f." + name : fmt::format("f.{}::{}", name, *row[2]));
      if (row[1] == row[2]) continue;
      others.push_back(fmt::format("t.{0}::{1}::text IS DISTINCT FROM f.{0}::text", name, *row[1]));
    }
    late.columns = join(columns, ", ");
    late.values = join(values, ", ");
    late.is_other = others.empty() ? "false" : join(others, " OR ");
    return {};
  }

  // By the key that the notes go by.
  Status name_keys(const RetypedPair& pair, Late& late) {
    ASSIGN_OR_RETURN(const TableSchema from,
                     describe(connection_, back_ ? pair.target : pair.source));
    ASSIGN_OR_RETURN(const TableSchema to,
                     describe(connection_, back_ ? pair.source : pair.target));
    std::vector<std::string> from_parts;
    std::vector<std::string> to_parts;
    for (std::size_t i = 0; i < from.key.size(); ++i) {
      const std::string name = quote_name(from.key[i]);
      const std::string& from_type = column_of(from, from.key[i]).declared;
      const std::string& to_type = column_of(to, from.key[i]).declared;
      const std::string key = fmt::format("k.key[{}]::{}", i + 1, from_type);
      from_parts.push_back(fmt::format("f.{} = {}", name, key));
      to_parts.push_back(
          fmt::format("t.{} = {}", name, from_type == to_type ? key : key + "::" + to_type));
    }
    late.from_key = join(from_parts, " AND ");
    late.to_key = join(to_parts, " AND ");
    return {};
  }

  Connection& connection_;
  bool back_;
  const std::string& snapshot_;
};

Result<bool> all_are_casts(Connection& connection, const std::vector<RetypedPair>& pairs) {
  Cells sources;
  for (const RetypedPair& pair : pairs) sources.emplace_back(pair.source);
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query("SELECT bool_and(casts) FROM whimbrel.retyped WHERE source = ANY ($1)",
                       {array_of(sources)}));
  return rows.at(0).at(0) == "t";
}

}  // namespace

Result<bool> catch_up(Connection& connection, const std::vector<RetypedPair>& pairs, bool back,
                      const std::string& snapshot) {
  ASSIGN_OR_RETURN(const bool casts, all_are_casts(connection, pairs));
  if (!casts) return false;
  CatchUp work(connection, back, snapshot);
  std::vector<Late> tables;
  std::int64_t rows = 0;
  for (const RetypedPair& pair : pairs) {
    ASSIGN_OR_RETURN(std::optional<Late> late, work.late(pair));
    if (!late) return false;
    ASSIGN_OR_RETURN(
        const auto counted,
        connection.query(fmt::format("SELECT count(*) FROM ({}) k", late->keys), late->parameters));
    rows += std::stoll(*counted.at(0).at(0));
    tables.push_back(*std::move(late));
  }
  if (rows == 0) return true;
  if (rows > rows_at_once) return false;
  TRY(connection.execute(mark_own));
  // Where the role may: nothing fires, and foreign keys have no say.
  TRY(connection.execute(
      "DO LANGUAGE plpgsql 'BEGIN PERFORM set_config(''session_replication_role'', ''replica'', "
      "true); EXCEPTION WHEN insufficient_privilege THEN NULL; END'"));
  // All that goes first: a value may have moved from one row to another.
  for (const Late& late : tables) {
    TRY(connection.run(
        fmt::format("DELETE FROM {} t USING ({}) k WHERE {}", late.to, late.keys, late.to_key),
        late.parameters));
  }
  for (const Late& late : tables) {
    TRY(connection.run(
        fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} f "
                    "JOIN ({}) k ON {}",
                    late.to, late.columns, late.values, late.from, late.keys, late.from_key),
        late.parameters));
    ASSIGN_OR_RETURN(
        const auto others,
        connection.query(
            fmt::format("SELECT EXISTS (SELECT FROM {} f JOIN ({}) k ON {} JOIN {} t "
                        "ON {} WHERE {})",
                        late.from, late.keys, late.from_key, late.to, late.to_key, late.is_other),
            late.parameters));
    if (others.at(0).at(0) == "t") return false;
  }
  // Whoever reads the notes later has nothing to do with these.
  for (const Late& late : tables) {
    TRY(connection.run(
        fmt::format("UPDATE {} SET own = true WHERE {}", late.logged, CatchUp::noted),
        late.parameters));
  }
  TRY(connection.execute(
      "DO LANGUAGE plpgsql 'BEGIN PERFORM set_config(''session_replication_role'', ''origin'', "
      "true); EXCEPTION WHEN insufficient_privilege THEN NULL; END'; SET LOCAL whimbrel.own = ''"));
  return true;
}

}  // namespace whimbrel::postgresql
