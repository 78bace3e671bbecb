#include "world.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace whimbrel::simulation {

namespace {

// One seeded thread: every step of every task in a random order.
class SimulatedExecutor final : public Executor {
 public:
  explicit SimulatedExecutor(Random& random) : random_(random) {}
  Status run(std::vector<Task> tasks) override {
    while (!tasks.empty()) {
      const auto at = static_cast<std::size_t>(random_.below(std::ssize(tasks)));
      ASSIGN_OR_RETURN(const Step step, tasks[at]());
      if (step == Step::done) tasks.erase(tasks.begin() + static_cast<std::ptrdiff_t>(at));
    }
    return {};
  }

 private:
  Random& random_;
};

constexpr const char* old_table = "old";
constexpr const char* new_table = "new";

TableSchema table(const std::string& name, const std::vector<std::string>& columns) {
  TableSchema schema;
  schema.name = name;
  for (const std::string& column : columns) {
    schema.columns.push_back({column, "", true, false, false, ""});
  }
  schema.key = {columns.front()};
  return schema;
}

ExprPtr column(const std::string& name) { return make_expr(ColumnRef{name}); }
ExprPtr constant(Value value) { return make_expr(Constant{std::move(value)}); }

std::string text_or(const Value& value, const std::string& otherwise) {
  const auto* text = value.get_if<std::string>();
  return text == nullptr ? otherwise : *text;
}

}  // namespace

// Remembers what the engine sets aside, and says which keys were named as conflicts.
// Everything the engine says, into the trace.
class World::TraceEvents final : public Events {
 public:
  explicit TraceEvents(World& world) : world_(world) {}
  void emit(const Event& event) override {
    std::string line = "  " + event.name;
    for (const auto& [name, field] : event.fields) {
      line += " " + name + "=";
      std::visit([&](const auto& value) { line += fmt::format("{}", value); }, field);
    }
    world_.note(line);
  }

 private:
  World& world_;
};

struct World::BookSidecar final : public Sidecar {
  explicit BookSidecar(World& world_in) : world(world_in) {}
  Status rejected(const Move&, const Row& key, const std::string&) override {
    std::string text = text_or(key[0], "");
    if (!world.key_prefix_.empty() && text.starts_with(world.key_prefix_)) {
      text = text.substr(world.key_prefix_.size());
    }
    world.conflicts_.insert(text);
    return {};
  }
  Status kept(const Migration&, const std::vector<KeptRow>&) override { return {}; }
  World& world;
};

World::World(std::uint64_t seed) : random_(seed), faults_(random_, clock_) {
  faults_.traffic = [this] { write_something(); };
  clock_.while_sleeping = [this] {
    if (random_.chance(30)) write_something();
  };
  sidecar_ = std::make_unique<BookSidecar>(*this);
  journal_ = FaultyJournal::make(clock_, faults_);
  make_plan();
  make_rows();
}

World::~World() = default;

void World::note(const std::string& what) { trace_.push_back(what); }

void World::violate(const std::string& what) {
  note("BROKEN: " + what);
  if (!violation_) violation_ = what;
}

