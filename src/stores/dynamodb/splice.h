// The JSON of an item of the target, made of the JSON of one of the source.
//
// What a plan only copies or renames is taken over as the service spells it; only what is computed
// is parsed. An item with anything out of the ordinary goes the way of rows, and so ends as it
// would have ended there, with the same words. Threads: one at a time.
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>
#include <vector>

#include "store/store.h"
#include "stores/dynamodb/item.h"

namespace whimbrel::dynamodb {

class ItemSplicer {
 public:
  // Whether items of this mapping can be made so: their keys stay, and each is made of nothing but
  // itself.
  static bool can(const Mapping& mapping);
  ItemSplicer(const Mapping& mapping, const Catalog& target);
  // Appends the item to `json`. Within a buffer with simdjson's padding. Throws the library's
  // errors for what is no JSON. Errors: `refused`, with the key, for a value that does not convert.
  Status append(simdjson::ondemand::object item, std::string& json);

 private:
  struct Rule {
    std::string name;  // in quotes, and with its colon
    int from = -1;     // the column that is taken over as it is; -1: computed
    std::size_t computed = 0;
  };
  struct Known {
    std::string name;
    int source = -1;  // its column; -1: only the target has one
  };
  const Known* known(std::string_view name) const;
  // False where it has to go the way of rows.
  Result<bool> append_fast(simdjson::ondemand::object& item, std::string& json);
  Result<Value> value_at(std::size_t column);
  Status append_as_row(std::string_view item, std::string& json);

  const Mapping& mapping_;
  const Catalog& target_;
  ItemReader reader_;
  bool copies_all_ = true;  // nothing is changed about any item
  bool copies_rest_ = false;
  std::vector<Known> known_;  // attributes with a column on either side
  std::vector<Rule> rules_;
  std::vector<std::size_t> parsed_;  // columns that something is computed of
  std::vector<std::string> written_;
  // Of the item at hand, by column.
  std::vector<std::string_view> spelled_;
  Row row_;
  std::size_t bytes_before_ = 0;  // of the last item that was made
};

}  // namespace whimbrel::dynamodb
