#include "stores/postgresql/names.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace whimbrel::postgresql {

std::string quote_text(std::string_view text) {
  std::string out = text.find('\\') == std::string_view::npos ? "'" : " E'";
  for (const char c : text) {
    out += c;
    if (c == '\'' || c == '\\') out += c;
  }
  return out + "'";
}

TableName split_name(std::string_view name) {
  std::vector<std::string> parts(1);
  bool inside = false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool doubled = inside && name[i] == '"' && i + 1 < name.size() && name[i + 1] == '"';
    if (doubled) {
      parts.back() += name[++i];
    } else if (name[i] == '"') {
      inside = !inside;
    } else if (name[i] == '.' && !inside && parts.size() == 1) {
      parts.emplace_back();
    } else {
      parts.back() += name[i];
    }
  }
  if (parts.size() == 1) return {"", parts[0]};
  return {parts[0], parts[1]};
}

namespace {
std::string plainly(const std::string& part) {
  const bool plain = !part.empty() && std::ranges::all_of(part, [&](char c) {
    return (c >= 'a' && c <= 'z') || c == '_' || (c >= '0' && c <= '9' && &c != part.data());
  });
  return plain && (part[0] < '0' || part[0] > '9') ? part : quote_name(part);
}
}  // namespace

std::string spelled(const TableName& name) {
  return (name.schema.empty() ? "" : plainly(name.schema) + ".") + plainly(name.table);
}

std::string quoted(const TableName& name) {
  return (name.schema.empty() ? "" : quote_name(name.schema) + ".") + quote_name(name.table);
}

Result<std::string> schema_of(Connection& connection, const TableName& name) {
  if (!name.schema.empty()) return name.schema;
  ASSIGN_OR_RETURN(
      const auto first,
      connection.query(
          "SELECT n.nspname FROM unnest(string_to_array(replace(replace($1, '\"', ''), "
          "' ', ''), ',')) WITH ORDINALITY p(x, at) JOIN pg_namespace n ON n.nspname "
          "= CASE x WHEN '$user' THEN current_user ELSE x END ORDER BY at LIMIT 1",
          {connection.search_path()}));
  return first.empty() ? std::string("public") : *first.at(0).at(0);
}

Result<bool> has_own(Connection& connection, const std::string& table) {
  ASSIGN_OR_RETURN(const auto rows,
                   connection.query("SELECT to_regclass($1) IS NOT NULL", {"whimbrel." + table}));
  return rows.at(0).at(0) == "t";
}

namespace {

// Tables that have changed places are known by their numbers: one that was made anew is another
// one, and so is the one that has its name since then.
Error dropped_since(Connection& connection, const TableName& wanted) {
  const auto rows = connection.query(
      "SELECT r.source, o.oid IS NULL, quote_ident(n.nspname) || '.' "
      "|| quote_ident(o.relname), (SELECT string_agg(quote_ident(s.nspname), ', ' ORDER BY "
      "s.nspname) FROM pg_namespace s WHERE s.nspname = 'whimbrel' OR s.nspname LIKE "
      "'whimbrel\\_old\\_%') FROM whimbrel.retyped r LEFT JOIN pg_class o ON o.oid = r.source_oid "
      "LEFT JOIN pg_namespace n ON n.oid = o.relnamespace WHERE $1 IN (r.source, r.target)",
      {spelled(wanted)});
  if (!rows.ok()) return rows.error();
  if (rows.value().empty()) return Error{ErrorCode::conflict, "another run is at work"};
  const Cells& row = rows.value()[0];
  const std::string& source = *row[0];
  const std::string clean_up = fmt::format(
      "what whimbrel has beside it goes with DROP SCHEMA {} CASCADE, once no other "
      "migration is under way in this database",
      row[3].value_or("whimbrel"));
  if (row[1] == "t") {
    return Error{
        ErrorCode::refused,
        fmt::format("somebody has dropped the old table of {}: there is no way back any more",
                    source),
        fmt::format("{} goes on as it is; {}", source, clean_up)};
  }
  const std::string old = row[2].value_or("?");
  return Error{
      ErrorCode::refused,
      fmt::format("somebody has dropped {} since it was switched to; what was written to "
                  "it went with it",
                  source),
      fmt::format("its rows of before the switch are in {0}: copy them from there, or move "
                  "it by ALTER TABLE {0} SET SCHEMA; {1}",
                  old, clean_up)};
}

}  // namespace

Result<Place> place_of(Connection& connection, const std::string& name) {
  const TableName wanted = split_name(name);
  ASSIGN_OR_RETURN(const bool any_retyped, has_own(connection, "retyped"));
  if (any_retyped) {
    ASSIGN_OR_RETURN(
        const auto rows,
        connection.query("SELECT c.oid, n.nspname, c.relname FROM whimbrel.retyped r "
                         "LEFT JOIN pg_class c ON c.oid = CASE WHEN r.source = $1 THEN "
                         "r.source_oid ELSE r.target_oid END LEFT JOIN pg_namespace n ON n.oid = "
                         "c.relnamespace WHERE $1 IN (r.source, r.target) AND (c.oid IS NOT NULL "
                         "OR r.swapped)",
                         {spelled(wanted)}));
    if (!rows.empty() && !rows[0][0]) return dropped_since(connection, wanted);
    if (!rows.empty()) return Place{*rows[0][0], {*rows[0][1], *rows[0][2]}};
  }
  // Without a schema: as this role would find it.
  ASSIGN_OR_RETURN(
      const auto rows,
      connection.query(
          "SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n "
          "ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND c.relname = $2 "
          "AND ($1 = n.nspname OR $1 = '' AND n.nspname !~ '^pg_(toast|temp)' AND n.nspname = ANY "
          "(SELECT CASE x WHEN '$user' THEN current_user ELSE x END FROM unnest("
          "string_to_array(replace(replace($3, '\"', ''), ' ', ''), ',')) x)) LIMIT 1",
          {wanted.schema, wanted.table, connection.search_path()}));
  if (!rows.empty()) return Place{*rows[0][0], {*rows[0][1], *rows[0][2]}};
  ASSIGN_OR_RETURN(const auto others,
                   connection.query("SELECT schemaname, tablename FROM pg_tables WHERE schemaname "
                                    "NOT IN ('pg_catalog', 'information_schema')"));
  std::vector<std::string> names;
  for (const Cells& row : others) {
    names.push_back(wanted.schema.empty() ? *row[1] : spelled({*row[0], *row[1]}));
  }
  return Error{ErrorCode::not_found, "there is no table " + printable(name, 200),
               did_you_mean(name, names)};
}

std::string short_digest(const std::string& what) { return digest_hex(what).substr(0, 8); }

}  // namespace whimbrel::postgresql
