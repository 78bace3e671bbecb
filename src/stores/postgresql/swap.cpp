#include "stores/postgresql/swap.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/text.h"
#include "stores/postgresql/catching_up.h"
#include "stores/postgresql/names.h"
#include "stores/postgresql/partitions.h"
#include "stores/postgresql/types.h"
#include "stores/postgresql/uncast.h"

namespace whimbrel::postgresql {

namespace {

// Statements that take something away, and those that make it anew.
struct Statements {
  std::vector<std::string> before;
  std::vector<std::string> after;
  // Those of `after` whose text the server spells by the types of the tables, by what they make.
  std::map<std::string, std::string> spelled;
};

class Exchange {
 public:
  Exchange(Hold& hold, const std::vector<RetypedPair>& pairs, bool back)
      : hold_(hold), connection_(hold.connection()), pairs_(pairs), back_(back) {
    for (const RetypedPair& pair : pairs_) {
      going_.push_back(back ? pair.target_oid : pair.source_oid);
      coming_.push_back(back ? pair.source_oid : pair.target_oid);
      names_.push_back(split_name(pair.source));
    }
    list();
  }

  Status carry_out() {
    TRY(lock());
    TRY(connection_.execute(
        "CREATE TABLE IF NOT EXISTS whimbrel.to_settle (at bigint GENERATED ALWAYS AS IDENTITY "
        "PRIMARY KEY, statement text NOT NULL); CREATE TABLE IF NOT EXISTS whimbrel.to_enable (at "
        "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, of_table oid NOT NULL, statement text "
        "NOT NULL); CREATE TABLE IF NOT EXISTS whimbrel.respelled (at bigint GENERATED ALWAYS AS "
        "IDENTITY PRIMARY KEY, now text NOT NULL, before text NOT NULL); ALTER TABLE "
        "whimbrel.to_settle ADD COLUMN IF NOT EXISTS source text; ALTER TABLE whimbrel.respelled "
        "ADD COLUMN IF NOT EXISTS source text"));
    TRY(partitions());
    TRY(they_have_their_names());
    if (back_) TRY(texts_of_before());
    TRY(back_ ? no_column_is_lost() : nobody_has_changed_them());
    if (back_) TRY(no_key_is_of_the_other_type());
    TRY(nothing_hangs_on_them());
    TRY(views());
    TRY(foreign_keys());
    TRY(sequences());
    TRY(publications());
    TRY(statistics());
    TRY(policies_of_others());
    if (back_) {
      TRY(triggers_back());
    } else {
      TRY(from_texts("triggers", triggers_sql));
      TRY(from_texts("rules", rules_sql));
      TRY(from_texts("policies", policies_sql));
      for (const TableName& name : names_) now_.after.push_back(no_rights_of_others(quoted(name)));
      TRY(from_texts("rights", rights_sql));
      TRY(from_texts("settings", settings_sql));
      TRY(from_texts("comments", comments_sql));
    }
    TRY(identities());
    for (const std::string& sql : now_.before) TRY(connection_.execute(sql));
    TRY(change_places());
    for (const std::string& sql : now_.after) TRY(make_anew(sql));
    // A sequence has the owner of its table, which has its own only now.
    for (const std::string& sql : owned_) TRY(connection_.execute(sql));
    if (!back_) TRY(keep_texts_of_before());
    return remember();
  }

 private:
  void list() {
    going_list_ = array_of(Cells(going_.begin(), going_.end()));
    coming_list_ = array_of(Cells(coming_.begin(), coming_.end()));
  }

  // They change places with their tables, which are locked with all of them by now.
  Status partitions() {
    std::vector<std::string> sources;
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      ASSIGN_OR_RETURN(const std::vector<std::string> came,
                       follow_partitions(connection_, pairs_[i]));
      if (!came.empty()) {
        return Error{ErrorCode::unavailable,
                     came.front() + " became a partition just now, and its rows are on one side",
                     "they are carried over first"};
      }
      sources.push_back(pairs_[i].source);
    }
    ASSIGN_OR_RETURN(const std::vector<PartitionPair> parts, partition_pairs(connection_, sources));
    for (std::size_t i = 0; i < pairs_.size() && !parts.empty(); ++i) {
      TRY(name_indexes(connection_, going_[i], coming_[i]));
    }
    for (const PartitionPair& part : parts) {
      going_.push_back(back_ ? part.target_oid : part.source_oid);
      coming_.push_back(back_ ? part.source_oid : part.target_oid);
      names_.push_back(part.name);
    }
    list();
    return {};
  }

  // What the server has spelled with casts to the new types would go on meaning these: it comes
  // back as it was, unless somebody has changed it since.
  Status texts_of_before() {
    ASSIGN_OR_RETURN(
        const auto rows,
        connection_.query("DELETE FROM whimbrel.respelled WHERE source IS NULL OR source = ANY "
                          "($1::text[]) RETURNING now, before",
                          {sources()}));
    for (const Cells& row : rows) before_[*row[0]] = *row[1];
    return {};
  }

  // Other migrations have theirs in the same tables of whimbrel.
  Cell sources() const {
    Cells all;
    for (const RetypedPair& pair : pairs_) all.emplace_back(pair.source);
    return array_of(all);
  }
  std::string to_settle(const std::string& statement) const {
    return fmt::format("INSERT INTO whimbrel.to_settle (statement, source) VALUES ({}, {})",
                       quote_text(statement), quote_text(pairs_.front().source));
  }

  Status keep_texts_of_before() {
    if (now_.spelled.empty()) return {};  // everybody waits for us
    const Statements made = std::exchange(now_, Statements());
    going_list_.swap(coming_list_);
    TRY(views());
    TRY(publications());
    TRY(statistics());
    TRY(policies_of_others());
    going_list_.swap(coming_list_);
    for (const auto& [what, text] : std::exchange(now_, made).spelled) {
      const auto before = made.spelled.find(what);
      if (before == made.spelled.end() || before->second == text) continue;
      TRY(connection_.run(
          "INSERT INTO whimbrel.respelled (now, before, source) VALUES ($1, $2, $3)",
          {text, before->second, pairs_.front().source}));
    }
    return {};
  }

  // It comes back by its text of before, where that is known.
  void spelled_anew(const std::string& what, const std::string& statement) {
    const auto before = before_.find(statement);
    now_.after.push_back(before != before_.end() ? before->second : statement);
    now_.spelled.emplace(what, statement);
  }

  // The server has spelled comparisons with casts to text, under which no index helps and some have
  // no operator: without them the statement is tried first. What it refuses, and what compares
  // other things than uuids then, is made as it was. `trees`: a query for what the server has made
  // of the object's expressions.
  Status compares_as_it_is(const std::string& statement, const std::vector<std::string>& uuids,
                           const std::string& trees) {
    const Uncast text = uncast_comparisons(statement, uuids);
    if (text.comparisons == 0) return {};
    // The operators = and <> of two uuids.
    const std::string count = fmt::format(
        "(SELECT coalesce(sum(array_length(regexp_split_to_array(tree, ':opno 297[23] '), 1) - 1), "
        "0) FROM ({}) t(tree))",
        trees);
    ASSIGN_OR_RETURN(const auto rows, connection_.query("SELECT " + count));
    without_casts_[statement] =
        "DO LANGUAGE plpgsql " +
        quote_text(fmt::format(
            "BEGIN EXECUTE {}; IF {} <> {} + {} THEN RAISE 'it compares other things'; END IF; "
            "EXCEPTION WHEN syntax_error_or_access_rule_violation OR data_exception OR "
            "raise_exception THEN EXECUTE {}; END",
            quote_text(text.sql), count, *rows.at(0).at(0), text.comparisons,
            quote_text(statement)));
    return {};
  }
  static std::string trees_of_view(const std::string& view) {
    return fmt::format("SELECT ev_action::text FROM pg_rewrite WHERE ev_class = {}::regclass",
                       quote_text(view));
  }
  static std::string trees_of_policy(const std::string& table, const std::string& policy) {
    return fmt::format(
        "SELECT concat(polqual::text, ' ', polwithcheck::text) FROM pg_policy WHERE polrelid = "
        "{}::regclass AND polname = {}",
        quote_text(table), quote_text(policy));
  }

