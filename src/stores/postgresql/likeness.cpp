#include "stores/postgresql/likeness.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/counted.h"
#include "base/text.h"
#include "stores/postgresql/names.h"
#include "stores/postgresql/retype.h"
#include "stores/postgresql/types.h"

namespace whimbrel::postgresql {

namespace {

// Names of relations that the new table's indexes get, each once.
class FreeNames {
 public:
  FreeNames(Connection& connection, std::string old, std::string made, std::string schema,
            Promised& promised)
      : connection_(connection),
        old_(std::move(old)),
        made_(std::move(made)),
        schema_(std::move(schema)),
        promised_(promised) {}

  // `orders_mail` of `orders` is `orders_v2_mail` of `orders_v2`; a number behind it where
  // something is called so already.
  Result<std::string> like(const std::string& name) {
    std::string wanted = name;
    const std::size_t at = name.find(old_);
    if (old_ != made_ && at != std::string::npos) {
      wanted = name.substr(0, at) + made_ + name.substr(at + old_.size());
    }
    std::string free = fitting(wanted, "");
    for (int number = 2;; ++number) {
      ASSIGN_OR_RETURN(const bool taken, is_taken(free));
      if (!taken && promise(free)) return free;
      free = fitting(wanted, fmt::format("_{}", number));
    }
  }

 private:
  // As long as a name may be, by whole characters.
  static std::string fitting(std::string name, const std::string& suffix) {
    constexpr std::size_t name_max = 63;
    if (name.size() + suffix.size() > name_max) {
      std::size_t end = name_max - suffix.size();
      while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80) --end;
      name.resize(end);
    }
    return name + suffix;
  }

  // Another table of the plan may get it as well.
  bool promise(const std::string& name) {
    if (!given_.insert(name).second) return false;
    const auto [it, fresh] = promised_.emplace(std::pair{schema_, name}, made_);
    return fresh || it->second == made_;
  }

  Result<bool> is_taken(const std::string& name) {
    ASSIGN_OR_RETURN(
        const auto rows,
        connection_.query("SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = "
                          "c.relnamespace WHERE c.relname = $1::name AND n.nspname = $2)",
                          {name, schema_}));
    return rows.at(0).at(0) == "t";
  }

  Connection& connection_;
  std::string old_;  // the two tables
  std::string made_;
  std::string schema_;
  std::set<std::string> given_;  // to this table, now
  Promised& promised_;
};

// An identifier at `at`, as the server quotes them; `at` goes behind it.
std::string identifier_at(const std::string& text, std::size_t& at) {
  if (text[at] != '"') {
    const std::size_t begin = at;
    at = std::min(text.find(' ', at), text.size());
    return text.substr(begin, at - begin);
  }
  std::string name;
  for (++at; at < text.size(); ++at) {
    if (text[at] == '"' && (at + 1 == text.size() || text[at + 1] != '"')) break;
    if (text[at] == '"') ++at;
    name += text[at];
  }
  ++at;
  return name;
}

// `  CONSTRAINT name PRIMARY KEY (…)`: a name of an index is its schema's, that of a check is its
// table's own.
Result<std::string> constraint_like(FreeNames& names, const std::string& line) {
  std::size_t at = std::string_view("  CONSTRAINT ").size();
  const std::string name = identifier_at(line, at);
  const std::string rest = line.substr(at);
  if (rest.starts_with(" CHECK ")) return line;
  ASSIGN_OR_RETURN(const std::string free, names.like(name));
  return "  CONSTRAINT " + quote_name(free) + rest;
}

Result<std::string> index_like(FreeNames& names, const std::string& ddl, const TableName& old,
                               const std::string& made) {
  const std::string_view index = " INDEX ";
  std::size_t at = ddl.find(index);
  const std::optional<std::string> moved = index_for(ddl, old, made);
  if (at == std::string::npos || !moved) {
    return Error{ErrorCode::internal, "an index cannot be read: " + ddl};
  }
  const std::size_t begin = at += index.size();
  ASSIGN_OR_RETURN(const std::string free, names.like(identifier_at(*moved, at)));
  return moved->substr(0, begin) + quote_name(free) + moved->substr(at);
}

Error unknown_shape(const TableSchema& table) {
  return {ErrorCode::refused, "what " + table.name + " is made of is not known here"};
}

}  // namespace

