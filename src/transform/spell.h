// The speller: an expression as SQL, so that a store can copy, capture and compare inside.
//
// Only what can never fail and means exactly what the evaluator says is spelled: a trigger runs
// inside the application's own write and must not make it fail. Everything else stays outside.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "transform/expr.h"

namespace whimbrel {

class Spelling;

// What differs between kinds of SQL. A store gives its own; see the store's folder.
class Dialect {
 public:
  virtual ~Dialect() = default;
  virtual std::string quote(std::string_view identifier) const = 0;
  // Of a table by the name that the store has given it.
  virtual std::string quote_table(std::string_view table) const { return quote(table); }
  // A type that holds what a column declared so in another kind of store holds.
  virtual std::string type_like(std::string_view declared) const { return std::string(declared); }
  // A type for values of this kind; null: of several kinds, or of none that is known.
  virtual std::string type_for(Kind) const { return ""; }
  // What stands behind the type of a column that numbers its rows by itself.
  virtual std::string own_numbers() const { return ""; }
  // How expressions are spelled; null where only columns by their names are.
  virtual const Spelling* spelling() const { return nullptr; }
};

// A dialect that spells expressions as well.
class Spelling : public Dialect {
 public:
  const Spelling* spelling() const override { return this; }
  // Nothing for a value that the store cannot say in SQL so that it is read as the same, and for
  // JSON that it would write with other bytes.
  virtual std::optional<std::string> literal(const Value& value) const = 0;
  // Each takes SQL and gives SQL; null in, null out, and never an error whatever the value.
  virtual std::string text_of(const std::string& sql) const = 0;
  virtual std::string change_case(const std::string& sql, TextCase how) const = 0;
  virtual std::string joined(const std::vector<std::string>& texts) const = 0;
  virtual std::string is_value(const std::string& sql, const Value& value,
                               const std::string& literal) const = 0;
  virtual std::string between(const std::string& sql, const std::string& prefix,
                              const std::string& suffix) const = 0;
  virtual std::string json_extract(const std::string& sql, const std::string& path) const = 0;
  // A value as a member of a JSON document; null gives JSON's null.
  virtual std::string json_member(const std::string& sql, bool is_json) const = 0;
  // The same for a constant, which may be true or false besides.
  virtual std::optional<std::string> json_constant(const Value& value) const = 0;
  virtual std::string json_object(
      const std::vector<std::pair<std::string, std::string>>& fields) const = 0;
  virtual std::string json_array(const std::vector<std::string>& items) const = 0;
};

using SpellColumn = std::function<std::string(std::string_view column)>;

// Nothing when the expression can fail for some value or has no spelling.
std::optional<std::string> spell(const Expr& expr, const Dialect& dialect,
                                 const SpellColumn& column);

}  // namespace whimbrel