  // Each a statement that makes something anew by the name of its table.
  static constexpr const char* triggers_sql =
      "SELECT pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' ELSE format("
      "'; ALTER TABLE %s %s TRIGGER %I', t.tgrelid::regclass, CASE t.tgenabled WHEN 'D' THEN "
      "'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, t.tgname) END "
      "FROM pg_trigger t WHERE t.tgrelid = ANY ($1::oid[]) AND NOT t.tgisinternal AND t.tgparentid "
      "= 0 AND NOT EXISTS (SELECT FROM pg_proc f WHERE f.oid = t.tgfoid AND f.pronamespace = "
      "to_regnamespace('whimbrel')) ORDER BY t.tgname";
  static constexpr const char* rules_sql =
      "SELECT pg_get_ruledef(r.oid) || CASE r.ev_enabled WHEN 'O' THEN '' ELSE format("
      "' ALTER TABLE %s %s RULE %I', r.ev_class::regclass, CASE r.ev_enabled WHEN 'D' THEN "
      "'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, r.rulename) END "
      "FROM pg_rewrite r WHERE r.ev_class = ANY ($1::oid[]) ORDER BY r.rulename";
  static constexpr const char* policies_sql =
      "SELECT format('CREATE POLICY %I ON %s AS %s FOR %s TO %s', p.polname, p.polrelid::regclass, "
      "CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, CASE p.polcmd WHEN 'r' "
      "THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE "
      "'ALL' "
      "END, (SELECT string_agg(CASE x WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x)) "
      "END, ', ') FROM unnest(p.polroles) x)) || coalesce(' USING (' || pg_get_expr(p.polqual, "
      "p.polrelid) || ')', '') || coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, "
      "p.polrelid) || ')', ''), p.polrelid::regclass, p.polname FROM pg_policy p WHERE p.polrelid "
      "= ANY ($1::oid[]) ORDER BY "
      "p.polname";
  static constexpr const char* rights_sql =
      "SELECT format('ALTER TABLE %s OWNER TO %I', c.oid::regclass, pg_get_userbyid(c.relowner)) "
      "FROM pg_class c WHERE c.oid = ANY ($1::oid[]) "
      // An owner has all rights until some are taken.
      "UNION ALL SELECT format('REVOKE ALL ON %s FROM %I', c.oid::regclass, "
      "pg_get_userbyid(c.relowner)) FROM pg_class c WHERE c.oid = ANY ($1::oid[]) AND c.relacl IS "
      "NOT NULL "
      "UNION ALL SELECT format('GRANT %s ON %s TO %s%s', a.privilege_type, c.oid::regclass, CASE "
      "a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, CASE WHEN "
      "a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) FROM pg_class c, aclexplode(c.relacl) "
      "a "
      "WHERE c.oid = ANY ($1::oid[]) "
      "UNION ALL SELECT format('GRANT %s (%I) ON %s TO %s%s', a.privilege_type, t.attname, "
      "t.attrelid::regclass, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE "
      "quote_ident(pg_get_userbyid(a.grantee)) END, CASE WHEN a.is_grantable THEN ' WITH GRANT "
      "OPTION' ELSE '' END) FROM pg_attribute t, aclexplode(t.attacl) a WHERE t.attrelid = ANY "
      "($1::oid[]) AND NOT t.attisdropped";
  static constexpr const char* settings_sql =
      "SELECT format('COMMENT ON TABLE %s IS %L', c.oid::regclass, obj_description(c.oid, "
      "'pg_class')) FROM pg_class c WHERE c.oid = ANY ($1::oid[]) AND obj_description(c.oid, "
      "'pg_class') IS NOT NULL "
      "UNION ALL SELECT format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', c.oid::regclass) FROM "
      "pg_class c WHERE c.oid = ANY ($1::oid[]) AND c.relrowsecurity "
      "UNION ALL SELECT format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', c.oid::regclass) FROM "
      "pg_class c WHERE c.oid = ANY ($1::oid[]) AND c.relforcerowsecurity "
      "UNION ALL SELECT format('ALTER TABLE %s REPLICA IDENTITY %s', c.oid::regclass, CASE "
      "c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' ELSE (SELECT 'USING INDEX ' || "
      "quote_ident(x.relname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE "
      "i.indrelid = c.oid AND i.indisreplident) END) FROM pg_class c WHERE c.oid = ANY ($1::oid[]) "
      "AND c.relreplident <> 'd' "
      "UNION ALL SELECT format('ALTER TABLE %s CLUSTER ON %I', c.oid::regclass, x.relname) FROM "
      "pg_class c JOIN pg_index i ON i.indrelid = c.oid AND i.indisclustered JOIN pg_class x ON "
      "x.oid = i.indexrelid WHERE c.oid = ANY ($1::oid[]) "
      "UNION ALL SELECT format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', "
      "a.attrelid::regclass, a.attname, a.attstattarget) FROM pg_attribute a WHERE a.attrelid = "
      "ANY "
      "($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped AND a.attstattarget >= 0 "
      // From 15.20 on the server notes a version of its own there, of every column.
      "UNION ALL SELECT format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', a.attrelid::regclass, "
      "a.attname, string_agg(o, ', ')) FROM pg_attribute a, unnest(a.attoptions) o WHERE "
      "a.attrelid = ANY ($1::oid[]) AND NOT a.attisdropped AND o NOT LIKE 'pg\\_%' GROUP BY "
      "a.attrelid, a.attname "
      "UNION ALL SELECT format('ALTER TABLE %s SET (%s)', c.oid::regclass, (SELECT string_agg("
      "'toast.' || o, ', ') FROM unnest(t.reloptions) o)) FROM pg_class c JOIN pg_class t ON t.oid "
      "= c.reltoastrelid WHERE c.oid = ANY ($1::oid[]) AND t.reloptions IS NOT NULL "
      "UNION ALL SELECT format('ALTER INDEX %s SET (%s)', x.oid::regclass, array_to_string("
      "x.reloptions, ', ')) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE "
      "i.indrelid = ANY ($1::oid[]) AND i.indisvalid AND x.relkind = 'i' AND x.reloptions IS NOT "
      "NULL "
      "UNION ALL SELECT format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', "
      "a.attrelid::regclass, a.attnum, a.attstattarget) FROM pg_attribute a JOIN pg_index i ON "
      "i.indexrelid = a.attrelid WHERE i.indrelid = ANY ($1::oid[]) AND i.indisvalid AND "
      "a.attstattarget >= 0";
  static constexpr const char* settings_of_kept_views_sql =
      "SELECT format('ALTER MATERIALIZED VIEW %s CLUSTER ON %I', i.indrelid::regclass, x.relname) "
      "FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = ANY ($1::oid[]) "
      "AND i.indisclustered "
      "UNION ALL SELECT format('ALTER MATERIALIZED VIEW %s ALTER COLUMN %I SET STORAGE %s', "
      "a.attrelid::regclass, a.attname, CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN "
      "'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END) FROM pg_attribute a JOIN pg_class c ON "
      "c.oid = a.attrelid AND c.relkind = 'm' JOIN pg_type t ON t.oid = a.atttypid WHERE "
      "a.attrelid "
      "= ANY ($1::oid[]) AND a.attnum > 0 AND a.attstorage <> t.typstorage "
      "UNION ALL SELECT format('ALTER MATERIALIZED VIEW %s ALTER COLUMN %I SET COMPRESSION %s', "
      "a.attrelid::regclass, a.attname, CASE a.attcompression WHEN 'l' THEN 'lz4' ELSE 'pglz' END) "
      "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'm' WHERE "
      "a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND a.attcompression <> '' "
      "UNION ALL SELECT format('ALTER INDEX %s SET TABLESPACE %I', i.indexrelid::regclass, "
      "s.spcname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_tablespace s ON "
      "s.oid = x.reltablespace WHERE i.indrelid = ANY ($1::oid[]) "
      "UNION ALL SELECT format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', "
      "a.attrelid::regclass, a.attnum, a.attstattarget) FROM pg_attribute a JOIN pg_index i ON "
      "i.indexrelid = a.attrelid WHERE i.indrelid = ANY ($1::oid[]) AND a.attstattarget >= 0 "
      "UNION ALL SELECT format('ALTER STATISTICS %s.%I OWNER TO %I', s.stxnamespace::regnamespace, "
      "s.stxname, pg_get_userbyid(s.stxowner)) FROM pg_statistic_ext s WHERE s.stxrelid = ANY "
      "($1::oid[]) AND s.stxowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user)";
  // Of all that hangs on a table and has kept its name.
  static constexpr const char* comments_sql =
      "SELECT format('COMMENT ON INDEX %s IS %L', i.indexrelid::regclass, d.description) FROM "
      "pg_index i JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = "
      "i.indexrelid AND d.objsubid = 0 WHERE i.indrelid = ANY ($1::oid[]) AND i.indisvalid "
      "UNION ALL SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', k.conname, "
      "k.conrelid::regclass, d.description) FROM pg_constraint k JOIN pg_description d ON "
      "d.classoid = 'pg_constraint'::regclass AND d.objoid = k.oid WHERE k.contype NOT IN ('f', "
      "'n') AND k.conrelid = ANY ($1::oid[]) "
      "UNION ALL SELECT format('COMMENT ON TRIGGER %I ON %s IS %L', t.tgname, t.tgrelid::regclass, "
      "d.description) FROM pg_trigger t JOIN pg_description d ON d.classoid = "
      "'pg_trigger'::regclass AND d.objoid = t.oid WHERE t.tgrelid = ANY ($1::oid[]) AND NOT "
      "t.tgisinternal "
      "UNION ALL SELECT format('COMMENT ON RULE %I ON %s IS %L', r.rulename, r.ev_class::regclass, "
      "d.description) FROM pg_rewrite r JOIN pg_description d ON d.classoid = "
      "'pg_rewrite'::regclass AND d.objoid = r.oid WHERE r.ev_class = ANY ($1::oid[]) "
      "UNION ALL SELECT format('COMMENT ON POLICY %I ON %s IS %L', p.polname, "
      "p.polrelid::regclass, d.description) FROM pg_policy p JOIN pg_description d ON d.classoid = "
      "'pg_policy'::regclass AND d.objoid = p.oid WHERE p.polrelid = ANY ($1::oid[])";