Result<std::string> ddl_like(Connection& connection, const TableSchema& table,
                             const std::string& name, Promised& promised) {
  const std::size_t open = table.create_ddl.find(" (\n");
  if (open == std::string::npos) return unknown_shape(table);
  const TableName old = split_name(table.name);
  const TableName made = split_name(name);
  ASSIGN_OR_RETURN(const std::string schema, schema_of(connection, made));
  FreeNames names(connection, old.table, made.table, schema, promised);
  std::string ddl = "CREATE TABLE " + quoted(made);
  for (std::size_t at = open; at < table.create_ddl.size();) {
    const std::size_t end = std::min(table.create_ddl.find('\n', at), table.create_ddl.size());
    std::string line = table.create_ddl.substr(at, end - at);
    if (line.starts_with("  CONSTRAINT ")) {
      ASSIGN_OR_RETURN(line, constraint_like(names, line));
    }
    ddl += line + (end < table.create_ddl.size() ? "\n" : "");
    at = end + 1;
  }
  std::vector<std::string> indexes = table.index_ddl;
  if (!table.key_index_ddl.empty()) indexes.insert(indexes.begin(), table.key_index_ddl);
  for (const std::string& index : indexes) {
    ASSIGN_OR_RETURN(const std::string like, index_like(names, index, old, quoted(made)));
    ddl += ";\n" + like;
  }
  return ddl;
}

std::vector<std::string> references_of(
    const TableSchema& table, const std::string& name,
    const std::function<std::string(const ForeignKey&)>& parent_here) {
  std::vector<std::string> all;
  for (const ForeignKey& key : table.foreign_keys) {
    const std::string parent = key.name.empty() ? "" : parent_here(key);
    if (parent.empty()) continue;
    all.push_back(
        fmt::format("ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({})"
                    "{} NOT VALID",
                    quoted(split_name(name)), quote_name(key.name), name_list(key.columns),
                    quoted(split_name(parent)), name_list(key.parent_columns), key.options));
  }
  return all;
}

Status refer(Connection& connection, const TableSchema& table) {
  if (table.reference_ddl.empty()) return {};
  ASSIGN_OR_RETURN(const Place place, place_of(connection, table.name));
  TRY(connection.execute(
      "CREATE SCHEMA IF NOT EXISTS whimbrel; CREATE TABLE IF NOT EXISTS whimbrel.referring "
      "(of_table oid NOT NULL, name text NOT NULL)"));
  for (const std::string& ddl : table.reference_ddl) {
    std::size_t at = ddl.find(" ADD CONSTRAINT ") + std::string_view(" ADD CONSTRAINT ").size();
    const std::string name = identifier_at(ddl, at);
    ASSIGN_OR_RETURN(
        const auto there,
        connection.query("SELECT FROM pg_constraint WHERE conrelid = $1::oid AND conname = "
                         "$2::name AND contype = 'f'",
                         {place.oid, name}));
    if (!there.empty()) continue;
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(connection));
    // A name without a schema means what it meant when the table was made.
    TRY(connection.query("SELECT set_config('search_path', $1, true)", {connection.search_path()}));
    TRY(connection.execute(ddl));
    TRY(connection.run("INSERT INTO whimbrel.referring VALUES ($1::oid, $2)", {place.oid, name}));
    TRY(transaction.commit());
  }
  return prove_references(connection, place.oid);
}

// Rows of two tables that were read at different times may not agree yet: then it is asked again.
Status prove_references(Connection& connection, const std::string& oid) {
  ASSIGN_OR_RETURN(const bool any, has_own(connection, "referring"));
  if (!any) return {};
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query("SELECT format('ALTER TABLE %s VALIDATE CONSTRAINT %I', "
                       "k.conrelid::regclass, k.conname) FROM pg_constraint k JOIN "
                       "whimbrel.referring r ON r.of_table = k.conrelid AND r.name = k.conname "
                       "WHERE k.contype = 'f' AND NOT k.convalidated AND (k.conrelid = $1::oid OR "
                       "$1::oid = 0)",
                       {oid}));
  for (const Cells& row : rows) {
    const Status proven = connection.execute(*row[0]);
    if (!proven.ok() && connection.sqlstate() != "23503") return proven;
  }
  return {};
}

Status stop_references_to(Connection& connection, const std::string& oid) {
  ASSIGN_OR_RETURN(const bool any, has_own(connection, "referring"));
  if (!any) return {};
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query("SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::regclass, "
                       "k.conname) FROM pg_constraint k JOIN whimbrel.referring r ON r.of_table = "
                       "k.conrelid AND r.name = k.conname WHERE k.contype = 'f' AND $1::oid IN "
                       "(k.confrelid, k.conrelid)",
                       {oid}));
  for (const Cells& row : rows) TRY(connection.execute(*row[0]));
  const auto forgotten =
      connection.run("DELETE FROM whimbrel.referring WHERE of_table = $1::oid", {oid});
  return forgotten.ok() ? Status() : Status(forgotten.error());
}

