// What a plan wants to have measured, and what the result is judged by.
//
// None of it says what moves or how: it may change while a migration is under way, and is no part
// of the plan's digest.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plan/diagnostics.h"
#include "transform/expr.h"
#include "value/value.h"

namespace whimbrel {

// A parameter whose values are those that some rows of a table have in a column.
struct SampledParameter {
  std::string parameter;
  std::string column;
  std::string table;  // as the plan calls it
};

// The same question to both sides, with the values that its parameters take.
struct MeasuredQuery {
  std::string name;
  std::string old_sql;
  std::string new_sql;
  std::vector<std::pair<std::string, std::vector<Value>>> with;
  Place old_at;
  Place new_at;
  std::vector<SampledParameter> samples = {};  // parameters of `with` that have no values yet
  // Parameters of `with` that are made of the others, each time; over a row of all of `with`.
  std::vector<std::pair<std::string, ExprPtr>> made = {};

  bool is_made(const std::string& parameter) const {
    return std::ranges::any_of(made, [&](const auto& one) { return one.first == parameter; });
  }
};

// How a criterion's number is read.
enum class Unit {
  rows,      // a whole number
  share,     // of a whole: 0 % to 100 %
  change,    // against the measurement before: -100 % and up
  duration,  // milliseconds
};
enum class Bound { at_most, at_least };

struct CriterionKind {
  const char* name;
  Unit unit;
  Bound bound;
  const char* what;     // as a person reads it
  const char* example;  // as a plan says it
};
// All that a plan can ask for. `changes` compare with the measurement before, the others look at
// the one after.
const std::vector<CriterionKind>& criterion_kinds();
const CriterionKind* criterion_kind(std::string_view name);

struct Criterion {
  const CriterionKind* kind = nullptr;
  double wanted = 0;    // rows, a share or change in per cent, or milliseconds
  std::string written;  // as the plan says it
};

struct MeasuresPlan {
  std::vector<MeasuredQuery> queries;
  std::vector<Criterion> criteria;  // judged: a missed one is a failure
  std::vector<Criterion> advisory;  // told
};

// The names of `:name` in a query, each once, in order, with the first offset; not those in texts,
// quoted names and comments.
std::vector<std::pair<std::string, std::size_t>> parameters_of(std::string_view sql);
// "-30%", "0.1 %", "0" in per cent; nothing for anything else.
std::optional<double> parse_per_cent(std::string_view text);

}  // namespace whimbrel
