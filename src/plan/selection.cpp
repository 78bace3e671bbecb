#include "plan/selection.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "plan/subset.h"
#include "store/image.h"

namespace whimbrel {

namespace {

// Rows that refer to rows that refer to rows …: beyond this it is enough that a row is there.
constexpr int depth_max = 200;
constexpr std::size_t remembered_max = 1'000;

// Wide enough for every whole number of 64 bits.
std::optional<long double> number_of(const Value& value) {
  if (const auto* flag = value.get_if<bool>()) return *flag ? 1 : 0;
  if (const auto* number = value.get_if<std::int64_t>()) return static_cast<long double>(*number);
  if (const auto* real = value.get_if<double>()) return *real;
  if (const auto* decimal = value.get_if<Decimal>())
    return std::strtold(decimal->text.c_str(), nullptr);
  return std::nullopt;
}

// Below, equal or above zero; unset for values that have no order between them.
std::optional<int> order_of(const Value& a, const Value& b) {
  if (a.kind() == b.kind()) return compare(a, b);
  const auto left = number_of(a);
  const auto right = number_of(b);
  if (!left || !right) return std::nullopt;
  return *left < *right ? -1 : *left > *right ? 1 : 0;
}

bool is_equal(const Value& a, const Value& b) {
  if (a.is_null() || b.is_null()) return a.is_null() && b.is_null();
  return order_of(a, b) == 0;
}

// Equal to the store alone, like 1.0 to 1, it would get another new id than its parent.
bool leads_to_its_new_id(const Move& parent, const Row& asked, const Row& found) {
  const std::string& key = parent.mapping.source.key.front();
  const bool stays = std::ranges::any_of(parent.mapping.forward, [&](const ColumnRule& rule) {
    const auto* bare = std::get_if<ColumnRef>(&rule.expr->node);
    return bare != nullptr && bare->column == key;
  });
  if (stays) return true;
  const Result<std::string> one = faithful_text_of(asked.front());
  const Result<std::string> other =
      faithful_text_of(key_of(found, parent.mapping.source_key).front());
  return one.ok() && other.ok() && one.value() == other.value();
}

bool may_leave_out(const Move& move) {
  return leaves_out_rows(move) || move.on_error == OnError::reject ||
         move.orphans == Orphans::reject || move.orphans == Orphans::remove;
}

bool holds(const Condition& condition, const TableSchema& table, const Row& row) {
  const int at = table.column_index(condition.column);
  const Value none;
  const Value& value = at < 0 ? none : row[static_cast<std::size_t>(at)];
  const auto any = [&](auto test) { return std::ranges::any_of(condition.values, test); };
  const auto ordered = [&](auto test) {
    return any([&](const Value& limit) {
      const auto order = order_of(value, limit);
      return order && !value.is_null() && test(*order);
    });
  };
  switch (condition.is) {
    case Condition::Is::one_of:
      return any([&](const Value& one) { return is_equal(value, one); });
    case Condition::Is::none_of:
      return !any([&](const Value& one) { return is_equal(value, one); });
    case Condition::Is::at_least:
      return ordered([](int order) { return order >= 0; });
    case Condition::Is::above:
      return ordered([](int order) { return order > 0; });
    case Condition::Is::at_most:
      return ordered([](int order) { return order <= 0; });
    case Condition::Is::below:
      return ordered([](int order) { return order < 0; });
    case Condition::Is::begins_with:
      return any([&](const Value& one) {
        const auto* text = value.get_if<std::string>();
        const auto* begin = one.get_if<std::string>();
        return text != nullptr && begin != nullptr && text->starts_with(*begin);
      });
  }
  return false;
}

}  // namespace

bool leaves_out_rows(const Move& move) { return !move.where.empty() || move.subset != nullptr; }

bool meets_conditions(const Move& move, const Row& row) {
  return std::ranges::all_of(
      move.where, [&](const Condition& one) { return holds(one, move.mapping.source, row); });
}

Result<bool> Selection::is_wanted(const Row& row) const {
  if (!meets_conditions(move_, row)) return false;
  return move_.subset == nullptr ? Result<bool>(true) : move_.subset->has(moves_, move_, row);
}

// Whether these rows, where they are there at all, are taken by their own move.
Result<std::vector<bool>> Selection::are_taken(std::vector<std::optional<Row>> rows) {
  std::vector<bool> taken;
  for (const std::optional<Row>& row : rows) taken.push_back(row.has_value());
  if (!may_leave_out(move_) || known_->depth > depth_max) return taken;
  ++known_->depth;
  Result<std::vector<Pick>> picks = pick(std::move(rows));
  --known_->depth;
  if (!picks.ok()) return std::move(picks).error();
  for (std::size_t i = 0; i < taken.size(); ++i) {
    const Pick& one = picks.value()[i];
    taken[i] =
        one.fate == Fate::taken && (move_.on_error != OnError::reject ||
                                    image_of(move_.mapping, one.row, move_.target->catalog()).ok());
  }
  return taken;
}

Status Selection::look_up(const Reference& reference, std::vector<Value> ids) {
  const Move& to = moves_[static_cast<std::size_t>(reference.parent)];
  Parent& parent = known_->parents[reference.parent];
  if (parent.reader == nullptr) {
    ASSIGN_OR_RETURN(parent.reader, to.source->open_reader(to.mapping.source));
  }
  if (parent.taken.size() > remembered_max && known_->depth == 0) parent.taken.clear();
  std::vector<Row> keys;
  for (Value& id : ids) {
    Row key{std::move(id)};
    if (parent.taken.emplace(key, true).second) keys.push_back(std::move(key));
  }
  if (keys.empty()) return {};
  ASSIGN_OR_RETURN(auto rows, parent.reader->read_keys(keys));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (rows[i] && !leads_to_its_new_id(to, keys[i], *rows[i])) rows[i].reset();
  }
  Selection of_parent(moves_, to, known_);
  ASSIGN_OR_RETURN(const std::vector<bool> taken, of_parent.are_taken(std::move(rows)));
  for (std::size_t i = 0; i < keys.size(); ++i) parent.taken[keys[i]] = taken[i];
  return {};
}