void World::make_plan() {
  const bool one_store = random_.chance(60);
  memory_source_ = std::make_shared<MemoryStore>("one", clock_);
  memory_target_ = one_store ? memory_source_ : std::make_shared<MemoryStore>("two", clock_);
  const std::vector<std::string> app_tables = {old_table, "flags"};
  source_ = std::make_shared<FaultyStore>(memory_source_, faults_, app_tables);
  target_ = one_store ? source_ : std::make_shared<FaultyStore>(memory_target_, faults_, app_tables);
  const TableSchema from = table(old_table, {"k", "a", "b", "c", "dropped"});
  const TableSchema to = table(new_table, {"id", "a2", "b2", "doc", "extra", "unmapped"});
  TableSchema flags = table("flags", {"name", "on", "other"});
  memory_source_->add_table(from);
  memory_source_->add_table(flags);
  key_prefix_ = random_.chance(50) ? "P#" : "";
  has_map_ = random_.chance(50);
  std::vector<std::pair<std::string, ExprPtr>> columns;
  columns.emplace_back("id", key_prefix_.empty()
                                 ? column("k")
                                 : make_expr(Template{{constant(Value::text(key_prefix_)), column("k")}}));
  columns.emplace_back("a2", column("a"));
  columns.emplace_back("b2", make_expr(IfNull{column("b"), constant(Value::text("none")), {}}));
  columns.emplace_back("doc", make_expr(IfNull{make_expr(JsonObject{{{"c", column("c")}}}),
                                               constant(Value::json("{}")), {column("c")}}));
  columns.emplace_back("extra", constant(Value::text("normal")));
  migration_.name = "simulated";
  migration_.digest = "d";
  migration_.stores["one"] = source_;
  if (!one_store) migration_.stores["two"] = target_;
  migration_.sync = one_store && random_.chance(50) ? Sync::dual : Sync::capture;
  migration_.limits.batch_size = 1 + random_.below(7);
  migration_.limits.workers = 1 + static_cast<int>(random_.below(2));
  migration_.hold_max = Milliseconds(500);
  note(fmt::format("plan: {} store(s), {}, chunks of {}", one_store ? 1 : 2,
                   migration_.sync == Sync::dual ? "dual" : "capture", *migration_.limits.batch_size));
  switches_ = random_.chance(30) ? 2 : 1;
  Move move;
  move.name = old_table;
  move.from = "one/old";
  move.to = "two/new";
  move.source = source_;
  move.target = target_;
  move.creates_target = random_.chance(80);
  if (!move.creates_target) memory_target_->add_table(to);
  move.inside = migration_.sync == Sync::dual || (one_store && random_.chance(50));
  move.mapping = make_mapping(from, to, columns).value();
  migration_.moves.push_back(std::move(move));
  for (int i = 0; i < switches_; ++i) {
    RowSwitch row{source_, flags, {{"name", Value::text(fmt::format("s{}", i))}},
                  {{"on", Value::integer(1)}}, true};
    migration_.switches.push_back({fmt::format("s{}", i), row});
    if (random_.chance(50)) {
      (void)memory_source_->put("flags", {{"name", Value::text(fmt::format("s{}", i))},
                                          {"on", Value::integer(0)}, {"other", Value::text("mine")}});
    }
  }
}

Value World::random_value() {
  switch (random_.below(5)) {
    case 0:
      return {};
    case 1:
      return Value::text("");
    case 2:
      return Value::text("none");
    default:
      return Value::text(fmt::format("v{}", random_.below(1000)));
  }
}

void World::make_rows() {
  rows_at_start_ = random_.below(30);
  for (std::int64_t i = 0; i < rows_at_start_; ++i) write_old(0, fmt::format("k{:02}", random_.below(40)));
}

// After a hold that ended too early a row may still be on its way: then a delete deletes nothing.
bool World::is_there(const MemoryStore& store, const char* table_name, const Value& key) {
  for (const Row& row : store.rows(table_name)) {
    if (same(row[0], key)) return true;
  }
  return false;
}

bool World::switched(int app) {
  for (const Row& row : memory_source_->rows("flags")) {
    if (same(row[0], Value::text(fmt::format("s{}", app)))) return same(row[1], Value::integer(1));
  }
  return false;
}

void World::write_something() {
  if (traffic_left_ <= 0) return;
  const std::int64_t many = 1 + random_.below(3);
  for (std::int64_t i = 0; i < many && traffic_left_ > 0; ++i, --traffic_left_) {
    const std::int64_t number = random_.below(40);
    // Each application has its own rows, so that two of them are never of two minds.
    const int app = static_cast<int>(number % switches_);
    const std::string key = fmt::format("k{:02}", number);
    const bool new_side = switched(app);
    new_side ? write_new(app, key) : write_old(app, key);
    note(fmt::format("    {} {} {}", new_side ? "new" : "old", key,
                     book_.contains(key) ? "is there" : "is gone"));
  }
}