  // `select` over `readers`: the tables $1, what reads them, what reads that, with their
  // depth.
  static std::string among_readers(const char* select) {
    return std::string(
               "WITH RECURSIVE readers(oid, depth) AS (SELECT oid, 0 FROM unnest($1::oid[]) oid "
               "UNION SELECT r.ev_class, readers.depth + 1 FROM readers JOIN pg_depend d ON "
               "d.refclassid = 'pg_class'::regclass AND d.refobjid = readers.oid AND d.classid = "
               "'pg_rewrite'::regclass JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class <> "
               "d.refobjid WHERE readers.depth < 100) ") +
           select;
  }

  // In one order, and all that the exchange will touch.
  Status lock() {
    ASSIGN_OR_RETURN(
        const auto rows,
        connection_.query(
            "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM (SELECT unnest("
            "$1::oid[]) UNION SELECT unnest($2::oid[]) UNION SELECT conrelid FROM pg_constraint "
            "WHERE contype = 'f' AND confrelid = ANY ($1::oid[]) UNION SELECT confrelid FROM "
            "pg_constraint WHERE contype = 'f' AND conrelid = ANY ($1::oid[]) UNION SELECT "
            "p.polrelid FROM "
            "pg_policy p JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid "
            "WHERE "
            "d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY ($1::oid[])) x(oid) JOIN "
            "pg_class "
            "c ON c.oid = x.oid JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY 1",
            {going_list_, coming_list_}));
    // Whoever has these goes on to a table of ours: they come before the tables. The server locks
    // none of them by itself; to give one the owner that it has takes the strongest lock.
    ASSIGN_OR_RETURN(
        const auto others,
        connection_.query(
            among_readers(
                "SELECT c.oid::regclass::text, format('ALTER %s %s OWNER TO %I', CASE c.relkind "
                "WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' ELSE 'MATERIALIZED VIEW' END, "
                "c.oid::regclass, pg_get_userbyid(c.relowner)) FROM pg_class c WHERE c.relkind IN "
                "('m', 'v') AND c.relpersistence <> 't' AND pg_has_role(c.relowner, 'USAGE') AND "
                "c.oid IN (SELECT oid FROM readers) OR c.relkind = 'S' AND c.oid IN "
                "(SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass AND refclassid "
                "= 'pg_class'::regclass AND deptype = 'a' AND refobjid = ANY ($1::oid[])) "
                // Who reads a view has it before what it reads.
                "ORDER BY (SELECT max(depth) FROM readers r WHERE r.oid = c.oid) DESC NULLS LAST, "
                "1"),
            {going_list_}));
    std::vector<Lockable> all;
    for (const Cells& row : others) all.push_back({*row[0], *row[1]});
    std::vector<std::string> places;
    for (const Cells& row : rows) places.push_back(*row[0]);
    for (Lockable& table : tables_in(places, "ACCESS EXCLUSIVE")) all.push_back(std::move(table));
    if (!hold_.holds_writers()) return hold_.lock(all);
    ASSIGN_OR_RETURN(const bool raised, hold_.try_to_raise(all));
    if (raised) return {};
    ASSIGN_OR_RETURN(const std::string snapshot, hold_.begin_anew(all));
    const Result<bool> caught_up = catch_up(connection_, pairs_, back_, snapshot);
    if (caught_up.ok() && caught_up.value()) return {};
    // What the other table does not take is named where rows are carried over one by one.
    if (!caught_up.ok() && !connection_.refuses_a_value()) return caught_up.error();
    return Error{ErrorCode::unavailable,
                 "somebody who has read the tables and waits to write keeps them from changing "
                 "places",
                 "try it at a quieter time"};
  }

