// The plan for the way back after `finish`, from the inverse that the mapping already has.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "plan/plan_file.h"
#include "plan/print.h"
#include "store/sql_names.h"

namespace whimbrel {

namespace {

std::string quoted(const std::string& text) { return yaml_text(text).value_or("\"?\""); }

std::string ddl_of(const TableSchema& table) {
  if (!table.rest_column.empty()) return table.create_ddl;  // no SQL: one document
  std::string ddl = table.create_ddl + ";\n";
  if (!table.key_index_ddl.empty()) ddl += table.key_index_ddl + ";\n";
  for (const std::string& index : table.index_ddl) ddl += index + ";\n";
  return ddl;
}

// What a switch has to say for the old side is nowhere in the plan; names only, as comments.
struct Unsaid {
  std::string operator()(const EnvFileSwitch& one) const {
    return "env_file: " + quoted(one.written) + names(one.values);
  }
  std::string operator()(const LambdaSwitch& one) const {
    return "lambda: " + list(one.functions) + names(one.values);
  }
  std::string operator()(const ParameterSwitch& one) const {
    return "ssm: " + quoted(one.parameter) + ", set: its value of before";
  }
  std::string operator()(const FileSwitch& one) const {
    return "file: " + quoted(one.written) + ", set: its text of before";
  }
  std::string operator()(const ConcurrencySwitch& one) const {
    return "lambda_concurrency: " + list(one.functions) + ", set: as before";
  }
  std::string operator()(const ObjectSwitch& one) const {
    return "s3: " + quoted(one.written) + ", set: its text of before";
  }
  std::string operator()(const HttpSwitch& one) const {
    return "http: " + quoted(one.undo.written) + ", the request of `undo`";
  }
  static std::string list(const std::vector<std::string>& functions) {
    std::vector<std::string> all;
    for (const std::string& name : functions) all.push_back(quoted(name));
    return "[" + join(all, ", ") + "]";
  }
  static std::string names(const NamedValues& values) {
    std::vector<std::string> gone;
    for (const auto& [name, value] : values.set) gone.push_back(name);
    std::string text;
    if (!values.unset.empty()) text += ", set: values of " + join(values.unset, ", ");
    return gone.empty() ? text : text + ", unset (or set as before): " + join(gone, ", ");
  }
};

class Writer {
 public:
  Writer(const PlanFile& plan, const Migration& migration, const std::string& folder)
      : plan_(plan), migration_(migration), folder_(folder) {}

  ReversePlan write() {
    if (!plan_.retypes.empty()) return write_retype();
    out_.text = fmt::format(
        "# The way back from `{0}`: new to old. It begins with empty old tables, so rename or "
        "drop\n"
        "# what still has their names. `whimbrel rollback` goes back at once, and with the values\n"
        "# that only the old tables held.\n"
        "whimbrel: 1\nmigration: {0}-back\nstores:\n",
        migration_.name);
    stores();
    out_.text += "tables:\n";
    for (const Move& move : migration_.moves) table(move);
    out_.text += fmt::format("sync: {}\n", name_of(reversed_sync()));
    switches();
    measures();
    return std::move(out_);
  }

 private:
  void line(const std::string& text) { out_.text += text + "\n"; }

  void stores() {
    for (const StoreEntry& store : plan_.stores) {
      // Variables may have their defaults in the plan that is left behind.
      const bool has_secrets = store.url.find('@') != std::string::npos;
      std::string said = quoted(has_secrets ? store.written : store.url);
      const StoreSettings& settings = store.settings;
      std::string more;
      if (settings.lock_timeout) {
        more += fmt::format(", lock_timeout: {}ms", settings.lock_timeout->count());
      }
      if (settings.statement_timeout) {
        more += fmt::format(", statement_timeout: {}ms", settings.statement_timeout->count());
      }
      if (!more.empty()) said = fmt::format("{{url: {}{}}}", said, more);
      line(fmt::format("  {}: {}", store.alias, said));
    }
  }

  // The tables have their names again: their columns get their old types.
  ReversePlan write_retype() {
    out_.text = fmt::format(
        "# The way back from `{0}`: the columns get their old types again. `whimbrel rollback` "
        "goes\n"
        "# back at once, as long as there is a way back.\n"
        "whimbrel: 1\nmigration: {0}-back\nstores:\n",
        migration_.name);
    stores();
    line("retype:");
    for (const RetypeEntry& entry : plan_.retypes) {
      for (const Move& move : migration_.moves) {
        if (is_of(entry, move)) retyped(entry, move);
      }
    }
    line(fmt::format("sync: {}", name_of(migration_.sync)));
    switches();
    measures();
    return std::move(out_);
  }

