#include "discover/same_rows.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include "base/text.h"

namespace whimbrel {

namespace {
constexpr std::int64_t enough_rows = 5;
}

double name_likeness(const TableSample& source, int i, const TableSample& target, int j) {
  if (ascii_iequals(source.column(i).name, target.column(j).name)) return 1;
  const ColumnSample& a = source.sample(i);
  const ColumnSample& b = target.sample(j);
  return std::max(likeness(a.words, b.words) * 0.99, likeness(a.own, b.own) * 0.93);
}

bool is_counting(const ColumnSample& column) {
  if (column.seen != Kind::int64) return false;
  std::int64_t least = INT64_MAX;
  std::int64_t most = INT64_MIN;
  for (const std::string& text : column.values) {
    const std::int64_t number = std::strtoll(text.c_str() + 1, nullptr, 10);
    least = std::min(least, number);
    most = std::max(most, number);
  }
  return !column.values.empty() && static_cast<double>(most) - static_cast<double>(least) <
                                       4.0 * static_cast<double>(column.values.size());
}

SameRows::SameRows(const TableSample& source, const TableSample& target)
    : source_(source), target_(target) {
  pair_keys();
  if (key_.empty()) return;
  std::map<std::string, std::size_t> where;
  for (std::size_t row = 0; row < target_.rows.size(); ++row) {
    where[key_of(target_, row, false)] = row;
  }
  for (std::size_t row = 0; row < source_.rows.size(); ++row) {
    const auto it = where.find(key_of(source_, row, true));
    if (it != where.end()) rows_.emplace_back(row, it->second);
  }
}

// As far as names tell which column is which in the key.
void SameRows::pair_keys() {
  const auto& key = source_.schema.key;
  if (key.size() != target_.schema.key.size()) return;
  std::set<int> used;
  for (const std::string& name : key) {
    const int i = source_.schema.column_index(name);
    int best = -1;
    double most = -1;
    for (const std::string& other : target_.schema.key) {
      const int j = target_.schema.column_index(other);
      const double like = name_likeness(source_, i, target_, j);
      if (used.contains(j) || like <= most) continue;
      most = like;
      best = j;
    }
    used.insert(best);
    key_.emplace_back(i, best);
    key_columns_.insert(i);
  }
}

std::string SameRows::key_of(const TableSample& table, std::size_t row, bool left) const {
  std::string text;
  for (const auto& [i, j] : key_) text += table.sample(left ? i : j).texts[row] + '\n';
  return text;
}

std::optional<SameRows::Agreement> SameRows::agreement(int source_column,
                                                       const std::vector<std::string>& texts,
                                                       int target_column) const {
  Agreement found;
  for (const auto& [left, right] : rows_) {
    if (left >= texts.size()) continue;
    const std::string& a = texts[left];
    const std::string& b = target_.sample(target_column).texts[right];
    if (a.empty() && b.empty()) continue;
    ++found.of;
    if (a == b) ++found.same;
  }
  const bool can_tell = found.of >= enough_rows && !key_columns_.contains(source_column) &&
                        source_.sample(source_column).values.size() >= 2;
  return can_tell ? std::optional(found) : std::nullopt;
}

bool SameRows::are_real() const {
  if (are_real_) return *are_real_;
  are_real_ = false;
  for (int i = 0; i < std::ssize(source_.columns); ++i) {
    const ColumnSample& column = source_.sample(i);
    if (column.values.size() < 5 || is_counting(column)) continue;
    for (int j = 0; j < std::ssize(target_.columns); ++j) {
      const auto found = agreement(i, column.texts, j);
      if (!found || found->same * 2 < found->of) continue;
      are_real_ = true;
      return true;
    }
  }
  return false;
}

}  // namespace whimbrel