  // All else goes by what a table is, and places by names: another one of the name would change
  // places instead.
  Status they_have_their_names() {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      ASSIGN_OR_RETURN(
          const auto rows,
          connection_.query("SELECT to_regclass($1)::oid IS NOT DISTINCT FROM $2::oid, (SELECT "
                            "format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN "
                            "pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $2::oid)",
                            {quoted(names_[i]), going_[i]}));
      if (rows.at(0).at(0) == "t") continue;
      const Cell& now = rows.at(0).at(1);
      return Error{
          ErrorCode::refused,
          now ? fmt::format("the table that was {} is called {} by now", spelled(names_[i]), *now)
              : fmt::format("somebody has dropped {}", spelled(names_[i])),
          now ? fmt::format("give it its name back, and what has that name now another one: ALTER "
                            "TABLE {0} RENAME TO …, or ALTER TABLE {0} SET SCHEMA …",
                            *now)
              : "look at what is called so now; the other side still has its rows",
          back_ ? "nothing is switched back; the new side still serves"
                : "nothing is switched; the application uses the old side"};
    }
    return {};
  }

  // The new tables are made like the old ones as they were then.
  Status nobody_has_changed_them() {
    ASSIGN_OR_RETURN(
        const auto rows,
        connection_.query("SELECT what FROM (SELECT source AS what, source_oid, shape "
                          "FROM whimbrel.retyped UNION ALL SELECT part, source_oid, "
                          "shape FROM whimbrel.retyped_parts) x WHERE source_oid = ANY "
                          "($1::oid[]) AND shape <> " +
                              shape_sql("source_oid"),
                          {going_list_}));
    if (rows.empty()) return {};
    return Error{ErrorCode::refused,
                 "somebody has changed columns, constraints, indexes or settings of " +
                     *rows[0][0] + " since the new table was made like it",
                 "`whimbrel rollback`, then `run` again: the new table is made with them",
                 "nothing is switched; the application uses the old side"};
  }

  // What came since the tables were looked at would stay with those that go, and so would all that
  // is written through it.
  Status nothing_hangs_on_them() {
    ASSIGN_OR_RETURN(const Dependents all, dependents_of(connection_, going_));
    if (all.refused.empty()) return {};
    return Error{
        ErrorCode::refused,
        all.refused.front() + " depends on a table that changes places, and cannot be made anew",
        back_ ? "drop it, then roll back again"
              : "drop it, go on, and make it again afterwards; or `whimbrel rollback`",
        back_ ? "nothing is switched back; the new side still serves"
              : "nothing is switched; the application uses the old side"};
  }

  // By its text of before; where that says something of the old type the server refuses it.
  Status make_anew(const std::string& sql) {
    const auto tried = without_casts_.find(sql);
    Status made = connection_.execute(tried == without_casts_.end() ? sql : tried->second);
    if (made.ok() || made.error().code != ErrorCode::refused) return made;
    return std::move(made)
        .error()
        .within("making anew what hangs on the tables: " + head_of(sql))
        .with_hint(std::string("drop it, ") + (back_ ? "roll back again" : "go on") +
                   ", and make it again afterwards")
        .saying_safe(back_ ? "nothing is switched back; the new side still serves" : "");
  }

  // Up to what it says: CREATE VIEW a.b AS …
  static std::string head_of(const std::string& sql) {
    constexpr std::size_t words_max = 60;
    const std::size_t end = std::min({sql.find('\n'), sql.find(" AS "), words_max});
    return sql.substr(0, end) + (end < sql.size() ? " …" : "");
  }

  // A column that came since the switch has no place in the old table.
  Status no_column_is_lost() {
    ASSIGN_OR_RETURN(
        const auto rows,
        connection_.query(
            "SELECT r.source, a.attname FROM whimbrel.retyped r JOIN pg_attribute a ON "
            "a.attrelid = r.target_oid AND a.attnum > 0 AND NOT a.attisdropped WHERE "
            "r.target_oid = ANY ($1::oid[]) AND NOT EXISTS (SELECT FROM pg_attribute b "
            "WHERE b.attrelid = r.source_oid AND b.attname = a.attname AND NOT "
            "b.attisdropped)",
            {going_list_}));
    if (rows.empty()) return {};
    return Error{ErrorCode::refused,
                 fmt::format("{} got a column `{}` since the switch, which the old table does not "
                             "have",
                             *rows[0][0], *rows[0][1]),
                 "save its values and drop it, then roll back again",
                 "nothing is switched back; the new side still serves"};
  }

  // A table that began to refer to a new one since has no value that the old one could have.
  Status no_key_is_of_the_other_type() {
    ASSIGN_OR_RETURN(
        const auto rows,
        connection_.query(
            "SELECT f.conrelid::regclass::text, quote_ident(f.conname), r.source FROM "
            "pg_constraint f JOIN whimbrel.retyped r ON r.target_oid = f.confrelid WHERE f.contype "
            "= 'f' AND f.conparentid = 0 AND f.confrelid = ANY ($1::oid[]) AND f.conrelid <> ALL "
            "($1::oid[]) AND EXISTS (SELECT FROM unnest(f.confkey) k(attnum) JOIN pg_attribute b "
            "ON "
            "b.attrelid = r.target_oid AND b.attnum = k.attnum JOIN pg_attribute a ON a.attrelid = "
            "r.source_oid AND a.attname = b.attname AND NOT a.attisdropped WHERE a.atttypid <> "
            "b.atttypid) ORDER BY 1, 2 LIMIT 1",
            {going_list_}));
    if (rows.empty()) return {};
    return Error{
        ErrorCode::refused,
        fmt::format("{} began to refer to {} since the switch (foreign key {}), and cannot "
                    "refer to a column of the old type",
                    *rows[0][0], *rows[0][2], *rows[0][1]),
        fmt::format("ALTER TABLE {} DROP CONSTRAINT {}, then roll back again", *rows[0][0],
                    *rows[0][1]),
        "nothing is switched back; the new side still serves"};
  }

  // A policy of a table that stays may read one that goes.
  Status policies_of_others() {
    const std::string concerned =
        "p.polrelid <> ALL ($1::oid[]) AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = "
        "'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass AND "
        "d.refobjid = ANY ($1::oid[]))";
    ASSIGN_OR_RETURN(const auto rows,
                     connection_.query("SELECT format('DROP POLICY %I ON %s', p.polname, "
                                       "p.polrelid::regclass) FROM pg_policy p WHERE " +
                                           concerned,
                                       {going_list_}));
    for (const Cells& row : rows) now_.before.push_back(*row[0]);
    std::string made_anew = policies_sql;
    const std::string own = "p.polrelid = ANY ($1::oid[])";
    made_anew.replace(made_anew.rfind(own), own.size(), concerned);
    ASSIGN_OR_RETURN(const auto again, connection_.query(made_anew, {going_list_}));
    ASSIGN_OR_RETURN(const std::vector<std::string> uuids, columns_that_become_uuids());
    for (const Cells& row : again) {
      spelled_anew(row[0]->substr(0, row[0]->find(" AS ")), *row[0]);
      TRY(compares_as_it_is(*row[0], uuids, trees_of_policy(*row[1], *row[2])));
    }
    ASSIGN_OR_RETURN(
        const auto comments,
        connection_.query("SELECT format('COMMENT ON POLICY %I ON %s IS %L', p.polname, "
                          "p.polrelid::regclass, d.description) FROM pg_policy p JOIN "
                          "pg_description d ON d.classoid = 'pg_policy'::regclass AND d.objoid = "
                          "p.oid WHERE " +
                              concerned,
                          {going_list_}));
    for (const Cells& row : comments) now_.after.push_back(*row[0]);
    return {};
  }

