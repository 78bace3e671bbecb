// What a plan says about one column, as a typed tree with three readers: the evaluator, the
// speller (SQL) and the inverter.
//
// No loops, no user functions, no clock, no randomness: the same row always gives the same value.
// A null that goes into a template, a concat, a cast or a split makes the result null.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "transform/ids.h"
#include "transform/mask.h"
#include "transform/spellings.h"
#include "value/schema.h"
#include "value/value.h"

namespace whimbrel {

struct Expr;
using ExprPtr = std::shared_ptr<const Expr>;

struct ColumnRef {
  std::string column;
  int index = -1;            // in the source row; set by `resolve`
  bool is_document = false;  // JSON, however it is spelled
};
struct Constant {
  Value value;
};
// lower and upper are ASCII, trim takes spaces from both ends, trim_end from the end.
enum class TextCase { lower, upper, trim, trim_end };
struct CaseOf {
  TextCase how;
  ExprPtr of;
};
struct Template {  // literals (constants of kind text) and inserts, joined
  std::vector<ExprPtr> parts;
};
// `number`: exactly what the text says, whole or not; no plan asks for it by name.
enum class CastTo { integer, real, text, bytes, number };
struct Cast {
  ExprPtr of;
  CastTo to;
};
struct JsonObject {
  std::vector<std::pair<std::string, ExprPtr>> fields;
  bool as_document = false;  // a map, else a text
};
struct JsonArray {
  std::vector<ExprPtr> items;
  bool as_document = false;  // a list, else a text
};
struct JsonExtract {
  ExprPtr of;
  std::string path;      // "$.a.b[0]", every name quoted
  bool lenient = false;  // on the way back: text that is no JSON gives null instead of an error
  // Numbers with all their digits, and whole texts; else as SQLite's json_extract gives them, which
  // is what a spelling in SQL says.
  bool exact = false;
};
struct MapValues {
  ExprPtr of;
  std::vector<std::pair<Value, Value>> pairs;
  std::optional<Value> otherwise;  // unset: a value that is not listed is an error
  bool keep_others = false;        // on the way back: a value that is not listed stays as it is
};
struct Coalesce {
  std::vector<ExprPtr> of;
};
struct Split {
  ExprPtr of;
  std::string by;
  int part;  // from 1; a part that is not there is null
};
enum class TimeForm { iso8601, epoch_s, epoch_ms };
struct TimeConversion {
  ExprPtr of;
  TimeForm from;
  TimeForm as;
  bool rounds_down = false;  // a part of a second is left out, instead of refused
  bool is_key = false;       // only a text as it would come back: others would be the same key
};
// The whole result when `of` is null, or, with inputs, when every one of these columns is null.
struct IfNull {
  ExprPtr of;
  ExprPtr otherwise;
  std::vector<ExprPtr> inputs;
};
// On the way back from a template: what stands between the literals, else null. With several
// inserts the inner text is cut at the first of each separator in turn, and `part` is wanted.
struct Between {
  ExprPtr of;
  std::string prefix;
  std::string suffix;
  std::vector<std::string> separators = {};
  std::size_t part = 0;
};
struct HashId {
  ExprPtr of;
  IdRecipe recipe;
};
// A value in which the ids of one place get new ones; the rest of it stays.
struct NewIdsInside {
  ExprPtr of;
  IdPlace place;
  IdRecipe recipe;
};

// Personal data made unreadable, in the whole value or in one place of it.
struct Masked {
  ExprPtr of;
  IdPlace place;
  MaskAs as;
};

// Another text for the same value, where one is known.
struct Respelled {
  ExprPtr of;
  std::shared_ptr<const Spellings> by;
};

struct Expr {
  std::variant<ColumnRef, Constant, CaseOf, Template, Cast, JsonObject, JsonArray, JsonExtract,
               MapValues, Coalesce, Split, TimeConversion, IfNull, Between, HashId, NewIdsInside,
               Masked, Respelled>
      node;
};

template <class T>
ExprPtr make_expr(T node) {
  return std::make_shared<const Expr>(Expr{std::move(node)});
}

// Every column that the expression reads, each once, in order of appearance.
std::vector<std::string> columns_of(const Expr& expr);
// The same tree with every column's index in `schema`; not_found names the first unknown one.
Result<ExprPtr> resolve(const ExprPtr& expr, const TableSchema& schema);
// The same tree, not resolved, where it reads `column` instead of another one.
ExprPtr reading(const ExprPtr& expr, const std::string& column, const std::string& instead_of);
// The same tree, in which a document that is the value, or stands in one that is, becomes a map or
// a list: for a store that holds these. Where a text is wanted of it, it stays one.
ExprPtr with_documents(const ExprPtr& expr);
// The same tree, in which what is read out of JSON is read exactly: for values that no SQL spells.
ExprPtr reading_exactly(const ExprPtr& expr);
// Whether it makes a document, as a text or as a map or list.
bool is_document(const Expr& expr);
// Whether the result is JSON, which two stores may write with different spaces and escapes.
bool gives_json(const Expr& expr);
// Whether the result can be null although no column it reads is, or because a nullable one is.
bool may_be_null(const Expr& expr, const TableSchema& schema);
// In the plan's own words, for analysis and reports: `json {result: result}`.
std::string describe(const Expr& expr);

// The column that a value copies, as it is, masked, with new ids or with another value for null;
// else "".
std::string copied_column(const Expr& expr);
// The same tree, not resolved, where each copy of `column` in it has become `with` of that copy.
ExprPtr with_copies(const ExprPtr& expr, const std::string& column,
                    const std::function<ExprPtr(const ExprPtr&)>& with);
// How a map compares: where a store has no truth values they are numbers, and JSON is text.
Value comparable(const Value& value);
// The text of a value that has to be found in the text again: as a part of a key, after a cast.
// Errors: `refused` for what has none, or where another number would be read from it.
Result<std::string> faithful_text_of(const Value& value);

// The value for one row. Errors are `refused`: a value that cannot be converted without loss.
// Needs a resolved tree. Any thread.
Result<Value> evaluate(const Expr& expr, const Row& row);

// What takes the value back: an expression over the target's columns, or nothing.
struct Inverse {
  std::string column;  // the source column that is given back
  ExprPtr expr;        // over the target's columns; not resolved
  // Every value of the kind that the source column holds comes back as it was, unless it was
  // refused on the way there. False: some come back changed; `loss` says which.
  bool exact;
  std::string loss;
};
std::vector<Inverse> invert(const std::string& target_column, const ExprPtr& expr,
                            const TableSchema& source, const TableSchema& target);

}  // namespace whimbrel
