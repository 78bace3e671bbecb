// Personal data made unreadable: the same value always becomes the same, so that joins and unique
// columns keep working, and it keeps its format.
//
// This hides values from whoever works with the copy. It is no encryption: who can guess a value
// can mask it too, and compare.
#pragma once

#include "base/error.h"
#include "value/value.h"

namespace whimbrel {

enum class MaskAs {
  email,  // another local part of 16 letters and digits, at example.com, where no mail arrives
  name,   // each word another one of the same length and case
  phone,  // each digit another one; no two numbers of one format become equal
};

// Null stays null, and an empty text is nobody's. Errors: `refused` for a value that is neither
// text nor a whole number.
Result<Value> masked(MaskAs as, const Value& value);

}  // namespace whimbrel