Status keep_sequences_of_others(Connection& connection, const Cells& going) {
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(
          "SELECT DISTINCT format('ALTER SEQUENCE %s OWNED BY NONE', o.objid::regclass) FROM "
          "pg_depend o JOIN pg_sequence s ON s.seqrelid = o.objid JOIN pg_depend d ON d.classid = "
          "'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = o.objid "
          "JOIN pg_attrdef v ON v.oid = d.objid WHERE o.classid = 'pg_class'::regclass AND "
          "o.refclassid = 'pg_class'::regclass AND o.deptype = 'a' AND o.refobjid = ANY "
          "($1::oid[]) AND v.adrelid <> ALL ($1::oid[])",
          {array_of(going)}));
  for (const Cells& row : rows) TRY(connection.execute(*row[0]));
  return {};
}

namespace {

struct UsedSequence {
  std::string oid;
  bool is_of_key = false;  // it numbers the rows by their whole key
  bool falls = false;
  // The furthest number that a row has, as SQL; null where there is none, or where looking would
  // read a large table.
  std::string furthest;
};

// Sequences that columns of the table are numbered by. Those of a retype's tables are the
// exchange's affair.
Result<std::vector<UsedSequence>> sequences_of(Connection& connection, const std::string& table) {
  std::vector<UsedSequence> all;
  if (is_new_table(table)) return all;
  const Result<Place> place = place_of(connection, table);
  if (!place.ok()) {
    if (place.error().code == ErrorCode::not_found) return all;
    return place.error();
  }
  ASSIGN_OR_RETURN(const bool any, has_own(connection, "retyped"));
  if (any) {
    ASSIGN_OR_RETURN(const auto pairs, retyped_pairs(connection));
    if (std::ranges::count(pairs, place.value().oid, &RetypedPair::source_oid) > 0 ||
        std::ranges::count(pairs, place.value().oid, &RetypedPair::target_oid) > 0) {
      return all;
    }
  }
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(
          "SELECT s.seqrelid, EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND "
          "i.indisprimary AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum), s.seqincrement < 0, "
          "CASE WHEN c.reltuples < 100000 OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = "
          "a.attrelid AND i.indkey[0] = a.attnum AND i.indisvalid AND i.indpred IS NULL) THEN "
          "format('(SELECT %s(%I) FROM %s)::bigint', CASE WHEN s.seqincrement < 0 THEN 'min' ELSE "
          "'max' END, a.attname, a.attrelid::regclass) ELSE 'NULL::bigint' END FROM (SELECT objid, "
          "refobjid, refobjsubid FROM pg_depend WHERE classid = 'pg_class'::regclass AND "
          "refclassid "
          "= 'pg_class'::regclass AND deptype IN ('a', 'i') UNION SELECT d.refobjid, v.adrelid, "
          "v.adnum FROM pg_attrdef v JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND "
          "d.objid = v.oid AND d.refclassid = 'pg_class'::regclass) u(sequence, of_table, at) JOIN "
          "pg_sequence s ON s.seqrelid = u.sequence JOIN pg_attribute a ON a.attrelid = u.of_table "
          "AND a.attnum = u.at JOIN pg_class c ON c.oid = a.attrelid WHERE u.of_table = $1::oid",
          {place.value().oid}));
  for (const Cells& row : rows) {
    all.push_back({*row[0], row[1] == "t", row[2] == "t", *row[3]});
  }
  return all;
}

}  // namespace

Result<std::int64_t> last_number(Connection& connection, const std::string& table) {
  ASSIGN_OR_RETURN(const std::vector<UsedSequence> sequences, sequences_of(connection, table));
  for (const UsedSequence& sequence : sequences) {
    if (!sequence.is_of_key || sequence.falls) continue;
    ASSIGN_OR_RETURN(
        const auto rows,
        connection.query("SELECT coalesce(pg_sequence_last_value($1::oid), 0)", {sequence.oid}));
    return std::max<std::int64_t>(std::stoll(*rows.at(0).at(0)), 0);
  }
  return std::int64_t{0};
}

