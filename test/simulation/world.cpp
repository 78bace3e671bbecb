#include "world.h"

#include <fmt/format.h>

#include "sidecar.h"

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

// `k17` and `P#` are in keys and nowhere else.
bool shows_a_key(const std::string& text) {
  const auto digit = [&](std::size_t at) {
    return at < text.size() && text[at] >= '0' && text[at] <= '9';
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == 'k' && digit(i + 1) && digit(i + 2)) return true;
  }
  return text.find("P#") != std::string::npos;
}

}  // namespace

// Everything the engine says, into the trace.
class World::TraceEvents final : public Events {
 public:
  explicit TraceEvents(World& world) : world_(world) {}
  void emit(const Event& event) override {
    std::string line = "  " + event.name;
    for (const auto& [name, field] : event.fields) {
      line += " " + name + "=";
      std::visit([&](const auto& value) { line += fmt::format("{}", value); }, field);
      const auto* text = std::get_if<std::string>(&field);
      if (text != nullptr && shows_a_key(*text)) world_.violate("a key in an event: " + *text);
    }
    world_.note(line);
  }

 private:
  World& world_;
};

World::World(std::uint64_t seed)
    : random_(seed),
      faults_(random_, clock_),
      plan_(random_plan(random_, clock_, faults_, seed % 10 == 9, seed % 10 == 6)),
      drops_capture_(seed % 10 == 8) {
  faults_.feeds_are_late = seed % 10 == 7;
  journal_ = FaultyJournal::make(clock_, faults_);
  sidecar_ = std::make_unique<BookSidecar>(*this);
  application_ = std::make_unique<Application>(random_, plan_.old_side, plan_.new_side, plan_.pages,
                                               plan_.switches,
                                               [this](const std::string& what) { note(what); });
  application_->fill();
  tables_before_ = tables();
  switches_before_ = plan_.old_side->rows(switch_table);
  note(plan_.describe());
  journal_->on_attempt = [this] { application_->new_attempt(); };
  faults_.traffic = [this] { application_->write_something(); };
  for (FaultyStore* store : {plan_.source.get(), plan_.target.get()}) {
    store->migration = &plan_.migration;
    store->journal = journal_.get();
    store->rows_per_chunk_max = *plan_.migration.limits.batch_size;
    store->answer = [this] {
      const bool wrong = with_faults_ && random_.chance(10);
      check_failed_ = check_failed_ || wrong;
      return Value::integer(wrong ? 0 : 1);
    };
  }
}

World::~World() = default;

void World::note(const std::string& what) { trace_.push_back(what); }

void World::violate(const std::string& what) {
  note("BROKEN: " + what);
  if (!violation_) violation_ = what;
}

void World::choose_faults(Verb verb, Weather weather) {
  const bool rough = weather == Weather::rough;
  with_faults_ = rough;
  faults_.kill_after_calls =
      rough && random_.chance(60) ? static_cast<int>(random_.below(200)) : -1;
  faults_.fail_per_mille = rough && random_.chance(40) ? static_cast<int>(random_.below(40)) : 0;
  faults_.stall_per_cent = rough ? static_cast<int>(random_.below(30)) : 0;
  const bool listens = verb != Verb::verify && verb != Verb::finish;
  faults_.person_per_mille =
      rough && listens && random_.chance(25) ? static_cast<int>(random_.below(20)) : 0;
  nobody_writes_ = weather == Weather::still || random_.chance(15);
  const bool traffic = !nobody_writes_;
  faults_.traffic_per_cent = traffic ? static_cast<int>(random_.below(40)) : 0;
  application_->writes_left = traffic ? static_cast<int>(random_.below(60)) : 0;
}

void World::somebody_asks(StopFlag& stop) {
  const std::int64_t dice = random_.below(100);
  if (dice < 40) {
    stop.request();
    stopped_ = true;
    note("  stop!");
  } else if (dice < 60) {
    const std::int64_t rows = 1 + random_.below(9);
    for (FaultyStore* store : {plan_.source.get(), plan_.target.get()}) {
      store->rows_per_chunk_max = std::max(store->rows_per_chunk_max, rows);
    }
    (void)journal_->ask("limits", fmt::format(R"({{"batch_size":{}}})", rows));
  } else if (dice < 80) {
    asked_pause_ = true;
    (void)journal_->ask("pause", "");
  } else if (dice < 90) {
    asked_rollback_ = true;
    note("  roll back!");
    (void)journal_->ask("rollback", "");
  } else {
    (void)journal_->ask("cutover", "");
  }
}

