// Capacity units, as replies of DynamoDB tell them (ReturnConsumedCapacity: INDEXES).
#pragma once

#include <simdjson.h>

#include <map>
#include <string>

namespace whimbrel::dynamodb {

// What a request took of the table itself, or of table and indexes where nobody told them apart.
struct Units {
  double table = 0;
  std::map<std::string, double> indexes = {};
};

// Of one table's ConsumedCapacity. Throws simdjson_error where it is none.
Units units_of(simdjson::ondemand::object consumed);
// Of a whole reply that has one; none where it does not say. The parser is lent.
Units units_in(simdjson::ondemand::parser& parser, const std::string& reply);

}  // namespace whimbrel::dynamodb