  // What default privileges have given to a table that we made is not what the old one had.
  static std::string no_rights_of_others(const std::string& place) {
    return "DO LANGUAGE plpgsql " +
           quote_text(fmt::format(
               "DECLARE one oid; BEGIN FOR one IN SELECT DISTINCT a.grantee FROM pg_class c, "
               "aclexplode(c.relacl) a WHERE c.oid = {0}::regclass AND a.grantee <> c.relowner "
               "LOOP "
               "EXECUTE 'REVOKE ALL ON ' || {0} || ' FROM ' || CASE one WHEN 0 THEN 'PUBLIC' ELSE "
               "quote_ident(pg_get_userbyid(one)) END; END LOOP; END",
               quote_text(place)));
  }

  Status from_texts(const char* what, const char* sql) {
    Result<std::vector<Cells>> rows = connection_.query(sql, {going_list_});
    if (!rows.ok()) return std::move(rows).error().within(std::string("reading ") + what);
    ASSIGN_OR_RETURN(const std::vector<std::string> uuids, columns_that_become_uuids());
    for (const Cells& row : rows.value()) {
      now_.after.push_back(*row[0]);
      if (sql == policies_sql) {
        TRY(compares_as_it_is(*row[0], uuids, trees_of_policy(*row[1], *row[2])));
      }
    }
    return {};
  }

  // A constraint of an old table is only in the way of what is carried back; of one that stays it
  // would refer to the wrong table.
  Status foreign_keys() {
    ASSIGN_OR_RETURN(
        const auto rows,
        connection_.query(
            "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname), "
            "format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, "
            "pg_get_constraintdef(oid)), convalidated, conrelid::regclass::text, conname, "
            "format('COMMENT ON CONSTRAINT %I ON %s IS %L', conname, conrelid::regclass, "
            "obj_description(oid, 'pg_constraint')), obj_description(oid, 'pg_constraint') IS "
            "NULL, "
            // Before 18 that of a partitioned table is not made without reading all of it.
            "oid, current_setting('server_version_num')::int < 180000 AND EXISTS (SELECT FROM "
            "pg_partitioned_table WHERE partrelid = conrelid) "
            "FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND (conrelid = ANY "
            "($1::oid[]) OR confrelid = ANY ($1::oid[])) ORDER BY conrelid, conname",
            {going_list_}));
    for (const Cells& row : rows) {
      now_.before.push_back(*row[0]);
      if (row[8] == "t") {
        TRY(keys_of_partitions(*row[7], *row[1], row[6] == "f" ? *row[5] : ""));
        continue;
      }
      const bool was_looked_at = row[2] == "t";
      now_.after.push_back(*row[1] + (was_looked_at ? " NOT VALID" : ""));
      if (row[6] == "f") now_.after.push_back(*row[5]);
      if (!was_looked_at) continue;
      now_.after.push_back(to_settle(
          fmt::format("ALTER TABLE {} VALIDATE CONSTRAINT {}", *row[3], quote_name(*row[4]))));
    }
    return {};
  }