// A person looks at the one switch that was to be flipped and is not confirmed.
bool World::an_open_switch_is_on() const {
  const State state = journal_->state();
  for (int i = 0; i < plan_.switches; ++i) {
    const Effect* effect = state.effect(fmt::format("switch:s{}", i));
    if (effect != nullptr && !effect->confirmed) return application_->switched(i);
  }
  return false;
}

Status World::carry_out(Engine& engine, Verb verb, Goal goal) {
  const auto done = [&](Result<EngineOutcome> outcome) -> Status {
    if (!outcome.ok()) return std::move(outcome).error();
    outcome_ = std::move(outcome).value();
    return {};
  };
  switch (verb) {
    case Verb::run:
    case Verb::stay:
      return done(engine.run(goal, verb == Verb::stay));
    case Verb::rollback:
      return done(engine.rollback());
    case Verb::canary:
      return done(engine.cutover("s0", std::nullopt));
    case Verb::decide:
      return done(engine.cutover("", an_open_switch_is_on()));
    case Verb::finish:
      return done(engine.finish(std::nullopt));
    case Verb::verify:
    case Verb::repair: {
      const bool repairs = verb == Verb::repair;
      ASSIGN_OR_RETURN(const VerifyOutcome found,
                       repairs ? engine.repair(0) : engine.verify(0, records_));
      if (found.differing == 0) return {};
      std::string text = "verify found differences:";
      for (const Difference& one : found.examples) text += " " + one.key + " " + one.what;
      return Error{ErrorCode::data_mismatch, text};
    }
  }
  return {};
}

bool World::session(Verb verb, Goal goal, Weather weather) {
  constexpr const char* verbs[] = {"run",    "stay",   "rollback", "verify",
                                   "repair", "canary", "decide",   "finish"};
  constexpr const char* weathers[] = {"", "calm ", "still "};
  note(fmt::format("{}{} until {} in {}", weathers[static_cast<int>(weather)],
                   verbs[static_cast<int>(verb)], name_of(goal), name_of(journal_->phase())));
  faults_.new_session();
  choose_faults(verb, weather);
  plan_.source->only_reads = plan_.target->only_reads = verb == Verb::verify;
  SimulatedExecutor executor(random_);
  TraceEvents events(*this);
  StopFlag stop;
  stopped_ = check_failed_ = false;
  records_ = random_.chance(50);
  held_before_ = journal_->state().effect("hold") != nullptr;
  recorded_before_ = std::ssize(journal_->appended());
  faults_.person = [&] { somebody_asks(stop); };
  clock_.while_sleeping = [&] { while_sleeping(verb, stop); };
  error_.reset();
  outcome_ = {};
  const auto backup = [this](const Migration&) -> Result<std::string> {
    TRY(faults_.before("backup"));
    TRY(faults_.after("backup"));
    return std::string("{}");
  };
  bool lived = true;
  try {
    Engine engine(plan_.migration,
                  {*journal_, clock_, random_, executor, events, stop, *sidecar_, backup});
    if (const Status status = carry_out(engine, verb, goal); !status.ok()) error_ = status.error();
  } catch (const Killed&) {
    ++deaths_;
    faults_.cut = {};
    lived = false;
    note("killed");
    if (random_.chance(30)) {
      note("and the power is gone");
      for (FaultyStore* store : {plan_.source.get(), plan_.target.get()}) store->lose_power();
    }
  }
  if (error_) note(fmt::format("error {}: {}", name_of(error_->code), to_text(*error_)));
  check_session(verb, goal, lived);
  return lived;
}

void World::while_sleeping(Verb verb, StopFlag& stop) {
  if (random_.chance(30)) application_->write_something();
  if (asked_pause_ && random_.chance(50)) {
    asked_pause_ = false;
    (void)journal_->ask("resume", "");
  }
  if (verb == Verb::stay && random_.chance(20)) {
    stop.request();
    stopped_ = true;
  }
}

void World::write_a_little() {
  for (int i = 0; i < 15 && !violation_; ++i) {
    application_->writes_left = 2;
    application_->write_something();
  }
}

// Without faults everything comes to its end, in a few lives at most.
void World::until_it_ends(Verb verb, Goal goal) {
  for (int tries = 0; tries < 8 && !violation_; ++tries) {
    if (journal_->phase() == Phase::stuck && verb == Verb::run) {
      session(Verb::decide, goal, Weather::calm);
      continue;
    }
    const bool lived = session(verb, goal, Weather::calm);
    // An interrupted rollback is ended first, and then `run` stops: a person asked for it.
    if (verb == Verb::run && journal_->phase() == Phase::rolled_back) continue;
    if (lived && !error_ && !outcome_.gave_up) return;
  }
  if (!violation_) violate("it does not come to an end without faults");
}

