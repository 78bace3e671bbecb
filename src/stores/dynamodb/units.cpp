#include "stores/dynamodb/units.h"

#include <algorithm>
#include <string_view>

namespace whimbrel::dynamodb {

namespace ondemand = simdjson::ondemand;

Units units_of(ondemand::object consumed) {
  Units units;
  double total = 0;
  double of_indexes = 0;
  for (auto field : consumed) {
    const std::string_view name = field.unescaped_key();
    if (name == "CapacityUnits") {
      total = field.value().get_double();
    } else if (name == "GlobalSecondaryIndexes") {
      for (auto index : field.value().get_object()) {
        const std::string of(std::string_view(index.unescaped_key()));
        const double taken = index.value().get_object()["CapacityUnits"].get_double();
        units.indexes[of] += taken;
        of_indexes += taken;
      }
    }
  }
  units.table = std::max(total - of_indexes, 0.0);
  return units;
}

Units units_in(ondemand::parser& parser, const std::string& reply) {
  const simdjson::padded_string padded(reply);
  try {  // the library's own way to say that there is none
    ondemand::document document = parser.iterate(padded);
    return units_of(document["ConsumedCapacity"].get_object());
  } catch (const simdjson::simdjson_error&) {
    return {};
  }
}

}  // namespace whimbrel::dynamodb