  // Each partition gets its own without having been looked at. When all are looked at, the server
  // takes them for those of the table's.
  Status keys_of_partitions(const std::string& key, const std::string& ddl,
                            const std::string& comment) {
    ASSIGN_OR_RETURN(
        const auto rows,
        connection_.query(
            "WITH RECURSIVE keys AS (SELECT oid, conrelid, confrelid, conname FROM pg_constraint "
            "WHERE oid = $1::oid UNION ALL SELECT c.oid, c.conrelid, c.confrelid, c.conname FROM "
            "pg_constraint c JOIN keys ON c.conparentid = keys.oid AND c.confrelid = "
            "keys.confrelid) SELECT conrelid::regclass, quote_ident(conname), "
            "pg_get_constraintdef(keys.oid) FROM keys JOIN pg_class t ON t.oid = conrelid AND "
            "t.relkind <> 'p' ORDER BY 1",
            {key}));
    for (const Cells& row : rows) {
      now_.after.push_back(
          fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID", *row[0], *row[1], *row[2]));
      now_.after.push_back(
          to_settle(fmt::format("ALTER TABLE {} VALIDATE CONSTRAINT {}", *row[0], *row[1])));
    }
    ASSIGN_OR_RETURN(const auto whole,
                     connection_.query("SELECT conrelid::regclass, conname, confrelid::regclass "
                                       "FROM pg_constraint WHERE oid = $1::oid",
                                       {key}));
    const std::string& table = *whole.at(0).at(0);
    // All locks that it comes to need, at once: to raise one that writers wait for already makes
    // one of them a victim at once, however short the patience is.
    now_.after.push_back(to_settle(fmt::format(
        "DO LANGUAGE plpgsql {}",
        quote_text(fmt::format("BEGIN IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = "
                               "{0}::regclass AND conname = {1}) THEN PERFORM "
                               "set_config('lock_timeout', '100', true); LOCK TABLE {2}, {3} IN "
                               "ACCESS EXCLUSIVE MODE; {4}; {5} END IF; END",
                               quote_text(table), quote_text(*whole[0][1]), *whole[0][2], table,
                               ddl, comment.empty() ? "" : comment + ";")))));
    return {};
  }

  // Names of columns that have been texts and are a uuid from now on.
  Result<std::vector<std::string>> columns_that_become_uuids() {
    ASSIGN_OR_RETURN(
        const auto rows,
        connection_.query("SELECT DISTINCT a.attname FROM unnest($1::oid[], $2::oid[]) x(g, c) "
                          "JOIN pg_attribute a ON a.attrelid = x.g AND NOT a.attisdropped JOIN "
                          "pg_attribute b ON b.attrelid = x.c AND b.attname = a.attname AND NOT "
                          "b.attisdropped WHERE b.atttypid = 'uuid'::regtype AND a.atttypid <> "
                          "b.atttypid",
                          {going_list_, coming_list_}));
    std::vector<std::string> names;
    for (const Cells& row : rows) names.push_back(*row[0]);
    return names;
  }

  // Views upon views: those that others read are dropped last and made first.
  Status views() {
    ASSIGN_OR_RETURN(const std::vector<std::string> uuids, columns_that_become_uuids());
    ASSIGN_OR_RETURN(
        const auto rows,
        connection_.query(
            among_readers(
                "SELECT c.oid, c.relkind, c.oid::regclass::text, rtrim(pg_get_viewdef(c.oid), "
                "';'), "
                "array_to_string(c.reloptions, ', '), max(readers.depth), (SELECT "
                "string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a "
                "WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), "
                "coalesce(t.spcname, ''), c.relispopulated FROM readers JOIN pg_class c ON c.oid = "
                "readers.oid LEFT JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE c.relkind "
                "IN ('v', 'm') GROUP BY c.oid, c.relkind, c.reloptions, t.spcname ORDER BY "
                "max(readers.depth), c.oid"),
            {going_list_}));
    Cells oids;
    for (const Cells& row : rows) {
      const bool is_kept = row[1] == "m";
      const std::string kind = is_kept ? "MATERIALIZED VIEW" : "VIEW";
      now_.before.insert(now_.before.begin(), fmt::format("DROP {} {}", kind, *row[2]));
      const std::string options =
          row[4].value_or("").empty() ? "" : fmt::format(" WITH ({})", *row[4]);
      const std::string space =
          row[7].value_or("").empty() ? "" : " TABLESPACE " + quote_name(*row[7]);
      const std::string head =
          fmt::format("CREATE {} {} ({}){}{} AS ", kind, *row[2], *row[6], options, space);
      const std::string tail = is_kept ? " WITH NO DATA" : "";
      spelled_anew("view " + *row[2], head + *row[3] + tail);
      TRY(compares_as_it_is(head + *row[3] + tail, uuids, trees_of_view(*row[2])));
      now_.after.push_back(no_rights_of_others(*row[2]));
      oids.push_back(row[0]);
      if (!is_kept || row[8] != "t") continue;
      now_.after.push_back(to_settle("REFRESH MATERIALIZED VIEW " + *row[2]));
    }
    if (oids.empty()) return {};
    // What hangs on the views themselves.
    ASSIGN_OR_RETURN(
        const auto more,
        connection_.query(
            "SELECT pg_get_indexdef(i.indexrelid), 'index ' || i.indexrelid::regclass FROM "
            "pg_index "
            "i WHERE i.indrelid = ANY ($1::oid[]) UNION ALL SELECT pg_get_triggerdef(t.oid), "
            "format('trigger %I of %s', t.tgname, t.tgrelid::regclass) FROM pg_trigger t WHERE "
            "t.tgrelid = ANY ($1::oid[]) AND NOT t.tgisinternal UNION ALL SELECT "
            "pg_get_ruledef(r.oid), format('rule %I of %s', r.rulename, r.ev_class::regclass) FROM "
            "pg_rewrite r WHERE r.ev_class = ANY ($1::oid[]) AND r.rulename <> '_RETURN' UNION ALL "
            "SELECT pg_get_statisticsobjdef(s.oid), format('statistics %s.%s', s.stxnamespace, "
            "s.stxname) FROM pg_statistic_ext s WHERE s.stxrelid = ANY ($1::oid[]) UNION ALL "
            "SELECT "
            "format('COMMENT ON STATISTICS %s.%I IS %L', s.stxnamespace::regnamespace, s.stxname, "
            "d.description), NULL FROM pg_statistic_ext s JOIN pg_description d ON d.classoid = "
            "'pg_statistic_ext'::regclass AND d.objoid = s.oid WHERE s.stxrelid = ANY ($1::oid[]) "
            "UNION ALL SELECT format('ALTER STATISTICS %s.%I SET STATISTICS %s', "
            "s.stxnamespace::regnamespace, s.stxname, s.stxstattarget), NULL FROM pg_statistic_ext "
            "s WHERE s.stxrelid = ANY ($1::oid[]) AND s.stxstattarget >= 0 UNION ALL SELECT "
            "format('ALTER MATERIALIZED VIEW %s ALTER COLUMN %I SET STATISTICS %s', "
            "a.attrelid::regclass, a.attname, a.attstattarget), NULL FROM pg_attribute a JOIN "
            "pg_class c ON c.oid = a.attrelid AND c.relkind = 'm' WHERE a.attrelid = ANY "
            "($1::oid[]) AND a.attnum > 0 AND a.attstattarget >= 0 UNION ALL SELECT "
            "format('ALTER MATERIALIZED VIEW %s ALTER COLUMN %I SET (%s)', a.attrelid::regclass, "
            "a.attname, (SELECT string_agg(o, ', ') FROM unnest(a.attoptions) o WHERE o NOT LIKE "
            "'pg\\_%')), NULL FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND "
            "c.relkind = 'm' WHERE a.attrelid = ANY ($1::oid[]) AND EXISTS (SELECT FROM unnest("
            "a.attoptions) o WHERE o NOT LIKE 'pg\\_%') UNION ALL "
            "SELECT format('COMMENT ON COLUMN %s.%I IS %L', a.attrelid::regclass, a.attname, "
            "col_description(a.attrelid, a.attnum)), NULL FROM pg_attribute a WHERE a.attrelid = "
            "ANY "
            "($1::oid[]) AND col_description(a.attrelid, a.attnum) IS NOT NULL UNION ALL SELECT "
            "format('COMMENT ON %s %s IS %L', CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' "
            "ELSE "
            "'VIEW' END, c.oid::regclass, obj_description(c.oid, 'pg_class')), NULL FROM pg_class "
            "c "
            "WHERE "
            "c.oid = ANY ($1::oid[]) AND obj_description(c.oid, 'pg_class') IS NOT NULL UNION ALL "
            "SELECT format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', d.adrelid::regclass, "
            "a.attname, pg_get_expr(d.adbin, d.adrelid)), format('default of %s.%I', "
            "d.adrelid::regclass, a.attname) FROM pg_attrdef d JOIN pg_attribute a ON "
            "a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE d.adrelid = ANY ($1::oid[])",
            {array_of(oids)}));
    for (const Cells& row : more) {
      if (row[1]) {
        spelled_anew(*row[1], *row[0]);
      } else {
        now_.after.push_back(*row[0]);
      }
    }
    for (const char* sql : {comments_sql, settings_of_kept_views_sql, rights_sql}) {
      ASSIGN_OR_RETURN(const auto statements, connection_.query(sql, {array_of(oids)}));
      for (const Cells& row : statements) now_.after.push_back(*row[0]);
    }
    return {};
  }

  // A sequence that a column owns goes where its table goes; it is to stay. It ends with its own
  // type, whatever the column can hold.
  Status sequences() {
    ASSIGN_OR_RETURN(
        const auto rows,
        connection_.query(
            "SELECT s.oid::regclass::text, format('%s.%I', d.refobjid::regclass, a.attname), "
            "q.seqtypid::regtype::text, (SELECT b.atttypid::regtype::text FROM unnest($1::oid[], "
            "$2::oid[]) x(g, c) JOIN pg_attribute b ON b.attrelid = x.c AND b.attname = a.attname "
            "WHERE x.g = a.attrelid), d.refobjid::regclass::text, quote_ident(a.attname), "
            "d.refobjid FROM "
            "pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_sequence q "
            "ON q.seqrelid = s.oid JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = "
            "d.refobjsubid WHERE d.classid = 'pg_class'::regclass AND d.refclassid = "
            "'pg_class'::regclass AND d.deptype = 'a' AND d.refobjid = ANY ($1::oid[])",
            {going_list_, coming_list_}));
    for (const Cells& row : rows) {
      const auto width = [](const Cell& type) {
        return type == "smallint" ? 2 : type == "integer" ? 4 : type == "bigint" ? 8 : 0;
      };
      const bool grows = !back_ && width(row[2]) > 0 && width(row[3]) > width(row[2]);
      if (grows) {
        now_.before.push_back(fmt::format("ALTER SEQUENCE {} AS {}", *row[0], *row[3]));
        now_.before.push_back(behind_wide_rows(*row[0], row[6], *row[5], row[2] == "integer"));
        // Numbers that the narrower type has no room for stay behind with their rows.
        narrowed_later_.emplace_back(
            row[6],
            fmt::format("SELECT setval({0}, greatest(1, least(last_value, (SELECT coalesce(max({1})"
                        ", 1) FROM {2}))), is_called) FROM {3} WHERE last_value > {4}; ALTER "
                        "SEQUENCE {3} AS {5}",
                        quote_text(*row[0]), *row[5], *row[4], *row[0],
                        row[2] == "integer" ? "2147483647" : "32767", *row[2]));
      }
      now_.before.push_back(fmt::format("ALTER SEQUENCE {} OWNED BY NONE", *row[0]));
      // Behind its new owner, which is somebody else's by then.
      owned_.push_back(fmt::format("ALTER SEQUENCE {} OWNED BY {}", *row[0], *row[1]));
    }
    return {};
  }

  // Rows whose numbers the narrower type has no room for were kept by a rollback and are there
  // again: the sequence goes on behind them.
  std::string behind_wide_rows(const std::string& sequence, const Cell& going,
                               const std::string& column, bool was_integer) const {
    const auto at = std::ranges::find(going_, going.value_or(""));
    const std::string& coming = coming_[static_cast<std::size_t>(at - going_.begin())];
    return fmt::format(
        "DO LANGUAGE plpgsql {}",
        quote_text(fmt::format(
            // Everybody waits: it is looked up in an index, or not at all.
            "DECLARE furthest bigint; BEGIN IF NOT EXISTS (SELECT FROM pg_index i JOIN "
            "pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE i.indrelid "
            "= {1} AND i.indisvalid AND i.indpred IS NULL AND quote_ident(a.attname) = {5}) THEN "
            "RETURN; END IF; EXECUTE format('SELECT max({0}) FROM %s', "
            "{1}::regclass) INTO furthest; IF furthest > {2} AND furthest > (SELECT last_value "
            "FROM {3}) AND (SELECT seqincrement > 0 AND seqmax >= furthest FROM pg_sequence WHERE "
            "seqrelid = {4}::regclass) THEN PERFORM setval({4}, furthest); END IF; END",
            column, coming, was_integer ? "2147483647" : "32767", sequence, quote_text(sequence),
            quote_text(column))));
  }

  // An identity has a sequence of its own on each side.
  Status identities() {
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      ASSIGN_OR_RETURN(
          const auto rows,
          connection_.query("SELECT pg_get_serial_sequence($1::oid::regclass::text, a.attname), "
                            "pg_get_serial_sequence($2::oid::regclass::text, a.attname), "
                            "quote_ident(a.attname), a.atttypid::regtype::text, "
                            "b.atttypid::regtype::text FROM pg_attribute a JOIN pg_attribute b ON "
                            "b.attrelid = $2::oid AND b.attname = a.attname WHERE a.attrelid = "
                            "$1::oid AND a.attidentity <> '' AND NOT a.attisdropped",
                            {going_[i], coming_[i]}));
      for (const Cells& row : rows) {
        if (!row[0] || !row[1]) continue;
        now_.before.push_back(fmt::format(
            "SELECT setval({0}, least(last_value, (SELECT seqmax FROM pg_sequence WHERE seqrelid "
            "= {0}::regclass)), is_called) FROM {1}{2}",
            quote_text(*row[1]), *row[0], back_ ? unless_it_is_further(*row[0], *row[1]) : ""));
        const bool grows =
            !back_ && row[3] != row[4] && (row[3] == "integer" || row[3] == "smallint");
        if (grows) {
          now_.before.push_back(behind_wide_rows(*row[1], going_[i], *row[2], row[3] == "integer"));
        }
        if (!back_) TRY(known_as_before(*row[0], *row[1], pairs_[i].source));
      }
    }
    return {};
  }

