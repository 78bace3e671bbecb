#include "plan/print.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "store/sql_names.h"

namespace whimbrel {

namespace {

using Printed = std::optional<std::string>;

// Of several parts that all have to be there.
class Map {
 public:
  Map& put(const std::string& name, const Printed& value) {
    if (!value) whole_ = false;
    text_ += fmt::format("{}{}: {}", text_.empty() ? "" : ", ", name, value.value_or(""));
    return *this;
  }
  Printed take() const { return whole_ ? Printed("{" + text_ + "}") : std::nullopt; }

 private:
  std::string text_;
  bool whole_ = true;
};

Printed scalar(const Value& value) {
  if (value.is_null()) return "null";
  if (const auto* flag = value.get_if<bool>()) return *flag ? "true" : "false";
  if (const auto* whole = value.get_if<std::int64_t>()) return fmt::format("{}", *whole);
  if (const auto* real = value.get_if<double>()) {
    if (!std::isfinite(*real)) return std::nullopt;
    const std::string text = fmt::format("{}", *real);
    return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
  }
  if (const auto* text = value.get_if<std::string>()) {
    // A variable would be filled in when it is read.
    return text->find("${") == std::string::npos ? yaml_text(*text) : std::nullopt;
  }
  return std::nullopt;
}

// A column inside of a template: {name}, {"odd name"}, {name|lower}.
Printed insert(const Expr& expr) {
  if (const auto* column = std::get_if<ColumnRef>(&expr.node)) {
    const std::string& name = column->column;
    if (name.empty()) return std::nullopt;
    const bool plain = name.find_first_of("{}|\"") == std::string::npos;
    return plain ? "{" + name + "}" : "{" + quote_name(name) + "}";
  }
  const auto* changed = std::get_if<CaseOf>(&expr.node);
  if (changed == nullptr) return std::nullopt;
  const Printed inner = insert(*changed->of);
  if (!inner) return std::nullopt;
  const char* filter = changed->how == TextCase::lower   ? "|lower}"
                       : changed->how == TextCase::upper ? "|upper}"
                                                         : "|trim}";
  return inner->substr(0, inner->size() - 1) + filter;
}

Printed column(const std::string& name) {
  const bool is_template = name.find_first_of("{}") != std::string::npos || name.empty();
  return is_template || name.find("${") != std::string::npos ? std::nullopt : yaml_text(name);
}

Printed list(const std::vector<ExprPtr>& items, Printed (*print)(const Expr&)) {
  std::string text;
  for (const ExprPtr& item : items) {
    const Printed one = print(*item);
    if (!one) return std::nullopt;
    text += (text.empty() ? "" : ", ") + *one;
  }
  return "[" + text + "]";
}

Printed template_text(const Template& node) {
  std::string text;
  for (const ExprPtr& part : node.parts) {
    if (const auto* constant = std::get_if<Constant>(&part->node)) {
      const auto* literal = constant->value.get_if<std::string>();
      if (literal == nullptr || literal->find("${") != std::string::npos) return std::nullopt;
      for (const char c : *literal) {
        text += c;
        if (c == '{' || c == '}') text += c;
      }
      continue;
    }
    const Printed one = insert(*part);
    if (!one) return std::nullopt;
    text += *one;
  }
  // Two adjacent literals are read as one, which is the same text; without any insert it is a name.
  if (text.find_first_of("{}") == std::string::npos || text.find("${") != std::string::npos) {
    return std::nullopt;
  }
  return yaml_text(text);
}

Printed document(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::strict);
}

Printed print_json(const Expr& expr);

struct JsonPrinter {
  Printed operator()(const JsonObject& node) const {
    std::string text;
    for (const auto& [name, field] : node.fields) {
      const Printed key = yaml_text(name);
      const Printed value = print_json(*field);
      if (!key || !value) return std::nullopt;
      text += (text.empty() ? "" : ", ") + *key + ": " + *value;
    }
    return "{" + text + "}";
  }
  Printed operator()(const JsonArray& node) const { return list(node.items, print_json); }
  Printed operator()(const ColumnRef& node) const { return column(node.column); }
  Printed operator()(const Template& node) const { return template_text(node); }
  Printed operator()(const Constant& node) const {
    const Printed value = scalar(node.value);
    return value ? Printed("{const: " + *value + "}") : std::nullopt;
  }
  template <class T>
  Printed operator()(const T&) const {
    return std::nullopt;
  }
};

Printed print_json(const Expr& expr) { return std::visit(JsonPrinter{}, expr.node); }

const char* word(TimeForm form) {
  return form == TimeForm::iso8601 ? "iso8601" : form == TimeForm::epoch_s ? "epoch_s" : "epoch_ms";
}

// "$."a"[0]" as `.a[0]`.
Printed steps(const std::string& path) {
  std::string text;
  for (std::size_t i = 1; i < path.size(); ++i) {
    if (path[i] == '"') continue;
    text += path[i];
  }
  return text;
}

struct Printer {
  Printed operator()(const ColumnRef& node) const {
    if (const Printed plain = column(node.column)) return plain;
    return std::nullopt;
  }
  Printed operator()(const Constant& node) const {
    if (const auto* json = node.value.get_if<Json>()) {
      const auto parsed = nlohmann::json::parse(json->text, nullptr, false);
      if (parsed.is_discarded() || !is_utf8(json->text)) return std::nullopt;
      // In a document of the plan a bare text is a column.
      return !parsed.empty() && (parsed.is_object() || parsed.is_array())
                 ? std::nullopt
                 : Map().put("json", document(parsed)).take();
    }
    return Map().put("const", scalar(node.value)).take();
  }
  Printed operator()(const CaseOf& node) const {
    const Printed one = insert(Expr{node});
    return one ? yaml_text(*one) : std::nullopt;
  }
  Printed operator()(const Template& node) const {
    if (const Printed text = template_text(node)) return text;
    return Map().put("concat", list(node.parts, print_value)).take();
  }
  Printed operator()(const Cast& node) const {
    const char* to = node.to == CastTo::integer ? "integer"
                     : node.to == CastTo::real  ? "real"
                     : node.to == CastTo::text  ? "text"
                                                : "bytes";
    return Map().put("cast", print_value(*node.of)).put("to", to).take();
  }
  Printed operator()(const JsonObject& node) const {
    return Map().put("json", JsonPrinter{}(node)).take();
  }
  Printed operator()(const JsonArray& node) const {
    return Map().put("json", JsonPrinter{}(node)).take();
  }
  Printed operator()(const JsonExtract& node) const {
    const auto* of = std::get_if<ColumnRef>(&node.of->node);
    const Printed path = steps(node.path);
    if (of == nullptr || !path || of->column.find_first_of(".[") != std::string::npos) {
      return std::nullopt;
    }
    const Printed text = yaml_text(of->column + *path);
    return node.lenient ? Map().put("extract", text).put("lenient", "true").take()
                        : Map().put("extract", text).take();
  }
  Printed operator()(const MapValues& node) const {
    Map values;
    for (const auto& [from, to] : node.pairs) {
      const Printed key = scalar(from);
      if (!key) return std::nullopt;
      values.put(*key, scalar(to));
    }
    Map map;
    map.put("map", print_value(*node.of)).put("values", values.take());
    if (node.otherwise) map.put("else", scalar(*node.otherwise));
    if (node.keep_others) map.put("others", "keep");
    return map.take();
  }
  Printed operator()(const Coalesce& node) const {
    return Map().put("coalesce", list(node.of, print_value)).take();
  }
  Printed operator()(const Split& node) const {
    return Map()
        .put("split", print_value(*node.of))
        .put("by", yaml_text(node.by))
        .put("part", fmt::format("{}", node.part))
        .take();
  }
  Printed operator()(const TimeConversion& node) const {
    Map map;
    map.put("time", print_value(*node.of)).put("from", word(node.from)).put("as", word(node.as));
    if (node.rounds_down) map.put("round", "down");
    return map.take();
  }
  Printed operator()(const IfNull& node) const {
    const Printed of = print_value(*node.of);
    const Printed otherwise = print_value(*node.otherwise);
    if (!of || !otherwise) return std::nullopt;
    const std::string inside = of->front() == '{' ? of->substr(1, of->size() - 2) : "from: " + *of;
    if (inside.find("if_null: ") != std::string::npos) {
      return Map().put("from", of).put("if_null", otherwise).take();
    }
    return "{" + inside + ", if_null: " + *otherwise + "}";
  }
  Printed operator()(const HashId&) const { return std::nullopt; }
  Printed operator()(const NewIdsInside&) const { return std::nullopt; }
  Printed operator()(const Masked&) const { return std::nullopt; }
  Printed operator()(const Respelled&) const { return std::nullopt; }
  Printed operator()(const Between& node) const {
    if (!node.separators.empty()) return std::nullopt;
    return Map()
        .put("between", print_value(*node.of))
        .put("prefix", yaml_text(node.prefix))
        .put("suffix", yaml_text(node.suffix))
        .take();
  }
};

Printed criteria_line(const std::vector<Criterion>& criteria) {
  Map map;
  for (const Criterion& one : criteria) map.put(one.kind->name, yaml_text(one.written));
  return map.take();
}

// A list of values, where they are taken from, or what they are made of.
Printed with_value(const MeasuredQuery& query, const std::string& name,
                   const std::vector<Value>& values) {
  const auto made = std::ranges::find(
      query.made, name, [](const auto& one) -> const std::string& { return one.first; });
  if (made != query.made.end()) {
    Printed text = print_value(*made->second);
    return text && text->starts_with('"') ? text : std::nullopt;  // nothing else is read here
  }
  const auto sampled = std::ranges::find(query.samples, name, &SampledParameter::parameter);
  if (sampled != query.samples.end()) {
    return Map()
        .put("sample", yaml_text(sampled->column))
        .put("of", yaml_text(sampled->table))
        .take();
  }
  std::string list;
  for (const Value& value : values) {
    const Printed one = scalar(value);
    if (!one) return std::nullopt;
    list += (list.empty() ? "" : ", ") + *one;
  }
  return "[" + list + "]";
}

Printed with_values(const MeasuredQuery& query) {
  Map map;
  for (const auto& [name, values] : query.with) map.put(name, with_value(query, name, values));
  return map.take();
}

Printed query_line(const MeasuredQuery& query) {
  Map map;
  map.put("old", scalar(Value::text(query.old_sql)));
  map.put("new", scalar(Value::text(query.new_sql)));
  if (!query.with.empty()) map.put("with", with_values(query));
  return map.take();
}

}  // namespace

