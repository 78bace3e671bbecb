// How PostgreSQL quotes names. It spells no expression: a mapping that is more than names and types
// takes its rows through the evaluator.
#pragma once

#include "transform/spell.h"

namespace whimbrel::postgresql {

const Dialect& dialect();

}  // namespace whimbrel::postgresql