  // Somebody may have taken numbers of the old table's sequence all the while.
  static std::string unless_it_is_further(const std::string& going, const std::string& coming) {
    return fmt::format(
        " WHERE (SELECT CASE WHEN c.last_value = {0}.last_value THEN NOT c.is_called OR "
        "{0}.is_called WHEN s.seqincrement > 0 THEN c.last_value < {0}.last_value ELSE "
        "c.last_value > {0}.last_value END FROM {1} c, pg_sequence s WHERE s.seqrelid = "
        "{2}::regclass)",
        going, coming, quote_text(coming));
  }

  // The new table's sequence gets the name, the rights and the comment of the old one's.
  Status known_as_before(const std::string& going, const std::string& coming,
                         const std::string& table) {
    const std::string schema = split_name(table).schema;
    ASSIGN_OR_RETURN(
        const auto names,
        connection_.query("SELECT a.relname, b.relname FROM pg_class a, pg_class b WHERE a.oid = "
                          "$1::text::regclass AND b.oid = $2::text::regclass",
                          {going, coming}));
    const std::string& old_name = *names.at(0).at(0);
    const std::string& new_name = *names.at(0).at(1);
    if (old_name != new_name) {
      // Another sequence of the schema may have the name that the server has given to this one.
      const std::string between = "whimbrel_" + short_digest(coming);
      now_.before.push_back(fmt::format("ALTER SEQUENCE {} RENAME TO {}", coming, between));
      now_.after.push_back(fmt::format("ALTER SEQUENCE {} RENAME TO {}", quoted({schema, between}),
                                       quote_name(old_name)));
    }
    now_.after.push_back(no_rights_of_others(quoted({schema, old_name})));
    ASSIGN_OR_RETURN(
        const auto more,
        connection_.query(
            "SELECT format('GRANT %s ON SEQUENCE %s TO %s%s', a.privilege_type, $2::text, CASE "
            "a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, CASE "
            "WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) FROM pg_class c, "
            "aclexplode(c.relacl) a WHERE c.oid = $1::text::regclass AND a.grantee <> c.relowner "
            "UNION ALL SELECT format('COMMENT ON SEQUENCE %s IS %L', $2::text, obj_description("
            "$1::text::regclass, 'pg_class')) WHERE obj_description($1::text::regclass, "
            "'pg_class') IS NOT NULL",
            {going, quoted({schema, old_name})}));
    for (const Cells& row : more) now_.after.push_back(*row[0]);
    return {};
  }

  Status publications() {
    ASSIGN_OR_RETURN(
        const auto rows,
        connection_.query(
            "SELECT format('ALTER PUBLICATION %I DROP TABLE %s', p.pubname, r.prrelid::regclass), "
            "format('ALTER PUBLICATION %I ADD TABLE %s', p.pubname, r.prrelid::regclass) || "
            "coalesce((SELECT ' (' || string_agg(quote_ident(a.attname), ', ') || ')' FROM "
            "pg_attribute a WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)), '') || "
            "coalesce(' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')', '') FROM "
            "pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = ANY "
            "($1::oid[])",
            {going_list_}));
    for (const Cells& row : rows) {
      now_.before.push_back(*row[0]);
      spelled_anew(*row[0], *row[1]);
    }
    return {};
  }

