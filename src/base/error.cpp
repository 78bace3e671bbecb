#include "base/error.h"

#include <cstdio>

namespace whimbrel {

const char* name_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_plan:
      return "invalid_plan";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::refused:
      return "refused";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::conflict:
      return "conflict";
    case ErrorCode::outcome_unknown:
      return "outcome_unknown";
    case ErrorCode::position_lost:
      return "position_lost";
    case ErrorCode::data_mismatch:
      return "data_mismatch";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::internal:
      return "internal";
  }
  return "internal";
}

std::string to_text(const Error& error) {
  std::string text = "error: " + error.message;
  for (const std::string& frame : error.context) text += "\n  while " + frame;
  if (!error.excerpt.empty()) text += "\n" + error.excerpt;
  if (!error.hint.empty()) text += "\nhint: " + error.hint;
  if (!error.safe.empty()) text += "\nsafe: " + error.safe;
  return text;
}

void broken_invariant(const char* condition, const char* why, const char* file, int line) {
  std::fprintf(stderr, "whimbrel stopped itself before it could do harm: %s (%s) at %s:%d\n", why,
               condition, file, line);
  std::abort();
}

}  // namespace whimbrel
