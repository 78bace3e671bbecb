#include "random_plan.h"

#include <fmt/format.h>

namespace whimbrel::simulation {

namespace {

ExprPtr column(const std::string& name) { return make_expr(ColumnRef{name}); }
ExprPtr constant(Value value) { return make_expr(Constant{std::move(value)}); }

// One column of each kind: as it is, with a default, into a document, converted, made up.
std::vector<std::pair<std::string, ExprPtr>> columns_with(const std::string& key_prefix) {
  const ExprPtr key = key_prefix.empty()
                          ? column("k")
                          : make_expr(Template{{constant(Value::text(key_prefix)), column("k")}});
  const ExprPtr document = make_expr(IfNull{
      make_expr(JsonObject{{{"c", column("c")}}}), constant(Value::json("{}")), {column("c")}});
  return {{"id", key},
          {"a2", column("a")},
          {"b2", make_expr(IfNull{column("b"), constant(Value::text("none")), {}})},
          {"doc", document},
          {"n2", make_expr(Cast{column("n"), CastTo::integer})},
          {"extra", constant(Value::text("normal"))}};
}

void add_switches(Random& random, RandomPlan& plan) {
  const TableSchema flags = text_table(switch_table, {"name", "on", "other"});
  const bool table_is_there = random.chance(70);  // else the switch makes it
  if (table_is_there) plan.old_side->add_table(flags);
  plan.switches = random.chance(30) ? 2 : 1;
  for (int i = 0; i < plan.switches; ++i) {
    const Value name = Value::text(fmt::format("s{}", i));
    RowSwitch row{plan.source, flags, {{"name", name}}, {{"on", Value::integer(1)}}, true};
    plan.migration.switches.push_back({fmt::format("s{}", i), row});
    if (!table_is_there || random.chance(50)) continue;
    (void)plan.old_side->put(switch_table, {{"name", name},
                                            {"on", random.chance(50) ? Value::integer(0) : Value()},
                                            {"other", Value::text("mine")}});
  }
}

void add_move(Random& random, bool one_store, RandomPlan& plan) {
  const int index = static_cast<int>(std::ssize(plan.pages));
  Page page;
  page.old_table = fmt::format("old{}", index);
  page.new_table = fmt::format("new{}", index);
  page.key_prefix = random.chance(50) ? "P#" : "";
  const TableSchema from = text_table(page.old_table, old_columns);
  const TableSchema to = text_table(page.new_table, new_columns);
  plan.old_side->add_table(from);
  Move move;
  move.index = index;
  move.name = page.old_table;
  move.from = "one/" + page.old_table;
  move.to = "two/" + page.new_table;
  move.source = plan.source;
  move.target = plan.target;
  move.creates_target = random.chance(80);
  if (!move.creates_target) plan.new_side->add_table(to);
  const bool dual = plan.migration.sync == Sync::dual;
  move.inside = dual || (one_store && random.chance(50));
  move.compares_inside = move.inside;
  // What cannot be converted is set aside only where rows pass through the engine.
  page.has_bad_values = !move.inside && random.chance(40);
  move.on_error = page.has_bad_values ? OnError::reject : OnError::fail;
  move.mapping = make_mapping(from, to, columns_with(page.key_prefix)).value();
  plan.migration.moves.push_back(std::move(move));
  plan.pages.push_back(std::move(page));
}

void add_checks(RandomPlan& plan) {
  for (const CheckAt at : {CheckAt::before, CheckAt::held, CheckAt::after, CheckAt::watch}) {
    CheckPlan check;
    check.name = "agreed";
    check.at = at;
    check.sql = "what the simulation answers";
    check.expect = Value::integer(1);
    plan.migration.checks.push_back(std::move(check));
  }
}

}  // namespace

RandomPlan random_plan(Random& random, SimulatedClock& clock, Faults& faults, bool in_a_window,
                       bool raises_capacity) {
  RandomPlan plan;
  const bool one_store = random.chance(60);
  plan.old_side = std::make_shared<MemoryStore>("one", clock);
  plan.new_side = one_store ? plan.old_side : std::make_shared<MemoryStore>("two", clock);
  plan.source = std::make_shared<FaultyStore>(plan.old_side, faults, clock);
  plan.target =
      one_store ? plan.source : std::make_shared<FaultyStore>(plan.new_side, faults, clock);
  Migration& migration = plan.migration;
  migration.name = "simulated";
  migration.digest = "d";
  migration.resolved = "{}";
  migration.stores["one"] = plan.source;
  if (!one_store) migration.stores["two"] = plan.target;
  migration.sync = one_store && random.chance(50) ? Sync::dual : Sync::capture;
  if (in_a_window) migration.sync = Sync::none;
  migration.limits.batch_size = 1 + random.below(7);
  migration.limits.workers = 1 + static_cast<int>(random.below(2));
  if (raises_capacity) migration.limits.raise = {20, 30};
  migration.hold_max = Milliseconds(migration.sync == Sync::none ? 4000 : 500);
  add_switches(random, plan);
  const int moves = random.chance(25) ? 2 : 1;
  for (int i = 0; i < moves; ++i) add_move(random, one_store, plan);
  if (random.chance(30)) add_checks(plan);
  migration.finish.keep_source = random.chance(50);
  if (moves == 1 && random.chance(30)) migration.finish.rename_source_to = "archive";
  return plan;
}

std::string RandomPlan::describe() const {
  std::string text =
      fmt::format("plan: {} store(s), {}, {} switch(es), chunks of {}", migration.stores.size(),
                  name_of(migration.sync), switches, *migration.limits.batch_size);
  for (const Move& move : migration.moves) {
    text += fmt::format("; {}{}{}{}", move.name, move.inside ? " inside" : "",
                        move.creates_target ? "" : " into what is there",
                        move.on_error == OnError::reject ? " with rows to set aside" : "");
  }
  if (!migration.checks.empty()) text += "; with checks";
  return text;
}

}  // namespace whimbrel::simulation