// Rows that came with their numbers have not moved a sequence. It goes on in its own steps.
Status raise_number(Connection& connection, const std::string& table, std::int64_t number) {
  ASSIGN_OR_RETURN(const std::vector<UsedSequence> sequences, sequences_of(connection, table));
  for (const UsedSequence& sequence : sequences) {
    const bool counts = sequence.is_of_key && !sequence.falls && number > 0;
    const std::string given = counts ? std::to_string(number) : "NULL";
    const auto set = connection.query(
        fmt::format("SELECT setval(seqrelid::regclass, stepped) FROM (SELECT seqrelid, seqmin, "
                    "seqmax, CASE WHEN seqincrement > 0 THEN seqstart + (v - seqstart + "
                    "seqincrement - 1) / seqincrement * seqincrement ELSE seqstart - (seqstart - v "
                    "- seqincrement - 1) / -seqincrement * -seqincrement END AS stepped FROM "
                    "(SELECT *, CASE WHEN seqincrement > 0 THEN greatest({0}::bigint, {1}) ELSE "
                    "{1} END AS v, pg_sequence_last_value(seqrelid) AS last FROM pg_sequence WHERE "
                    "seqrelid = $1::oid) s WHERE CASE WHEN seqincrement > 0 THEN v >= seqstart AND "
                    "v > coalesce(last, seqstart - 1) ELSE v <= seqstart AND v < coalesce(last, "
                    "seqstart + 1) END) x WHERE stepped BETWEEN seqmin AND seqmax",
                    given, sequence.furthest),
        {sequence.oid});
    if (!set.ok()) return set.error();
  }
  return {};
}

Status put_number_back(Connection& connection, const std::string& table, std::int64_t number) {
  ASSIGN_OR_RETURN(const std::vector<UsedSequence> sequences, sequences_of(connection, table));
  for (const UsedSequence& sequence : sequences) {
    if (!sequence.is_of_key || sequence.falls) continue;
    const auto set = connection.query(
        "SELECT setval(seqrelid::regclass, CASE $2::bigint WHEN 0 THEN seqstart ELSE "
        "greatest(least($2::bigint, seqmax), seqmin) END, $2::bigint <> 0) FROM pg_sequence WHERE "
        "seqrelid = $1::oid AND seqstart > 0",
        {sequence.oid, std::to_string(number)});
    if (!set.ok()) return set.error();
  }
  return {};
}

Result<std::vector<Dangling>> dangling(Connection& connection, const std::string& table) {
  std::vector<Dangling> told;
  ASSIGN_OR_RETURN(const Place place, place_of(connection, table));
  ASSIGN_OR_RETURN(
      const auto keys,
      connection.query(
          "SELECT f.conrelid::regclass::text, f.confrelid::regclass::text, (SELECT "
          "string_agg(format('c.%I = p.%I', a.attname, b.attname), ' AND ') FROM unnest(f.conkey, "
          "f.confkey) k(child, parent) JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum "
          "= k.child JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.parent), "
          "(SELECT string_agg(format('c.%I IS NOT NULL', a.attname), ' AND ') FROM "
          "unnest(f.conkey) k(child) JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = "
          "k.child), coalesce((SELECT string_agg(format('c.%I::text', a.attname), ', ' ORDER BY "
          "k.number) FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k(at, number) JOIN "
          "pg_attribute a ON a.attnum = k.at WHERE i.indrelid = f.conrelid AND i.indisprimary AND "
          "a.attrelid = f.conrelid), (SELECT string_agg(format('c.%I::text', a.attname), ', ') "
          "FROM "
          "unnest(f.conkey) k(child) JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = "
          "k.child)) FROM pg_constraint f WHERE f.contype = 'f' AND f.conparentid = 0 AND "
          "(f.conrelid "
          "= $1::oid OR f.confrelid = $1::oid) ORDER BY 1, 2",
          {place.oid}));
  for (const Cells& key : keys) {
    ASSIGN_OR_RETURN(
        const auto rows,
        connection.query(fmt::format(
            "SELECT k, count(*) OVER () FROM (SELECT array_to_string(ARRAY[{}], ',', 'null') AS k "
            "FROM {} c WHERE {} AND NOT EXISTS (SELECT FROM {} p WHERE {})) x ORDER BY k LIMIT {}",
            *key[4], *key[0], *key[3], *key[1], *key[2], Dangling::looked_at_max)));
    if (rows.empty()) continue;
    std::vector<std::string> of;
    for (const Cells& row : rows) of.push_back(row[0].value_or(""));
    told.push_back(Dangling::of(*key[0], *key[1], std::stoll(*rows.front()[1]), of));
  }
  return told;
}

}  // namespace whimbrel::postgresql
