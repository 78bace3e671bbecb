#include "stores/postgresql/digests.h"

#include <fmt/format.h>

#include "base/text.h"
#include "stores/postgresql/converted.h"

namespace whimbrel::postgresql {

namespace {

bool is_whole(const Type& type) {
  return type.is == TypeClass::int2 || type.is == TypeClass::int4 || type.is == TypeClass::int8;
}

std::string digest(const std::vector<std::string>& values, DigestBy by) {
  const std::string row = "ROW(" + join(values, ", ") + ")";
  if (by == DigestBy::record) return fmt::format("hash_record_extended({}, 0)", row);
  return fmt::format("('x' || left(md5({}::text), 16))::bit(64)::bigint", row);
}

// `value`: the expression of a column of the target.
template <class Value>
Result<Digested> digested(Connection& connection, const Mapping& mapping, Ranges& ranges,
                          const KeyRange& range, Digests of, DigestBy by, const Value& value) {
  Digested all;
  std::vector<std::string> values;
  for (const ColumnRule& rule : mapping.forward) {
    if (of == Digests::keys && !mapping.target.is_key(rule.column)) continue;
    values.push_back(comparable(value(rule), column_of(mapping.target, rule.column)));
  }
  all.row = digest(values, by);
  ASSIGN_OR_RETURN(all.from, ranges.place(connection));
  ASSIGN_OR_RETURN(all.where, ranges.where(range, all.parameters));
  return all;
}

bool pairs(const ColumnSchema& source, const ColumnSchema& target, bool as_uuids) {
  if (source.declared == target.declared) return true;
  const Type from = type_of(source.declared);
  const Type to = type_of(target.declared);
  const bool is_text = from.is == TypeClass::text || from.is == TypeClass::varchar;
  return (is_whole(from) && is_whole(to)) || (as_uuids && is_text && to.is == TypeClass::uuid);
}

bool keys_pair(const Mapping& mapping, bool as_uuids) {
  if (mapping.source.key.size() != mapping.target.key.size()) return false;
  for (std::size_t i = 0; i < mapping.target.key.size(); ++i) {
    const std::string& name = mapping.target.key[i];
    if (source_of(mapping, name) != mapping.source.key[i]) return false;
    if (!pairs(column_of(mapping.source, mapping.source.key[i]), column_of(mapping.target, name),
               as_uuids)) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string Digested::whole() const {
  return fmt::format(
      "SELECT count(*), coalesce(sum(h), 0), coalesce(bit_xor(h), 0) FROM (SELECT {} AS h FROM {} "
      "WHERE {}) d",
      row, from, where);
}

Result<Digested> digested_source(Connection& connection, const Mapping& mapping, Ranges& ranges,
                                 const KeyRange& range, Digests of, DigestBy by) {
  ASSIGN_OR_RETURN(Digested all,
                   digested(connection, mapping, ranges, range, of, by,
                            [&](const ColumnRule& rule) { return converted(mapping, rule); }));
  all.from += " s";
  all.keys = key_array(mapping.source, "s");
  return all;
}

Result<Digested> digested_target(Connection& connection, const Mapping& mapping, Ranges& ranges,
                                 const KeyRange& range, Digests of, DigestBy by) {
  ASSIGN_OR_RETURN(Digested all,
                   digested(connection, mapping, ranges, range, of, by,
                            [](const ColumnRule& rule) { return "t." + quote_name(rule.column); }));
  all.from += " t";
  all.keys = key_array(mapping.target, "t");
  return all;
}

Fingerprint fingerprint_of(std::span<const Cell> cells) {
  return Fingerprint::of(std::stoll(*cells[0]), *cells[1], std::stoll(*cells[2]));
}

bool same_order(const Mapping& mapping) { return keys_pair(mapping, false); }
bool same_order_as_uuids(const Mapping& mapping) { return keys_pair(mapping, true); }

}  // namespace whimbrel::postgresql
