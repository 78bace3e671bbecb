#include "plan/parse_value.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "plan/parse_reshape.h"

namespace whimbrel {

namespace {

const std::vector<std::string> value_functions = {"const",   "from", "cast",     "json",
                                                  "extract", "map",  "coalesce", "concat",
                                                  "split",   "time", "between"};
const std::vector<std::string> later_functions = {"hash_id", "ref", "sql", "uuid"};

ExprPtr constant(Value value) { return make_expr(Constant{std::move(value)}); }

// "USER#{id}", "{name|lower}", "{{", {"odd name"}.
class TemplateParser {
 public:
  TemplateParser(YamlReader& reader, std::string text, Place at)
      : reader_(reader), text_(std::move(text)), at_(at) {}

  ExprPtr parse() {
    std::vector<ExprPtr> parts;
    std::string literal;
    for (std::size_t i = 0; i < text_.size();) {
      const char c = text_[i];
      if ((c == '{' || c == '}') && i + 1 < text_.size() && text_[i + 1] == c) {
        literal += c;
        i += 2;
      } else if (c == '{') {
        const std::size_t end = end_of_insert(i);
        if (end == std::string::npos)
          return mistake(i, "a `{` is not closed", "write {{ for the character");
        if (!literal.empty()) parts.push_back(constant(Value::text(literal)));
        literal.clear();
        ExprPtr insert = parse_insert(text_.substr(i + 1, end - i - 1), i);
        if (!insert) return nullptr;
        parts.push_back(std::move(insert));
        i = end + 1;
      } else if (c == '}') {
        return mistake(i, "a `}` without its `{`", "write }} for the character");
      } else {
        literal += c;
        ++i;
      }
    }
    if (!literal.empty()) parts.push_back(constant(Value::text(literal)));
    return make_expr(Template{std::move(parts)});
  }

 private:
  ExprPtr mistake(std::size_t offset, const std::string& what, const std::string& hint) {
    reader_.diagnostics().add({at_.line, at_.column + static_cast<int>(offset), 1}, what, hint);
    return nullptr;
  }

  // A name in quotes may hold braces and, doubled, quotes.
  std::size_t end_of_insert(std::size_t begin) const {
    std::size_t quote =
        text_.compare(begin + 1, 1, "\"") == 0 ? text_.find('"', begin + 2) : std::string::npos;
    while (quote != std::string::npos && text_.compare(quote, 2, "\"\"") == 0) {
      quote = text_.find('"', quote + 2);
    }
    return text_.find('}', quote == std::string::npos ? begin : quote);
  }

  static std::string unquoted(std::string_view name) {
    if (name.size() < 2 || name.front() != '"' || name.back() != '"') return std::string(name);
    std::string plain;
    for (std::size_t i = 1; i + 1 < name.size(); ++i) {
      plain += name[i];
      if (name.substr(i, 2) == "\"\"") ++i;
    }
    return plain;
  }

  ExprPtr parse_insert(std::string insert, std::size_t offset) {
    std::vector<std::string> filters;
    for (std::size_t bar = insert.rfind('|'); bar != std::string::npos && !insert.ends_with('"');
         bar = insert.rfind('|')) {
      filters.insert(filters.begin(), insert.substr(bar + 1));
      insert.resize(bar);
    }
    const std::string name = unquoted(insert);
    if (name.empty()) return mistake(offset, "an insert needs a name", "like {id} or {name|lower}");
    ExprPtr expr = make_expr(ColumnRef{name});
    for (const std::string& filter : filters) {
      if (filter == "lower" || filter == "upper" || filter == "trim") {
        const TextCase how = filter == "lower"   ? TextCase::lower
                             : filter == "upper" ? TextCase::upper
                                                 : TextCase::trim;
        expr = make_expr(CaseOf{how, expr});
      } else {
        const std::string near = did_you_mean(filter, {"lower", "upper", "trim"});
        return mistake(offset, fmt::format("there is no filter `{}`", filter),
                       near.empty() ? "one of lower, upper, trim" : near);
      }
    }
    return expr;
  }

