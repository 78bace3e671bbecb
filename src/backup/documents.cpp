#include "backup/documents.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "base/text.h"
#include "value/value.h"

namespace whimbrel {

namespace {

using nlohmann::json;

constexpr std::int64_t format_version = 2;  // 1 had other digests of its files

// One list of fields serves both directions: `visit` is called with every name and member.
template <class V>
void fields(ColumnSchema& column, V&& visit) {
  visit("name", column.name);
  visit("declared", column.declared);
  visit("nullable", column.nullable);
  visit("has_default", column.has_default);
  visit("generated", column.generated);
  visit("hidden", column.hidden);
  visit("collation", column.collation);
  visit("holds", column.holds);
}
template <class V>
void fields(ForeignKey& key, V&& visit) {
  visit("columns", key.columns);
  visit("parent", key.parent);
  visit("parent_columns", key.parent_columns);
  visit("on_delete", key.on_delete);
  visit("on_update", key.on_update);
}
template <class V>
void fields(TableSchema& schema, V&& visit) {
  visit("name", schema.name);
  visit("columns", schema.columns);
  visit("key", schema.key);
  visit("uniques", schema.uniques);
  visit("other_uniques", schema.other_uniques);
  visit("foreign_keys", schema.foreign_keys);
  visit("referenced_by", schema.referenced_by);
  visit("triggers", schema.triggers);
  visit("views", schema.views);
  visit("has_checks", schema.has_checks);
  visit("strict", schema.strict);
  visit("rest_column", schema.rest_column);
  visit("create_ddl", schema.create_ddl);
  visit("key_index_ddl", schema.key_index_ddl);
  visit("index_ddl", schema.index_ddl);
  visit("trigger_ddl", schema.trigger_ddl);
}
template <class V>
void fields(ArchivedTable& table, V&& visit) {
  visit("table", table.rows.table);
  visit("rows", table.rows.rows);
  visit("fingerprint", table.rows.fingerprint);
  visit("file", table.rows.file);
  visit("file_digest", table.rows.file_digest);
  visit("schema_file", table.schema_file);
  visit("schema_digest", table.schema_digest);
  visit("last_number", table.last_number);
}
template <class V>
void fields(Manifest& manifest, V&& visit) {
  visit("store", manifest.store);
  visit("tables", manifest.tables);
}

template <class T>
constexpr bool is_vector = false;
template <class T>
constexpr bool is_vector<std::vector<T>> = true;
template <class T>
constexpr bool is_plain =
    std::is_same_v<T, std::string> || std::is_same_v<T, bool> || std::is_same_v<T, std::int64_t>;

template <class T>
json to_json(T& member) {
  if constexpr (is_plain<T>) {
    return member;
  } else if constexpr (std::is_same_v<T, Kind>) {
    return name_of(member);
  } else if constexpr (is_vector<T>) {
    json array = json::array();
    for (auto& item : member) array.push_back(to_json(item));
    return array;
  } else {
    json object = json::object();
    fields(member, [&](const char* name, auto& field) { object[name] = to_json(field); });
    return object;
  }
}

bool kind_named(const std::string& name, Kind& kind) {
  for (int i = 0; i <= static_cast<int>(Kind::stated_null); ++i) {
    kind = static_cast<Kind>(i);
    if (name == name_of(kind)) return true;
  }
  return false;
}

// False when the value has another shape than the member; the library would throw.
template <class T>
bool from_json(const json& value, T& member) {
  if constexpr (std::is_same_v<T, std::string>) {
    if (value.is_string()) member = value.get_ref<const std::string&>();
    return value.is_string();
  } else if constexpr (std::is_same_v<T, bool>) {
    if (value.is_boolean()) member = value.get<bool>();
    return value.is_boolean();
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    const bool fits =
        value.is_number_integer() &&
        !(value.is_number_unsigned() && !std::in_range<std::int64_t>(value.get<std::uint64_t>()));
    if (fits) member = value.get<std::int64_t>();
    return fits;
  } else if constexpr (std::is_same_v<T, Kind>) {
    return value.is_string() && kind_named(value.get_ref<const std::string&>(), member);
  } else if constexpr (is_vector<T>) {
    if (!value.is_array()) return false;
    for (const json& item : value) {
      if (!from_json(item, member.emplace_back())) return false;
    }
    return true;
  } else {
    if (!value.is_object()) return false;
    bool ok = true;
    fields(member, [&](const char* name, auto& field) {
      const auto found = value.find(name);
      const std::string_view field_name(name);  // these came after the first release
      const bool may_lack =
          field_name == "hidden" || field_name == "rest_column" || field_name == "last_number";
      ok = ok && (found == value.end() ? may_lack : from_json(*found, field));
    });
    return ok;
  }
}

// Discarded where it is no JSON, or nested more deeply than anything we write: what is read here is
// written again, which takes room by its depth.
json parsed(std::string_view text) {
  constexpr int depth_max = 32;
  bool too_deep = false;
  const auto look = [&](int depth, json::parse_event_t, json&) {
    too_deep = too_deep || depth > depth_max;
    return !too_deep;
  };
  json value = json::parse(text, look, false);
  return too_deep ? json(json::value_t::discarded) : value;
}

// Bytes that are no UTF-8 are replaced here, and found by reading back what was written.
std::string dump(const json& value) {
  return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<std::string> dump_exactly(const json& value, const std::string& what) {
  std::string text = dump(value);
  if (json::parse(text, nullptr, false) == value) return text;
  return Error{ErrorCode::refused, what + " has a name or a statement that is not UTF-8",
               "rename it in the store, or leave it out of the backup"};
}

Error damaged(const std::string& what) {
  return Error{ErrorCode::data_mismatch, what, "take the folder from another copy of the backup"};
}

}  // namespace

Result<std::string> schema_to_text(const TableSchema& schema) {
  TableSchema copy = schema;
  return dump_exactly(to_json(copy), "the schema of `" + printable(schema.name) + "`");
}

Result<TableSchema> schema_from_text(std::string_view text) {
  TableSchema schema;
  if (!from_json(parsed(text), schema)) return damaged("it is no schema");
  return schema;
}

Result<std::string> manifest_to_text(const Manifest& manifest) {
  Manifest copy = manifest;
  json document = to_json(copy);
  document["format"] = format_version;
  document["digest"] = digest_hex(dump(document));
  return dump_exactly(document, "the manifest of " + printable(manifest.store, 200));
}

Result<Manifest> manifest_from_text(std::string_view text) {
  json document = parsed(text);
  std::string digest;
  if (!document.is_object() || !document.contains("digest") ||
      !from_json(document["digest"], digest) || dump(document) != text) {
    return damaged("the manifest is damaged");
  }
  document.erase("digest");
  if (digest_hex(dump(document)) != digest) return damaged("the manifest is damaged");
  std::int64_t format = 0;
  if (!document.contains("format") || !from_json(document["format"], format) ||
      format != format_version) {
    return Error{ErrorCode::refused, "the backup was written by another release of whimbrel",
                 "use the release that wrote it"};
  }
  Manifest manifest;
  if (!from_json(document, manifest)) return damaged("the manifest lacks a field");
  return manifest;
}

}  // namespace whimbrel
