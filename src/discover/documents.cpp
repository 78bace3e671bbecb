#include "discover/documents.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace whimbrel {

namespace {

// Field names by how many documents have them; nothing when some value is no document.
std::map<std::string, std::size_t> fields_of(const TableSample& source, std::size_t at,
                                             std::size_t& documents) {
  std::map<std::string, std::size_t> fields;
  documents = 0;
  for (const Row& row : source.rows) {
    if (row[at].is_null()) continue;
    const auto* text = row[at].get_if<std::string>();
    const bool could_be = text != nullptr && !text->empty() && text->front() == '{';
    const auto document =
        could_be ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
    if (!document.is_object()) return {};
    ++documents;
    for (const auto& [name, value] : document.items()) ++fields[name];
  }
  return fields;
}

}  // namespace

std::optional<ExprPtr> field_named_like(const TableSample& source, const ColumnSample& column) {
  for (std::size_t i = 0; i < source.columns.size(); ++i) {
    std::size_t documents = 0;
    for (const auto& [name, count] : fields_of(source, i, documents)) {
      const bool can_be_said = name.find_first_of(".[]\"\\{}") == std::string::npos;
      const Words words = words_of(name);
      const bool is_meant = words == column.words || words == column.own;
      if (!can_be_said || !is_meant || count * 2 < documents) continue;
      const ExprPtr of = make_expr(ColumnRef{source.schema.columns[i].name});
      return make_expr(JsonExtract{of, "$.\"" + name + "\""});
    }
  }
  return std::nullopt;
}

std::optional<ExprPtr> document_of(const std::vector<std::string>& columns,
                                   const ColumnSchema& target) {
  const bool holds_documents =
      target.holds == Kind::json || ascii_upper(target.declared).find("JSON") != std::string::npos;
  if (!holds_documents || columns.empty()) return std::nullopt;
  JsonObject object;
  for (const std::string& column : columns) {
    object.fields.emplace_back(column, make_expr(ColumnRef{column}));
  }
  return make_expr(std::move(object));
}

}  // namespace whimbrel