  YamlReader& reader_;
  std::string text_;
  Place at_;
};

ExprPtr parse_scalar(YamlReader& reader, const YAML::Node& node) {
  if (node.IsNull()) return constant({});
  const Value value = reader.value(node);
  const auto* text = value.get_if<std::string>();
  if (text == nullptr) return constant(value);
  if (text->find_first_of("{}") != std::string::npos) {
    Place at = YamlReader::place(node);
    if (YamlReader::is_quoted(node)) ++at.column;
    return TemplateParser(reader, *text, at).parse();
  }
  if (text->empty()) {
    reader.diagnostics().add(YamlReader::place(node), "an empty text is no column name",
                             "say `{const: \"\"}` for the value");
    return nullptr;
  }
  return make_expr(ColumnRef{*text});
}

ExprPtr parse_json(YamlReader& reader, const YAML::Node& node, bool is_all = false);
ExprPtr parse_function_in_json(YamlReader& reader, const YAML::Node& node);
std::string function_of(const YAML::Node& node);

// Constant documents are made once, as text.
ExprPtr folded(ExprPtr expr) {
  if (!columns_of(*expr).empty()) return expr;
  const Result<Value> value = evaluate(*expr, {});
  return value.ok() ? constant(value.value()) : expr;
}

// `is_all`: what stands right under `json:`, whose names are fields whatever they are.
ExprPtr parse_json(YamlReader& reader, const YAML::Node& node, bool is_all) {
  if (node.IsSequence()) {
    JsonArray array;
    for (const YAML::Node& item : node) {
      ExprPtr one = parse_json(reader, item);
      if (!one) return nullptr;
      array.items.push_back(std::move(one));
    }
    return folded(make_expr(std::move(array)));
  }
  if (node.IsMap()) {
    if (!is_all && is_looked_up(node)) return parse_lookup(reader, node);
    if (!is_all && !function_of(node).empty()) return parse_function_in_json(reader, node);
    reader.check_keys(node, "a JSON object", {});
    JsonObject object;
    for (const auto& entry : node) {
      ExprPtr one = parse_json(reader, entry.second);
      if (!one) return nullptr;
      object.fields.emplace_back(entry.first.Scalar(), std::move(one));
    }
    return folded(make_expr(std::move(object)));
  }
  return parse_scalar(reader, node);
}

// `doc.user.roles[0]`: the first step is the column.
ExprPtr parse_extract(YamlReader& reader, const YAML::Node& node, bool lenient) {
  const std::string text = reader.text(node);
  const std::size_t first = text.find_first_of(".[");
  if (first == 0 || first == std::string::npos) {
    reader.diagnostics().add(YamlReader::place(node),
                             "a path is wanted: a column and what to take out of it",
                             "like `extract: document.user.name` or `extract: document.tags[0]`");
    return nullptr;
  }
  const auto mistake = [&]() -> ExprPtr {
    reader.diagnostics().add(YamlReader::place(node),
                             "a step of a path is `.name` or `[number]`, without quotes",
                             "like `extract: document.user.name` or `extract: document.tags[0]`");
    return nullptr;
  };
  std::string path = "$";
  for (std::size_t i = first; i < text.size();) {
    const bool by_number = text[i] == '[';
    const std::size_t end =
        std::min(text.find_first_of(by_number ? "]" : ".[", i + 1), text.size());
    const std::string step = text.substr(i + 1, end - i - 1);
    if (step.empty() || step.find_first_of("\"\\]") != std::string::npos) return mistake();
    if (!by_number) {
      path += ".\"" + step + "\"";
      i = end;
      continue;
    }
    const bool whole = step.find_first_not_of("0123456789") == std::string::npos;
    const bool goes_on = end + 1 == text.size() || text[end + 1] == '.' || text[end + 1] == '[';
    if (!whole || end == text.size() || !goes_on) return mistake();
    path += "[" + step + "]";
    i = end + 1;
  }
  return make_expr(JsonExtract{make_expr(ColumnRef{text.substr(0, first)}), path, lenient});
}

ExprPtr parse_map(YamlReader& reader, const YAML::Node& node) {
  MapValues map;
  map.of = parse_value(reader, YamlReader::child(node, "map"));
  const YAML::Node values = YamlReader::child(node, "values");
  if (!map.of) return nullptr;
  if (!values.IsDefined() || !values.IsMap()) {
    reader.diagnostics().add(YamlReader::place(node), "`map` needs `values:`",
                             "like {map: status, values: {old: new}, else: other}");
    return nullptr;
  }
  reader.check_keys(values, "`values`", {});
  for (const auto& entry : values) {
    if (entry.first.IsNull()) {
      reader.diagnostics().add(YamlReader::place(entry.first),
                               "a null is none of the values that `map` finds: it stays a null",
                               "say what becomes of it by `if_null:` beside `values:`, or put "
                               "quotes around the word");
      return nullptr;
    }
    map.pairs.emplace_back(reader.value(entry.first), reader.value(entry.second));
  }
  if (const YAML::Node other = YamlReader::child(node, "else"); other.IsDefined()) {
    map.otherwise = reader.value(other);
  }
  map.keep_others = reader.word_at(node, "others", {"keep"}).has_value();
  if (map.keep_others && map.otherwise) {
    reader.diagnostics().add(YamlReader::place(node),
                             "`else` and `others: keep` exclude each other", "keep one of them");
    return nullptr;
  }
  return make_expr(std::move(map));
}

ExprPtr parse_list(YamlReader& reader, const YAML::Node& node, bool concat) {
  if (!node.IsSequence() || node.size() == 0) {
    reader.diagnostics().add(YamlReader::place(node), "a list of values is wanted");
    return nullptr;
  }
  std::vector<ExprPtr> all;
  for (const YAML::Node& item : node) {
    ExprPtr one = parse_value(reader, item);
    if (!one) return nullptr;
    all.push_back(std::move(one));
  }
  return concat ? make_expr(Template{std::move(all)}) : make_expr(Coalesce{std::move(all)});
}

ExprPtr parse_cast(YamlReader& reader, const YAML::Node& node) {
  const ExprPtr of = parse_value(reader, YamlReader::child(node, "cast"));
  const auto to = reader.word_at(node, "to", {"integer", "real", "text", "bytes"},
                                 {"decimal", "uuid", "date", "timestamp", "boolean", "json"});
  if (!YamlReader::child(node, "to").IsDefined()) {
    reader.diagnostics().add(YamlReader::place(node), "`cast` needs `to:`",
                             "one of integer, real, text, bytes");
  }
  if (!of || !to) return nullptr;
  const CastTo kind = *to == "integer" ? CastTo::integer
                      : *to == "real"  ? CastTo::real
                      : *to == "text"  ? CastTo::text
                                       : CastTo::bytes;
  return make_expr(Cast{of, kind});
}

ExprPtr parse_split(YamlReader& reader, const YAML::Node& node) {
  const ExprPtr of = parse_value(reader, YamlReader::child(node, "split"));
  const auto by = reader.text_at(node, "by");
  const auto part = reader.whole_at(node, "part", 1);
  if (!by || by->empty() || !part) {
    reader.diagnostics().add(YamlReader::place(node), "`split` needs `by:` and `part:`",
                             "like {split: name, by: \" \", part: 1}");
    return nullptr;
  }
  if (!of) return nullptr;
  return make_expr(Split{of, *by, static_cast<int>(*part)});
}

ExprPtr parse_time(YamlReader& reader, const YAML::Node& node) {
  const std::vector<std::string> forms = {"iso8601", "epoch_s", "epoch_ms"};
  const ExprPtr of = parse_value(reader, YamlReader::child(node, "time"));
  const auto from = reader.word_at(node, "from", forms);
  const auto as = reader.word_at(node, "as", forms);
  if (!of || !from || !as) {
    const bool has_both =
        YamlReader::child(node, "from").IsDefined() && YamlReader::child(node, "as").IsDefined();
    if (of && !has_both) {
      reader.diagnostics().add(YamlReader::place(node), "`time` needs `from:` and `as:`",
                               "each one of iso8601, epoch_s, epoch_ms");
    }
    return nullptr;
  }
  const auto form = [](const std::string& word) {
    return word == "iso8601"   ? TimeForm::iso8601
           : word == "epoch_s" ? TimeForm::epoch_s
                               : TimeForm::epoch_ms;
  };
  const bool rounds_down = reader.word_at(node, "round", {"down"}).has_value();
  if (rounds_down && *as != "epoch_s") {
    reader.diagnostics().add(YamlReader::place(node), "only `as: epoch_s` leaves something out",
                             "leave `round` out");
  }
  return make_expr(TimeConversion{of, form(*from), form(*as), rounds_down});
}

// What stands between a prefix and a suffix, else null: the way back from a template.
ExprPtr parse_between(YamlReader& reader, const YAML::Node& node) {
  const ExprPtr of = parse_value(reader, YamlReader::child(node, "between"));
  const std::string prefix = reader.text_at(node, "prefix").value_or("");
  const std::string suffix = reader.text_at(node, "suffix").value_or("");
  if (prefix.empty() && suffix.empty()) {
    reader.diagnostics().add(YamlReader::place(node), "`between` needs `prefix:` or `suffix:`",
                             "like {between: key, prefix: \"USER#\"}");
    return nullptr;
  }
  return of ? make_expr(Between{of, prefix, suffix}) : nullptr;
}

ExprPtr parse_const(YamlReader& reader, const YAML::Node& node) {
  if (node.IsMap() || node.IsSequence()) {
    reader.diagnostics().add(YamlReader::place(node), "`const` takes one plain value",
                             "say `json:` for a document");
    return nullptr;
  }
  return constant(reader.value(node));
}

ExprPtr parse_function(YamlReader& reader, const YAML::Node& node, const std::string& function) {
  const YAML::Node argument = YamlReader::child(node, function);
  if (function == "const") return parse_const(reader, argument);
  if (function == "from") return parse_value(reader, argument);
  if (function == "cast") return parse_cast(reader, node);
  if (function == "json") return parse_json(reader, argument, true);
  if (function == "extract") {
    return parse_extract(reader, argument, reader.flag_at(node, "lenient").value_or(false));
  }
  if (function == "between") return parse_between(reader, node);
  if (function == "map") return parse_map(reader, node);
  if (function == "coalesce") return parse_list(reader, argument, false);
  if (function == "concat") return parse_list(reader, argument, true);
  if (function == "split") return parse_split(reader, node);
  return parse_time(reader, node);
}

std::vector<std::string> keys_beside(const std::string& function) {
  if (function == "cast") return {"cast", "to", "if_null"};
  if (function == "map") return {"map", "values", "else", "others", "if_null"};
  if (function == "extract") return {"extract", "lenient", "if_null"};
  if (function == "between") return {"between", "prefix", "suffix", "if_null"};
  if (function == "split") return {"split", "by", "part", "if_null"};
  if (function == "time") return {"time", "from", "as", "round", "if_null"};
  return {function, "if_null"};
}

// `from` stands beside `time` with another meaning, so the function is the first that fits.
std::string function_of(const YAML::Node& node) {
  if (YamlReader::child(node, "time").IsDefined()) return "time";
  for (const std::string& function : value_functions) {
    if (YamlReader::child(node, function).IsDefined()) return function;
  }
  return "";
}

// A map inside of a document with a function's name is that function.
ExprPtr parse_function_in_json(YamlReader& reader, const YAML::Node& node) {
  const std::string function = function_of(node);
  const std::vector<std::string> known = keys_beside(function);
  for (const auto& entry : node) {
    if (std::ranges::count(known, entry.first.Scalar()) > 0) continue;
    reader.diagnostics().add(
        YamlReader::place(entry.first),
        fmt::format("`{}` makes this a function, and that has no key `{}`", function,
                    printable(entry.first.Scalar())),
        fmt::format("fields with such names stand under a `json:` of their own, like {{json: {{{}: "
                    "…}}}}",
                    function));
    return nullptr;
  }
  return parse_value(reader, node);
}

ExprPtr with_if_null(YamlReader& reader, const YAML::Node& node, ExprPtr expr) {
  const YAML::Node otherwise = YamlReader::child(node, "if_null");
  if (!otherwise.IsDefined()) return expr;
  ExprPtr value = parse_value(reader, otherwise);
  if (!value) return nullptr;
  std::vector<ExprPtr> inputs;
  // A document is never null itself: its inputs are asked.
  if (gives_json(*expr)) {
    for (const std::string& column : columns_of(*expr))
      inputs.push_back(make_expr(ColumnRef{column}));
  }
  return make_expr(IfNull{std::move(expr), std::move(value), std::move(inputs)});
}

}  // namespace

ExprPtr parse_value(YamlReader& reader, const YAML::Node& node) {
  if (!node.IsDefined() || node.IsNull()) return constant({});
  if (node.IsScalar()) return parse_scalar(reader, node);
  if (node.IsSequence()) {
    reader.diagnostics().add(YamlReader::place(node), "a list is no value",
                             "say `json: [...]` for a document");
    return nullptr;
  }
  if (is_looked_up(node)) return parse_lookup(reader, node);
  const std::string function = function_of(node);
  if (function.empty()) {
    const auto first = node.begin();
    const std::string key = first == node.end() ? "" : first->first.Scalar();
    const Place at =
        first == node.end() ? YamlReader::place(node) : YamlReader::place(first->first);
    if (std::ranges::count(later_functions, key) > 0) {
      reader.diagnostics().not_yet(at, key);
    } else if (key == "collect") {
      reader.diagnostics().add(at, "`collect` is no part of another value",
                               "let it be all that a column under `columns:` is");
    } else {
      const std::string near = did_you_mean(key, value_functions);
      reader.diagnostics().add(at, fmt::format("there is no function `{}`", printable(key)),
                               near.empty() ? "one of " + join(value_functions, ", ") : near);
    }
    return nullptr;
  }
  reader.check_keys(node, "`" + function + "`", keys_beside(function));
  ExprPtr expr = parse_function(reader, node, function);
  return expr ? with_if_null(reader, node, std::move(expr)) : nullptr;
}

}  // namespace whimbrel
