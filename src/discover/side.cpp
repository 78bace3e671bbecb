#include "discover/side.h"

namespace whimbrel {

Result<Side> read_side(const std::string& alias, Store& store,
                       const std::vector<std::string>& asked, std::int64_t rows_max) {
  Side side;
  side.alias = alias;
  side.store = &store;
  ASSIGN_OR_RETURN(side.names, store.catalog().tables());
  for (const std::string& name : asked.empty() ? side.names : asked) {
    Result<TableSample> sample = take_sample(store, name, rows_max, true);
    if (sample.ok()) {
      side.tables.push_back(std::move(sample).value());
    } else if (asked.empty() && sample.error().code == ErrorCode::refused) {
      side.unreadable.push_back(name);
    } else {
      return std::move(sample).error();
    }
  }
  without_common_prefix(side.tables);
  return side;
}

}  // namespace whimbrel