void World::write_old(int, const std::string& key) {
  Entry entry = book_.contains(key) ? book_[key] : Entry{};
  const bool exists = book_.contains(key);
  if (exists && random_.chance(20)) {
    if (!is_there(*memory_source_, old_table, Value::text(key))) return;
    if (memory_source_->erase(old_table, {Value::text(key)}).ok()) {
      if (!entry.new_only.empty()) namesakes_[key] = entry;
      book_.erase(key);
    }
    return;
  }
  std::vector<std::pair<std::string, Value>> columns = {{"k", Value::text(key)}};
  for (const char* name : {"a", "b", "c", "dropped"}) {
    if (exists && random_.chance(60)) continue;
    columns.emplace_back(name, random_value());
  }
  if (!memory_source_->put(old_table, columns).ok()) return;  // held: the application tries later
  if (!exists && namesakes_.contains(key)) entry.of_namesake = namesakes_[key].new_only;
  for (const auto& [name, value] : columns) entry.old_side[name] = value;
  book_[key] = entry;
}

void World::write_new(int, const std::string& key) {
  const bool exists = book_.contains(key);
  const Row target_key = {Value::text(key_prefix_ + key)};
  if (exists && random_.chance(20)) {
    if (!is_there(*memory_target_, new_table, target_key[0])) return;
    if (!memory_target_->erase(new_table, target_key).ok()) return;
    book_.erase(key);
    return;
  }
  Entry entry = exists ? book_[key] : Entry{};
  std::vector<std::pair<std::string, Value>> columns = {{"id", target_key[0]}};
  const auto set = [&](const char* name, Value value) { columns.emplace_back(name, std::move(value)); };
  const auto some = [&] { return !exists || random_.chance(40); };
  Entry changed = entry;
  changed.old_side["k"] = Value::text(key);
  if (some()) {
    changed.old_side["a"] = random_value();
    set("a2", changed.old_side["a"]);
  }
  if (some()) {
    const Value value = Value::text(fmt::format("n{}", random_.below(100)));
    changed.old_side["b"] = value;
    set("b2", value);
  }
  if (some()) {
    const std::string text = fmt::format("j{}", random_.below(100));
    const bool lossy = random_.chance(30);
    changed.old_side["c"] = Value::text(text);
    const std::string doc = lossy ? "{\"c\":\"" + text + "\",\"more\":1}" : "{\"c\":\"" + text + "\"}";
    set("doc", Value::json(doc));
    changed.new_only.erase("doc");
    if (lossy) changed.new_only["doc"] = Value::json(doc);
  }
  if (some()) {
    const Value value = Value::text(fmt::format("x{}", random_.below(100)));
    changed.new_only["extra"] = value;
    set("extra", value);
  }
  if (!memory_target_->put(new_table, columns).ok()) return;
  book_[key] = changed;
}

bool World::session(Verb verb, Goal goal, bool faults) {
  faults_.new_session();
  faults_.kill_after_calls = faults && random_.chance(70) ? static_cast<int>(random_.below(160)) : -1;
  faults_.fail_per_mille = faults && random_.chance(40) ? static_cast<int>(random_.below(40)) : 0;
  faults_.traffic_per_cent = static_cast<int>(random_.below(40));
  faults_.stall_per_cent = faults ? static_cast<int>(random_.below(30)) : 0;
  traffic_left_ = static_cast<int>(random_.below(60));
  source_->journal = target_->journal = verb == Verb::verify ? nullptr : journal_.get();
  SimulatedExecutor executor(random_);
  TraceEvents events(*this);
  StopFlag stop;
  error_.reset();
  const auto backup = [](const Migration&) { return Result<std::string>(std::string("{}")); };
  try {
    Engine engine(migration_, {*journal_, clock_, random_, executor, events, stop, *sidecar_, backup});
    Status status;
    if (verb == Verb::verify) {
      Result<VerifyOutcome> verified = engine.verify(0);
      if (!verified.ok()) {
        status = verified.error();
      } else if (verified.value().differing > 0) {
        std::string found;
        for (const Difference& one : verified.value().examples) found += " " + one.key + " " + one.what;
        status = Error{ErrorCode::data_mismatch, "verify found differences:" + found};
      }
    } else {
      Result<EngineOutcome> done = verb == Verb::run ? engine.run(goal, false) : engine.rollback();
      if (done.ok()) outcome_ = done.value();
      if (!done.ok()) status = done.error();
    }
    if (!status.ok()) error_ = status.error();
  } catch (const Killed&) {
    ++deaths_;
    note("killed");
    return false;
  }
  if (error_) {
    note(fmt::format("error {}: {}", name_of(error_->code), to_text(*error_)));
    const bool allowed = error_->code == ErrorCode::unavailable || error_->code == ErrorCode::refused;
    if (!allowed) violate("an error that no fault explains: " + to_text(*error_));
  }
  return true;
}

