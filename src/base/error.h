// Errors as values for the code of this tree: the types, the macros that pass an error on, and what
// becomes of a broken invariant.
#pragma once

#include "base/result.h"

namespace whimbrel {

// Stops the program: one of our own invariants is broken, and a wrong migration is worse than a
// stopped one. Never used for operating errors.
[[noreturn]] void broken_invariant(const char* condition, const char* why, const char* file,
                                   int line);

}  // namespace whimbrel

#define WHIMBREL_JOIN2(a, b) a##b
#define WHIMBREL_JOIN(a, b) WHIMBREL_JOIN2(a, b)

// Returns from the calling function when `expression` is an error; context is kept.
#define TRY_IMPL(temporary, expression)                   \
  do {                                                    \
    if (auto temporary = (expression); !temporary.ok()) { \
      return std::move(temporary).error();                \
    }                                                     \
  } while (false)
#define TRY(expression) TRY_IMPL(WHIMBREL_JOIN(try_result_, __COUNTER__), expression)

#define ASSIGN_OR_RETURN_IMPL(temporary, declaration, expression) \
  auto temporary = (expression);                                  \
  if (!temporary.ok()) return std::move(temporary).error();       \
  declaration = std::move(temporary).value()
#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_IMPL(WHIMBREL_JOIN(result_, __LINE__), declaration, expression)

#define assert_always(condition, why) \
  ((condition) ? void() : ::whimbrel::broken_invariant(#condition, why, __FILE__, __LINE__))
