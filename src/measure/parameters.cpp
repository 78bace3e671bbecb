#include "measure/parameters.h"

#include <algorithm>

namespace whimbrel {

ParameterValues::ParameterValues(const std::vector<MeasuredQuery>& queries, std::uint64_t seed)
    : queries_(queries), random_(seed) {
  for (const MeasuredQuery& query : queries_) {
    QueryValues values;
    for (const auto& [name, all] : query.with) values.emplace_back(name, Value());
    values_.push_back(std::move(values));
  }
}

const QueryValues& ParameterValues::next(std::size_t query) {
  QueryValues& values = values_[query];
  Row row(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::vector<Value>& all = queries_[query].with[i].second;
    if (all.empty()) continue;  // made of the others
    row[i] = all[static_cast<std::size_t>(random_.below(std::ssize(all)))];
    values[i].second = row[i];
  }
  for (const auto& [name, expr] : queries_[query].made) {
    Result<Value> value = evaluate(*expr, row);
    const auto at = std::ranges::find(values, name, &QueryValues::value_type::first);
    at->second = value.ok() ? std::move(value).value() : Value();
  }
  return values;
}

}  // namespace whimbrel
