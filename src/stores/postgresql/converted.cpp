#include "stores/postgresql/converted.h"

#include <algorithm>

#include "stores/postgresql/rows.h"

namespace whimbrel::postgresql {

namespace {

// Pairs of types between which the server's cast says what settle() says. Between any others rows
// take the way through this program.
bool is_known_cast(const ColumnSchema& from, const ColumnSchema& to) {
  if (from.declared == to.declared) return true;
  const Type source = type_of(from.declared);
  const Type target = type_of(to.declared);
  const auto is_text = [](const Type& type) {
    return type.is == TypeClass::text || type.is == TypeClass::varchar;
  };
  const auto is_whole = [](const Type& type) {
    return type.is == TypeClass::int2 || type.is == TypeClass::int4 || type.is == TypeClass::int8;
  };
  if (is_text(source) && target.is == TypeClass::uuid) return true;
  // A cast cuts a text that is too long without a word.
  const bool takes_all =
      target.is == TypeClass::text || (target.is == TypeClass::varchar && target.length < 0);
  if (takes_all) return is_text(source) || is_whole(source) || source.is == TypeClass::uuid;
  if (source.is == TypeClass::uuid) return target.is == TypeClass::varchar && target.length >= 36;
  return is_whole(source) && is_whole(target);
}

}  // namespace

bool server_converts(const Mapping& mapping) {
  return std::ranges::all_of(mapping.forward, [&](const ColumnRule& rule) {
    const auto* copied = std::get_if<ColumnRef>(&rule.expr->node);
    return copied != nullptr && mapping.source.column_index(copied->column) >= 0 &&
           is_known_cast(column_of(mapping.source, copied->column),
                         column_of(mapping.target, rule.column));
  });
}

bool converts_all(const Mapping& mapping) {
  return server_converts(mapping) && std::ranges::all_of(mapping.forward, [&](const auto& rule) {
           const ColumnSchema& from =
               column_of(mapping.source, std::get<ColumnRef>(rule.expr->node).column);
           const ColumnSchema& to = column_of(mapping.target, rule.column);
           if (from.nullable && !to.nullable) return false;
           if (from.declared == to.declared) return true;
           const Type target = type_of(to.declared);
           if (target.is == TypeClass::uuid) {
             return std::ranges::count(mapping.respelled, rule.column, &Respelling::column) > 0;
           }
           // A text that takes all, or a whole number that is no smaller.
           return target.is == TypeClass::text || target.is == TypeClass::varchar ||
                  target.is == TypeClass::int8 || type_of(from.declared).is == TypeClass::int2;
         });
}

bool keeps_apart(const Mapping& mapping, const ColumnRule& rule) {
  const auto* copied = std::get_if<ColumnRef>(&rule.expr->node);
  if (copied == nullptr) return false;
  const ColumnSchema& from = column_of(mapping.source, copied->column);
  const ColumnSchema& to = column_of(mapping.target, rule.column);
  if (from.declared == to.declared) return true;
  if (type_of(to.declared).is != TypeClass::uuid) return is_known_cast(from, to);
  // One spelling of each is taken, or several are.
  return std::ranges::any_of(mapping.respelled, [&](const Respelling& one) {
    return one.column == rule.column && !one.takes_any && one.listed == nullptr;
  });
}

std::string converted(const Mapping& mapping, const ColumnRule& rule) {
  const std::string& from = std::get<ColumnRef>(rule.expr->node).column;
  const std::string sql = "s." + quote_name(from);
  const ColumnSchema& target = column_of(mapping.target, rule.column);
  return column_of(mapping.source, from).declared == target.declared
             ? sql
             : "(" + sql + ")::" + target.declared;
}

// Types whose equal values may look otherwise are compared as text.
std::string comparable(const std::string& sql, const ColumnSchema& column) {
  switch (type_of(column.declared).is) {
    case TypeClass::boolean:
    case TypeClass::int2:
    case TypeClass::int4:
    case TypeClass::int8:
    case TypeClass::bytea:
    case TypeClass::uuid:
    case TypeClass::date:
    case TypeClass::timestamp:
    case TypeClass::timestamp_tz:
      return sql;
    default:
      return "(" + sql + ")::text COLLATE \"C\"";
  }
}

std::optional<std::string> source_of(const Mapping& mapping, const std::string& column) {
  for (const ColumnRule& rule : mapping.forward) {
    const auto* copied = std::get_if<ColumnRef>(&rule.expr->node);
    if (rule.column == column && copied != nullptr) return copied->column;
  }
  return std::nullopt;
}

}  // namespace whimbrel::postgresql
