// Links: both tables kept in step by triggers, and what happens when that ends.
#include <fmt/format.h>

#include "base/text.h"
#include "store/image.h"
#include "stores/sqlite/dialect.h"
#include "stores/sqlite/objects.h"
#include "stores/sqlite/rows.h"
#include "stores/sqlite/schema.h"
#include "stores/sqlite/sqlite_store.h"
#include "stores/sqlite/triggers.h"

namespace whimbrel {

using namespace sqlite;  // NOLINT: this is the store's own namespace

namespace {

Result<std::vector<Row>> touched_keys(Connection& connection, const Link& link) {
  ASSIGN_OR_RETURN(const bool there, object_exists(connection, "table", touched_table(link)));
  if (!there) return std::vector<Row>{};
  return connection.query(fmt::format("SELECT {} FROM {}", name_list(link.mapping->target.key),
                                      quote_name(touched_table(link))),
                          {});
}

bool is_numbered(const Link& link) {
  return !link.mapping->source.row_number().empty() || !link.mapping->target.row_number().empty();
}

// A trigger of somebody else that was made after ours acts before them, and what it changes in the
// row is then overwritten with what the row was.
Result<bool> triggers_came_later(Connection& connection, const Link& link) {
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(
          "SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND tbl_name COLLATE "
          "NOCASE IN (?1, ?2) AND substr(name, 1, ?4) <> ?3 AND rowid > (SELECT "
          "max(rowid) FROM sqlite_master WHERE type = 'trigger' AND "
          "substr(name, 1, ?6) = ?5) LIMIT 1",
          {Value::text(link.mapping->source.name), Value::text(link.mapping->target.name),
           Value::text(std::string(own_prefix)),
           Value::integer(std::ssize(std::string(own_prefix))), Value::text(link_prefix(link)),
           Value::integer(std::ssize(link_prefix(link)))}));
  return !rows.empty();
}

Status remove_link(Connection& connection, const Link& link) {
  TRY(drop_triggers(connection, link_prefix(link)));
  for (const std::string& table : link_tables(link)) {
    TRY(connection.execute("DROP TABLE IF EXISTS " + quote_name(table)));
  }
  return {};
}

}  // namespace

Status SqliteStore::link(const std::vector<Link>& links) {
  return in_transaction([&](Connection& connection) -> Status {
    TRY(make_guard(connection));
    TRY(free_guard(connection));
    for (const Link& one : links) {
      // Made last they act first: a trigger of the application then changes rows that both sides
      // have already.
      TRY(drop_triggers(connection, link_prefix(one)));
      for (const std::string& ddl : link_tables_ddl(one)) TRY(connection.execute(ddl));
      ASSIGN_OR_RETURN(const std::vector<std::string> triggers, link_triggers(one));
      for (const std::string& ddl : triggers) TRY(connection.execute(ddl));
      if (is_numbered(one)) TRY(make_witness(connection, witness_table(one)));
    }
    return {};
  });
}

Result<OtherUse> SqliteStore::used_by_others(const Link& link) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  OtherUse use;
  for (const std::string& table : {link.mapping->source.name, link.mapping->target.name}) {
    ASSIGN_OR_RETURN(const std::vector<Row> triggers,
                     connection->query("SELECT name FROM sqlite_master WHERE type = 'trigger' AND"
                                       " tbl_name = ?1 COLLATE NOCASE",
                                       {Value::text(table)}));
    for (const Row& row : triggers) {
      const auto& name = row[0].get<std::string>();
      const std::size_t kind = name.find('_', std::string_view(own_prefix).size()) + 1;
      const bool is_own = name.starts_with(link_prefix(link));
      if (!name.starts_with(own_prefix) || kind == 0 || is_own) continue;
      if (name.starts_with(own_name("hold " + table, ""))) continue;
      const std::string what = name.substr(kind);
      const bool links = what.starts_with("forward_") || what.starts_with("backward_");
      (links ? use.linked : use.noted) = true;
    }
  }
  ASSIGN_OR_RETURN(const bool claimed, object_exists(*connection, "table", "whimbrel_claims"));
  if (!claimed) return use;
  ASSIGN_OR_RETURN(
      const std::vector<Row> claims,
      connection->query("SELECT migration FROM whimbrel_claims ORDER BY migration", {}));
  for (const Row& row : claims) use.migrations.push_back(row[0].get<std::string>());
  return use;
}