// Promise 6 and 1: before the switch the source holds what the application wrote and nothing else.
void World::check_between_sessions() {
  for (const auto& store : {source_, target_}) {
    for (const std::string& violation : store->violations) violate(violation);
  }
  const State state = journal_->state();
  if (state.phase == Phase::rolling_back) return;  // late writes may still be on their way back
  for (int i = 0; i < switches_; ++i) {
    if (state.effect(fmt::format("switch:s{}", i)) != nullptr) return;
  }
  std::map<std::string, Row> found;
  for (const Row& row : memory_source_->rows(old_table)) found[text_or(row[0], "?")] = row;
  if (found.size() != book_.size() && conflicts_.empty()) {
    violate(fmt::format("the source has {} rows, the book {}", found.size(), book_.size()));
  }
  for (const auto& [key, entry] : book_) {
    if (conflicts_.contains(key)) continue;
    if (!found.contains(key)) {
      violate("a row of the source is lost: " + key);
      continue;
    }
    const std::vector<std::string> names = {"k", "a", "b", "c", "dropped"};
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto it = entry.old_side.find(names[i]);
      const Value expected = it == entry.old_side.end() ? Value() : it->second;
      if (!same(found[key][i], expected)) {
        violate(fmt::format("source {}.{} is {} and must be {}", key, names[i], show(found[key][i]),
                            show(expected)));
      }
    }
  }
}

// Every row through the mapping, as the checker understands the plan.
void World::check_new_side(bool exact) {
  std::map<std::string, Row> found;
  for (const Row& row : memory_target_->rows(new_table)) {
    found[text_or(row[0], "?").substr(key_prefix_.size())] = row;
  }
  for (const auto& [key, row] : found) {
    if (!book_.contains(key) && !conflicts_.contains(key)) violate("a row came back: " + key);
  }
  for (const auto& [key, entry] : book_) {
    if (conflicts_.contains(key)) continue;
    if (!found.contains(key)) {
      violate("a row did not arrive: " + key);
      continue;
    }
    const auto old_value = [&](const char* name) {
      const auto it = entry.old_side.find(name);
      return it == entry.old_side.end() ? Value() : it->second;
    };
    const Row& row = found[key];
    if (!same(row[1], old_value("a"))) violate(fmt::format("{}.a2 is {}", key, show(row[1])));
    const Value b = old_value("b").is_null() ? Value::text("none") : old_value("b");
    if (!same(row[2], b)) violate(fmt::format("{}.b2 is {}, not {}", key, show(row[2]), show(b)));
    const Value c = old_value("c");
    const auto* json = row[3].get_if<Json>();
    const auto doc = nlohmann::json::parse(json == nullptr ? "?" : json->text, nullptr, false);
    const bool empty = doc.is_object() && !doc.contains("c");
    const bool equal = c.is_null() ? empty : doc.is_object() && doc.value("c", "?") == text_or(c, "!");
    if (!equal) violate(fmt::format("{}.doc is {} where c is {}", key, show(row[3]), show(c)));
    if (exact) {
      const auto extra = entry.new_only.find("extra");
      const Value want = extra == entry.new_only.end() ? Value::text("normal") : extra->second;
      const auto old = entry.of_namesake.find("extra");
      const bool of_namesake = old != entry.of_namesake.end() && same(row[4], old->second);
      if (!same(row[4], want) && !of_namesake) {
        violate(fmt::format("{}.extra is {}, not {}", key, show(row[4]), show(want)));
      }
    }
  }
}

