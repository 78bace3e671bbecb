// Errors as values: what happened, where we were, what is safe, and what to do next.
//
// A code exists only where a caller reacts to it. `outcome_unknown` is never treated as `failed`:
// the effect may have happened, so the caller has to look before it tries again.
// Threads: plain values, no shared state.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace whimbrel {

enum class ErrorCode {
  invalid_plan,     // the plan (or the command line) has to change
  not_found,        // a table, file or row that must exist does not
  refused,          // a person has to decide or repair; nothing was changed
  unavailable,      // may pass by itself: retried
  conflict,         // somebody else holds it or changed it
  outcome_unknown,  // the effect may or may not have happened
  position_lost,    // the change feed no longer reaches back far enough
  data_mismatch,    // the two sides differ where they must not
  cancelled,        // stopped by request; resumable
  internal,         // a defect of whimbrel's own
};
const char* name_of(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message = {};
  std::string hint = {};
  std::string safe = {};                  // what state the data is in
  std::vector<std::string> context = {};  // innermost first: "while copying chunk 17 of orders"
  std::string excerpt = {};               // a place in a file with a caret, ready to print

  Error within(std::string frame) && {
    context.push_back(std::move(frame));
    return std::move(*this);
  }
  Error with_hint(std::string text) && {
    if (hint.empty()) hint = std::move(text);
    return std::move(*this);
  }
  Error saying_safe(std::string text) && {
    if (safe.empty()) safe = std::move(text);
    return std::move(*this);
  }
};

// The text a person sees, several lines, without a trailing newline.
std::string to_text(const Error& error);

// Stops the program: one of our own invariants is broken, and a wrong migration is worse than a
// stopped one. Never used for operating errors.
[[noreturn]] void broken_invariant(const char* condition, const char* why, const char* file,
                                   int line);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}  // NOLINT: an error is a status
  bool ok() const { return !error_.has_value(); }
  const Error& error() const& { return *error_; }
  Error&& error() && { return std::move(*error_); }

 private:
  std::optional<Error> error_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT
  bool ok() const { return state_.index() == 0; }
  const T& value() const& { return std::get<0>(state_); }
  T& value() & { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

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