  static bool is_of(const RetypeEntry& entry, const Move& move) {
    const std::string& name = move.mapping.source.name;
    return name == entry.table.table || name.ends_with("." + entry.table.table) ||
           entry.table.table.ends_with("." + name);
  }

  void retyped(const RetypeEntry& entry, const Move& move) {
    const TableSchema& was = move.mapping.source;
    const int at = was.column_index(entry.column);
    if (at < 0) return;
    line("  - table: " + quoted(entry.table.alias + "/" + entry.table.table));
    line("    column: " + quoted(entry.column));
    line("    to: " + quoted(was.columns[static_cast<std::size_t>(at)].declared));
    for (const auto& [word, rules] : {std::pair("using", &move.mapping.backward),
                                      std::pair("inverse", &move.mapping.forward)}) {
      const auto rule = std::ranges::find(*rules, entry.column, &ColumnRule::column);
      if (entry.made_by == nullptr || rule == rules->end()) continue;
      const std::optional<std::string> value = print_value(*rule->expr);
      line(value ? fmt::format("    {}: {}", word, *value)
                 : fmt::format("    # {}: {}: the grammar has no words for it", word,
                               describe(*rule->expr)));
    }
    if (entry.rewrites) line("    method: rewrite");
    if (entry.also.empty()) return;
    line("    also:");
    for (const RetypeEntry::Also& also : entry.also) {
      line("      - " + quoted(also.table.alias + "/" + also.table.table + "." + also.column));
    }
  }

  // What is computed back may come out as null, which triggers of links must not do to a column
  // that takes none.
  Sync reversed_sync() const {
    const bool is_copied = std::ranges::all_of(migration_.moves, [](const Move& move) {
      return std::ranges::all_of(move.mapping.backward, [](const ColumnRule& rule) {
        return std::holds_alternative<ColumnRef>(rule.expr->node);
      });
    });
    return migration_.sync == Sync::dual && !is_copied ? Sync::capture : migration_.sync;
  }

  void table(const Move& move) {
    const Mapping& mapping = move.mapping;
    std::string file = ddl_file_name(mapping.source.name);
    if (out_.files.contains(file)) file = ddl_file_name(move.name + "-" + mapping.source.name);
    out_.files[file] = ddl_of(mapping.source);
    const auto of_this_name = std::ranges::count_if(migration_.moves, [&](const Move& other) {
      return other.mapping.target.name == mapping.target.name;
    });
    line("  - from: " + quoted(move.to));
    if (of_this_name > 1 || is_asked_for_samples()) line("    as: " + quoted(move.name));
    line("    to: " + quoted(move.from));
    line("    create: " + quoted(folder_ + "/" + file));
    line("    columns:");
    for (const ColumnRule& rule : mapping.backward) {
      const std::optional<std::string> value = print_value(*rule.expr);
      if (value) {
        line(fmt::format("      {}: {}", quoted(rule.column), *value));
      } else {
        line(fmt::format("      # {}: {}: the grammar has no words for it", rule.column,
                         describe(*rule.expr)));
      }
    }
    line("    rest: drop");
    for (const std::string& column : mapping.new_only) {
      line(fmt::format("    # `{}` has no place in the old table", column));
    }
    for (const Loss& loss : mapping.losses) {
      const bool comes_back =
          std::ranges::count(mapping.backward, loss.column, &ColumnRule::column) > 0;
      line(comes_back
               ? fmt::format("    # `{}`: {}", loss.column, loss.what)
               : fmt::format("    # `{}` cannot be computed from the new table: it is null, or its "
                             "default, until it is fetched",
                             loss.column));
    }
    lost_columns(move);
  }

  // The samples come from the new tables then, whose columns may have other names.
  void measures() {
    MeasuresPlan back = turned_round(plan_.measures);
    for (MeasuredQuery& query : back.queries) {
      for (SampledParameter& one : query.samples) {
        const auto move = std::ranges::find(migration_.moves, one.table, &Move::name);
        if (move == migration_.moves.end()) continue;
        const Mapping& mapping = move->mapping;
        if (mapping.target.column_index(mapping.target.own_spelling(one.column)) >= 0) continue;
        const std::string name = mapping.source.own_spelling(one.column);
        const auto rule = std::ranges::find_if(mapping.forward, [&](const ColumnRule& made) {
          const auto* ref = std::get_if<ColumnRef>(&made.expr->node);
          return ref != nullptr && ref->column == name;
        });
        if (rule != mapping.forward.end()) one.column = rule->column;
      }
    }
    for (const std::string& text : print_measures(back)) line(text);
  }
  // Queries name tables as this plan does.
  bool is_asked_for_samples() const {
    return std::ranges::any_of(plan_.measures.queries,
                               [](const MeasuredQuery& one) { return !one.samples.empty(); });
  }