std::vector<std::string> print_measures(const MeasuresPlan& plan) {
  std::vector<std::string> lines;
  for (const MeasuredQuery& query : plan.queries) {
    const Printed name = yaml_text(query.name);
    const Printed body = query_line(query);
    if (!name || !body) {
      lines.push_back("# " + name.value_or("a query") +
                      ": the grammar has no words for its values");
      continue;
    }
    if (std::ranges::count(lines, "queries:") == 0) lines.emplace_back("queries:");
    lines.push_back("  " + *name + ": " + *body);
  }
  for (const auto& [name, criteria] :
       {std::pair("criteria", &plan.criteria), std::pair("advisory", &plan.advisory)}) {
    const Printed line = criteria_line(*criteria);
    if (!criteria->empty() && line) lines.push_back(fmt::format("{}: {}", name, *line));
  }
  return lines;
}

MeasuresPlan turned_round(MeasuresPlan plan) {
  for (MeasuredQuery& query : plan.queries) std::swap(query.old_sql, query.new_sql);
  for (std::vector<Criterion>* criteria : {&plan.criteria, &plan.advisory}) {
    std::erase_if(*criteria, [](const Criterion& one) { return one.kind->unit == Unit::change; });
  }
  return plan;
}

std::optional<std::string> yaml_text(const std::string& text) {
  if (!is_utf8(text)) return std::nullopt;
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string ddl_file_name(const std::string& table) {
  std::string name;
  for (const char c : table) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-';
    name += plain ? c : '_';
  }
  return name == table ? name + ".sql" : name + "-" + digest_hex(table).substr(0, 8) + ".sql";
}

std::optional<std::string> print_value(const Expr& expr) {
  return std::visit(Printer{}, expr.node);
}

}  // namespace whimbrel