void World::check_rolled_back() {
  check_between_sessions();
  const bool made = migration_.moves[0].creates_target;
  if (made && memory_target_->has_table(new_table)) violate("the target is still there");
  if (!made && !memory_target_->rows(new_table).empty()) violate("the target is not empty again");
  for (const auto& store : {memory_source_, memory_target_}) {
    for (const std::string& left : store->leftovers()) violate("left behind: " + left);
  }
  for (int i = 0; i < switches_; ++i) {
    if (switched(i)) violate("a switch is not back");
  }
}

// Every prefix of the journal can be replayed, and no confirmation lacks its intent.
void World::check_journal() {
  State state;
  std::int64_t number = 0;
  for (const Record& record : journal_->appended) {
    if (const auto* confirmed = std::get_if<EffectConfirmed>(&record)) {
      if (state.effect(confirmed->id) == nullptr) violate("confirmed without intent: " + confirmed->id);
    }
    apply(state, Stamped{++number, TimePoint(), record});
  }
  const State real = journal_->state();
  if (state.phase != real.phase || state.effects.size() != real.effects.size()) {
    violate("the journal's state is not a replay of its records");
  }
  // At most one chunk a worker is copied again for each death.
  std::int64_t read = 0;
  for (const auto& [move, copy] : real.copies) read += copy.read;
  if (read > 40 + std::int64_t{deaths_} * 8) violate("chunks were copied again and again");
}

void World::check_copied() {
  if (outcome_.phase == Phase::watching || outcome_.gave_up) return;
  const bool dual = migration_.sync == Sync::dual;
  // Under capture the last changes may have come after the last drain: drain once more, quietly.
  if (!dual) {
    traffic_left_ = 0;
    faults_.traffic_per_cent = 0;
  }
}

std::optional<std::string> World::live() {
  constexpr Goal goals[] = {Goal::prepare, Goal::copy, Goal::follow, Goal::verify, Goal::watch};
  const std::int64_t sessions = 1 + random_.below(6);
  for (std::int64_t i = 0; i < sessions && !violation_; ++i) {
    const std::int64_t dice = random_.below(100);
    const Verb verb = dice < 70 ? Verb::run : dice < 88 ? Verb::rollback : Verb::verify;
    const Goal goal = goals[random_.below(5)];
    note(fmt::format("session {} {} in {}", static_cast<int>(verb), name_of(goal), name_of(journal_->phase())));
    const bool lived = session(verb, goal, true);
    check_between_sessions();
    if (lived && !error_) {
      for (const auto& store : {memory_source_, memory_target_}) {
        for (const std::string& left : store->leftovers()) {
          if (left.starts_with("hold")) violate("a hold outlived the command: " + left);
        }
      }
    }
    if (lived && !error_ && verb == Verb::rollback) check_rolled_back();
    clock_.advance(Milliseconds(random_.below(2000)));
  }
  // Then everything is quiet, and every promise can be looked at in full.
  const auto finally = [&](Verb verb, Goal goal) {
    note(fmt::format("finally {} {} in {}", static_cast<int>(verb), name_of(goal), name_of(journal_->phase())));
    for (int tries = 0; tries < 8 && !violation_; ++tries) {
      session(verb, goal, false);
      check_between_sessions();
      // An interrupted rollback is ended first, and then `run` stops: a person asked for it.
      if (verb == Verb::run && journal_->phase() == Phase::rolled_back) continue;
      if (!error_ && !outcome_.gave_up) return;
    }
    if (!violation_) violate("it does not come to an end without faults");
  };
  if (!violation_) finally(Verb::run, Goal::watch);
  if (!violation_ && journal_->phase() != Phase::watching) violate("the switch was not reached");
  if (!violation_) check_new_side(conflicts_.empty());
  for (int i = 0; i < 30 && !violation_; ++i) {
    traffic_left_ = 1;
    write_something();
  }
  if (!violation_ && random_.chance(50)) finally(Verb::verify, Goal::verify);
  if (!violation_) finally(Verb::rollback, Goal::watch);
  if (!violation_) check_rolled_back();
  if (!violation_) finally(Verb::run, Goal::watch);
  if (!violation_) check_new_side(false);
  if (!violation_) check_journal();
  return violation_;
}

}  // namespace whimbrel::simulation