void World::random_sessions() {
  constexpr Goal goals[] = {Goal::backup, Goal::prepare, Goal::copy,  Goal::follow,
                            Goal::verify, Goal::watch,   Goal::watch, Goal::watch};
  const std::int64_t sessions = 1 + random_.below(6);
  for (std::int64_t i = 0; i < sessions && !violation_; ++i) {
    const std::int64_t dice = random_.below(100);
    Verb verb = dice < 60   ? Verb::run
                : dice < 68 ? Verb::stay
                : dice < 84 ? Verb::rollback
                : dice < 95 ? Verb::verify
                            : Verb::canary;
    if (journal_->phase() == Phase::stuck && random_.chance(60)) verb = Verb::decide;
    session(verb, goals[random_.below(std::ssize(goals))], Weather::rough);
    clock_.advance(Milliseconds(random_.below(2000)));
  }
}

void World::put_row(bool old_side, const Page& page, const Value& key,
                    const std::optional<Row>& row) {
  const std::vector<std::string>& columns = old_side ? old_columns : new_columns;
  const TableSchema schema = text_table(old_side ? page.old_table : page.new_table, columns);
  const auto writer = (old_side ? plan_.old_side : plan_.new_side)->open_writer(schema, columns);
  const std::vector<Change> changes = {{{key}, row}};
  assert_always(writer.value()->apply(changes).ok(), "a memory store takes a row");
}

// Somebody changes, removes or adds one row on the side that does not serve, past everything that
// watches: a comparison has to say so, and nothing is switched over it.
void World::a_difference_is_found() {
  const bool switched = journal_->phase() == Phase::watching;
  if (!switched && (journal_->phase() != Phase::verified || journal_->reached_a_switch())) return;
  // Before a window a difference is nothing but lag.
  if (!switched && plan_.migration.sync == Sync::none) return;
  session(Verb::run, Goal::follow, Weather::still);
  const Phase phase = journal_->phase();
  if (violation_ || error_ || phase != (switched ? Phase::watching : Phase::following)) return;
  const auto at = random_.below(std::ssize(application_->pages()));
  const Page& page = application_->pages()[static_cast<std::size_t>(at)];
  std::vector<Row> rows =
      switched ? plan_.old_side->rows(page.old_table) : plan_.new_side->rows(page.new_table);
  std::erase_if(rows, [&](const Row& row) {
    const std::string key = switched ? text_or(row[0], "") : page.old_key(text_or(row[0], ""));
    const auto it = page.book.find(key);
    return it == page.book.end() || !can_be_converted(it->second) || page.conflicts.contains(key);
  });
  if (rows.empty()) return;
  const Row before = rows[static_cast<std::size_t>(random_.below(std::ssize(rows)))];
  const std::int64_t kind = random_.below(3);
  Row planted = before;
  if (kind == 1) planted[1] = Value::text("changed by nobody");
  if (kind == 2) planted[0] = switched ? Value::text("k99") : page.new_key("k99");
  put_row(switched, page, planted[0], kind == 0 ? std::nullopt : std::optional(planted));
  note("a difference is planted beside " + show(before[0]));
  expects_difference_ = true;
  session(!switched && random_.chance(50) ? Verb::run : Verb::verify, Goal::watch, Weather::still);
  expects_difference_ = false;
  // A row that was taken off the old side comes back without what only the old side held.
  if (random_.chance(50) && !(switched && kind == 0)) {
    until_it_ends(Verb::repair, Goal::verify);
    if (!violation_) session(Verb::run, switched ? Goal::watch : Goal::verify, Weather::still);
    return;
  }
  put_row(switched, page, planted[0], std::nullopt);
  put_row(switched, page, before[0], before);
}

// Somebody drops our triggers and writes on: the next command notices, and nothing is lost.
void World::capture_is_dropped() {
  const bool switched = journal_->phase() == Phase::watching;
  if (!switched && (journal_->phase() != Phase::verified || journal_->reached_a_switch())) return;
  for (const Page& page : application_->pages()) {
    if (page.has_bad_values) return;
  }
  session(Verb::run, switched ? Goal::watch : Goal::verify, Weather::still);
  if (violation_ || error_) return;
  note("what captures writes is dropped");
  plan_.old_side->drop_capture();
  plan_.new_side->drop_capture();
  unnoticed_ = application_->unnoticed = true;
  write_a_little();
  if (random_.chance(30)) {
    back();
    if (!violation_) until_it_ends(Verb::run, Goal::watch);
    return;
  }
  session(Verb::run, switched ? Goal::watch : Goal::verify, Weather::still);
}

