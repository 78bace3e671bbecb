#include "discover/convert.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace whimbrel {

namespace {

constexpr std::size_t tried_max = 200;  // a sample of the sample is enough to choose a function

bool is_number(Kind kind) {
  return kind == Kind::int64 || kind == Kind::real || kind == Kind::decimal;
}

bool speaks_of_time(const Words& words) {
  static constexpr std::array<std::string_view, 14> of_time = {
      "at",   "on",       "date",    "time",    "ts",       "timestamp", "datetime",
      "when", "modified", "created", "updated", "inserted", "changed",   "since"};
  return std::ranges::any_of(
      words, [](const std::string& word) { return std::ranges::count(of_time, word) > 0; });
}

// Seconds or milliseconds since 1970, by the size of the numbers.
enum class Epoch { none, seconds, milliseconds };
Epoch epoch_of(const TableSample& table, int at) {
  std::int64_t least = INT64_MAX;
  std::int64_t most = 0;
  for (const Row& row : table.rows) {
    const auto* number = row[static_cast<std::size_t>(at)].get_if<std::int64_t>();
    if (number == nullptr) continue;
    least = std::min(least, *number);
    most = std::max(most, *number);
  }
  if (most == 0) return Epoch::none;
  if (least >= 100'000'000 && most < 10'000'000'000) return Epoch::seconds;
  if (least >= 100'000'000'000 && most < 10'000'000'000'000) return Epoch::milliseconds;
  return Epoch::none;
}

struct Try {
  ExprPtr expr;
  std::string what;
};

// The truth in words, where the sampled values are nothing else.
std::optional<Try> truth(const TableSample& source, int from, const ExprPtr& column) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 6> pairs = {
      {{"true", "false"}, {"yes", "no"}, {"Y", "N"}, {"y", "n"}, {"T", "F"}, {"t", "f"}}};
  const auto& values = source.sample(from).values;
  if (values.empty()) return std::nullopt;
  for (const auto& [yes, no] : pairs) {
    const bool all = std::ranges::all_of(values, [&](const std::string& text) {
      return text.substr(1) == yes || text.substr(1) == no;
    });
    if (!all) continue;
    return Try{make_expr(MapValues{
                   column,
                   {{Value::text(yes), Value::integer(1)}, {Value::text(no), Value::integer(0)}},
                   std::nullopt}),
               "words for true and false become 1 and 0"};
  }
  return std::nullopt;
}

// The functions that could be meant, best first.
std::vector<Try> candidates(const TableSample& source, int from, const TableSample& target,
                            int to) {
  const ExprPtr column = make_expr(ColumnRef{source.column(from).name});
  // Whatever is in a column can be in one that is declared alike.
  const std::string& declared_from = source.column(from).declared;
  if (!declared_from.empty() && ascii_iequals(declared_from, target.column(to).declared)) {
    return {{column, ""}};
  }
  const Kind have = kind_in(source, from);
  const Kind want = kind_in(target, to);
  const bool of_time =
      speaks_of_time(source.sample(from).words) || speaks_of_time(target.sample(to).words);
  std::vector<Try> all;
  const auto time = [&](TimeForm as_from, TimeForm as, const char* what) {
    all.push_back({make_expr(TimeConversion{column, as_from, as}), what});
  };
  const Kind declared = target.column(to).holds;
  if (have == Kind::text && is_number(want)) {
    if (auto words = truth(source, from, column)) all.push_back(*std::move(words));
    const Epoch epoch = epoch_of(target, to);
    const bool counts = of_time && (declared == Kind::int64 || epoch != Epoch::none);
    const bool by_name = std::ranges::count(target.sample(to).words, "ms") > 0;
    const char* unknown = "seconds since 1970, or `as: epoch_ms`: there are no rows to tell";
    if (counts && epoch != Epoch::milliseconds && !by_name) {
      time(TimeForm::iso8601, TimeForm::epoch_s,
           epoch == Epoch::none ? unknown : "a time as text becomes seconds since 1970");
    } else if (counts) {
      time(TimeForm::iso8601, TimeForm::epoch_ms, "a time as text becomes milliseconds since 1970");
    }
    if (declared == Kind::int64) {
      all.push_back({make_expr(Cast{column, CastTo::integer}), "text becomes a whole number"});
    } else if (declared == Kind::real) {
      all.push_back({make_expr(Cast{column, CastTo::real}), "text becomes a number"});
    }
  } else if (have == Kind::int64 && want == Kind::text && of_time) {
    const Epoch epoch = epoch_of(source, from);
    if (epoch != Epoch::none) {
      time(epoch == Epoch::seconds ? TimeForm::epoch_s : TimeForm::epoch_ms, TimeForm::iso8601,
           "a number since 1970 becomes a time as text");
    }
  } else if (have == Kind::bytes && want == Kind::text) {
    all.push_back({make_expr(Cast{column, CastTo::text}), "bytes become text"});
  } else if (have == Kind::text && want == Kind::bytes) {
    all.push_back({make_expr(Cast{column, CastTo::bytes}), "text becomes bytes"});
  }
  // Text in a column of numbers would stay text where it is none: that is no choice of ours.
  if (all.empty() || want == Kind::text) all.push_back({column, ""});
  return all;
}

// Bytes that somebody would read as a text, and that are none.
bool is_no_text(const Value& value) {
  const auto* text = value.get_if<std::string>();
  return text != nullptr && (!is_utf8(*text) || text->find('\0') != text->npos);
}

void attempt(Conversion& conversion, const TableSample& source, const ColumnSchema& to,
             const Catalog& taker) {
  const Result<ExprPtr> resolved = resolve(conversion.expr, source.schema);
  if (!resolved.ok()) return;
  const auto* column = std::get_if<ColumnRef>(&conversion.expr->node);
  const int at = column == nullptr ? -1 : source.schema.column_index(column->column);
  // Within one kind of store it goes along byte for byte.
  const bool may_be_no_text =
      conversion.what.empty() && at >= 0 && source.column(at).declared == to.declared;
  for (const Row& row : source.rows) {
    if (conversion.texts.size() == tried_max) break;
    Result<Value> value = evaluate(*resolved.value(), row);
    if (value.ok() && !may_be_no_text && is_no_text(value.value()))
      value = Error{ErrorCode::refused, "no text"};
    if (value.ok()) value = taker.settle(to, std::move(value).value());
    conversion.texts.push_back(value.ok() ? loose_text(value.value()) : "");
    if (value.ok() && value.value().is_null()) continue;
    ++conversion.tried;
    if (!value.ok()) ++conversion.refused;
  }
}

double fitness(Kind have, Kind want, bool copied) {
  if (have == want || have == Kind::null || want == Kind::null) return 1;
  if (is_number(have) && is_number(want)) return 0.99;
  if (!copied) return 0.96;
  if (have == Kind::decimal || want == Kind::decimal) return 0.95;  // it holds anything
  if (have == Kind::bytes || want == Kind::bytes) return 0.5;
  return 0.92;
}

}  // namespace

Conversion convert(const TableSample& source, int from, const TableSample& target, int to,
                   const Catalog& taker) {
  std::vector<Try> all = candidates(source, from, target, to);
  const Kind have = kind_in(source, from);
  const Kind want = kind_in(target, to);
  std::optional<Conversion> best;
  for (Try& one : all) {
    Conversion conversion;
    conversion.expr = std::move(one.expr);
    conversion.what = std::move(one.what);
    attempt(conversion, source, target.column(to), taker);
    if (!best || conversion.refused < best->refused) best = std::move(conversion);
  }
  best->fits = fitness(have, want, best->what.empty());
  if (best->tried > 0) {
    best->fits *= 1 - 0.6 * static_cast<double>(best->refused) / static_cast<double>(best->tried);
  }
  return *std::move(best);
}

}  // namespace whimbrel
