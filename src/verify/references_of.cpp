#include "verify/references_of.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "store/own_rows.h"

namespace whimbrel {

namespace {
constexpr std::int64_t rows_at_once = 2000;
}  // namespace

Status ReferencesOf::open() {
  for (const Reference& reference : move_.references) {
    const Move& parent = moves_[static_cast<std::size_t>(reference.parent)];
    ASSIGN_OR_RETURN(auto reader, parent.target->open_reader(parent.mapping.target));
    parents_.push_back(std::move(reader));
  }
  ASSIGN_OR_RETURN(rows_, move_.target->open_reader(move_.mapping.target));
  return {};
}

Result<Step> ReferencesOf::step() {
  if (rows_ == nullptr) TRY(open());
  ASSIGN_OR_RETURN(const std::vector<OwnRow> own, move_.own->following(after_, rows_at_once));
  if (own.empty()) return Step::done;
  std::vector<Row> keys;
  for (const OwnRow& row : own) keys.push_back(row.target_key);
  ASSIGN_OR_RETURN(const auto rows, rows_->read_keys(keys));
  for (std::size_t i = 0; i < parents_.size(); ++i) {
    // What the plan makes of it does not lead back; it was looked for when the row was copied.
    if (move_.references[i].becomes < 0) continue;
    TRY(follow(move_.references[i], *parents_[i], rows));
  }
  after_ = own.back().target_key;
  return Step::again;
}

// The key that the parent's row has where it is made of that one id and of nothing else of the row;
// unset where more is needed.
Result<std::optional<Row>> ReferencesOf::key_with(const Mapping& parent, const Value& id) {
  if (parent.source.key.size() != 1) return std::optional<Row>();
  Row key;
  for (const std::string& column : parent.target.key) {
    const auto rule = std::ranges::find(parent.forward, column, &ColumnRule::column);
    if (rule == parent.forward.end()) return std::optional<Row>();
    const ExprPtr made = with_copies(rule->expr, parent.source.key.front(),
                                     [&](const ExprPtr&) { return make_expr(Constant{id}); });
    if (!columns_of(*made).empty()) return std::optional<Row>();
    ASSIGN_OR_RETURN(Value value, evaluate(*made, {}));
    key.push_back(std::move(value));
  }
  return std::optional(std::move(key));
}

// Many rows refer to the same one: it is looked for once.
Status ReferencesOf::follow(const Reference& reference, SnapshotReader& parents,
                            const std::vector<std::optional<Row>>& rows) {
  const Move& parent = moves_[static_cast<std::size_t>(reference.parent)];
  const Kind of_key =
      parent.mapping.target.columns[static_cast<std::size_t>(parent.mapping.target_key.front())]
          .holds;
  struct Wanted {
    const Row* by;  // a row that refers to it
    std::int64_t times = 0;
  };
  std::map<Row, Wanted, RowLess> wanted;  // by id
  for (const std::optional<Row>& row : rows) {
    if (!row) continue;
    const Value& value = (*row)[static_cast<std::size_t>(reference.becomes)];
    const Result<std::vector<Value>> ids = ids_in(reference.place, value, of_key);
    if (!ids.ok() && !ids.error().is_of_a_row()) return ids.error();
    if (!ids.ok()) continue;  // a document that cannot be looked into, and came as it is
    for (const Value& id : ids.value()) {
      if (id.is_null()) continue;
      ++wanted.try_emplace({id}, Wanted{&*row}).first->second.times;
    }
  }
  std::vector<Row> keys;
  std::vector<const Row*> of;
  for (const auto& [id, one] : wanted) {
    ASSIGN_OR_RETURN(std::optional<Row> key, key_with(parent.mapping, id.front()));
    if (!key) continue;
    keys.push_back(*std::move(key));
    of.push_back(one.by);
    followed_ += one.times;
  }
  ASSIGN_OR_RETURN(const std::vector<bool> found, parents.has_keys(keys));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (found[i]) continue;
    return Error{
        ErrorCode::data_mismatch,
        fmt::format("{} of the row {} of {} leads to {}, which is not there", reference.said,
                    show(key_of(*of[i], move_.mapping.target_key)), move_.to, show(keys[i])),
        "`whimbrel analyze` names every row of the source that refers to nothing",
        "nothing is switched; `whimbrel rollback` takes away what was written",
        {},
        ""};
  }
  return {};
}

}  // namespace whimbrel