  // Values that only the archive has.
  void lost_columns(const Move& move) {
    const Mapping& mapping = move.mapping;
    const std::string& archive = migration_.finish.rename_source_to;
    const Dialect* dialect = move.source->dialect();
    if (archive.empty() || dialect == nullptr) return;
    const std::string table = dialect->quote_table(mapping.source.name);
    std::vector<std::string> sets;
    for (const ColumnSchema& column : mapping.source.columns) {
      const bool comes_back = std::ranges::any_of(
          mapping.backward, [&](const ColumnRule& rule) { return rule.column == column.name; });
      if (comes_back || column.generated) continue;
      sets.push_back(fmt::format("{0} = a.{0}", quote_name(column.name)));
    }
    if (sets.empty()) return;
    std::vector<std::string> keys;
    for (const std::string& key : mapping.source.key) {
      keys.push_back(fmt::format("a.{0} = {1}.{0}", quote_name(key), table));
    }
    line("    # What only the archive has; after `run --until verify` and before `cutover`:");
    line(fmt::format("    #   UPDATE {} SET {} FROM {} AS a WHERE {};", table, join(sets, ", "),
                     dialect->quote_table(archive), join(keys, " AND ")));
  }

  void switches() {
    line("cutover:\n  start: manual");
    if (migration_.sync == Sync::none) {
      line(fmt::format("  window: {{max: {}ms, forecast: {}}}", migration_.hold_max.count(),
                       migration_.forecast_refuses ? "refuse" : "warn"));
    } else {
      line(fmt::format("  max_hold: {}ms", migration_.hold_max.count()));
    }
    if (migration_.hold_none) {
      line(fmt::format("  hold: none\n  stragglers: {{quiet: {}ms, conflicts: {}}}",
                       migration_.stragglers_quiet.count(),
                       migration_.stragglers_stop ? "stop" : "keep_new"));
    }
    if (plan_.switches.empty()) return;
    const bool all_unsaid = std::ranges::all_of(
        plan_.switches, [](const SwitchEntry& entry) { return entry.setting.has_value(); });
    line(all_unsaid ? "  switches: []" : "  switches:");
    for (const SwitchEntry& entry : plan_.switches) {
      if (entry.setting) {
        line("    # " + std::visit(Unsaid{}, *entry.setting));
        continue;
      }
      if (entry.row) {
        line("    # what the switch has to say for the old side: see the way it was before");
        line(fmt::format("    - row: {}",
                         quoted(entry.row->table.alias + "/" + entry.row->table.table)));
        line("      key: " + pairs(entry.row->key));
        line("      set: " + pairs(entry.row->set, true));
        continue;
      }
      line("    - command: " + words(entry.command.undo));
      line("      undo: " + words(entry.command.run));
    }
  }

  static std::string pairs(const std::vector<std::pair<std::string, Value>>& all,
                           bool undone = false) {
    std::vector<std::string> parts;
    for (const auto& [column, value] : all) {
      const Value printed = undone ? opposite(value) : value;
      const std::string text = print_value(Expr{Constant{printed}}).value_or("{const: null}");
      // `{const: x}` is how a mapping says x.
      parts.push_back(quoted(column) + ": " + text.substr(8, text.size() - 9));
    }
    return "{" + join(parts, ", ") + "}";
  }

  static Value opposite(const Value& value) {
    if (const auto* flag = value.get_if<bool>()) return Value(Value::Storage(!*flag));
    if (const auto* whole = value.get_if<std::int64_t>(); whole != nullptr && *whole <= 1) {
      return Value::integer(1 - *whole);
    }
    return Value();
  }

  static std::string words(const std::vector<std::string>& all) {
    std::vector<std::string> parts;
    for (const std::string& word : all) parts.push_back(quoted(word));
    return "[" + join(parts, ", ") + "]";
  }

  const PlanFile& plan_;
  const Migration& migration_;
  const std::string& folder_;
  ReversePlan out_;
};

}  // namespace

bool is_reshaped(const PlanFile& plan) {
  return std::ranges::any_of(plan.tables, [&](const TableEntry& one) {
    const auto is_another = [&](const TableEntry& other) {
      return &other != &one &&
             (other.to.place() == one.to.place() || other.from.place() == one.from.place());
    };
    return one.item > 0 || !one.when.empty() || !one.group.empty() ||
           std::ranges::any_of(one.columns,
                               [](const ColumnEntry& column) {
                                 return !column.lookups.empty() || column.collect.has_value();
                               }) ||
           std::ranges::any_of(plan.tables, is_another);
  });
}

ReversePlan reverse_plan(const PlanFile& plan, const Migration& migration,
                         const std::string& folder) {
  return Writer(plan, migration, folder).write();
}

}  // namespace whimbrel