Result<bool> SqliteStore::links_are_whole(const std::vector<Link>& links) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  bool whole = true;
  const auto look = [&](const char* type, const std::string& ddl) -> Status {
    // Ours are the first quoted name in what makes them, and hold no quotes.
    const std::size_t begin = ddl.find('"') + 1;
    const std::string name = ddl.substr(begin, ddl.find('"', begin) - begin);
    ASSIGN_OR_RETURN(const bool there, object_exists(*connection, type, name));
    whole = whole && there;
    return {};
  };
  for (const Link& one : links) {
    for (const std::string& ddl : link_tables_ddl(one)) TRY(look("table", ddl));
    ASSIGN_OR_RETURN(const std::vector<std::string> triggers, link_triggers(one));
    for (const std::string& ddl : triggers) TRY(look("trigger", ddl));
    ASSIGN_OR_RETURN(const bool came_later, triggers_came_later(*connection, one));
    whole = whole && !came_later;
    if (!is_numbered(one)) continue;
    ASSIGN_OR_RETURN(const bool stands, witness_stands(*connection, witness_table(one)));
    whole = whole && stands;
  }
  ASSIGN_OR_RETURN(const bool guarded, has_guard(*connection));
  ASSIGN_OR_RETURN(const bool stuck, guard_is_stuck(*connection));
  return whole && guarded && !stuck;
}

// Everything happens in one transaction: between the last look at what the new side wrote and the
// end of its table nobody can write.
Status SqliteStore::unlink(const std::vector<Link>& links, PairSink& sink) {
  return in_transaction([&](Connection& connection) -> Status {
    for (const Link& one : links) {
      const Mapping& mapping = *one.mapping;
      ASSIGN_OR_RETURN(const bool target_there,
                       object_exists(connection, "table", mapping.target.name));
      ASSIGN_OR_RETURN(const std::vector<Row> keys, touched_keys(connection, one));
      if (!target_there) continue;
      for (const Row& key : keys) {
        ASSIGN_OR_RETURN(const std::optional<Row> row, read_key(connection, mapping.target, key));
        if (!row) {
          TRY(sink.gone(one, key));
          continue;
        }
        std::optional<Row> source;
        if (const auto source_key = key_that_leads_back(mapping, key, *this, *this)) {
          ASSIGN_OR_RETURN(source, read_key(connection, mapping.source, *source_key));
        }
        TRY(sink.pair(one, source, *row));
      }
    }
    TRY(sink.flush());
    for (const Link& one : links) {
      const std::string target = quote_name(one.mapping->target.name);
      TRY(remove_link(connection, one));
      if (one.made_target) {
        TRY(connection.execute("DROP TABLE IF EXISTS " + target));
      } else {
        TRY(empty_table(connection, one.mapping->target.name));
      }
    }
    return drop_guard_if_unused(connection);
  });
}

Status SqliteStore::cut(const std::vector<Link>& links) {
  return in_transaction([&](Connection& connection) -> Status {
    for (const Link& one : links) TRY(remove_link(connection, one));
    return drop_guard_if_unused(connection);
  });
}

Result<std::vector<Row>> SqliteStore::written_on_new_side(const Link& link) {
  ASSIGN_OR_RETURN(const auto connection, connect(Access::read));
  return touched_keys(*connection, link);
}

Result<bool> SqliteStore::put_back(const Link& link, const Row& target_row,
                                   const std::vector<std::pair<std::string, Value>>& columns) {
  const TableSchema& table = link.mapping->target;
  const Row key = key_of(target_row, link.mapping->target_key);
  bool set = false;
  TRY(in_transaction([&](Connection& connection) -> Status {
    ASSIGN_OR_RETURN(const std::optional<Row> now, read_key(connection, table, key));
    if (!now || !same(*now, target_row)) return {};
    ASSIGN_OR_RETURN(const bool guarded, has_guard(connection));
    if (guarded) TRY(connection.execute(guard_on));
    std::vector<std::string> sets;
    std::vector<std::string> where;
    Row parameters;
    for (const auto& [column, value] : columns) {
      parameters.push_back(value);
      sets.push_back(fmt::format("{} = ?{}", quote_name(column), parameters.size()));
    }
    for (std::size_t i = 0; i < key.size(); ++i) {
      parameters.push_back(key[i]);
      where.push_back(fmt::format("{} = ?{}", quote_name(table.key[i]), parameters.size()));
    }
    const auto updated =
        connection.run(fmt::format("UPDATE {} SET {} WHERE {}", quote_name(table.name),
                                   join(sets, ", "), join(where, " AND ")),
                       parameters);
    if (!updated.ok()) return updated.error();
    ASSIGN_OR_RETURN(const bool noted, object_exists(connection, "table", touched_table(link)));
    if (noted) {
      std::vector<std::string> marks;
      for (std::size_t i = 0; i < key.size(); ++i) marks.push_back(fmt::format("?{}", i + 1));
      const auto added =
          connection.run(fmt::format("INSERT OR IGNORE INTO {} VALUES ({})",
                                     quote_name(touched_table(link)), join(marks, ", ")),
                         key);
      if (!added.ok()) return added.error();
    }
    if (guarded) TRY(connection.execute(guard_off));
    set = true;
    return {};
  }));
  return set;
}

}  // namespace whimbrel
