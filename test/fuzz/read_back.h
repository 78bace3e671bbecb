// A value as print_value writes it, read again: the same words, and the same result for every row.
#pragma once

#include "fuzz/fuzz.h"
#include "plan/parse_value.h"
#include "plan/print.h"

namespace whimbrel::fuzz {

// Adjacent literals are read as one. Long ones are cut, so that these descriptions tell nothing.
inline std::string description(const Expr& expr) {
  std::string text = describe(expr);
  if (text.find("…") != std::string::npos) return "";
  for (auto at = text.find("', '"); at != std::string::npos; at = text.find("', '", at)) {
    text.erase(at, 4);
  }
  return text;
}

// What it gives for a row that holds this value in every column.
inline std::string result(const ExprPtr& expr, const Value& value) {
  TableSchema schema;
  for (const std::string& name : columns_of(*expr)) schema.columns.emplace_back().name = name;
  const Row row(schema.columns.size(), value);
  const Result<ExprPtr> resolved = resolve(expr, schema);
  demand(resolved.ok(), "an expression does not know its own columns");
  const Result<Value> given = evaluate(*resolved.value(), row);
  return given.ok() ? canonical({given.value()}) : given.error().message;
}

inline void read_back(const ExprPtr& expr) {
  const std::optional<std::string> printed = print_value(*expr);
  if (!printed) return;
  const std::string text = "value: " + *printed;
  Diagnostics diagnostics("printed", text);
  YamlReader reader(diagnostics, {});
  const YAML::Node root = reader.load(text);
  const ExprPtr again =
      root.IsDefined() ? parse_value(reader, YamlReader::child(root, "value")) : nullptr;
  demand(diagnostics.empty() && again != nullptr, "a printed value cannot be read", text,
         diagnostics.empty() ? "" : to_text(diagnostics.error()));
  const std::optional<std::string> twice = print_value(*again);
  demand(twice == printed, "a value is printed otherwise the second time", text,
         twice.value_or("(not at all)"));
  demand(description(*again) == description(*expr), "a printed value is read as another one", text,
         describe(*expr) + " / " + describe(*again));
  for (const Value& value : {Value(), Value::text("{\"a\":[1]}"), Value::integer(1)}) {
    demand(result(again, value) == result(expr, value), "a printed value gives another result",
           text, result(expr, value) + " / " + result(again, value));
  }
}

}  // namespace whimbrel::fuzz
