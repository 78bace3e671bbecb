// Numbers as DynamoDB holds them: up to 38 significant digits, in one spelling.
//
// 1.50, 1.5 and 15e-1 are one number there, also as keys; so here they are one text. Never through
// a double. Limits: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/
// HowItWorks.NamingRulesDataTypes.html
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace whimbrel::dynamodb {

// The spelling that stands for this number: plain digits, or with an exponent where those would be
// many. `refused` for what is no number, has more than 38 digits, or is out of range.
Result<std::string> normal_number(std::string_view text);

}  // namespace whimbrel::dynamodb
