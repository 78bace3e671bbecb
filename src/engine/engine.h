// The engine: replay the journal, decide, act, journal, until the goal is reached.
//
// It may be killed at any instant; a new engine on the same journal goes on. What it holds in
// memory can be lost at the next line. Threads: one thread calls it; copies run on the executor.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/events.h"
#include "base/executor.h"
#include "base/random.h"
#include "copy/rate.h"
#include "cutover/cutover.h"
#include "engine/changed_since.h"
#include "follow/follow.h"
#include "follow/reconcile.h"
#include "follow/sidecar.h"
#include "journal/journal.h"
#include "phase/phase.h"
#include "plan/migration.h"
#include "store/image.h"
#include "verify/verify.h"

namespace whimbrel {

struct EngineOutcome {
  Phase phase = Phase::planned;
  std::string reason;
  bool gave_up = false;  // the hold could not be kept; nothing is switched
};

struct VerifyOutcome {
  std::int64_t rows = 0;
  std::int64_t differing = 0;
  std::int64_t on_new_side = 0;
  std::int64_t lagging = 0;          // changed, and waiting in a feed that nobody follows right now
  std::vector<Difference> examples;  // at most a thousand of a table
  std::vector<std::vector<Row>> suspects;  // source keys that differ, by move
  std::int64_t repaired = 0;
};

// What is wrong, without keys and values of rows; and why, for a person.
struct CheckFailure {
  std::string what;
  Error why;
};
struct CheckOutcome {
  VerifyOutcome compared;
  bool every_row = true;
  std::vector<CheckFailure> failures;
  std::int64_t checks = 0;   // of the plan, that were asked
  std::int64_t changes = 0;  // that were carried since the check before
  std::string through;       // JSON: where the next part of the keys begins
};
struct ChangedKeys {
  std::vector<Row> source;
  std::vector<Row> target;
};

// `refused` unless the migration is one that `watch` looks at.
Status must_be_watching(const State& state);

// Backups are taken by a function, so that the engine does not know where they go.
using TakeBackup = std::function<Result<std::string>(const Migration& migration)>;

class Engine {
 public:
  struct Parts {
    Journal& journal;
    Clock& clock;
    Random& random;
    Executor& executor;
    Events& events;
    StopFlag& stop;
    Sidecar& sidecar;
    TakeBackup take_backup;
    std::function<Status()> archive = {};  // before `finish` drops a table
    bool gives_up_what_is_gone = false;    // a rollback may lose what only a dropped table held
    bool finishes_all_the_same = false;    // without clean checks, and over late writes
    Cutover::StartGuard start_guard = {};  // of settings that hold the application
  };
  Engine(const Migration& migration, Parts parts);

  // Carries the migration to the goal, or goes on where it stopped. `stay`: remains afterwards,
  // feeding forward or back, until asked to stop. `cancelled` after a stop; resumable.
  Result<EngineOutcome> run(Goal goal, bool stay);
  // Undoes, newest first, all that the migration did. After `finish`, when the old tables are there
  // again (see Catalog::revive), they are brought up to date with the new side first.
  Result<EngineOutcome> rollback();
  // The switch alone, or one of the switches early, or a person's word on an unknown one.
  Result<EngineOutcome> cutover(const std::string& only, std::optional<bool> decided);
  // Whether cutover() or finish() would be refused for the phase or the hour. Changes nothing.
  Status can_cut_over();
  Status can_finish(std::optional<Milliseconds> after);
  // What finish() looks at before it gives up the way back, as far as looking changes nothing and
  // waits for nobody.
  Status try_finish(std::optional<Milliseconds> after);
  // What every switch says of itself right now, a line each: for whoever decides.
  std::vector<std::string> switches_seen() { return cutover_.seen_now(); }
  // Compares, and changes nothing but the journal; not even that without `record`.
  Result<VerifyOutcome> verify(std::int64_t sample, bool record);
  // Compares, and puts right what differs: the side that serves says what is right. The rows that
  // give way are in `repaired.jsonl` first. The outcome is that of the comparison afterwards.
  Result<VerifyOutcome> repair(std::int64_t sample);
  // Whether what carries writes from side to side is still as it was made. Changes nothing.
  Result<bool> capture_is_whole();
  // A check after the switch: what the application wrote is carried back, both sides are compared,
  // the plan's own checks are asked. Writes nothing else, and journals only a comparison of every
  // row. `rows`: of each move's source, for a part of them. Beside a runner it only looks.
  Result<CheckOutcome> check(const std::map<int, std::int64_t>& rows, bool beside_runner);
  // Carries back once more, behind a check; nothing where a runner does.
  Status catch_up();
  // Carries back what the application writes until the next check is due; false when somebody asked
  // for a rollback, which was carried out.
  Result<bool> follow_until_check(TimePoint due);
  // A copy that was whole is made again: what was set aside then is told again where it still is.
  Status set_aside_anew();
  // `refused` when a table that a begun migration needs is gone, or a column that a copy reads.
  Status tables_must_be_there();
  // Gives up the way back and removes what is no longer needed. `refused` when it is too early.
  Result<EngineOutcome> finish(std::optional<Milliseconds> after);