  Status statistics() {
    ASSIGN_OR_RETURN(const auto rows,
                     connection_.query(
                         "SELECT format('DROP STATISTICS %I.%I', n.nspname, s.stxname), "
                         "pg_get_statisticsobjdef(s.oid) || CASE WHEN s.stxstattarget >= 0 THEN "
                         "format('; ALTER STATISTICS %I.%I SET STATISTICS %s', n.nspname, "
                         "s.stxname, s.stxstattarget) ELSE '' END || coalesce((SELECT format('; "
                         "COMMENT ON STATISTICS %I.%I IS %L', n.nspname, s.stxname, d.description) "
                         "FROM pg_description d WHERE d.classoid = 'pg_statistic_ext'::regclass "
                         "AND d.objoid = s.oid), '') || CASE WHEN s.stxowner <> (SELECT oid "
                         "FROM pg_roles WHERE rolname = current_user) THEN format('; ALTER "
                         "STATISTICS %I.%I OWNER TO %I', n.nspname, s.stxname, pg_get_userbyid("
                         "s.stxowner)) ELSE '' END FROM pg_statistic_ext s JOIN pg_namespace "
                         "n ON n.oid = s.stxnamespace WHERE s.stxrelid = ANY ($1::oid[])",
                         {going_list_}));
    for (const Cells& row : rows) {
      now_.before.push_back(*row[0]);
      spelled_anew(*row[0], *row[1]);
    }
    return {};
  }

  Status triggers_back() {
    ASSIGN_OR_RETURN(const auto rows,
                     connection_.query("SELECT statement FROM whimbrel.to_enable WHERE of_table = "
                                       "ANY ($1::oid[])",
                                       {coming_list_}));
    for (const Cells& row : rows) now_.after.push_back(*row[0]);
    now_.after.push_back(
        fmt::format("DELETE FROM whimbrel.to_enable WHERE of_table = ANY ({}::oid[])",
                    quote_text(coming_list_)));
    return {};
  }

  Status change_places() {
    for (const bool goes : {true, false}) {
      for (const TableName& known : names_) {
        const std::string away = back_ ? new_schema(known.schema) : old_schema(known.schema);
        const std::string from = back_ ? old_schema(known.schema) : new_schema(known.schema);
        if (goes) {
          TRY(
              connection_.execute(fmt::format("CREATE SCHEMA IF NOT EXISTS {}; ALTER TABLE {} SET "
                                              "SCHEMA {}",
                                              quote_name(away), quoted(known), quote_name(away))));
        } else {
          TRY(connection_.execute(fmt::format("ALTER TABLE {} SET SCHEMA {}",
                                              quoted({from, known.table}),
                                              quote_name(known.schema))));
        }
      }
    }
    return {};
  }

  // Triggers of the application on tables that only follow from now on would do everything twice.
  Status remember() {
    if (!back_) {
      ASSIGN_OR_RETURN(
          const auto rows,
          connection_.query(
              "SELECT t.tgrelid, format('ALTER TABLE %s DISABLE TRIGGER %I', t.tgrelid::regclass, "
              "t.tgname), t.tgenabled, t.tgname FROM pg_trigger t WHERE t.tgrelid = ANY "
              "($1::oid[]) AND NOT t.tgisinternal AND t.tgparentid = 0 AND NOT EXISTS (SELECT FROM "
              "pg_proc f WHERE f.oid = t.tgfoid AND f.pronamespace = to_regnamespace('whimbrel')) "
              "AND "
              "t.tgenabled <> 'D' UNION ALL SELECT r.ev_class, format('ALTER TABLE %s DISABLE RULE "
              "%I', r.ev_class::regclass, r.rulename), r.ev_enabled, r.rulename FROM pg_rewrite r "
              "WHERE r.ev_class = ANY ($1::oid[]) AND r.ev_enabled <> 'D'",
              {going_list_}));
      for (const Cells& row : rows) {
        TRY(connection_.execute(*row[1]));
        const auto at = std::ranges::find(going_, *row[0]) - going_.begin();
        const std::string how = row[2] == "A"   ? "ENABLE ALWAYS"
                                : row[2] == "R" ? "ENABLE REPLICA"
                                                : "ENABLE";
        TRY(connection_.run(
            "INSERT INTO whimbrel.to_enable (of_table, statement) VALUES ($1::oid, $2)",
            {row[0],
             fmt::format("ALTER TABLE {} {} {} {}", quoted(names_[static_cast<std::size_t>(at)]),
                         how,
                         row[1]->find(" DISABLE RULE ") != std::string::npos ? "RULE" : "TRIGGER",
                         quote_name(*row[3]))}));
      }
    }
    for (const auto& [table, statement] : narrowed_later_) {
      TRY(connection_.run(
          "INSERT INTO whimbrel.to_enable (of_table, statement) VALUES ($1::oid, $2)",
          {table, statement}));
    }
    const auto noted = connection_.run(
        "UPDATE whimbrel.retyped SET swapped = $2::boolean WHERE source_oid = ANY ($1::oid[])",
        {back_ ? coming_list_ : going_list_, back_ ? "false" : "true"});
    return noted.ok() ? Status() : Status(noted.error());
  }

  Hold& hold_;
  Connection& connection_;
  const std::vector<RetypedPair>& pairs_;
  bool back_;
  std::vector<std::string> going_;   // out of the place where the application looks
  std::vector<std::string> coming_;  // into it
  std::vector<TableName> names_;     // by which it looks
  std::string going_list_;
  std::string coming_list_;
  Statements now_;
  std::map<std::string, std::string> before_;  // texts of before, by what they became
  std::map<std::string, std::string>
      without_casts_;  // what tries it otherwise first, by the statement
  std::vector<std::string> owned_;
  std::vector<std::pair<Cell, std::string>> narrowed_later_;  // on the way back; by the old table
};

}  // namespace

Status swap_tables(Hold& hold, const std::vector<RetypedPair>& pairs, bool back, SwapFor how) {
  TRY(Exchange(hold, pairs, back).carry_out());
  return how == SwapFor::good ? hold.commit() : hold.connection().execute("ROLLBACK");
}

Result<bool> has_to_settle(Connection& connection) {
  ASSIGN_OR_RETURN(const bool any, has_own(connection, "to_settle"));
  if (!any) return false;
  ASSIGN_OR_RETURN(const auto rows,
                   connection.query("SELECT EXISTS (SELECT FROM whimbrel.to_settle)"));
  return rows.at(0).at(0) == "t";
}

Status settle_after_swap(Connection& connection, const std::vector<std::string>& sources) {
  ASSIGN_OR_RETURN(const bool any, has_own(connection, "to_settle"));
  if (!any) return {};
  // One that fails keeps none of the others from being settled; the first failure is told.
  ASSIGN_OR_RETURN(const auto rows,
                   connection.query("SELECT at, statement FROM whimbrel.to_settle s WHERE "
                                    "to_jsonb(s) ->> 'source' IS NULL OR to_jsonb(s) ->> 'source' "
                                    "= ANY ($1::text[]) ORDER BY at",
                                    {array_of(Cells(sources.begin(), sources.end()))}));
  Status settled;
  for (const Cells& row : rows) {
    Status one = connection.execute(*row[1]);
    if (one.ok()) {
      TRY(connection.run("DELETE FROM whimbrel.to_settle WHERE at = $1::bigint", {row[0]}));
    } else if (one.error().code == ErrorCode::unavailable) {
      return one;
    } else if (settled.ok()) {
      settled = std::move(one);
    }
  }
  return settled;
}

}  // namespace whimbrel::postgresql