void World::there() {
  if (!violation_) until_it_ends(Verb::run, Goal::watch);
  if (!violation_) write_a_little();
  if (!violation_ && random_.chance(30)) a_difference_is_found();
  if (!violation_ && random_.chance(50)) until_it_ends(Verb::verify, Goal::verify);
  if (!violation_ && drops_capture_ && random_.chance(50)) capture_is_dropped();
}

void World::back() {
  if (!violation_) until_it_ends(Verb::rollback, Goal::watch);
  if (!violation_ && journal_->phase() != Phase::rolled_back) violate("it is not rolled back");
  if (!violation_) write_a_little();
}

// A `finish` that came to its end half the way has removed nothing yet, or the old tables are gone.
bool World::finish_is_taken_back() {
  if (journal_->phase() != Phase::finishing || !random_.chance(40)) return false;
  for (const Page& page : application_->pages()) {
    if (page.has_bad_values || !plan_.old_side->has_table(page.old_table)) return false;
  }
  note("`finish` is taken back");
  reopening_ = unnoticed_ = application_->unnoticed = true;
  write_a_little();
  back();
  return true;
}

// With the old tables would go what tells which side is right.
void World::finish_waits_for_equal_sides() {
  const auto differs = [&] {
    const State state = journal_->state();
    return state.verified && state.verified->differing > 0;
  };
  if (!differs()) return;
  const Phase before = journal_->phase();
  session(Verb::finish, Goal::watch, Weather::calm);
  if (!violation_ && (!error_ || journal_->phase() != before)) violate("finished over differences");
  if (!violation_) until_it_ends(Verb::repair, Goal::verify);
  if (!violation_ && differs()) violate("a repair leaves a difference");
}

void World::to_the_end() {
  if (!violation_) finish_waits_for_equal_sides();
  for (std::int64_t i = random_.below(3); i > 0 && !violation_; --i) {
    session(Verb::finish, Goal::watch, Weather::rough);
  }
  if (!violation_ && finish_is_taken_back()) return;
  if (!violation_) until_it_ends(Verb::finish, Goal::watch);
  if (!violation_ && journal_->phase() != Phase::finished) violate("it is not finished");
  if (!violation_) write_a_little();
  if (!violation_) check_new_side(true);
}

// What `finish` has archived gets its name back, and the way back is the ordinary one from there.
void World::back_from_the_end() {
  for (const Page& page : application_->pages()) {
    if (page.has_bad_values) return;
    (void)plan_.old_side->catalog().revive(page.old_table, plan_.migration.finish.rename_source_to);
    if (!plan_.old_side->has_table(page.old_table)) return;
  }
  note("the old side is brought back");
  reopening_ = unnoticed_ = true;
  for (std::int64_t i = random_.below(3); i > 0 && !violation_; --i) {
    session(Verb::rollback, Goal::watch, Weather::rough);
  }
  back();
}

std::optional<std::string> World::live() {
  random_sessions();
  if (!violation_ && random_.chance(30)) a_difference_is_found();
  there();
  if (random_.chance(75)) {
    back();
    there();
  }
  if (!violation_ && random_.chance(40)) {
    to_the_end();
    if (!violation_ && journal_->phase() == Phase::finished && random_.chance(50)) {
      back_from_the_end();
    }
  }
  if (!violation_) check_journal();
  return violation_;
}

std::optional<std::string> World::live_cut(CutAt cut, bool go_back) {
  faults_.cut = cut;
  for (const Verb verb : {Verb::run, Verb::rollback, Verb::run, Verb::finish}) {
    if (violation_) break;
    if (!session(verb, Goal::watch, Weather::calm)) {
      clock_.advance(Milliseconds(random_.below(1000)));
      const Phase phase = journal_->phase();
      const bool open = phase != Phase::finishing && phase != Phase::finished;
      if (go_back && open && journal_->state().started) {
        back();
        there();
      }
    }
    const bool ends = verb == Verb::finish && journal_->phase() == Phase::watching;
    if (!violation_ && ends) finish_waits_for_equal_sides();
    if (!violation_) until_it_ends(verb, Goal::watch);
    if (!violation_) write_a_little();
  }
  if (!violation_) check_new_side(true);
  if (!violation_) check_journal();
  return violation_;
}

}  // namespace whimbrel::simulation
