#include "measure/wellness.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "base/text.h"
#include "measure/value_called.h"

namespace whimbrel {

namespace {

using nlohmann::json;

constexpr std::size_t groups_told_max = 20;

std::optional<TimePoint> since_1970(double number) {
  constexpr double seconds_max = 1e11;  // of seconds it is the year 5138, of milliseconds 1973
  if (!std::isfinite(number) || std::abs(number) > 1e15) return std::nullopt;
  const double ms = std::abs(number) < seconds_max ? number * 1000 : number;
  return TimePoint(Milliseconds(std::llround(ms)));
}

std::optional<TimePoint> moment_in(std::string text) {
  double number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure == std::errc() && end == text.data() + text.size()) return since_1970(number);
  if (text.size() == 10) text += "T00:00:00";
  if (text.size() < 19) return std::nullopt;
  if (text[10] == ' ') text[10] = 'T';
  const std::size_t zone = text.find_first_of("Z+-", 19);
  if (zone == std::string::npos) {
    text += "Z";
  } else if (text.size() == zone + 3) {
    text += ":00";
  }
  return from_iso8601(text);
}

// The column of this side that a column of the old side is moved to as it is; "" where there is
// none.
std::string name_on(const Move& move, Side side, const std::string& name) {
  if (side == Side::old_side || name.empty()) return name;
  for (const ColumnRule& rule : move.mapping.forward) {
    const auto* copied = std::get_if<ColumnRef>(&rule.expr->node);
    if (copied != nullptr && ascii_iequals(copied->column, name)) return rule.column;
  }
  const bool is_rest = !move.mapping.source.rest_column.empty() &&
                       !move.mapping.target.rest_column.empty() &&
                       move.mapping.source.column_index(name) < 0;
  return is_rest ? name : "";
}

class Look {
 public:
  Look(const Move& move, Side side, TimePoint now)
      : move_(move),
        table_(side == Side::old_side ? move.mapping.source : move.mapping.target),
        now_(now),
        newest_(name_on(move, side, move.health->newest)),
        groups_(name_on(move, side, move.health->groups)) {
    for (const auto& [name, values] : move.health->stuck) {
      stuck_.emplace_back(name_on(move, side, name), &values);
    }
  }

  void take(const Row& row) {
    const Value time = value_of(row, newest_);
    const std::optional<TimePoint> at = moment_of(time);
    if (at && (!last_ || *at > *last_)) std::tie(last_, last_value_) = std::pair(at, time);
    if (at && (!first_ || *at < *first_)) std::tie(first_, first_value_) = std::pair(at, time);
    if (!groups_.empty() && counts_.size() <= groups_told_max) ++counts_[{value_of(row, groups_)}];
    if (at && !stuck_.empty() && now_ - *at > move_.health->stuck_for && is_passing(row)) {
      if (++stuck_rows_ == 1) example_ = key_of(row, positions());
    }
  }

  json told(bool redact) const {
    json all = json::object();
    const auto moment = [&](const char* what, const std::optional<TimePoint>& at,
                            const Value& value) {
      if (!at) return;
      all[what] = {{"column", newest_}};
      if (redact) return;
      const std::string said = show(value);
      const std::string meant = to_iso8601(*at);
      all[what]["value"] = said.find(meant.substr(0, 19)) == std::string::npos &&
                                   value.kind() != Kind::timestamp &&
                                   value.kind() != Kind::timestamp_tz
                               ? said + " (" + meant + ")"
                               : said;
    };
    moment("newest", last_, last_value_);
    moment("oldest", first_, first_value_);
    if (!groups_.empty() && counts_.size() <= groups_told_max && !counts_.empty()) {
      std::vector<std::pair<std::int64_t, std::string>> sorted;
      for (const auto& [value, rows] : counts_) sorted.emplace_back(-rows, show(value.front()));
      std::ranges::sort(sorted);
      json groups = json::array();
      for (const auto& [rows, value] : sorted) {
        groups.push_back({{"rows", -rows}});
        if (!redact) groups.back()["value"] = value;
      }
      all["groups"] = {{"column", groups_}, {"groups", std::move(groups)}};
    }
    const bool is_asked =
        !stuck_.empty() && !newest_.empty() &&
        std::ranges::none_of(stuck_, [](const auto& one) { return one.first.empty(); });
    if (is_asked) {
      all["stuck"] = {{"rows", stuck_rows_}, {"for_ms", move_.health->stuck_for.count()}};
      if (stuck_rows_ > 0 && !redact) all["stuck"]["example"] = show(example_);
    }
    return all;
  }

 private:
  std::vector<int> positions() const {
    std::vector<int> all;
    for (const std::string& name : table_.key) all.push_back(table_.column_index(name));
    return all;
  }

  Value value_of(const Row& row, const std::string& name) const {
    const Value* value = name.empty() ? nullptr : value_called(row, table_, name);
    return value == nullptr ? Value() : *value;
  }

  bool is_passing(const Row& row) const {
    return std::ranges::all_of(stuck_, [&](const auto& one) {
      const Value value = value_of(row, one.first);
      return !one.first.empty() && std::ranges::any_of(*one.second, [&](const Value& wanted) {
        return same(value, wanted);
      });
    });
  }

  const Move& move_;
  const TableSchema& table_;
  TimePoint now_;
  std::string newest_;
  std::string groups_;
  std::vector<std::pair<std::string, const std::vector<Value>*>> stuck_;
  std::optional<TimePoint> last_;
  std::optional<TimePoint> first_;
  Value last_value_;
  Value first_value_;
  std::map<Row, std::int64_t, RowLess> counts_;
  std::int64_t stuck_rows_ = 0;
  Row example_;
};

}  // namespace

std::optional<TimePoint> moment_of(const Value& value) {
  if (const auto* number = value.get_if<std::int64_t>()) {
    return since_1970(static_cast<double>(*number));
  }
  if (const auto* number = value.get_if<double>()) return since_1970(*number);
  if (const auto* number = value.get_if<Decimal>()) return moment_in(number->text);
  if (const auto* text = value.get_if<std::string>()) return moment_in(*text);
  if (const auto* moment = value.get_if<Timestamp>()) return moment_in(moment->text);
  if (const auto* moment = value.get_if<TimestampTz>()) return moment_in(moment->text);
  if (const auto* day = value.get_if<Date>()) return moment_in(day->text);
  return std::nullopt;
}

Result<json> look_through(const Move& move, Side side, TimePoint now, bool redact) {
  constexpr ChunkLimits limits{5000, std::int64_t{8} << 20};
  const bool is_old = side == Side::old_side;
  ASSIGN_OR_RETURN(const auto reader, is_old ? move.source->open_reader(move.mapping.source)
                                             : move.target->open_reader(move.mapping.target));
  Look look(move, side, now);
  std::optional<Row> after;
  do {
    ASSIGN_OR_RETURN(const ChunkOfRows chunk, reader->scan_after(after, limits));
    for (const Row& row : chunk.rows) look.take(row);
    after = chunk.range.through;
  } while (after);
  return look.told(redact);
}

}  // namespace whimbrel
