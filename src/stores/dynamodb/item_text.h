// Items as lines of an export: {"Item":{…}}, in DynamoDB's JSON.
#pragma once

#include <memory>

#include "store/store.h"
#include "value/schema.h"

namespace whimbrel::dynamodb {

std::unique_ptr<RowText> item_text(const TableSchema& table);

}  // namespace whimbrel::dynamodb
