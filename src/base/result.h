// Errors as values: what happened, where we were, what is safe, and what to do next.
//
// A code exists only where a caller reacts to it. `outcome_unknown` is never treated as `failed`:
// the effect may have happened, so the caller has to look before it tries again.
// A part of the library's face: nothing here but the standard library, and no macro.
// Threads: plain values, no shared state.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace whimbrel {

// What a caller can react to; the journal, `--json` and the log know these by the same names.
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
// "invalid_plan" and so on.
const char* name_of(ErrorCode code);

// What happened, where we were, what is safe, and what to do next.
struct Error {
  ErrorCode code = ErrorCode::internal;   // what to react to
  std::string message = {};               // what happened, for a person
  std::string hint = {};                  // what to do next; may be empty
  std::string safe = {};                  // what state the data is in
  std::vector<std::string> context = {};  // innermost first: "while copying chunk 17 of orders"
  std::string excerpt = {};               // a place in a file with a caret, ready to print
  // Refused because of who asked, whatever was asked: no right, credentials that are no longer
  // good. No row is to blame, and none is set aside for it.
  bool is_of_caller = false;

  // Refused for what a row is, so that others may fare better.
  bool is_of_a_row() const { return code == ErrorCode::refused && !is_of_caller; }
  // One frame more on the way up: "copying chunk 17 of orders".
  Error within(std::string frame) && {
    context.push_back(std::move(frame));
    return std::move(*this);
  }
  // Refused because of who asked.
  Error of_caller() && {
    is_of_caller = true;
    return std::move(*this);
  }
  // A hint, unless somebody who knew more has given one.
  Error with_hint(std::string text) && {
    if (hint.empty()) hint = std::move(text);
    return std::move(*this);
  }
  // What is safe, unless somebody who knew more has said it.
  Error saying_safe(std::string text) && {
    if (safe.empty()) safe = std::move(text);
    return std::move(*this);
  }
};

// The text a person sees, several lines, without a trailing newline.
std::string to_text(const Error& error);

// Whether it went well; else why not.
class [[nodiscard]] Status {
 public:
  // It went well.
  Status() = default;
  // It did not.
  Status(Error error) : error_(std::move(error)) {}  // NOLINT: an error is a status
  // It went well.
  bool ok() const { return !error_.has_value(); }
  // Only to be asked when it did not go well.
  const Error& error() const& { return *error_; }
  // The same, handed over.
  Error&& error() && { return std::move(*error_); }

 private:
  std::optional<Error> error_;
};

// A value, or why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  // There is a value.
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT
  // There is none.
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT
  // There is a value.
  bool ok() const { return state_.index() == 0; }
  // Only to be asked when there is one; throws std::bad_variant_access else.
  const T& value() const& { return std::get<0>(state_); }
  // The same, to be changed in place.
  T& value() & { return std::get<0>(state_); }
  // The same, handed over.
  T&& value() && { return std::get<0>(std::move(state_)); }
  // Only to be asked when there is no value; throws std::bad_variant_access else.
  const Error& error() const& { return std::get<1>(state_); }
  // The same, handed over.
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

}  // namespace whimbrel