 private:
  static constexpr int recheck_rounds = 20;
  static constexpr Milliseconds silence{1'000};  // of the application, before a switch

  // engine.cpp
  Status accept_plan();
  Status is_our_database(bool going_back);
  Error what_it_keeps_is_gone(const std::string& alias) const;
  Status reclaim(bool going_back);
  Status mark();
  Status mend(bool going_back);
  Error a_table_is_gone() const;
  Status leave_out_what_is_gone();
  Status carry_what_went_unnoticed(const State& state);
  std::shared_ptr<Store> store_of_the_archive();
  std::string why_given_up() const;
  Status mend_feeds(Direction direction);
  Result<bool> made_target_is_there(Store& store);
  Result<bool> tables_are_there();
  bool has_switched() const;
  Result<std::string> birth_of(const Move& move, bool source);
  Result<bool> is_as_prepared(const Move& move, bool source);
  // After the switch: `refused` where another table stands in the place of an old one.
  Status old_tables_are_as_prepared();
  Status new_tables_are_there();
  Status takes_no_table_away();
  Status enter(Phase phase, const std::string& why);
  std::string hint_for(const VerifyOutcome& differing) const;
  Facts facts();
  Result<bool> act(const Decision& decision);
  bool may_try_again(Act act);
  bool target_is_numbered() const;
  Status number_target_again();
  Result<EngineOutcome> loop(Goal goal);
  Status stay_until_stopped();
  // For the copy; and back to what was found.
  Status raise_capacity();
  Status lower_capacity();
  Status give_capacity_up(const Effect& effect);
  Status put_capacity_back(const Effect& effect);
  static std::string capacity_id(const Move& move, bool is_source);
  Status poll_requests();
  Status carry_out_requests(bool& stores_are_to_hear);  // under `requests_`
  // What a person asked for, from now on; the answer to them. `stores_are_to_hear`: set where those
  // that count units are still to be told.
  std::string limit(const nlohmann::json& limits, bool& stores_are_to_hear);
  std::set<Store*> stores_that_count() const;
  Status wait_while_paused();
  bool must_stop() const { return parts_.stop.requested() || rollback_asked_; }
  Status reject(const Move& move, const Row& key, const Error& reason);
  Status is_carried(const Move& move, const Row& key);  // that was set aside
  Status hours_are_right();
  std::string what_is_safe();

  // run_checks.cpp
  Status run_checks(CheckAt at);
  Status run_check(const CheckPlan& check);
  Status run_command_check(const CheckPlan& check);
  Status run_metric_check(const CheckPlan& check);
  Status run_sql_check(const CheckPlan& check);
  Status run_new_rows_check(const CheckPlan& check);
  Result<bool> new_rows_come(const CheckPlan& check);
  Result<bool> has_come_since_check(const Move& move);

  // watching.cpp
  // What a check compares besides a sample: a portion of each move, or every row; and these keys.
  struct Extent {
    std::map<int, Portion> portions;
    std::map<int, ChangedKeys> keys;
    std::int64_t changes = 0;
  };
  static std::string through_of(const Extent& extent);
  Status carry_back();
  Result<Extent> extent_of_check(const std::map<int, std::int64_t>& rows);
  Result<ChangedKeys> keys_changed(const Move& move, const ChangedSince& changed);
  Status compare_for_check(const std::map<int, std::int64_t>& rows, CheckOutcome& outcome);

  // prepare.cpp
  Status backup();
  Status prepare();
  Status prepare_target(const Move& move);
  Status try_exchanges();
  Status take_back_what_is_prepared(Error error, const std::string& why);
  Result<std::string> try_one_row(const Move& move);
  Status carry_numbers(Direction direction);
  Status copy();
  void add_listeners(std::vector<Task>& tasks);
  Status build_index(const Move& move, const std::string& ddl);
  Status build_indexes();
  std::vector<std::shared_ptr<Store>> stores_of(Direction direction) const;
  std::vector<std::string> tables_in(Direction direction, const Store& store) const;
  std::vector<Link> links_in(const Store& store) const;
  Status link_all();
  Status start_feeds(Direction direction);
  Status stop_feeds(Direction direction);
  std::string feed_name(Direction direction, const Store& store) const;

  // moving.cpp
  Result<bool> drain(Direction direction, std::optional<TimePoint> until);
  Result<bool> drain_some(Direction direction, std::optional<TimePoint> until);
  Result<bool> follow_up_to(Follow& follow, const std::string& feed, std::optional<TimePoint> until,
                            TimePoint stops_at);
  Follow make_follow(Direction direction, Store& store);
  void guard(Follow& follow, Direction direction, bool other_side_serves);
  void guard_against_links(Follow& follow);
  Result<bool> reconcile(Direction direction, std::optional<TimePoint> until);
  Result<bool> reconcile(const Move& move, Direction direction, std::optional<TimePoint> until,
                         Reconcile::GivesWay gives_way = {});
  Status bring_back_what_went_along();
  Status settle_without_feed(std::vector<std::unique_ptr<Verify>>& verifies, bool follow);
  Status window_is_wide_enough();
  Status back_to_following(const std::string& why);
  // `follow`: what only lags is carried over and looked at again; else nothing is written.
  Result<VerifyOutcome> compare_all(std::int64_t sample, bool follow, bool record,
                                    Extent* extent = nullptr);
  static Status look_at_the_rest(std::vector<std::unique_ptr<Verify>>& verifies, Extent& extent);
  Status settle_suspects(std::vector<std::unique_ptr<Verify>>& verifies, Direction direction,
                         bool follow);
  Status forgive_what_waits(Verify& verify, Direction direction);
  void tell_what_is_not_settled();
  Status tables_have_their_columns();
  Result<bool> cut_over();
  Result<bool> drain_feeds(Direction direction, std::optional<TimePoint> until);
  Status listen(Direction direction);
  bool holds_lock_tables() const;
  Status compare_beside_feeds();
  Result<std::unique_ptr<Verify>> make_verify(const Move& move, Pairing pairing,
                                              std::int64_t sample,
                                              const std::vector<KeptRow>& kept);
  Status put_back_kept();
  Status forget_what_is_gone();
  Status spare_what_others_have(const Move& move, std::vector<Row>& target_keys) const;
  Result<std::int64_t> put_right(const Move& move, Direction direction, std::vector<Row> keys);
  Result<std::int64_t> carry_or_name(Follow& follow, const Move& move, std::vector<Row> keys);
  Result<std::int64_t> put_right(const Move& move, const std::vector<Row>& source_keys);
  Result<std::vector<KeptRow>> put_back_some(const Move& move, const std::vector<KeptRow>& notes);
  static bool is_there_again(const Move& move, const std::vector<Unheld>& columns,
                             const Row& there);
  // Once for each row.
  Status tell_what_stays_out(const Move& move, const Row& key, const std::string& why);
  Status make_again(const Move& move, const Row& key, const std::vector<Unheld>& columns,
                    const std::optional<Row>& now);
  Result<std::optional<Row>> source_of(const Move& move, const Row& target_key) const;
  Status references_resolve();
  std::vector<HeldTables> tables_to_hold(Direction direction) const;
  Status let_go_of_the_last_hold();

  // late.cpp
  // How far a feed was looked through that nobody carries over, and what was found.
  struct Looked {
    std::string from;  // the journaled position then
    std::string at;
    std::map<std::string, std::set<Row, RowLess>> keys;  // of the application; by table
    std::int64_t notes = 0;
  };
  // Keys of the move's side `there` that the application wrote and nobody carried over yet.
  Result<std::set<Row, RowLess>> written_by_application(Direction there, const Move& move);
  Status pass_over_what_is_our_own(Direction there);
  // Of one store; null where nobody notes writes there.
  Result<Looked*> look_through(Direction there, Store& store);
  Status carry_late_writes(Direction direction);
  Status let_go_and_carry(const std::vector<HeldTables>& held, Direction direction);
  Status wait_for_stragglers(Direction direction);
  Status nothing_is_contested(Direction direction);
  Result<bool> is_silent(Direction direction, TimePoint until);
  Result<bool> becomes_quiet(Direction direction, Milliseconds quiet,
                             const std::function<Result<bool>()>& carry);
  Result<std::vector<Difference>> late_writes();
  Status pass_over_what_is_equal(const std::set<std::string>& tables,
                                 const std::map<std::string, Looked>& seen);
  Status no_write_came_late();

  // undo.cpp
  Status undo();
  Status reopen();
  Status remember_numbers();
  Status give_no_number_again();
  Status archive_name_is_free();
  Status enough_clean_checks(const State& state) const;
  std::string and_after_clean_checks(const State& state) const;
  std::vector<const Mapping*> retired_from(const Store& store) const;
  Status tables_can_go();
  Status nothing_refers_to_the_archive();
  Status finish_takes_no_late_write();
  Status nothing_differs(const State& state) const;
  Result<EngineOutcome> remembered(Result<EngineOutcome> outcome);
  Status retire_old_tables();
  Result<EngineOutcome> finish_switched(Phase phase);
  // What belongs to an exchange of tables and is done while nobody is held; `event` tells of rows
  // that it has changed.
  using OrphansWork = Result<std::int64_t> (Retyping::*)(const std::vector<std::string>& sources);
  Status in_new_tables(OrphansWork work, const std::string& event, const std::string& doing,
                       const std::string& safe);
  Status come_close();
  Status switch_back();
  Status no_key_is_null();
  Status undo_effect(const Effect& effect);
  // Null where the plan no longer leads there.
  Store* store_of_feed(const std::string& feed) const;
  Status take_away(const Move& move, std::optional<std::int64_t> number);
  Status take_away_together(const Move& move, std::optional<std::int64_t> number);
  Status drop_if_empty(const Move& move);
  Result<std::int64_t> rows_of_no_move(const Move& move) const;
  Status drop_or_empty(const Move& move);
  Status look_again_at_what_leads_nowhere();
  Result<bool> bring_up_to_date();
  Result<bool> bring_up_to_date(const Move& move, bool notes_what_gives_way);
  Status unlink_all();

  const Migration& migration_;
  Parts parts_;
  Cutover cutover_;
  LimitsPlan limits_;
  RowRate rate_;
  std::mutex requests_;
  std::set<std::string> stays_out_;
  std::string gone_;         // the table that tables_are_there() has missed last
  bool is_another_ = false;  // one of its name is there
  std::string came_late_;    // the table of a retype that the gone one was to be made for
  std::set<int> left_out_;   // moves without a target; only on the way back
  bool drained_ = false;
  bool copied_now_ = false;  // by this run, and not compared since
  bool told_contested_ = false;
  std::vector<std::string> contested_;  // rows that both sides wrote since the switch began
  std::map<std::string, std::int64_t> waiting_;  // by feed: what waited when its draining began
  bool compared_beside_feeds_ = false;           // under `sync: none`, and the feeds tell the rest
  Milliseconds wrote_for_{0};                    // since somebody began to look whether it is quiet
  bool wrote_through_the_hold_ = false;          // somebody, so that it was never silent
  std::map<std::string, Looked> looked_;         // by feed
  bool verified_ = false;
  bool stays_ = false;  // a late write is then told by checks, and following goes on
  bool paused_ = false;
  std::atomic<bool> rollback_asked_{false};
  std::optional<Goal> goal_asked_;
  int hold_attempts_ = 0;
  Milliseconds listened_{0};  // when; guarded by requests_
  ChangedSince changed_;
  std::set<std::string> written_since_check_;  // tables of the new side, by the application
  bool others_carried_since_check_ = false;    // so that this may not be all of them
  bool watches_ = false;         // what is carried back is remembered for the next check
  bool watches_beside_ = false;  // a runner carries it back
  bool replaced_ = false;        // a database is not the one that the journal knows
  std::optional<Act> failing_;   // the act that was unavailable, until it succeeds
  int failures_ = 0;
};

}  // namespace whimbrel
