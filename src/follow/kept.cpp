#include "follow/kept.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace whimbrel {

namespace {
Result<Value> value_from(const nlohmann::json& hex) {
  if (hex.is_string()) {
    ASSIGN_OR_RETURN(Row one, row_from_canonical(from_hex(hex.get<std::string>())));
    if (one.size() == 1) return std::move(one[0]);
  }
  return Error{ErrorCode::invalid_plan, "a kept row cannot be read"};
}
}  // namespace

Status keep_unheld(Journal& journal, int move, const Row& target_key,
                   const std::vector<Unheld>& columns) {
  const std::string key = to_hex(canonical(target_key));
  if (columns.empty()) return journal.forget_kept(move, key);
  nlohmann::json body = nlohmann::json::object();
  for (const Unheld& one : columns) {
    nlohmann::json& entry = body[one.column];
    entry["value"] = to_hex(canonical({one.value}));
    if (one.instead_of) entry["instead_of"] = to_hex(canonical({*one.instead_of}));
  }
  return journal.keep(
      {move, key, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)});
}

namespace {

constexpr const char* whole_row = "";  // the name of no column

// Among the columns of a whole row. In its `instead_of`: the older version that stayed, or null for
// what only a person puts back.
const Unheld* mark_of(const std::vector<Unheld>& columns) {
  const auto mark = std::ranges::find(columns, whole_row, &Unheld::column);
  return mark == columns.end() ? nullptr : &*mark;
}

Status keep_row(Journal& journal, const Move& move, const Row& target_key, const Row& row,
                std::optional<Value> mark) {
  std::vector<Unheld> columns = {{whole_row, Value::integer(journal.attempt()), std::move(mark)}};
  for (std::size_t i = 0; i < move.mapping.target.columns.size(); ++i) {
    const ColumnSchema& column = move.mapping.target.columns[i];
    if (!column.generated) columns.push_back({column.name, row[i], std::nullopt});
  }
  return keep_unheld(journal, move.index, target_key, columns);
}

}  // namespace

Status keep_whole_row(Journal& journal, const Move& move, const Row& target_key, const Row& row,
                      const std::optional<Row>& stays) {
  std::optional<Value> mark;
  if (stays) mark = Value::text(version_of(*stays));
  return keep_row(journal, move, target_key, row, std::move(mark));
}

Status keep_for_a_person(Journal& journal, const Move& move, const Row& target_key,
                         const Row& row) {
  return keep_row(journal, move, target_key, row, Value());
}

bool is_whole_row(const std::vector<Unheld>& columns) { return mark_of(columns) != nullptr; }

bool is_for_a_person(const std::vector<Unheld>& columns) {
  const Unheld* mark = mark_of(columns);
  return mark != nullptr && mark->instead_of && mark->instead_of->is_null();
}

std::optional<std::int64_t> attempt_that_kept(const std::vector<Unheld>& columns) {
  if (!is_for_a_person(columns)) return std::nullopt;
  const auto* attempt = mark_of(columns)->value.get_if<std::int64_t>();
  return attempt == nullptr ? std::nullopt : std::optional(*attempt);
}

std::optional<std::string> what_stayed(const std::vector<Unheld>& columns) {
  const Unheld* mark = mark_of(columns);
  if (mark == nullptr || !mark->instead_of) return std::nullopt;
  const auto* version = mark->instead_of->get_if<std::string>();
  return version == nullptr ? std::nullopt : std::optional(*version);
}

std::string version_of(const Row& source) { return digest_hex(canonical(source)); }

Result<std::vector<Unheld>> columns_from(const KeptRow& row) {
  const nlohmann::json body = nlohmann::json::parse(row.columns, nullptr, false);
  std::vector<Unheld> columns;
  if (!body.is_object()) return Error{ErrorCode::invalid_plan, "a kept row cannot be read"};
  for (const auto& [column, entry] : body.items()) {
    if (!entry.is_object()) return Error{ErrorCode::invalid_plan, "a kept row cannot be read"};
    Unheld one{column, {}, std::nullopt};
    ASSIGN_OR_RETURN(one.value, value_from(entry.value("value", nlohmann::json())));
    if (entry.contains("instead_of")) {
      ASSIGN_OR_RETURN(Value instead, value_from(entry["instead_of"]));
      one.instead_of = std::move(instead);
    }
    columns.push_back(std::move(one));
  }
  return columns;
}

Result<Row> key_from(const KeptRow& row) { return row_from_canonical(from_hex(row.key)); }

}  // namespace whimbrel
