#include "store/looking_up.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace whimbrel {

Result<std::optional<Row>> looked_up_key(const Catalog& catalog, const LookedUp& what, Row by) {
  for (std::size_t i = 0; i < by.size(); ++i) {
    if (by[i].is_null()) return std::optional<Row>();
    const auto at = static_cast<std::size_t>(what.table.column_index(what.table.key[i]));
    Result<Value> part = catalog.settle(what.table.columns[at], std::move(by[i]));
    if (!part.ok() && part.error().code != ErrorCode::refused) return std::move(part).error();
    if (!part.ok() || part.value().is_null()) return std::optional<Row>();
    by[i] = std::move(part).value();
  }
  return std::optional<Row>(std::move(by));
}

Result<LookingUp> LookingUp::open(Store& base, const SourceShape& shape) {
  LookingUp all;
  for (const LookedUp& one : shape.looked_up) {
    ASSIGN_OR_RETURN(auto reader, base.open_reader(one.table));
    all.each_.push_back({&one, &base.catalog(), positions_of(one.by, shape.shaped),
                         one.table.column_index(one.take), std::move(reader)});
  }
  return all;
}

Status LookingUp::add_to(std::vector<Row>& rows) {
  for (One& one : each_) {
    std::set<Row, RowLess> wanted;
    std::vector<std::optional<Row>> key_of_row;
    for (const Row& row : rows) {
      ASSIGN_OR_RETURN(auto key, looked_up_key(*one.catalog, *one.what, key_of(row, one.by)));
      if (key) wanted.insert(*key);
      key_of_row.push_back(std::move(key));
    }
    const std::vector<Row> keys(wanted.begin(), wanted.end());
    ASSIGN_OR_RETURN(const auto found, one.reader->read_keys(keys));
    std::map<Row, Value, RowLess> values;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (found[i]) values[keys[i]] = (*found[i])[static_cast<std::size_t>(one.take)];
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto it = key_of_row[i] ? values.find(*key_of_row[i]) : values.end();
      rows[i].push_back(it == values.end() ? Value() : it->second);
    }
  }
  return {};
}

}  // namespace whimbrel