Result<bool> Selection::is_taken(const Reference& reference, const Value& id) {
  TRY(look_up(reference, {id}));
  return known_->parents[reference.parent].taken.at({id});
}

Result<std::vector<Selection::Missing>> Selection::missing(std::span<const Row> rows) {
  std::vector<Missing> all;
  for (const Reference& reference : move_.references) {
    std::vector<std::vector<Value>> by_row;
    std::vector<Value> ids;
    for (const Row& row : rows) {
      const Value& value = row[static_cast<std::size_t>(reference.column)];
      Result<std::vector<Value>> found = ids_in(reference.place, value);
      // What the mapping refuses anyway refers to nothing.
      by_row.push_back(found.ok() ? std::move(found).value() : std::vector<Value>{});
      std::erase_if(by_row.back(), [](const Value& id) { return id.is_null(); });
      ids.insert(ids.end(), by_row.back().begin(), by_row.back().end());
    }
    TRY(look_up(reference, std::move(ids)));
    const auto& taken = known_->parents[reference.parent].taken;
    for (std::size_t i = 0; i < by_row.size(); ++i) {
      for (Value& id : by_row[i]) {
        if (!taken.at({id})) all.push_back({i, &reference, std::move(id)});
      }
    }
  }
  return all;
}

// What becomes of a row that refers to nothing in this place.
Status Selection::settle(Pick& pick, const Missing& missing) const {
  const Reference& reference = *missing.reference;
  switch (move_.orphans) {
    case Orphans::fail:
    case Orphans::keep:
      return {};
    case Orphans::remove:
      pick.fate = Fate::left_out;
      return {};
    case Orphans::reject: {
      if (pick.fate == Fate::set_aside) return {};  // the first reason is enough
      const std::string& parent = moves_[static_cast<std::size_t>(reference.parent)].name;
      pick.fate = Fate::set_aside;
      pick.error = Error{ErrorCode::refused,
                         fmt::format("{} refers to {} of {}, which is not there or not moved",
                                     reference.said, show(missing.id), parent)};
      return {};
    }
    case Orphans::null:
    case Orphans::assign:
      break;
  }
  const Value instead = move_.orphans == Orphans::assign ? move_.orphans_to : Value();
  Value& value = pick.row[static_cast<std::size_t>(reference.column)];
  ASSIGN_OR_RETURN(value,
                   with_ids_replaced(reference.place, value, [&](const Value& id) -> Result<Value> {
                     return same(id, missing.id) ? instead : id;
                   }));
  return {};
}

Result<std::vector<Selection::Pick>> Selection::decide(std::vector<Row> wanted,
                                                       const std::vector<Missing>& missing) const {
  std::vector<Pick> picks(wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) picks[i].row = std::move(wanted[i]);
  for (const Missing& one : missing) TRY(settle(picks[one.row], one));
  return picks;
}

Result<std::vector<Selection::Pick>> Selection::pick(std::vector<std::optional<Row>> rows) {
  std::vector<Row> wanted;
  std::vector<std::size_t> of;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i]) continue;
    ASSIGN_OR_RETURN(const bool wanted_too, is_wanted(*rows[i]));
    if (!wanted_too) continue;
    wanted.push_back(*std::move(rows[i]));
    of.push_back(i);
  }
  std::vector<Missing> gone;
  if (move_.orphans != Orphans::fail && move_.orphans != Orphans::keep) {
    ASSIGN_OR_RETURN(gone, missing(wanted));
  }
  ASSIGN_OR_RETURN(std::vector<Pick> decided, decide(std::move(wanted), gone));
  std::vector<Pick> picks(rows.size(), Pick{Fate::left_out, {}, {}});
  for (std::size_t i = 0; i < of.size(); ++i) picks[of[i]] = std::move(decided[i]);
  return picks;
}

}  // namespace whimbrel
